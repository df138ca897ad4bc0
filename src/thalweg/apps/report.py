"""A study as one self-contained HTML page: its pictures, the figures in words, and where they come from.

The page reads datasets only, needs no network, and is written whole or not at all.
"""

from __future__ import annotations

import html
import os
import uuid
from datetime import datetime
from pathlib import Path

import xarray as xr
from plotly.offline import get_plotlyjs

from thalweg import store
from thalweg.apps import sections
from thalweg.apps.page import PAGE

_DRAWN = {"surface", "path", "descent", "critical_points", "linear_approximation", "fit"}
_DRAWN |= {"eigenpairs", "spectral_density", "spectrum_path"}
_DRAWN |= {"connection", "barrier", "course", "motion", "random_walk", "components_by_length"}
_DRAWN |= {"initializations", "gradients", "extrapolation", "elbows", "gradient_features"}
_DRAWN |= {"tangent", "kernel", "lazy", "tangent_path", "graph"}


def report(study: str | Path, file: str | Path | None = None, *, title: str | None = None) -> Path:
    """Write the report of a study and return its path (beside the study by default, with the suffix `.html`).

    Every surface is drawn in three dimensions and as a map (a line as a profile), with the path that belongs to it:
    the result `path/<name>` goes with `surface/<name>`. Descents and critical points are drawn on the surface that
    their `attrs["on"]` names.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such study, or it holds nothing that can be drawn.

    Examples
    --------
    >>> import tempfile, thalweg as tw
    >>> problem = tw.FunctionProblem(lambda x, y: (1 - x * y) ** 2)
    >>> study = tempfile.mkdtemp() + "/study.zarr"
    >>> surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=2.0, points=21, store=study)
    >>> report(study).name
    'study.html'
    """
    study = Path(study).expanduser()
    names = store.results(study)
    results, lost = _loaded(study, names)
    surfaces = {name: ds for name, ds in results.items() if ds.attrs["kind"] == "surface"}
    if not any(ds.attrs["kind"] in _DRAWN for ds in results.values()):
        raise ValueError(f"{study} holds nothing to draw (its results: {', '.join(names) or 'none'}).")
    parts = [*sections.sections(results), *(sections.lost(name, error) for name, error in lost.items())]
    first = next(iter(surfaces.values()), None) if len(results) > 1 else next(iter(results.values()))
    title = title or str((first.attrs if first is not None else {}).get("title", f"The study {study.name}"))
    page = PAGE.substitute(
        title=html.escape(title),
        date=datetime.now().strftime("%d %B %Y"),
        plotly=get_plotlyjs(),
        contents="".join(f'<a href="#{anchor}">{html.escape(head)}</a>' for anchor, head, _ in parts),
        sections="".join(body for _, _, body in parts),
    )
    target = (
        Path(file).expanduser() if file is not None else study.with_name(study.name.removesuffix(".zarr") + ".html")
    )
    draft = target.with_name(f".{target.name}-{uuid.uuid4().hex[:8]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(page, encoding="utf-8")
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _loaded(study: Path, names: list[str]) -> tuple[dict[str, xr.Dataset], dict[str, Exception]]:
    """What can be read, and why the rest cannot: one damaged result does not take the page away."""
    results: dict[str, xr.Dataset] = {}
    lost: dict[str, Exception] = {}
    for name in names:
        try:
            results[name] = store.load(study, name)
        except Exception as error:
            lost[name] = error
    return results, lost
