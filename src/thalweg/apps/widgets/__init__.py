"""Instruments that answer at once: Python samples, a small ES module draws.

One module serves marimo, Jupyter and a page without Python (`standalone`). They need the extra `thalweg[apps]`.

- `Tangent`: a function, its tangent, and the error of the tangent.
"""

from thalweg.apps.widgets.film import Film
from thalweg.apps.widgets.instrument import Instrument, packed, standalone, unpacked
from thalweg.apps.widgets.tangent import Tangent

__all__ = ["Film", "Instrument", "Tangent", "packed", "standalone", "unpacked"]
