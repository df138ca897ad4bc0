"""What a model of one input predicts along its descent: the fit to the data, step after step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.approximation import evaluated
from thalweg.problem import ModuleProblem
from thalweg.store import provenance

_MOST = 10**8


def model_fit(
    problem: ModuleProblem, paths: xr.Dataset, data: Any, *, inputs: Any = None, truth: Any = None, formula: str = ""
) -> xr.Dataset:
    """Predictions of a model of one input at every iterate of a descent.

    Parameters
    ----------
    problem
        The problem that was descended: one number in, one number out.
    paths
        Kind `descent`.
    data
        `(x, y)`, the examples: one number each.
    inputs
        Where to predict, `(k,)`; by default 200 places over the range of the data with a tenth to spare.
    truth
        A function of the inputs from which the data come, if it is known.
    formula
        Of the model, for titles.

    Returns
    -------
    Dataset
        Kind `fit`: `prediction(start, step, input)`, `loss`, `theta`, the data, and perhaps `truth(input)`.

    Examples
    --------
    >>> from thalweg import ModuleProblem
    >>> from thalweg.measures import descend
    >>> x = torch.linspace(-1, 1, 20, dtype=torch.float64)[:, None]
    >>> line = ModuleProblem(torch.nn.Linear(1, 1).double(), (x, 2 * x + 1), loss=torch.nn.functional.mse_loss)
    >>> paths = descend(line, [[0.0, 0.0]], lambda w: torch.optim.SGD(w, lr=0.1), steps=200)
    >>> fit = model_fit(line, paths, (x, 2 * x + 1), inputs=[0.0, 1.0])
    >>> fit.prediction[0, -1].values.round(3)
    array([1., 3.])
    """
    if schema.check(paths).attrs["kind"] != "descent":
        raise ValueError(f"These are results of kind {paths.attrs['kind']!r}; a fit is drawn along a descent.")
    if not hasattr(problem, "predict"):
        raise TypeError(
            f"A {type(problem).__name__} has a loss and no model that predicts; a fit needs a ModuleProblem."
        )
    if paths.sizes["weight"] != problem.num_weights:
        raise ValueError(f"The descent has {paths.sizes['weight']} weights, the problem {problem.num_weights}.")
    x, y = (np.asarray(torch.as_tensor(v).detach().cpu(), dtype=np.float64).reshape(-1) for v in data)
    if x.size != y.size or x.size == 0:
        raise ValueError(f"The data have {x.size} inputs and {y.size} targets; a fit is drawn of one number each.")
    form = _form(problem, np.shape(data[0])[1:])
    at = _inputs(x) if inputs is None else np.asarray(inputs, dtype=np.float64).reshape(-1)
    theta = paths["theta"].values
    if theta.shape[0] * theta.shape[1] * at.size > _MOST:
        raise ValueError("That are too many predictions; keep fewer steps (`every=`), or choose fewer `inputs`.")
    found = xr.Dataset(
        {
            "prediction": (("start", "step", "input"), _predictions(problem, theta, at, form)),
            "loss": paths["loss"],
            "theta": paths["theta"],
            "x": ("example", x),
            "y": ("example", y),
        },
        {"input": at, "start": paths["start"], "step": paths["step"]},
        {
            "kind": "fit",
            "formula": formula,
            "weights": paths.attrs.get("weights", []),
            "optimizer": paths.attrs.get("optimizer", ""),
            **provenance(**problem.provenance()),
        },
    )
    if truth is not None:
        found["truth"] = ("input", evaluated(truth, at))
    return schema.check(found)


def _inputs(x: np.ndarray) -> np.ndarray:
    spare = 0.1 * (np.ptp(x) or 1.0)
    return np.linspace(x.min() - spare, x.max() + spare, 200)


def _form(problem: ModuleProblem, own: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one input that the model takes: the data's own, or a column where these are bare numbers."""
    shapes = [tuple(1 for _ in own), (1,)] if not own else [tuple(1 for _ in own)]
    for shape in shapes:
        probe = torch.zeros(3, *shape, dtype=problem.layout.dtype)
        try:
            if torch.as_tensor(problem.predict(problem.theta, probe)).numel() == 3:
                return shape
        except (RuntimeError, ValueError, IndexError):
            continue
    raise ValueError(
        "The model does not give one number for one number; a fit is drawn of models of one input and one output."
    )


def _predictions(problem: ModuleProblem, theta: np.ndarray, at: np.ndarray, form: tuple[int, ...]) -> np.ndarray:
    """`(start, step, input)`."""
    inputs = torch.as_tensor(at).to(problem.layout.dtype).reshape(-1, *form)
    rows = torch.as_tensor(theta.reshape(-1, theta.shape[-1]))
    with torch.no_grad():
        outputs = [problem.predict(row, inputs).detach().double().cpu().numpy().reshape(-1) for row in rows]
    return np.stack(outputs).reshape(*theta.shape[:2], at.size)
