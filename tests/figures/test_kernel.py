"""Figures of tangent kernels: every entry at its place, in which colours, and what is left out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.figures import statistics as others
from tests.figures import tangents as made
from tests.figures.descents import drawn, numbers
from thalweg import figures


def board(ds):
    return figures.kernel(ds, backend="none")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), outputs=st.integers(1, 3), scalar=st.booleans())
def test_every_entry_stands_at_its_place(seed, outputs, scalar):
    ds = made.kernel(seed=seed, outputs=outputs, scalar=scalar)
    key = ds["x" if scalar else "label"].values
    order = np.lexsort((np.arange(key.size), key, ds.output.values))
    cell = board(ds).cells[0]
    np.testing.assert_array_equal(cell.tiles.values, ds.kernel.values[np.ix_(order, order)].T)
    assert cell.y.ends == cell.x.ends[::-1] == (key.size - 0.5, -0.5)


def test_classes_are_named_in_their_middle_and_parted_by_lines():
    ds = made.kernel(n=30)
    cell = board(ds).cells[0]
    counts = np.bincount(ds.label.values)
    ends = np.cumsum(counts)
    np.testing.assert_allclose(cell.x.ticks, ends - counts / 2 - 0.5)
    assert (cell.x.label, cell.x.words) == ("Class", ("0", "1", "2"))
    for s, side in zip(cell.series, ("y", "x"), strict=True):
        np.testing.assert_allclose(np.unique(getattr(s, side)), ends[:-1] - 0.5)


def test_inputs_have_ticks_where_they_are():
    ds = made.kernel(n=200, scalar=True)
    x = np.sort(ds.x.values)
    axis = board(ds).cells[0].x
    at = np.interp(axis.ticks, np.arange(200), x)
    np.testing.assert_allclose(at, [float(w.replace("−", "-")) for w in axis.words], atol=0.02)


def test_colours_are_pale_at_zero_where_entries_have_both_signs():
    both = board(made.kernel()).cells[0].shades
    assert (both.colors, both.low) == ("diverging", -both.high)
    positive = board(made.kernel(scalar=True)).cells[0].shades
    assert (positive.colors, positive.low >= 0) == ("depth", True)


def test_layers_stand_side_by_side_with_their_share_of_the_trace():
    ds = made.kernel(layers=3)
    shown = board(ds)
    traces = np.trace(ds.kernel.values, axis1=1, axis2=2)
    assert [c.title for c in shown.cells] == [
        f"Layer block{k} ({share:.0%} of the trace)" for k, share in enumerate(traces / traces.sum())
    ]
    assert (shown.columns, len(shown.rows)) == (3, 1)
    assert len({c.shades.high for c in shown.cells}) == 3


def test_of_many_rows_whole_examples_are_drawn_and_the_subtitle_says_how_many():
    shown = board(made.kernel(n=600, outputs=2))
    assert shown.cells[0].tiles.values.shape == (1000, 1000)
    assert shown.subtitle == "1,000 of 1,200 rows and 1,000 of 1,200 columns, evenly spaced, by output and class"
    assert shown.cells[0].tiles.hover is None
    layered = board(made.kernel(n=600, layers=4))
    assert layered.cells[0].tiles.values.shape == (500, 500)


def test_kernels_between_two_sets_of_inputs_say_whose_they_are():
    ds = made.kernel(columns=9, scalar=True, column_inputs="test")
    shown = board(ds)
    assert (shown.cells[0].y.label, shown.cells[0].x.label) == ("Input x (training)", "Input x (test)")
    assert not shown.cells[0].equal
    drawn(figures.kernel(ds, backend="matplotlib"))


def test_eigenvalues_stand_beside_the_kernel():
    ds = made.kernel(eigenvalues=True)
    beside = board(ds).cells[1]
    np.testing.assert_allclose(beside.series[0].y, ds.eigenvalue)
    assert beside.y.kind == "log"


def test_entries_that_are_not_finite_are_holes_and_counted():
    ds = made.kernel()
    values = ds.kernel.copy()
    values[0, 1] = np.nan
    shown = board(ds.assign(kernel=values))
    assert int(np.isnan(shown.cells[0].tiles.values).sum()) == 1
    assert shown.notes[0] == "1 of 576 entries are not finite"
    with pytest.raises(ValueError, match="the network has diverged"):
        board(ds.assign(kernel=ds.kernel * np.nan))
    with pytest.raises(ValueError, match=r"`thalweg.empirical_ntk` makes one"):
        board(others.gradients())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("options", [{}, {"layers": 2, "outputs": 2}, {"scalar": True}])
def test_both_backends_show_the_same_entries_in_the_same_range(theme, options):
    ds = made.kernel(n=12, **options)
    page = figures.kernel(ds, theme=theme)
    static = drawn(figures.kernel(ds, theme=theme, backend="matplotlib"))
    maps = [t for t in page.data if t.type == "heatmap"]
    meshes = [c for axes in static.axes for c in axes.collections if type(c).__name__ == "QuadMesh"]
    assert page.layout.width is not None
    for trace, mesh in zip(maps, [m for m in meshes if m.get_array().size == maps[0].z.size], strict=True):
        np.testing.assert_allclose(trace.z, mesh.get_array().reshape(trace.z.shape), rtol=1e-6)
        bar = page.layout[trace.coloraxis]
        assert (bar.cmin, bar.cmax) == mesh.get_clim()
        assert numbers(trace.x).size == trace.z.shape[1] + 1
