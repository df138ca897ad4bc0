r"""Curves of low loss between two optima.

Two networks trained from different seeds are usually parted by a barrier on the straight way, and joined by a bent one
without (Garipov et al. 2018, arXiv:1802.10026; Draxler et al. 2018, arXiv:1803.00885). `connect` learns the bends by
minimising the mean loss along the curve; `along` measures what was found, and `course` says where it runs in a plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from thalweg import schema
from thalweg.measures.beginnings import Ends, beginning, mini_batch, whole_numbers
from thalweg.measures.bends import Bends
from thalweg.measures.learning import Work, in_store, recipe_of
from thalweg.measures.optimizers import Factory, Scheduling
from thalweg.measures.pupils import Draws, Function
from thalweg.measures.request import need_problem
from thalweg.problem import Problem
from thalweg.problem.grad import differentiating
from thalweg.store.tree import clean, study_path
from thalweg.subspaces import BezierCurve, PolygonalChain
from thalweg.subspaces.curves import CURVES


@dataclass(frozen=True)
class Connection:
    """A learned curve between two optima.

    Attributes
    ----------
    curve
        The curve, a subspace as any other: `loss_along(problem, connection.curve)`.
    dataset
        Kind `connection` (see `schema`): the control points, and how they were learned.
    """

    curve: PolygonalChain | BezierCurve
    dataset: xr.Dataset

    def __repr__(self) -> str:
        """In a line: what was learned, from how much to how little loss, and whether it diverged."""
        about, loss = self.dataset.attrs, self.dataset["loss"].values
        tenth = max(1, len(loss) // 10)
        end = f"diverged at step {about['diverged_at']}" if "diverged_at" in about else f"{loss[-tenth:].mean():.4g}"
        return (
            f"Connection({about['curve']}, {about['num_bends']} bend(s), {len(loss):,} steps: mean loss "
            f"{loss[:tenth].mean():.4g} -> {end})"
        )


def connect(
    problem: Problem,
    a: Ends,
    b: Ends,
    curve: Literal["bezier", "polygonal"] | PolygonalChain | BezierCurve = "bezier",
    *,
    num_bends: int | None = None,
    optimizer: Factory | None = None,
    scheduler: Scheduling | None = None,
    steps: int = 2000,
    batch_size: int | None = 64,
    weight_decay: float = 0.0,
    seed: int = 0,
    init: Any = None,
    store: str | Path | None = None,
    name: str | None = None,
    every: int | None = None,
    progress: bool | None = None,
) -> Connection:
    r"""Learn a curve of low loss from `a` to `b`, which stay where they are.

    Minimises the mean training loss along the curve over its bends $\phi$ (Garipov et al. 2018, eq. 2),
    $$ \min_\phi\; \mathbb{E}_{t \sim U(0, 1)}\, L(\theta_\phi(t)), $$
    by stochastic descent, with one `t` and one mini-batch a step. While the curve is learned, batch normalisation uses
    the statistics of each mini-batch, as it did when the networks were trained, dropout is off, and no buffer of
    the problem changes. To measure a curve, use `loss_along`, which computes these statistics anew at each `t`.

    Parameters
    ----------
    problem
        A `ModuleProblem`; whose weights it holds does not matter. A `FunctionProblem` is evaluated whole.
    a, b
        The ends: weights `(num_weights,)`; or networks, their state dicts or checkpoint files, which may differ from
        the problem's network in trained parameters and statistics of normalisation only.
    curve
        `"bezier"`, `"polygonal"`, or a curve with these ends, from which learning begins.
    num_bends
        Control points between the ends: the degree of the Bezier curve less one. By default as many as `init` or the
        curve has, or one.
    optimizer
        A function that makes the optimiser of the bends, `lambda bends: torch.optim.Adam(bends, lr=1e-3)`. By default
        SGD with momentum 0.9, whose gradient steps move no point of the curve by more than steps of rate 0.03 on the
        weights themselves would; and unless there is a `scheduler`, it anneals as Garipov et al. do (constant, from
        half of the steps down to a hundredth).
    scheduler
        A function of the optimiser that makes a scheduler, advanced after every step.
    steps
        Number of updates.
    batch_size
        Examples in a mini-batch (at most all); None for all examples at every step.
    weight_decay
        Adds $\frac{\lambda}{2} \lVert\theta(t)\rVert^2$ to what is minimised; the losses recorded are without it.
    seed
        Of `t` and of the mini-batches.
    init
        Bends `(num_bends, num_weights)` to begin with; by default evenly spaced on the segment.
    store, name
        A study to write to, and the result's name in it (`curve/bezier`). The same call on the same store goes on where
        it was, to the same bits, or returns the finished result.
    every
        Steps after which the state is written to the store; by default about every ten seconds.
    progress
        Show a bar; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Connection
        With `.curve` and `.dataset`: kind `connection`, `theta(node, weight)` and, over `step`, `loss`, `learning_rate`
        and the drawn `t`. A training that diverges keeps its `inf` and `nan` (`attrs["diverged_at"]`).

    Raises
    ------
    ValueError, TypeError
        Ends of another network or with other frozen parameters, equal ends, no steps, a problem whose examples cannot
        be put together into mini-batches, settings that the optimiser refuses: before anything is computed.
    StoreMismatchError
        If the store holds another result under that name: of other settings, other rates at some step, or a loss that
        has other values at the same places. It says what differs, and nothing is changed.

    Notes
    -----
    Cost of a step: one training step of the network, and a pass over the weights for each control point. Memory: with
    $m$ control points about $4m$ weight vectors, and what the optimiser keeps for each bend; mini-batches are cut from
    a second copy of the data where these take less than 256 MB.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> valley = FunctionProblem(lambda x, y: (x**2 + y**2 - 1) ** 2)  # a ring of minima
    >>> found = connect(valley, [-1.0, 0.0], [1.0, 0.0], init=[[0.0, 0.1]], steps=500)
    >>> abs(found.curve(0.5)).round(decimals=1)
    tensor([0., 1.], dtype=torch.float64)
    """
    need_problem(problem)
    whole_numbers(steps=steps, every=1 if every is None else every)
    size = mini_batch(problem, batch_size, weight_decay, seed)
    with differentiating():
        begin = beginning(problem, a, b, curve, num_bends, init)
        pupil = problem.training(size is not None) if hasattr(problem, "training") else Function(problem)
        if size == 1 and getattr(pupil, "normalizes", False):
            raise ValueError("Batch normalisation has no statistics of a single example; take a larger `batch_size`.")
        draws = Draws(int(seed), getattr(problem, "num_examples", 0), size)
        bends = Bends(begin, pupil, draws, optimizer, scheduler, steps, float(weight_decay))
        recipe = recipe_of(problem, begin, bends, size, weight_decay, seed, store is not None)
        work = Work(problem, bends, recipe, bends.probe() if store is not None else [])
        if store is None:
            work.run(progress, lambda: None)
            return _found(work.dataset())
        return _found(in_store(work, study_path(store), clean(name or f"curve/{begin.kind}"), every, progress))


def read_curve(connection: xr.Dataset) -> PolygonalChain | BezierCurve:
    """The curve of a result of kind `connection`, as from `load(study, "curve/bezier")`.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> found = connect(FunctionProblem(lambda x, y: x**2 + y**2), [0.0, 1.0], [1.0, 0.0], steps=3)
    >>> bool((read_curve(found.dataset).bends == found.curve.bends).all())
    True
    """
    if schema.check(connection).attrs["kind"] != "connection":
        raise ValueError(f"A result of kind {connection.attrs['kind']!r} holds no curve; `connect` makes a connection.")
    kind: Any = CURVES[connection.attrs["curve"]]
    return kind(connection["theta"].values)


def _found(dataset: xr.Dataset) -> Connection:
    return Connection(read_curve(dataset), dataset)
