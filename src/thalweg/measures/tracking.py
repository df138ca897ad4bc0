r"""The top of a curvature spectrum at many places, each search begun from the last one's vectors.

Along full-batch gradient descent the sharpness $\lambda_{\max}$ of the Hessian rises to $2/\eta$ and stays there: the
edge of stability (Cohen et al. 2021, arXiv:2103.00065). With momentum $\beta$ the quadratic model is stable up to
$(2 + 2\beta)/\eta$, with Nesterov's up to $(2 + 2\beta)/(\eta (1 + 2\beta))$.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.linalg import Quadrature, share_in_subspace, spectral_quadrature, subspace_overlap, top_eigenpairs
from thalweg.measures.progress import bar
from thalweg.measures.request import need_problem
from thalweg.problem import Problem
from thalweg.problem.curvature import Curvature
from thalweg.store import provenance


def stability_threshold(learning_rate: float, momentum: float = 0.0, nesterov: bool = False) -> float:
    r"""The sharpness beyond which (momentum) gradient descent on a quadratic diverges.

    $2/\eta$, $(2 + 2\beta)/\eta$, or $(2 + 2\beta)/(\eta(1 + 2\beta))$: Cohen et al. (2021), appendix B.

    Examples
    --------
    >>> stability_threshold(0.5), stability_threshold(0.5, momentum=0.5)
    (4.0, 6.0)
    """
    if not learning_rate > 0:
        return math.nan
    return (2 + 2 * momentum) / (learning_rate * ((1 + 2 * momentum) if nesterov else 1))


class SpectrumTracker:
    """Measures the top eigenpairs wherever it is asked to, warm-started from the last time.

    Parameters
    ----------
    k, tol, matrix, parameters, seed
        As for `top_eigenpairs`.
    max_matvecs
        Products for one place, at most.
    num_probes
        For the density of all eigenvalues at every place too, from so many random vectors with `_STEPS` products each.
    """

    def __init__(
        self,
        k: int = 5,
        *,
        tol: float = 1e-3,
        matrix: str = "hessian",
        parameters: str | Sequence[str] | None = None,
        seed: int = 0,
        max_matvecs: int | None = None,
        num_probes: int = 0,
    ) -> None:
        if isinstance(num_probes, bool) or not isinstance(num_probes, (int, np.integer)) or num_probes < 0:
            raise ValueError(
                f"num_probes={num_probes!r}; expected a whole number of random vectors, or 0 for no density."
            )
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise ValueError(f"k={k!r}; expected a whole number of pairs from 1.")
        self.k, self.tol, self.matrix, self.parameters = int(k), tol, matrix, parameters
        self.seed, self.max_matvecs = seed, max_matvecs
        self.num_probes = int(num_probes)
        self._densities: list[Quadrature | None] = []
        self._last: Tensor | None = None
        self._curvature: tuple[Problem, Curvature] | None = None
        self._rows: list[dict[str, Any]] = []
        self._bases: list[Tensor] = []

    def add(self, step: int, problem: Problem, theta: Tensor, learning_rate: float, threshold: float) -> float:
        """Measure at `theta`; returns the largest eigenvalue (in magnitude)."""
        began = time.perf_counter()
        row: dict[str, Any] = {"step": step, "learning_rate": learning_rate, "threshold": threshold}
        loss, slope = problem.value_and_gradient(theta)
        row |= {"loss": float(loss), "gradient_norm": float(slope.norm()), "gradient_share": math.nan, "num_matvecs": 0}
        row |= {name: np.full(self.k, math.nan) for name in ("eigenvalue", "residual")}
        row["converged"] = np.zeros(self.k, dtype=bool)
        if torch.isfinite(slope).all() and math.isfinite(row["loss"]):
            self._measure(row, self._at(problem, theta), slope)
        else:
            self._densities.append(None)
            self._bases.append(torch.empty(0, problem.num_weights))
        row["seconds"] = time.perf_counter() - began
        self._rows.append(row)
        return float(row["eigenvalue"][0])

    def _at(self, problem: Problem, theta: Tensor) -> Curvature:
        if self._curvature is not None and self._curvature[0] is problem:
            return self._curvature[1].moved(theta)
        found = problem.curvature(
            self.matrix, theta=theta, parameters=self.parameters, seed=self.seed, expected=12 * max(self.k, 5)
        )
        self._curvature = problem, found
        return found

    def _measure(self, row: dict[str, Any], curvature: Curvature, slope: Tensor) -> None:
        if self.k > curvature.num_weights:
            raise ValueError(f"k={self.k} pairs were asked for, and the matrix has {curvature.num_weights} rows.")
        found = top_eigenpairs(
            curvature.product,
            curvature.num_weights,
            self.k,
            tol=self.tol,
            start=self._last,
            seed=self.seed,
            max_matvecs=self.max_matvecs,
            dtype=curvature.theta.dtype,
            device=curvature.theta.device,
        )
        self._last = found.eigenvectors
        full = curvature.embed(found.eigenvectors)
        self._bases.append(full.float().cpu())
        row |= {"eigenvalue": found.eigenvalues, "residual": found.residuals, "converged": found.converged}
        row["num_matvecs"] = found.num_matvecs
        self._densities.append(self._quadrature(curvature) if self.num_probes else None)
        row["gradient_share"] = share_in_subspace(slope.to(full), full) if bool(slope.any()) else math.nan

    def _quadrature(self, curvature: Curvature) -> Quadrature:
        return spectral_quadrature(
            curvature.product,
            curvature.num_weights,
            num_probes=self.num_probes,
            num_matvecs=min(_STEPS, curvature.num_weights),
            seed=self.seed,
            dtype=curvature.theta.dtype,
            device=curvature.theta.device,
        )

    def dataset(self, title: str, **facts: Any) -> xr.Dataset:
        """All that has been measured: kind `spectrum_path`."""
        if not self._rows:
            raise ValueError("Nothing has been measured yet.")
        column: Callable[[str], np.ndarray] = lambda name: np.array([row[name] for row in self._rows])  # noqa: E731
        steps = column("step")
        pairs = {name: (("step", "pair"), np.stack([row[name] for row in self._rows])) for name in _OF_PAIRS}
        single = {name: ("step", column(name)) for name in _OF_STEPS}
        data = {**pairs, **single, "overlap": (("step", "other"), self._overlaps())}
        coords = {"step": steps, "pair": np.arange(1, self.k + 1), "other": steps}
        known = [q for q in self._densities if q is not None]
        if known:
            coords["grid"], data["density"] = self._density(known)
        attrs = {"kind": "spectrum_path", "title": title, "matrix": self.matrix, "k": self.k, "tol": self.tol, **facts}
        return schema.check(xr.Dataset(data, coords, attrs))

    def _density(self, known: list[Quadrature]) -> tuple[np.ndarray, tuple[tuple[str, str], np.ndarray]]:
        """All densities on one grid, smoothed by one width: what the widest spectrum resolves."""
        nodes = np.concatenate([q.nodes.ravel() for q in known])
        width = max(*(q.resolution for q in known), 1e-3 * float(np.abs(nodes).max()), 1e-300)
        low, high = float(nodes.min()) - 5 * width, float(nodes.max()) + 5 * width
        grid = np.linspace(low, high, int(np.clip((high - low) / (width / 2), 401, 4001)))
        nothing = np.full(len(grid), math.nan)
        rows = [nothing if q is None else q.density(grid, width).estimate for q in self._densities]
        return grid, (("step", "grid"), np.stack(rows))

    def _overlaps(self) -> np.ndarray:
        n = len(self._bases)
        found = np.full((n, n), math.nan)
        for i, one in enumerate(self._bases):
            for j in range(i + 1):
                if len(one) and len(self._bases[j]):
                    found[i, j] = found[j, i] = subspace_overlap(one, self._bases[j])
        return found


_STEPS = 40  # products for each random vector of a density
_OF_PAIRS = ("eigenvalue", "residual", "converged")
_OF_STEPS = (
    "num_matvecs",
    "learning_rate",
    "loss",
    "gradient_norm",
    "gradient_share",
    "threshold",
    "seconds",
)


def track_spectrum(
    problem: Problem,
    trajectory: xr.Dataset,
    k: int = 5,
    *,
    every: int = 1,
    matrix: str = "hessian",
    parameters: str | Sequence[str] | None = None,
    momentum: float | None = None,
    nesterov: bool | None = None,
    tol: float = 1e-3,
    seed: int = 0,
    max_matvecs: int | None = None,
    num_probes: int = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Top eigenpairs along a recorded training run.

    Parameters
    ----------
    problem
        The problem that was trained (its data decide whose curvature is told).
    trajectory
        Kind `trajectory`, as a `Recorder` writes it.
    k, matrix, parameters, tol, seed, max_matvecs
        As for `top_eigenpairs`; each search begins with the last one's vectors.
    every
        Of the recorded steps, every so many; the last one always.
    momentum, nesterov
        Of the run, for the line of stability: see `stability_threshold`. By default what the recorder noted; runs of
        other optimizers than SGD have no such line.
    num_probes
        With so many random vectors (of 40 products each) the density of all eigenvalues too, `density(step, grid)`,
        which `figures.density_path` draws.
    progress
        Whether to show a progress bar; by default for runs of more than a few seconds.

    Returns
    -------
    Dataset
        Kind `spectrum_path`: `eigenvalue(step, pair)` with `residual` and `converged`; over `step` the `loss`,
        `gradient_norm`, `gradient_share` (of $|\nabla L|^2$ in the span of the pairs), `learning_rate`, `threshold`,
        `num_matvecs` and `seconds`; `overlap(step, other)` $= \lVert U_s^\top U_t \rVert_F^2 / k$. Where the run had
        diverged the values are nan.

    Notes
    -----
    Cost: for five pairs some 10 to 20 products a step where the top of the spectrum turns slowly, 20 to 45 early in
    training. Buffers (batch-norm statistics) are those of `problem`.

    Examples
    --------
    >>> import tempfile
    >>> from torch import nn
    >>> from thalweg import ModuleProblem, Recorder
    >>> model, x = nn.Linear(2, 1).double(), torch.randn(20, 2, dtype=torch.float64)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with Recorder(tempfile.mkdtemp() + "/study.zarr").attach(model, optimizer) as recorder:
    ...     for _ in range(3):
    ...         optimizer.zero_grad()
    ...         model(x).square().mean().backward()
    ...         optimizer.step()
    >>> problem = ModuleProblem(model, (x, torch.zeros(20, 1, dtype=torch.float64)), loss=nn.functional.mse_loss)
    >>> found = track_spectrum(problem, recorder.trajectory(), k=2)
    >>> found.sizes["step"], bool(found.converged.all()), float(found.threshold[0])
    (4, True, 20.0)
    """
    need_problem(problem)
    if schema.check(trajectory).attrs["kind"] != "trajectory":
        raise ValueError(
            f"This is a result of kind {trajectory.attrs['kind']!r}; a spectrum is tracked along a trajectory."
        )
    if trajectory.sizes["weight"] != problem.num_weights:
        raise ValueError(
            f"The trajectory has {trajectory.sizes['weight']} weights, the problem {problem.num_weights}; they belong "
            "to different models."
        )
    if not trajectory.sizes["step"]:
        raise ValueError("The trajectory is empty; a spectrum is tracked along one recorded step at least.")
    if isinstance(every, bool) or not isinstance(every, (int, np.integer)) or every < 1:
        raise ValueError(f"every={every!r}; expected a whole number from 1.")
    plain = trajectory.attrs.get("optimizer", "SGD") == "SGD" and not trajectory.attrs.get("dampening", 0)
    known = plain or momentum is not None
    momentum = float(trajectory.attrs.get("momentum", 0.0)) if momentum is None else momentum
    nesterov = bool(trajectory.attrs.get("nesterov", False)) if nesterov is None else nesterov
    tracker = SpectrumTracker(
        k, tol=tol, matrix=matrix, parameters=parameters, seed=seed, max_matvecs=max_matvecs, num_probes=num_probes
    )
    last = trajectory.sizes["step"] - 1
    rows = sorted({*range(0, last + 1, every), last})
    with bar(
        "spectra", len(rows), 0, show=progress, seconds=math.inf if len(rows) > 3 else 0.0, unit="steps"
    ) as advance:
        for row in rows:
            theta = torch.as_tensor(trajectory["theta"][row].values).to(problem.theta)
            rate = float(trajectory["learning_rate"][row])
            threshold = stability_threshold(rate, momentum, nesterov) if known else math.nan
            tracker.add(int(trajectory["step"][row]), problem, theta, rate, threshold)
            advance(1)
    return tracker.dataset(
        f"Top {k} eigenvalues along training",
        threshold_words=words(momentum, nesterov) if known else "unknown for this optimizer",
        **provenance(**problem.provenance()),
    )


def words(momentum: float, nesterov: bool = False) -> str:
    """What the line of stability is called.

    Examples
    --------
    >>> words(0.0), words(0.9)
    ('2 / learning rate', '3.8 / learning rate')
    """
    return f"{stability_threshold(1.0, momentum, nesterov):.3g} / learning rate"
