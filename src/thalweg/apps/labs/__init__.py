"""Labs: reactive notebooks that ask, let their reader try, and compute the answer.

Each is a notebook of marimo, a plain Python file that runs as an app (`thalweg lab calculus`), in `marimo edit`,
and as a script (`python -m thalweg.apps.labs.calculus`). They need the extra `thalweg[apps]`.

- `LABS`: the catalogue, by name.
- `serve`: the labs as a server on this machine.
- `question`: a question whose worked answer is computed when it is opened.
- `plot`: a plotly figure in a lab.
- `running`: `quick()` for the small setting of scripts, `pressed(button)` for heavy work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class Lab:
    """A lab of the catalogue: what it is called, what it is about, how long a reader takes."""

    name: str
    title: str
    about: str
    minutes: int

    @property
    def file(self) -> Path:
        """The notebook."""
        return Path(__file__).parent / f"{self.name.replace('-', '_')}.py"


_FIVE = (
    Lab(
        "multiply-by-one",
        "Multiplying by one",
        "The smallest deep network, seen whole: its solutions, its saddle, and where descent ends.",
        45,
    ),
    Lab(
        "calculus",
        "Calculus for descent",
        "Gradients as linear approximations, fits by hand and by descent, nine surfaces, computational graphs.",
        90,
    ),
    Lab(
        "stochastic-landscape",
        "A stochastic landscape",
        "Every example has a landscape of its own: what mini-batches, noise and epochs do.",
        60,
    ),
    Lab(
        "linearization",
        "Linearisation",
        "When a network is its tangent model, what its features are, and what happens beyond the data.",
        60,
    ),
    Lab(
        "loss-surfaces",
        "Loss surfaces of real networks",
        "Train, look along curvature, join optima, and see the path of training beside a random walk.",
        60,
    ),
)

LABS: Mapping[str, Lab] = MappingProxyType({lab.name: lab for lab in _FIVE})
"""The labs by name."""


def lab(name: str) -> Lab:
    """The lab of that name; underscores and hyphens are the same.

    Raises
    ------
    KeyError
        If there is none; says which there are.

    Examples
    --------
    >>> lab("calculus").minutes
    90
    """
    found = LABS.get(name.replace("_", "-").lower())
    if found is None:
        raise KeyError(f"There is no lab {name!r}; there are {', '.join(LABS)}.")
    return found
