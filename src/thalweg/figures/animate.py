"""Films: any figure that is drawn at a step, drawn at many."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from thalweg.figures import steps as record
from thalweg.figures.backend import BACKENDS, Backend, positive

MOST_FRAMES = 101


@dataclass(frozen=True, repr=False)
class Film:
    """A film that is drawn frame by frame when it is saved; `save` writes it as `.mp4` or `.gif`.

    `draw(step)` makes one figure; `fps` is the number of frames in a second; `loop` lets a GIF begin again at its end.
    `unit` is what the film counts: `step`, or `t` along a curve.
    """

    draw: Callable[[float], Any]
    steps: tuple[float, ...]
    fps: float
    loop: bool
    unit: str = "step"

    def frame(self, number: int = -1) -> Any:
        """Frame `number` (counted from 0; negative from the end) as a figure of its own.

        Raises
        ------
        IndexError
            If the film has fewer frames.
        """
        if not -len(self) <= number < len(self):
            raise IndexError(f"There is no frame {number}; the film has {len(self)}, numbered from 0.")
        return self.draw(self.steps[number])

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        ends = f"{record.word(self.steps[0])} to {record.word(self.steps[-1])}"
        unit = "steps" if self.unit == "step" else self.unit
        return f"Film({len(self)} frames, {unit} {ends}, {self.fps:g} in a second)"


def animate(
    draw: Callable[..., Any],
    *datasets: Any,
    steps: Iterable[float] | None = None,
    backend: Backend = "plotly",
    fps: float = 10,
    loop: bool = True,
    **arguments: Any,
) -> Any:
    """Make a film of a figure: `draw(*datasets, step=k, backend=backend, **arguments)` for one step k after another.

    In plotly the film is one figure with a slider, a play and a pause button. Its frames hold only what differs
    between them, and a 3-D scene stays turned as the reader turned it. Dropdowns and buttons of the figure itself are
    left out. With matplotlib it is a `Film`, whose frames are drawn when it is saved.

    Parameters
    ----------
    draw
        Any function of `figures` that takes `step=`, or your own with `step` and `backend`.
    datasets
        What `draw` takes first.
    steps
        Which steps. If not given, those of the longest dataset with a dim `step`; of more than 101 only so many,
        evenly spaced, with the first and the last. Where no dataset has steps, a course is walked: places t on it.
    backend
        `plotly`, `matplotlib`, or `none` for a `Film` of what the figure prepares.
    fps
        Frames in a second. Interactive films play more slowly where drawing takes longer.
    loop
        Whether a GIF begins again at its end. An interactive film stops at its end, and plays again when asked.
    arguments
        For `draw`, for example `theme="dark"`.

    Returns
    -------
    Figure or Film
        For `save`: a plotly figure becomes `.html`, a matplotlib film `.mp4` or `.gif`.

    Raises
    ------
    ValueError
        If `draw` takes no step, no dataset has steps, some are not recorded, or there are fewer than two.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from thalweg import figures
    >>> x = np.linspace(-2, 2, 5)
    >>> pair = {"point": 1.0, "epsilon": 0.5, "slope": 2.0, "true": 2.25, "approximation": 2.0, "error": -0.25}
    >>> square = xr.Dataset(
    ...     {"value": ("x", x**2), "tangent": (("step", "x"), [2 * x - 1] * 2)}
    ...     | {k: ("step", [v, v]) for k, v in pair.items()},
    ...     {"x": x, "step": [0, 1]},
    ...     {"kind": "linear_approximation", "function": "x²"},
    ... )
    >>> film = figures.animate(figures.linear_approximation, square)
    >>> len(film.frames), [button.label for button in film.layout.updatemenus[0].buttons]
    (2, ['Play', 'Pause'])
    >>> figures.animate(figures.linear_approximation, square, backend="none").frame(0).title
    'Linear approximation of x²'
    """
    if backend not in BACKENDS:
        raise ValueError(f"Unknown backend {backend!r}; expected one of {', '.join(BACKENDS)}.")
    positive("fps", fps, "frames in a second")
    _check_draw(draw)
    chosen, unit = _choose([*datasets, *arguments.values()], steps)
    one = partial(_draw, draw, datasets, {**arguments, "backend": backend})
    film = Film(one, chosen, float(fps), loop, unit)
    if backend != "plotly":
        return film
    from thalweg.figures.plotly.film import assemble

    return assemble(film, arguments.get("theme", "light"))


def _draw(draw: Callable[..., Any], datasets: tuple[Any, ...], arguments: dict[str, Any], step: float) -> Any:
    return draw(*datasets, step=step, **arguments)


def _check_draw(draw: Callable[..., Any]) -> None:
    takes = inspect.signature(draw).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    if missing := [name for name in ("step", "backend") if name not in takes and not anything]:
        name = getattr(draw, "__name__", repr(draw))
        raise ValueError(
            f"`{name}` takes no {' and no '.join(f'`{m}=`' for m in missing)}, so it cannot be filmed; "
            f"of figures, these can: {', '.join(_filmable())}."
        )


def _filmable() -> list[str]:
    from thalweg import figures

    known = [(name, getattr(figures, name)) for name in figures.__all__]
    return [n for n, f in known if inspect.isfunction(f) and "step" in inspect.signature(f).parameters]


def _choose(values: list[Any], steps: Iterable[float] | None) -> tuple[tuple[float, ...], str]:
    """The steps of the film, each recorded in the longest dataset that has any; else places on a curve."""
    found = list(record.datasets(values))
    long = max((ds for ds in found if "step" in ds.dims), key=lambda ds: ds.sizes["step"], default=None)
    courses = [ds for ds in found if ds.attrs.get("kind") == "course"]
    if long is None and courses:
        return _walk(courses[0], steps), "t"
    if long is None:
        raise ValueError(
            f"A film needs a dataset with a dim `step`, and {_what_came(found)}; "
            "thalweg.descend, model_fit and a Recorder make such datasets."
        )
    known = record.recorded(long)
    chosen = record.thinned(known, MOST_FRAMES) if steps is None else _numbers(steps)
    if unknown := [s for s in chosen.tolist() if s not in known]:
        few = ", ".join(record.word(s) for s in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise ValueError(f"Steps {few} are not recorded; the dataset holds {record.said(known)}.")
    if chosen.size < 2:
        raise ValueError(f"A film needs at least two steps, and {record.said(chosen) if chosen.size else 'none'} came.")
    return tuple(chosen.tolist()), "step"


def _walk(course: xr.Dataset, steps: Iterable[float] | None) -> tuple[float, ...]:
    """Places of a curve from end to end, or those asked for, which may lie between the ones it holds."""
    known = course["t"].values.astype(float)
    chosen = record.thinned(known, MOST_FRAMES) if steps is None else _numbers(steps).astype(float)
    if outside := [t for t in chosen.tolist() if not known[0] <= t <= known[-1]]:
        raise ValueError(
            f"The course runs from t = {known[0]:g} to t = {known[-1]:g}; it is nowhere at {outside[0]:g}."
        )
    if chosen.size < 2:
        raise ValueError(f"A film needs at least two places of the course, and {chosen.size} came.")
    return tuple(chosen.tolist())


def _numbers(steps: Iterable[float]) -> np.ndarray:
    given = list(steps)
    for step in given:
        record.check(step)
    return np.asarray(given)


def _what_came(found: list[xr.Dataset]) -> str:
    if not found:
        return "no dataset came"
    told = [f"kind {ds.attrs.get('kind')!r} with dims {', '.join(map(str, ds.dims)) or 'none'}" for ds in found]
    return "what came was " + " and ".join(told)
