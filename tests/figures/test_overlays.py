"""Descents on a surface, and everything that lies on it together; prepared, and in both backends."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.figures import descents
from tests.figures.descents import artist, drawn, named, numbers, prepared
from tests.figures.test_theme import DEUTERANOPIA, linear, rgb
from thalweg import figures
from thalweg.figures import camera, outcomes, polyline, theme

LOW, HIGH = (-1.0, -1.0), (1.0, 1.0)


def everything():
    return {
        "descent": descents.circle(),
        "critical": descents.critical(["saddle", "minimum"], [(0, 0), (1, 1)]),
        "curves": descents.branches(),
        "field": True,
        "region": "below_gradient_norm",
    }


# Lines in a rectangle


@given(st.integers(0, 2**32 - 1), st.integers(2, 12))
def test_what_is_inside_a_rectangle_is_all_of_the_line_that_lies_in_it(seed, count):
    line = np.random.default_rng(seed).normal(scale=1.2, size=(count, 2))
    parts = polyline.inside(line, LOW, HIGH)
    for part in parts:
        assert (np.abs(part) <= 1).all()
    fine = polyline.pieces(line, np.full(2, 1e-3))
    middle = (fine[1:] + fine[:-1]) / 2
    expected = np.linalg.norm(np.diff(fine, axis=0), axis=1)[(np.abs(middle) <= 1).all(axis=1)].sum()
    length = sum(np.linalg.norm(np.diff(part, axis=0), axis=1).sum() for part in parts)
    assert length == pytest.approx(expected, abs=4e-3 * count)


def test_a_line_within_the_rectangle_stays_whole_and_nan_interrupts_it():
    line = np.random.default_rng(0).uniform(-1, 1, (9, 2))
    (same,) = polyline.inside(line, LOW, HIGH)
    np.testing.assert_array_equal(same, line)
    line[4] = np.nan
    assert [len(p) for p in polyline.inside(line, LOW, HIGH)] == [4, 4]
    assert polyline.inside(line[4:5], LOW, HIGH) == []
    np.testing.assert_array_equal(polyline.inside(line[[0, 4]], LOW, HIGH)[0], line[:1])


@given(st.integers(0, 2**32 - 1))
def test_a_simplified_line_is_nowhere_further_away_than_the_tolerance(seed):
    line = np.cumsum(np.random.default_rng(seed).normal(size=(60, 2)), axis=0)
    short = polyline.simplify(line, np.full(2, 0.5))
    dense = polyline.pieces(short, np.full(2, 0.01))
    assert np.linalg.norm(line[:, None] - dense[None], axis=-1).min(axis=1).max() <= 0.51
    np.testing.assert_array_equal(short[[0, -1]], line[[0, -1]])


# Descents


def test_descents_lie_on_the_kept_startssurface_of_every_quantity_on_every_scale():
    ds = descents.surface()
    shown, _ = prepared(ds, descent=descents.circle())
    for layer in (*shown.layers.values(), *shown.others.values()):
        heights = ds["loss"].copy(data=layer.heights)
        for bundle in layer.extras.bundles:
            x, y, z = bundle.line[:, np.isfinite(bundle.line[0])]
            np.testing.assert_allclose(z, heights.interp(alpha=("n", x), beta=("n", y)), atol=1e-9)


def test_descents_pass_through_their_iterates():
    runs = descents.circle(told=False)
    _, extras = prepared(descent=runs)
    (bundle,) = extras.bundles
    dense = polyline.pieces(bundle.flat.T[np.isfinite(bundle.flat[0])], np.full(2, 1e-3))
    for place in runs["theta"].values.reshape(-1, 2)[::7]:
        assert np.linalg.norm(dense - place, axis=1).min() < 6e-3
    assert bundle.label == "SGD(lr=0.1): 24 starts"
    np.testing.assert_array_equal(bundle.starts[:2].T, runs["theta"].values[:, 0])
    np.testing.assert_array_equal(bundle.ends[:2].T, runs["theta"].values[:, -1])


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_each_outcome_is_one_line_with_its_count_in_its_own_colour(draw):
    runs = descents.circle()
    counts = np.bincount(runs["outcome"].values, minlength=5)
    labels = [f"{n}: {c} of 24" for n, c in zip(descents.NAMES, counts, strict=True) if c]
    figure = draw(descents.surface(), descent=runs)
    lines = [named(figure, label) for label in labels]
    assert len({t.line.color for t in lines}) == len(labels) == 2
    assert all(t.showlegend for t in lines)
    assert [numbers(t.x).size - np.isfinite(numbers(t.x)).sum() + 1 for t in lines] == [c for c in counts if c]
    assert figure.layout.showlegend
    static = drawn(draw(descents.surface(), descent=runs, backend="matplotlib"))
    assert [t.get_text() for t in static.legends[0].get_texts()] == labels
    assert [artist(static, label).get_color() for label in labels] == [t.line.color for t in lines]


def test_a_line_that_leaves_the_map_ends_at_its_border():
    runs = descents.descend([[0.1, 1.9]], lr=1.0, steps=1, told=False)
    a, b = runs["theta"].values[0]
    assert np.abs(b).max() > 2
    shown, extras = prepared(descent=runs)
    (bundle,) = extras.bundles
    last = bundle.flat[:, -1]
    assert np.abs(last).max() == 2.0
    assert np.cross(np.append(b - a, 0), np.append(last - a, 0))[2] == pytest.approx(0, abs=1e-12)
    assert bundle.ends.shape == (3, 0)
    assert "1 of 1 leaves the map" in shown.subtitle


def test_diverged_descents_are_counted_and_end_in_a_cross_where_they_were_last_seen():
    runs = descents.wild()
    assert np.isfinite(runs["loss"].values).all(axis=1).tolist() == [True, True, False, False]
    shown, extras = prepared(descent=runs)
    assert "2 of 4 starts diverged" in shown.subtitle
    (lost,) = [b for b in extras.bundles if b.kind == "diverged"]
    assert lost.label == "diverged: 2 of 4"
    assert lost.lost.shape[1] == 2
    assert (np.abs(lost.lost[:2]) <= 2).all()
    assert lost.ends.shape[1] == 0
    assert np.isfinite(lost.line[:2, np.isfinite(lost.line[0])]).all()
    told = figures.contour(descents.surface(), descent=runs)
    assert list(named(told, "diverged: 2 of 4, ends").marker.symbol[-2:]) == ["x", "x"]
    assert "2 of 4 starts diverged" in prepared(descent=runs.drop_vars("outcome"))[0].subtitle


def test_many_starts_of_a_grid_are_thinned_in_both_directions_and_the_legend_counts_all():
    runs = descents.grid(51, steps=3, lr=0.001)
    shown, extras = prepared(descent=runs)
    kept_starts = outcomes.chosen(runs, outcomes.MOST_STARTS)
    assert f"{kept_starts.size} of 2,601 starts are drawn" in shown.subtitle
    (moving,) = [b for b in extras.bundles if b.kind == "moving"]
    assert moving.label == f"still moving: {int((runs['outcome'] == 3).sum()):,} of 2,601"
    even = outcomes.chosen(runs.drop_vars("outcome"), 700)
    assert even.size == 676
    assert np.isin(even, kept_starts).all()
    kept = np.unique(runs["theta"].values[even, 0, 0])
    np.testing.assert_allclose(np.diff(kept), 2 * 3.8 / 50)
    assert moving.starts.shape[1] == 0  # too many to mark


def test_few_starts_are_marked_by_small_open_dots_and_ends_by_dots():
    figure = figures.contour(descents.surface(), descent=descents.circle(told=False))
    dots = named(figure, "SGD(lr=0.1): 24 starts, ends")
    face, edge = np.array(dots.marker.color), np.array(dots.marker.line.color)
    assert set(face[:24]) == {theme.palette().casing}
    assert set(edge[:24]) == set(face[24:]) == {theme.outcome_color(0)}
    assert dots.text[24].startswith("<b>start 0</b>")
    assert "step 30" in dots.text[24]


def test_at_a_step_descents_and_paths_are_kept_startsup_to_there(run_path, plane):
    runs = descents.circle(told=False)
    shown, extras = prepared(descent=runs, step=4)
    (bundle,) = extras.bundles
    np.testing.assert_array_equal(bundle.ends[:2].T, runs["theta"].values[:, 4])
    first = bundle.flat[:, : int(np.flatnonzero(np.isnan(bundle.flat[0]))[0])].T
    np.testing.assert_array_equal(first[[0, -1]], runs["theta"].values[0, [0, 4]])
    assert shown.title == "Training loss, step 4"
    path_shown, _ = prepared(plane, path=run_path, step=120)
    (track,) = path_shown.layers["loss"].tracks
    np.testing.assert_array_equal(track.x, run_path["alpha"].values[:13])
    words = [a.text for a in figures.surface(plane, path=run_path, step=120).layout.scene.annotations]
    assert "step 120" in words
    assert "end" not in words


def test_the_camera_and_the_axes_stand_still_from_step_to_step():
    runs = descents.circle()
    pictures = [figures.surface(descents.surface(), descent=runs, step=k) for k in (0, 11, 30)]
    for other in pictures[1:]:
        assert other.layout.scene.camera == pictures[0].layout.scene.camera
        assert other.layout.scene.zaxis.range == pictures[0].layout.scene.zaxis.range
        assert [t.name for t in other.data] == [t.name for t in pictures[0].data]


def test_descents_off_the_plane_say_how_far():
    runs = descents.circle()
    assert "from the plane" not in prepared(descent=runs.assign(distance=runs["distance"] + 1e-9))[0].subtitle
    assert (
        "They lie up to 0.25 from the plane"
        in prepared(descent=runs.assign(distance=runs["distance"] + 0.25))[0].subtitle
    )


def test_what_is_no_descent_in_these_coordinates_is_refused(run_path):
    runs = descents.circle()
    with pytest.raises(
        ValueError, match=r"of kind 'path', and one of kind 'descent' is needed. A path goes into `path=`"
    ):
        prepared(descent=run_path)
    bare = runs.drop_vars(["alpha", "beta", "distance"])
    del bare.attrs["coordinates"]
    with pytest.raises(ValueError, match=r"lacks the coordinates \['alpha', 'beta'\].*`project_trajectory"):
        prepared(descent=bare)
    with pytest.raises(ValueError, match="one of kind 'critical_points' is needed"):
        prepared(critical=runs)


@given(
    st.lists(st.sampled_from(["minimum", "saddle", "maximum", "flat", "moving", "diverged"]), min_size=1, max_size=9)
)
def test_different_outcomes_have_different_colours(kinds):
    ranks = outcomes.color_ranks(kinds)
    own = [r for r, k in zip(ranks, kinds, strict=True) if k not in ("saddle", "moving", "diverged")]
    assert len(set(own)) == len(own)
    pairs = itertools.combinations(zip(kinds, ranks, strict=True), 2)
    assert all(theme.outcome_color(a[1]) != theme.outcome_color(b[1]) for a, b in pairs if a[0] != b[0])


def test_outcomes_stand_out_from_the_map_and_from_each_other_also_without_green_receptors():
    levels = theme.colormap()(np.linspace(0, 1, 64))[:, :3]
    for color in theme.OUTCOMES:
        assert np.linalg.norm(levels - rgb(color), axis=1).min() > 0.25
    for a, b in itertools.combinations(theme.OUTCOMES, 2):
        seen = [np.sqrt(np.clip(linear(rgb(c)) @ DEUTERANOPIA.T, 0, 1)) for c in (a, b)]
        assert np.linalg.norm(seen[0] - seen[1]) > 0.18


# All of it together


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_everything_together_has_one_legend_in_both_backends(draw, name):
    ds, arguments = descents.surface(), everything()
    labels = set(prepared(ds, **arguments)[1].legend)
    assert len(labels) == 7
    figure = draw(ds, theme=name, **arguments)
    assert {t.name for t in figure.data if t.showlegend} == labels
    static = drawn(draw(ds, theme=name, backend="matplotlib", **arguments))
    assert {t.get_text() for t in static.legends[0].get_texts()} == labels
    panels = draw(ds, ["loss", "gradient_norm"], theme=name, backend="matplotlib", **arguments)
    assert len(drawn(panels).legends) == 1


def test_panels_share_one_legend():
    figure = figures.contour(descents.surface(), ["loss", "gradient_norm"], **everything())
    entries = [t.name for t in figure.data if t.showlegend]
    assert len(entries) == len(set(entries)) == 7


def test_without_overlays_there_is_no_legend(plane):
    for draw in (figures.surface, figures.contour):
        assert draw(plane).layout.showlegend is False
        assert not draw(plane, backend="matplotlib").legends


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_the_legend_stands_below_everything_and_the_figure_grows_for_it(draw):
    plain, full = draw(descents.surface()), draw(descents.surface(), **everything())
    key = full.layout.legend
    assert (key.yref, key.y, key.yanchor, key.orientation) == ("container", 0, "bottom", "h")
    assert full.layout.margin.b >= plain.layout.margin.b + 2 * 20
    assert full.layout.height - full.layout.margin.b - full.layout.margin.t == pytest.approx(
        plain.layout.height - plain.layout.margin.b - plain.layout.margin.t, abs=30
    )


def test_overlays_move_with_the_quantity_and_the_scale_that_are_chosen():
    ds = descents.surface()
    figure = figures.surface(ds, **everything())
    (dropdown,) = [m for m in figure.layout.updatemenus if m.type == "dropdown"]
    (scales,) = [m for m in figure.layout.updatemenus if m.type == "buttons"]
    (log,) = [b for b in scales.buttons if b.label == "log"]
    (norm,) = [b for b in dropdown.buttons if b.label == "gradient_norm".capitalize() or b.label == "Gradient norm"]
    places = [k for k, t in enumerate(figure.data) if t.name.startswith("branch") and t.showlegend]
    for button, quantity in ((log, np.log10(np.maximum(ds["loss"], 1e-12))), (norm, ds["gradient_norm"])):
        restyle, _, indices = button.args
        assert list(indices) == list(range(len(figure.data)))
        for k in places:
            x, y, z = (numbers(v) for v in (figure.data[k].x, figure.data[k].y, restyle["z"][k]))
            ok = np.isfinite(x)
            ground = quantity.interp(alpha=("n", x[ok]), beta=("n", y[ok])).values
            high = ground > np.quantile(ground, 0.2)  # the lowest lie on the floor of the logarithm
            above = (z[ok] - ground)[high]
            assert np.abs(above).max() < 0.05 * float(np.ptp(quantity.values))
        assert "x" not in restyle  # places in the plane stay, and do not travel with each button


def test_676_descents_of_100_steps_stay_small():
    runs = descents.grid(26, steps=100, lr=0.02)
    bare = len(figures.surface(descents.surface()).to_json())
    assert len(figures.surface(descents.surface(), descent=runs).to_json()) - bare < 2.0e6


def test_the_camera_looks_where_most_of_the_surface_is_seen():
    shown, _ = prepared(descent=descents.circle())
    layer = shown.layers["loss"]
    angle = camera.best([layer], slope=1.28)
    x, y = (c.ravel() for c in np.meshgrid(descents.GRID[::3], descents.GRID[::3]))
    ground = np.array([x, y, descents.loss(np.column_stack([x, y]))])
    seen = {a: camera.visible(layer.sheet, ground, a, 1.28).mean() for a in np.deg2rad([-47.0, -133.0, 137.0, 43.0])}
    assert seen[angle] >= max(seen.values()) - 1e-9
