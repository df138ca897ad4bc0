"""Worked answers of the lab on linearisation: markdown from measurements that are made when an answer is opened.

Each takes `few`, changes of every setting: `num_train=200, epochs=3` for a quick look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg.apps.labs.sine_runs import (
    SCHEMES,
    Setting,
    changed,
    descent,
    final_error,
    gradient_norms,
    largest_rate,
    predictions,
    problem_of,
    trained,
)
from thalweg.apps.labs.tables import table
from thalweg.landscapes import mlp
from thalweg.measures import elbows, laziness, linearize
from thalweg.problem import LinearizedProblem

SHALLOW = Setting()
SMALL = Setting(depth=4, scheme="uniform(0.03)")
LARGE = Setting(depth=4, scheme="uniform(3)")
GOOD = Setting(depth=4, scheme="he_uniform")
SHARE = 0.01


def visible(tangent: xr.Dataset) -> int:
    """How many singular values are more than a hundredth of the largest."""
    values = tangent["singular_value"].values
    return int((values > SHARE * values[0]).sum())


def deep_network() -> str:
    """Layers, weights and outputs of four hidden layers of 20."""
    net = mlp([20] * 4)
    counts = [sum(p.numel() for p in layer.parameters()) for layer in net]
    sums = " + ".join(str(n) for n in counts if n)
    shape = tuple(net(torch.zeros(10, 1)).shape)
    return (
        f"`mlp([20] * 4)` is a sequence of **{len(net)} modules**, {sum(n > 0 for n in counts)} linear and "
        f"{sum(n == 0 for n in counts)} ReLUs between them. Each linear layer has inputs × units weights and a bias "
        f"for each unit: {sums} = **{sum(counts):,} weights**. Ten inputs give outputs of shape **{list(shape)}**."
    )


def first_gradients(**few: Any) -> str:
    """Norms of the gradient of each weight matrix, before training."""
    settings = [changed(s, **few) for s in (SMALL, LARGE, GOOD)]
    norms = [gradient_norms(s) for s in settings]
    rows = [[name, *(f"{n[name]:.3e}" for n in norms)] for name in norms[0]]
    spread = norms[1]["0.weight"] / norms[0]["0.weight"]
    return (
        table(["weight matrix", *(SCHEMES[s.scheme] for s in settings)], rows)
        + "\n\nA signal that passes a layer is multiplied by about the size of its weights times the root of the "
        "number of inputs, and so is the gradient on its way back. With five layers this factor enters five times: "
        "from "
        f"±0.03 to ±3 the gradient of the first layer grows by a factor of {spread:.1e}. With a fixed number of "
        "decimals the small ones would read 0.00000. They are not zero, but training has next to nothing to follow."
    )


def small_weights(**few: Any) -> str:
    """What a network of tiny weights learns."""
    found = trained(changed(SMALL, **few))
    told = predictions(found)
    spread = float(told["prediction"].max() - told["prediction"].min())
    before, after = found.before, found.after
    values = before["singular_value"].values
    printed = "\n".join(
        "    " + "  ".join(f"{v: .3e}" for v in row) for row in before["principal_feature"].values[:4, :2]
    )
    end = (
        "" if after is None else f"rank {after.attrs['rank']}, and the largest is {after.singular_value.values[0]:.4g}"
    )
    return (
        f"Its error on the test inputs is **{final_error(found):.3f}**; the truth itself has the variance "
        f"{float(told['target'].var()):.3f}, so that the best constant does as well. And a constant it is: over all "
        f"test inputs the prediction changes by {spread:.1e}.\n\n"
        f"Before training the Jacobian has rank {before.attrs['rank']}; the largest singular value is "
        f"{values[0]:.4g}, the next {values[1]:.2g}. The first feature is the bias of the output, the same at every "
        f"input. After training: {end}. The root of the number of examples is {np.sqrt(before.sizes['row']):.4g}: the "
        f"bias is all that learns.\n\nWhere a picture shows nothing, look at the numbers, here the first rows of the "
        f"features:\n\n{printed}"
    )


def large_weights(rates: Sequence[float] = (1e-1, 1e-3, 1e-5, 1e-6, 1e-7), **few: Any) -> str:
    """At which rates a network of huge weights diverges."""
    steepest = max(gradient_norms(changed(LARGE, **few)).values())
    rows, reached, variance = [], [], 0.0
    for rate in rates:
        found = trained(changed(LARGE, learning_rate=rate, **few))
        losses, error = found.run["loss"].values[0], final_error(found)
        lost = ~np.isfinite(losses)
        when = f"diverged by update {int(found.run['step'][int(lost.argmax())])}" if lost.any() else "stays finite"
        rows.append([f"{rate:.0e}", f"{losses[0]:,.0f}", f"{error:.3g}", when])
        reached += [error] if np.isfinite(error) else []
        variance = float(found.data.test.y.var(correction=0))
    best = f"The best error of those that survive is {min(reached):.3g}" if reached else "None survives"
    return (
        table(["learning rate", "loss before", "test error after", ""], rows)
        + f"\n\nBefore training, the gradient of one of the layers has the norm {steepest:,.0f}: a step of 0.1 throws "
        "the weights out of any region that they belong to, losses overflow, and from then on every number is nan. "
        "That "
        f"is reported, and nothing breaks. {best}; a constant would reach {variance:.3g}, the variance of the truth. "
        f"The "
        "remedy is the scale of the weights, not that of the steps."
    )


def good_weights(**few: Any) -> str:
    """Initialisations that look at the number of inputs."""
    settings = (LARGE, GOOD, changed(GOOD, scheme="xavier_uniform"), SHALLOW)
    return _compared(changed(s, **few) for s in settings) + (
        "\n\nHe draws from a variance of 2 / inputs, Xavier from 2 / (inputs + outputs): each layer then passes on a "
        "signal about as large as it came, however many layers there are. With zero biases a ReLU network of one input "
        "bends at zero only, so that the deep networks start from few features; trained, they have several times as "
        "many as the single layer."
    )


def out_of_range(upper: float = 0.4, **few: Any) -> str:
    """A network beyond its training inputs."""
    rows = []
    for setting in (changed(SHALLOW, upper=upper), changed(GOOD, upper=upper), GOOD):
        found = trained(changed(setting, **few))
        theta = torch.as_tensor(np.array(found.run["theta"].values[0, -1]))
        bends = [
            elbows(found.problem, theta, input_range=ends).sizes["elbow"] for ends in ((-1.0, upper), (upper, 1.0))
        ]
        errors = predictions(found)["mean_square_error"].values
        rest = f"{errors[1]:.4f}" if setting.upper < 1 else "(trained there)"
        seen = "" if found.after is None else f"{found.after.attrs['rank']} ({visible(found.after)})"
        rows.append([setting.name, f"{errors[0]:.4f}", rest, seen, *bends])
    head = ["network", "error inside", "error beyond", "rank (above 1%)", "elbows inside", f"beyond {upper:g}"]
    return table(head, rows) + (
        "\n\nWhere there were data, the deep network is about as good as if it had been trained on the whole range. "
        "Beyond them nothing has put the elbows where the truth bends: between elbows the network and all its "
        "features are straight lines, which go on as they went at the edge. The linearisation of the deep network has "
        "the same number of visible features as that of the deep network trained everywhere, about, and many more "
        "than the shallow one's; it is not for want of features that it fails, but because no example says how to "
        "combine them there."
    )


def widths(**few: Any) -> str:
    """Width, a second layer, and the output layer alone."""
    settings = [changed(SHALLOW, width=w) for w in (10, 20, 40)]
    settings += [changed(SHALLOW, depth=2), changed(SHALLOW, output_only=True)]
    return _compared(changed(s, **few) for s in settings) + (
        "\n\nEvery hidden unit brings an elbow, and features for it; more of them can be combined to a better fit, "
        "though not every unit is used. With the output layer alone the elbows stay where they were drawn: the "
        "outputs are linear in the weights that move, the tangent is the whole truth, its features do not change, and "
        "the fit is what a linear regression on them can reach."
    )


def _compared(settings: Iterable[Setting]) -> str:
    rows = []
    for setting in settings:
        found = trained(setting)
        before, after, lost = found.before, found.after, final_error(found)
        rows.append(
            [
                setting.name,
                f"{found.problem.num_weights:,}",
                f"{lost:.4f}" if np.isfinite(lost) else "diverged",
                f"{before.attrs['rank']} ({visible(before)})",
                "diverged" if after is None else f"{after.attrs['rank']} ({visible(after)})",
            ]
        )
    return table(["network", "weights", "test error", "rank before (values above 1%)", "after"], rows)


def lazy_run(width: int, share: float = 0.5, epochs: int = 40) -> xr.Dataset:
    """A network and its linearised model, trained on the same mini-batches, and how far they part.

    Parameters
    ----------
    width
        Units in the hidden layer.
    share
        Of the largest rate at which the linearised model does not diverge on all data.
    epochs
        Of plain gradient descent on 500 examples.
    """
    setting = Setting(width=width, optimizer="SGD", epochs=epochs, num_train=500)
    problem = problem_of(setting)
    setting = changed(setting, learning_rate=share * largest_rate(problem))
    every = max(1, setting.steps // 30)
    real = descent(problem, setting, every=every)
    linear = descent(LinearizedProblem(problem), setting, every=every)
    return laziness(problem, real, linear, kernel_examples=100)


def laziness_by_width(widths: Sequence[int] = (20, 100, 500), epochs: int = 40) -> str:
    """How far networks of several widths leave their tangents."""
    rows = []
    for width in widths:
        end = lazy_run(width, epochs=epochs).isel(step=-1)
        shares = [f"{float(end[name]):.1%}" for name in ("relative_distance", "relative_error")]
        losses = [f"{float(end[name]):.4f}" for name in ("loss", "trained_loss")]
        rows.append([width, *shares, *losses, f"{float(end['kernel_alignment']):.5f}"])
    head = ["width", "weights moved", "error of the tangent", "loss, network", "loss, linear model", "kernel as before"]
    return table(head, rows) + (
        "\n\nEach is trained at half of the largest rate that its linear model stands. The way of the weights is told "
        "relative to the length of the first weights, the error of the tangent relative to the change of the outputs. "
        "The wider the layer, the less each weight has to move, the longer the tangent holds, and the more the network "
        "trains as its linear model does: a generalised linear model of the features that were there before training."
    )


def orthogonal(**few: Any) -> str:
    """Whether V is orthogonal, and what that is good for."""
    tangent = linearize(problem_of(changed(SHALLOW, **few)), method="exact", vectors=True)
    right = tangent["right_vector"].values.astype(np.float64)
    k, m = right.shape
    rows, columns = (float(np.abs(a - np.eye(len(a))).max()) for a in (right @ right.T, right.T @ right))
    return (
        f"The Jacobian ({tangent.sizes['row']:,} × {m}) has rank {k}. Measured: the entries of $V^\\top V - I$ are at "
        f"most **{rows:.1e}**. The {k} columns of $V$ are orthonormal to rounding: along them distances are distances "
        f"of weights, "
        "and a step of gradient descent in the coordinates $V^\\top \\theta$ is the same step.\n\n"
        f"But $V V^\\top$ is no identity (entries of the difference up to {columns:.2f}): there are {m - k} further "
        "directions, along which no output changes to first order, and $V$ is an orthogonal square matrix only with "
        "these added. The claim holds for what it is used for: near its start the network is a generalised linear "
        "model of the "
        f"{k} features $U \\Sigma$, with the coefficients $V^\\top (\\theta - \\theta_0)$."
    )
