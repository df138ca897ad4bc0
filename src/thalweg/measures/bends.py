r"""Bends of a curve under an optimiser: stochastic descent on $\mathbb{E}_{t \sim U(0,1)} L(\theta(t))$.

A step draws one `t` and one mini-batch, stands at $\theta(t) = \sum_k w_k(t)\,\theta_k$, and takes the gradient $g$ of
the mini-batch's mean loss there. By the chain rule that of bend $k$ is $w_k(t)\,g$: beside a plain training step there
are as many passes over the weights as there are control points (Garipov et al. 2018, arXiv:1802.10026).
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from thalweg.measures.ahead import told_ahead
from thalweg.measures.optimizers import Factory, Scheduling, described, made
from thalweg.measures.pupils import BLOCK, Draws, Pupil
from thalweg.subspaces.curve import finite_rows
from thalweg.subspaces.curves import _Bent

RATE = 0.03
_LOOK, _LOOKED = 128, 1024


class Bends:
    """A curve whose bends are moved, in place, by an optimiser, and what happened so far.

    Attributes
    ----------
    step
        Updates made.
    rates
        Learning rate of each step, nan where there was none yet, `(steps,)`.
    """

    def __init__(
        self,
        curve: _Bent,
        pupil: Pupil,
        draws: Draws,
        optimizer: Factory | None,
        scheduler: Scheduling | None,
        steps: int,
        weight_decay: float,
    ) -> None:
        self.curve, self._pupil, self._draws, self._decay = curve, pupil, draws, weight_decay
        self.steps, self.step = steps, 0
        self._nodes = curve.nodes
        self._bends = self._nodes[1:-1].detach().requires_grad_(True)
        self._place = self._bends.data_ptr()
        self._gradient = torch.zeros_like(self._bends)
        self._block, self._epoch = -1, -1
        self._weights: list[list[float]] = []
        self._rows = torch.empty(0)
        anneals = optimizer is None and scheduler is None
        self._optimizer = made(optimizer or usual(curve), self._bends)
        if anneals:
            scheduler = lambda o: LambdaLR(o, lambda step: _annealed(step / steps))  # noqa: E731
        self._scheduler = _scheduled(scheduler, self._optimizer) if scheduler is not None else None
        self._schedule = "constant, then down to 1%" if anneals else _told(self._scheduler)
        self._again = _wants_closure(self._optimizer)
        self._losses = torch.full((steps,), math.nan, dtype=torch.float64)
        self._fresh: list[Tensor] = []  # on the device until somebody asks
        self.rates = np.full(steps, math.nan)

    @property
    def found(self) -> _Bent:
        """The curve as it is now."""
        self._follow()
        return type(self.curve)(self._nodes)

    @property
    def losses(self) -> np.ndarray:
        """Of each step, nan where there was none yet: the mini-batch's."""
        self._gather()
        return self._losses.numpy().copy()

    @property
    def labels(self) -> dict[str, str]:
        """Names of the optimiser and the scheduler with their settings."""
        return {"optimizer": described(self._optimizer), "scheduler": self._schedule}

    @property
    def t(self) -> np.ndarray:
        """Of each step, those to come among them."""
        blocks = range(-(-self.steps // BLOCK))
        return np.concatenate([self._draws.t(block) for block in blocks])[: self.steps]

    def trial(self) -> float:
        """Seconds of one evaluation; nothing moves."""
        with self._pupil.session():
            rows = self._prepare()
            began = time.perf_counter()
            self._evaluate(rows)
        return time.perf_counter() - began

    def probe(self) -> list[float]:
        """Mean losses of a few mini-batches at both ends, halfway, and beside: by these a store knows the loss again.

        To be asked for before the first step.
        """
        ends, n = self._nodes[[0, -1]].detach(), self._nodes.shape[1]
        halfway = self.curve(0.5).detach()
        noise = torch.randn(n, generator=torch.Generator().manual_seed(0)).to(halfway)
        beside = halfway + torch.linalg.vector_norm(ends[1] - ends[0]) / math.sqrt(n) * noise
        rows = self._draws.first(_LOOKED)
        slope, found = torch.empty_like(halfway), []
        with self._pupil.session():
            if rows[0] is not None:
                self._pupil.deal(self._draws.order(0))
            for theta in (*ends, halfway, beside):
                self._pupil.theta.copy_(theta)
                found.append(sum(float(self._pupil.loss(slope, 1.0, each)) for each in rows) / len(rows))
        return found

    def rates_told(self) -> str:
        """Hash of all rates, momenta and other settings that the optimiser will have, step by step."""
        return told_ahead(self._optimizer, self._scheduler, self.steps)

    def run(self, after: Callable[[], None]) -> None:
        """All steps that are left; `after` is called after each.

        A training that has lost all bends to inf or nan stops, as nothing would change any more.
        """
        with self._pupil.session():
            while self.step < self.steps:
                if self.step % _LOOK == 0 and not finite_rows(self._bends.detach()).any():
                    break
                self._one()
                after()

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on: tensors, numbers and their names only."""
        return {
            "step": self.step,
            "bends": self._bends.detach().cpu(),
            "losses": torch.as_tensor(self.losses),
            "rates": torch.as_tensor(self.rates),
            "optimizer": self._optimizer.state_dict(),
            "scheduler": self._scheduler.state_dict() if self._scheduler is not None else {},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Stand where another process stood when it told its `state`."""
        self.step = int(state["step"])
        with torch.no_grad():
            self._bends.copy_(state["bends"])
        self._losses.copy_(state["losses"])
        self.rates = state["rates"].numpy().copy()
        self._optimizer.load_state_dict(state["optimizer"])
        if self._scheduler is not None:
            self._scheduler.load_state_dict(state["scheduler"])

    def _prepare(self) -> slice | None:
        """Coefficients and examples that this step needs, looked up where a new block or epoch begins; its rows."""
        block, (epoch, rows) = self.step // BLOCK, self._draws.rows(self.step)
        if block != self._block:
            self._gather()
            weights = self.curve.weights(self._draws.t(block))
            self._block, self._weights, self._rows = block, weights.tolist(), weights.to(self._nodes)
        if epoch != self._epoch:
            self._epoch = epoch
            self._pupil.deal(self._draws.order(epoch))
        return rows

    def _one(self) -> None:
        rows = self._prepare()
        self.rates[self.step] = float(self._optimizer.param_groups[0].get("lr", math.nan))
        loss = self._evaluate(rows)
        if self._again:
            self._optimizer.step(self._closure(loss, rows))  # type: ignore[arg-type]
        else:
            self._optimizer.step()
        if self._scheduler is not None:
            self._scheduler.step()
        self._fresh.append(loss)
        self.step += 1

    def _evaluate(self, rows: slice | None) -> Tensor:
        """Loss at this step's `t`; the bends' gradient is set."""
        place = self.step % BLOCK
        weights = self._weights[place]
        used = [k for k, weight in enumerate(weights) if weight]
        near = slice(used[0], used[-1] + 1)
        self._follow()
        torch.mv(self._nodes[near].T, self._rows[place, near], out=self._pupil.theta)
        moved = [k - 1 for k in used if 0 < k < len(weights) - 1]
        self._bends.grad = self._gradient
        if len(moved) < len(self._gradient):
            self._gradient.zero_()
        if len(moved) == 1:  # as with a single bend: nothing is to be copied
            return self._look(self._gradient[moved[0]], weights[moved[0] + 1], rows)
        slope = torch.empty_like(self._nodes[0])
        loss = self._look(slope, 1.0, rows)
        for k in moved:
            torch.mul(slope, weights[k + 1], out=self._gradient[k])
        return loss

    def _look(self, slope: Tensor, factor: float, rows: slice | None) -> Tensor:
        """Loss where the pupil stands; the gradient of what is minimised, times `factor`, is written to `slope`."""
        loss = self._pupil.loss(slope, factor, rows)
        if self._decay:
            slope.add_(self._pupil.theta, alpha=factor * self._decay)
        return loss

    def _follow(self) -> None:
        """Some optimisers put their result into a new tensor; the control points are to hold it."""
        if self._bends.data_ptr() != self._place:
            self._nodes[1:-1].copy_(self._bends.detach())

    def _gather(self) -> None:
        """Fetch the losses that are still where they were computed."""
        if self._fresh:
            self._losses[self.step - len(self._fresh) : self.step] = torch.stack(self._fresh).to(self._losses)
            self._fresh.clear()

    def _closure(self, loss: Tensor, rows: slice | None) -> Callable[[], Tensor]:
        """For optimisers that look again: the same `t` and examples; the first look is the one already had."""
        known = [loss]
        return lambda: known.pop() if known else self._evaluate(rows)


def usual(curve: _Bent) -> Factory:
    r"""SGD with momentum 0.9 and the rate $0.03 / \max_t \sum_k w_k(t)^2$ over the bends.

    A gradient step of rate $\eta$ on the bends moves $\theta(t)$ by $\eta \sum_k w_k(t)^2\, g$: like this, nowhere by
    more than one of rate 0.03 on the weights themselves.
    """
    reach = curve.weights(np.linspace(0, 1, 101))[:, 1:-1].square().sum(1).max()
    rate = RATE / float(reach)
    return lambda bends: torch.optim.SGD(bends, lr=rate, momentum=0.9)


def _annealed(progress: float) -> float:
    """Constant for half of the steps, then linearly down to a hundredth at nine tenths (Garipov et al. 2018)."""
    return min(1.0, max(0.01, 1.0 - 0.99 * (progress - 0.5) / 0.4))


def _scheduled(scheduler: Scheduling, optimizer: Optimizer) -> LRScheduler:
    result = scheduler(optimizer) if callable(scheduler) else scheduler
    if isinstance(result, ReduceLROnPlateau) or not isinstance(result, LRScheduler):
        raise TypeError(
            f"`scheduler` gave a {type(result).__name__}; expected a function of the optimiser that makes a scheduler "
            "which counts steps, such as `lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=2000)`."
        )
    if result.optimizer is not optimizer:
        raise ValueError("The scheduler must be made over the optimiser that it is given: `lambda o: StepLR(o, 10)`.")
    return result


def _told(scheduler: LRScheduler | None) -> str:
    """Name and settings, as far as these are numbers and words."""
    if scheduler is None:
        return "none"
    state = {name: value for name, value in scheduler.state_dict().items() if not name.startswith("_")}
    given = {k: v for k, v in state.items() if k not in ("base_lrs", "last_epoch") and isinstance(v, (int, float, str))}
    return f"{type(scheduler).__name__}({', '.join(f'{name}={value}' for name, value in given.items())})"


def _wants_closure(optimizer: Optimizer) -> bool:
    """Whether a step needs a function that evaluates the loss (LBFGS)."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
