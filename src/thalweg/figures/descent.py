"""Loss curves of an optimiser from many starts: plateaus, and who ends where."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import xarray as xr

from thalweg.figures import steps, strands
from thalweg.figures.backend import Backend, drawer
from thalweg.figures.lines import Line, Panel, Sheets
from thalweg.figures.outcomes import facts, read_descent
from thalweg.figures.prepare import at_step, label
from thalweg.figures.theme import Theme


def descent(
    ds: xr.Dataset,
    *,
    step: int | None = None,
    log: bool | Literal["auto"] = "auto",
    backend: Backend = "plotly",
    theme: Theme = "light",
    title: str | None = None,
) -> Any:
    """Draw the loss over the updates, one curve for each start, coloured by outcome as in `figures.surface`.

    Of more than 200 starts some are drawn, among them a few of every outcome, which the subtitle says. A curve that
    diverges ends in a cross at the top; if all do, the axes show how they rise.
    The loss is that of all examples, also where updates come from mini-batches. The learning rate has a panel of its
    own if it varies.

    Parameters
    ----------
    ds
        Kind `descent`; with `outcome(start)` the curves are told apart.
    step
        Draw the curves up to this recorded update, with a dot where they are; the axes stay those of the whole. None
        draws all.
    log
        Whether the loss axis is logarithmic. 'auto': if the losses span more than three decades, from their 5th
        percentile to the highest, and none is negative.
    backend, theme, title
        As in `figures.surface`.

    Returns
    -------
    Figure
        Of plotly or matplotlib; or the prepared `lines.Sheets`.

    Raises
    ------
    ValueError
        If the dataset is no descent, `step` is not recorded, or no loss is finite.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> theta = np.array([1.0, -2.0])[:, None, None] * 0.8 ** np.arange(4)[None, :, None]
    >>> variables = {
    ...     "theta": (("start", "step", "weight"), theta),
    ...     "loss": (("start", "step"), theta[..., 0] ** 2),
    ...     "gradient": (("start", "step", "weight"), 2 * theta),
    ...     "learning_rate": ("step", np.full(4, 0.1)),
    ... }
    >>> run = xr.Dataset(
    ...     variables, {"start": [0, 1], "step": np.arange(4)}, {"kind": "descent", "optimizer": "SGD(lr=0.1)"}
    ... )
    >>> shown = descent(run, backend="none")
    >>> shown.subtitle, [strand.label for strand in shown.panels[0].strands]
    ('2 starts, SGD(lr=0.1), 3 updates', ['SGD(lr=0.1): 2 starts'])
    """
    draw = drawer(backend, "lines")
    return draw(descent_panels(ds, step=step, log=log, title=title), theme)


def descent_panels(
    ds: xr.Dataset, *, step: int | None = None, log: bool | Literal["auto"] = "auto", title: str | None = None
) -> Sheets:
    """The losses over the updates, and the learning rate if it varies.

    Raises
    ------
    ValueError
        As `descent`.
    """
    ds = read_descent(ds)
    steps.drawable([ds], step)
    seen = strands.reach(ds, log)
    curves, drawn = strands.over_steps(ds, seen, step)
    x = ds["step"].values.astype(float)
    words = label(ds["loss"])
    words = words[:1].upper() + words[1:]
    xlim = (float(x[0]), strands.end(ds, seen))
    panels = [Panel(words, (), log=seen.log, share=2.6, strands=curves, xlim=xlim, ylim=seen.limits)]
    rate = ds["learning_rate"].values.astype(float)
    if np.nanmax(rate) > np.nanmin(rate):
        count = steps.up_to(ds, step)
        line = Line("learning rate", x[:count], rate[:count], "rate", "train")
        room = 0.05 * float(np.nanmax(rate) - np.nanmin(rate))
        ylim = (float(np.nanmin(rate)) - room, float(np.nanmax(rate)) + room)
        panels.append(Panel("Learning rate", (line,), xlim=xlim, ylim=ylim))
    whole = ["the loss is that of all examples"] if "batch_loss" in ds else []
    name = words.split(" [")[0]
    return Sheets(
        panels=tuple(panels),
        x="update",
        title=at_step(title or str(ds.attrs.get("title") or "") or f"{name} over the updates", step),
        subtitle=". ".join([*facts(ds, drawn), *whole]),
        notes=tuple(strands.below(ds, seen, step)),
    )
