r"""How far a network of one input is to be trusted beyond the range of the data that it was trained on.

For any other measure on other data, make the problem with these: `problem.with_data((inputs, targets))`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from thalweg import schema
from thalweg.measures.request import need_problem
from thalweg.problem import Problem
from thalweg.schema.statistics import REGIONS
from thalweg.store import provenance


def extrapolation(problem: Problem, inputs: Any, targets: Any, train_range: Any, *, theta: Any = None) -> xr.Dataset:
    r"""Predictions and their errors, told apart by whether the input lies in the range of the training data.

    Parameters
    ----------
    problem
        A network of one input and one output.
    inputs, targets
        `(n,)` or `(n, 1)`; targets may be those without noise.
    train_range
        The ends, such as `(-1.0, 0.4)`, both counted as inside; or the training inputs themselves.
    theta
        Where; `problem.theta` by default.

    Returns
    -------
    Dataset
        Kind `extrapolation`: over `input`, sorted, `x`, `prediction`, `target`, `inside`; over `region` (`inside`,
        `outside`), `mean_square_error`, `largest_error` (the largest absolute one) and `count`. A region without inputs
        has nan. A network that diverged predicts, and errs by, `inf` or nan.

    Raises
    ------
    ValueError, TypeError
        Inputs or targets that are no list of numbers, a network with several outputs, a range that is none.

    Examples
    --------
    >>> from thalweg import ModuleProblem
    >>> line = torch.nn.Linear(1, 1, bias=False)
    >>> x = torch.linspace(0, 1, 5)[:, None]
    >>> problem = ModuleProblem(line, (x, x**2), loss=torch.nn.functional.mse_loss)
    >>> wide = torch.tensor([0.0, 1.0, 2.0])
    >>> found = extrapolation(problem, wide, wide**2, x, theta=torch.ones(1))
    >>> found.mean_square_error.values, found["count"].values
    (array([0., 4.]), array([2, 1]))
    """
    need_problem(problem)
    if not hasattr(problem, "predict"):
        raise TypeError(f"A {type(problem).__name__} predicts nothing; pass a ModuleProblem(model, data, loss=...).")
    x, y = _column("inputs", inputs), _column("targets", targets)
    if len(x) != len(y):
        raise ValueError(f"{len(x)} inputs and {len(y)} targets; each input has one target.")
    low, high = _range(train_range)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    at = problem.theta if theta is None else torch.as_tensor(theta)
    predicted = _predicted(problem, at, x)
    slack = 1e-6 * max(abs(low), abs(high))  # ends as float32 and as float64 are the same
    inside = (x >= low - slack) & (x <= high + slack)
    with np.errstate(invalid="ignore", over="ignore"):
        errors = predicted - y
        squares = [np.square(errors[part]).mean() if part.any() else np.nan for part in (inside, ~inside)]
        largest = [np.abs(errors[part]).max() if part.any() else np.nan for part in (inside, ~inside)]
    over = {"x": (x, "input"), "prediction": (predicted, "prediction"), "target": (y, "target")}
    data: dict[str, Any] = {name: ("input", values, {"long_name": words}) for name, (values, words) in over.items()}
    data["inside"] = ("input", inside, {"long_name": "inside the range of the training data"})
    data["mean_square_error"] = ("region", squares, {"long_name": "mean squared error"})
    data["largest_error"] = ("region", largest, {"long_name": "largest error"})
    data["count"] = ("region", [int(inside.sum()), int((~inside).sum())])
    attrs = {
        "kind": "extrapolation",
        "title": f"{problem.provenance()['model']} within and beyond its training data",
        "train_range": [low, high],
        **provenance(**problem.provenance()),
    }
    return schema.check(xr.Dataset(data, {"input": np.arange(len(x)), "region": list(REGIONS)}, attrs))


def _column(name: str, values: Any) -> np.ndarray:
    found = torch.as_tensor(values).detach().cpu().double()
    if found.numel() == 0 or found.numel() != found.shape[0]:
        raise ValueError(f"`{name}` has shape {tuple(found.shape)}; expected (n,) or (n, 1), one number for each.")
    return found.reshape(-1).numpy()


def _range(given: Any) -> tuple[float, float]:
    values = torch.as_tensor(given).detach().double()
    if isinstance(given, (tuple, list)) and values.shape == (2,) and not values[0] < values[1]:
        raise ValueError(f"train_range={given!r}; expected the lower and the upper end, or the training inputs.")
    if not values.numel() or not torch.isfinite(values).all():
        raise ValueError("`train_range` holds nothing, or something that is not finite.")
    return float(values.min()), float(values.max())


def _predicted(problem: Any, theta: Tensor, x: np.ndarray) -> np.ndarray:
    column = torch.as_tensor(x).to(problem.theta)[:, None]
    with torch.no_grad():
        found = problem.predict(theta, column)
    if not isinstance(found, Tensor) or found.numel() != len(x):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"The network's outputs have shape {shape}; expected one number for each of {len(x)} inputs.")
    return found.reshape(-1).double().cpu().numpy()
