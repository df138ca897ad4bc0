"""Eigenpairs against dense eigh and against definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, eigsh

from tests.linalg.matrices import (
    Counted,
    fewest_lanczos_products,
    first_vector,
    outliers_and_bulk,
    symmetric,
)
from thalweg.linalg import top_eigenpairs

seeds = st.integers(0, 2**31 - 1)


def wanted(eigenvalues, k, which):
    """What `which` means, from all eigenvalues."""
    falling = np.sort(eigenvalues)[::-1]
    if which == "magnitude":
        return falling[np.argsort(-np.abs(falling), kind="stable")][:k]
    if which == "largest":
        return falling[:k]
    if which == "smallest":
        return falling[::-1][:k]
    return np.concatenate([falling[: k - k // 2], falling[len(falling) - k // 2 :]])


def true_residuals(a, pairs):
    v = pairs.eigenvectors.double()
    return torch.linalg.vector_norm(v @ a.double() - torch.as_tensor(pairs.eigenvalues)[:, None] * v, dim=1).numpy()


@given(seed=seeds, n=st.integers(1, 25), which=st.sampled_from(["magnitude", "largest", "smallest", "both"]))
def test_n_steps_of_lanczos_are_exact(seed, n, which):
    draw = np.random.default_rng(seed)
    eigenvalues = draw.normal(size=n)
    k = int(draw.integers(1, n + 1))
    a = symmetric(eigenvalues, seed)
    pairs = top_eigenpairs(lambda v: a @ v, n, k, which=which, tol=1e-10, seed=seed, dtype=torch.float64)
    np.testing.assert_allclose(pairs.eigenvalues, wanted(eigenvalues, k, which), atol=1e-11)
    torch.testing.assert_close(
        pairs.eigenvectors @ pairs.eigenvectors.T, torch.eye(k, dtype=torch.float64), atol=1e-12, rtol=0
    )
    assert pairs.num_matvecs <= n
    assert pairs.converged.all()


@given(seed=seeds, values=st.lists(st.sampled_from([-3.0, 0.0, 1.0, 5.0]), min_size=2, max_size=15), data=st.data())
def test_repeated_zero_and_negative_eigenvalues_are_found_with_their_copies(seed, values, data):
    k = data.draw(st.integers(1, len(values)))
    a = symmetric(values, seed)
    pairs = top_eigenpairs(lambda v: a @ v, len(values), k, tol=1e-6, seed=seed, dtype=torch.float64)
    np.testing.assert_allclose(np.abs(pairs.eigenvalues), np.abs(wanted(values, k, "magnitude")), atol=1e-9)
    np.testing.assert_allclose(true_residuals(a, pairs), 0.0, atol=1e-5)


def test_the_identity_and_the_zero_matrix_have_k_pairs_all_the_same():
    for scale in (1.0, 0.0):
        pairs = top_eigenpairs(lambda v, s=scale: s * v, 50, 3, dtype=torch.float64)
        assert pairs.eigenvalues.tolist() == pytest.approx([scale] * 3)
        assert pairs.converged.all()


def test_a_low_rank_matrix_costs_its_rank_and_little_more():
    a = symmetric([4.0, -2.0, 1.0] + 97 * [0.0])
    pairs = top_eigenpairs(lambda v: a @ v, 100, 5, dtype=torch.float64)
    np.testing.assert_allclose(pairs.eigenvalues, [4.0, -2.0, 1.0, 0.0, 0.0], atol=1e-12)
    assert pairs.num_matvecs <= 6


@given(seed=seeds, dtype=st.sampled_from([torch.float32, torch.float64]), tol=st.sampled_from([1e-2, 1e-4, 1e-6]))
def test_reported_residuals_are_true_residuals(seed, dtype, tol):
    a = symmetric(outliers_and_bulk(150, seed), seed).to(dtype)
    pairs = top_eigenpairs(lambda v: a @ v, 150, 6, tol=tol, seed=seed, dtype=dtype)
    rounding = 20 * torch.finfo(dtype).eps * pairs.scale
    np.testing.assert_allclose(pairs.residuals, true_residuals(a, pairs), rtol=1e-2, atol=rounding)
    assert (true_residuals(a, pairs) <= 1.01 * tol * pairs.scale + rounding).all()


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-6])
@pytest.mark.parametrize("k", [1, 5, 12])
def test_at_most_two_products_more_than_the_fewest_that_lanczos_needs(k, tol):
    for seed in range(3):
        a = symmetric(outliers_and_bulk(300, seed), seed)
        pairs = top_eigenpairs(lambda v, a=a: a @ v, 300, k, tol=tol, seed=seed, dtype=torch.float64)
        assert pairs.num_matvecs <= fewest_lanczos_products(a, k, tol, first_vector(300, seed)) + 2


@pytest.mark.parametrize("k", [1, 5, 20])
def test_fewer_products_than_eigsh_at_the_same_residual(k):
    a = torch.as_tensor(outliers_and_bulk(2000))
    pairs = top_eigenpairs(lambda v: a * v, 2000, k, tol=1e-3, dtype=torch.float64)
    count = Counted(None)

    def matvec(x):
        count.count += 1
        return a.numpy() * x

    operator = LinearOperator((2000, 2000), matvec=matvec, dtype=np.float64)
    eigsh(operator, k=k, tol=1e-3, which="LM", v0=first_vector(2000, 0))
    assert pairs.num_matvecs < count.count


def test_float32_problems_have_float32_accuracy_and_orthogonal_vectors():
    exact = symmetric(outliers_and_bulk(400), 1)
    a = exact.float()
    pairs = top_eigenpairs(lambda v: a @ v, 400, 20, tol=1e-5, dtype=torch.float32)
    assert pairs.eigenvectors.dtype == torch.float32
    assert pairs.eigenvalues.dtype == np.float64
    np.testing.assert_allclose(pairs.eigenvalues, wanted(outliers_and_bulk(400), 20, "magnitude"), atol=1e-5)
    gram = pairs.eigenvectors.double() @ pairs.eigenvectors.double().T
    assert float((gram - torch.eye(20)).abs().max()) < 2e-7


def test_a_tolerance_below_the_rounding_of_the_products_is_reported_not_hidden():
    a = symmetric(outliers_and_bulk(200)).float()
    pairs = top_eigenpairs(lambda v: a @ v, 200, 3, tol=1e-9, dtype=torch.float32)
    assert pairs.stop == "noise"
    assert not pairs.converged.any()
    assert pairs.num_matvecs < 60


def test_an_asymmetric_matrix_does_not_pass_for_converged():
    a = symmetric(outliers_and_bulk(100)) + 0.3 * torch.randn(100, 100, dtype=torch.float64).triu(1) / 10
    pairs = top_eigenpairs(lambda v: a @ v, 100, 3, tol=1e-3, dtype=torch.float64)
    assert not pairs.converged.all()
    v = pairs.eigenvectors
    residuals = torch.linalg.vector_norm(v @ a.T - torch.as_tensor(pairs.eigenvalues)[:, None] * v, dim=1)
    np.testing.assert_allclose(pairs.residuals, residuals, rtol=1e-6)


@pytest.mark.parametrize("which", ["magnitude", "largest", "smallest", "both"])
def test_thick_restart_finds_what_an_unlimited_basis_finds(which):
    d = np.concatenate([outliers_and_bulk(300), [-6.0, -4.0, -2.0, -1.5]])
    a = symmetric(d)
    options = {"which": which, "tol": 1e-8, "max_matvecs": 2000, "dtype": torch.float64}
    free = top_eigenpairs(lambda v: a @ v, len(d), 4, **options)
    tight = top_eigenpairs(lambda v: a @ v, len(d), 4, max_basis=14, **options)
    assert tight.num_matvecs > 14
    np.testing.assert_allclose(tight.eigenvalues, free.eigenvalues, atol=1e-9)
    np.testing.assert_allclose(tight.eigenvalues, wanted(d, 4, which), atol=1e-9)
    np.testing.assert_allclose(tight.residuals, true_residuals(a, tight), atol=1e-12)
    torch.testing.assert_close(
        (tight.eigenvectors @ free.eigenvectors.T).abs(), torch.eye(4, dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_restarts_in_float32_keep_residuals_true():
    a = symmetric(outliers_and_bulk(500), 2).float()
    pairs = top_eigenpairs(lambda v: a @ v, 500, 12, tol=1e-5, max_basis=24, max_matvecs=1000)
    assert pairs.num_matvecs > 24
    assert pairs.converged.all()
    np.testing.assert_allclose(pairs.residuals, true_residuals(a, pairs), rtol=0.05, atol=1e-5)


def test_a_budget_that_ends_too_soon_is_reported_for_each_pair():
    a = symmetric(outliers_and_bulk(300))
    pairs = top_eigenpairs(lambda v: a @ v, 300, 5, tol=1e-6, max_matvecs=13, dtype=torch.float64)
    assert pairs.stop == "budget"
    assert pairs.num_matvecs == 13
    assert pairs.converged[0]
    assert not pairs.converged[-1]
    np.testing.assert_allclose(pairs.residuals, true_residuals(a, pairs), rtol=1e-6, atol=1e-10)
    assert (pairs.converged == (pairs.residuals <= 1e-6 * pairs.scale)).all()


def test_products_reported_are_products_taken():
    matvec = Counted(symmetric(outliers_and_bulk(100)))
    assert top_eigenpairs(matvec, 100, 4, dtype=torch.float64).num_matvecs == matvec.count


def test_the_same_seed_finds_the_same_and_numbers_do_not_depend_on_it():
    a = symmetric(outliers_and_bulk(100))
    first, again, other = (top_eigenpairs(lambda v: a @ v, 100, 4, seed=s, dtype=torch.float64) for s in (0, 0, 1))
    assert torch.equal(first.eigenvectors, again.eigenvectors)
    np.testing.assert_allclose(first.eigenvalues, other.eigenvalues, atol=1e-4)


def drifted(seed, n=600, size=0.1):
    """A matrix, and the same matrix a little later."""
    draw = np.random.default_rng(seed)
    a = torch.diag(torch.as_tensor(outliers_and_bulk(n, seed)))
    g = torch.as_tensor(draw.normal(size=(n, n)))
    return a, a + size * (g + g.T) / (2 * n) ** 0.5


def test_a_warm_start_needs_fewer_products():
    cold, warm = 0, 0
    for seed in range(5):
        before, after = drifted(seed)
        options = {"seed": seed, "dtype": torch.float64}
        old = top_eigenpairs(lambda v, a=before: a @ v, 600, 5, **options)
        fresh = top_eigenpairs(lambda v, a=after: a @ v, 600, 5, **options)
        found = top_eigenpairs(lambda v, a=after: a @ v, 600, 5, start=old.eigenvectors, **options)
        np.testing.assert_allclose(found.eigenvalues, fresh.eigenvalues, atol=1e-4)
        assert found.converged.all()
        cold, warm = cold + fresh.num_matvecs, warm + found.num_matvecs
    assert warm <= 12 * 5
    assert warm < cold


def test_trap_a_warm_start_does_not_miss_a_direction_that_is_new():
    """The earlier vectors are still exact, and a direction orthogonal to all of them has become the top."""
    for seed in range(10):
        d = torch.as_tensor(outliers_and_bulk(5000, seed))
        old = top_eigenpairs(lambda v, d=d: d * v, 5000, 5, seed=seed, dtype=torch.float64)
        d[77] = 13.0
        found = top_eigenpairs(
            lambda v, d=d: d * v, 5000, 5, start=old.eigenvectors, seed=seed + 100, dtype=torch.float64
        )
        np.testing.assert_allclose(found.eigenvalues, wanted(d.numpy(), 5, "magnitude"), atol=1e-2)


def test_a_start_of_one_vector_and_of_rows_are_the_same_when_they_have_the_same_sum():
    a = symmetric(outliers_and_bulk(80))
    rows = torch.randn(3, 80, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one, many = (top_eigenpairs(lambda v: a @ v, 80, 2, start=start) for start in (rows.sum(0), rows))
    assert torch.equal(one.eigenvectors, many.eigenvectors)
    assert one.eigenvectors.dtype == torch.float64


def test_trap_ghost_copies_of_the_top_eigenvalue():
    """Without re-orthogonalisation the top eigenvalue comes back several times, every copy flagged as converged."""
    d = outliers_and_bulk(300)
    d[0] = 1000.0
    a = symmetric(d).float()
    pairs = top_eigenpairs(lambda v: a @ v, 300, 9, tol=1e-6, dtype=torch.float32, max_matvecs=300)
    np.testing.assert_allclose(pairs.eigenvalues, wanted(d, 9, "magnitude"), rtol=1e-3)
    gram = pairs.eigenvectors.double() @ pairs.eigenvectors.double().T
    assert float((gram - torch.eye(9)).abs().max()) < 1e-6


def test_trap_a_fixed_number_of_steps_is_off_without_a_word():
    """Ten steps are not enough here, and say so; the stop by residuals takes more, and is right."""
    d = np.concatenate([np.linspace(1.0, 1.3, 8), np.linspace(-0.9, 0.9, 292)])
    a = symmetric(d)
    ten = top_eigenpairs(lambda v: a @ v, 300, 5, max_matvecs=10, dtype=torch.float64)
    assert not ten.converged[1:].any()
    found = top_eigenpairs(lambda v: a @ v, 300, 5, tol=1e-4, dtype=torch.float64)
    assert found.num_matvecs > 10
    np.testing.assert_allclose(found.eigenvalues, wanted(d, 5, "magnitude"), rtol=1e-3)


def test_trap_power_iteration_stops_when_the_value_stands_still():
    """Two eigenvalues 0.1% apart: the value settles at once, the vector does not; residuals see it."""
    d = np.concatenate([[1.0, 0.999], np.linspace(-0.5, 0.5, 98)])
    a = symmetric(d)
    pairs = top_eigenpairs(lambda v: a @ v, 100, 2, tol=1e-6, dtype=torch.float64)
    np.testing.assert_allclose(pairs.eigenvalues, d[:2], atol=1e-9)
    np.testing.assert_allclose(true_residuals(a, pairs), 0, atol=1e-6)


def test_a_product_that_is_not_finite_says_after_how_many():
    matvec = Counted(symmetric(range(50)))
    with pytest.raises(FloatingPointError, match="Product 3 "):
        top_eigenpairs(lambda v: matvec(v) / (matvec.count != 3), 50, 3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 6}, "Ask for 1 to 5"),
        ({"which": "LM"}, "Choose from magnitude"),
        ({"tol": 0.0}, "tol=0.0"),
        ({"tol": -1.0}, "tol=-1.0"),
        ({"tol": float("nan")}, "tol=nan"),
        ({"max_matvecs": 1}, "Allow at least 2"),
        ({"max_basis": 2}, "Allow at least 5"),
        ({"start": torch.ones(4)}, "n=5"),
        ({"start": torch.zeros(5)}, "length 0"),
        ({"start": torch.full((2, 5), float("inf"))}, "length"),
        ({"start": torch.ones(1, 1, 5)}, r"\(1, 1, 5\)"),
    ],
)
def test_questions_that_make_no_sense_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        top_eigenpairs(lambda v: v, **{"n": 5, "k": 2, **wrong})


@pytest.mark.parametrize("which", ["smallest", "largest", "both"])
def test_values_of_the_other_end_do_not_stand_in_for_wanted_ones(which):
    """Eight outliers on one side, a bulk near zero: nothing far away is told as converged at the near end."""
    rng = np.random.default_rng(0)
    sign = -1.0 if which == "largest" else 1.0
    for k in (2, 4, 6):
        values = np.sort(sign * np.concatenate([np.linspace(1, 10, 8), rng.normal(scale=1e-3, size=137)]))
        basis = np.linalg.qr(rng.normal(size=(145, 145)))[0]
        matrix = torch.as_tensor(basis @ np.diag(values) @ basis.T)
        found = top_eigenpairs(lambda v, m=matrix: m @ v, 145, k, which=which, dtype=torch.float64)
        assert found.converged.all()
        wanted = {"smallest": values[:k], "largest": values[::-1][:k]}
        both = np.sort(np.concatenate([values[::-1][: (k + 1) // 2], values[: k // 2]]))[::-1]
        np.testing.assert_allclose(found.eigenvalues, wanted.get(which, both), atol=3e-3 * 10)


@pytest.mark.parametrize("which", ["magnitude", "largest", "smallest", "both"])
@pytest.mark.parametrize("k", [5, 12])
def test_copies_of_repeated_eigenvalues_are_found_where_they_are_asked_for(which, k):
    """Twenty eigenvalues, five or ten times each."""
    sizes = np.repeat(np.linspace(1, 0.05, 20), 10)
    values = sizes if which in ("magnitude", "largest") else sizes * np.tile([1, -1], 100)
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(200, 200)))
    a = torch.as_tensor((q * values) @ q.T)
    pairs = top_eigenpairs(lambda v: a @ v, 200, k, which=which, copies=True, dtype=torch.float64)
    up = np.sort(values)
    expected = {"smallest": up[:k], "both": np.r_[up[::-1][: k - k // 2], up[k // 2 - 1 :: -1]]}.get(
        which, up[::-1][:k]
    )
    np.testing.assert_allclose(pairs.eigenvalues, expected, atol=1e-5)
    true = (a @ pairs.eigenvectors.T - pairs.eigenvectors.T * torch.as_tensor(pairs.eigenvalues)).norm(dim=0).numpy()
    np.testing.assert_allclose(pairs.residuals, true, rtol=1e-6, atol=1e-9)
    assert pairs.stop == "converged"
