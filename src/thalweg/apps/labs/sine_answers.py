"""Worked answers of the lab on linearisation: markdown from measurements that are made when an answer is opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
import xarray as xr

from thalweg.apps.labs.sine_runs import (
    SCHEMES,
    Setting,
    Trained,
    changed,
    descent,
    final_error,
    gradient_norms,
    largest_rate,
    predictions,
    problem_of,
    trained,
)
from thalweg.landscapes import mlp
from thalweg.measures import laziness, linearize, principal_features_at
from thalweg.problem import LinearizedProblem

SHALLOW = Setting()
SMALL = Setting(depth=4, scheme="uniform(0.03)")
LARGE = Setting(depth=4, scheme="uniform(3)")
GOOD = Setting(depth=4, scheme="he_uniform")
SHARE = 0.01


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in markdown.

    Examples
    --------
    >>> print(table(["a", "b"], [[1, 0.25]]))
    | a | b |
    |:--|--:|
    | 1 | 0.25 |
    """
    rules = ["|:--" + "|--:" * (len(head) - 1) + "|"]
    return "\n".join(["| " + " | ".join(head) + " |", *rules, *("| " + " | ".join(map(str, r)) + " |" for r in rows)])


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
        f"{sum(n == 0 for n in counts)} ReLUs between them. Each linear layer has inputs × units weights and a bias for "
        f"each unit: {sums} = **{sum(counts):,} weights**. Ten inputs give outputs of shape **{list(shape)}**."
    )


def first_gradients(settings: Sequence[Setting] = (SMALL, LARGE, GOOD)) -> str:
    """Norms of the gradient of each weight matrix, before training."""
    norms = [gradient_norms(s) for s in settings]
    rows = [[name, *(f"{n[name]:.3e}" for n in norms)] for name in norms[0]]
    spread = norms[1]["0.weight"] / norms[0]["0.weight"]
    return (
        table(["weight matrix", *(SCHEMES[s.scheme] for s in settings)], rows)
        + "\n\nA signal that passes a layer is multiplied by about the size of its weights times the root of the number "
        "of inputs, and so is the gradient on its way back. With five layers this factor enters five times over: from "
        f"±0.03 to ±3 the gradient of the first layer grows by a factor of {spread:.1e}. Written with a fixed number of "
        "decimals the small ones would read 0.00000: they are small, not zero, and training has next to nothing to "
        "follow."
    )


def small_weights(setting: Setting = SMALL) -> str:
    """What a network of tiny weights learns."""
    found = trained(setting)
    told = predictions(found)
    spread = float(told["prediction"].max() - told["prediction"].min())
    truth = float(told["target"].var())
    before, after = found.before, found.after
    assert after is not None
    features = before["principal_feature"].values[:4]
    printed = "\n".join("    " + "  ".join(f"{v: .3e}" for v in row[:2]) for row in features)
    return (
        f"Its error on the test inputs is **{final_error(found):.3f}**. The truth itself has the variance {truth:.3f}: "
        "a constant would do as well. And a constant it is: over all test inputs the prediction changes by "
        f"{spread:.1e}.\n\n"
        f"Before training the Jacobian has rank {before.attrs['rank']}, and its singular values fall from "
        f"{float(before['singular_value'][0]):.3g} to {float(before['singular_value'][-1]):.3g}. The first feature is the "
        "same at every input (the bias of the output), and the rest is smaller by a factor of "
        f"{float(before['singular_value'][0] / before['singular_value'][1]):.0f} or more. After training the "
        f"rank is {after.attrs['rank']}, with the first singular value {float(after['singular_value'][0]):.4g} = the root "
        f"of the number of examples, {np.sqrt(before.sizes['row']):.4g}: only that bias has learned.\n\n"
        f"Where a picture shows nothing, look at the numbers. The first rows of the principal features:\n\n{printed}"
    )


def large_weights(setting: Setting = LARGE, rates: Sequence[float] = (1e-1, 1e-3, 1e-5, 1e-6, 1e-7)) -> str:
    """At which rates a network of huge weights diverges."""
    steepest = max(gradient_norms(setting).values())
    rows, reached, variance = [], [], 0.0
    for rate in rates:
        found = trained(changed(setting, learning_rate=rate))
        losses, error = found.run["loss"].values[0], final_error(found)
        lost = ~np.isfinite(losses)
        when = f"diverged by update {int(found.run['step'][int(lost.argmax())])}" if lost.any() else "stays finite"
        rows.append([f"{rate:.0e}", f"{losses[0]:,.0f}", f"{error:.3g}", when])
        reached += [error] if np.isfinite(error) else []
        variance = float(found.data.test.y.var(correction=0))
    best = f"The best error of those that survive is {min(reached):.3g}; " if reached else "None survives; "
    return (
        table(["learning rate", "loss before", "test error after", ""], rows)
        + f"\n\nBefore training, the gradient of one of the layers has the norm {steepest:,.0f}: a step of 0.1 throws the "
        "weights out of any region that they belong to, losses overflow, and from then on every number is nan. That is "
        f"reported, and nothing breaks. {best}a constant would reach {variance:.3g}, the variance of the truth. The remedy "
        "is the scale of the weights, not that of the steps."
    )


def good_weights(
    settings: Sequence[Setting] = (LARGE, GOOD, changed(GOOD, scheme="xavier_uniform"), SHALLOW),
) -> str:
    """Initialisations that look at the number of inputs."""
    return _compared(settings) + (
        "\n\nHe draws from a variance of 2 / inputs, Xavier from 2 / (inputs + outputs): each layer then passes on a "
        "signal about as large as it came, however many layers there are. The deep networks start from few features "
        "(with zero biases a ReLU network of one input bends at zero only) and end with several times as many as one hidden layer: depth "
        "bends its own bends."
    )


def out_of_range(upper: float = 0.4) -> str:
    """A network beyond its training inputs."""
    rows = []
    for setting in (changed(SHALLOW, upper=upper), changed(GOOD, upper=upper), GOOD):
        found = trained(setting)
        told = predictions(found)
        inside, outside = told["mean_square_error"].values
        beyond = "" if setting.upper >= 1 else f"{outside:.4f}"
        rest = _beyond(found) if setting.upper < 1 else ""
        rows.append(
            [setting.name, f"{inside:.4f}", beyond, visible(found.after) if found.after is not None else "", rest]
        )
    head = [
        "network",
        "error inside",
        "error beyond",
        f"values above {SHARE:.0%}",
        "how straight the features are beyond",
    ]
    return table(head, rows) + (
        "\n\nInside the range of its data the deep network is as good as ever. Beyond, the error is larger by orders of "
        "magnitude: no example has bent anything there. The last column is the share of the first five features' variation "
        "beyond the data that a straight line explains. A ReLU network is linear where it has no bends, and so are its "
        "features: it can only go on as it went at the edge."
    )


def _beyond(found: Trained) -> str:
    """R² of straight lines through the first features beyond the data."""
    x = torch.linspace(found.setting.upper + 0.1, 1.0, 40)[:, None]
    theta = found.run["theta"].values[0, -1]
    assert found.after is not None
    features = principal_features_at(found.after, found.problem, x, theta=theta)["principal_feature"].values[:, :5]
    fitted = np.polynomial.polynomial.polyfit(x.numpy().ravel(), features, 1)
    rest = features - np.polynomial.polynomial.polyval(x.numpy().ravel(), fitted).T
    return f"{1 - (rest**2).sum() / ((features - features.mean(0)) ** 2).sum():.1%}"


def widths(settings: Sequence[Setting] | None = None) -> str:
    """Width, a second layer, and the output layer alone."""
    some = [changed(SHALLOW, width=w) for w in (10, 20, 40)]
    return _compared(settings or [*some, changed(SHALLOW, depth=2), changed(SHALLOW, output_only=True)]) + (
        "\n\nEvery hidden unit brings a place where the network bends, and a feature for it; more of them can be "
        "combined to a better fit. With the output layer alone the hidden units stay where they were drawn: the "
        "tangent is then the whole truth (the outputs are linear in the weights that move), the features do not change, and "
        "the fit is what a linear regression on them can reach."
    )


def _compared(settings: Iterable[Setting]) -> str:
    rows = []
    for setting in settings:
        found = trained(setting)
        after = found.after
        ranks = ["diverged", ""] if after is None else [after.attrs["rank"], visible(after)]
        lost = final_error(found)
        rows.append(
            [
                setting.name,
                f"{found.problem.num_weights:,}",
                f"{lost:.4f}" if np.isfinite(lost) else "diverged",
                f"{found.before.attrs['rank']} ({visible(found.before)})",
                f"{ranks[0]} ({ranks[1]})" if ranks[1] != "" else ranks[0],
            ]
        )
    head = ["network", "weights", "test error", "rank before (above 1%)", "after"]
    return table(head, rows)


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


def laziness_by_width(widths: Sequence[int] = (20, 100, 500)) -> str:
    """How far networks of several widths leave their tangents."""
    runs = {width: lazy_run(width) for width in widths}
    rows = [
        [
            width,
            f"{float(lazy['relative_distance'][-1]):.1%}",
            f"{float(lazy['relative_error'][-1]):.1%}",
            f"{float(lazy['loss'][-1]):.4f}",
            f"{float(lazy['trained_loss'][-1]):.4f}",
            f"{float(lazy['kernel_alignment'][-1]):.5f}",
        ]
        for width, lazy in runs.items()
    ]
    head = [
        "width",
        "weights moved",
        "error of the tangent",
        "loss, network",
        "loss, linear model",
        "kernel like before",
    ]
    return table(head, rows) + (
        "\n\nEach is trained at half of the largest rate that its linear model stands. Distances are relative to the "
        "length of the first weights, the error of the tangent to the change of the outputs. The wider the layer, the less each weight has to move, the longer the tangent holds, and the more the "
        "network trains as its linear model does: a generalised linear model whose features are those you saw before "
        "training."
    )


def orthogonal(setting: Setting = SHALLOW) -> str:
    """Whether V is orthogonal, and what that is good for."""
    problem = problem_of(setting)
    tangent = linearize(problem, method="exact", vectors=True)
    right = tangent["right_vector"].values.astype(np.float64)
    product = right @ right.T
    worst = float(np.abs(product - np.eye(len(product))).max())
    k, m = right.shape
    projector = right.T @ right
    gap = float(np.abs(projector - np.eye(m)).max())
    return (
        f"The Jacobian ({tangent.sizes['row']:,} × {m}) has rank {k}. Measured: $\\max |V^\\top V - I|$ = **{worst:.1e}**. "
        f"The {k} columns of $V$ are orthonormal, to rounding: along them distances are distances of weights, and a step of "
        "gradient descent in the coordinates $V^\\top \\theta$ is the same step.\n\n"
        f"But $V V^\\top$ is no identity ($\\max |V V^\\top - I|$ = {gap:.2f}): there are {m - k} further directions, along "
        "which no output changes to first order. $V$ is orthogonal as a square matrix only if these are added. So the "
        "claim holds for what it is used for: near its start the network is a generalised linear model of the "
        f"{k} features $U \\Sigma$, with independent coefficients $V^\\top (\\theta - \\theta_0)$."
    )
