r"""Docstrings as the package writes them, made into reStructuredText: `$x$`, `$$x$$` and fenced code.

Names in single backticks become links where the name is documented (`default_role`), and stay code where it is not.
"""

from __future__ import annotations

import re
from typing import Any

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.S | re.M)
_DISPLAY = re.compile(r"^( *)(.*?)\$\$(.+?)\$\$", re.S | re.M)
_INLINE = re.compile(r"\$(?!\s)([^$]+?)(?<!\s)\$")
_MODULUS = re.compile(r"\|([^|\s`]+)\|(?!_)")
_ATTRIBUTE = re.compile(r"(?<!`)`(\.\w[^`]*)`(?!`)")  # `.name` would be looked for everywhere
_BEFORE, _AFTER = " \n([{-/'\"", " \n.,;:!?)]}-/'\""


def converted(text: str) -> str:
    r"""The text with formulas and code as directives and roles; examples (`>>>`) stay as they are.

    >>> converted("of $x$th order")
    'of :math:`x`\\ th order'
    """
    text = _FENCE.sub(_code, text)
    parts = re.split(r"^(?= *>>>)|^(?= *$)", text, flags=re.M)
    return _prose("".join(parts)) if ">>>" not in text else "".join(_unless_example(p) for p in parts)


def _unless_example(part: str) -> str:
    return part if part.lstrip().startswith((">>>", "...")) else _prose(part)


def _prose(text: str) -> str:
    text = _DISPLAY.sub(_display, _ATTRIBUTE.sub(r"``\1``", text))
    out, end = [], 0
    for found in _INLINE.finditer(text):
        before, after = text[: found.start()][-1:], text[found.end() :][:1]
        out += [_words(text[end : found.start()]), "" if before in _BEFORE else "\\ "]
        out += [f":math:`{' '.join(found[1].split())}`", "" if after in _AFTER else "\\ "]
        end = found.end()
    return "".join([*out, _words(text[end:])])


def _words(text: str) -> str:
    return text if ".. math::" in text or ".. code-block::" in text else _MODULUS.sub(r"\\|\1\\|", text)


def _display(found: re.Match[str]) -> str:
    indent, before, formula = found[1], found[2], " ".join(found[3].split())
    return f"{indent}{before.rstrip()}\n\n{indent}.. math:: {formula}\n\n{indent}"


def _code(found: re.Match[str]) -> str:
    indent, language = found[1], found[2] or "text"
    body = "\n".join(f"    {line}" if line.strip() else "" for line in found[3].splitlines())
    return f"{indent}.. code-block:: {language}\n\n{body}\n"


def _process(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = converted("\n".join(lines)).split("\n")


def setup(app: Any) -> None:
    """Before napoleon, which reads the sections."""
    app.connect("autodoc-process-docstring", _process, priority=400)
