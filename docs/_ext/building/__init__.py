"""What the documentation needs beyond Sphinx: code that runs in its pages, and pages made from the package itself."""

from typing import Any

from building import commands, docstrings, kinds, links, plotly, rooms, run


def setup(app: Any) -> dict[str, Any]:
    """Register everything with Sphinx."""
    for part in (run, plotly, docstrings, links, commands, rooms, kinds):
        part.setup(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
