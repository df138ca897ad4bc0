"""`thalweg graph`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thalweg.cli.common import Device, Overwrite, Threads, explained, free, out, saved, use_threads


def graph(
    target: Annotated[
        str, typer.Argument(help="`package.module:make_model` or `file.py:make_model`; returns a model and inputs.")
    ],
    engine: Annotated[str, typer.Option(help="export, run, or auto: torch.export where it works.")] = "auto",
    view: Annotated[str, typer.Option(help="forward or backward: what is shown first.")] = "forward",
    html: Annotated[Path | None, typer.Option(help="Write the page here; TARGET's name if nothing is given.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write an SVG here.")] = None,
    open_: Annotated[
        list[str] | None, typer.Option("--open", help="Modules that are open: paths, `all` or `none`.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="A study to write the graph to as well.")] = None,
    name: Annotated[str, typer.Option(help="The result's name in the study.")] = "graph",
    overwrite: Overwrite = False,
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Draw the computational graph of your own network, folded by its modules.

    `TARGET` is a function that returns a model with example inputs, `return model, x` (or `model, (x, y)` or
    `model, {"x": x}`), or a `thalweg.ModuleProblem`, whose loss on its first batch is drawn.
    """
    with explained():
        use_threads(threads)
        from thalweg import figures
        from thalweg.apps.graph_target import make_graph
        from thalweg.figures.graph_page import summary

        if html is None and svg is None and store is None:
            html = Path(f"{target.rpartition(':')[2]}.html")
        if store is not None:
            free(store, [name], overwrite)
        ds = make_graph(target, engine=engine, device=device)
        words: Any = open_
        figure = figures.graph(ds, view=view, open=words[0] if words in (["all"], ["none"]) else words)
        out.print(escape(f"{figure.title}: {summary(ds)}."))
        if ds.attrs["engine"] == "run" and ds.attrs["engine_reason"].startswith("torch.export"):
            out.print(escape(f"{ds.attrs['engine_reason']}, so the code was run and watched."))
        for file in (html, svg):
            if file is not None:
                out.print(f"Graph: {escape(str(figures.save(figure, file).resolve()))}")
        if store is not None:
            from thalweg.store import save

            save(ds, store, name, overwrite=overwrite)
            saved(store, name, None)
