"""Instruments that answer at once: Python samples, a small ES module draws.

One module serves marimo, Jupyter and a page without Python (`standalone`). They need the extra `thalweg[apps]`.
"""

from thalweg.apps.widgets.film import Film
from thalweg.apps.widgets.instrument import Instrument, packed, standalone, unpacked

__all__ = ["Film", "Instrument", "packed", "standalone", "unpacked"]
