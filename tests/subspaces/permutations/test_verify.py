"""What a check of permutations must see, and when it must say that it sees nothing."""

import dataclasses
import types

import pytest
import torch
from torch import nn

import thalweg as tw


@dataclasses.dataclass
class Output:
    logits: torch.Tensor


@dataclasses.dataclass(slots=True)
class Narrow:
    logits: torch.Tensor


class Wrapped(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.wrap = nn.Linear(4, 8), nn.Linear(8, 5), wrap

    def forward(self, x):
        return self.wrap(self.last(self.first(x).relu()))


@pytest.mark.parametrize(
    "wrap", [Output, Narrow, lambda x: types.SimpleNamespace(logits=x), lambda x: [{"deep": Output(x)}]]
)
def test_outputs_within_objects_stay_where_they_are(wrap):
    """Classes would be permuted otherwise, and the loss with them."""
    spec = tw.permutation_spec(Wrapped(wrap), torch.zeros(3, 4))
    assert spec.sizes == {"first": 8}
    torch.manual_seed(1)
    problem = tw.ModuleProblem(
        Wrapped(Output).eval(),
        (torch.randn(20, 4), torch.randint(5, (20,))),
        loss=lambda out, y: nn.functional.cross_entropy(out.logits, y, reduction="none"),
    )
    a, b = torch.randn(2, problem.num_weights)
    torch.testing.assert_close(problem.loss(tw.match_weights(problem, a, b).theta), problem.loss(b))


def test_outputs_that_cannot_be_found_or_tell_nothing_are_refused():
    with pytest.raises(ValueError, match=r"No tensor was found in what `Wrapped.forward` returns, a function"):
        tw.permutation_spec(Wrapped(lambda x: lambda: x), torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"cannot be checked.*classes only"):
        tw.permutation_spec(Wrapped(lambda x: x.argmax(1)), torch.randn(3, 4), unknown="freeze")


MLP = {"0.weight": (None, None), "0.bias": ("h",), "2.weight": (None, "h"), "2.bias": None}


class Ended(nn.Module):
    def __init__(self, end):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.end = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), end

    def forward(self, x):
        return self.end(self.inner(x))


@pytest.mark.parametrize(
    ("end", "inputs", "message"),
    [
        (nn.Identity(), torch.zeros(2, 2), "is wrong"),
        (lambda x: torch.cat([x.log(), (-x).log()]), torch.ones(20, 2), "is wrong"),
        (nn.Identity(), torch.full((2, 2), torch.nan), "is wrong"),
        (lambda x: x.argmax(1), torch.ones(20, 2), "cannot be checked"),
        (lambda x: 0 * x, torch.ones(20, 2), "cannot be checked"),
    ],
)
def test_a_wrong_declaration_is_refused_whatever_the_examples(end, inputs, message):
    """Examples of zeros hide the weights of the first layer, and nan compares as nothing."""
    wrong = {f"inner.{name}": axes for name, axes in MLP.items()}
    with pytest.raises(ValueError, match=message):
        tw.PermutationSpec.declare(Ended(end), wrong, inputs)


def test_a_right_declaration_passes_though_the_network_does_not_take_noise():
    def square(x):
        if bool((x < 0).any()):
            raise ValueError("no negative numbers")
        return x

    class Choosy(Ended):
        def forward(self, x):
            return self.inner(square(x))

    right = {f"inner.{name}": axes for name, axes in MLP.items()} | {"inner.0.weight": ("h", None)}
    assert tw.PermutationSpec.declare(Choosy(None), right, torch.rand(4, 2)).sizes == {"h": 3}
