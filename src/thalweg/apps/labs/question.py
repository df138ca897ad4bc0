"""A question to the reader, with a worked answer that is computed when it is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import marimo as mo

from thalweg.apps.labs.plot import plot


def question(text: str, reveal: Callable[[], Any], *, label: str = "Show a worked answer") -> mo.Html:
    """A question in a box; beneath it an answer to open.

    As a script every answer is computed at once, so that a run of the lab checks them.

    Parameters
    ----------
    text
        In markdown. It ends with what the reader is to do with the instrument at hand.
    reveal
        Computes the answer: markdown, a plotly figure, anything that marimo shows, or a list of these. It is called
        when the reader opens the answer, not before.
    label
        Of what is opened.

    Examples
    --------
    >>> asked = question("How steep is x² at 1?", lambda: f"Its slope is {2 * 1.0:g}.")
    >>> "How steep" in asked.text
    True
    """
    if not callable(reveal):
        raise TypeError(f"`reveal` is a {type(reveal).__name__}; expected a function that computes the answer.")
    if mo.running_in_notebook():
        answer: Any = mo.lazy(lambda: _legible(reveal()), show_loading_indicator=True)
    else:
        answer = _legible(reveal())
    return mo.vstack([mo.md(text), mo.accordion({label: answer})]).callout(kind="info")


def shown(answer: Any) -> mo.Html:
    """Markdown, a figure, or a list of parts, as marimo shows them."""
    if isinstance(answer, str):
        return mo.md(answer)
    if isinstance(answer, Sequence):
        return mo.vstack([shown(part) for part in answer])
    if hasattr(answer, "to_plotly_json"):
        return shown(plot(answer))
    return mo.as_html(answer)


def _legible(answer: Any) -> mo.Html:
    """In the colour of the text: marimo greys what has been opened."""
    return shown(answer).style(color="var(--foreground)", font_size="1.05rem", line_height="1.6")
