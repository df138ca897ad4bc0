"""What reads a study: `thalweg show` and `thalweg export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from thalweg.cli.common import explained, out

PICTURES = (".html", ".png", ".svg", ".pdf")


def show(
    study: Annotated[Path, typer.Argument(help="A study, such as `study.zarr`.")],
    output: Annotated[
        Path | None, typer.Option("--out", help="The page to write; beside the study if not given.")
    ] = None,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = False,
) -> None:
    """Draw what is in a study: one self-contained HTML page."""
    with explained():
        from thalweg.apps.report import report
        from thalweg.store import load, results

        for name in results(study):
            try:
                dataset = load(study, name)
            except Exception as error:
                out.print(escape(f"  {name}: damaged ({error})"))
                continue
            sizes = " x ".join(f"{dim} {n:,}" for dim, n in dataset.sizes.items())
            unfinished = "" if dataset.attrs.get("complete", True) else ", not complete"
            out.print(escape(f"  {name}: {dataset.attrs['kind']}, {sizes}{unfinished}"))
        page = report(study, output)
        out.print(f"Report: {escape(str(page.resolve()))}")
        if browser:
            typer.launch(page.resolve().as_uri())


def export(
    study: Annotated[Path, typer.Argument(help="A study, such as `study.zarr`.")],
    name: Annotated[str, typer.Argument(help="The result: `surface/random`.")],
    file: Annotated[
        Path,
        typer.Argument(help="Where to: .nc (NetCDF), .vtu .vtk .ply .obj .stl (mesh), .png .svg .pdf .html (picture)."),
    ],
) -> None:
    """Write one result for another program."""
    with explained():
        from thalweg.apps.sections import path_name
        from thalweg.export import MESHES, to_netcdf, to_vtk
        from thalweg.store import load, results

        result = load(study, name)
        if file.suffix == ".nc":
            to_netcdf(result, file)
        elif file.suffix in MESHES:
            to_vtk(result, file)
        else:
            partner = path_name(name)
            path = load(study, partner) if partner in results(study) else None
            _save_picture(result, path, file)
        out.print(f"Wrote {escape(str(file.resolve()))}")


def _save_picture(result: Any, path: Any, file: Path) -> None:
    """`.html` interactive; everything else drawn by matplotlib, as for a paper."""
    from thalweg import figures
    from thalweg.export import MESHES

    if file.suffix not in PICTURES:
        every = ", ".join((*PICTURES, ".nc", *MESHES))
        raise ValueError(f"{file.name} has the suffix {file.suffix!r}; results are written as {every}.")
    backend: Any = "plotly" if file.suffix == ".html" else "matplotlib"
    figures.save(figures.picture(result, path=path, backend=backend), file)
