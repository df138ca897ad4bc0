r"""The tangent of a network along its training: how the Jacobian's spectrum, its features and its kernel change.

At each recorded step the Jacobian $J = U \Sigma V^\top$ of the outputs in the weights is decomposed as `linearize`
does it. In lazy training nothing of it moves; a network that learns features grows a few singular values and turns its
kernel $J J^\top$ towards the targets.

Reference: Fort et al. (2020), arXiv:2010.15110; Baratin et al. (2021), arXiv:2008.00938 (alignment with the targets).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import linalg, schema
from thalweg.measures.feature_path import FeaturePath
from thalweg.measures.kernel_path import KernelPath
from thalweg.measures.matrix import whole_number
from thalweg.measures.progress import bar
from thalweg.measures.recorded import Recorded, recorded
from thalweg.measures.request import need_problem
from thalweg.measures.rows import Rows, rows
from thalweg.measures.tangent import METHODS, Method, checked_k, triplets
from thalweg.problem.criterion import one_of
from thalweg.problem.examples import Diverged
from thalweg.problem.identity import free_memory
from thalweg.problem.outputs import Which

_STORED = 2**30
_POINTS_BYTES = 2**26
_VALUES = 20


def track_tangent(
    problem: Any,
    trajectory: xr.Dataset,
    k: int | None = None,
    *,
    inputs: Any = None,
    outputs: Which = "all",
    targets: Any = None,
    every: int = 1,
    features: bool = False,
    kernel_examples: int = 200,
    method: Method = "auto",
    rtol: float | None = None,
    memory: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Singular values, features, rank and kernel of a network's Jacobian along a training run.

    Parameters
    ----------
    problem
        The network's `ModuleProblem`; its buffers (batch-norm statistics) are used at every step.
    trajectory
        Kind `trajectory`, or `descent` with one start.
    k
        How many singular values; 20 by default, or as many as there are.
    inputs, outputs, targets, method, rtol, seed
        As for `linearize`.
    every
        Of the recorded steps, every so many; the last one always.
    features
        Keep the principal features too. Signs and order are those of the step before: features are matched by their
        cosines, and `place` says which singular value each has.
    kernel_examples
        Alignments are those of the kernel (its trace over all outputs) of so many examples, the first; 0 for none.
    memory
        Bytes that a Jacobian may take, and all that is kept; by default a quarter of what is free, at most 1 GiB.
    progress
        Show a bar of steps; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind `tangent_path`: `singular_value(step, value)`, zero beyond the rank; over `step` `rank` (a lower bound
        where `rank_known` is false), `effective_rank` $(\sum \sigma^2)^2 / \sum \sigma^4$, `frobenius`, `loss` and
        every other quantity of the problem, `kernel_alignment` with the first step's kernel and `target_alignment`;
        `prediction(step, row)`, and `x`, `target` where known. With `features`,
        `principal_feature(step, row, value)`, `place(step, value)` and `agreement(step, value)`, the cosine of a
        feature with itself a step before. Where the network has diverged all of these are nan but the losses, which
        are kept as they are; `diverged(step)` and `attrs["diverged_at"]` (the first such step, or -1) say so.

    Raises
    ------
    ValueError, TypeError
        As `linearize`; another network's run, no steps, a result that does not fit `memory`.

    Notes
    -----
    Cost: for each step that of `linearize`, of a kernel of `kernel_examples` examples, and of one pass over the data.
    Memory: one Jacobian at a time (none if it does not fit: then Lanczos), one row of the trajectory, and the result:
    steps times rows numbers, with features `k + 1` times as many. Of a Jacobian that is not stored the effective rank
    is of the Frobenius norm and the `k` values: an upper bound.

    Examples
    --------
    >>> import thalweg as tw
    >>> from thalweg.landscapes.sines import mlp, sines_data
    >>> problem = tw.ModuleProblem(mlp([20]), sines_data(200).train, loss=torch.nn.functional.mse_loss)
    >>> run = tw.descend(problem, problem.theta[None], lambda w: torch.optim.SGD(w, lr=0.1), steps=100, every=50)
    >>> found = track_tangent(problem, run, k=3, features=True)
    >>> dict(found.principal_feature.sizes), float(found.kernel_alignment[0])
    ({'step': 3, 'row': 200, 'value': 3}, 1.0)
    """
    began = time.perf_counter()
    need_problem(problem)
    whole_number("every", every, 1)
    whole_number("kernel_examples", kernel_examples, 0)
    one_of("method", method, METHODS)
    run = recorded(trajectory, problem)
    asked = rows(problem, inputs, outputs, targets, None)
    checked_k(k, asked.shape)
    size = min(_VALUES, *asked.shape) if k is None else k
    limit = min(free_memory(asked.theta.device) // 4, _STORED) if memory is None else memory
    picked = sorted({*range(0, len(run), every), len(run) - 1})
    _fits(len(picked), asked.shape[0], size if features else 0, limit)
    path = _Path(asked, size, method, rtol, limit, seed, kernel_examples, features)
    with bar("Tangents", len(picked), 0, show=progress, seconds=len(picked) / 2, unit="steps") as advance:
        for row in picked:
            path.add(run.weights(row))
            advance(1)
    data = path.variables() | _measured(problem, run, picked)
    steps = run.steps[picked]
    lost = np.array(path.diverged)
    facts = {name: value for name, value in asked.facts().items() if name not in ("theta_id", "seconds")}
    attrs = {
        "kind": "tangent_path",
        "title": f"Tangent of {asked.whose} along training",
        "diverged_at": int(steps[lost][0]) if lost.any() else -1,
        "kernel_examples": kernel_examples,
        "method": method,
        "rtol": linalg.rank_tolerance(asked.shape, asked.theta.dtype) if rtol is None else rtol,
        "seconds": round(time.perf_counter() - began, 3),
        **asked.training_range(),
        **facts,
    }
    coords = {"step": steps, "value": np.arange(1, size + 1), **asked.coordinates()}
    return schema.check(xr.Dataset(data | asked.about(), coords, attrs))


class _Path:
    """What is found at each step."""

    def __init__(
        self,
        asked: Rows,
        k: int,
        method: str,
        rtol: float | None,
        limit: int,
        seed: int,
        kernel_examples: int,
        features: bool,
    ) -> None:
        self._asked, self._k, self._how = asked, k, (method, None, rtol, limit, seed, lambda _: None)
        self._kernel = KernelPath(asked, kernel_examples) if kernel_examples else None
        self._followed = FeaturePath() if features else None
        self._found: list[dict[str, Any]] = []
        self.diverged: list[bool] = []

    def add(self, theta: Tensor) -> None:
        """Look at the next step."""
        found = None
        if bool(theta.isfinite().all()):
            try:
                found = self._tangent(replace(self._asked, theta=theta))
            except (Diverged, FloatingPointError):
                found = None
        self.diverged.append(found is None)
        found = self._nothing() if found is None else found
        if self._kernel is not None:
            found |= self._kernel.add(theta)
        self._found.append(found)

    def variables(self) -> dict[str, Any]:
        """Of the dataset."""
        stacked = {name: np.stack([found[name] for found in self._found]) for name in self._found[0]}
        stacked["rank_known"] = stacked["rank_known"].astype(bool)
        data = {name: (_DIMS.get(name, ("step",)), v, {"long_name": _WORDS[name]}) for name, v in stacked.items()}
        return data | {"diverged": ("step", np.array(self.diverged), {"long_name": "the network has diverged"})}

    def _tangent(self, asked: Rows) -> dict[str, Any]:
        values, triplets_, _ = triplets(asked, self._k, *self._how)
        whole = triplets_.frobenius
        if not math.isfinite(whole):
            whole = sum(float((b.double() ** 2).sum()) for _, b in asked.outputs.blocks(asked.theta, 2**27)) ** 0.5
        sigma = triplets_.singular_values
        fourth = float((sigma**4).sum())
        kept = triplets_.first(self._k)
        found = {
            "singular_value": self._padded(kept.singular_values, triplets_.rank_known),
            "rank": float(triplets_.rank),
            "rank_known": triplets_.rank_known,
            "effective_rank": whole**4 / fourth if fourth > 0 else 0.0,
            "frobenius": whole,
            "prediction": values.double().cpu().numpy(),
        }
        return found | self._features(kept)

    def _features(self, kept: linalg.Triplets) -> dict[str, Any]:
        if self._followed is None:
            return {}
        sigma = torch.as_tensor(kept.singular_values, dtype=kept.left.dtype, device=kept.left.device)
        features = np.zeros((self._asked.shape[0], self._k), dtype=kept.left.cpu().numpy().dtype)
        features[:, : len(sigma)] = (sigma[:, None] * kept.left).T.cpu().numpy()
        found = self._followed.add(features)
        return {
            "principal_feature": found.features.astype(features.dtype),
            "place": found.place.astype(float),
            "agreement": found.agreement,
        }

    def _padded(self, values: np.ndarray, known: bool) -> np.ndarray:
        rest = np.full(self._k - len(values), 0.0 if known else np.nan)
        return np.concatenate([values, rest])

    def _nothing(self) -> dict[str, Any]:
        found: dict[str, Any] = dict.fromkeys(("rank", "effective_rank", "frobenius"), np.nan)
        one, num = np.full(self._k, np.nan), self._asked.shape[0]
        found |= {"rank_known": False, "singular_value": one, "prediction": np.full(num, np.nan)}
        if self._followed is not None:
            wide = np.full((num, self._k), np.nan, dtype=self._asked.theta.cpu().numpy().dtype)
            found |= {"principal_feature": wide, "place": one, "agreement": one}
        return found


_DIMS = {
    "singular_value": ("step", "value"),
    "prediction": ("step", "row"),
    "principal_feature": ("step", "row", "value"),
    "place": ("step", "value"),
    "agreement": ("step", "value"),
}
_WORDS = {
    "singular_value": "singular value",
    "rank": "numerical rank",
    "rank_known": "the rank is no larger",
    "effective_rank": "effective rank",
    "frobenius": "Frobenius norm of the Jacobian",
    "prediction": "prediction",
    "principal_feature": "principal feature",
    "place": "place of the feature's singular value",
    "agreement": "cosine of a feature with itself a step before",
    "kernel_alignment": "alignment of the kernel with the first step's",
    "target_alignment": "alignment of the kernel with the targets",
}


def _measured(problem: Any, run: Recorded, picked: list[int]) -> dict[str, Any]:
    """Every quantity over all data, some steps at a time."""
    size = max(1, _POINTS_BYTES // (problem.num_weights * run.like.element_size()))
    found = [problem.measure(run.weights(rows_)).values for rows_ in _pieces(picked, size)]
    data = {}
    for name in found[0]:
        values = torch.cat([part[name] for part in found]).numpy()
        data[name] = ("step", values, {"long_name": _spoken(name), "units": problem.units(name)})
    return data


def _spoken(name: str) -> str:
    split, _, metric = name.partition("_") if name.startswith("test_") else ("training", "", name)
    return f"{split} {metric.replace('_', ' ')}"


def _pieces(picked: list[int], size: int) -> Iterator[list[int]]:
    yield from (picked[start : start + size] for start in range(0, len(picked), size))


def _fits(steps: int, num_rows: int, k: int, limit: int) -> None:
    needed = steps * num_rows * 8 * (1 + k)
    if needed > limit:
        raise ValueError(
            f"{steps:,} steps of {num_rows:,} rows and {k} features take {needed / 2**30:.3g} GiB, more than the "
            f"{limit / 2**30:.3g} GiB allowed. Take fewer steps (`every=`), fewer inputs or smaller `k`, leave out the "
            "features, or raise `memory=`."
        )
