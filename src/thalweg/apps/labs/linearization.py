# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Linearisation: what a network can do with small steps of its weights, before and after it has learned."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Linearisation")


@app.cell
def _():
    import marimo as mo
    import numpy as np
    import torch

    import thalweg as tw
    from thalweg.apps.labs import sine_answers as answers
    from thalweg.apps.labs import sine_runs as runs
    from thalweg.apps.labs.plot import plot
    from thalweg.apps.labs.question import question
    from thalweg.apps.labs.running import pressed, quick, theme
    from thalweg.apps.labs.tables import table
    from thalweg.apps.widgets import Film

    few = {"num_train": 200, "epochs": 3} if quick() else {}  # of scripts
    return Film, answers, few, mo, np, plot, pressed, question, quick, runs, table, theme, torch, tw


@app.cell
def _(mo):
    mo.md(r"""
    # Linearisation

    Near its weights $\theta_0$ a network is linear in them,
    $$ f(\theta; x) \approx f(\theta_0; x) + J(x)\,(\theta - \theta_0), $$
    whatever it is in $x$. The Jacobian $J = U \Sigma V^\top$ of all training examples then says everything about what
    small steps can do: the columns of $U \Sigma$, its **principal features**, are the functions of $x$ that can be
    added to the outputs, the most easily moved first.

    Here you train small networks on a sum of three sine waves, and look at these features before and after.
    """)
    return


@app.cell
def _(mo, plot, runs, theme):
    _data = runs.data_of(runs.Setting())
    mo.vstack(
        [
            mo.md(
                f"## The task\n\nThe truth is $f(x) = {runs.latex(_data.truth)}$. Training examples "
                f"({len(_data.train.x):,}) have noise of standard deviation 0.1; the {len(_data.test.x)} test "
                f"examples have none."
            ),
            plot(runs.data_figure(_data, theme())),
        ]
    )
    return


@app.cell
def _(mo, runs):
    _own = runs.Setting()
    controls = (
        mo.md("""
        ## A network of your choice

        {depth} {width} {scheme}

        {optimizer} {learning_rate} {epochs}

        {upper} {output_only}
        """)
        .batch(
            depth=mo.ui.slider(steps=[1, 2, 3, 4, 6], value=_own.depth, label="Hidden layers", show_value=True),
            width=mo.ui.slider(steps=[5, 10, 20, 40, 80], value=_own.width, label="Units in each", show_value=True),
            scheme=mo.ui.dropdown(
                {words: name for name, words in runs.SCHEMES.items()},
                value=runs.SCHEMES[_own.scheme],
                label="First weights",
            ),
            optimizer=mo.ui.dropdown(list(runs.OPTIMIZERS), value=_own.optimizer, label="Optimiser"),
            learning_rate=mo.ui.number(1e-6, 10.0, value=_own.learning_rate, step=1e-6, label="Learning rate"),
            epochs=mo.ui.slider(1, 40, value=_own.epochs, label="Epochs", show_value=True),
            upper=mo.ui.slider(
                steps=[-0.2, 0.0, 0.2, 0.4, 0.7, 1.0], value=1.0, label="Training inputs from −1 to", show_value=True
            ),
            output_only=mo.ui.checkbox(label="Train the output layer only"),
        )
        .form(submit_button_label="Train", show_clear_button=False)
    )
    controls
    return (controls,)


@app.cell
def _(controls, few, mo, quick, runs):
    mo.stop(
        controls.value is None and not quick(),
        mo.md(
            "*Press **Train**. With the choices as they stand: one hidden layer of 20 units, 468 updates, about a "
            "second.*"
        ),
    )
    setting = runs.Setting(**{**(controls.value or {}), **few})
    with mo.status.progress_bar(total=setting.steps, title="Training", remove_on_exit=True) as _bar:
        _left = iter(range(setting.steps))  # the optimiser is tried out first: those steps are none of these
        shown = runs.trained(setting, lambda: _bar.update() if next(_left, None) is not None else None)
    return setting, shown


@app.cell
def _(Film, answers, mo, np, runs, shown, theme, tw):
    _lost = not np.isfinite(runs.final_error(shown))
    _said = (
        f"**It diverged.** {shown.said}"
        if _lost
        else f"Mean squared error on the test inputs: **{runs.final_error(shown):.4f}**."
    )
    mo.vstack(
        [
            mo.md(f"### {shown.setting.name}\n\n{shown.problem.num_weights:,} weights that move. {_said}"),
            Film(
                tw.figures.animate(
                    tw.figures.fit, shown.fit, theme=theme(), title="Truth and prediction while it trains"
                )
            ),
            mo.md("Move the slider, or press its arrow keys, to see the network at an earlier update."),
        ]
    )
    return


@app.cell
def _(mo, plot, runs, shown, theme, tw):
    _curves = tw.figures.training(runs.errors(shown), theme=theme())
    _parts = [mo.md("### Errors"), plot(_curves)]
    if shown.after is not None:
        _parts += [plot(tw.figures.extrapolation(runs.predictions(shown), theme=theme()))]
    mo.vstack(_parts)
    return


@app.cell
def _(mo, plot, shown, theme, tw):
    mo.vstack(
        [
            mo.md(
                "### The tangent, before and after\n\nOn the left the singular values, in the middle the principal "
                "features over $x$ (the first two in colour), on the right the first two against each other, coloured "
                "by $x$."
            ),
            plot(
                tw.figures.tangent(
                    {"before training": shown.before, "after training": shown.after},
                    theme=theme(),
                    title=f"Tangent: {shown.setting.name}",
                )
            ),
        ]
    )
    return


@app.cell
def _(Film, few, mo, plot, runs, shown, theme, tw):
    with mo.status.spinner("Linearising at every checkpoint ..."):
        history = runs.tangents(shown, 5 if few else 18)
        _seen = int((~history["diverged"]).sum()) > 1
        _film = (
            Film(runs.tangent_film(history, "Tangent", theme()), place=0) if _seen else mo.md("*It diverged at once.*")
        )
    mo.vstack(
        [
            mo.md("### The tangent while it trains\n\nWhen do the features change, early or late?"),
            _film,
            plot(tw.figures.singular_values(history, theme=theme())),
        ]
    )
    return


@app.cell
def _(mo, shown):
    _features = (shown.before if shown.after is None else shown.after)["principal_feature"].values
    _rows = [
        {"x": f"{x:.4f}"} | {f"feature {k + 1}": f"{v:.3e}" for k, v in enumerate(row[:6])}
        for x, row in zip(shown.data.train.x.numpy().ravel(), _features, strict=True)
    ]
    mo.accordion({"The matrix of principal features in numbers": mo.ui.table(_rows, selection=None, page_size=8)})
    return


@app.cell
def _(answers, few, mo, question):
    mo.vstack(
        [
            question(
                "**How many weights?** Set four hidden layers of 20 units. Before you look: of how many modules "
                "(linear layers and ReLUs) does such a sequence consist, how many weights has it, and what shape have "
                "its outputs for ten inputs?",
                answers.deep_network,
            ),
            question(
                "**Width, depth, output layer.** Compare 10, 20 and 40 units, then two layers, then the output layer "
                "alone. How does the number of features that matter change, and what does it do to the fit?",
                lambda: answers.widths(**few),
            ),
        ]
    )
    return


@app.cell
def _(mo, shown):
    _known = ["before training", "after training"][: 1 + (shown.after is not None)]
    when = mo.ui.radio(_known, value=_known[-1], label="Look at the network", inline=True)
    mo.vstack([mo.md("### Elbows, and one feature for each weight"), when])
    return (when,)


@app.cell
def _(mo, np, plot, shown, theme, torch, tw, when):
    _at = shown.problem.theta if when.value == "before training" else torch.as_tensor(np.array(shown.run.theta[0, -1]))
    _fine = torch.linspace(-1.0, 1.0, 401)[:, None]
    mo.vstack(
        [
            mo.md(
                "Each hidden unit bends the network where its input changes its sign. Marks at the foot of the "
                "picture are these places; below, a line for each unit where it is on."
            ),
            plot(tw.figures.elbows(tw.elbows(shown.problem, _at, truth=shown.data.truth), theme=theme())),
            mo.md(
                "The gradient of the output in a weight, as a function of $x$, is the feature that this weight moves "
                "the output by. The principal features are combinations of these."
            ),
            plot(tw.figures.gradient_features(tw.gradient_features(shown.problem, _fine, theta=_at), theme=theme())),
        ]
    )
    return


@app.cell
def _(mo):
    mo.md("""
    ## Features beyond the data

    A feature is a function of $x$: it has values where there was no training example too. Shaded is the range of the
    training inputs. Train with inputs up to 0.4 to see how the features go on.
    """)
    return


@app.cell
def _(mo, np, plot, shown, theme, torch, tw):
    mo.stop(shown.after is None, mo.md("*The network diverged; it has no features.*"))
    _wide = torch.linspace(-1.6, 1.6, 321)[:, None]
    _theta = np.asarray(shown.run["theta"].values[0, -1])
    beyond = tw.principal_features_at(shown.after, shown.problem, _wide, theta=_theta)
    plot(tw.figures.tangent(beyond, theme=theme(), title="Principal features at inputs without data"))
    return


@app.cell
def _(answers, few, question):
    question(
        "**Out of the range.** Train one hidden layer, and four hidden layers drawn by He's rule, on inputs up to "
        "0.4. How large is the error on $[-1, 0.4]$, how large beyond? How does the linearisation of the deep network "
        "compare with that of the shallow one, and with that of the same deep network trained on the whole range?",
        lambda: answers.out_of_range(**few),
    )
    return


@app.cell
def _(mo):
    mo.md("""
    ## First weights

    Gradients are products over layers. Draw the weights too small and nothing reaches the first layer, too large and
    everything explodes. Below, the norm of the gradient of each weight matrix over all training examples, before
    training.
    """)
    return


@app.cell
def _(mo, runs, setting, table):
    _norms = runs.gradient_norms(setting)
    mo.vstack(
        [
            mo.md(
                f"**{setting.name}**\n\n"
                + table(["weight matrix", "norm of its gradient"], [[n, f"{v:.3e}"] for n, v in _norms.items()])
            ),
            mo.md(
                "The buttons below compare all schemes on four hidden layers of 20 units, with the same mini-batches "
                "for all."
            ),
        ]
    )
    return


@app.cell
def _(mo):
    compare = mo.ui.run_button(label="Compare all schemes")
    compare
    return (compare,)


@app.cell
def _(compare, mo, plot, pressed, quick, runs, theme, tw):
    mo.stop(not pressed(compare))
    _deep = runs.Setting(depth=4, scheme="he_uniform", **({"num_train": 300} if quick() else {}))
    with mo.status.spinner("Drawing, looking, training, looking again ..."):
        drawn = tw.compare_initializations(
            runs.problem_of(_deep),
            {words: name for name, words in runs.SCHEMES.items() if name != runs.OWN},
            seed=_deep.seeds[0],
            training_seed=_deep.seeds[1],
            steps=60 if quick() else _deep.steps,
        )
    plot(tw.figures.initializations(drawn, theme=theme()))
    return


@app.cell
def _(answers, few, mo, question):
    mo.vstack(
        [
            question(
                "**Gradients, layer by layer.** Read off the gradient norms for ±0.03, for ±3, and for He's rule, "
                "with four hidden layers. Which of the three would you train, and why do all layers suffer at once?",
                lambda: answers.first_gradients(**few),
            ),
            question(
                "**Weights of ±0.03.** Train that network. What does it predict? Look at its tangent before and "
                "after: what is there to be seen, and what does the matrix of features say where the picture is of no "
                "use?",
                lambda: answers.small_weights(**few),
            ),
            question(
                "**Weights of ±3.** Train it. What happens, and at which update? Does a smaller learning rate help?",
                lambda: answers.large_weights(**few),
            ),
            question(
                "**A better start.** Train the deep network from He's or Xavier's weights, which look at the number "
                "of units. How well does it do? Hold its linearisation against that of ±3 and that of the single "
                "layer.",
                lambda: answers.good_weights(**few),
            ),
        ]
    )
    return


@app.cell
def _(mo):
    mo.md(r"""
    ## Is training lazy?

    If the weights hardly move, the network stays near its tangent: training is that of a **generalised linear model**
    with the features from before training, whose kernel is $J J^\top$. Train a network and its linearised model side
    by side, on the same mini-batches of plain gradient descent.
    """)
    return


@app.cell
def _(mo):
    lazy_controls = (
        mo.md("{width} {share} {epochs}")
        .batch(
            width=mo.ui.slider(
                steps=[10, 20, 50, 100, 200, 500], value=100, label="Units in the hidden layer", show_value=True
            ),
            share=mo.ui.slider(
                0.1,
                1.5,
                0.1,
                value=0.5,
                label="Learning rate, of the largest that the linear model stands",
                show_value=True,
            ),
            epochs=mo.ui.slider(5, 80, 5, value=40, label="Epochs", show_value=True),
        )
        .form(submit_button_label="Train both", show_clear_button=False)
    )
    lazy_controls
    return (lazy_controls,)


@app.cell
def _(answers, lazy_controls, mo, plot, quick, theme, tw):
    mo.stop(lazy_controls.value is None and not quick())
    with mo.status.spinner("Training the network and its linearised model ..."):
        lazy = answers.lazy_run(**(lazy_controls.value or {"width": 50, "epochs": 4}))
    plot(tw.figures.lazy(lazy, theme=theme()))
    return


@app.cell
def _(answers, few, mo, question):
    mo.vstack(
        [
            question(
                "**When does the tangent hold?** Make the layer wider and the learning rate smaller. What happens to "
                "the error of the linearised outputs, to the way the weights go, and to the two losses?",
                lambda: answers.laziness_by_width(**({"widths": (20, 50), "epochs": 3} if few else {})),
            ),
            question(
                r"**Is $V$ orthogonal?** One says that gradient descent on the weights is gradient descent on the "
                r"coefficients $V^\top(\theta - \theta_0)$ of the principal features, since $V$ is orthogonal. Is it? "
                r"What would you measure?",
                lambda: answers.orthogonal(**few),
            ),
        ]
    )
    return


if __name__ == "__main__":
    app.run()
