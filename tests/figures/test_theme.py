"""The look: what colours promise, and that importing costs and changes nothing."""

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest

from thalweg.figures import theme

MODULES = sorted(Path(theme.__file__).parent.glob("*.py"))
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])  # Machado et al. 2009


def linear(colors):
    c = np.asarray(colors)[..., :3]
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def luminance(colors):
    return linear(colors) @ [0.2126, 0.7152, 0.0722]


def rgb(color):
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def lightness(color):
    return 116 * np.cbrt(luminance(rgb(color))) - 16


def test_the_colour_map_s_luminance_rises_strictly_and_evenly():
    y = luminance(theme.colormap()(np.linspace(0, 1, 256)))
    assert (np.diff(y) > 0).all()
    steps = np.diff(116 * np.cbrt(y) - 16)
    assert steps.max() < 1.5 * steps.min()


def test_the_colour_map_s_luminance_rises_without_green_receptors():
    seen = np.clip(linear(theme.colormap()(np.linspace(0, 1, 256))) @ DEUTERANOPIA.T, 0, 1)
    assert (np.diff(seen @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_both_backends_have_the_same_colour_map():
    colors = theme.colormap()(np.array([p for p, _ in theme.colorscale()]))
    np.testing.assert_allclose(colors[:, :3], [rgb(c) for _, c in theme.colorscale()], atol=0.01)


def test_the_colour_map_is_registered_when_asked_for_and_only_once():
    import matplotlib

    theme.colormap()
    theme.colormap()
    assert "thalweg" in matplotlib.colormaps


@pytest.mark.parametrize("name", ["light", "dark"])
def test_lines_differ_in_lightness_or_hue_also_without_green_receptors(name):
    palette = theme.palette(name)
    for a, b in itertools.combinations(palette.lines.values(), 2):
        seen = [np.clip(linear(rgb(c)) @ DEUTERANOPIA.T, 0, 1) for c in (a, b)]
        assert np.linalg.norm(np.sqrt(seen[0]) - np.sqrt(seen[1])) > 0.15
    for color in palette.lines.values():
        high, low = sorted((luminance(rgb(color)), luminance(rgb(palette.paper))), reverse=True)
        assert (high + 0.05) / (low + 0.05) > 2.2


def test_a_path_with_its_casing_stands_out_at_every_level():
    levels = theme.colormap()(np.linspace(0, 1, 64))[:, :3]
    for path in theme.PATHS[:2]:
        core = np.linalg.norm(levels - rgb(path), axis=1)
        casing = np.linalg.norm(levels - 1.0, axis=1)
        assert (np.maximum(core, casing) > 0.5).all()


def test_importing_figures_needs_no_torch_no_measures_and_no_drawing_library():
    allowed = {"thalweg.figures", "thalweg.schema"}
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module == "thalweg":
                names = [f"thalweg.{a.name}" for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            for name in names:
                assert name.split(".")[0] != "torch", module
                assert not name.startswith("thalweg") or any(name.startswith(a) for a in allowed), (module, name)


def test_the_public_names_are_these():
    from thalweg import figures

    drawn = [
        "barrier",
        "components_by_length",
        "connection",
        "contour",
        "course",
        "critical_points",
        "density",
        "density_path",
        "descent",
        "elbows",
        "estimate",
        "extrapolation",
        "fit",
        "gradient_cosines",
        "gradient_features",
        "gradients",
        "graph",
        "initializations",
        "kernel",
        "lazy",
        "linear_approximation",
        "motion",
        "overlap",
        "path",
        "picture",
        "profile",
        "random_walk",
        "risk",
        "singular_values",
        "spectrum",
        "spectrum_path",
        "surface",
        "tangent",
        "training",
    ]
    assert figures.__all__ == sorted([*drawn, "animate", "save", "theme"])
    assert all(hasattr(figures, name) for name in figures.__all__)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_templates_wear_the_palette(name):
    assert theme.template(name).layout.paper_bgcolor == theme.palette(name).paper
