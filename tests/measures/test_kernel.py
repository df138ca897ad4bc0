"""Tangent kernels are J J^T, whole, traced, by layer, between two sets; alignments are cosines of matrices."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw
from tests.measures.tangents import D, classifier, jacobian, sines_problem
from tests.problem.test_outputs import CASES, problem_of, rows
from thalweg.measures import contraction
from thalweg.problem import Diverged


@pytest.mark.parametrize("memory", [2**29, 20_000])
@pytest.mark.parametrize("name", CASES)
def test_the_kernel_is_the_product_of_jacobians(name, memory, monkeypatch):
    """Of every kind of layer, in one tile and in many."""
    monkeypatch.setattr("thalweg.measures.kernel._WORK", memory)
    make, shape, _ = CASES[name]
    torch.manual_seed(0)
    model, x, z = make(), torch.randn(shape, dtype=D), torch.randn((3, *shape[1:]), dtype=D)
    problem = problem_of(model, x)
    J, J2 = (rows(model, problem.theta, inputs).numpy() for inputs in (x, z))
    n, c = len(x), len(J) // len(x)
    K = J @ J.T
    close = {"rtol": 1e-9, "atol": 1e-10 * np.abs(K).max()}
    np.testing.assert_allclose(tw.empirical_ntk(problem).kernel, K, **close)
    np.testing.assert_allclose(tw.empirical_ntk(problem, other=z).kernel, J @ J2.T, **close)
    traced = np.einsum("iaja->ij", K.reshape(n, c, n, c))
    np.testing.assert_allclose(tw.empirical_ntk(problem, part="trace").kernel, traced, **close)
    layers = tw.empirical_ntk(problem, part="layer")
    np.testing.assert_allclose(layers.kernel.sum("layer"), K, **close)


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("trace", [True, False])
def test_both_ways_to_contract_a_layer_agree(few, trace, monkeypatch):
    monkeypatch.setattr(contraction, "_few_places", lambda *_: few)
    monkeypatch.setattr(contraction, "_ENTRIES", 500)
    problem, model, x = classifier()
    J = jacobian(model, x).numpy()
    K = np.einsum("iaw,jaw->ij", *[J.reshape(12, 3, -1)] * 2) if trace else J @ J.T
    found = tw.empirical_ntk(problem, part="trace" if trace else "full")
    np.testing.assert_allclose(found.kernel, K, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.kernel, found.kernel.values.T)


def test_a_layers_kernel_is_that_of_its_columns():
    problem, model, x = classifier()
    J = jacobian(model, x).numpy()
    found = tw.empirical_ntk(problem, part="layer")
    assert found.layer.values.tolist() == ["0", "2", "5"]
    for name in found.layer.values:
        columns = np.concatenate(
            [np.arange(b.slice.start, b.slice.stop) for b in problem.layout.blocks if b.name.startswith(f"{name}.")]
        )
        np.testing.assert_allclose(found.kernel.sel(layer=name), J[:, columns] @ J[:, columns].T, rtol=1e-9, atol=1e-12)


def test_eigenvalues_are_squared_singular_values():
    problem, _ = sines_problem([20, 20], dtype=D)
    tangent, kernel = tw.linearize(problem, k=10), tw.empirical_ntk(problem)
    np.testing.assert_allclose(np.linalg.eigvalsh(kernel.kernel)[::-1][:10], tangent.singular_value**2, rtol=1e-8)


@pytest.mark.parametrize("outputs", ["sum", 2])
def test_of_some_outputs(outputs):
    problem, model, x = classifier()
    J = jacobian(model, x).reshape(12, 3, -1).numpy()
    J = J.sum(1) if outputs == "sum" else J[:, outputs]
    np.testing.assert_allclose(tw.empirical_ntk(problem, outputs=outputs).kernel, J @ J.T, rtol=1e-9)


def test_rows_are_ordered_by_input_or_by_class():
    problem, _ = sines_problem(num=30)
    kernel = tw.empirical_ntk(problem, other="test")
    assert (np.diff(kernel.x.values[np.argsort(kernel.order.values)]) >= 0).all()
    assert kernel.column_order.values.tolist() == list(range(50))
    assert kernel.attrs["column_inputs"] == "test"
    problem, _, _ = classifier()
    kernel = tw.empirical_ntk(problem)
    assert sorted(kernel.order.values) == list(range(36))
    by_place = kernel.label.values[np.argsort(kernel.order.values)]
    assert (np.diff(by_place) >= 0).all()
    assert kernel.output.values[np.argsort(kernel.order.values)].tolist() == [0, 1, 2] * 12


# --- alignment ---


def test_a_kernel_is_aligned_with_its_multiples():
    problem, _ = sines_problem(dtype=D)
    kernel = tw.empirical_ntk(problem)
    assert tw.kernel_alignment(kernel, kernel.assign(kernel=3 * kernel.kernel)) == pytest.approx(1.0)
    assert tw.kernel_alignment(kernel, kernel, centered=False) == pytest.approx(1.0)


@given(seed=st.integers(0, 2**31))
def test_alignment_is_the_cosine_of_centred_features(seed):
    """⟨HKH, HLH⟩ for K = AA^T and L = BB^T is ‖A_c^T B_c‖², with the features' means taken away."""
    problem, _ = sines_problem(num=20, dtype=D)
    kernel = tw.empirical_ntk(problem)
    draw = np.random.default_rng(seed)
    A, B = draw.normal(size=(20, 3)), draw.normal(size=(20, 2)) + 1
    one = kernel.assign(kernel=(("row", "column"), A @ A.T))
    a, b = A - A.mean(0), B - B.mean(0)
    wanted = np.linalg.norm(a.T @ b) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)
    assert tw.kernel_alignment(one, B) == pytest.approx(wanted)
    assert tw.kernel_alignment(one, torch.as_tensor(B)) == pytest.approx(wanted)


def test_targets_of_classes_are_columns():
    problem, _, _ = classifier()
    y = np.arange(12) % 3
    traced = tw.empirical_ntk(problem, part="trace")
    by_hand = tw.kernel_alignment(traced, np.eye(3)[y])
    assert tw.kernel_alignment(traced) == tw.kernel_alignment(traced, y) == by_hand
    full = tw.empirical_ntk(problem)
    assert tw.kernel_alignment(full) == tw.kernel_alignment(full, np.eye(3)[y].reshape(-1))
    assert tw.kernel_alignment(tw.empirical_ntk(problem, part="layer")) == pytest.approx(tw.kernel_alignment(full))


def test_what_cannot_be_aligned_is_refused():
    problem, _ = sines_problem(num=20)
    kernel = tw.empirical_ntk(problem)
    with pytest.raises(ValueError, match="Pass one target"):
        tw.kernel_alignment(kernel, np.zeros(3))
    with pytest.raises(ValueError, match="knows no targets"):
        tw.kernel_alignment(tw.empirical_ntk(problem, [[0.0], [1.0]]))
    with pytest.raises(ValueError, match="kind 'tangent'"):
        tw.kernel_alignment(tw.linearize(problem))
    assert np.isnan(tw.kernel_alignment(kernel, np.ones(20)))


def test_kernels_that_do_not_fit_are_refused():
    problem, _ = sines_problem()
    with pytest.raises(ValueError, match='part="trace", or raise `memory=`'):
        tw.empirical_ntk(problem, memory=1000)
    with pytest.raises(ValueError, match="expected one of 'full', 'trace', 'layer'"):
        tw.empirical_ntk(problem, part="half")


def test_a_diverged_network_is_told_as_such():
    problem = tw.ModuleProblem(nn.Linear(1, 1), (torch.ones(3, 1), torch.ones(3, 1)), loss=F.mse_loss)
    with pytest.raises(Diverged):
        tw.empirical_ntk(problem, theta=[torch.inf, 0.0])
    with pytest.raises(Diverged):
        tw.empirical_ntk(problem, torch.full((2, 1), 1e25))


def test_products_that_overflow_are_no_divergence():
    problem = tw.ModuleProblem(nn.Linear(1, 1), (torch.ones(3, 1), torch.ones(3, 1)), loss=F.mse_loss)
    with pytest.raises(Diverged, match=r'overflow in float32 \(beyond 3.4e\+38\).*precision="float64"'):
        tw.empirical_ntk(problem, torch.full((2, 1), 1e25))
    with pytest.raises(Diverged, match="The network has diverged: its outputs are"):
        tw.empirical_ntk(problem, torch.full((2, 1), 1e25), theta=[1e20, 0.0])


def test_one_target_for_each_example_goes_with_the_trace():
    torch.manual_seed(0)
    x, y = torch.randn(12, 4), torch.arange(12) % 3
    problem = tw.ModuleProblem(nn.Linear(4, 3), (x, y), loss=F.cross_entropy)
    with pytest.raises(ValueError, match=r'12 examples, and a kernel of 36 rows.*part="trace"'):
        tw.kernel_alignment(tw.empirical_ntk(problem), y)
    assert 0 < tw.kernel_alignment(tw.empirical_ntk(problem, part="trace"), y) < 1
