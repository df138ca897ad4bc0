"""Instruments that answer at once: Python samples, a small ES module draws.

One module serves marimo, Jupyter and a page without Python (`standalone`). They need the extra `thalweg[apps]`.
"""

from thalweg.apps.widgets.ball import Ball
from thalweg.apps.widgets.instrument import Instrument, packed, standalone, unpacked
from thalweg.apps.widgets.risk_steps import RiskSteps

__all__ = ["Ball", "Instrument", "RiskSteps", "packed", "standalone", "unpacked"]
