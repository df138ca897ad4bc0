"""Generated pages are written only when their text changes, so that a second build has nothing to do."""

from pathlib import Path


def write(file: Path, text: str) -> None:
    """Write `text` to `file` unless that is what it holds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
