r"""Statistics of the gradient at one place: by layer, by example, its noise, and whether the examples agree.

The noise scale (McCandlish et al. 2018, arXiv:1812.06162) is the batch size beyond which larger batches hardly help;
`noise` has the formulas. Cosines between examples' gradients near 1 say that they pull the same way, near 0 that they
have nothing to do with each other, and below 0 that learning one unlearns the other.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.measures.noise import noise_scale
from thalweg.measures.progress import bar
from thalweg.measures.request import need_problem
from thalweg.problem import Diverged, ModuleProblem
from thalweg.store import provenance

_BYTES = 2**30
"""What the gradients whose cosines are taken may need."""
_USUAL = 64


def gradient_statistics(
    problem: ModuleProblem,
    theta: Any = None,
    *,
    num_examples: int | None = None,
    seed: int = 0,
    num_cosines: int | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Norms of the gradient by layer and by example, the gradient noise scale, and cosines between examples.

    Parameters
    ----------
    problem
        A network with data, whose criterion returns one loss for each example.
    theta
        Where; `problem.theta` by default.
    num_examples, seed
        Take a fixed random subset of the training examples for what is asked of single examples; all by default.
        Layers' norms are always of the gradient over all training data.
    num_cosines
        How many of the examples, evenly spaced among those taken, have their pairwise cosines told; by default 64, or
        as many as fit in 1 GiB. 0 for none.
    progress
        Show a bar; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind `gradients`: `norm(layer)` by parameter, `example_norm(example)`, `cosine(one, other)`, in the unit of the
        loss (weights have none); where targets are numbers, the coordinate `target`. In attrs `noise_scale`
        $\operatorname{tr}\Sigma / |G|^2$ in examples, `trace_covariance` $\operatorname{tr}\Sigma$, `gradient_square`
        $|G|^2$ (unbiased, may be negative; the noise scale is then `inf`), each with `..._standard_error`, and
        `gradient_norm`, the norm of the gradient over all training data.

    Raises
    ------
    Diverged
        Gradients that are not finite.
    ValueError, TypeError
        Fewer than three examples, non-finite weights, a problem without examples, examples that depend on their batch.

    Notes
    -----
    Cost: about two gradients over the examples for small networks (`vmap`); one backward pass for each example where
    an operation cannot be batched (`attrs["method"]`).

    Examples
    --------
    >>> line = torch.nn.Linear(1, 1, bias=False)
    >>> x = torch.tensor([[1.0], [2.0], [3.0]])
    >>> problem = ModuleProblem(line, (x, 0 * x), loss=torch.nn.functional.mse_loss)
    >>> found = gradient_statistics(problem, torch.ones(1))
    >>> found.example_norm.values, round(found.noise_scale, 3)  # 65.33 / 65.33
    (array([ 2.,  8., 18.]), 1.0)
    """
    began = time.perf_counter()
    _checked(problem, num_cosines)
    at = torch.as_tensor(problem.theta if theta is None else theta, device=problem.device)
    rows = problem.example_gradients(at, num_examples=num_examples, seed=seed)
    at = at.to(problem.theta)
    if not torch.isfinite(at).all():
        raise ValueError(
            f"{int((~at.isfinite()).sum())} of the {len(at)} weights are not finite: the training has diverged, and "
            "there is no gradient."
        )
    chosen = _chosen(len(rows), problem.num_weights, at.element_size(), num_cosines)
    gradient = problem.gradient(at)
    seconds = time.perf_counter() - began
    with bar("Per-example gradients", len(rows), 0, show=progress, seconds=4 * seconds, unit="examples") as advance:
        squares, products, some = _pass(rows, rows.mean(), chosen, advance)
    _finite(squares, gradient)
    found = noise_scale(squares, products)
    numbers, targets = rows.numbers, rows.targets()
    units = problem.units("loss")
    data: dict[str, Any] = {
        "norm": ("layer", _by_layer(problem, gradient), {"long_name": "norm of the gradient", "units": units}),
        "example_norm": (
            "example",
            np.sqrt(squares),
            {"long_name": "norm of the gradient of one example", "units": units},
        ),
    }
    coords: dict[str, Any] = {"layer": [block.name for block in problem.layout.blocks], "example": numbers}
    if targets is not None:
        coords["target"] = ("example", targets)
    if len(chosen):
        about = {"long_name": "cosine between the gradients of two examples", "units": "1"}
        data["cosine"] = (("one", "other"), _cosines(some), about)
        coords |= {"one": numbers[chosen], "other": numbers[chosen]}
    attrs = {
        "kind": "gradients",
        "title": f"Gradients of {problem.provenance()['model']}",
        **{name: float(value) for name, value in found._asdict().items()},
        "gradient_norm": float(gradient.double().norm()),
        "num_examples": len(rows),
        "seed": seed,
        "method": rows.method,
        "seconds": round(time.perf_counter() - began, 3),
        **provenance(**problem.provenance()),
    }
    return schema.check(xr.Dataset(data, coords, attrs))


def _checked(problem: Any, num_cosines: Any) -> None:
    need_problem(problem)
    if not hasattr(problem, "example_gradients"):
        raise TypeError(
            f"A {type(problem).__name__} has no examples; pass a ModuleProblem(model, data, loss=...). "
            "`problem.gradient(theta)` is its gradient."
        )
    whole = isinstance(num_cosines, (int, np.integer)) and not isinstance(num_cosines, bool)
    if num_cosines is not None and not (whole and num_cosines >= 0):
        raise ValueError(f"num_cosines={num_cosines!r}; expected a whole number from 0.")


def _finite(squares: np.ndarray, gradient: Tensor) -> None:
    bad = int((~np.isfinite(squares)).sum())
    if bad or not bool(torch.isfinite(gradient).all()):
        raise Diverged(
            f"The gradient of {bad} of {len(squares)} examples is not finite ({gradient.dtype}): the network has "
            "diverged, or its losses are too large for the dtype. Take the weights of an earlier step, or pass "
            'precision="float64" to the problem.'
            if bad
            else "The gradient over all training data is not finite: the network has diverged. Take the weights of an "
            "earlier step."
        )


def _chosen(count: int, num_weights: int, bytes_each: int, asked: int | None) -> np.ndarray:
    """Places among the examples of those whose cosines are told."""
    fit = _BYTES // (num_weights * bytes_each)
    if asked is not None and min(asked, count) > max(fit, _USUAL):
        raise ValueError(
            f"num_cosines={asked}: {asked} gradients of {num_weights:,} weights need more than 1 GiB; {fit} fit."
        )
    wanted = min(count, _USUAL, fit) if asked is None else min(count, asked)
    return np.unique(np.linspace(0, count - 1, wanted).round().astype(int)) if wanted > 1 else np.empty(0, int)


def _pass(rows: Any, mean: Tensor, chosen: np.ndarray, advance: Any) -> tuple[np.ndarray, np.ndarray, Tensor]:
    r"""Of every example $|g_i|^2$ and $g_i \cdot \bar g$; the gradients of those chosen."""
    squares, products, some = [], [], []
    start = 0
    for block in rows:
        squares.append(torch.linalg.vector_norm(block, dim=1, dtype=torch.float64).square())
        products.append((block * mean).sum(1, dtype=torch.float64))
        inside = chosen[(chosen >= start) & (chosen < start + len(block))] - start
        some.append(block[torch.as_tensor(inside, device=block.device)])
        start += len(block)
        advance(len(block))
    return torch.cat(squares).cpu().numpy(), torch.cat(products).cpu().numpy(), torch.cat(some)


def _by_layer(problem: ModuleProblem, gradient: Tensor) -> np.ndarray:
    return np.array([float(gradient[block.slice].double().norm()) for block in problem.layout.blocks])


def _cosines(rows: Tensor) -> np.ndarray:
    """Nan for an example without gradient."""
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    unit = rows / lengths
    found = (unit @ unit.T).double().clamp(-1.0, 1.0).cpu().numpy()
    np.fill_diagonal(found, np.where(lengths[:, 0].cpu().numpy() > 0, 1.0, np.nan))
    return found
