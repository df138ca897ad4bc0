# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""Calculus for descent."""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Calculus for descent")


@app.cell
def _():
    import marimo as mo

    import thalweg as tw
    from thalweg.apps.labs.plot import plot
    from thalweg.apps.labs.question import question
    from thalweg.apps.labs.running import theme

    return mo, plot, question, theme, tw


@app.cell
def _(mo):
    mo.md("# Calculus for descent")
    return


if __name__ == "__main__":
    app.run()
