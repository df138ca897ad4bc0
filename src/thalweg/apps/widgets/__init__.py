"""Instruments that answer at once: Python samples, a small ES module draws.

One module serves notebooks (tried in marimo) and a page without Python (`standalone`). They need the extra
`thalweg[apps]`.

- `Film`: any film of a figure, with a slider that the keyboard reaches.
- `Tangent`: a function, its tangent, and the error of the tangent.
- `HandFit`: models of a weight or two, fitted by hand and by descent, with a record of every change (`Task`).
- `Ball`: a ball to be dragged over a landscape of two weights, and the way that an optimiser takes from there.
- `RiskSteps`: stochastic descent, one example at a time.
"""

from thalweg.apps.widgets.ball import Ball
from thalweg.apps.widgets.film import Film
from thalweg.apps.widgets.hand_fit import HandFit
from thalweg.apps.widgets.instrument import Instrument, packed, standalone, unpacked
from thalweg.apps.widgets.risk_steps import RiskSteps
from thalweg.apps.widgets.tangent import Tangent
from thalweg.apps.widgets.tasks import Task, usual_tasks

__all__ = [
    "Ball",
    "Film",
    "HandFit",
    "Instrument",
    "RiskSteps",
    "Tangent",
    "Task",
    "packed",
    "standalone",
    "unpacked",
    "usual_tasks",
]
