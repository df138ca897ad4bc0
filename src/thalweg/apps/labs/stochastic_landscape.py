# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""A stochastic landscape: what one example says, what all of them say, and what one would want to know."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="A stochastic landscape")


@app.cell
def _():
    from functools import cache

    import marimo as mo
    import numpy as np
    import torch

    import thalweg as tw
    from thalweg.apps.labs.plot import plot
    from thalweg.apps.labs.question import question
    from thalweg.apps.labs.running import pressed, quick, theme
    from thalweg.apps.widgets import Ball, RiskSteps
    from thalweg.landscapes import expected_risk, perceptron_data, perceptron_problem, reset_weights, solution_set

    torch.set_num_threads(1)
    return (
        Ball,
        RiskSteps,
        cache,
        expected_risk,
        mo,
        np,
        perceptron_data,
        perceptron_problem,
        plot,
        pressed,
        question,
        quick,
        reset_weights,
        solution_set,
        theme,
        torch,
        tw,
    )


@app.cell
def _(mo):
    mo.md(r"""
    # A stochastic landscape

    Someone measures $y = 2x + \varepsilon$ a hundred times, with $x$ evenly spread over $(-1, 1)$ and normal noise
    $\varepsilon$ of standard deviation 3, and fits the smallest network that has a hidden layer:

    $$ f(w; x) = w_1 \max(w_2\, x, 0). $$

    Three landscapes lie over the plane of its two weights. The **pointwise risk** is the squared error on one example:
    all that a step of stochastic descent gets to see. The **empirical risk** is the mean over the hundred: what
    training makes small. The **expected risk** is the mean over all examples that might still come: what one would
    want to make small, and cannot see.

    Move the slider, or press *Play*: each step follows the landscape of its own example. **Click on a map** (or use
    the arrow keys on it) to start somewhere else.
    """)
    return


@app.cell
def _(cache, expected_risk, perceptron_data, perceptron_problem, torch, tw):
    @cache
    def measured(linear, std, seed=0):
        """The problem, its plane, and the three risks on it."""
        data = perceptron_data(100, std=std, seed=seed)
        problem = perceptron_problem(data, linear=linear)
        plane = tw.coordinate_plane(problem)
        risk = tw.risk(
            problem,
            plane,
            extent=5.0,
            points=101,
            expected=lambda theta: expected_risk(theta, std=std, linear=linear),
            progress=False,
        )
        return problem, plane, risk, data

    OPTIMIZERS = {
        "SGD": lambda rate: lambda w: torch.optim.SGD(w, lr=rate),
        "SGD, momentum 0.9": lambda rate: lambda w: torch.optim.SGD(w, lr=rate, momentum=0.9),
        "Nesterov 0.9": lambda rate: lambda w: torch.optim.SGD(w, lr=rate, momentum=0.9, nesterov=True),
        "Adam": lambda rate: lambda w: torch.optim.Adam(w, lr=rate),
        "RMSprop": lambda rate: lambda w: torch.optim.RMSprop(w, lr=rate),
    }

    def walked(linear, std, start, optimizer="SGD", rate=0.01, epochs=1, shuffle=False, batch=1, seed=0):
        """Stochastic descent from one start or several, an example or a small batch at a time."""
        problem, plane, _, _ = measured(linear, std)
        steps = epochs * -(-100 // batch)
        starts = torch.as_tensor(start, dtype=torch.float64).reshape(-1, 2)
        made = OPTIMIZERS[optimizer](rate)
        found = tw.descend(
            problem, starts, made, steps=steps, batch_size=batch, shuffle=shuffle, seed=seed, progress=False
        )
        return tw.project_trajectory(found, plane)

    return OPTIMIZERS, measured, walked


@app.cell
def _(OPTIMIZERS, mo):
    model = mo.ui.dropdown({"w1·max(w2·x, 0)": False, "w1·w2·x": True}, "w1·max(w2·x, 0)", label="Network")
    std = mo.ui.slider(steps=[0.0, 0.5, 1.0, 2.0, 3.0, 4.5, 6.0], value=3.0, label="Noise in y", show_value=True)
    optimizer = mo.ui.dropdown(list(OPTIMIZERS), "SGD", label="Optimiser")
    rate = mo.ui.number(start=1e-4, stop=1.0, step=0.001, value=0.01, label="Learning rate")
    epochs = mo.ui.slider(start=1, stop=10, step=1, value=1, label="Epochs", show_value=True)
    batch = mo.ui.slider(steps=[1, 2, 5, 10, 25, 100], value=1, label="Batch", show_value=True)
    shuffle = mo.ui.checkbox(label="new order in each epoch")
    mo.hstack([model, std, optimizer, rate, epochs, batch, shuffle], justify="start", wrap=True)
    return batch, epochs, model, optimizer, rate, shuffle, std


@app.cell
def _(RiskSteps, measured, walked):
    _problem, _plane, _risk, _data = measured(False, 3.0)
    walk = RiskSteps(_risk, walked(False, 3.0, [3.0, -4.0]), examples=_data)
    walk
    return (walk,)


@app.cell
def _(batch, epochs, measured, model, optimizer, rate, shuffle, std, walk, walked):
    def _again(start):
        return walked(
            model.value,
            std.value,
            start,
            optimizer.value,
            rate.value,
            epochs.value,
            shuffle.value,
            batch.value,
        )

    _problem, _plane, _risk, _data = measured(model.value, std.value)
    walk.show(_risk, _again(list(walk.start)), examples=_data, again=_again)
    return


@app.cell
def _(measured, np, question, walked):
    def _answer():
        path = walked(False, 3.0, [3.0, -4.0]).isel(start=0)
        _, _, _, (x, y) = measured(False, 3.0)
        still = (np.abs(path.gradient.values[:-1]) == 0).all(-1)
        chosen = path.example.values[:-1].reshape(-1)
        positive = (x.numpy()[chosen] > 0) == (path.theta.values[:-1, 1] > 0)
        sizes = np.linalg.norm(path.gradient.values[:-1], axis=-1)
        largest = int(sizes.argmax())
        last = path.theta.values[-1]
        k = int(chosen[largest])
        return (
            f"{int(still.sum())} of 100 steps do not move at all: the example's input lies where max(w2·x, 0) is off. "
            "In "
            f"the other {int((~still).sum())} the sign of x is that of w2 ({int((positive == ~still).sum())} of 100 "
            "steps "
            f"agree). The longest arrow is at step {largest}, example {k} (x = {float(x[k]):.2f}, y = "
            f"{float(y[k]):.2f}).\n\n"
            f"After one pass the weights are w1 = {last[0]:.4f}, w2 = {last[1]:.4f}, with the product "
            f"{last.prod():.3f}; "
            f"the empirical risk went from {float(path.loss[0]):.2f} to {float(path.loss[-1]):.2f}, and it rose in "
            f"{int((np.diff(path.loss.values) > 0).sum())} of the steps: what is downhill for one example is uphill "
            "for "
            "others."
        )

    question(
        "**One example at a time.** Go through the first twenty steps. On some the ball does not move: which examples "
        "are "
        "these? Does every step lower the empirical risk? Which landscape does the arrow belong to, and on which do "
        "you "
        "judge it?",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 1. The expected risk on paper

    It depends on the weights only through the product $p = w_1 w_2$, and it is a parabola: $R = c_0 + c_1 p + c_2
    p^2$. What are the three numbers for the rectified network, with noise 3? (Hints: for which $x$ is the output
    $p\,x$, for which is it 0? What is the mean of $x^2$?)
    """)
    return


@app.cell
def _(mo):
    c0 = mo.ui.number(value=0.0, step=0.0001, label="c0")
    c1 = mo.ui.number(value=0.0, step=0.0001, label="c1")
    c2 = mo.ui.number(value=0.0, step=0.0001, label="c2")
    mo.hstack([c0, c1, c2], justify="start", wrap=True)
    return c0, c1, c2


@app.cell
def _(c0, c1, c2, expected_risk, mo, np):
    mo.stop(None in (c0.value, c1.value, c2.value), mo.md("Type a number into each of the three fields."))
    _products = np.array([-2.0, 0.0, 1.0, 4.0])
    _true = expected_risk(np.stack([np.ones(4), _products], -1))
    _yours = c0.value + c1.value * _products + c2.value * _products**2
    _off = float(np.abs(_yours - _true).max())
    _worst = int(np.abs(_yours - _true).argmax())
    mo.callout(
        mo.md(
            "**Right**, at p = −2, 0, 1 and 4."
            if _off < 2e-3
            else f"At p = {_products[_worst]:g} yours is {_yours[_worst]:.4f}, too "
            f"{'low' if _yours[_worst] < _true[_worst] else 'high'}."
        ),
        kind="success" if _off < 2e-3 else "neutral",
    )
    return


@app.cell
def _(expected_risk, np, perceptron_data, perceptron_problem, question, quick, torch):
    def _answer():
        products = np.array([-2.0, 0.0, 1.0, 2.0, 4.0])
        num = 20_000 if quick() else 200_000
        fresh = perceptron_problem(perceptron_data(num, seed=1))
        rows = []
        for p in products:
            theta = torch.tensor([1.0, p], dtype=torch.float64)
            each = fresh.losses(theta)
            error = float(each.std() / num**0.5)
            exact = float(expected_risk(theta))
            rows.append(f"| {p:g} | {exact:.4f} | {float(each.mean()):.3f} ± {error:.3f} |")
        fit = np.polyfit(products, [float(expected_risk(np.array([1.0, p]))) for p in products], 2)[::-1]
        line = np.polyfit(products, [float(expected_risk(np.array([1.0, p]), linear=True)) for p in products], 2)[::-1]
        return (
            "Half of the inputs have the sign of $w_2$; on these the output is $p\\,x$, on the others 0, and the mean "
            "of "
            "$x^2$ is 1/3 on either half. The noise adds its variance wherever one stands. So\n\n"
            "$$ R = 9 + \\tfrac12 \\cdot \\tfrac13 (2 - p)^2 + \\tfrac12 \\cdot \\tfrac13 \\cdot 2^2 "
            "= 9 + \\tfrac43 - \\tfrac23\\, p + \\tfrac16\\, p^2, $$\n\n"
            f"with c0 = {fit[0]:.4f}, c1 = {fit[1]:.4f}, c2 = {fit[2]:.4f}, for every sign of $w_2 \\ne 0$. For the "
            "linear "
            f"network $w_1 w_2 x$ both halves count: $R = 9 + \\tfrac13 (2 - p)^2$, so {line[0]:.4f}, {line[1]:.4f}, "
            f"{line[2]:.4f}. Against {num:,} fresh examples:\n\n| p | formula | fresh examples |\n|---|---|---|\n"
            + "\n".join(rows)
        )

    question(
        "**Derive it.** Work out the expected risk of the rectified network, and that of its linear twin. Type your "
        "coefficients above. Where is each least, and how low does it get?",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 2. What training finds is not what one wants
    """)
    return


@app.cell
def _(expected_risk, measured, np, question, theme, torch, tw):
    def _answer():
        rows, drawn = [], []
        for std in (0.0, 1.0, 3.0, 6.0):
            problem, _, risk, _ = measured(False, std)
            begins = [[1.0, 1.0], [-1.0, -1.0]]
            full = tw.descend(problem, begins, lambda w: torch.optim.SGD(w, lr=0.3), steps=150, progress=False)
            ends = full.theta.values[:, -1]
            better = int(full.loss.values[:, -1].argmin())
            excess = expected_risk(ends, std=std) - (std**2 + 2 / 3)
            rows.append(
                f"| {std:g} | {ends[0].prod():.3f} | {ends[1].prod():.3f} | w2 {'<' if better else '>'} 0 | "
                f"{excess[0]:.3f}, {excess[1]:.3f} |"
            )
            drawn.append(risk)
        return [
            "The expected risk is least where w1·w2 = 2, on two branches. The empirical risk, from a hundred examples, "
            "is "
            "least elsewhere; each branch sees only the half of the examples whose x has its sign of w2.\n\n"
            "| noise | product, w2 > 0 | product, w2 < 0 | deeper branch | expected risk above its least |\n"
            "|---|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nWithout noise both agree. With it, training ends where the noise of these examples leads it, "
            "however "
            "well it converges.",
            tw.figures.risk(drawn[2], theme=theme()),
        ]

    question(
        "**Two minima.** Compare the middle map with the right one. Where is the empirical risk least, where the "
        "expected "
        "one? Would a better optimiser bring them closer? Would less noise? Does it matter on which of the two "
        "branches "
        "one ends?",
        _answer,
    )
    return


@app.cell
def _(np, question, quick, walked):
    def _answer():
        rows = []
        for std in (0.0, 1.0, 3.0, 6.0):
            runs = [
                walked(False, std, [3.0, -4.0], rate=0.01, epochs=3, shuffle=True, seed=seed).isel(start=0)
                for seed in range(2 if quick() else 5)
            ]
            ends = np.array([run.theta.values[-1].prod() for run in runs])
            wobble = np.mean([np.std(run.theta.values[-100:].prod(-1)) for run in runs])
            rows.append(f"| {std:g} | {ends.min():.3f} to {ends.max():.3f} | {wobble:.3f} |")
        return (
            f"Three epochs at 0.01 from (3, −4), in {len(runs)} random order{'s' * (len(runs) > 1)} of the same "
            "examples:\n\n"
            "| noise | product at the end | its spread over the last epoch |\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nNoise in the data becomes noise in the path: at a solution the gradient of the mean vanishes, but "
            "those "
            "of the single examples do not, unless all that still pull can be fitted at once, as without noise. A "
            "fixed "
            "learning rate then keeps the ball moving for ever; it has to shrink, or the batch has to grow."
        )

    question(
        "**More noise.** Raise and lower the noise in the data. What does it do to the pointwise maps, to the length "
        "of "
        "the arrows near the valley, to where the path ends? When does the path come to rest at all?",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 3. Longer, and otherwise
    """)
    return


@app.cell
def _(measured, np, plot, question, theme, tw, walked):
    def _answer():
        path = walked(False, 3.0, [3.0, -4.0], rate=0.01, epochs=10)
        run = path.isel(start=0)
        ends = run.isel(step=slice(0, None, 100))
        rows = []
        for k in (0, 1, 2, 3, 5, 10):
            w, value = ends.theta.values[k], float(ends.loss[k])
            over = run.theta.values[max(0, 100 * k - 99) : 100 * k + 1].prod(-1).mean()
            rows.append(
                f"| {k} | ({w[0]:.3f}, {w[1]:.3f}) | {w.prod():.3f} | {over:.3f} | {value:.3f} | "
                f"{w[1] ** 2 - w[0] ** 2:.3f} |"
            )
        product = run.theta.values[-100:].prod(-1)
        return [
            "| epochs | weights | w1·w2 | mean of w1·w2 over the epoch | empirical risk | w2² − w1² |\n"
            "|---|---|---|---|---|---|\n" + "\n".join(rows),
            f"The first epoch gains {float(ends.loss[0] - ends.loss[1]):.2f}; after that the risk at the ends of "
            "epochs "
            f"changes by {float(np.ptp(ends.loss.values[1:])):.2f} in all, up as well as down. Always in the same "
            "order, "
            "every epoch "
            f"ends with the same examples, so the product goes round and round, from {product.min():.2f} to "
            f"{product.max():.2f} in the last epoch.",
            "What does go on is a slow walk *along* the valley: w2² − w1², which descent on all the data would nearly "
            "keep, "
            "shrinks epoch by epoch. The pull of the examples to and fro is weaker where the valley is wide, at equal "
            "weights, and so the ball creeps there. This is the slow part of the convergence.",
            tw.figures.descent(path, theme=theme(), title="Ten epochs of single examples"),
        ]

    question(
        "**More epochs.** One pass through the data leads into the valley. What do the next nine add? Raise the "
        "learning "
        "rate instead: how far can one go?",
        _answer,
    )
    return


@app.cell
def _(OPTIMIZERS, np, question, walked):
    def _answer():
        rows = []
        for name in OPTIMIZERS:
            for rate in (0.01, 0.1):
                path = walked(False, 3.0, [3.0, -4.0], name, rate, epochs=2).isel(start=0)
                loss = path.loss.values
                there = np.flatnonzero(loss <= 9.2)
                first = int(there[0]) if there.size else None
                end = f"{loss[-1]:.3f}" if np.isfinite(loss[-1]) and loss[-1] < 1e3 else "diverged"
                wobble = f"{np.std(loss[-100:]):.3f}" if end != "diverged" else ""
                rows.append(f"| {name} | {rate:g} | {first if first is not None else 'never'} | {end} | {wobble} |")
        return (
            "From (3, −4), two epochs:\n\n| optimiser | learning rate | first step below 9.2 | risk at the end | "
            "spread in the last epoch |\n|---|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nMomentum of 0.9 makes the effective step ten times as long; from a start as steep as this one "
            "single "
            "large examples can then throw the ball out for good. Adam takes steps of about the learning rate whatever "
            "the slope, which is safe far out, slow if the rate is small, and restless in the valley. None of them "
            "sees more than one example at a "
            "time, and none can end closer to the expected minimum than the data allow."
        )

    question(
        "**Another optimiser.** Switch to momentum, then to Adam, with the learning rate as it is. Which of them is of "
        "use "
        "here, where the trouble is not a narrow valley but disagreement among the examples? Which survives the start "
        "(3, −4)?",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 4. The linear twin

    Leave the rectifier out, $f = w_1 w_2 x$, and start beside the saddle: choose the network `w1·w2·x` above, a
    learning rate of 0.05, ten epochs, and the start (2, −1.9).
    """)
    return


@app.cell
def _(measured, np, question, quick, theme, tw, walked):
    def _answer():
        path = walked(True, 3.0, [2.0, -1.9], rate=0.05, epochs=10)
        _, _, risk, _ = measured(True, 3.0)
        run = path.isel(start=0)
        moved = np.abs(run.gradient.values[:-1]).sum(-1) > 0
        to_saddle = np.linalg.norm(run.theta.values, axis=-1)
        closest = int(to_saddle.argmin())
        last = run.theta.values[-1]
        steps = [0, 1, 2, 40, 400] if quick() else [*range(5), *range(40, 1000, 40)]
        return [
            f"Now every example moves the ball ({int(moved.sum())} of {moved.size} steps): nothing is ever off. The "
            "pointwise "
            "maps are hyperbolas on both sides, and the two branches, w2 > 0 and w2 < 0, see the same hundred "
            "examples: "
            "the empirical risk has become symmetric under changing both signs, as the expected one.\n\n"
            f"From (2, −1.9) the path comes as close as {to_saddle[closest]:.2f} to the saddle at step {closest}, and "
            "ends at "
            f"({last[0]:.3f}, {last[1]:.3f}), with the product {last.prod():.3f} and a risk of "
            f"{float(run.loss[-1]):.3f}. The "
            "expected risk, $9 + \\tfrac13 (2 - p)^2$, can reach 9 here, while the rectified network must leave half "
            "of "
            "the inputs unexplained: 9⅔.",
            tw.figures.animate(tw.figures.risk, risk, descent=path, steps=steps, theme=theme()),
        ]

    question(
        "**Without the rectifier.** What changes in the pointwise maps, in the empirical one, in the expected one? "
        "Which "
        "symmetry is there now? Follow the path from (2, −1.9) past the saddle.",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 5. Pathological starts, and saddles

    Here is the expected risk itself, with the ball on it: full gradients, no examples.
    """)
    return


@app.cell
def _(mo):
    which = mo.ui.radio(["rectified", "linear"], value="rectified", inline=True, label="Network")
    which
    return (which,)


@app.cell
def _(Ball, expected_risk, solution_set, torch, tw):
    def population(linear):
        """The expected risk as a problem of its own."""
        return tw.FunctionProblem(lambda w1, w2: expected_risk(torch.stack([w1, w2], -1), linear=linear))

    def valley():
        """Where the product is 2."""
        return {"w1·w2 = 2": [2**0.5 * branch for branch in solution_set(extent=3.5).values()]}

    ball = Ball(
        population(False),
        5.0,
        start=[2.0, -1.5],
        learning_rate=0.05,
        steps=200,
        curves=valley(),
        formula="R(w1, w2), rectified",
    )
    ball
    return ball, population, valley


@app.cell
def _(ball, population, valley, which):
    ball.show(population(which.value == "linear"), 5.0, curves=valley(), formula=f"R(w1, w2), {which.value}")
    return


@app.cell
def _(np, question, quick, reset_weights, walked):
    def _answer():
        starts = {
            "both 0": [0.0, 0.0],
            "w1 = 0": [0.0, 1.0],
            "w2 = 0": [1.0, 0.0],
            "equal": [0.5, 0.5],
            "opposite": [0.5, -0.5],
            "tiny, by chance": list(reset_weights(seed=0)),
            "far": [3.0, -4.0],
            "far, equal": [4.0, 4.0],
        }
        runs = [
            walked(linear, 3.0, list(starts.values()), rate=0.05, epochs=2 if quick() else 6)
            for linear in (False, True)
        ]

        def told(run):
            moved, end = float(np.abs(run.theta.values - run.theta.values[0]).max()), run.theta.values[-1] + 0.0
            if moved == 0:
                return "never moves"
            if not np.isfinite(end).all():
                return "diverges"
            return f"({end[0]:.2f}, {end[1]:.2f}), risk {float(run.loss[-1]):.3f}"

        rows = [
            f"| {name}: ({start[0]:.3g}, {start[1]:.3g}) | " + " | ".join(told(run.isel(start=k)) for run in runs) + " "
            "|"
            for k, (name, start) in enumerate(starts.items())
        ]
        return (
            f"{2 if quick() else 6} epochs of single examples at 0.05:\n\n| start | rectified | linear "
            "|\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nAt (0, 0) the gradient of *every* example is zero, for both networks: the randomness of the "
            "examples "
            "cannot help where each of them is silent. With w2 = 0 the rectified network is silent for all w1, because "
            "the slope of the kink is taken to be 0 there: the line absorbs, while the linear twin walks on. Opposite "
            "weights are drawn into the saddle: an example pulls w1 in proportion to w2, and w2 in proportion to w1, "
            "so "
            "w1 = −w2 stays so at every step. Equal weights stay equal for the same reason; there that does no harm."
        )

    question(
        "**Bad places to start.** Try (0, 0), a start with w1 = 0, one with w2 = 0, two equal weights, two opposite "
        "ones; "
        "for both networks. Which of them never move? Why can the randomness of the examples not help these?",
        _answer,
    )
    return


@app.cell
def _(np, population, question, torch, tw, walked):
    def _answer():
        told = []
        for linear in (False, True):
            problem = population(linear)
            found = tw.critical_points(problem, tw.coordinate_plane(problem), extent=5.0, points=61)
            for k in np.flatnonzero(found.type.values == found.type.attrs["names"].index("saddle")):
                at = f"({float(found.alpha[k]) + 0.0:.3f}, {float(found.beta[k]) + 0.0:.3f})"
                values = ", ".join(f"{float(v):.3f}" for v in found.eigenvalue[k])
                told.append(f"{'linear' if linear else 'rectified'}: {at} with the eigenvalues {values}")
        line = np.array([0.5, 1.0, 2.0])
        on_it, beside = np.stack([line, -line], -1), np.stack([line + 1e-3, -line], -1)

        def left(path):
            return int((np.linalg.norm(path.theta.values[:, -1], axis=-1) > 0.5).sum())

        problem = population(True)

        def full(**options):
            made = lambda w: torch.optim.SGD(w, lr=0.05)  # noqa: E731
            return tw.descend(problem, on_it, made, steps=400, progress=False, **options)

        rows = [
            ("all examples that could come, on the line", full()),
            ("the same, noise in every gradient", full(noise=0.1)),
            ("one example at a time, on the line", walked(True, 3.0, on_it, rate=0.05, epochs=4)),
            ("one example at a time, 0.001 beside it", walked(True, 3.0, beside, rate=0.05, epochs=4)),
        ]
        return (
            f"Saddles of the expected risks: {'; '.join(told)}. For the linear network, of six starts along w1 = −w2, "
            "after "
            "four hundred steps of 0.05 so many have left the saddle behind:\n\n| gradient of | left |\n|---|---|\n"
            + "\n".join(f"| {name} | {left(path)} of 3 |" for name, path in rows)
            + "\n\nStochastic descent evades saddles where its noise has a part along the way out. Here symmetry "
            "forbids "
            "that: the noise of the examples points along the line w1 = −w2, never across it, and only a start beside "
            "the "
            "line, or noise of another kind, gets away. The rectified network has besides a whole line, w2 = 0, on "
            "which no example has a gradient, so that stochastic descent stays there. (The formula of its expected "
            "risk goes on across this line, and a ball that follows the formula does move.)"
        )

    question(
        "**Saddles.** Where are the saddles of the two expected risks, and what are their curvatures? It is said that "
        "stochastic descent evades saddles. Put the start of the linear twin exactly on the line w1 = −w2 in the first "
        "instrument and see.",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 6. The film, and a slide

    The first instrument is the film to be moved by hand. Press the button for a figure that can be saved: the maps
    at every tenth step, and the empirical risk with the whole path.
    """)
    return


@app.cell
def _(mo):
    make = mo.ui.run_button(label="Make film and slide")
    make
    return (make,)


@app.cell
def _(make, measured, mo, plot, pressed, quick, theme, tw, walk):
    mo.stop(not pressed(make), mo.md("*Press the button; it takes some seconds.*"))
    _, _, _risk, _ = measured(False, 3.0)
    _path = walk.descent
    _film = tw.figures.animate(
        tw.figures.risk, _risk, descent=_path, steps=range(0, 101, 50 if quick() else 10), theme=theme()
    )
    _slide = tw.figures.risk(_risk, descent=_path, backend="matplotlib", theme=theme())
    mo.vstack([plot(_film), _slide])
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## Further

    Minima that are wide and minima that are narrow, and optimisers that look for the former (sharpness-aware
    minimisation, Foret et al. 2021, arXiv:2010.01412): `tw.sharpness`, `tw.worst_case_sharpness`. Surfaces of real
    networks and what normalisation does to their looks (Li et al. 2018, arXiv:1712.09913): the lab *Loss surfaces of
    real networks*.
    """)
    return


if __name__ == "__main__":
    app.run()
