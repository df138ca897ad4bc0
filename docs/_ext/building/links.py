"""Public names that a page in Markdown mentions as code become links to their documentation."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.transforms import SphinxTransform

import thalweg

_NAME = re.compile(r"(?:tw\.|thalweg\.)?([A-Za-z_]\w*(?:\.\w+)?)(?:\(\))?")


def public() -> set[str]:
    """Names below `thalweg`, those of its public submodules among them."""
    names = set(thalweg.__all__)
    for name in thalweg.__all__:
        part = getattr(thalweg, name)
        if isinstance(part, ModuleType):
            names |= {f"{name}.{inner}" for inner in part.__all__}
    return names


class LinkNames(SphinxTransform):
    """See the module."""

    default_priority = 400

    def apply(self, **_: Any) -> None:
        """Wrap each literal that is a public name."""
        if not str(self.document.get("source", "")).endswith(".md"):
            return
        known = public()
        for literal in list(self.document.findall(nodes.literal)):
            found = _NAME.fullmatch(literal.astext())
            inside = isinstance(literal.parent, (nodes.reference, nodes.title, pending_xref))
            if inside or not found or found[1] not in known:
                continue
            words = {"refdomain": "py", "reftype": "obj", "reftarget": f"thalweg.{found[1]}", "refexplicit": True}
            link = pending_xref("", refdoc=self.env.docname, refwarn=False, **words)
            literal.replace_self(link)
            link += literal


def setup(app: Any) -> None:
    """Register the transform."""
    app.add_transform(LinkNames)
