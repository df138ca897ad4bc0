"""The directive `run`: code that is executed where it stands, with what it prints and draws below it.

```{run} python
tw.figures.contour(surface, backend="matplotlib")
```

Blocks of a page share one namespace and one temporary folder. Languages: `python`, `sh`, and `file NAME`, which
writes the block to that folder. The value of a last expression is shown: figures of matplotlib as pictures in the light
and in the dark look, those of plotly to turn and zoom. What raises, warns or ends with an error is a warning of the
build, and so fails it.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from building import pictures

logger = logging.getLogger(__name__)
_seconds: Counter[str] = Counter()
_TIME = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Page:
    """Namespace and folder of one document."""

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {"__name__": "__main__"}
        self.folder = tempfile.TemporaryDirectory(prefix="page-")
        self.pictures = 0


class Run(SphinxDirective):
    """See the module."""

    has_content = True
    required_arguments = 1
    optional_arguments = 1
    option_spec: ClassVar = {
        "alt": directives.unchanged,
        "hide-code": directives.flag,
        "hide-output": directives.flag,
        "warns": directives.flag,
        "figwidth": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """The code, and what came of it."""
        language, code = self.arguments[0], "\n".join(self.content)
        pages = self.env.temp_data
        if "run_page" not in pages:
            pages["run_page"] = Page()
        page: Page = pages["run_page"]
        began = time.process_time()
        shown = [] if "hide-code" in self.options else self._code(language, code)
        try:
            with contextlib.chdir(page.folder.name):
                if language == "file":
                    Path(self.arguments[1]).write_text(code + "\n")
                    return shown
                text, value, dark = self._shell(code) if language == "sh" else self._python(code, page)
        except Exception:
            found = traceback.format_exc().replace(page.folder.name, ".")
            logger.warning("code failed:\n%s\n%s", code, found, location=self.get_location())
            return shown
        finally:
            _seconds[self.env.docname] += time.process_time() - began
        if "hide-output" in self.options:
            return shown
        return shown + self._text(text.replace(page.folder.name, "/home/you")) + self._value(page, value, dark)

    def _code(self, language: str, code: str) -> list[nodes.Node]:
        lexer = {"sh": "sh", "file": "python"}.get(language, "python")
        block = nodes.literal_block(code, code, language=lexer, classes=["code-run"])
        if language != "file":
            return [block]
        name = nodes.caption("", self.arguments[1])
        return [nodes.container("", name, block, literal_block=True, classes=["literal-block-wrapper"])]

    def _text(self, text: str) -> list[nodes.Node]:
        text = "\n".join(line.rstrip() for line in _TIME.sub("", text).splitlines()).strip("\n")
        return [nodes.literal_block(text, text, language="none", classes=["code-output"])] if text else []

    def _value(self, page: Page, value: Any, dark: Any) -> list[nodes.Node]:
        if value is None:
            return []
        label = self.options.get("alt", "")
        if pictures.is_interactive(value) or pictures.is_still(value):
            if not label:
                logger.warning("a picture needs words for those who do not see it: :alt:", location=self.get_location())
        else:
            return self._text(repr(value))
        if pictures.is_interactive(value):
            return [nodes.raw("", pictures.interactive_html(value, dark, label), format="html")]
        page.pictures += 1
        stem = f"{self.env.docname.replace('/', '-')}-{page.pictures}"
        looks = [("only-light" if dark else "", value, stem), ("only-dark", dark, f"{stem}-dark")]
        return [self._image(figure, name, look, label) for look, figure, name in looks if figure is not None]

    def _image(self, figure: Any, name: str, look: str, label: str) -> nodes.image:
        folder = Path(self.env.srcdir) / "_pictures"
        folder.mkdir(exist_ok=True)
        file = folder / f"{name}{pictures.suffix(figure)}"
        pictures.save_still(figure, file)
        made = nodes.image(uri=f"/_pictures/{file.name}", alt=label, classes=["drawn", *look.split()])
        if "figwidth" in self.options:
            made["width"] = self.options["figwidth"]
        return made

    def _python(self, code: str, page: Page) -> tuple[str, Any, Any]:
        parsed = ast.parse(code)
        last = parsed.body.pop() if parsed.body and isinstance(parsed.body[-1], ast.Expr) else None
        written, value, dark = io.StringIO(), None, None
        with contextlib.redirect_stdout(written), warnings.catch_warnings(), _on_path(page.folder.name):
            warnings.simplefilter("ignore" if "warns" in self.options else "error")
            exec(compile(parsed, self.env.docname, "exec"), page.namespace)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), self.env.docname, "eval"), page.namespace)
                if pictures.is_still(value) or pictures.is_interactive(value):
                    dark = pictures.in_the_dark(last.value, page.namespace)
        return written.getvalue(), value, dark

    def _shell(self, code: str) -> tuple[str, Any, Any]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        words = {"PATH": path, "COLUMNS": "92", "NO_COLOR": "1", "TERM": "dumb", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            check=False,
            env=os.environ | words,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout, None, None


@contextlib.contextmanager
def _on_path(folder: str) -> Iterator[None]:
    """The page's own files can be imported while its code runs."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _tell(_app: Any, _exception: Exception | None) -> None:
    for page, seconds in _seconds.most_common(8):
        logger.info("%5.1f CPU seconds of code in %s", seconds, page)


def setup(app: Any) -> None:
    """Register the directive; tell at the end which pages took longest."""
    app.add_directive("run", Run)
    app.connect("build-finished", _tell)
