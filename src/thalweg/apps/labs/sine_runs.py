"""What the lab on linearisation trains: networks on a sum of sine waves, with every choice in one place.

Seeds are those of the notebook that the lab carries: data 10 (50 where training inputs are cut off), one hidden layer
100 and 150 for its training, weights of ±0.03 200, of ±3 300, good initialisations 600 and 650.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
import torch
import torch.nn.functional as F
import xarray as xr

from thalweg import figures, schema
from thalweg.figures import theme as themes
from thalweg.landscapes import SinesData, SumOfSines, mlp, sines_data
from thalweg.measures import (
    descend,
    extrapolation,
    gradient_statistics,
    initialize,
    linearize,
    model_fit,
    track_tangent,
)
from thalweg.problem import ModuleProblem
from thalweg.problem.examples import Diverged

BATCH = 32
OWN = "PyTorch's own"
SEEDS = {OWN: (100, 150), "uniform(0.03)": (200, 250), "uniform(3)": (300, 350)}
GOOD_SEEDS = (600, 650)
SCHEMES = {
    OWN: "as PyTorch draws it",
    "uniform(0.03)": "uniform, ±0.03",
    "uniform(3)": "uniform, ±3",
    "he_uniform": "He, uniform",
    "he_normal": "He, normal",
    "xavier_uniform": "Xavier, uniform",
    "lecun_normal": "LeCun, normal",
    "orthogonal": "orthogonal",
}
OPTIMIZERS: dict[str, Callable[[list[torch.Tensor], float], torch.optim.Optimizer]] = {
    "SGD with momentum 0.9": lambda w, rate: torch.optim.SGD(w, lr=rate, momentum=0.9),
    "SGD": lambda w, rate: torch.optim.SGD(w, lr=rate),
    "Adam": lambda w, rate: torch.optim.Adam(w, lr=rate),
}


@dataclass(frozen=True)
class Setting:
    """A network, how it is drawn and how it is trained.

    Attributes
    ----------
    depth, width
        Hidden layers, and units in each.
    scheme
        Of the weights, one of `SCHEMES`; biases begin at zero but for PyTorch's own.
    optimizer, learning_rate, epochs
        One of `OPTIMIZERS`; mini-batches of 32.
    upper
        Where training inputs end, `U(-1, upper)`; those of the test reach 1.
    output_only
        Train the output layer alone.
    num_train
        Training examples.

    Examples
    --------
    >>> Setting().steps, Setting(depth=4, scheme="uniform(3)").seeds
    (468, (300, 350))
    """

    depth: int = 1
    width: int = 20
    scheme: str = OWN
    optimizer: str = "SGD with momentum 0.9"
    learning_rate: float = 0.1
    epochs: int = 10
    upper: float = 1.0
    output_only: bool = False
    num_train: int = 1500

    @property
    def steps(self) -> int:
        """Updates: as many whole mini-batches as the epochs hold examples for."""
        return self.num_train * self.epochs // BATCH

    @property
    def seeds(self) -> tuple[int, int]:
        """Of the weights and of the order of the examples."""
        return SEEDS.get(self.scheme, GOOD_SEEDS)

    @property
    def name(self) -> str:
        """In a line."""
        layers = "one hidden layer" if self.depth == 1 else f"{self.depth} hidden layers"
        cut = f", trained on x < {self.upper:g}" if self.upper < 1 else ""
        return f"{layers} of {self.width}, {SCHEMES[self.scheme]}{cut}{', output layer only' * self.output_only}"


class Trained(NamedTuple):
    """A problem at its first weights, the descent from there, its fit to the data, and both tangents.

    `after` is None where the weights at the end are not finite, and `said` says so.
    """

    setting: Setting
    data: SinesData
    problem: ModuleProblem
    run: xr.Dataset
    fit: xr.Dataset
    before: xr.Dataset
    after: xr.Dataset | None
    said: str


def data_of(setting: Setting) -> SinesData:
    """Training examples, test examples and the truth."""
    seed = 10 if setting.upper >= 1 else 50
    return sines_data(setting.num_train, train_range=(-1.0, setting.upper), seed=seed)


def latex(truth: SumOfSines) -> str:
    r"""The truth as a formula.

    Examples
    --------
    >>> latex(SumOfSines((0.5,), (2.0,), (1.0,)))
    '0.50 \\sin(2.00 x + 1.00)'
    """
    waves = zip(truth.amplitudes, truth.frequencies, truth.phases, strict=True)
    return " + ".join(rf"{a:.2f} \sin({w:.2f} x + {p:.2f})" for a, w, p in waves)


def data_figure(data: SinesData, theme: themes.Theme = "light") -> go.Figure:
    """Training examples among the truth."""
    look = themes.palette(theme)
    x, y = (v.numpy().ravel() for v in data.train)
    dots = go.Scatter(
        x=x, y=y, mode="markers", name="training examples", marker={"color": look.muted, "size": 5, "opacity": 0.55}
    )
    at = data.test.x.numpy().ravel()
    line = go.Scatter(x=at, y=data.truth(at), name="truth", line={"color": look.text, "width": 3, "dash": "dash"})
    layout = {"xaxis_title": "x", "yaxis_title": "y", "height": 420, "margin": {"t": 50, "b": 60, "l": 70, "r": 20}}
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    return go.Figure([dots, line]).update_layout(template=themes.template(theme), legend=legend, font_size=16, **layout)


def problem_of(setting: Setting) -> ModuleProblem:
    """The network as it is drawn, with its data.

    Examples
    --------
    >>> problem_of(Setting(depth=4, scheme="he_uniform")).num_weights
    1321
    """
    data, seed = data_of(setting), setting.seeds[0]
    model: Any = mlp([setting.width] * setting.depth, seed=seed)
    if setting.scheme != OWN:
        model = initialize(model, setting.scheme, seed)
    if setting.output_only:
        for layer in list(model)[:-1]:
            layer.requires_grad_(False)
    return ModuleProblem(model, data.train, loss=F.mse_loss, test_data=data.test)


def trained(setting: Setting, tick: Callable[[], Any] = lambda: None, *, kept: int = 60) -> Trained:
    """Train a network, keep about `kept` of its iterates, and linearise it before and after.

    Parameters
    ----------
    setting
        The network and its training.
    tick
        Called after every update.
    kept
        Iterates that are kept, for the history.

    Examples
    --------
    >>> found = trained(Setting(num_train=100, epochs=10))
    >>> found.run.sizes["step"], found.before.attrs["rank"] > 10, found.said
    (32, True, '')
    """
    data, problem = data_of(setting), problem_of(setting)
    run = descent(problem, setting, tick, every=max(1, setting.steps // kept))
    fit = model_fit(problem, run, data.train, inputs=data.test.x.numpy().ravel()[::2], truth=data.truth)
    before = linearize(problem)
    try:
        after, said = linearize(problem, theta=run["theta"].values[0, -1]), ""
    except Diverged as error:
        after, said = None, str(error)
    return Trained(setting, data, problem, run, fit, before, after, said)


def descent(problem: Any, setting: Setting, tick: Callable[[], Any] = lambda: None, every: int = 1) -> xr.Dataset:
    """The descent that a setting asks for, from where the problem stands: of a network or of its linearisation."""

    def optimizer(weights: list[torch.Tensor]) -> torch.optim.Optimizer:
        found = OPTIMIZERS[setting.optimizer](weights, setting.learning_rate)
        found.register_step_post_hook(lambda *_: tick())
        return found

    start = problem.theta[None]
    return descend(problem, start, optimizer, steps=setting.steps, batch_size=BATCH, seed=setting.seeds[1], every=every)


def largest_rate(problem: ModuleProblem) -> float:
    r"""The learning rate beyond which descent of the linearised model on all data diverges, $N / \sigma_1^2$.

    Examples
    --------
    >>> round(largest_rate(problem_of(Setting())), 2)
    0.17
    """
    return problem.num_examples / float(linearize(problem)["singular_value"][0]) ** 2


def errors(found: Trained) -> xr.Dataset:
    """Training and test error over the updates, as a training run that `figures.training` draws."""
    theta = found.run["theta"].values[0]
    losses = found.problem.measure(torch.as_tensor(theta)).values
    data = {
        "theta": (("step", "weight"), theta),
        "loss": ("step", losses["loss"].numpy(), {"long_name": "mean squared error"}),
        "test_loss": ("step", losses["test_loss"].numpy(), {"long_name": "mean squared error, test data"}),
        "learning_rate": found.run["learning_rate"],
    }
    attrs = {"kind": "trajectory", "title": f"Errors while it trained: {found.setting.name}"}
    return schema.check(xr.Dataset(data, {"step": found.run["step"]}, attrs))


def predictions(found: Trained) -> xr.Dataset:
    """Truth and prediction on the test inputs, after training."""
    test = found.data.test
    return extrapolation(found.problem, test.x, test.y, found.data.train.x, theta=found.run["theta"].values[0, -1])


def gradient_norms(setting: Setting) -> dict[str, float]:
    """The norm of the gradient of every weight matrix over all training examples, before training.

    Examples
    --------
    >>> norms = gradient_norms(Setting(depth=4, scheme="uniform(0.03)"))
    >>> list(norms), f"{norms['0.weight']:.1e}"
    (['0.weight', '2.weight', '4.weight', '6.weight', '8.weight'], '2.8e-06')
    """
    found = gradient_statistics(problem_of(setting), num_examples=8, num_cosines=0)
    pairs = zip(found["layer"].values.tolist(), found["norm"].values.tolist(), strict=True)
    return {name: norm for name, norm in pairs if name.endswith("weight")}


def tangents(found: Trained, frames: int = 18) -> xr.Dataset:
    """The tangent at some of the kept updates, kind `tangent_path`."""
    rows = np.unique(np.linspace(0, found.run.sizes["step"] - 1, frames).round().astype(int))
    return track_tangent(found.problem, found.run.isel(step=rows), 10, features=True, kernel_examples=100)


def tangent_at(path: xr.Dataset, step: float) -> xr.Dataset:
    """One step of a `tangent_path` as a `tangent` of 200 rows, whose features keep their signs from step to step."""
    here = path.sel(step=step, drop=True)
    along = np.argsort(here["x"].values)
    here = here.isel(row=along[np.linspace(0, along.size - 1, min(along.size, 200)).round().astype(int)])
    order = np.argsort(here["place"].values, kind="stable")
    features = here["principal_feature"].values[:, order]
    data: dict[str, Any] = {
        name: here[name] for name in ("singular_value", "prediction", "x", "target") if name in here
    }
    data["principal_feature"] = (("row", "value"), features)
    data["residual"] = xr.zeros_like(here["singular_value"])
    facts = {"kind": "tangent", "rank": int(here["rank"]), "rank_known": int(here["rank_known"])}
    return schema.check(xr.Dataset(data, attrs=path.attrs | facts | {"frobenius": float(here["frobenius"])}))


def tangent_film(path: xr.Dataset, title: str, theme: themes.Theme = "light") -> Any:
    """The three panels of the tangent at every step of a `tangent_path` but those that diverged."""

    def draw(whole: xr.Dataset, *, step: float, backend: Any, theme: themes.Theme) -> Any:
        told = f"{title}, update {step:,.0f}"
        return figures.tangent(tangent_at(whole, step), values=10, theme=theme, backend=backend, title=told)

    return figures.animate(draw, path.isel(step=~path["diverged"].values), theme=theme)


def final_error(found: Trained) -> float:
    """Mean squared error on the test inputs, inf or nan where it diverged."""
    at = torch.as_tensor(np.array(found.run["theta"].values[0, -1]))[None]
    return float(found.problem.measure(at).values["test_loss"][0])


def changed(setting: Setting, **changes: Any) -> Setting:
    """The same but for some choices."""
    return replace(setting, **changes)
