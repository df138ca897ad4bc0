# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Multiplying by one: the smallest deep network, seen whole."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Multiplying by one")


@app.cell
def _():
    from functools import cache

    import marimo as mo
    import numpy as np
    import torch
    import torch.nn.functional as F

    import thalweg as tw
    from thalweg.apps.labs.plot import plot
    from thalweg.apps.labs.question import question
    from thalweg.apps.labs.running import pressed, quick, theme
    from thalweg.apps.widgets import Ball
    from thalweg.landscapes import (
        autoencoder_gradient,
        autoencoder_hessian,
        conserved,
        digits,
        landscape,
        multiply_by_one,
        multiply_by_one_problem,
        rescale,
        shuffle_labels,
        small_cnn,
    )

    torch.set_num_threads(1)
    return (
        Ball,
        F,
        autoencoder_gradient,
        autoencoder_hessian,
        cache,
        conserved,
        digits,
        landscape,
        mo,
        multiply_by_one,
        multiply_by_one_problem,
        np,
        plot,
        pressed,
        question,
        quick,
        rescale,
        shuffle_labels,
        small_cnn,
        theme,
        torch,
        tw,
    )


@app.cell
def _(landscape, torch, tw):
    land = landscape("multiply-by-one")
    problem = land.problem()
    plane = tw.coordinate_plane(problem)
    surface = tw.gradient_field(problem, plane, extent=2.0, points=101)
    circle = tw.random_starts(50, seed=117)

    def sgd(lr, **options):
        return lambda w: torch.optim.SGD(w, lr=lr, **options)

    return circle, land, plane, problem, sgd, surface


@app.cell
def _(mo):
    mo.md(r"""
    # Multiplying by one

    A network need not be large to be deep. This one has a single unit in each layer and nothing between them:

    $$ f(\theta; x) = t_K \cdots t_2\, t_1\, x. $$

    Its task is to return what it is given, so it has to learn to multiply by one. With two weights, the squared error
    and the single input $x = 1$, the loss is

    $$ L(t_1, t_2) = (1 - t_1 t_2)^2 = 1 - 2\, t_1 t_2 + t_1^2 t_2^2, $$

    a function of two numbers: all of it fits in a picture. Linear networks like this one are a standard case of theory
    (Saxe, McClelland and Ganguli 2014, arXiv:1312.6120): the function that they compute is linear, the way that they
    learn is not.

    Below is the landscape with a ball on it. **Drag the ball**, or move it with the arrow keys, or type where it should
    start. Python makes the steps of the optimiser that you choose. *Keep this path* lets a path stay for comparison.
    """)
    return


@app.cell
def _(Ball, land):
    ball = Ball.on(land, start=[1.6, -0.9], clip=10.0)
    ball
    return (ball,)


@app.cell
def _(mo):
    mo.md(r"""
    ## 1. What the network computes, and what it is told

    The output is $f(\theta; 1) = t_1 t_2$; the loss asks how far it is from 1. Choose what is drawn.
    """)
    return


@app.cell
def _(mo):
    shown = mo.ui.dropdown(
        {"loss": "loss", "output f(θ; 1)": "output", "length of the gradient": "gradient_norm"}, "loss", label="Height"
    )
    arrows = mo.ui.checkbox(label="negative gradient, every fourth grid point")
    near = mo.ui.slider(
        start=0.05, stop=2.0, step=0.05, value=0.5, label="mark where the height is below", include_input=True
    )
    mark = mo.ui.checkbox(label="mark")
    space = mo.ui.checkbox(label="in space")
    mo.hstack([shown, space, arrows, mark, near], justify="start", wrap=True)
    return arrows, mark, near, shown, space


@app.cell
def _(arrows, land, mark, near, plot, shown, space, surface, theme, tw):
    _marked = tw.below(surface, shown.value, near.value) if mark.value else surface
    _draw = tw.figures.surface if space.value else tw.figures.contour
    plot(
        _draw(
            _marked,
            shown.value,
            curves=land.solutions,
            clip=10.0 if shown.value == "loss" else "auto",
            field=4 if arrows.value else False,
            region=f"below_{shown.value}" if mark.value else None,
            log=False,
            theme=theme(),
        )
    )
    return


@app.cell
def _(land, np, plane, problem, question, surface, theme, tw):
    def _answer():
        found = tw.critical_points(problem, plane, extent=2.0, points=61)
        saddle = found.isel(point=found.type == 1)
        level = tw.below(surface, "gradient_norm", 0.5).below_gradient_norm.attrs
        values = ", ".join(f"{float(v):.4g}" for v in saddle.eigenvalue.values.ravel())
        edge = float(np.ptp(surface.output.values[0]))
        return [
            "The output is a saddle by itself, t1·t2: along any line parallel to an axis it is straight (along the "
            "left "
            f"edge it runs through {edge:.3g} in even steps). Its level lines are hyperbolas, and the loss inherits "
            "them: it is low along the level 1, which has **two** branches.",
            f"The gradient vanishes on both branches, and at {saddle.sizes['point']} further point, the origin: a "
            "saddle "
            f"with loss {float(saddle.loss[0]):.3g}, where the Hessian has the eigenvalues {values}.",
            f"The gradient is shorter than 0.5 on {100 * level['share']:.0f}% of the picture, in {level['components']} "
            "regions: the two valleys and the surroundings of the saddle. A short gradient alone does not tell a "
            "solution from a saddle.",
            tw.figures.contour(
                tw.below(surface, "gradient_norm", 0.5),
                "loss",
                region="below_gradient_norm",
                field=4,
                curves=land.solutions,
                critical=saddle,
                clip=10.0,
                theme=theme(),
            ),
        ]

    question(
        "**Where does the slope vanish?** Look at the output first, then at the loss, then at the length of the "
        "gradient. "
        "At how many places, or along which curves, is there no way down? Are they all solutions? Mark where the "
        "gradient is short, and compare.",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 2. The gradient by hand

    Multiply out, differentiate, and write down $\partial L / \partial t_1$ and $\partial L / \partial t_2$. Then try
    your formula: choose a place, work out two numbers, and let them be checked.
    """)
    return


@app.cell
def _(mo):
    t1 = mo.ui.number(value=2.0, step=0.1, label="t1")
    t2 = mo.ui.number(value=5.0, step=0.1, label="t2")
    g1 = mo.ui.number(value=0.0, step=0.1, label="your ∂L/∂t1")
    g2 = mo.ui.number(value=0.0, step=0.1, label="your ∂L/∂t2")
    mo.hstack([t1, t2, g1, g2], justify="start", wrap=True)
    return g1, g2, t1, t2


@app.cell
def _(g1, g2, mo, np, problem, t1, t2, torch):
    mo.stop(None in (t1.value, t2.value, g1.value, g2.value), mo.md("Type a number into each of the four fields."))
    _true = problem.gradient(torch.tensor([t1.value, t2.value], dtype=torch.float64)).numpy()
    _off = float(np.abs(_true - [g1.value, g2.value]).max())
    _right = _off <= 1e-6 * max(1.0, float(np.abs(_true).max()))
    _said = f"At ({t1.value:g}, {t2.value:g}) the product is {t1.value * t2.value:g}. "
    mo.callout(
        mo.md(
            _said
            + (
                "**Both numbers are right.**"
                if _right
                else f"Your numbers differ from automatic differentiation by up to {_off:.4g}."
            )
        ),
        kind="success" if _right else "neutral",
    )
    return


@app.cell
def _(autoencoder_gradient, problem, question, torch, tw):
    def _answer():
        spots = torch.tensor([[2.0, 5.0], [-2.0, 5.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
        by_hand, automatic = autoencoder_gradient(spots, [1.0]), problem.gradient(spots)
        rows = "\n".join(
            f"| ({t[0]:g}, {t[1]:g}) | {float(t.prod()) + 0.0:g} | ({h[0] + 0.0:g}, {h[1] + 0.0:g}) | "
            f"({a[0] + 0.0:g}, {a[1] + 0.0:g}) |"
            for t, h, a in zip(spots, by_hand, automatic, strict=True)
        )
        grid = tw.grid_starts(2.0, 201)
        apart = float((autoencoder_gradient(grid, [1.0]) - problem.gradient(grid)).abs().max())
        return (
            "With $p = t_1 t_2$ the chain rule gives $\\nabla L = -2\\,[t_2 (1 - p),\\ t_1 (1 - p)]$.\n\n"
            "| place | product | by hand | automatic |\n|---|---|---|---|\n"
            f"{rows}\n\nOn a grid of 201 × 201 places the two differ by at most {apart:.1g}. Both components carry the "
            "factor $1 - p$, so they vanish together on the whole hyperbola; elsewhere only where $t_1 = t_2 = 0$. Far "
            "out the gradient grows with the third power of the distance: a step that is fine near a solution is much "
            "too long there."
        )

    question(
        "**Hand against machine.** Check your formula where the product of the weights is 10 and where it is −10. "
        "Which "
        "factor do both components share, and what does it say about where the gradient vanishes? Try a place far out: "
        "how far would a step of the usual learning rate go from there? (Set the ball's start to a corner of its map, "
        "and see.)",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 3. Descent from everywhere

    In the instrument above, choose *a grid of starts*, then *a circle of starts*. The grid here is finer.
    """)
    return


@app.cell
def _(mo):
    rate = mo.ui.dropdown({"0.001": 0.001, "0.01": 0.01, "0.1": 0.1}, "0.1", label="Learning rate")
    count = mo.ui.slider(start=10, stop=300, step=10, value=100, label="Steps", include_input=True)
    source = mo.ui.radio(["51 × 51 grid", "50 on the unit circle"], value="50 on the unit circle", inline=True)
    mo.hstack([source, rate, count], justify="start", wrap=True)
    return count, rate, source


@app.cell
def _(circle, count, land, plane, problem, rate, sgd, source, tw):
    _starts = circle if source.value.startswith("50") else tw.grid_starts(2.0, 51)
    paths = tw.descend(problem, _starts, sgd(rate.value), steps=count.value, progress=False)
    paths = tw.project_trajectory(tw.outcomes(paths, problem, branches=land.branches, side=land.side), plane)
    return (paths,)


@app.cell
def _(land, mo, paths, plot, surface, theme, tw):
    def _drawn(draw):
        return plot(draw(surface, "loss", descent=paths, curves=land.solutions, clip=10.0, theme=theme()))

    mo.ui.tabs(
        {
            "On the map": _drawn(tw.figures.contour),
            "Loss by step": plot(tw.figures.descent(paths, theme=theme())),
            "In space": mo.lazy(lambda: _drawn(tw.figures.surface)),
        }
    )
    return


@app.cell
def _(land, np, problem, question, sgd, tw):
    def _answer():
        grid = tw.grid_starts(2.0, 51)
        slow = tw.descend(problem, grid, sgd(1e-3), steps=100, progress=False)
        gone = 1 - slow.loss.values[:, -1] / np.maximum(slow.loss.values[:, 0], 1e-12)
        radius = np.linalg.norm(slow.theta.values[:, 0], axis=-1)
        inner, outer = (float(np.median(gone[chosen])) for chosen in (radius < 0.7, radius > 2.2))
        far = tw.outcomes(
            tw.descend(problem, grid, sgd(0.1), steps=300, progress=False),
            problem,
            branches=land.branches,
            side=land.side,
        )
        counts = np.bincount(far.outcome, minlength=len(far.outcome.attrs["names"]))
        ends = ", ".join(f"{n} on the {name}" for n, name in zip(counts, far.outcome.attrs["names"], strict=True) if n)
        on_saddle = far.isel(start=np.array([far.outcome.attrs["kinds"][k] == "saddle" for k in far.outcome.values]))
        sums = np.abs(on_saddle.theta.values[:, 0].sum(-1)).max()
        return (
            "A hundred steps of 0.001 move little. Of the starts far out (distance beyond 2.2) the typical one loses "
            f"{100 * outer:.0f}% of its loss; of those near the middle (within 0.7), {100 * inner:.1f}%: the gradient "
            "is "
            f"short around the saddle.\n\nWith steps of 0.1 and 300 of them, of {grid.shape[0] * grid.shape[1]:,} "
            "starts "
            f"end: {ends}. Those on the saddle all start on the line t1 = −t2 (their sums are {sums:.1g}): it is the "
            "only way into it, a line without width. The two halves of the square beside that line belong to one "
            "branch "
            "each, because the sign of t1 + t2 decides."
        )

    question(
        "**Who ends where?** Find the line that parts the starts that reach the one branch from those that reach the "
        "other. What happens to a ball exactly on it, and just beside it? With very small steps, some places make much "
        "less progress than others: which, and why?",
        _answer,
    )
    return


@app.cell
def _(circle, land, np, problem, question, sgd, theme, tw):
    def _answer():
        found = tw.outcomes(
            tw.descend(problem, circle, sgd(0.1), steps=100, progress=False),
            problem,
            branches=land.branches,
            side=land.side,
        )
        longest = int(found.plateau.values.argmax())
        start = found.theta.values[longest, 0]
        waited = found.plateau.values
        to_line = np.abs(found.theta.values[:, 0].sum(-1)) / 2**0.5
        order = np.argsort(to_line)
        near, far = waited[order[:10]].mean(), waited[order[-10:]].mean()
        angles = -np.pi / 4 + 0.1 ** np.arange(1, 6)
        closer = np.stack([np.cos(angles), np.sin(angles)], -1)
        waits = (tw.descend(problem, closer, sgd(0.1), steps=100, progress=False).loss.values > 0.5).sum(axis=1)
        return [
            f"The longest plateau lasts {int(waited.max())} steps, from ({start[0]:.3f}, {start[1]:.3f}), which is "
            f"{to_line[longest]:.3f} from the line t1 = −t2. The ten starts nearest to that line wait {near:.1f} "
            f"steps on average, the ten farthest {far:.1f}.",
            "Starts 0.1, 0.01, 0.001, ... from the line have a loss above 0.5 for "
            + ", ".join(map(str, waits))
            + f" steps: every tenth of the distance costs about {np.diff(waits)[1:].mean():.1f} steps more. Near the "
            "origin the distance grows by the factor 1 + 2·0.1 at each step, and log 10 / log 1.2 is "
            f"{np.log(10) / np.log(1.2):.1f}. A plateau is the time that a small distance takes to become a large "
            "one; to double it, square the distance.",
            tw.figures.descent(found, theme=theme(), title="Fifty starts on the unit circle"),
        ]

    question(
        "**Plateaus.** From the unit circle, some losses hardly move for many steps and then fall. Find the starts "
        "with "
        "the longest wait with the ball. What do they have in common? How much closer must one start to double the "
        "wait?",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 4. Two branches, and the hill between them
    """)
    return


@app.cell
def _(mo):
    across = mo.ui.slider(
        start=0.5, stop=2.0, step=0.05, value=1.0, label="from (a, 1/a) to (−a, −1/a): a", include_input=True
    )
    across
    return (across,)


@app.cell
def _(across, plot, problem, theme, tw):
    _a = across.value
    _along = tw.loss_along(problem, tw.Segment([_a, 1 / _a], [-_a, -1 / _a]))
    plot(tw.figures.profile(_along, theme=theme(), title="Straight from one branch to the other"))
    return


@app.cell
def _(circle, land, np, problem, question, sgd, tw):
    def _answer():
        pairs = [([a, 1 / a], [-b, -1 / b]) for a in (0.5, 1.0, 2.0) for b in (0.5, 1.0, 2.0)]
        barriers = [float(tw.loss_barrier(tw.loss_along(problem, tw.Segment(*pair))).barrier[0]) for pair in pairs]
        rows = []
        for noise in (0.0, 0.5, 1.0, 1.5):
            run = tw.descend(problem, circle, sgd(0.1), steps=300, noise=noise, seed=0, progress=False)
            run = tw.outcomes(run, problem, side=land.side, settle=300)
            sides = land.side(run.theta.values[:, 50:].reshape(-1, 2)).reshape(50, -1)
            late = int((np.diff(sides, axis=1) != 0).sum())
            crossed = int((run.crossings > 0).sum())
            rows.append(f"| {noise:g} | {crossed} of 50 | {int(run.crossings.sum())} | {late} |")
        return (
            f"Straight segments between the branches rise by {min(barriers):.3g} to {max(barriers):.3g}. A product "
            "that goes from one pair of signs to the other passes through 0 somewhere, where the loss is 1: so "
            "**every** path between the branches has to climb to 1 at least, and the segment through the saddle climbs "
            "no higher.\n\nCrossings of the line t1 = −t2 in 300 steps of 0.1 from the unit circle, with normal noise "
            "in every gradient:\n\n| noise | paths that crossed | crossings | of these after step 50 |\n"
            "|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nWithout noise none crosses. The claim that descent does not cross *even with noise* holds for small "
            "noise only. Strong noise makes a few paths cross, while they are still near the saddle; once they are in "
            "a "
            "valley, its walls push back what the noise pushes out."
        )

    question(
        "**Can one get across?** How high is the hill between the branches, along the lowest way? Give the ball noise "
        "in "
        "its gradient and see whether it ever changes sides. It is often said that descent never crosses, even with "
        "noise: is that so? (Move the ball a little to draw the noise for another start.)",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 5. A symmetry, and what it conserves

    Make the one weight $a$ times as large and the other $a$ times as small: the output stays. So from one solution one
    gets them all on its branch.
    """)
    return


@app.cell
def _(mo):
    factor = mo.ui.slider(start=0.3, stop=3.0, step=0.05, value=1.5, label="a", include_input=True)
    factor
    return (factor,)


@app.cell
def _(autoencoder_hessian, factor, mo, np, problem, rescale, torch):
    _point = rescale(torch.tensor([0.7, 1.3], dtype=torch.float64), factor.value)
    _solution = rescale(torch.tensor([1.0, 1.0], dtype=torch.float64), factor.value)
    _steep = float(np.linalg.eigvalsh(autoencoder_hessian(_solution, [1.0]).numpy())[-1])
    mo.md(
        f"(0.7, 1.3) becomes ({_point[0]:.3f}, {_point[1]:.3f}), and its loss is {float(problem.loss(_point)):.4f} as "
        f"before. The solution (1, 1) becomes ({_solution[0]:.3f}, {_solution[1]:.3f}), with loss "
        f"{float(problem.loss(_solution)):.1g}; its sharpest curvature is **{_steep:.3f}**, so that steps beyond "
        f"2/{_steep:.3f} = **{2 / _steep:.3f}** do not stay there."
    )
    return


@app.cell
def _(conserved, np, problem, question, sgd, torch, tw):
    def _answer():
        rows = []
        for rate in (0.1, 0.03, 0.01, 0.003):
            one = tw.descend(problem, [[1.8, 0.3]], sgd(rate), steps=round(2 / rate), progress=False)
            value = conserved(torch.as_tensor(one.theta.values[0])).numpy()[:, 0]
            rows.append((rate, float(np.ptp(value))))
        table = "\n".join(f"| {rate:g} | {drift:.2e} |" for rate, drift in rows)
        power = np.polyfit(*np.log(np.array(rows)).T, 1)[0]
        return (
            "The flow moves t1 at the rate 2 t2 (1 − p) and t2 at 2 t1 (1 − p), so t1² and t2² grow alike, and "
            "$t_1^2 - t_2^2$ stays: paths are arcs of hyperbolas, and where one starts decides *which* solution is "
            "found. Steps of a finite length keep it only nearly. From (1.8, 0.3), over the same time:\n\n"
            f"| learning rate | drift of t1² − t2² |\n|---|---|\n{table}\n\n"
            f"The drift goes with the learning rate to the power {power:.2f}."
        )

    question(
        "**What stays?** Small steps from one start: which combination of t1 and t2 does not change along the way? "
        "(Think "
        "of the symmetry.) Follow the ball from (1.8, 0.3) with a learning rate of 0.1, then 0.01 with more steps. How "
        "does the deviation shrink with the rate?",
        _answer,
    )
    return


@app.cell
def _(autoencoder_hessian, np, problem, question, rescale, sgd, torch, tw):
    def _answer():
        told = []
        for a in (1.0, 1.5, 2.0):
            at = rescale(torch.tensor([1.0, 1.0], dtype=torch.float64), a)
            steep = float(np.linalg.eigvalsh(autoencoder_hessian(at, [1.0]).numpy())[-1])
            ends = []
            for rate in (0.95 * 2 / steep, 1.05 * 2 / steep):
                run = tw.descend(problem, [(at + 1e-3).tolist()], sgd(rate), steps=200, progress=False)
                ends.append(float(np.linalg.norm(run.theta.values[0, -1] - at.numpy())))
            told.append(
                f"| ({at[0]:.3g}, {at[1]:.3g}) | {steep:.4g} | {2 / steep:.4g} | {ends[0]:.2g} | {ends[1]:.2g} |"
            )
        return (
            "Across the valley the curvature at a solution is $2 (t_1^2 + t_2^2)$, least at (1, 1) and larger the more "
            "unequal the weights are. Beside it by a thousandth, after 200 steps that are 5% shorter, or 5% longer, "
            "than "
            "2/curvature, the ball is this far from it:\n\n"
            "| solution | curvature | 2/curvature | shorter steps | longer steps |\n|---|---|---|---|---|\n"
            + "\n".join(told)
            + "\n\nAll solutions have the same loss and compute the same function; they differ in sharpness, and long "
            "steps reject the sharp ones. So sharpness belongs to the weights and not to the function."
        )

    question(
        "**All solutions are equal, or are they?** Put the ball next to (1, 1) and next to (2, 0.5). Raise the "
        "learning "
        "rate: at which rate does it leave the one, at which the other? Where does it go?",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 6. Deeper products, more data, and a kink

    $K$ weights, each the same at first, $t_k = t$.
    """)
    return


@app.cell
def _(mo):
    depth = mo.ui.slider(start=2, stop=8, step=1, value=3, label="Depth up to", include_input=True)
    begin = mo.ui.slider(start=0.2, stop=1.4, step=0.05, value=0.4, label="Start t", include_input=True)
    pace = mo.ui.slider(start=0.01, stop=0.2, step=0.01, value=0.05, label="Learning rate", include_input=True)
    mo.hstack([depth, begin, pace], justify="start", wrap=True)
    return begin, depth, pace


@app.cell
def _(begin, depth, mo, multiply_by_one_problem, np, pace, plot, sgd, theme, tw):
    _told = []
    for _k in range(2, depth.value + 1):
        _run = tw.descend(
            multiply_by_one_problem(_k), np.full((1, _k), begin.value), sgd(pace.value), steps=400, progress=False
        )
        _loss = _run.loss.values[0]
        _told.append(f"| {_k} | {_loss[0]:.4g} | {int((_loss > 0.01).sum()) if _loss[-1] <= 0.01 else '> 400'} |")
    mo.vstack(
        [
            plot(
                tw.figures.descent(
                    tw.descend(
                        multiply_by_one_problem(depth.value),
                        begin.value * (1 + 0.1 * np.linspace(-1, 1, 9))[:, None] * np.ones(depth.value),
                        sgd(pace.value),
                        steps=400,
                        progress=False,
                    ),
                    theme=theme(),
                    title=f"Depth {depth.value}: nine starts, t within 10% of {begin.value:g}",
                )
            ),
            mo.md("| depth | loss at the start | steps to a loss of 0.01 |\n|---|---|---|\n" + "\n".join(_told)),
        ]
    )
    return


@app.cell
def _(autoencoder_hessian, multiply_by_one_problem, np, question, sgd, torch, tw):
    def _answer():
        rows = []
        for k in (2, 3, 4, 5, 6):
            both = np.array([[0.3] * k, [1.3] * k])
            run = tw.descend(multiply_by_one_problem(k), both, sgd(0.05), steps=300, progress=False)
            told = []
            for loss in run.loss.values:
                settled = f"{int((loss > 0.01).sum())}" if loss[-1] <= 0.01 else "not within 300"
                told.append(settled if np.isfinite(loss).all() else "diverges")
            rows.append(f"| {k} | {told[0]} | {told[1]} |")
        flat = [float(np.abs(autoencoder_hessian(torch.zeros(k).double(), [1.0]).numpy()).max()) for k in (2, 3, 4)]
        signs = {k: 2 ** (k - 1) for k in (2, 3, 4, 6)}
        return (
            "Steps at a learning rate of 0.05 until the loss is below 0.01:\n\n"
            "| depth | from t = 0.3 | from t = 1.3 |\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nAn entry of the gradient is a product of all *other* weights: below 1 more factors make it smaller, "
            "above 1 larger. Depth makes flat places flatter and steep places steeper.\n\nAt the origin the largest "
            f"entry of the Hessian is {flat[0]:g} for two weights, {flat[1]:g} for three and {flat[2]:g} for four: "
            "beyond "
            "two the saddle is flat to second order. The push away from it vanishes faster than the distance, and the "
            "wait is no logarithm any more.\n\nA product of K weights is 1 only if an even number of them is "
            "negative, and no weight can change its sign without passing 0: "
            + ", ".join(f"{n} separate branches for K = {k}" for k, n in signs.items())
            + ". Each is connected in itself, with K − 1 dimensions, and none with another."
        )

    question(
        "**Depth.** Start all weights at 0.3 and make the product longer. What happens to the plateau, and why? And "
        "above 1, at 1.3? How many separate branches of solutions does a product of K weights have?",
        _answer,
    )
    return


@app.cell
def _(mo):
    activation = mo.ui.dropdown(["identity", "relu", "tanh"], "relu", label="Between the layers")
    inputs = mo.ui.dropdown(
        {"x = 1": (1.0,), "x = 1 and −1": (1.0, -1.0), "x = 0.5, 1 and 2": (0.5, 1.0, 2.0)},
        "x = 1 and −1",
        label="Data",
    )
    mo.hstack([activation, inputs], justify="start", wrap=True)
    return activation, inputs


@app.cell
def _(Ball, multiply_by_one):
    bent = Ball.on(multiply_by_one((1.0, -1.0), "relu"), start=[0.8, -1.2], clip=10.0)
    bent
    return (bent,)


@app.cell
def _(activation, bent, inputs, multiply_by_one):
    _land = multiply_by_one(inputs.value, activation.value)
    bent.show(
        _land.problem(),
        _land.extent,
        curves=_land.solutions,
        names=_land.coordinates,
        formula=_land.formula,
        clip=10.0,
    )
    return


@app.cell
def _(multiply_by_one, np, question, torch):
    def _answer():
        grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 81)] * 2, indexing="ij"), -1).reshape(-1, 2)
        grid = torch.as_tensor(grid)
        one = multiply_by_one((1.0,)).problem().loss(grid)
        three = multiply_by_one((0.5, 1.0, 2.0)).problem().loss(grid)
        ratio = (three / one)[one > 1e-9]
        kinked = multiply_by_one((1.0, -1.0), "relu").problem()
        least = float(kinked.loss(grid).min())
        single = multiply_by_one((1.0,), "relu").problem()
        dead = grid[:, 0] < 0
        slope = float(single.gradient(grid[dead]).abs().max())
        return (
            f"For the linear network, three inputs only stretch the loss: their ratio is {float(ratio.min()):.4g} "
            f"everywhere (to {float(ratio.max() - ratio.min()):.1g}), the mean of x². Same valleys, another step "
            "length.\n\n"
            "With max(0, ·) between the layers and the inputs 1 and −1, one of the two is always silenced: no weights "
            f"return both, and the least loss is {least:.3g}. With the single input 1 the half plane t1 < 0 is dead: "
            "the "
            f"unit is off, and the largest gradient there is {slope:g}. A ball put there never moves, and the branch "
            "with two negative weights is gone: the sign symmetry does not hold for a rectified unit. The rescaling by "
            "a > 0 does."
        )

    question(
        "**More data, and a rectifier.** Does the landscape of the *linear* network change with more inputs? Then put "
        "a "
        "rectifier between the layers: which solutions vanish, which symmetry is left, and where does the ball not "
        "move "
        "at all?",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 7. Other optimisers, other rates

    Put the ball at (1.02, −0.98), just beside the line that leads to the saddle. Keep the path of gradient descent,
    then try momentum, Nesterov's momentum and Adam from the same place.
    """)
    return


@app.cell
def _(land, np, plane, problem, question, sgd, surface, theme, torch, tw):
    def _answer():
        start = [[1.02, -0.98]]
        kinds = {
            "gradient descent": sgd(0.05),
            "momentum 0.9": sgd(0.05, momentum=0.9),
            "Nesterov 0.9": sgd(0.05, momentum=0.9, nesterov=True),
            "Adam": lambda w: torch.optim.Adam(w, lr=0.05),
            "RMSprop": lambda w: torch.optim.RMSprop(w, lr=0.05),
        }
        runs = {name: tw.descend(problem, start, make, steps=300, progress=False) for name, make in kinds.items()}
        rows = []
        for name, run in runs.items():
            there = int(np.flatnonzero(run.loss.values[0] > 0.01)[-1]) + 1
            end = run.theta.values[0, -1]
            rows.append(f"| {name} | {there if there <= 300 else '> 300'} | ({end[0]:.3f}, {end[1]:.3f}) |")
        some = [tw.project_trajectory(runs[name], plane) for name in ("gradient descent", "momentum 0.9", "Adam")]
        return [
            "All with a learning rate of 0.05, from (1.02, −0.98), until the loss stays below 0.01:\n\n"
            "| optimiser | steps | ends at |\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nThey reach different solutions: what gradient descent nearly conserves, momentum does not. It "
            "gathers "
            "speed along the little slope that there is, and then has to get rid of it. Adam, which is said to help on "
            "plateaus, is slow here: it scales every *weight* by itself, but the way into this saddle and the way out "
            "have equal shares in both weights, so that it cannot tell them apart.",
            tw.figures.contour(
                surface,
                "loss",
                descent=some,
                curves=land.solutions,
                clip=10.0,
                theme=theme(),
                title="From beside the line",
            ),
        ]

    question(
        "**Which optimiser leaves the plateau first?** And do they all end at the same solution? Say what you expect "
        "of "
        "momentum and of Adam near a saddle before you look.",
        _answer,
    )
    return


@app.cell
def _(np, problem, question, sgd, theme, torch, tw):
    def _answer():
        def cyclic(optimizer):
            return torch.optim.lr_scheduler.CyclicLR(optimizer, 0.02, 0.6, step_size_up=10, cycle_momentum=False)

        start = [[1.02, -0.98]]
        plans = {f"constant {rate:g}": (rate, None) for rate in (0.02, 0.1, 0.31, 0.6)}
        plans["cyclical, 0.02 to 0.6"] = (0.02, cyclic)
        runs = {
            name: tw.descend(problem, start, sgd(rate), steps=300, scheduler=scheduler, progress=False)
            for name, (rate, scheduler) in plans.items()
        }
        rows = []
        for name, run in runs.items():
            loss = run.loss.values[0]
            low, last = np.flatnonzero(loss <= 0.3), int(np.flatnonzero(~(loss <= 0.01))[-1]) + 1
            rows.append(f"| {name} | {low[0] if low.size else 'never'} | {last if last <= 300 else '> 300'} |")
        return [
            "| learning rate | steps until the loss is below 0.3 | until it stays below 0.01 |\n|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nOn the plateau the distance to the line grows by 1 + 2η at each step, so what counts is the sum of "
            "log(1 + 2η): a cycle does much of its work while the rate is high. A constant rate that is as high never "
            "settles, because even the flattest solution, (1, 1), holds steps below 0.5 only; the few such steps of a "
            "cycle are made good by the others. Its fair rival is the constant rate of the same mean, 0.31. A cycle "
            "helps who does not know the right rate; who knows it has nothing to gain.",
            tw.figures.descent(runs["cyclical, 0.02 to 0.6"], theme=theme()),
        ]

    question(
        "**Up and down with the learning rate.** Would it help on a plateau to raise the learning rate and lower it "
        "again, over and over? Against which constant rate should one compare? Try several with the ball first.",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 8. A task that nothing can be learned from

    A network may also return what it should not: *memorise*. Permute the labels of real digits among the images. No
    rule connects them any more; whoever fits them has learned them by heart (Zhang et al. 2017, arXiv:1611.03530).
    The other famous way to puzzle a network are adversarial examples: small changes of an image that change the
    answer. Here, the labels.
    """)
    return


@app.cell
def _(mo):
    images = mo.ui.slider(start=100, stop=600, step=50, value=300, label="Images", include_input=True)
    share = mo.ui.slider(start=0.0, stop=1.0, step=0.25, value=1.0, label="Share permuted", include_input=True)
    train_now = mo.ui.run_button(label="Train on true and on permuted labels")
    mo.hstack([images, share, train_now], justify="start", wrap=True)
    return images, share, train_now


@app.cell
def _(F, cache, digits, quick, shuffle_labels, small_cnn, torch, tw):
    @cache
    def trained(num, share):
        """Adam on `num` digits, of which a share has permuted labels: accuracies along the way."""
        (pixels, labels), test = digits()
        model = small_cnn(seed=0)
        data = (pixels[:num], shuffle_labels(labels[:num], seed=0, fraction=share))
        problem = tw.ModuleProblem(model, data, loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test)
        steps = 120 if quick() else 800
        run = tw.descend(
            problem,
            problem.theta.unsqueeze(0),
            lambda w: torch.optim.Adam(w, lr=3e-3),
            steps=steps,
            batch_size=50,
            every=steps // 20,
            progress=False,
        )
        return run, problem.measure(torch.as_tensor(run.theta.values[0])).values

    return (trained,)


@app.cell
def _(images, mo, np, plot, pressed, quick, share, theme, train_now, trained, tw):
    mo.stop(not pressed(train_now), mo.md("*Press the button; it takes some seconds.*"))
    _num = 100 if quick() else images.value
    _told, _plots = [], {}
    for _name, _share in (("true labels", 0.0), ("permuted labels", share.value)):
        _run, _values = trained(_num, _share)
        _told.append(
            f"| {_name} | {float(_values['loss'][-1]):.3f} | {100 * float(_values['accuracy'][-1]):.0f}% | "
            f"{100 * float(_values['test_accuracy'][-1]):.0f}% |"
        )
        _plots[_name] = plot(tw.figures.descent(_run, theme=theme(), title=f"{_num} digits, {_name}"))
    mo.vstack(
        [
            mo.md(
                "| trained on | training loss | training accuracy | test accuracy |\n|---|---|---|---|\n"
                + "\n".join(_told)
            ),
            mo.ui.tabs(_plots),
        ]
    )
    return


@app.cell
def _(np, question, quick, trained):
    def _answer():
        rows = []
        for share in (0.0, 1.0):
            run, values = trained(100 if quick() else 300, share)
            accuracy = values["accuracy"].numpy()
            learned = np.flatnonzero(accuracy >= 0.95)
            when = int(run.step[learned[0]]) if learned.size else None
            rows.append(
                f"| {100 * share:.0f}% | {100 * accuracy[-1]:.0f}% | {100 * float(values['test_accuracy'][-1]):.0f}% | "
                f"{when if when is not None else 'not yet'} |"
            )
        return (
            "| permuted | training accuracy | test accuracy | steps to 95% |\n|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n\nThe same network, the same optimiser: it fits both. The training loss can go to zero on labels "
            "without a rule, it only takes longer; on new images, the answers are then worth no more than a guess. So "
            "a "
            "low training loss says nothing by itself, and what keeps networks from memorising true labels is not that "
            "they could not."
        )

    question(
        "**Memory or rule?** Will the network fit permuted labels at all? How much longer does it take, and how well "
        "does "
        "it do on new images? What would you conclude from a low training loss alone?",
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## Further

    How far solutions of rectified networks are connected: Freeman and Bruna 2017 (arXiv:1611.01540). Optima of real
    networks joined by low paths: Garipov et al. 2018 (arXiv:1802.10026), `tw.connect`. How to find critical points
    that are not minima: Frye et al. 2019 (arXiv:1901.10603), `tw.critical_points`.
    """)
    return


if __name__ == "__main__":
    app.run()
