"""What is fitted by hand: a model of a weight or two, its data, and the landscape of its loss, sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch

from thalweg.apps.widgets.instrument import packed
from thalweg.landscapes import (
    Examples,
    LinearModel,
    RegressionModel,
    SineModel,
    ThresholdModel,
    linear_data,
    nonlinear_data,
    regression_problem,
)
from thalweg.problem import ModuleProblem

_MOST_LINEAR = 4


@dataclass(frozen=True, eq=False)
class Task:
    """A model to be fitted by hand and by descent.

    Parameters
    ----------
    model
        Of one input, with scalar parameters; any number up to four if the model is linear in them, else one.
    data
        `(x, y)`.
    limits
        Of each parameter's slider, by name.
    linear
        Whether the model is linear in its parameters.
    start
        Where the fit begins; where the model stands by default.
    lr, steps
        Of descent at first.
    truth
        The function of the data, drawn on demand.
    extent, inputs
        Where the model's curve is drawn, and at how many places.
    places
        At how many values of the parameter the loss of a nonlinear model is sampled.

    Raises
    ------
    ValueError
        If limits and parameters do not go together, or there are too many of them.
    """

    model: RegressionModel
    data: Examples
    limits: Mapping[str, tuple[float, float]]
    linear: bool = False
    lr: float = 0.1
    steps: int = 25
    truth: Callable[[torch.Tensor], torch.Tensor] | None = None
    extent: tuple[float, float] = (-10.0, 10.0)
    inputs: int = 501
    places: int = 500
    problem: ModuleProblem = field(init=False)

    def __post_init__(self) -> None:
        names = [name for name, _ in self.model.named_parameters()]
        if list(self.limits) != names:
            raise ValueError(f"The model has the parameters {names}, the limits are for {list(self.limits)}.")
        if len(names) > (_MOST_LINEAR if self.linear else 1):
            raise ValueError(
                f"The model has {len(names)} parameters; sliders are made for one, or for up to {_MOST_LINEAR} of a "
                "model that is linear in them (linear=True)."
            )
        object.__setattr__(self, "problem", regression_problem(self.model, self.data))

    @property
    def formula(self) -> str:
        """The model in plain characters."""
        return self.model.formula

    @property
    def names(self) -> list[str]:
        """The parameters, as they are written."""
        return [{"theta": "θ"}.get(name, name) for name in self.limits]

    def sampled(self) -> dict[str, Any]:
        """What the module draws: data, predictions and losses at places between which it interpolates.

        A model linear in its weights is affine along each, its loss a parabola: two and three places determine them.
        The prediction of another one is linear between 401 places, its loss a cubic by the values and slopes at
        `places`.
        """
        x = torch.linspace(*self.extent, self.inputs, dtype=torch.float64)
        few, many = (2, 3) if self.linear else (401, self.places)
        weights, nodes = self._grid(few), self._grid(many)
        curves = [self.problem.predict(row, x).detach().numpy().reshape(-1) for row in weights]
        shape = (few,) * len(self.limits)
        losses = self.problem.loss(nodes).detach().numpy().reshape((many,) * len(self.limits))
        told: dict[str, Any] = {
            "formula": self.formula,
            "names": self.names,
            "low": [low for low, _ in self.limits.values()],
            "high": [high for _, high in self.limits.values()],
            "start": self.problem.theta.tolist(),
            "lr": self.lr,
            "steps": self.steps,
            "x": packed(self.data.x),
            "y": packed(self.data.y),
            "extent": list(self.extent),
            "prediction": packed(np.stack(curves).reshape(*shape, self.inputs).astype(np.float32)),
            "loss": packed(losses),
        }
        if not self.linear:
            told["slope"] = packed(self.problem.gradient(nodes).detach()[:, 0])
        if self.truth is not None:
            told["truth"] = packed(self.truth(x).detach().numpy().astype(np.float32))
        return told

    def _grid(self, places: int) -> torch.Tensor:
        axes = [np.linspace(low, high, places) for low, high in self.limits.values()]
        return torch.tensor(np.array(list(product(*axes))), dtype=torch.float64)


def usual_tasks(seed: int = 0) -> dict[str, Task]:
    r"""The three of a first lesson: a line, the rectified threshold model, and $\sin \theta x$.

    30 examples of $0.6\,x + 0.5$ with noise 3; 300 of each other model at $\theta = 2.1$ with noise 0.75.

    Examples
    --------
    >>> {name: task.formula for name, task in usual_tasks().items()}
    {'linear': 'w·x + b', 'rectified': 'max(x − θ, 0)', 'trigonometric': 'sin(θ·x)'}
    """
    threshold, sine = nonlinear_data("threshold", seed=seed), nonlinear_data("sine", seed=seed)
    return {
        "linear": Task(
            LinearModel(),
            linear_data(seed=seed),
            {"w": (-3.0, 3.0), "b": (-6.0, 6.0)},
            linear=True,
            lr=5e-3,
            truth=LinearModel(0.6, 0.5),
            inputs=2500,
        ),
        "rectified": Task(ThresholdModel(), threshold, {"theta": (-10.0, 10.0)}, truth=ThresholdModel(2.1)),
        "trigonometric": Task(SineModel(), sine, {"theta": (-6.0, 6.0)}, truth=SineModel(2.1)),
    }
