r"""The elbows of a ReLU network of one input: where its units turn on and off, and what that does to its output.

Such a network is a piecewise linear function of its input. A unit whose pre-activation $z(x)$ changes its sign at $x_0$
puts an elbow there; units of deeper layers fold at several places (`breaks`).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from thalweg import schema
from thalweg.measures import breaks as found_by
from thalweg.problem.module import ModuleProblem
from thalweg.problem.outputs import finite
from thalweg.problem.tangent_model import LinearizedProblem
from thalweg.store import provenance

_GRID = 400


def elbows(
    problem: ModuleProblem | nn.Module,
    theta: Any = None,
    *,
    input_range: tuple[float, float] | None = None,
    truth: Callable[[np.ndarray], Any] | None = None,
) -> xr.Dataset:
    r"""Where the ReLUs of a network of one scalar input turn on and off, by layer and unit.

    Parameters
    ----------
    problem
        A `ModuleProblem`, or a bare module of inputs `(n, 1)`. Linear layers with ReLU, leaky ReLU or PReLU, as
        modules or as functions.
    theta
        Where, `(num_weights,)`; `problem.theta` by default.
    input_range
        The ends between which elbows are looked for; by default those of the training inputs.
    truth
        The true function of an array of inputs, to be drawn beside the network.

    Returns
    -------
    Dataset
        Kind `elbows`: over `elbow`, in the order of layers, the place `x`, the coordinates `layer` (its name; with
        `depth` from 1) and `unit`, `turns` (1: the unit is on to the right, -1: to the left) and `bend(elbow, output)`,
        the change of the output's slope at that place (of all elbows there). Over `node`, the ends and every place of
        an elbow, `node_x` and `prediction(node, output)`: straight lines between them are the network. Over `part`
        (the layers): `units`, `always_on` and `never_on` (in the range); over `relu`, all units of all layers,
        `on_at_low`, whether it is on at the lower end. Of a problem with one output also the data `train_x`,
        `train_y(example)`; with `truth`, `truth_x` and `truth(place)`.

    Raises
    ------
    ValueError, TypeError
        Several inputs, no ReLUs, other functions that bend, an empty range, theta of a bare module.
    Diverged
        Weights that are not finite.

    Notes
    -----
    Computed in float64, places exact up to rounding. Elbows of different units nearer than $10^{-14}$ of the range are
    one node. A unit that touches zero and stays on the same side has none; where all units share an elbow (zero biases)
    each is counted. Cost: a few forward passes for each layer over all elbows found so far.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> state = {"0.weight": [[1.0], [-2.0]], "0.bias": [-0.5, -0.5], "2.weight": [[1.0, 3.0]], "2.bias": [0.0]}
    >>> _ = net.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    >>> found = elbows(net, input_range=(-1, 1))
    >>> found.x.values, found.turns.values, found.bend.values[:, 0]
    (array([ 0.5 , -0.25]), array([ 1, -1]), array([1., 6.]))
    """
    model, shape, own = _model(problem, theta)
    low, high = _range(input_range, own)
    _applies(model, shape)
    with torch.random.fork_rng(devices=[]):
        known = found_by.breaks(model, shape, low, high)
        nodes = known.nodes
        found_by.need_straight(nodes, lambda x: found_by.outputs(model, x, shape)[0])
        predicted, _ = found_by.outputs(model, nodes, shape)
        _, slopes = found_by.outputs(model, (nodes[1:] + nodes[:-1]) / 2, shape)
    nearest = np.abs(nodes[1:-1, None] - known.x).argmin(0) if len(nodes) > 2 else np.zeros(0, dtype=int)
    bends = np.diff(slopes, axis=0)[nearest]
    data: dict[str, Any] = {
        "x": ("elbow", known.x, {"long_name": "input"}),
        "turns": ("elbow", known.turns, {"long_name": "side on which the unit is on"}),
        "bend": (("elbow", "output"), bends, {"long_name": "change of slope"}),
        "node_x": ("node", nodes, {"long_name": "input"}),
        "prediction": (("node", "output"), predicted, {"long_name": "prediction"}),
        **_of_layers(known),
        **_training(problem, own, predicted.shape[1]),
        **_true(truth, low, high),
    }
    names = np.array(known.names)
    coords: dict[str, Any] = {
        "layer": ("elbow", names[known.layer] if len(known.layer) else np.array([], dtype=names.dtype)),
        "depth": ("elbow", known.layer + 1),
        "unit": ("elbow", known.unit),
        "part": names,
        "relu_depth": ("relu", np.repeat(np.arange(len(names)) + 1, [len(b) for b in known.before])),
        "relu_unit": ("relu", np.concatenate([np.arange(len(b)) for b in known.before])),
        "output": np.arange(predicted.shape[1]),
    }
    whose = type(model).__name__ if isinstance(problem, nn.Module) else problem.provenance()["model"]
    told = {} if isinstance(problem, nn.Module) else problem.provenance()
    attrs = {"kind": "elbows", "title": f"Elbows of {whose}", "low": low, "high": high}
    if own is not None:
        attrs |= {"train_low": float(own.min()), "train_high": float(own.max())}
    return schema.check(xr.Dataset(data, coords, attrs | provenance(**told)))


def _model(problem: Any, theta: Any) -> tuple[nn.Module, tuple[int, ...], np.ndarray | None]:
    """A copy in float64 on the CPU, the shape of one input, and the training inputs if there are some."""
    if isinstance(problem, nn.Module):
        if theta is not None:
            raise TypeError("`theta` are weights of a problem; a bare module has its own. Load them into it first.")
        model, shape, own = copy.deepcopy(problem), (1,), None
    elif not hasattr(problem, "outputs"):
        raise TypeError(f"A {type(problem).__name__} has no units; pass a ModuleProblem or a torch module.")
    else:
        if isinstance(problem, LinearizedProblem):
            raise TypeError(
                "The linearised model jumps where the network has its elbows, and has none of its own. Pass the "
                "network's problem."
            )
        own = problem.outputs().examples.scalars()
        if own is None:
            raise ValueError("Elbows are places on a line, and this network's inputs are not single numbers.")
        standing = problem if theta is None else problem.at(problem._standing(theta))
        model, forward = standing.rehearsal(1)
        shape = tuple(forward(nn.Identity()).shape[1:])
    model = model.cpu().double().eval()
    for name, p in model.named_parameters():
        finite(p, f"{int((~p.isfinite()).sum())} of the {p.numel()} weights in `{name}` are")
    return model.requires_grad_(False), shape, own


def _applies(model: nn.Module, shape: tuple[int, ...]) -> None:
    try:
        returned = model(torch.zeros(2, *shape, dtype=torch.float64))
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(
            f"The network cannot be applied to single numbers, inputs of shape {(2, *shape)}: "
            f"{str(error).strip().partition(chr(10))[0]}. Elbows are those of a network of one input."
        ) from error
    if not isinstance(returned, torch.Tensor) or returned.ndim == 0 or len(returned) != 2:
        raise ValueError("The network does not return one row for each input; wrap it in a module that does.")


def _range(given: Any, own: np.ndarray | None) -> tuple[float, float]:
    if given is None and own is None:
        raise ValueError("A bare module has no data to tell a range from; pass input_range=(low, high).")
    low, high = (float(own.min()), float(own.max())) if given is None else map(float, given)  # type: ignore[union-attr]
    if not (low < high and math.isfinite(high - low)):
        raise ValueError(f"input_range=({low:g}, {high:g}); expected a lower and an upper end.")
    return low, high


def _of_layers(known: found_by.Breaks) -> dict[str, Any]:
    crossed = [set(known.unit[known.layer == k].tolist()) for k in range(len(known.names))]
    still = [np.array([u not in c for u in range(len(b))]) for b, c in zip(known.before, crossed, strict=True)]
    on = [b & a for b, a in zip(known.before, known.after, strict=True)]
    off = [~b & ~a for b, a in zip(known.before, known.after, strict=True)]
    return {
        "on_at_low": ("relu", np.concatenate(known.before), {"long_name": "on at the lower end"}),
        "units": ("part", [len(b) for b in known.before], {"long_name": "units"}),
        "always_on": ("part", [int((s & o).sum()) for s, o in zip(still, on, strict=True)]),
        "never_on": ("part", [int((s & o).sum()) for s, o in zip(still, off, strict=True)]),
    }


def _training(problem: Any, own: np.ndarray | None, num_outputs: int) -> dict[str, Any]:
    if own is None or num_outputs != 1:
        return {}
    targets = problem.outputs().examples.targets()
    if targets is None or targets.numel() != len(own):
        return {}
    y = targets.double().reshape(-1).numpy()
    return {"train_x": ("example", own, {"long_name": "input"}), "train_y": ("example", y, {"long_name": "target"})}


def _true(truth: Callable[[np.ndarray], Any] | None, low: float, high: float) -> dict[str, Any]:
    if truth is None:
        return {}
    grid = np.linspace(low, high, _GRID)
    values = np.asarray(truth(grid), dtype=float).reshape(-1)
    if len(values) != len(grid):
        raise ValueError(f"`truth` returned {len(values)} values for {len(grid)} inputs; expected one for each.")
    return {"truth_x": ("place", grid, {"long_name": "input"}), "truth": ("place", values, {"long_name": "truth"})}
