"""Rare outcomes are not lost, many of them can be told apart, and several descents can be drawn together."""

import itertools

import numpy as np
import pytest

from tests.figures import descents
from tests.figures.descents import drawn, named, prepared
from tests.figures.test_descent import line_problem
from thalweg import figures
from thalweg.figures import outcomes, strands, theme


def with_counts(counts, kinds=None, grid=None):
    """Starts of which so many have each outcome, mixed by a fixed permutation."""
    kinds = kinds or ["minimum"] * len(counts)
    found = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    angle = np.linspace(0, 6, found.size)
    runs = descents.descend(np.column_stack([np.cos(angle), np.sin(angle)]), steps=3, told=False, shape=grid)
    words = {"names": [f"{kind} {k}" for k, kind in enumerate(kinds)], "kinds": kinds}
    return runs.assign(outcome=("start", found, words), plateau=("start", 0 * found))


@pytest.mark.parametrize("grid", [None, [51, 51]])
@pytest.mark.parametrize("most", [strands.MOST_CURVES, outcomes.MOST_STARTS])
def test_thinning_keeps_some_starts_of_every_outcome(most, grid):
    runs = with_counts([2500, 51, 48, 1, 1], grid=grid)
    kept = runs["outcome"].values[outcomes.chosen(runs, most)]
    counts = np.bincount(kept, minlength=5)
    assert counts[3:].tolist() == [1, 1]
    assert (counts[1:3] >= 3).all()
    assert kept.size < 1.1 * most


def test_an_outcome_between_the_rows_of_the_thinned_grid_is_drawn():
    runs = with_counts([2600, 1], grid=[51, 51])
    runs["outcome"][:] = 0
    runs["outcome"][51 + 1 :: 2 * 51] = 1  # odd rows, of which every second and every fourth grid has none
    even = outcomes.chosen(runs.drop_vars("outcome"), 700)
    assert not runs["outcome"].values[even].any()
    bundles = prepared(descent=runs)[1].bundles
    curves = figures.descent(runs, backend="none").panels[0].strands
    assert np.isfinite(bundles[1].flat).any()
    assert np.isfinite(curves[1].x).any()


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize("count", [1, 3, 6, 8, 9, 16, 40])
def test_no_two_entries_of_the_legend_look_the_same(count, name):
    special = ["saddle", "saddle", "moving", "diverged"]
    kinds = (["minimum", "flat"] * 20)[: max(count - 4, 1)] + special[: max(count - 1, 0)]
    found = outcomes.groups(with_counts([3 + k for k in range(len(kinds))], kinds=kinds))
    assert len(found) <= outcomes.MOST_OUTCOMES
    looks = {(theme.outcome_color(g.rank, name), theme.outcome_dash(g.rank)) for g in found}
    assert len(looks) == len(found)
    for a, b in itertools.combinations(found, 2):  # two shades of one hue differ by their dashes too
        if a.rank % 5 == b.rank % 5 and min(a.rank, b.rank) >= 0:
            assert theme.outcome_dash(a.rank) != theme.outcome_dash(b.rank)


def test_the_rarest_of_many_outcomes_share_an_entry_that_counts_them():
    kinds = ["minimum"] * 13 + ["saddle", "moving", "diverged"]
    runs = with_counts([40 - k for k in range(13)] + [2, 1, 1], kinds=kinds)
    found = outcomes.groups(runs)
    assert sum(g.members.size for g in found) == runs.sizes["start"]
    assert [g.kind for g in found[-3:]] == ["moving", "diverged", "other"]
    assert found[-1].name == "other (9 outcomes)"
    assert [g.name for g in found[:5]] == [f"minimum {k}" for k in range(5)]
    figure = figures.descent(runs)
    assert named(figure, found[-1].label).line.dash == "2px,3px"
    static = drawn(figures.descent(runs, backend="matplotlib"))
    keys = static.legends[0].get_lines()
    assert len({(k.get_color(), k.get_linestyle()) for k in keys}) == len(keys) == len(found)


def test_both_backends_break_the_lines_of_an_outcome_alike():
    runs = with_counts([3] * 8)
    ends = outcomes.groups(runs)
    flat, scene = (draw(descents.surface(), descent=runs) for draw in (figures.contour, figures.surface))
    static = drawn(figures.contour(descents.surface(), descent=runs, backend="matplotlib"))
    for group in ends:
        assert named(flat, group.label).line.dash == theme.outcome_strokes(group.rank)
        assert named(scene, group.label).line.dash == theme.outcome_dash(group.rank)
        (line,) = [x for x in static.axes[0].lines if x.get_label() == group.label]
        assert line.get_linestyle() == theme.outcome_linestyle(group.rank)


def two():
    return [descents.circle(5), descents.circle(7, lr=0.02, steps=12, optimizer="Adam(lr=0.02)")]


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_two_optimisers_in_one_picture_have_a_colour_and_an_entry_each(draw):
    runs = two()
    labels = ["SGD(lr=0.1): 5 starts", "Adam(lr=0.02): 7 starts"]
    figure = draw(descents.surface(), descent=runs)
    assert [t.name for t in figure.data if t.showlegend] == labels
    assert len({named(figure, label).line.color for label in labels}) == 2
    static = drawn(draw(descents.surface(), descent=runs, backend="matplotlib"))
    assert [t.get_text() for t in static.legends[0].get_texts()] == labels
    shown, extras = prepared(descent=runs)
    assert "5 starts, SGD(lr=0.1), 30 updates" in shown.subtitle
    assert "7 starts, Adam(lr=0.02), 12 updates" in shown.subtitle
    for bundle, run in zip(extras.bundles, runs, strict=True):
        np.testing.assert_array_equal(bundle.ends[:2].T, run["theta"].values[:, -1])


def test_a_film_of_two_descents_shows_each_as_far_as_it_goes():
    runs = two()
    _, extras = prepared(descent=runs, step=20)
    for bundle, run, k in zip(extras.bundles, runs, (20, 12), strict=True):
        np.testing.assert_array_equal(bundle.ends[:2].T, run["theta"].values[:, k])
    film = figures.animate(figures.contour, descents.surface(), descent=runs, steps=[0, 10, 30])
    assert len(film.frames) == 3


def test_several_descents_lie_on_a_profile_and_equal_names_are_numbered():
    profile, runs = line_problem()
    found = figures.profile(profile, descent=[runs, runs], backend="none").panels[0].strands
    assert [s.label for s in found] == ["SGD(lr=0.2): 3 starts", "SGD(lr=0.2) (2): 3 starts"]
    with pytest.raises(TypeError, match="`descent` holds a str; a dataset of kind 'descent' is needed"):
        prepared(descent=["SGD"])
    with pytest.raises(TypeError, match=r"`descent` is a list; one dataset .* Several can lie on a surface together"):
        figures.descent([runs, runs])


def test_counts_are_in_the_singular_where_there_is_one():
    runs = descents.descend([[0.5, 0.5]], steps=1, told=False)
    shown = figures.descent(runs, backend="none")
    (strand,) = shown.panels[0].strands
    assert strand.label == "SGD(lr=0.1): 1 start"
    assert shown.subtitle == "1 start, SGD(lr=0.1), 1 update"
