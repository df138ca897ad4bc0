# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Calculus for descent: gradients as linear approximations, fits by hand and by descent, nine surfaces, graphs."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Calculus for descent")


@app.cell
def _():
    import marimo as mo
    import numpy as np
    import torch

    import thalweg as tw
    from thalweg.apps.labs.formula import Formula
    from thalweg.apps.labs.plot import Plot, page, plot
    from thalweg.apps.labs.question import question
    from thalweg.apps.labs.running import pressed, quick, theme
    from thalweg.apps.labs.tables import table, told
    from thalweg.apps.widgets import Ball, HandFit, Tangent, usual_tasks
    from thalweg.landscapes import FUNCTIONS, landscape

    look = theme()
    return (
        Ball,
        FUNCTIONS,
        Formula,
        HandFit,
        Plot,
        Tangent,
        landscape,
        look,
        mo,
        np,
        page,
        plot,
        pressed,
        question,
        quick,
        table,
        told,
        torch,
        tw,
        usual_tasks,
    )


@app.cell
def _(mo):
    mo.md(r"""
    # Calculus for descent

    A network is trained by asking, over and over: if I change the weights a little, how does the loss change? This lab
    is about that question. Move things, guess, and only then open the answers: they are computed when you open them.

    Sliders obey the arrow keys (with Shift ten times as far), and beside each of them an exact number can be typed.

    ## 1. A gradient is a best linear approximation

    Near a point $x$, a differentiable function is almost its tangent:

    $$ f(x + \varepsilon) = f(x) + f'(x)\,\varepsilon + o(|\varepsilon|). $$

    The last term is the **error** of the tangent. It may be large, but it vanishes faster than $\varepsilon$ does.
    Drag the grey point $x$, where the tangent touches, and the red point $x + \varepsilon$, where you want to know $f$.
    """)
    return


@app.cell
def _(mo):
    own = mo.ui.text(value="x * sin(4*x)", label="A function of your own, of x:", debounce=True)
    return (own,)


@app.cell
def _(FUNCTIONS, Formula, Tangent, mo, own):
    try:
        _functions, _refused = {**FUNCTIONS, "own": Formula(own.value)}, ""
    except ValueError as _error:
        _functions, _refused = dict(FUNCTIONS), str(_error)
    tangent = Tangent(_functions)
    mo.vstack([tangent, own, mo.md(_refused)])
    return


@app.cell
def _(FUNCTIONS, look, np, plot, question, table, torch, tw):
    def _answer():
        cos = FUNCTIONS["cos"]
        rows = []
        for name, at in (("hill top", 0.0), ("valley floor", 1.0), ("steepest place", 0.5)):
            found = tw.linear_approximation(cos, at, [0.1, 0.2, 0.4])
            rows.append([name, at, float(found.slope[0]), *found.error.values])
        where = np.linspace(-1, 1, 201)
        near = [np.abs(tw.linear_approximation(cos, where, sign * 0.2).error.values) for sign in (1, -1)]
        best = sorted({abs(float(x)) for x in where[np.maximum(*near) <= 1.0001 * np.maximum(*near).min()]})
        starts = [[0.0], [0.01], [1.0], [1.3]]
        paths = tw.descend(cos.problem(), starts, lambda w: torch.optim.SGD(w, lr=0.05), steps=60)
        ends = [[f"x = {a[0]:g}", float(b)] for a, b in zip(starts, paths.theta.values[:, -1, 0], strict=True)]
        return [
            table(["", "x", "slope", "error at ε = 0.1", "ε = 0.2", "ε = 0.4"], rows),
            "At both the slope is 0, so the tangent is level and says: nothing changes. Doubling ε makes the error "
            "about four times as large. On the hill the tangent lies above the function (a positive error), in the "
            "valley just as far below it: the two differ in sign and in nothing else, and the slope alone cannot "
            "tell them apart.",
            "Descent follows the slope, so at both it stays where it is. But the hill is a place to fall off from:",
            table(["start", "after 60 steps of rate 0.05"], ends),
            f"Of all places the tangent is best, for |ε| ≤ 0.2, at |x| = {best[0]:.2f}: there the curve bends to "
            "neither side (the second derivative is 0), and the error grows only like ε³.",
            plot(tw.figures.linear_approximation(tw.linear_approximation(cos, 0.5, 0.4, name="cos(π·x)"), theme=look)),
        ]

    question(
        r"""
        **Tops and floors.** Choose $\cos(\pi x)$ and put $x$ on a top of the curve. What does the tangent claim there,
        and how does the error grow as you move $x + \varepsilon$ away? Now do the same in a trough. What is the same,
        what is different, and could you tell the two apart from the slope alone? What would gradient descent do if it
        began exactly there, or a hair beside? And where on this curve would you put $x$ if the tangent is to be good
        as far as possible?
        """,
        _answer,
    )
    return


@app.cell
def _(FUNCTIONS, question, table, torch, tw):
    def _answer():
        exp = FUNCTIONS["exp"]
        rows = []
        for at in (0.5, -0.5):
            found = tw.linear_approximation(exp, at, -at)
            theta = torch.tensor([at], dtype=torch.float64)
            bend = float(exp.problem().hvp(theta, torch.ones(1, dtype=torch.float64)))
            rows.append([f"{at:g} → 0", float(found.error[0]), bend, -bend * at**2 / 2])
        ratio = rows[0][1] / rows[1][1]
        return [
            table(["from x to x + ε", "error", "second derivative at x", "−½ · second derivative · ε²"], rows),
            f"The step is equally long, yet from the right the error is {ratio:.2f} times that from the left. The "
            "curve bends more on the right. For small steps the error is nearly −½ f″(x) ε²: the tangent is good "
            "where the curvature is small, and bad where it is large. What is left over comes from how the curvature "
            "itself changes on the way.",
        ]

    question(
        r"""
        **The same goal from two sides.** Choose $e^x$. Predict $f(0)$ once from $x = 0.5$ and once from $x = -0.5$ (put
        $x + \varepsilon$ on 0). Which prediction is better, although both steps have the same length? Make a theory of
        when a tangent is good, and test it on the other functions.
        """,
        _answer,
    )
    return


@app.cell
def _(FUNCTIONS, np, question, table, torch, tw):
    def _answer():
        square, modulus, relu = (FUNCTIONS[name] for name in ("square", "abs", "relu"))
        rows = []
        for at in (1.0, 0.0):
            for function in (square, modulus):
                found = tw.linear_approximation(function, at, [0.5, 0.05])
                ratios = found.error / found.epsilon
                rows.append(
                    [f"{function.formula} at {at:g}", float(found.slope[0]), *found.error.values, *ratios.values]
                )
        ways = {
            "torch.abs(x)": torch.abs,
            "where(x ≥ 0, x, −x)": lambda x: torch.where(x >= 0, x, -x),
            "where(x > 0, x, −x)": lambda x: torch.where(x > 0, x, -x),
            "torch.relu(x)": torch.relu,
            "where(x ≥ 0, x, 0)": lambda x: torch.where(x >= 0, x, torch.zeros_like(x)),
            relu.formula: relu,
        }
        told_slopes = [[name, float(tw.linear_approximation(f, 0.0, 0.0).slope[0])] for name, f in ways.items()]
        x, slopes = np.linspace(-2, 2, 401), np.linspace(-1.5, 1.5, 13)
        below = {
            name: [g for g in slopes if (f(torch.as_tensor(x)).numpy() >= g * x - 1e-12).all()]
            for name, f in (("|x|", modulus), ("the rectifier", relu))
        }
        ranges = "; ".join(f"for {name} all from {min(g):g} to {max(g):g}" for name, g in below.items())
        return [
            table(["", "slope", "error at ε = 0.5", "ε = 0.05", "error ÷ ε at 0.5", "at 0.05"], rows),
            "Away from 0 nothing beats the tangent of |x|: the function is its own tangent, the error is exactly 0 "
            "until the step crosses the kink. At 0 it is the other way round: the error of x² vanishes faster than "
            "ε, while error ÷ ε of |x| stays at −1 however small ε becomes. So |x| has no linear approximation "
            "there, and no derivative.",
            "Automatic differentiation gives a number all the same. Which one is a convention of how the function is "
            "written, and libraries differ in it:",
            table(["written as", "slope at 0"], told_slopes),
            "What is well defined is the set of **subderivatives**: slopes of lines through the kink that stay below "
            f"the function. Of thirteen slopes tried between −1.5 and 1.5 these do: {ranges}.",
        ]

    question(
        r"""
        **A kink.** Compare $x^2$ and $|x|$. Away from 0, whose tangent is the better prediction? And at 0? Watch
        the small plot of error ÷ ε as ε goes to 0. Then try $x$ if $x > 0$ else $0$ (a rectifier) at its kink: the
        instrument shows a slope there. Where does it come from, and would other slopes do as well?
        """,
        _answer,
    )
    return


@app.cell
def _(FUNCTIONS, np, question, table, tw):
    def _answer():
        cos = FUNCTIONS["cos"]
        zero = max(float(abs(tw.linear_approximation(f, 0.3, 0.0).error[0])) for f in FUNCTIONS.values())
        eps = np.array([1.3, 1.2, 1.4, 1.0, 0.1, 0.01, 0.001])
        found = tw.linear_approximation(cos, -0.9, eps)
        rows = [[e, float(error), float(error) / e] for e, error in zip(eps, found.error.values, strict=True)]
        return [
            f"At ε = 0 the tangent touches: the error is exactly 0 (largest over all six functions: {zero:g}). The "
            "definition asks for more: that it goes to 0 faster than ε.",
            table(["ε from x = −0.9", "error", "error ÷ ε"], rows),
            f"At ε = 1.3 the error is only {float(found.error[0]):.4f}, a coincidence: the curve happens to cross its "
            "own tangent near there. A little to either side it is large again, and error ÷ ε does not say anything "
            "about that crossing. That an approximation is good at one far place is luck; that it gets better and "
            "better as ε shrinks is differentiability, and the last rows show it.",
        ]

    question(
        r"""
        **No error.** What is the error at $\varepsilon = 0$, for each of the functions, and must it be so? Now choose
        $\cos(\pi x)$, type $-0.9$ for $x$ and $0.4$ for $x + \varepsilon$. The purple bar has all but gone, though the
        step is long. Is the tangent a good approximation of the function around there?
        """,
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ### What "vanishes faster" means

    A function $g$ is $o(|\varepsilon|)$ if $g(\varepsilon) / |\varepsilon| \to 0$ as $\varepsilon \to 0$. Type one (of
    x, which stands for ε here) and see its ratios. Guess before you type.
    """)
    return


@app.cell
def _(mo):
    little = mo.ui.text(value="1 - cos(x)", label="g(x) =", debounce=True)
    return (little,)


@app.cell
def _(Formula, little, mo, np, table, torch):
    try:
        _g = Formula(little.value)
        _at = np.array([10.0**-k for k in range(1, 7)])
        _right, _left = (_g(torch.as_tensor(sign * _at)).numpy() / _at for sign in (1, -1))
        _told = table(
            ["|x|", *(f"1e−{k}" for k in range(1, 7))],
            [["g(x) ÷ |x|, from the right", *_right], ["from the left", *_left]],
        )
    except ValueError as _error:
        _told = str(_error)
    mo.vstack([little, mo.md(_told)])
    return


@app.cell
def _(question, table):
    def _answer():
        import sympy

        x = sympy.Symbol("x", positive=True)
        candidates = [x**2, x, x * sympy.sqrt(x), sympy.sin(x), 1 - sympy.cos(x), sympy.sin(x) - x, x * sympy.log(x)]
        candidates += [x / sympy.log(x), sympy.sqrt(x), sympy.exp(x) - 1 - x, sympy.Integer(0)]
        rows = [[str(g).replace("**", "^"), str(sympy.limit(g / x, x, 0, "+"))] for g in candidates]
        rows = [[name, limit.replace("oo", "∞"), "yes" if limit == "0" else "no"] for name, limit in rows]
        return [
            table(["g(x)", "limit of g(x) ÷ x from the right", "o(x)?"], rows),
            "The limits are exact (computed symbolically). x / log x is the instructive one: it is o(x), but so slowly "
            "that a table of numbers hardly shows it. The error of any differentiable function passes this test, which "
            "is what it means to be differentiable.",
        ]

    question(
        r"""
        **Which of these are $o(|x|)$?** $x^2$, $x$, $x\sqrt{x}$, $\sin x$, $1 - \cos x$, $\sin x - x$, $x \log x$, $x
        / \log x$, $\sqrt x$, $e^x - 1 - x$, and 0. Sort them first, then try them above (write `sqrt(abs(x))` for both
        sides), then look.
        """,
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ### One step down

    Gradient descent trusts the tangent, and takes a step against the slope: $x \leftarrow x - \eta\, f'(x)$ with the
    **learning rate** $\eta$. Where does the step land? Work it out, type it, and see.
    """)
    return


@app.cell
def _(FUNCTIONS, mo):
    step_function = mo.ui.dropdown({f.formula: name for name, f in FUNCTIONS.items()}, value="x²", label="f(x) =")
    step_from = mo.ui.slider(-2, 2, 0.1, value=1.5, label="x", show_value=True, include_input=True)
    step_rate = mo.ui.slider(0.05, 1.5, 0.05, value=0.1, label="η", show_value=True, include_input=True)
    step_guess = mo.ui.text(label="The step lands at", debounce=True)
    return step_from, step_function, step_guess, step_rate


@app.cell
def _(
    FUNCTIONS,
    mo,
    step_from,
    step_function,
    step_guess,
    step_rate,
    told,
    torch,
    tw,
):
    _f = FUNCTIONS[step_function.value]
    _path = tw.descend(_f.problem(), [[step_from.value]], lambda w: torch.optim.SGD(w, lr=step_rate.value), steps=1)
    _end, _fall = float(_path.theta[0, 1, 0]), float(_path.loss[0, 1] - _path.loss[0, 0])
    try:
        _right = abs(float(step_guess.value.replace(",", ".").replace("−", "-")) - _end) < 0.005 * max(1.0, abs(_end))
        _slope = float(tw.linear_approximation(_f, step_from.value, 0.0).slope[0])
        _told = (
            f"Yes. The slope is {told(_slope)}, the step lands at {told(_end)}, and f changes by {told(_fall)}."
            if _right
            else "Not there. What is the slope at x? The step goes against it, η times as long."
        )
    except ValueError:
        _told = "Type a number."
    mo.vstack([mo.hstack([step_function, step_from, step_rate], justify="start", wrap=True), step_guess, mo.md(_told)])
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 2. Fitting by hand, fitting by descent

    Points scatter around a curve, and a model with a weight or two is to be put through them. Its **mean squared
    error** is $\mathrm{MSE}(\theta) = \frac1n \sum_i (f_\theta(x_i) - y_i)^2$. Be the optimiser: move the sliders
    until the error is as small as you can make it. Every value that you rest on is recorded. Then press *Descend from
    here*.
    """)
    return


@app.cell
def _(HandFit):
    fit = HandFit()
    fit
    return (fit,)


@app.cell
def _(mo):
    tracked = mo.ui.switch(
        label="Track the changes in Weights & Biases as well (offline, in the folder `thalweg-lab-runs`)"
    )
    recorded = mo.ui.run_button(label="Show the record as a table")
    mo.hstack([tracked, recorded], justify="start", gap=2)
    return recorded, tracked


@app.cell
def _(fit, mo, tracked):
    if tracked.value:
        from pathlib import Path as _Path

        from thalweg.record.loggers import WandbSink as _WandbSink

        _folder = _Path("thalweg-lab-runs")
        _folder.mkdir(exist_ok=True)
        fit.send_to(_WandbSink(project="thalweg-calculus", mode="offline", dir=_folder))
        _told = f"Changes go to a run in `{_folder.resolve()}`; `wandb sync` sends it on. Switch off to finish the run."
    else:
        fit.send_to(None)
        _told = ""
    mo.md(_told)
    return


@app.cell
def _(fit, mo, recorded):
    _rows = [
        {**entry, "theta": ", ".join(f"{v:.4g}" for v in entry["theta"]), "mse": round(entry["mse"], 4)}
        for entry in (fit.history if recorded.value else [])
    ]
    mo.ui.table(_rows, selection=None, label="The record") if _rows else mo.md("")
    return


@app.cell
def _(fit, question, table, told, torch, tw, usual_tasks):
    def _answer():
        problem = usual_tasks()["linear"].problem
        best = tw.descend(problem, [[0.0, 0.0]], lambda w: torch.optim.SGD(w, lr=0.1), steps=500)
        w, b = best.theta.values[0, -1]
        lowest = float(best.loss[0, -1])
        at = torch.tensor(best.theta.values[0, -1])
        around = [[dw, db] for dw in (-0.2, 0.0, 0.2) for db in (-0.5, 0.0, 0.5) if (dw, db) != (0.0, 0.0)]
        rises = [
            [f"w {dw:+g}, b {db:+g}", float(problem.loss(at + torch.tensor([dw, db]))) - lowest] for dw, db in around
        ]
        high, low = tw.top_eigenpairs(problem, k=2, theta=at).eigenvalue.values
        hand = [entry["mse"] for entry in fit.history if entry["by"] == "hand" and entry["task"] == "linear"]
        yours = (
            f"Your best by hand so far: {min(hand):.4f}, in {len(hand)} changes." if hand else "You have not tried yet."
        )
        return [
            f"The smallest MSE is **{lowest:.4f}**, at w = {w:.4f}, b = {b:.4f}. {yours}",
            table(["from there", "MSE rises by"], rises),
            f"It rises in every direction: the loss is a bowl. Its curvatures are {told(high)} and {told(low)} (the "
            "eigenvalues of the Hessian, the same everywhere), both positive. So there is one best place and no other "
            "to get stuck in. It is not at the truth, w = 0.6, b = 0.5: thirty noisy points do not know better.",
            "A strategy that works by hand: move one slider until the error stops falling, then the other, and again. "
            "It takes a few rounds, because the best b depends a little on w: the valley lies aslant. A quicker "
            "one uses how steep the error is, in both at once. That is descent.",
        ]

    question(
        r"""
        **By hand.** Fit the line. How do you decide which way to move, and how far? When you think you have the best
        line, does the error rise in every direction from it? Could there be a better one elsewhere?
        """,
        _answer,
    )
    return


@app.cell
def _(fit, question, table, torch, tw, usual_tasks):
    def _answer():
        task = usual_tasks()["linear"]
        rows = []
        for lr, steps in ((5e-3, 25), (5e-3, 500), (0.1, 25), (0.1, 100), (0.3, 25)):
            path = tw.descend(task.problem, [[0.0, 0.0]], lambda w, lr=lr: torch.optim.SGD(w, lr=lr), steps=steps)
            rows.append([f"{lr:g}", steps, *path.theta.values[0, -1], float(path.loss[0, -1])])
        hand = sum(entry["by"] == "hand" for entry in fit.history)
        return [
            table(["learning rate", "steps", "w", "b", "MSE"], rows),
            f"Descent moves all parameters at once, by as much as each slope says. You have made {hand} changes by "
            "hand. A hand tries, looks at the error and goes back if it was wrong; it makes large moves first and "
            "small ones at the end. Descent never looks at the error itself: it measures the slope where it stands, "
            "and its steps shrink because the slope does. It never overshoots with a small rate, and takes forever; "
            "with too large a rate it is thrown out of the valley, as the last row shows.",
        ]

    question(
        r"""
        **By descent.** Go back to the start and press *Descend from here* (25 steps of rate 0.005). Where does it end,
        and why not at the best line? Change the rate and the number of steps. In which ways does it work differently
        from your hand?
        """,
        _answer,
    )
    return


@app.cell
def _(look, np, plot, question, quick, table, torch, tw, usual_tasks):
    def _film(task, starts):
        paths = tw.descend(task.problem, starts, lambda w: torch.optim.SGD(w, lr=0.1), steps=25)
        (limits,) = task.limits.values()
        at = np.linspace(*limits, 500)
        losses = task.problem.loss(torch.as_tensor(at)[:, None]).detach().numpy()
        shown = tw.model_fit(task.problem, paths, task.data, truth=task.truth, formula=task.formula)
        return paths, shown.assign(parameter_loss=("parameter", losses)).assign_coords(parameter=at)

    def _answer():
        parts, rows = [], []
        for name in ("trigonometric", "rectified"):
            task = usual_tasks()[name]
            starts = [[6.0], [1.5]] if name == "trigonometric" else [[6.0], [9.0], [-6.0]]
            paths, shown = _film(task, starts)
            for k, start in enumerate(starts):
                slope = float(paths.gradient[k, 0, 0])
                moved = int((task.data.x > start[0]).sum()) if name == "rectified" else len(task.data.x)
                rows.append(
                    [f"{name}, θ = {start[0]:g}", slope, moved, float(paths.theta[k, -1, 0]), float(paths.loss[k, -1])]
                )
            (limits,) = task.limits.values()
            minima = np.diff(np.sign(np.diff(shown.parameter_loss.values))) > 0
            parts.append(
                f"**{task.formula}**. Minima of its loss between {limits[0]:g} and {limits[1]:g}: {minima.sum()}."
            )
            film = tw.figures.animate(tw.figures.fit, shown, steps=range(0, 26, 5 if quick() else 1), theme=look)
            parts.append(plot(film))
        head = table(["start", "slope there", "examples with a say", "θ after 25 steps of rate 0.1", "MSE"], rows)
        words = (
            "Both models learn θ from the slope of the loss, and both can fail, for different reasons. The sine has "
            "many minima: from θ = 6 the nearest one is a bad one, where a fast wave happens to touch some points, "
            "and every small change makes it worse; the slope leads there and no farther. The rectified model has no "
            "such traps, but an example below the threshold does not feel it: from θ = 6 only the few examples "
            "beyond it pull, the slope is small and descent crawls; beyond all examples the slope is exactly 0, and "
            "descent cannot start."
        )
        return [head, words, *parts]

    question(
        r"""
        **A bad start.** Choose the trigonometric model, type $\theta = 6$ and descend. Then the same for the rectified
        model, and once more from $\theta = 9$. Which of them fail? Switch on *Show the loss over the parameters* and
        explain by the slope. Where must one start for each to succeed, and what do the two models teach about
        starting?
        """,
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ### Other models, other data

    The model may be linear in its weights though not in $x$ (a polynomial, a sum of transforms), or not even that.
    Choose one, and how its inputs are drawn; Adam fits it, and you can play what it does.
    """)
    return


@app.cell
def _(mo):
    other_model = mo.ui.dropdown(
        ["polynomial", "w0·sin(x) + w1·|x|", "x^θ", "exp(θ·x)", "arctan(θ·x)"], value="polynomial", label="Model"
    )
    other_degree = mo.ui.slider(1, 9, value=3, label="Degree of the polynomial", show_value=True)
    other_inputs = mo.ui.dropdown(["uniform", "gauss", "linspace"], value="uniform", label="Inputs")
    other_noise = mo.ui.slider(0.0, 1.0, 0.05, value=0.1, label="Noise", show_value=True)
    mo.hstack([other_model, other_degree, other_inputs, other_noise], justify="start", wrap=True)
    return other_degree, other_inputs, other_model, other_noise


@app.cell
def _(
    look,
    other_degree,
    other_inputs,
    other_model,
    other_noise,
    plot,
    quick,
    torch,
    tw,
):
    _made = {
        "polynomial": lambda on: tw.landscapes.PolynomialModel(
            other_degree.value, None if on else [0.0] * (other_degree.value + 1)
        ),
        "w0·sin(x) + w1·|x|": lambda on: tw.landscapes.LinearizedModel(
            [torch.sin, torch.abs], [1.0, -0.5] if on else None
        ),
        "x^θ": lambda on: tw.landscapes.PowerModel(0.6 if on else 2.0),
        "exp(θ·x)": lambda on: tw.landscapes.LinearNonlinearModel(torch.exp, -0.8 if on else 0.3),
        "arctan(θ·x)": lambda on: tw.landscapes.LinearNonlinearModel(torch.arctan, 3.0 if on else 0.2),
    }[other_model.value]
    _spread, _center = (0.4, 1.6) if other_model.value == "x^θ" else (1.5, 0.0)
    _data = tw.landscapes.regression_data(
        _made(True), 80, inputs=other_inputs.value, spread=_spread, center=_center, noise=other_noise.value
    )
    _problem = tw.landscapes.regression_problem(_made(False), _data)
    _paths = tw.descend(
        _problem, _problem.theta[None], lambda w: torch.optim.Adam(w, lr=0.05), steps=40 if quick() else 200, every=10
    )
    _shown = tw.model_fit(_problem, _paths, _data, truth=_made(True), formula=_made(True).formula)
    plot(tw.figures.animate(tw.figures.fit, _shown, theme=look))
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 3. Nine surfaces

    With two weights the loss is a height over a map, and training is walking downhill in fog: all that is known is
    the slope underfoot. Choose a surface and a mesh, turn it, zoom in; then let descent begin at sixteen places.
    """)
    return


@app.cell
def _(landscape, mo):
    surface_name = mo.ui.dropdown(
        {f"l{k}: {landscape(f'l{k}').formula}": f"l{k}" for k in range(8)} | {"l8: a Gaussian random field": "l8"},
        value="l0: x² + y²",
        label="Surface",
    )
    surface_points = mo.ui.slider(
        10, 250, 10, value=50, label="N (points along a side)", include_input=True, debounce=True
    )
    surface_extent = mo.ui.slider(0.5, 50.0, 0.5, value=1.5, label="Extent", include_input=True, debounce=True)
    surface_scale = mo.ui.slider(0.1, 3.0, 0.1, value=1.0, label="Scale (of l8)", include_input=True, debounce=True)
    surface_seed = mo.ui.slider(0, 20, value=0, label="Seed (of l7, l8)", include_input=True, debounce=True)
    surface_steps = mo.ui.slider(0, 500, 10, value=0, label="Steps of descent", include_input=True, debounce=True)
    surface_rate = mo.ui.slider(0.01, 1.0, 0.01, value=0.1, label="Learning rate", include_input=True, debounce=True)
    mo.vstack(
        [
            mo.hstack([surface_name, surface_seed, surface_scale], justify="start", wrap=True),
            mo.hstack([surface_points, surface_extent], justify="start", wrap=True),
            mo.hstack([surface_steps, surface_rate], justify="start", wrap=True),
        ]
    )
    return (
        surface_extent,
        surface_name,
        surface_points,
        surface_rate,
        surface_scale,
        surface_seed,
        surface_steps,
    )


@app.cell
def _(landscape, surface_name, surface_scale, surface_seed, tw):
    if surface_name.value == "l8":
        shape = tw.landscapes.gaussian_field(surface_seed.value, surface_scale.value)
        terrain, terrain_title = tw.FunctionProblem(shape), f"A random field of scale {surface_scale.value:g}"
    else:
        _chosen = landscape(surface_name.value, seed=surface_seed.value)
        terrain, terrain_title = _chosen.problem(), f"{_chosen.title}: {_chosen.formula}"
    return terrain, terrain_title


@app.cell
def _(
    look,
    surface_extent,
    surface_points,
    surface_rate,
    surface_steps,
    terrain,
    terrain_title,
    torch,
    tw,
):
    _plane = tw.coordinate_plane(terrain)
    relief = tw.loss_surface(terrain, _plane, extent=surface_extent.value, points=surface_points.value)
    descents = None
    if surface_steps.value:
        _starts = tw.grid_starts(0.9 * surface_extent.value, 4)
        _paths = tw.descend(
            terrain, _starts, lambda w: torch.optim.SGD(w, lr=surface_rate.value), steps=surface_steps.value
        )
        descents = tw.project_trajectory(tw.outcomes(_paths, terrain), _plane)
    relief_figure = tw.figures.surface(relief, descent=descents, title=terrain_title, theme=look)
    return descents, relief_figure


@app.cell
def _(Plot):
    relief_plot = Plot()
    relief_plot
    return (relief_plot,)


@app.cell
def _(descents, mo, relief_figure, relief_plot, table):
    relief_plot.show(relief_figure)
    mo.md("" if descents is None else table(["sixteen descents end on", "how many"], ended(descents)))
    return


@app.function
def ended(descents):
    """Rows of an outcome and how many descents had it, the most frequent first."""
    names, counts = descents.outcome.attrs["names"], [0] * len(descents.outcome.attrs["names"])
    for number in descents.outcome.values:
        counts[number] += 1
    return sorted(([name, count] for name, count in zip(names, counts, strict=True) if count), key=lambda row: -row[1])


@app.cell
def _(mo):
    mo.md(r"""
    The same surface as a map, with a ball to let go of. Its descent is computed anew wherever you drop it.
    """)
    return


@app.cell
def _(Ball, landscape):
    ball = Ball.on(landscape("l0"))
    ball
    return (ball,)


@app.cell
def _(ball, surface_extent, terrain, terrain_title):
    ball.show(terrain, surface_extent.value, formula=terrain_title)
    return


@app.cell
def _(landscape, question, table, torch, tw):
    def _answer():
        rows = []
        for name in ("l0", "l1", "l2"):
            bowl = landscape(name)
            problem = bowl.problem()
            curvatures = tw.top_eigenpairs(problem, k=2, theta=torch.zeros(2, dtype=torch.float64)).eigenvalue.values
            high, low = max(curvatures), min(curvatures)
            steps = []
            for rate in (1.0 / high, 2.0 / (high + low), 2.1 / high):
                path = tw.descend(problem, [[1.2, 1.2]], lambda w, rate=rate: torch.optim.SGD(w, lr=rate), steps=500)
                done = path.loss.values[0] < 1e-6 * path.loss.values[0, 0]
                steps.append(str(int(done.argmax())) if done.any() else "never")
            rows.append([f"{name}: {bowl.formula}", high, low, high / low, *steps])
        head = [
            "",
            "largest curvature",
            "smallest",
            "ratio",
            "steps at η = 1/largest",
            "at the best η",
            "at 2.1/largest",
        ]
        straight = tw.descend(landscape("l0").problem(), [[1.2, 0.4]], lambda w: torch.optim.SGD(w, lr=0.1), steps=3)
        slopes = straight.theta.values[0, :, 1] / straight.theta.values[0, :, 0]
        return [
            f"On the round bowl the way down is straight: from (1.2, 0.4) the ratio y/x stays {slopes.min():.4f} to "
            f"{slopes.max():.4f} over the first steps, and the goal is reached from everywhere alike.",
            table(head, rows),
            "In the long bowls the steep direction limits the step (anything above 2 ÷ the largest curvature is "
            "thrown out), and the flat one then takes ages. The trouble is the ratio of the two, the **condition "
            "number**. Steps that suit one direction never suit the other; that is what momentum and adaptive rates "
            "are for.",
        ]

    question(
        r"""
        **Three bowls.** On `l0` let the ball go from several places. What is so pleasant about its way down? On `l1`
        and `l2` find the largest learning rate that still arrives. What goes wrong above it, and what is slow below
        it? Is there a rate that suits both directions?
        """,
        _answer,
    )
    return


@app.cell
def _(landscape, question, table, torch, tw):
    def _answer():
        parts = []
        for name in ("l3", "l4", "l5"):
            shown = landscape(name)
            problem = shown.problem()
            paths = tw.descend(problem, tw.grid_starts(1.5, 21), lambda w: torch.optim.SGD(w, lr=0.05), steps=400)
            found = tw.outcomes(paths, problem, branches=shown.branches)
            parts.append(table([f"{name}: {shown.formula}", "of 441 descents"], ended(found)))
        flat = landscape("l5").problem()
        at = torch.tensor([[0.2, 0.1], [0.9, 0.9]], dtype=torch.float64)
        inside, outside = flat.gradient(at).norm(dim=1).tolist()
        return [
            *parts,
            "On `l3` there are several minima of different depth, and where descent ends is settled by where it "
            "begins: it never climbs. On `l4` the two minima are equally good, and it does not matter; only a start "
            "exactly between them stays on the saddle.",
            f"`l5` has no best point but a whole flat of them: inside the slope is {inside:g}, outside it is "
            f"{outside:.3f} everywhere, however near the flat is. So descent with a fixed rate runs to the edge at a "
            "constant pace and stops there at once. Several minima, two equal ones, one connected set: networks have "
            "all of it, and whole sets of equally good weights in particular, because many settings compute the same "
            "function.",
        ]

    question(
        r"""
        **More than one goal.** `l3`: does it matter where you begin? How would you find the deepest place? Compare
        `l4`, and then `l5` with its flat region: which point of it is the solution, and what does descent do when it
        arrives?
        """,
        _answer,
    )
    return


@app.cell
def _(landscape, np, question, table, torch, tw):
    def _answer():
        cliff = landscape("l6").problem()
        edge = torch.tensor([[0.5, 0.25 - 1e-9], [0.5, 0.25 + 1e-9]], dtype=torch.float64)
        heights, slopes = cliff.loss(edge), cliff.gradient(edge)
        rows = [
            [side, float(h), *map(float, g)]
            for side, h, g in zip(("just above the cliff", "just below it"), heights, slopes, strict=True)
        ]
        rates = []
        for rate in (0.01, 0.1, 0.4):
            paths = tw.descend(
                cliff, tw.grid_starts(1.5, 21), lambda w, rate=rate: torch.optim.SGD(w, lr=rate), steps=300
            )
            jumps = np.diff(paths.loss.values, axis=1)
            rates.append(
                [f"{rate:g}", int((jumps > 0.3).sum()), int((jumps < -0.3).sum()), float(paths.loss[:, -1].median())]
            )
        return [
            table(["at x = 0.5, y = 0.25", "loss", "∂L/∂x", "∂L/∂y"], rows),
            "The loss jumps by more than 1 within a hair's breadth, and the slopes on both sides know nothing of it.",
            table(["learning rate", "steps up the cliff", "steps down it", "median loss in the end"], rates),
            "So descent is possible: it follows the slope of its own side and falls over the edge when its way leads "
            "there. But nothing promises that a step goes down: from the lower side it may be led up the cliff, and "
            "it keeps going to and fro, because the lowest place of all lies on the edge, where no slope vanishes. "
            "Networks with hard thresholds are like that, and therefore are trained on smooth stand-ins.",
        ]

    question(
        r"""
        **A cliff.** `l6` has a jump. Let the ball go above and below it. Can one use gradient descent here at all?
        What does the slope know of the cliff?
        """,
        _answer,
    )
    return


@app.cell
def _(landscape, question, table, torch, tw):
    def _answer():
        rows = []
        for seed in range(8):
            noise = landscape("l7", seed=seed).problem()
            starts = tw.random_starts(16, seed=seed, radius=1.0)
            paths = tw.descend(noise, starts, lambda w: torch.optim.SGD(w, lr=0.002), steps=49)
            chosen = torch.randint(50, (800, 2), generator=torch.Generator().manual_seed(seed))
            tries = noise.loss(-1.5 + chosen.double() * 3 / 49)
            rows.append([f"draw {seed + 1}", float(paths.loss.min()), float(tries.min())])
        better = sum(row[2] < row[1] for row in rows)
        return [
            table(["800 looks at the loss", "lowest by 16 descents of 49 steps", "lowest of 800 random points"], rows),
            f"Trying points of the mesh at random finds the lower value in {better} of {len(rows)} draws. Descent "
            "slides into the nearest dip, a cell of the mesh wide, and has then learned nothing about any other "
            "place. Where neighbours tell nothing about each other, no strategy beats trying more places. That "
            "training works at all means that losses are not like this.",
        ]

    question(
        r"""
        **Pure noise.** `l7` is drawn independently at every point of a mesh. You may look at 800 heights. What is your
        strategy for finding a low place, and is following the slope a good one?
        """,
        _answer,
    )
    return


@app.cell
def _(look, np, plot, question, quick, table, torch, tw):
    def _answer():
        rows, pictures = [], []
        for points, extent, scale in ((100, 10.0, 1.0), (150, 25.0, 2.0), (250, 50.0, 3.0)):
            problem = tw.FunctionProblem(tw.landscapes.gaussian_field(0, scale))
            plane = tw.coordinate_plane(problem)
            field = tw.loss_surface(problem, plane, extent=extent, points=points)
            paths = tw.descend(
                problem, tw.grid_starts(0.9 * extent, 12), lambda w: torch.optim.SGD(w, lr=0.3), steps=200
            )
            ends, heights = paths.loss.values[:, -1], np.sort(field.loss.values.ravel())
            moved = np.linalg.norm(paths.theta.values[:, -1] - paths.theta.values[:, 0], axis=1)
            below = np.searchsorted(heights, np.median(ends)) / heights.size
            rows.append(
                [f"{points} / {extent:g} / {scale:g}", heights[0], np.median(ends), ends.min(), below, np.median(moved)]
            )
            if points == 100 or not quick():
                title = f"A random field: N = {points}, extent {extent:g}, scale {scale:g}"
                pictures.append(plot(tw.figures.surface(field, title=title, theme=look)))
        head = ["N / extent / scale", "lowest on the mesh", "median end of 144 descents", "best end"]
        return [
            table([*head, "share of the map below the median end", "median way"], rows),
            "Here neighbours do tell of each other, so descent is worth while: half of all descents end among the "
            "lowest few percent of the map. But it goes only a couple of units (the width of a hill) to the nearest "
            "valley, and that is seldom the deepest. A larger map has more valleys and a deeper deepest one, which a "
            "single descent hardly ever finds. Many starts help; a larger scale stretches the heights and changes "
            "nothing else but the rates that are stable.",
            *pictures,
        ]

    question(
        r"""
        **Random hills.** Choose `l8` with N / extent / scale = 100 / 10 / 1, then 150 / 25 / 2 and 250 / 50 / 3. Turn
        the surface. Is descent promising here? How far does it get from where it began, and how good is the valley it
        finds?
        """,
        _answer,
    )
    return


@app.cell
def _(question, quick, table, torch, tw):
    def _answer():
        rows = []
        for width in (1, 2, 4) if quick() else (1, 2, 4, 8, 16):
            data = tw.landscapes.sines_data(60, 10)
            counts = []
            for seed in range(3):
                model = tw.landscapes.mlp([width], activation=torch.nn.Tanh, seed=seed).double()
                problem = tw.ModuleProblem(
                    model, (data.train.x.double(), data.train.y.double()), loss=torch.nn.functional.mse_loss
                )
                values = tw.top_eigenpairs(
                    problem, k=problem.num_weights, vectors=False, progress=False
                ).eigenvalue.values
                counts.append((values < -1e-9).mean())
            rows.append([width, problem.num_weights, f"{min(counts):.0%} to {max(counts):.0%}"])
        field = tw.FunctionProblem(tw.landscapes.gaussian_field(0))
        found = tw.critical_points(field, tw.coordinate_plane(field), extent=10.0, points=101)
        kinds = found.type.attrs["names"]
        counts = [[name, int((found.type == k).sum())] for k, name in enumerate(kinds) if (found.type == k).any()]
        return [
            table(["level places of `l8`, two weights, on [−10, 10]²", "how many"], counts),
            table(["hidden units of a network", "weights", "directions that bend down at a random start"], rows),
            "The analogy: weights are the place, the loss is the altitude, descent walks downhill. With two weights "
            "about half of all level places are passes (saddles), the others tops and floors. With thousands of "
            "weights, every one of that many directions would have to bend up for a level place to be a trap. At a "
            "random start of a network a good part of them bend down, so there is a way on: passes are the rule "
            "there, and traps the exception. Pictures in three dimensions show the analogy and hide this.",
        ]

    question(
        r"""
        **Altitude.** In what is a loss surface like a mountain range, and in what is the picture misleading, when a
        network has not two weights but millions? In how many directions must a place bend upwards to be a trap?
        """,
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## 4. Computational graphs

    Whatever PyTorch computes, it computes step by step, and it remembers the steps. Drawn, they are a graph: values
    flow down, and, when you switch to *backward*, gradients flow up. Each line then carries what arrives, times its
    local derivative.
    """)
    return


@app.cell
def _(Formula, mo, torch):
    def stepwise(a, b):
        total = torch.add(a, b)
        more = torch.add(b, 1)
        return torch.mul(total, more)

    expressions = {
        "(a + b) * (b + 1)": Formula("(a + b) * (b + 1)", ("a", "b")),
        "step by step, with torch.add and torch.mul": stepwise,
        "expanded: a*b + b*b + a + b": Formula("a*b + b*b + a + b", ("a", "b")),
    }
    expression = mo.ui.dropdown([*expressions, "my own"], value="(a + b) * (b + 1)", label="Expression")
    own_expression = mo.ui.text(value="exp(a*b) + sin(a)", label="My own, of a and b:", debounce=True)
    leaf_a = mo.ui.slider(-3.0, 3.0, 0.1, value=2.0, label="a", include_input=True, debounce=True)
    leaf_b = mo.ui.slider(-3.0, 3.0, 0.1, value=3.0, label="b", include_input=True, debounce=True)
    mo.hstack([expression, own_expression, leaf_a, leaf_b], justify="start", wrap=True)
    return expression, expressions, leaf_a, leaf_b, own_expression


@app.cell
def _(
    Formula,
    expression,
    expressions,
    leaf_a,
    leaf_b,
    mo,
    own_expression,
    page,
    tw,
):
    try:
        _call = expressions.get(expression.value) or Formula(own_expression.value, ("a", "b"))
        _graph = tw.computational_graph(_call, a=leaf_a.value, b=leaf_b.value, title=expression.value)
        _shown = page(tw.figures.graph(_graph))
    except ValueError as _error:
        _shown = mo.md(str(_error))
    _shown
    return


@app.cell
def _(expressions, question, table, torch, tw):
    def _answer():
        import time

        rows = []
        for name, call in expressions.items():
            graph = tw.computational_graph(call, a=2.0, b=3.0)
            a, b = (torch.full((200_000,), v, dtype=torch.float64, requires_grad=True) for v in (2.0, 3.0))
            times = []
            for _ in range(20):
                began = time.perf_counter()
                call(a, b).sum().backward()
                times.append(time.perf_counter() - began)
            gradients = ", ".join(f"{float(graph.gradient.sel(node=leaf)):g}" for leaf in ("a", "b"))
            operations = [str(v) for v in graph.operation.values if v != "input"]
            rows.append(
                [name, len(operations), ", ".join(operations), graph.sizes["edge"], gradients, 1e3 * min(times)]
            )
        head = ["", "operations", "which", "uses of a value", "gradient in a, b", "ms there and back, 200,000 numbers"]
        return [
            table(head, rows),
            "The first two are one and the same graph: `+` is `torch.add` and `*` is `torch.mul`, and whether an "
            "intermediate value has a name in Python does not matter. Every symbol of the formula is a node, every "
            "letter a leaf, and a leaf that is used twice has two lines. The expanded formula is the same function "
            "with the same gradient, but another graph: it does more, and keeps more, and takes longer. Fewer nodes "
            "are usually faster, because each reads and writes memory; that is what compilers that fuse operations "
            "live on.",
        ]

    question(
        r"""
        **One function, several graphs.** Compare the three expressions. Which have the same graph? Find every symbol
        of the formula in the drawing. Does it matter that intermediate values have names? Which graph would you rather
        run on a million numbers, and why?
        """,
        _answer,
    )
    return


@app.cell
def _(expressions, question, table, tw):
    def _answer():
        parts = []
        for name in ("(a + b) * (b + 1)", "expanded: a*b + b*b + a + b"):
            graph = tw.computational_graph(expressions[name], a=2.0, b=3.0)
            paths = tw.path_gradients(graph, "b")
            rows = [[" → ".join(p.nodes), " · ".join(f"{f:g}" for f in p.derivatives), p.gradient] for p in paths]
            total = float(graph.gradient.sel(node="b"))
            rows.append(["**sum**, and what backward found", f"{total:g}", sum(p.gradient for p in paths)])
            parts.append(table([f"paths from b in {name}", "local derivatives", "product"], rows))
        doubling = []
        for depth in (1, 2, 4, 10):

            def tower(a, depth=depth):
                for _ in range(depth):
                    a = a * a
                return a

            graph = tw.computational_graph(tower, a=1.01)
            doubling.append([depth, graph.sizes["edge"], len(tw.path_gradients(graph, "a")), float(graph.gradient[0])])
        return [
            "Multiply the local derivatives along a path, and add up over all paths: that is the chain rule, for any "
            "graph.",
            *parts,
            "But the number of paths can double with every operation, while the backward pass visits each line once:",
            table(["squared so many times", "lines", "paths from a", "gradient"], doubling),
            "It does so by adding up at every node before it goes on: it factors common pieces out of a sum of "
            "products, as `a*b + b*b` is `(a + b)*b`. The same rearrangement of a graph computes probabilities "
            "instead of gradients (belief propagation), or, with the largest in place of the sum, the likeliest "
            "explanation (Viterbi).",
        ]

    question(
        r"""
        **Sums over paths.** Switch the drawing to *backward*. Follow every path from the result to b, multiply what
        stands at the lines, and add up. Is it the gradient? How many paths are there if a number is squared ten times
        over, and how can the backward pass be so much quicker than walking them?
        """,
        _answer,
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ### From a line to a network

    A module folds into one box; click it to open it.
    """)
    return


@app.cell
def _(mo, torch):
    class Barebones(torch.nn.Module):
        """8 inputs, 16 hidden units, 1 output."""

        def __init__(self):
            super().__init__()
            self.W0 = torch.nn.Linear(8, 16)
            self.tanh = torch.nn.Tanh()
            self.W1 = torch.nn.Linear(16, 1)

        def forward(self, x):
            return self.W1(self.tanh(self.W0(x)))

    network_name = mo.ui.dropdown(
        ["linear regression", "barebones MLP 8-16-1", "the MLP with its loss"],
        value="linear regression",
        label="Graph of",
    )
    network_name
    return Barebones, network_name


@app.cell
def _(Barebones, network_name, page, torch, tw):
    _generator = torch.Generator().manual_seed(0)
    _x, _y, _w = (torch.randn(*shape, generator=_generator) for shape in ((30, 8), (30, 1), (8, 1)))
    _b = torch.zeros(1)
    _net = Barebones()

    def _regression(x, w, b, y):
        return torch.nn.functional.mse_loss(torch.addmm(b, x, w), y)

    def _fitted(x, y):
        return torch.nn.functional.mse_loss(_net(x), y)

    _graph = {
        "linear regression": lambda: tw.computational_graph(_regression, x=_x, w=_w, b=_b, y=_y),
        "barebones MLP 8-16-1": lambda: tw.computational_graph(_net, _x),
        "the MLP with its loss": lambda: tw.computational_graph(_fitted, x=_x, y=_y),
    }[network_name.value]()
    page(tw.figures.graph(_graph, title=network_name.value))
    return


@app.cell
def _(mo):
    large = mo.ui.run_button(label="Draw ResNet-50 (some seconds)")
    large
    return (large,)


@app.cell
def _(large, mo, page, pressed, quick, torch, tw):
    mo.stop(not pressed(large))
    try:
        from torchvision import models as _models

        _net = (_models.resnet18 if quick() else _models.resnet50)(weights=None).eval()
        _graph = tw.computational_graph(_net, torch.randn(1, 3, 64, 64))
        _shown = page(tw.figures.graph(_graph), 760)
    except ModuleNotFoundError:
        _shown = mo.md("This needs torchvision: `pip install torchvision`.")
    _shown
    return


@app.cell
def _(mo):
    mo.md(r"""
    ### A step of your own

    One may teach PyTorch a new operation: a `forward` that computes it, and a `backward` that says how gradients pass.
    Here is one that computes $x^3$, told to say when it is called. Nothing compares the two: that `backward` is the
    derivative of `forward` is its author's word.
    """)
    return


@app.cell
def _(mo):
    factor = mo.ui.slider(1.0, 5.0, 0.5, value=3.0, label="backward multiplies by this times x²", include_input=True)
    factor
    return (factor,)


@app.cell
def _(factor, torch):
    said = []

    class Cube(torch.autograd.Function):
        """The cube, with a backward that may be wrong."""

        @staticmethod
        def forward(ctx, x):
            said.append(f"forward: x = {x.tolist()}")
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            said.append(f"backward: a gradient of {gradient.tolist()} arrives")
            return gradient * factor.value * x**2

    return Cube, said


@app.cell
def _(Cube, factor, mo, page, said, torch, tw):
    def _called(x):
        return Cube.apply(x).sum()

    said.clear()
    _x = torch.tensor([2.0], dtype=torch.float64, requires_grad=True)
    _called(_x).backward()
    _told = "\n".join(f"- {line}" for line in said)
    _drawn = page(tw.figures.graph(tw.computational_graph(_called, x=_x.detach(), title="Cube.apply(x).sum()")), 480)
    mo.vstack([mo.md(f"At x = 2, with the factor {factor.value:g}:\n\n{_told}\n- x.grad = {_x.grad.item():g}"), _drawn])
    return


@app.cell
def _(Cube, factor, question, torch):
    def _answer():
        from thalweg.measures.gradient_check import check_gradient

        found = check_gradient(Cube.apply, torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64), raises=False)
        worst = found.deviations[0]
        try:
            check_gradient(Cube.apply, torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64))
            words = "nothing: the check passes."
        except ValueError as error:
            words = f"\n\n```text\n{error}\n```"
        return [
            f"`check_gradient` compares {found.num_entries} entries of the Jacobian with central differences of the "
            f"forward. With the factor {factor.value:g} the largest deviation is {worst.error:.2g} (the backward "
            f"gives {worst.found:.6g}, differences give {worst.expected:.6g}). It says: {words}",
            "The graph looks the same whether the backward is right or wrong, and training would go on, only in a "
            "direction that is not downhill. So a new operation deserves such a test before it is used.",
        ]

    question(
        r"""
        **Whose word?** Move the factor away from 3. Does anything complain? What does the graph show? How would you
        find out, without calculus, whether a backward belongs to its forward?
        """,
        _answer,
    )
    return


if __name__ == "__main__":
    app.run()
