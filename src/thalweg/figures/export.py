"""A figure to a file: HTML that needs no network, PNG, SVG or PDF; a film to MP4 or GIF."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from thalweg.figures.animate import Film
from thalweg.figures.backend import positive
from thalweg.figures.graph import GraphFigure

IMAGES = (".png", ".svg", ".pdf")
FILMS = (".mp4", ".gif")
CONFIG = {"displaylogo": False, "showSendToCloud": False, "responsive": True}
"""Of plotly's pages: nothing is offered that would leave this machine."""
_SIZES = {"dpi": "pixels on an inch", "scale": "pixels for each pixel of the figure"}
# Plotly rejects the promise of an animation that another one, or Pause, breaks off; nobody waits for it.
_BROKEN_OFF = "addEventListener('unhandledrejection', e => { if (e.reason === undefined) e.preventDefault() })"


def save(figure: Any, file: str | os.PathLike[str], **kwargs: Any) -> Path:
    """Write a figure or film of plotly or matplotlib; the suffix chooses the format.

    The file appears whole or not at all: it is written beside its place and then moved there.

    Parameters
    ----------
    figure
        What a function of `figures` returned, `animate` among them.
    file
        `.html` (plotly only; self-contained), `.png`, `.svg` or `.pdf`. Images of plotly figures need the extra
        `thalweg[images]` and a Chromium. Films drawn with matplotlib become `.mp4` or `.gif`, which needs the extra
        `thalweg[films]`; films drawn with plotly become `.html`.
    kwargs
        For plotly's `write_html` or `write_image` (`width`, `height`, `scale`), or matplotlib's `savefig` (`dpi`). For
        films: `dpi`, and `progress`, a function called with the number of frames that are done and of all.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TypeError, ValueError
        If the suffix is unknown, or does not fit the figure, or `dpi` or `scale` is not positive.
    ModuleNotFoundError
        If the extra for images or films is needed and missing.

    Examples
    --------
    >>> save(None, "landscape.bmp")
    Traceback (most recent call last):
    ValueError: Cannot save 'landscape.bmp': the suffix must be one of .html, .png, .svg, .pdf, .mp4, .gif.
    """
    target = Path(file)
    suffix = target.suffix.lower()
    if suffix not in (".html", *IMAGES, *FILMS):
        known = ", ".join((".html", *IMAGES, *FILMS))
        raise ValueError(f"Cannot save {target.name!r}: the suffix must be one of {known}.")
    for name, unit in _SIZES.items():
        if kwargs.get(name) is not None and not (name == "dpi" and kwargs[name] == "figure"):
            positive(name, kwargs[name], unit)
    write = _writer(figure, target.name, suffix)
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"There is no folder {str(target.parent)!r} to save {target.name!r} in; create it first."
        )
    handle, part = tempfile.mkstemp(suffix=suffix, prefix=f".{target.stem}.", dir=target.parent)
    os.close(handle)
    try:
        write(figure, part, **kwargs)
        os.chmod(part, 0o666 & ~_umask())
        os.replace(part, target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
    return target


def _writer(figure: Any, name: str, suffix: str) -> Any:
    if isinstance(figure, Film):
        return _film_writer(figure, name, suffix)
    if isinstance(figure, GraphFigure):
        return _graph_writer(name, suffix)
    if suffix in FILMS:
        raise ValueError(f"Cannot save {name!r}: {_no_film(figure)}.")
    if hasattr(figure, "savefig"):
        if suffix == ".html":
            raise ValueError(
                f"Cannot save {name!r}: a matplotlib figure cannot become HTML; "
                f"draw it with backend='plotly', or use one of {', '.join(IMAGES)}."
            )
        return _matplotlib
    if not hasattr(figure, "write_html"):
        raise ValueError(
            f"Cannot save {name!r}: a figure of plotly or matplotlib is needed, not {type(figure).__name__!r}; "
            "backend='none' returns data and not a figure."
        )
    if suffix == ".html":
        return _html
    if find_spec("kaleido") is None:
        raise ModuleNotFoundError(
            f"Cannot save {name!r}: images of plotly figures need kaleido. "
            'Install it with: pip install "thalweg[images]"; or save as .html, or draw with backend="matplotlib".'
        )
    return _image


def _film_writer(film: Film, name: str, suffix: str) -> Any:
    if suffix in IMAGES:
        raise ValueError(f"Cannot save {name!r}: a film becomes .mp4 or .gif; one frame of it is film.frame(0).")
    if suffix == ".html":
        raise ValueError(
            f"Cannot save {name!r}: a film drawn with matplotlib becomes .mp4 or .gif; "
            "for .html make it with animate(..., backend='plotly')."
        )
    if not hasattr(film.frame(0), "savefig"):
        raise ValueError(
            f"Cannot save {name!r}: the frames of this film are data and not figures; "
            "make it with animate(..., backend='matplotlib')."
        )
    if find_spec("imageio_ffmpeg") is None:
        raise ModuleNotFoundError(
            f"Cannot save {name!r}: films need imageio-ffmpeg. "
            'Install it with: pip install "thalweg[films]"; or make an .html with animate(..., backend="plotly").'
        )
    from thalweg.figures.matplotlib.film import write

    return write


def _graph_writer(name: str, suffix: str) -> Any:
    if suffix not in (".html", ".svg"):
        raise ValueError(f"Cannot save {name!r}: a computational graph becomes .html or .svg.")
    return GraphFigure.write_html if suffix == ".html" else GraphFigure.write_svg


def _no_film(figure: Any) -> str:
    if getattr(figure, "frames", ()):
        return "an interactive film becomes .html; for .mp4 and .gif make it with animate(..., backend='matplotlib')"
    return "this is a single picture; figures.animate(..., backend='matplotlib') makes a film"


def _matplotlib(figure: Any, file: str, **kwargs: Any) -> None:
    figure.savefig(file, **{"bbox_inches": "tight", "facecolor": figure.get_facecolor(), **kwargs})


def _html(figure: Any, file: str, **kwargs: Any) -> None:
    options = {"include_plotlyjs": True, "include_mathjax": False, "config": dict(CONFIG)}
    options |= {"auto_play": False, "post_script": _BROKEN_OFF} if figure.frames else {}
    text = figure.to_html(**{**options, **kwargs})
    paper = figure.layout.paper_bgcolor or figure.layout.template.layout.paper_bgcolor or "#ffffff"
    style = f"<style>body{{margin:0;background:{paper}}}body>div{{margin:0 auto}}</style>"
    Path(file).write_text(text.replace("<head>", f"<head>{style}", 1), encoding="utf-8")


def _image(figure: Any, file: str, **kwargs: Any) -> None:
    plain = type(figure)(figure)
    plain.layout.updatemenus = plain.layout.sliders = ()  # controls mean nothing on paper
    size = {"width": figure.layout.width or 1200, "height": figure.layout.height or 760, "scale": 2}
    from thalweg.figures.plotly import stills

    if len(stills.scenes(plain)) < 2:
        plain.write_image(file, **{**size, **kwargs})
        return
    if Path(file).suffix.lower() != ".png":
        raise ValueError(
            f"Plotly draws several 3-D scenes wrongly as {Path(file).suffix}; save them as .png or .html, or draw them "
            "with backend='matplotlib'."
        )
    stills.write(plain, file, **{**size, **kwargs})


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
