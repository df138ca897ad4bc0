"""One training of a network from where its problem stands, every mini-batch's loss kept; a divergence ends it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.measures.bends import _wants_closure
from thalweg.measures.optimizers import Factory, described, made
from thalweg.measures.pupils import Draws
from thalweg.problem.training import Training

_LOOK = 32  # steps between looks at the losses, each of which waits for the device


@dataclass(frozen=True)
class Run:
    """Losses `(steps,)` of the mini-batches, nan behind a divergence; weights at the end; `diverged_at`, or -1."""

    losses: np.ndarray
    theta: Tensor
    diverged_at: int
    optimizer: str


def train(
    pupil: Training, draws: Draws, optimizer: Factory, steps: int, advance: Callable[[float], None] = lambda _: None
) -> Run:
    """Train from `pupil.theta`.

    The first update whose loss is not finite is the last one looked at; the weights are then those of a few updates
    later. Weights that are not finite after the last update count as a divergence at that update.
    """
    weights = nn.Parameter(pupil.theta)  # the same storage: what the optimiser writes, the network sees
    mover = made(optimizer, weights)
    again = _wants_closure(mover)
    gradient, dealt = torch.zeros_like(pupil.theta), -1
    losses = torch.full((steps,), math.nan, dtype=torch.float64, device=pupil.theta.device)
    with pupil.session():
        for step in range(steps):
            epoch, rows = draws.rows(step)
            if epoch != dealt:
                pupil.deal(draws.order(epoch))
                dealt = epoch
            losses[step] = pupil.loss(gradient, rows=rows)
            weights.grad = gradient
            if again:
                mover.step(_closure(pupil, gradient, rows, losses[step].clone()))  # type: ignore[arg-type]
            else:
                mover.step()
            advance(1)
            if (step + 1) % _LOOK == 0 and not torch.isfinite(losses[step + 1 - _LOOK : step + 1]).all():
                break
    found = losses.cpu().numpy()
    at = _first_lost(found, weights)
    if at > 0:
        found[at:] = np.nan
    return Run(found, weights.detach().clone(), at, described(mover))


def _closure(pupil: Training, gradient: Tensor, rows: slice | None, known: Tensor) -> Callable[[], Tensor]:
    """For optimisers that look again (LBFGS): the same examples; the first look is the one already had."""
    first = [known]
    return lambda: first.pop() if first else pupil.loss(gradient, rows=rows)


def _first_lost(losses: np.ndarray, weights: Tensor) -> int:
    lost = ~np.isfinite(losses)
    if lost.any():
        return int(lost.argmax()) + 1
    return -1 if bool(torch.isfinite(weights).all()) else len(losses)
