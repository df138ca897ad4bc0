# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Loss surfaces of real networks: curvature, ways between optima, and the path of training."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Loss surfaces of real networks")


@app.cell
def _():
    import tempfile

    import marimo as mo

    import thalweg as tw
    from thalweg.apps.labs import surface_answers as answers
    from thalweg.apps.labs import surface_study as studies
    from thalweg.apps.labs.plot import plot
    from thalweg.apps.labs.question import question
    from thalweg.apps.labs.running import pressed, quick, theme
    from thalweg.apps.widgets import Film

    return Film, answers, mo, plot, pressed, question, quick, studies, tempfile, theme, tw


@app.cell
def _(mo):
    mo.md(r"""
    # Loss surfaces of real networks

    A convolutional network has tens of thousands of weights, and a loss over all of them. Nobody can see it, but one
    can ask: how does it bend where training ended? Are two solutions apart or connected? What does the way of training
    look like, and what of that is an illusion?

    Each step below is a button. What has been measured is kept in a **study**, a folder on your disk: open the lab
    again with the same choices, and it is there.
    """)
    return


@app.cell
def _(mo, studies):
    _data = studies.data_sets()
    choices = (
        mo.md("""
        ## Data and training

        {data} {epochs} {seed} {device}

        {where}
        """)
        .batch(
            data=mo.ui.dropdown(_data, value=next(iter(_data)), label="Images"),
            epochs=mo.ui.slider(1, 20, value=10, label="Epochs of Adam", show_value=True),
            seed=mo.ui.number(0, 1000, value=0, step=1, label="Seed"),
            device=mo.ui.dropdown(studies.devices(), value=studies.devices()[-1], label="Device"),
            where=mo.ui.text(str(studies.folder()), label="Folder of the study", full_width=True),
        )
        .form(submit_button_label="Open the study", show_clear_button=False)
    )
    choices
    return (choices,)


@app.cell
def _(choices, mo, quick, studies, tempfile):
    mo.stop(choices.value is None and not quick(), mo.md("*Choose, and press **Open the study**.*"))
    if quick():
        plan, _folder = studies.QUICK, (choices.value or {}).get("where") or tempfile.mkdtemp(prefix="thalweg-lab-")
    else:
        _told = dict(choices.value)
        _folder = _told.pop("where")
        _sizes = {"num_train": 1500, "num_test": 297} if _told["data"] == "digits" else {}
        plan = studies.Plan(**_told, **_sizes)
    work = studies.Surfaces(plan, _folder)
    _there = f"It holds {len(work.done())} results already." if work.done() else "It is empty."
    mo.md(f"The study is `{work.study}`. {_there}")
    return plan, work


@app.cell
def _(mo, plan, work):
    mo.stop(work is None)
    train = mo.ui.run_button(label=f"Train for {work.steps:,} updates")
    mo.vstack(
        [
            mo.md(
                f"## Training\n\n{len(work.images.train[1]):,} images, mini-batches of {plan.batch_size}, Adam at "
                f"{plan.rate:g}. The weights are recorded {plan.records} times an epoch."
            ),
            train,
        ]
    )
    return (train,)


@app.cell
def _(mo, plot, pressed, studies, theme, train, tw, work):
    mo.stop(not (pressed(train) or work.has(studies.FIRST)))
    with mo.status.progress_bar(total=work.steps, title="Training", remove_on_exit=True) as _bar:
        first = work.train(studies.FIRST, _bar.update)
    _end = {k: float(v[0]) for k, v in work.problem.measure(work.problem.theta[None]).values.items()}
    mo.vstack(
        [
            mo.md(
                f"**{work.problem.num_weights:,} weights.** Accuracy {_end['accuracy']:.1%} on the training images, "
                f"**{_end['test_accuracy']:.1%} on the test images**; loss {_end['loss']:.4f} and "
                f"{_end['test_loss']:.4f}."
            ),
            plot(tw.figures.training(first, theme=theme(), title="Loss of the mini-batches that were recorded")),
        ]
    )
    return (first,)


@app.cell
def _(first, mo, plan):
    mo.stop(first is None)
    bend = mo.ui.run_button(label=f"Measure {plan.pairs} eigenpairs")
    mo.vstack(
        [
            mo.md(r"""
    ## How the loss bends

    The Hessian has as many rows as the network has weights: it is never formed. Its largest eigenvalues come from
    products $v \mapsto Hv$ alone, each as dear as a few gradients.
    """),
            bend,
        ]
    )
    return (bend,)


@app.cell
def _(bend, mo, plot, pressed, studies, theme, tw, work):
    mo.stop(not (pressed(bend) or work.has(studies.SPECTRUM)))
    with mo.status.spinner("Lanczos: products with the Hessian ..."):
        pairs = work.spectrum()
    plot(tw.figures.spectrum(pairs, theme=theme()))
    return (pairs,)


@app.cell
def _(mo, pairs, plan):
    mo.stop(pairs is None)
    pair = mo.ui.slider(1, plan.pairs, value=1, label="Eigenvector", show_value=True, debounce=True)
    mo.vstack(
        [
            mo.md(
                f"### Along an eigenvector\n\nLoss and accuracy at 21 points, from −{plan.reach:g} to {plan.reach:g}, "
                f"beside the "
                "parabola that the eigenvalue predicts. Compare the first eigenvector with the last."
            ),
            pair,
        ]
    )
    return (pair,)


@app.cell
def _(mo, pair, plot, theme, tw, work):
    with mo.status.spinner("Walking along the eigenvector ..."):
        _profile = work.eigen_profile(pair.value)
    plot(tw.figures.profile(_profile, theme=theme(), title=f"Along eigenvector {pair.value}"))
    return


@app.cell
def _(answers, mo, pairs, question, work):
    mo.stop(pairs is None)
    mo.vstack(
        [
            question(
                "**A product with the Hessian.** Write it yourself: a function of a vector that goes through all "
                "batches of a data loader, with two backward passes for each. How do you check it, and what do "
                "batches of unequal size do?",
                answers.hessian_products,
            ),
            question(
                "**A few large, many small.** Count the eigenvalues that stand out. Does the number remind you of "
                "something?",
                lambda: answers.outliers(work),
            ),
            question(
                "**Stiff and soft.** How much does the loss rise along the first eigenvector, how much along the last "
                "one shown? Does the parabola tell it?",
                lambda: answers.along_eigenvectors(work),
            ),
        ]
    )
    return


@app.cell
def _(first, mo, plan):
    mo.stop(first is None)
    sharpen = mo.ui.run_button(label=f"Measure curvature at about {plan.rows} steps of the training")
    mo.vstack(
        [
            mo.md(
                "## Curvature while it trained\n\nThe largest eigenvalues at recorded steps, on a fixed subset of the "
                "images. Does the top subspace stay the same? Does the gradient lie in it?"
            ),
            sharpen,
        ]
    )
    return (sharpen,)


@app.cell
def _(answers, mo, plot, pressed, question, sharpen, studies, theme, tw, work):
    mo.stop(not (pressed(sharpen) or work.has(studies.COURSE)))
    with mo.status.spinner("Eigenvalues along training ..."):
        course = work.sharpness()
    mo.vstack(
        [
            plot(tw.figures.spectrum_path(course, theme=theme())),
            plot(tw.figures.overlap(course, theme=theme())),
            question(
                "**The top subspace.** From which update on does it hardly change? What share of the gradient lies in "
                "it, and what would it be by chance? When is the sharpness largest?",
                lambda: answers.top_subspace(work),
            ),
        ]
    )
    return


@app.cell
def _(first, mo, plan):
    mo.stop(first is None)
    join = mo.ui.run_button(label=f"Train a second network, and a chain for {plan.chain_steps} steps")
    mo.vstack(
        [
            mo.md(r"""
    ## Two optima

    A second network, from another seed, ends elsewhere. Between them lies the straight segment; and a chain with one
    bend $\theta$, which is learned: at each step a place $t$ on the chain is drawn, a mini-batch, and the bend follows
    the gradient.
    """),
            join,
        ]
    )
    return (join,)


@app.cell
def _(Film, join, mo, plan, plot, pressed, studies, theme, tw, work):
    mo.stop(not (pressed(join) or work.has(*studies.JOINED)))
    with mo.status.progress_bar(total=work.steps, title="Training the second network", remove_on_exit=True) as _bar:
        work.train(studies.SECOND, _bar.update)
    with mo.status.spinner("Learning a curve of low loss ...") as _spinner:
        _along = work.chain(_spinner.update)
    chained = work.valley()
    mo.vstack(
        [
            plot(tw.figures.connection({"segment": _along["segment"], "chain": _along["curve"]}, theme=theme())),
            mo.md("Walk along the chain, in the plane of its three points:"),
            Film(
                tw.figures.animate(
                    tw.figures.contour,
                    chained["surface"],
                    course=chained["course"],
                    steps=studies.some(chained["course"]["t"], plan.frames),
                    theme=theme(),
                ),
                place=0,
            ),
        ]
    )
    return (chained,)


@app.cell
def _(answers, chained, mo, question, work):
    mo.stop(chained is None)
    mo.vstack(
        [
            question(
                "**The gradient in the bend.** How would you write a network whose weights are a point of the chain, "
                "so that the gradient reaches the bend? What is that gradient in terms of the network's own?",
                answers.bends,
            ),
            question(
                "**Points, or connected?** From what you measured: are these two optima the bottoms of separate holes?",
                lambda: answers.connected(work),
            ),
        ]
    )
    return


@app.cell
def _(first, mo, plan):
    mo.stop(first is None)
    look = mo.ui.run_button(label=f"Measure the plane of the path, {plan.points} × {plan.points} points")
    mo.vstack(
        [
            mo.md(
                "## The path of training\n\nThe plane of the first two principal components of the recorded weights, "
                "with losses and accuracies around the path. Beneath, the control: what a random walk of as many rows "
                "would show."
            ),
            look,
        ]
    )
    return (look,)


@app.cell
def _(Film, look, mo, plan, plot, pressed, studies, theme, tw, work):
    mo.stop(not (pressed(look) or work.has(*studies.SEEN)))
    with mo.status.spinner("Measuring the principal plane ...") as _spinner:
        plane = work.plane(_spinner.update)
    _four = ["loss", "test_loss", "accuracy", "test_accuracy"]
    _maps = tw.figures.contour(plane["surface"], _four, path=plane["path"], theme=theme())
    mo.vstack(
        [
            plot(_maps.update_layout(width=1040)),
            mo.md("The same while it trains:"),
            Film(
                tw.figures.animate(
                    tw.figures.contour,
                    plane["surface"],
                    path=plane["path"],
                    steps=studies.some(plane["path"]["step"], plan.frames),
                    theme=theme(),
                )
            ),
            plot(tw.figures.random_walk(plane["random_walk"], theme=theme())),
            plot(tw.figures.motion(plane["motion"], theme=theme())),
        ]
    )
    return (plane,)


@app.cell
def _(answers, mo, plane, question, work):
    mo.stop(plane is None)
    mo.vstack(
        [
            question(
                "**How did it get there?** Straight or winding, downhill or over hills? How much do two components "
                "explain, and how much would they explain of a random walk?",
                lambda: answers.on_the_way(work),
            ),
            question(
                "**Why do such optima generalise?** Train with large batches too (the answer does, for as many "
                "updates), and compare accuracy and sharpness at both ends. What would you conclude, and what not?",
                lambda: answers.batch_sizes(work),
            ),
        ]
    )
    return


@app.cell
def _(first, mo, work):
    mo.stop(first is None)
    mo.md(f"""
    ## Go on in the explorer

    Everything measured here is in the study. Turn the surfaces, draw lines across them, compare:

    ```sh
    thalweg open {work.study}
    ```
    """)
    return


if __name__ == "__main__":
    app.run()
