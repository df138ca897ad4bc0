"""All landscapes by name: the linear network, the nine surfaces, and the classics of optimisation."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from thalweg.landscapes import classic, multimodal, nine
from thalweg.landscapes.landscape import Landscape
from thalweg.landscapes.linear_network import multiply_by_one

_WRITTEN: dict[str, Callable[[], Landscape]] = {
    "multiply-by-one": multiply_by_one,
    "l0": nine.l0,
    "l1": nine.l1,
    "l2": nine.l2,
    "l3": nine.l3,
    "l4": nine.l4,
    "l5": nine.l5,
    "l6": nine.l6,
    "rosenbrock": classic.rosenbrock,
    "beale": classic.beale,
    "booth": classic.booth,
    "matyas": classic.matyas,
    "easom": classic.easom,
    "saddle": classic.saddle,
    "monkey-saddle": classic.monkey_saddle,
    "himmelblau": multimodal.himmelblau,
    "three-hump-camel": multimodal.three_hump_camel,
    "six-hump-camel": multimodal.six_hump_camel,
    "goldstein-price": multimodal.goldstein_price,
    "styblinski-tang": multimodal.styblinski_tang,
    "rastrigin": multimodal.rastrigin,
    "ackley": multimodal.ackley,
}
_DRAWN: dict[str, Callable[[int], Landscape]] = {"l7": nine.l7, "l8": nine.l8}


def names() -> list[str]:
    """Names that `landscape` knows.

    Examples
    --------
    >>> names()[:4]
    ['multiply-by-one', 'l0', 'l1', 'l2']
    """
    written = list(_WRITTEN)
    after = written.index("l6") + 1
    return [*written[:after], *_DRAWN, *written[after:]]


def landscape(name: str, seed: int = 0) -> Landscape:
    """The landscape of that name; `seed` draws those that are random (`l7`, `l8`) and changes no other.

    Raises
    ------
    ValueError
        For a name that does not exist, with those that do and the closest.

    Examples
    --------
    >>> landscape("himmelblau").formula
    '(x² + y − 11)² + (x + y² − 7)²'
    """
    key = str(name).strip().lower().replace("_", "-").replace(" ", "-")
    if key in _DRAWN:
        return _DRAWN[key](seed)
    if key in _WRITTEN:
        return _WRITTEN[key]()
    close = difflib.get_close_matches(key, names(), n=1, cutoff=0.4)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"There is no landscape {name!r}.{hint} There are: {', '.join(names())}.")
