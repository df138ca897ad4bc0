r"""Weights averaged: along a run, or of several runs.

- `average_weights`: the mean of a run's last rows (stochastic weight averaging; Izmailov et al. 2018,
  arXiv:1803.05407).
- `moving_average`: exponentially fading (Polyak & Juditsky 1992; Tarvainen & Valpola 2017, arXiv:1703.01780).
- `soup`, `greedy_soup`: of networks fine-tuned from one start (Wortsman et al. 2022, arXiv:2203.05482).

Each returns one weight vector, for `problem.loss`, `plane.project`, `plane_through`. The running statistics of batch
normalisation belong to none of the averaged networks: ask `problem.with_batch_norm("recalibrate")` for the loss. Means
of networks that were trained from different starts are far from all of them; align them first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg.measures.stripes import combine, recorded_weights, rising_steps
from thalweg.problem import Problem
from thalweg.problem.flat import Network, flat_weights


@dataclass(frozen=True)
class Soup:
    """A mean of networks that were let in one by one.

    Attributes
    ----------
    theta
        The mean, `(num_weights,)`.
    chosen
        Numbers of the networks in it, in the order in which they were let in: the best first.
    value
        The metric of the soup.
    values
        The metric of every network alone.
    metric
        Its name.
    """

    theta: Tensor
    chosen: tuple[int, ...]
    value: float
    values: tuple[float, ...]
    metric: str


def average_weights(trajectory: xr.Dataset, start: int | None = None, every: int = 1) -> Tensor:
    r"""Mean of the recorded weights from step `start` on: stochastic weight averaging.

    Parameters
    ----------
    trajectory
        Kind `trajectory`; `theta` may be lazy.
    start
        The first step to count; by default three quarters of the run, as in the paper.
    every
        Of the rows from there on, every so many, counted back from the last.

    Returns
    -------
    Tensor
        `(num_weights,)`, in the trajectory's dtype; summed in float64.

    Raises
    ------
    ValueError
        No rows from `start` on, an empty trajectory, non-finite weights.

    Examples
    --------
    >>> run = xr.Dataset(
    ...     {
    ...         "theta": (("step", "weight"), [[9.0], [4.0], [2.0], [0.0]]),
    ...         "loss": ("step", np.zeros(4)),
    ...         "learning_rate": ("step", np.zeros(4)),
    ...     },
    ...     {"step": [0, 10, 20, 30]},
    ...     {"kind": "trajectory"},
    ... )
    >>> average_weights(run, start=10), moving_average(run, decay=0.5)
    (tensor([2.], dtype=torch.float64), tensor([2.1250], dtype=torch.float64))
    """
    theta = recorded_weights(trajectory, 1, "an average")
    steps = rising_steps(trajectory)
    start = 0.75 * steps[-1] + 0.25 * steps[0] if start is None else start
    if isinstance(every, bool) or not isinstance(every, (int, np.integer)) or every < 1:
        raise ValueError(f"every={every!r}; expected a whole number from 1.")
    first = int(np.searchsorted(steps, start))
    if first == len(steps):
        raise ValueError(f"No row was recorded from step {start:g} on; the last is of step {steps[-1]:g}.")
    weights = np.zeros(len(steps))
    weights[np.arange(len(steps) - 1, first - 1, -every)] = 1.0
    return torch.as_tensor(combine(theta, weights / weights.sum()))


def moving_average(trajectory: xr.Dataset, decay: float = 0.9, start: int | None = None) -> Tensor:
    r"""Exponential moving average of the recorded weights: $m_k = \gamma\, m_{k-1} + (1 - \gamma)\, \theta_k$.

    Parameters
    ----------
    trajectory
        Kind `trajectory`; `theta` may be lazy.
    decay
        $\gamma$ in $[0, 1)$, per recorded row: an average that fades by $\gamma_1$ per update has
        $\gamma = \gamma_1^c$ for rows that are $c$ updates apart.
    start
        The step whose weights are $m_0$; by default the first.

    Returns
    -------
    Tensor
        The average after the last row, `(num_weights,)`, in the trajectory's dtype.
    """
    theta = recorded_weights(trajectory, 1, "an average")
    steps = rising_steps(trajectory)
    if not 0 <= decay < 1:
        raise ValueError(f"decay={decay!r}; expected a number from 0 to below 1.")
    first = 0 if start is None else int(np.searchsorted(steps, start))
    if first == len(steps):
        raise ValueError(f"No row was recorded from step {start} on; the last is of step {steps[-1]:g}.")
    ages = np.arange(len(steps) - 1, -1, -1.0)
    weights = np.where(np.arange(len(steps)) >= first, (1 - decay) * decay**ages, 0.0)
    weights[first] = decay ** ages[first]
    return torch.as_tensor(combine(theta, weights))


def soup(networks: Sequence[Any], network: Network | None = None, weights: Sequence[float] | None = None) -> Tensor:
    """Mean of several networks' weights.

    Parameters
    ----------
    networks
        Flat weight vectors, state dicts, or checkpoint files (read safely, see `read_state`), in any mixture.
    network
        The model or problem that they belong to; needed for state dicts and files.
    weights
        How much each counts; scaled to sum to 1. Equally by default.

    Returns
    -------
    Tensor
        `(num_weights,)`, in the widest of their dtypes; summed in float64.

    Raises
    ------
    ValueError
        No networks, networks of different lengths, weights that are not finite (a network that diverged), or a file of
        another network: it is named.

    Examples
    --------
    >>> soup([torch.tensor([0.0, 1.0]), torch.tensor([2.0, 1.0])])
    tensor([1., 1.])
    """
    shares = np.ones(len(networks)) if weights is None else np.asarray(weights, dtype=float)
    if not len(networks) or shares.shape != (len(networks),) or not 0 < shares.sum() < np.inf:
        raise ValueError(
            f"{len(networks)} networks and weights {weights}: a mean needs one network at least, and weights for each."
        )
    total: Tensor | None = None
    for k, (given, share) in enumerate(zip(networks, shares / shares.sum(), strict=True)):
        theta = flat_weights(given, network, k)
        if total is None:
            dtype, total = theta.dtype, torch.zeros_like(theta, dtype=torch.float64)
        if theta.shape != total.shape:
            raise ValueError(
                f"Network {k} has {theta.numel()} weights, the first {total.numel()}; a mean is of equal networks."
            )
        if not torch.isfinite(theta).all():
            raise ValueError(f"Network {k} has weights that are not finite: it diverged. Leave it out.")
        dtype = torch.promote_types(dtype, theta.dtype)
        total.add_(theta, alpha=float(share))
    assert total is not None
    return total.to(dtype)


def greedy_soup(
    problem: Problem,
    networks: Sequence[Any],
    metric: str = "test_loss",
    *,
    maximize: bool | None = None,
) -> Soup:
    """Let networks into a mean one by one, the best first, each if the mean does not get worse.

    Parameters
    ----------
    problem
        Whose metric decides; held-out data are meant, so give it `test_data` that are not the ones you report.
    networks
        Flat weight vectors, state dicts, or checkpoint files.
    metric
        One of `problem.quantities`.
    maximize
        Whether more is better. By default known of losses and accuracies (`test_loss`, `top5_accuracy`) by their names;
        needed for all others.

    Returns
    -------
    Soup
        The mean, who is in it, and the values.

    Raises
    ------
    ValueError
        An unknown metric, one of unknown direction, no networks, networks of other lengths.

    Notes
    -----
    Each network is measured alone and once more in the mean: twice as many passes over the data as networks.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> bowl = FunctionProblem(lambda x, y: x**2 + y**2)
    >>> networks = [torch.tensor([1.0, 0.0]), torch.tensor([-0.9, 0.0]), torch.tensor([9.0, 9.0])]
    >>> found = greedy_soup(bowl, networks, "loss")
    >>> found.chosen, found.theta
    ((1, 0), tensor([0.0500, 0.0000]))
    """
    if metric not in problem.quantities:
        raise ValueError(f"The problem has no `{metric}`; it has {', '.join(problem.quantities)}.")
    if not len(networks):
        raise ValueError("No networks were given; a soup needs one at least.")
    sign = -1.0 if _more_is_better(metric, maximize) else 1.0

    def measure(theta: Tensor) -> float:
        return float(problem.measure(theta.to(problem.theta)[None], metrics=None).values[metric])

    thetas = [flat_weights(given, problem, k) for k, given in enumerate(networks)]
    values = np.array([measure(theta) for theta in thetas])
    if not np.isfinite(values).any():
        raise ValueError(f"The `{metric}` of none of the {len(values)} networks is finite.")
    order = np.argsort(np.where(np.isfinite(values), sign * values, np.inf), kind="stable")
    chosen, theta, value = [int(order[0])], thetas[order[0]], float(values[order[0]])
    for k in order[1 : np.isfinite(values).sum()].tolist():
        mixed = soup([thetas[j] for j in (*chosen, k)])
        mixed_value = measure(mixed)
        if sign * mixed_value <= sign * value:
            chosen, theta, value = [*chosen, k], mixed, mixed_value
    return Soup(theta, tuple(chosen), value, tuple(values.tolist()), metric)


def _more_is_better(metric: str, maximize: bool | None) -> bool:
    if maximize is None and not metric.endswith(("loss", "accuracy")):
        raise ValueError(f"Whether more of `{metric}` is better is not known; say `maximize=True` or `maximize=False`.")
    return metric.endswith("accuracy") if maximize is None else maximize
