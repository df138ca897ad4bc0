"""The permutation symmetries of a given network."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from thalweg.problem import ModuleProblem
from thalweg.subspaces.permutations.labels import Part
from thalweg.subspaces.permutations.rules import RULES
from thalweg.subspaces.permutations.spec import Axis, PermutationSpec, still
from thalweg.subspaces.permutations.trace import Trace, Unknown
from thalweg.subspaces.permutations.verify import Forward, forward_of, on_noise, verify
from thalweg.weights import Layout


def permutation_spec(
    model: nn.Module | ModuleProblem, example_inputs: Any = None, *, unknown: Unknown = "refuse"
) -> PermutationSpec:
    r"""Find the groups of units of a network that may change places, from one forward pass.

    Every operation on tensors is watched, whatever Python code lies between. Linear and convolutional layers (also
    depthwise, grouped, transposed), normalisation, elementwise functions, pooling, reshaping, slicing, residual
    additions, concatenation and matrix products are known. Where a structure allows only some permutations (channels of
    a group normalisation, whole channels after flattening), only these are found; what it does not allow stays.

    Parameters
    ----------
    model
        The network, which is copied and run in evaluation mode; or a `ModuleProblem`, which brings inputs with it.
    example_inputs
        A tensor, or a tuple of arguments; two or three examples are enough.
    unknown
        An operation without a rule is refused; or, with `"freeze"`, all units that it touches stay where they are.

    Returns
    -------
    PermutationSpec
        Of all parameters and buffers of the state dict. Parameters that are not trained (`requires_grad=False`) stay
        where they are, and so do the units that they touch: both networks share them.

    Raises
    ------
    ValueError
        Naming the module and the operation that is not known; outputs in which no tensor is found, or which do not
        depend on the weights.

    Notes
    -----
    The result is checked: random weights are permuted at random, and the outputs must stay (in double precision,
    but for more than 2^24 weights), on the examples and, if the network takes them, on normal numbers of their shape.
    Cost: seven forward passes over the examples (21 where a group has four units or fewer), and four copies of the
    network.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8), nn.Linear(8, 2))
    >>> spec = permutation_spec(net, torch.zeros(2, 1, 8, 8))
    >>> spec
    PermutationSpec(0: 4 units, 3: 8 units)
    >>> spec.declaration["3.weight"]  # channels, 36 pixels each
    ('3', '0')
    """
    if isinstance(model, ModuleProblem):
        if example_inputs is not None:
            raise TypeError("A problem brings its own inputs; leave out `example_inputs`.")
        network, forward = model.rehearsal(most=3)
        forwards = [forward]
    elif isinstance(model, nn.Module):
        if example_inputs is None:
            raise TypeError("Pass `example_inputs`, on which the model can be run: a tensor, or a tuple of arguments.")
        network, forwards = copy.deepcopy(model), [forward_of(example_inputs), on_noise(example_inputs)]
    else:
        raise TypeError(
            f"`model` is a {type(model).__name__}; permutations are those of the units of a network, so it has to be "
            "an nn.Module or a ModuleProblem."
        )
    spec = _traced(network.eval(), forwards[0], unknown)
    verify(spec, network, forwards, "What was found by tracing")
    return spec


def _traced(model: nn.Module, forward: Forward, unknown: Unknown) -> PermutationSpec:
    if unknown not in ("refuse", "freeze"):
        raise ValueError(f"unknown={unknown!r}; expected 'refuse' or 'freeze'.")
    layout = Layout.of(model)
    trace = Trace(model, RULES, unknown)
    trace.run(forward)
    names = _Names()
    held = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    return PermutationSpec(
        {
            name: tuple(names.axis(name, label) for label in trace.labels(held[name]))
            for name in model.state_dict()
            if name in held
        },
        layout,
        **still(model, layout),
    )


class _Names:
    """Names of groups: of the module in whose parameters they come first."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}

    def axis(self, tensor: str, label: tuple[Part[int], ...]) -> Axis:
        """The same label with names for numbers."""
        owner = tensor.rpartition(".")[0] or tensor
        for part in label:
            if part.group is not None and part.group not in self._names:
                taken = sum(name.partition("#")[0] == owner for name in self._names.values())
                self._names[part.group] = f"{owner}#{taken + 1}" if taken else owner
        return tuple(Part(part.group if part.group is None else self._names[part.group], *part[1:]) for part in label)
