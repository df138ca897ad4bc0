"""Colours and shapes of graphs, for the page and for SVG: one style sheet whose colours are variables."""

from __future__ import annotations

from thalweg.figures import theme as themes
from thalweg.figures.theme import Theme

_INKS = {
    "light": {
        "operation": "#eef4f8",
        "operation-edge": "#0a416c",
        "input": "#fff3cf",
        "input-edge": "#a8690a",
        "parameter": "#e1f2ea",
        "parameter-edge": "#2f8069",
        "other": "#eceff3",
        "other-edge": "#5c6b80",
        "call": "#d3e6ee",
        "call-edge": "#0e6079",
        "open": "rgba(14,96,121,0.06)",
        "head": "rgba(14,96,121,0.16)",
        "line": "#64788d",
        "back": "#cf3d1c",
        "lit": "#8b3dff",
    },
    "dark": {
        "operation": "#14263f",
        "operation-edge": "#6fb1e6",
        "input": "#3a2d0d",
        "input-edge": "#ffc02e",
        "parameter": "#0f322b",
        "parameter-edge": "#66c0a0",
        "other": "#1f2a3c",
        "other-edge": "#9aa8bb",
        "call": "#123c50",
        "call-edge": "#4fb3c9",
        "open": "rgba(79,179,201,0.07)",
        "head": "rgba(79,179,201,0.20)",
        "line": "#8fa3ba",
        "back": "#ff7a5c",
        "lit": "#c9a2ff",
    },
}

STYLE = """
.graph { font-family: FONT; }
.graph text { fill: var(--text); font-size: 14px; text-anchor: middle; }
.graph .name { font-size: 17px; font-weight: 650; }
.graph .more { fill: var(--soft); }
.graph .title { font-size: 15px; font-weight: 650; text-anchor: start; }
.graph .sign { font-size: 17px; font-weight: 700; }
.graph rect { stroke-width: 1.6px; }
.graph .operation > rect { fill: var(--operation); stroke: var(--operation-edge); }
.graph .input > rect { fill: var(--input); stroke: var(--input-edge); }
.graph .parameter > rect { fill: var(--parameter); stroke: var(--parameter-edge); }
.graph .buffer > rect, .graph .constant > rect { fill: var(--other); stroke: var(--other-edge); }
.graph .call > rect { fill: var(--call); stroke: var(--call-edge); }
.graph .call > rect.behind { fill: var(--paper); }
.graph .open > rect { fill: var(--open); stroke: var(--call-edge); }
.graph .open > rect.head { fill: var(--head); stroke: none; }
.graph .end > rect { stroke: var(--back); stroke-width: 3px; }
.graph .line { fill: none; stroke: var(--line); stroke-width: 1.8px; }
.graph .arrow { fill: var(--line); }
.graph.upwards .line { stroke: var(--back); }
.graph.upwards .arrow { fill: var(--back); }
.graph .label { paint-order: stroke; stroke: var(--paper); stroke-width: 6px; stroke-linejoin: round; }
""".replace("FONT", themes.FONT)


def variables(theme: Theme) -> str:
    """The colours of a theme as custom properties of CSS."""
    return "".join(f"--{name}:{color};" for name, color in colors(theme).items())


def colors(theme: Theme) -> dict[str, str]:
    """The colours of a theme by what they are for."""
    palette = themes.palette(theme)
    own = {"paper": palette.paper, "text": palette.text, "soft": palette.muted, "grid": palette.grid}
    return own | _INKS[theme]


def resolved(theme: Theme) -> str:
    """The style sheet with the colours themselves, for programs that know no variables."""
    sheet = STYLE
    for name, color in sorted(colors(theme).items(), reverse=True):
        sheet = sheet.replace(f"var(--{name})", color)
    return sheet
