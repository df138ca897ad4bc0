"""`check_gradient` finds wrong backwards, says where, and leaves right ones alone."""

import pytest
import torch
from torch import nn

import thalweg as tw
from thalweg.measures.differences import GradientError


def custom(forward, backward):
    """A custom function; `backward` gets the saved inputs and the gradient."""

    class Mine(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx, *gradients):
            return backward(*ctx.saved_tensors, *gradients)

    return Mine.apply


class Product(torch.autograd.Function):
    """A product of matrices with a right backward, whose inputs have names."""

    @staticmethod
    def forward(ctx, left, right):
        ctx.save_for_backward(left, right)
        return left @ right

    @staticmethod
    def backward(ctx, gradient):
        left, right = ctx.saved_tensors
        return gradient @ right.T, left.T @ gradient


def spoiled(g, entry):
    g = g.clone()
    g[entry] += 0.5
    return g


X = torch.tensor([0.5, -1.0, 2.0])
WRONG = {
    "sign": (custom(torch.sin, lambda x, g: -x.cos() * g), "the wrong sign"),
    "factor": (custom(lambda x: x**2, lambda x, g: x * g), "0.5 times as much"),
    "one entry": (
        custom(lambda x: x * 3, lambda x, g: spoiled(3 * g, (1,))),
        r"\(`input_0`\), entry \[1\]: it gives 3.5 where",
    ),
    "zero": (custom(torch.exp, lambda x, g: torch.zeros_like(g)), "as if the output did not depend on it"),
    "ignores the gradient": (custom(lambda x: x * 2, lambda x, g: torch.full_like(x, 2.0)), "it gives 2"),
    "not linear": (custom(lambda x: x * 2, lambda x, g: 2 * g.sign()), "not linear in the gradient"),
    "squares the gradient": (custom(lambda x: x * 2, lambda x, g: 2 * g * g.abs()), "not linear in the gradient"),
    "shape": (custom(torch.sin, lambda x, g: (x.cos() * g).sum()), r"shape \(\)|returned an invalid gradient"),
    "not finite": (custom(torch.sin, lambda x, g: g / 0), "it gives"),
    "none": (custom(torch.sin, lambda x, g: None), "as if the output did not depend on it"),
}


@pytest.mark.parametrize(("function", "says"), WRONG.values(), ids=WRONG)
def test_wrong_backwards_are_found(function, says):
    with pytest.raises(GradientError, match=says):
        tw.check_gradient(function, X.clone())
    try:
        told = tw.check_gradient(function, X.clone(), raises=False)
    except GradientError:
        return  # autograd itself refuses to run it
    assert not told.right


def test_a_forgotten_transpose_is_found_at_its_input():
    class Wrong(Product):
        @staticmethod
        def backward(ctx, gradient):
            left, right = ctx.saved_tensors
            return gradient @ right, left.T @ gradient

    torch.manual_seed(0)
    left, right = torch.randn(3, 3), torch.randn(3, 3)
    assert tw.check_gradient(Product.apply, (left, right)).right
    with pytest.raises(GradientError, match=r"input 0 \(`left`\), entry \[\d, \d\]"):
        tw.check_gradient(Wrong.apply, (left, right))
    told = tw.check_gradient(Wrong.apply, (left, right), raises=False)
    assert [d.num_wrong > 0 for d in told.deviations] == [True, False]


def test_the_message_names_the_second_input_its_entry_and_both_numbers():
    class Wrong(Product):
        @staticmethod
        def backward(ctx, gradient):
            left, right = ctx.saved_tensors
            wrong = (left.T @ gradient).clone()
            wrong[1, 0] *= 4
            return gradient @ right.T, wrong

    left, right = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [5.0]])
    with pytest.raises(GradientError) as caught:
        tw.check_gradient(Wrong.apply, (left, right))
    said = str(caught.value)
    assert "input 1 (`right`), entry [1, 0]" in said
    assert "it gives 8 where central differences give 2" in said
    assert "4 times as much" in said
    assert "1 of 2 entries" in said
    assert "float32" in said


RIGHT = {
    "float32": (torch.tanh, torch.randn(4, generator=torch.Generator().manual_seed(1))),
    "float64": (torch.exp, X.double()),
    "half": (torch.sin, X.half()),
    "large values": (lambda x: x**3, torch.tensor([1e3, -2e3])),
    "small values": (lambda x: 1e-4 * x.sin(), X),
    "relu at 0": (torch.relu, torch.tensor([0.0, -1.0, 2.0])),
    "absolute value at 0": (torch.abs, torch.tensor([0.0, 1.0])),
    "maximum of equals": (lambda x: torch.maximum(x, x.detach() * 0 + 1), torch.tensor([1.0, 2.0])),
    "scalar": (torch.sin, torch.tensor(0.3)),
    "transposed": (lambda x: x.sin() @ x.T, torch.randn(2, 3, generator=torch.Generator().manual_seed(0)).T),
    "strided": (torch.sin, torch.linspace(0, 1, 8)[::2]),
    "expanded": (torch.sin, torch.tensor([0.5]).expand(3)),
    "in place inside": (lambda x: x.clone().mul_(2).sin_(), X),
    "constant": (lambda x: torch.ones(2), X),
    "layer": (nn.Linear(3, 2).double(), X),
}


@pytest.mark.parametrize(("function", "x"), RIGHT.values(), ids=RIGHT)
def test_right_backwards_pass(function, x):
    before = x.clone()
    told = tw.check_gradient(function, x)
    assert told.right
    assert all(d.num_wrong == 0 for d in told.deviations)
    assert torch.equal(x, before)
    assert not x.requires_grad


def test_kinks_are_counted_and_wrong_slopes_at_them_are_not():
    x = torch.tensor([0.0, 1.0])
    assert tw.check_gradient(torch.relu, x).num_kinks == 1
    beyond = custom(torch.relu, lambda x, g: g * torch.where(x == 0, 1.7, (x > 0).double()))
    with pytest.raises(GradientError, match=r"entry \[0\]: it gives 1.7"):
        tw.check_gradient(beyond, x)
    assert tw.check_gradient(custom(torch.relu, lambda x, g: g * torch.where(x == 0, 0.3, (x > 0).double())), x).right


@pytest.mark.parametrize("x", [1e-7, 3e-6, -3e-6])
def test_next_to_a_kink_the_slope_on_this_side_is_right(x):
    assert tw.check_gradient(torch.relu, torch.tensor([x])).right


@pytest.mark.parametrize("x", [0.0, 1e-5, 1.0])
def test_strong_curvature_is_no_kink(x):
    told = tw.check_gradient(lambda x: 1e4 * x**2, torch.tensor([x], dtype=torch.float64))
    assert told.right
    assert told.num_kinks == 0


def test_inputs_without_influence_may_have_no_gradient():
    assert tw.check_gradient(custom(lambda x, y: x * 2, lambda x, y, g: (2 * g, None)), (X, X)).right
    with pytest.raises(GradientError, match="input 1"):
        tw.check_gradient(custom(lambda x, y: x * y, lambda x, y, g: (y * g, None)), (X, X))


def test_the_wrong_one_of_several_outputs_is_named():
    right = custom(lambda x: (x.sin(), x**2), lambda x, g, h: g * x.cos() + 2 * x * h)
    assert tw.check_gradient(right, X).right
    assert {d.output for d in tw.check_gradient(right, X).deviations} == {0, 1}
    wrong = custom(lambda x: (x.sin(), x**2), lambda x, g, h: g * x.cos() + 3 * x * h)
    with pytest.raises(GradientError, match="output 1"):
        tw.check_gradient(wrong, X)


def test_several_inputs_with_others_between_them():
    def function(x, times, y, name=None):
        return times * x * y[:, None]

    told = tw.check_gradient(function, [torch.randn(3), 2, torch.randn(2), "name"])
    assert told.right
    assert told.num_entries == 6 * 5
    picked = tw.check_gradient(lambda table, k: table[k], (torch.randn(4, 2), torch.tensor([1, 1, 3])))
    assert picked.right
    assert len(picked.deviations) == 1


@pytest.mark.parametrize(
    ("function", "inputs", "error", "says"),
    [
        (nn.Dropout(0.5), torch.ones(20), ValueError, "dropout"),
        (torch.log, torch.tensor([1.0, 0.0]), ValueError, "values are not finite"),
        (torch.sin, torch.tensor([1.0, torch.nan]), ValueError, "Input 0 holds"),
        (torch.sin, torch.tensor([1]), ValueError, "no floating-point tensor"),
        (torch.argmax, torch.ones(3), ValueError, "no floating-point tensor; there is nothing"),
        (torch.sin, torch.tensor([1j]), TypeError, "complex"),
        (torch.sin, torch.ones(2000), ValueError, "4,000,000 entries"),
        (torch.sin, torch.ones(0), ValueError, "nothing to derive"),
    ],
    ids=["dropout", "log", "nan", "integers", "integer output", "complex", "large", "empty"],
)
def test_what_cannot_be_checked(function, inputs, error, says):
    with pytest.raises(error, match=says):
        tw.check_gradient(function, inputs)


def test_the_random_state_is_left_as_it_is():
    state = torch.get_rng_state()
    tw.check_gradient(torch.sin, X)
    assert torch.equal(state, torch.get_rng_state())


def test_steps_and_tolerances_are_the_callers():
    nearly = custom(torch.sin, lambda x, g: x.cos() * g * (1 + 1e-4))
    assert not tw.check_gradient(nearly, X, raises=False).right
    assert tw.check_gradient(nearly, X, rtol=1e-3).right
    coarse = tw.check_gradient(torch.exp, X, step=0.1, raises=False)
    assert not coarse.right
    assert max(d.error for d in coarse.deviations) == pytest.approx(
        float(torch.tensor(2.0).exp() * 0.2**2 / 6), rel=0.02
    )


def test_agrees_with_gradcheck_of_pytorch():
    function = custom(lambda x: x.sin() * x, lambda x, g: (x.cos() * x + x.sin()) * g)
    x = X.double().requires_grad_()
    assert torch.autograd.gradcheck(function, (x,))
    assert tw.check_gradient(function, x).right
