"""Static figures: their artists' data."""

import io

import numpy as np
import pytest

from thalweg import figures
from thalweg.figures.matplotlib.surface import refine


def artists(figure, label):
    return [line for axes in figure.axes for line in axes.lines if line.get_label() == label]


def drawn(figure):
    """Drawing raises what layout and fonts have to complain about."""
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    return figure


def test_the_map_shows_the_loss_at_its_place(plane):
    figure = drawn(figures.contour(plane, backend="matplotlib", log=False))
    filled = figure.axes[0].collections[0]
    heights = plane["loss"].values
    assert filled.levels[0] == heights.min()
    assert filled.levels[-1] == heights.max()
    top = np.concatenate([p.vertices for p in filled.get_paths()[-2:] if len(p.vertices)])
    i, j = np.unravel_index(np.argmax(heights), heights.shape)
    corner = np.array([plane["alpha"].values[i], plane["beta"].values[j]])
    assert np.linalg.norm(top - corner, axis=1).min() < 0.1
    assert figure.axes[0].get_aspect() == 1.0


def test_the_relief_keeps_the_surface_s_shape(plane):
    uneven = np.array([0.0, 0.1, 1.0, 5.0])
    assert np.isin(uneven, refine(uneven)).all()
    axes = drawn(figures.surface(plane, backend="matplotlib", log=False)).axes[0]
    assert axes.get_zlim()[1] == pytest.approx(float(plane["loss"].max()))
    assert axes.get_zlim()[0] < float(plane["loss"].min())
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("direction α [filter norms]", "direction β [filter norms]")


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_paths_and_places_are_drawn_where_they_are(plane, run_path, draw):
    figure = drawn(draw(plane, path=run_path, points={"SGD": (0.5, 0.5)}, backend="matplotlib"))
    (path,) = artists(figure, "path")
    assert path.get_xdata()[0] == float(run_path["alpha"][0]) or draw is figures.surface
    assert artists(figure, "_model")
    assert artists(figure, "_SGD")
    words = {t.get_text() for axes in figure.axes for t in axes.texts}
    assert {"start", "end", "model", "SGD"} <= words


def test_what_was_changed_is_printed_on_the_page(broken, spiked, adaptive):
    for ds, words in ((broken, "are not finite"), (spiked, "5 of 1,271 points above"), (adaptive, "points evaluated")):
        figure = drawn(figures.contour(ds, backend="matplotlib"))
        assert any(words in t.get_text() for t in figure.texts)


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_a_list_of_variables_is_a_grid_of_panels(plane, draw):
    figure = drawn(draw(plane, ["loss", "test_loss", "accuracy", "test_accuracy"], backend="matplotlib"))
    titles = [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes]
    assert [t for t in titles if t] == [
        "Training loss [nats]",
        "Test loss [nats]",
        "Training accuracy",
        "Test accuracy",
    ]


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_gaps_slices_and_decades_draw(broken, wide, box, draw):
    for ds in (broken, wide, box.isel(gamma=1), box.isel(alpha=3)):
        drawn(draw(ds, backend="matplotlib", theme="dark"))


def test_a_figure_leaves_the_caller_s_settings_alone(plane, line):
    import matplotlib

    before = dict(matplotlib.rcParams)
    figures.surface(plane, backend="matplotlib")
    figures.profile(line, backend="matplotlib")
    assert dict(matplotlib.rcParams) == before
