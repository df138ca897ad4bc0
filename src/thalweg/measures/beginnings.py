"""Where the learning of a curve begins: the ends, the curve between them, and the size of a mini-batch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.problem import Problem
from thalweg.subspaces import Segment
from thalweg.subspaces.curve import finite_rows
from thalweg.subspaces.curves import CURVES, _Bent

Ends = Tensor | np.ndarray | Mapping[str, Tensor] | nn.Module | str | Path


def beginning(problem: Problem, a: Ends, b: Ends, curve: Any, num_bends: int | None, init: Any) -> _Bent:
    """The curve from which learning begins."""
    first, last = (_end(problem, end, name) for end, name in ((a, "a"), (b, "b")))
    bends = _bends(init, first)
    if torch.equal(first, last):
        raise ValueError("The ends `a` and `b` are equal, so there is nothing to connect. Were two networks trained?")
    if isinstance(curve, str):
        if curve not in CURVES:
            raise ValueError(f"curve={curve!r}; expected one of {', '.join(map(repr, CURVES))}, or a curve.")
        wanted = num_bends if num_bends is not None else 1 if bends is None else len(bends)
        whole_numbers(num_bends=wanted)
        begin = CURVES[curve].between(first, last, wanted)
    else:
        begin = _own(problem, curve, first, last)
    begin = begin if bends is None else begin.with_bends(bends)
    if num_bends is not None and len(begin.bends) != num_bends:
        raise ValueError(
            f"num_bends={num_bends}, but {'the curve' if bends is None else '`init`'} has {len(begin.bends)}. "
            "Leave out `num_bends`."
        )
    return begin


def _bends(init: Any, like: Tensor) -> Tensor | None:
    """The bends to begin with."""
    if init is None:
        return None
    bends = torch.as_tensor(init, device=like.device).to(like.dtype)
    if not finite_rows(bends.reshape(1, -1)).all():
        raise ValueError("The bends in `init` have non-finite weights.")
    if bends.ndim != 2 or not len(bends):
        raise ValueError(f"`init` has shape {tuple(bends.shape)}; expected (num_bends, {len(like)}).")
    return bends


def _own(problem: Problem, curve: Any, first: Tensor, last: Tensor) -> _Bent:
    """The curve as the user gave it, of the problem's dtype and device."""
    if isinstance(curve, Segment):
        raise ValueError("A Segment has no bends to learn. Pass curve='bezier' or curve='polygonal'.")
    if not isinstance(curve, _Bent):
        raise TypeError(f"`curve` is of type {type(curve).__name__}; expected a PolygonalChain or a BezierCurve.")
    begin = type(curve)(curve.nodes.to(problem.theta))
    if not (torch.equal(begin.a, first) and torch.equal(begin.b, last)):
        raise ValueError("The curve runs between other ends than `a` and `b`. Pass `curve.a` and `curve.b`.")
    if not len(begin.bends):
        raise ValueError("The curve has no bends to learn; it is the segment. `between(a, b, num_bends=1)` makes one.")
    return begin


def _end(problem: Problem, given: Ends, name: str) -> Tensor:
    """An end as a flat vector of the problem's own kind."""
    if isinstance(given, nn.Module):
        given = given.state_dict()
    if isinstance(given, (str, Path)):
        if not hasattr(problem, "with_checkpoint"):
            raise TypeError(f"`{name}` is a file, but the problem has no model. Pass a vector of weights.")
        return theta_of(problem, problem.with_checkpoint(given), Path(given).name)
    if isinstance(given, Mapping):
        if not hasattr(problem, "with_state"):
            raise TypeError(f"`{name}` is a dict, but the problem has no model. Pass a vector of weights.")
        return theta_of(problem, problem.with_state(given), f"`{name}`")
    theta = torch.as_tensor(given).detach()
    if theta.shape != (problem.num_weights,):
        raise ValueError(
            f"`{name}` has shape {tuple(theta.shape)}, but the problem has {problem.num_weights} weights. Does it "
            "belong to another network? `problem.theta` has the right shape."
        )
    if not finite_rows(theta.double() if not theta.is_floating_point() else theta):
        raise ValueError(f"{int((~theta.isfinite()).sum())} of the {len(theta)} weights of `{name}` are not finite.")
    return theta.to(problem.theta)


def theta_of(problem: Any, other: Any, name: str) -> Tensor:
    """The weights of another state of the problem's network, refused where it differs in what does not move."""
    mine, its = problem.shared_state(), other.shared_state()
    differing = [
        key for key, value in its.items() if value.is_floating_point() and not value.equal(mine[key].to(value))
    ]
    if differing:
        raise ValueError(
            f"{name} differs from the problem in what is not trained: {', '.join(f'`{key}`' for key in differing[:5])}"
            f"{f' and {len(differing) - 5} more' if len(differing) > 5 else ''}. Frozen parameters and buffers do not "
            "travel along a curve (statistics of normalisation are computed anew), so that all networks must share "
            "them. Make the problem from one of them, or train all parameters (`requires_grad`)."
        )
    return other.theta


def mini_batch(problem: Problem, batch_size: Any, weight_decay: Any, seed: Any) -> int | None:
    """Examples in a mini-batch; None for all. Refuses numbers that make no sense."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed={seed!r}; expected a whole number from 0.")
    if not (isinstance(weight_decay, (int, float, np.number)) and np.isfinite(weight_decay) and weight_decay >= 0):
        raise ValueError(f"weight_decay={weight_decay!r}; expected a number from 0.")
    total = getattr(problem, "num_examples", 0)
    if batch_size is None or not total:
        return None
    whole_numbers(batch_size=batch_size)
    return min(int(batch_size), int(total))


def whole_numbers(**values: Any) -> None:
    """Refuse what does not count from 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}={value!r}; expected a whole number from 1.")
