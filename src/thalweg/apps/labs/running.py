"""How a lab is run: with a reader, or as a script that runs everything in the quick setting."""

from __future__ import annotations

import os
from typing import Any

import marimo as mo


def quick() -> bool:
    """Whether everything runs in its small setting: as a script, or with `THALWEG_LAB_QUICK=1`.

    Examples
    --------
    >>> quick()  # outside a notebook that is served
    True
    """
    asked = os.environ.get("THALWEG_LAB_QUICK", "")
    return asked not in ("", "0") or not mo.running_in_notebook()


def pressed(button: Any) -> bool:
    """Whether heavy work may begin: the reader has pressed the `mo.ui.run_button`, or this is a script.

    A cell begins with `mo.stop(not pressed(button))`.

    Examples
    --------
    >>> pressed(mo.ui.run_button(label="Train"))  # nobody is there to press it
    True
    """
    return bool(button.value) or not mo.running_in_notebook()


def theme() -> str:
    """The look of the reader's page, `light` or `dark`: what figures of a lab are drawn for.

    Examples
    --------
    >>> theme()
    'light'
    """
    meta = mo.app_meta()
    request = meta.request
    told = (request.cookies if request is not None else {}).get(COOKIE)
    return told if told in ("light", "dark") else meta.theme


COOKIE = "thalweg_theme"
