r"""Schemes of initialisation by name: `"he_normal"`, `"uniform(0.03)"`, `"orthogonal(1.4)"`, or functions of one's own.

Each fills a tensor `(out, in, ...)` in place through `torch.nn.init`. With a gain $g$, the fans $n$ in and $m$ out, and
entries normal of standard deviation $s$, or uniform on $\pm\sqrt3\,s$:

- `xavier` (Glorot & Bengio 2010): $s = g \sqrt{2 / (n + m)}$; the number in brackets is $g$, 1 unless given.
- `he` (He et al. 2015, arXiv:1502.01852): $s = \sqrt{2 / ((1 + a^2)\, n)}$ for leaky ReLUs of slope $a$, else 0.
- `lecun` (LeCun et al. 1998): $s = 1 / \sqrt n$.
- `orthogonal` (Saxe et al. 2014, arXiv:1312.6120): orthonormal rows or columns, times $g$, 1 unless given.
- `uniform(a)` on $[-a, a]$, `normal(s)`, `constant(c)`, `zeros`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import init

Filler = Callable[[Tensor, torch.Generator], object]
Own = Callable[[Tensor], object]
_CALL = re.compile(r"\s*([a-z_]+)\s*(?:\(\s*([^()]*?)\s*\))?\s*")


class Scheme(NamedTuple):
    """A name, with its number where one was given, and what fills a tensor."""

    name: str
    fill: Filler


class _Known(NamedTuple):
    make: Callable[[float], Filler]
    usual: float | None  # of the number in brackets; None: it has to be given
    what: str = ""  # the number is; empty: there is none


_KNOWN = {
    "uniform": _Known(lambda a: lambda w, g: init.uniform_(w, -a, a, generator=g), None, "a, of entries on [-a, a]"),
    "normal": _Known(lambda s: lambda w, g: init.normal_(w, 0.0, s, generator=g), None, "the standard deviation"),
    "constant": _Known(lambda c: lambda w, _: init.constant_(w, c), None, "the value"),
    "xavier_normal": _Known(lambda gain: lambda w, g: init.xavier_normal_(w, gain, generator=g), 1.0, "the gain"),
    "xavier_uniform": _Known(lambda gain: lambda w, g: init.xavier_uniform_(w, gain, generator=g), 1.0, "the gain"),
    "he_normal": _Known(lambda a: lambda w, g: init.kaiming_normal_(w, a, generator=g), 0.0, "the slope"),
    "he_uniform": _Known(lambda a: lambda w, g: init.kaiming_uniform_(w, a, generator=g), 0.0, "the slope"),
    "lecun_normal": _Known(lambda _: lambda w, g: init.kaiming_normal_(w, generator=g, nonlinearity="linear"), 0.0),
    "lecun_uniform": _Known(lambda _: lambda w, g: init.kaiming_uniform_(w, generator=g, nonlinearity="linear"), 0.0),
    "orthogonal": _Known(lambda gain: lambda w, g: init.orthogonal_(w, gain, generator=g), 1.0, "the gain"),
    "zeros": _Known(lambda _: lambda w, __: init.zeros_(w), 0.0),
}
_NOT_NEGATIVE = ("uniform", "normal", "xavier_normal", "xavier_uniform")
_SYNONYMS = {
    **{"xavier": "xavier_uniform", "glorot": "xavier_uniform", "he": "he_normal", "kaiming": "he_normal"},
    **{"glorot_uniform": "xavier_uniform", "glorot_normal": "xavier_normal", "lecun": "lecun_normal"},
    **{"kaiming_uniform": "he_uniform", "kaiming_normal": "he_normal"},
}


def scheme(given: str | Own) -> Scheme:
    """A scheme by its name, or of a function that fills a tensor in place.

    Raises
    ------
    ValueError, TypeError
        An unknown name, a number that is missing or none; something else than a name or a function.

    Examples
    --------
    >>> scheme("he").name, scheme("uniform(3)").name
    ('he_normal', 'uniform(3)')
    >>> scheme("uniform")
    Traceback (most recent call last):
    ValueError: The scheme 'uniform' needs a number (a, of entries on [-a, a]), such as 'uniform(0.03)'.
    """
    if callable(given):
        own: Own = given
        return Scheme(getattr(own, "__name__", type(own).__name__).strip("_"), lambda w, _: own(w))
    if not isinstance(given, str):
        raise TypeError(f"A scheme is a {type(given).__name__}; expected a name such as 'he_normal', or a function.")
    call = _CALL.fullmatch(given.lower())
    name = _SYNONYMS.get(call[1], call[1]) if call else ""
    if call is None or name not in _KNOWN:
        raise ValueError(f"Unknown scheme {given!r}; expected one of {', '.join(_KNOWN)}, or a function of a tensor.")
    return _with_number(name, call[2])


def _with_number(name: str, written: str | None) -> Scheme:
    known = _KNOWN[name]
    if not written:
        if known.usual is None:
            raise ValueError(f"The scheme {name!r} needs a number ({known.what}), such as '{name}(0.03)'.")
        return Scheme(name, known.make(known.usual))
    given = f"{name}({written})"
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not known.what or not math.isfinite(number):
        wanted = f"a number, {known.what}" if known.what else "nothing there"
        raise ValueError(f"The scheme '{name}' has {written!r} in brackets; expected {wanted}.")
    if number < 0 and name in _NOT_NEGATIVE:
        raise ValueError(f"The scheme {given!r}: {known.what} is {number:g}; expected a number from 0.")
    return Scheme(f"{name}({number:g})", known.make(number))
