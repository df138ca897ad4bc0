"""Numbers in the text of a lab."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def told(value: Any, digits: int = 4) -> str:
    """A number as people read it, the dust of rounding as 0; words stay as they are.

    Examples
    --------
    >>> told(-0.123456), told(12345678.0), told("a word"), told(-0.0)
    ('−0.1235', '1.235e7', 'a word', '0')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, bool)):
        return str(value).replace("-", "−")
    number = 0.0 if abs(float(value)) < 1e-14 else float(value)
    text = f"{number:.{digits}g}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    return text.replace("-", "−")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], digits: int = 4) -> str:
    """A table in markdown; its first column is flush left, numbers are flush right.

    Examples
    --------
    >>> print(table(["x", "slope"], [[0.0, 1.0]]))
    | x | slope |
    |:---|---:|
    | 0 | 1 |
    """
    ruled = "|" + "|".join([":---", *["---:"] * (len(header) - 1)]) + "|"
    lines = [[told(value, digits).replace("|", "\\|") for value in row] for row in (header, *rows)]
    head, *body = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join((head, ruled, *body))
