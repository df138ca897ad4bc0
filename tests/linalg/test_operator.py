import pytest
import torch

from tests.linalg.matrices import product, symmetric
from thalweg.linalg import Operator, check_operator


def test_products_are_counted_one_for_each_vector_of_a_block():
    operator = Operator(product(symmetric([1.0, 2.0, 3.0])), 3, dtype=torch.float64, block=2)
    operator(torch.ones(3, dtype=torch.float64))
    operator.rows(torch.ones(5, 3, dtype=torch.float64))
    assert operator.num_matvecs == 6


def test_a_block_is_its_vectors_one_at_a_time():
    a = symmetric(range(7))
    rows = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sizes = []

    def seen(v):
        sizes.append(tuple(v.shape))
        return v @ a

    together = Operator(seen, 7, dtype=torch.float64, block=2).rows(rows)
    single = Operator(seen, 7, dtype=torch.float64).rows(rows)
    torch.testing.assert_close(together, single, rtol=1e-14, atol=1e-14)
    assert sizes == [(2, 7), (2, 7), (1, 7)] + 5 * [(7,)]


def test_a_matvec_may_return_the_same_buffer_every_time():
    buffer = torch.empty(2)
    rows = Operator(lambda v: torch.mul(v, 2, out=buffer), 2).rows(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert rows.tolist() == [[2.0, 4.0], [6.0, 8.0]]


def test_a_product_that_is_not_finite_is_refused_with_its_number():
    operator = Operator(lambda v: v / (v - 2), 1)
    operator(torch.tensor([1.0]))
    with pytest.raises(FloatingPointError, match="Product 2 "):
        operator(torch.tensor([2.0]))


@pytest.mark.parametrize(
    ("matvec", "words"),
    [(lambda v: v[:1], r"shape \(1,\)"), (lambda v: v.double(), "float64"), (lambda v: v.to("meta"), "meta")],
)
def test_products_of_another_shape_dtype_or_device_are_refused(matvec, words):
    with pytest.raises(ValueError, match=words):
        Operator(matvec, 2, dtype=torch.float32)(torch.ones(2))


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 2, "block": 0}, {"n": 2, "dtype": torch.int64}])
def test_operators_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError):
        Operator(lambda v: v, **wrong)


def test_a_symmetric_matrix_passes_the_check_in_both_precisions():
    a = symmetric(range(-3, 30))
    found = check_operator(product(a), 33, dtype=torch.float64)
    assert max(found.repeat, found.symmetry, found.linearity) < 1e-13
    check_operator(product(a.float()), 33, dtype=torch.float32)


def test_trap_a_matvec_with_a_life_of_its_own_is_found():
    """Dropout or reshuffled batches: the same vector, another product."""
    a, noise = symmetric(range(20)), torch.Generator().manual_seed(0)

    def drop(v):
        return (a @ v) * torch.randint(0, 2, (20,), generator=noise)

    with pytest.raises(ValueError, match="not deterministic"):
        check_operator(drop, 20, dtype=torch.float64)


def test_trap_a_matvec_that_is_not_symmetric_is_found():
    a = symmetric(range(20)).triu()
    with pytest.raises(ValueError, match="not symmetric"):
        check_operator(lambda v: a @ v, 20, dtype=torch.float64)


def test_trap_differences_across_kinks_are_found():
    """A product that is not linear in its vector, as differences of gradients of a ReLU network are not."""
    with pytest.raises(ValueError, match="not linear"):
        check_operator(lambda v: v.abs() - v, 20, dtype=torch.float64)
