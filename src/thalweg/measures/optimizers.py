r"""An optimiser of `torch.optim` on many starts at once.

The starts are the rows of one stacked parameter. That is right for every optimiser which treats each number by itself
(SGD, momentum, Nesterov, Adam, RMSprop, ...). Whether one does is found out by trying: it takes three steps on four
made-up rows together and on each row alone. An optimiser that couples rows (LBFGS, Adafactor, anything with a
norm) is given each start by itself.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

Factory = Callable[[list[Tensor]], Optimizer]
Scheduling = Callable[[Optimizer], LRScheduler]
Evaluate = Callable[[Tensor], tuple[Tensor, Tensor]]
_ROWS, _SCALES = 4, (1.0, 1e-4, 1e4)


class Descent:
    """Weights `(starts, num_weights)` under one optimiser, or under one for each start.

    Attributes
    ----------
    weights
        Where the starts stand now.
    separate
        Whether each start has an optimiser of its own.
    """

    def __init__(self, starts: Tensor, optimizer: Factory, scheduler: Scheduling | None) -> None:
        self.separate = not acts_elementwise(optimizer, starts)
        rows = list(starts.clone()) if self.separate else [starts.clone()]
        self._parts = [row.requires_grad_(True) for row in rows]
        self._optimizers = [made(optimizer, part) for part in self._parts]
        self._schedulers = [_scheduler(scheduler, o) for o in self._optimizers] if scheduler is not None else []
        self.label = described(self._optimizers[0])
        self.schedule = type(self._schedulers[0]).__name__ if self._schedulers else "none"

    @property
    def weights(self) -> Tensor:
        """Where all starts stand, detached; a view if there is one parameter."""
        return torch.stack([p.detach() for p in self._parts]) if self.separate else self._parts[0].detach()

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._optimizers[0].param_groups[0].get("lr", math.nan))

    def jump(self, weights: Tensor, rate: float) -> None:
        """Stand where more steps have led, with the learning rate of the next one."""
        self.weights.copy_(weights)
        self._optimizers[0].param_groups[0]["lr"] = rate

    @property
    def settings(self) -> dict[str, Any]:
        """All that the optimiser was told but the learning rate."""
        group = self._optimizers[0].param_groups[0]
        return {name: value for name, value in group.items() if name not in ("params", "lr", "initial_lr")}

    @property
    def state(self) -> dict[str, Any]:
        """What the optimiser of all starts remembers."""
        return dict(self._optimizers[0].state[self._parts[0]])

    def step(self, value: Tensor, gradient: Tensor, evaluate: Evaluate) -> None:
        """One update from losses `(starts,)` and gradients `(starts, num_weights)` at the weights.

        Optimisers that look again during a step (LBFGS) call `evaluate`.
        """
        if self.learning_rate < 0:
            raise ValueError(
                f"The scheduler set the learning rate to {self.learning_rate:.3g}; it must not be negative."
            )
        for k, (part, optimizer) in enumerate(zip(self._parts, self._optimizers, strict=True)):
            part.grad = gradient[k] if self.separate else gradient
            if self.separate:
                optimizer.step(_closure(part, value[k], gradient[k], evaluate))  # type: ignore[arg-type]
            else:
                _stepped(optimizer)
        for scheduler in self._schedulers:
            scheduler.step()


def _stepped(optimizer: Optimizer) -> None:
    try:
        optimizer.step()
    except RuntimeError as error:
        raise ValueError(f"{type(optimizer).__name__} cannot descend here: {error}") from error


def acts_elementwise(optimizer: Factory, like: Tensor) -> bool:
    """Whether rows of one stacked parameter are updated as each would be alone.

    Examples
    --------
    >>> starts = torch.zeros(5, 2)
    >>> acts_elementwise(lambda w: torch.optim.Adam(w), starts)
    True
    >>> acts_elementwise(lambda w: torch.optim.LBFGS(w), starts)
    False
    """
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(1 + len(_SCALES), _ROWS, like.shape[-1], generator=generator, dtype=torch.float64)
    rows, slopes = draw[0], [scale * slope for scale, slope in zip(_SCALES, draw[1:], strict=True)]
    try:
        with torch.random.fork_rng(devices=[]):
            together = _moves(optimizer, rows, slopes)
            alone = torch.stack([_moves(optimizer, row, [s[k] for s in slopes]) for k, row in enumerate(rows)])
    except RefusedSettings:
        raise
    except Exception:  # it wants a closure, a matrix, or something else that a stack of starts does not have
        return False
    return bool(torch.isclose(together, alone, rtol=1e-6, atol=1e-9 * float(alone.abs().max()), equal_nan=True).all())


class RefusedSettings(ValueError):
    """The optimiser does not accept its own settings."""


def made(optimizer: Factory, weights: Tensor) -> Optimizer:
    """The user's optimiser over `weights`.

    Raises
    ------
    ValueError, TypeError
        If its settings are refused by torch (a negative learning rate), or it is no optimiser.
    """
    if not callable(optimizer) or isinstance(optimizer, Optimizer):
        raise TypeError(
            f"`optimizer` is a {type(optimizer).__name__}; expected a function that makes one, such as "
            "`lambda w: torch.optim.Adam(w, lr=0.1)`."
        )
    try:
        result = optimizer([weights])
    except ValueError as error:
        raise RefusedSettings(f"The optimiser refuses its settings: {error}.") from error
    if not isinstance(result, Optimizer):
        raise TypeError(
            f"`optimizer` returned a {type(result).__name__}; expected a torch.optim.Optimizer, as from "
            "`lambda w: torch.optim.Adam(w, lr=0.1)`."
        )
    given = [p for group in result.param_groups for p in group["params"]]
    if len(given) != 1 or given[0] is not weights:
        raise ValueError(
            "The optimiser must be made over the weights it is given: `lambda w: torch.optim.SGD(w, ...)`."
        )
    return result


def described(optimizer: Optimizer) -> str:
    """Name and the settings that are not the default ones.

    Examples
    --------
    >>> described(torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=0.9))
    'SGD(lr=0.1, momentum=0.9)'
    """
    kind: Any = type(optimizer)
    try:
        usual = kind([torch.zeros(1)]).defaults
    except Exception:
        usual = {}
    named = {k: v for k, v in optimizer.defaults.items() if k == "lr" or (k in usual and v != usual[k])}
    return f"{kind.__name__}({', '.join(f'{k}={_plain(v)}' for k, v in named.items())})"


def _plain(value: Any) -> Any:
    return f"{float(value):.6g}" if isinstance(value, (float, Tensor)) else value


def _scheduler(scheduler: Scheduling, optimizer: Optimizer) -> LRScheduler:
    result = scheduler(optimizer) if callable(scheduler) else scheduler
    if isinstance(result, ReduceLROnPlateau):
        raise ValueError(
            "ReduceLROnPlateau looks at the loss, which differs between starts, so that they would need a rate each. "
            "Descend from one start at a time, or use a scheduler that counts steps."
        )
    if not isinstance(result, LRScheduler):
        raise TypeError(
            f"`scheduler` gave a {type(result).__name__}; expected a function of the optimiser, such as "
            "`lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=100)`."
        )
    if result.optimizer is not optimizer:
        raise ValueError("The scheduler must be made over the optimiser that it is given: `lambda o: StepLR(o, 10)`.")
    return result


def _moves(optimizer: Factory, rows: Tensor, slopes: Sequence[Tensor]) -> Tensor:
    weights = rows.clone().requires_grad_(True)
    mover = made(optimizer, weights)
    with warnings.catch_warnings(action="ignore"):
        for slope in slopes:
            weights.grad = slope.clone()
            mover.step()
    return weights.detach() - rows


def _closure(part: Tensor, value: Tensor, gradient: Tensor, evaluate: Evaluate) -> Callable[[], Tensor]:
    """What an optimiser calls to learn loss and gradient; a first call at the place itself finds them known."""
    known, place = [value], part.detach().clone()

    def closure() -> Tensor:
        if known and torch.equal(part.detach(), place):
            part.grad = gradient.clone()
            return known.pop()
        known.clear()
        found, slope = evaluate(part.detach().unsqueeze(0))
        part.grad = slope[0].to(part)
        return found[0]

    return closure
