"""Every kind of result that can be seen has a picture."""

import numpy as np
import pytest
import xarray as xr

from tests.figures import curvatures, descents, pieces, statistics, tangents, valleys
from tests.figures.descents import drawn, numbers
from tests.figures.stochastic import fit, risks
from thalweg import figures
from thalweg.figures.theme import palette


def tangent():
    x = np.linspace(-2, 2, 5)
    pair = {"point": 1.0, "epsilon": 0.5, "slope": 2.0, "true": 2.25, "approximation": 2.0, "error": -0.25}
    return xr.Dataset(
        {"value": ("x", x**2), "tangent": (("step", "x"), [2 * x - 1])} | {k: ("step", [v]) for k, v in pair.items()},
        {"x": x, "step": [0]},
        {"kind": "linear_approximation", "function": "x²"},
    )


POINTS = descents.critical(["minimum", "saddle", "minimum", "degenerate"], [(1, 1), (0, 0), (-1, -1), (0.5, 2)])


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".html"])
@pytest.mark.parametrize(
    "result",
    [
        *(descents.circle(3), POINTS, tangent(), fit(), risks(points=5)),
        *(curvatures.pairs(), curvatures.density(), curvatures.trace(), curvatures.path()),
        *(valleys.trajectory(), valleys.connection(), valleys.barrier(), valleys.course()),
        *(valleys.motion(), valleys.random_walk(), valleys.by_length()),
        *(statistics.initializations(), statistics.gradients(), statistics.extrapolation()),
        *(pieces.elbows(), pieces.gradient_features()),
        *(tangents.tangent(), tangents.kernel(), tangents.lazy(), tangents.tangent_path()),
    ],
    ids=lambda ds: ds.attrs["kind"],
)
def test_results_of_every_kind_become_files(result, suffix, tmp_path):
    backend = "plotly" if suffix == ".html" else "matplotlib"
    file = figures.save(figures.picture(result, backend=backend), tmp_path / f"a{suffix}")
    assert file.stat().st_size > 3000


def test_the_picture_of_a_result_is_the_figure_of_its_kind(plane, line, box, run_path):
    shown = {
        "Sheets": [line, run_path, descents.circle(3), plane.isel(beta=[3])],
        "Map": [plane, box.isel(gamma=[1])],
        "Points": [POINTS],
        "Fit": [fit()],
        "Approximation": [tangent()],
        "RiskMaps": [risks(points=5)],
        "Chart": [
            curvatures.pairs(),
            curvatures.density(),
            curvatures.trace(),
            curvatures.diagonal(),
            curvatures.path(),
            *(valleys.trajectory(), valleys.connection(), valleys.motion(), valleys.by_length()),
        ],
        "Board": [
            *(valleys.barrier(), valleys.course(), valleys.random_walk()),
            *(statistics.initializations(), statistics.gradients(), statistics.extrapolation()),
            *(pieces.elbows(), pieces.gradient_features()),
            *(tangents.tangent(), tangents.kernel(), tangents.lazy(), tangents.tangent_path()),
        ],
    }
    for name, results in shown.items():
        assert {type(figures.picture(ds, backend="none")).__name__ for ds in results} == {name}
    on = figures.picture(POINTS, on=descents.surface(), title="Here", backend="none")
    assert (type(on).__name__, on.title) == ("Map", "Here")
    assert len(on.layers["loss"].extras.marks) == 3
    with_pairs = figures.picture(curvatures.pairs(), on=curvatures.density(), backend="none")
    assert with_pairs.panels[0].series[-1].label == "exact eigenvalues"
    assert figures.picture(plane, path=run_path, backend="none").layers["loss"].tracks
    ground = valleys.valley_surface()
    for shown in (
        figures.picture(ground, course=valleys.course(), backend="none"),
        figures.picture(valleys.course(), on=ground, backend="none"),
    ):
        assert [way.name for way in shown.layers["loss"].extras.ways] == ["Bezier curve"]
    with pytest.raises(ValueError, match="slice it first"):
        figures.picture(box)
    parts = {
        "component": (("axis", "weight"), np.eye(2)),
        "mean": ("weight", np.zeros(2)),
        "explained_variance_ratio": ("axis", [0.9, 0.1]),
        "score": (("step", "axis"), np.ones((3, 2))),
    }
    with pytest.raises(ValueError, match=r"those of a random walk look like a finding too: `random_walk\(...\)` lays"):
        figures.picture(xr.Dataset(parts, attrs={"kind": "components"}))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_critical_points_by_themselves_stand_where_they_are_and_are_counted_by_type(theme):
    shown = figures.critical_points(POINTS, backend="none")
    assert shown.subtitle == "4 critical points: 2 minima, 1 saddle, 1 degenerate"
    labels = ["minima (2)", "saddle (1)", "degenerate (1)"]
    figure = figures.critical_points(POINTS, theme=theme)
    assert [t.name for t in figure.data if t.showlegend] == labels
    np.testing.assert_array_equal(numbers(figure.data[0].x), [1, -1])
    assert figure.layout.xaxis.range[0] < -1 < 1 < figure.layout.xaxis.range[1]
    static = drawn(figures.critical_points(POINTS, theme=theme, backend="matplotlib"))
    assert [t.get_text() for t in static.legends[0].get_texts()] == labels
    np.testing.assert_array_equal(static.axes[0].lines[0].get_ydata(), [1, -1])
    assert figure.layout.plot_bgcolor == palette(theme).hole


def test_one_critical_point_or_none_has_a_picture_too():
    (one, none) = (POINTS.isel(point=[0]), POINTS.isel(point=[]))
    assert figures.critical_points(one, backend="none").subtitle == "1 critical point: 1 minimum"
    assert figures.critical_points(none, backend="none").subtitle == "No critical point was found"
    for ds in (one, none):
        drawn(figures.critical_points(ds, backend="matplotlib"))
        figures.critical_points(ds).to_json()
    with pytest.raises(
        ValueError, match="This is a dataset of kind 'fit', and one of kind 'critical_points' is needed"
    ):
        figures.critical_points(fit())
