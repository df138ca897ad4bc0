"""The command line: each verb is one measure and one save, or one load and one figure."""

from __future__ import annotations

import typer

from thalweg.cli import connect, demo, explore, graph, lab, spectrum, study, surface, tangent, trajectory

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="See and measure the loss landscapes of neural networks.\n\n"
    "Start with `thalweg demo`. For your own network write a function that returns a `thalweg.ModuleProblem`, and "
    "point `thalweg surface` at it: `thalweg surface my_module:make_problem`.",
)
for verb in (
    demo.demo,
    surface.surface,
    spectrum.spectrum,
    connect.connect,
    trajectory.trajectory,
    tangent.tangent,
    graph.graph,
    study.show,
    study.export,
    lab.lab,
):
    app.command()(verb)
app.command("open")(explore.explore)
