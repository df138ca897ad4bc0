"""The page's colours: those of the figures, light and dark."""

from __future__ import annotations

from typing import get_args

from thalweg.figures import theme as themes

_KEYS = ("paper", "text", "muted", "grid", "hole", "button")


def stylesheet() -> str:
    """Custom properties of both themes.

    Examples
    --------
    >>> stylesheet().splitlines()[0]
    ":root { --font: Inter, 'Source Sans 3', 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif; }"
    """
    blocks = [f":root {{ --font: {themes.FONT}; }}"]
    for theme in get_args(themes.Theme):
        p = themes.palette(theme)
        told = [f"--{key}: {getattr(p, key)}" for key in _KEYS]
        told += [f"--{metric}-{split}: {themes.line_color(metric, split, theme)}" for metric, split in p.lines]
        told += [f"--path-{k}: {color}" for k, color in enumerate(themes.PATHS)]
        told.append(f"color-scheme: {theme}")
        blocks.append(f':root[data-theme="{theme}"] {{ {"; ".join(told)}; }}')
    return "\n".join(blocks) + "\n"
