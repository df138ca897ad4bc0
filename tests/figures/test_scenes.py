"""Several quantities in one picture: maps and scenes, their headings, their proportions, and their images."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from tests.figures import valleys
from tests.figures.conftest import value
from tests.figures.descents import drawn
from thalweg import figures
from thalweg.figures.plotly import stills

FOUR = ["loss", "test_loss", "accuracy", "test_accuracy"]
GROUND, PATH = valleys.principal(15)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_path_lies_on_train_and_test_loss_and_accuracy_in_two_and_three_dimensions(theme):
    flat = figures.contour(GROUND, FOUR, path=PATH, theme=theme)
    assert len([t for t in flat.data if t.type == "contour" and t.name != "iso-lines"]) == 4
    assert len([t for t in flat.data if t.name == "path"]) == 4
    space = figures.surface(GROUND, FOUR, path=PATH, panels=True, theme=theme)
    assert stills.scenes(space) == ["scene", "scene2", "scene3", "scene4"]
    for name in stills.scenes(space):
        mine = [t for t in space.data if t.scene == name]
        assert len([t for t in mine if t.type == "mesh3d"]) == 1
        assert {a.text for a in space.layout[name].annotations} == {"start", "end"}
    assert [a.text for a in space.layout.annotations if "<b>" in a.text] == [
        "<b>Training loss [nats]</b>",
        "<b>Test loss [nats]</b>",
        "<b>Training accuracy</b>",
        "<b>Test accuracy</b>",
    ]
    assert not space.layout.updatemenus


def test_matplotlib_draws_the_path_on_two_surfaces():
    drawn(figures.surface(GROUND, FOUR[:2], path=PATH, theme="dark", backend="matplotlib"))


def test_training_and_test_data_are_seen_from_the_same_side_and_scenes_do_not_overlap():
    layout = figures.surface(GROUND, FOUR, path=PATH, panels=True).layout
    eyes = [layout[n].camera.eye for n in ("scene", "scene2", "scene3", "scene4")]
    assert (eyes[0].x, eyes[0].y) == (eyes[1].x, eyes[1].y)
    assert (eyes[2].x, eyes[2].y) == (eyes[3].x, eyes[3].y)
    places = [layout[n].domain for n in ("scene", "scene2", "scene3", "scene4")]
    assert places[0].x[1] < places[1].x[0]
    assert places[0].y[0] > places[2].y[1]


def test_one_quantity_has_one_scene_and_a_list_without_panels_a_dropdown():
    assert stills.scenes(figures.surface(GROUND, "loss", panels=True)) == ["scene"]
    listed = figures.surface(GROUND, FOUR)
    assert stills.scenes(listed) == ["scene"]
    assert [b.label for b in listed.layout.updatemenus[-1].buttons][:2] == ["Training loss", "Test loss"]


def test_each_scene_of_an_image_is_drawn_alone_and_all_are_put_together(tmp_path, monkeypatch):
    """Where a renderer can draw one scene at a time, the page shows all of them."""
    from plotly.graph_objects import Figure

    asked = []

    def render(figure, **options):
        full = [n for n in stills.scenes(figure) if any(len(t.z) for t in figure.data if (t.scene or "scene") == n)]
        asked.append(full)
        page = np.full((4, 4, 3), 255, np.uint8)
        for name in full:
            k = ["scene", "scene2", "scene3", "scene4"].index(name)
            page[k, :] = 10 * (k + 1)
        file = tmp_path / "one.png"
        Image.fromarray(page).save(file)
        return file.read_bytes()

    monkeypatch.setattr(Figure, "to_image", render)
    figure = figures.surface(GROUND, FOUR, panels=True)
    before = figure.to_json()
    made = np.array(Image.open(figures.save(figure, tmp_path / "all.png")))
    assert asked == [[], ["scene"], ["scene2"], ["scene3"], ["scene4"]]
    np.testing.assert_array_equal(made[:, 0, 0], [10, 20, 30, 40])
    assert figure.to_json() == before
    with pytest.raises(ValueError, match=r"draws several 3-D scenes wrongly as \.pdf"):
        figures.save(figure, tmp_path / "all.pdf")


def test_a_strip_is_not_drawn_to_scale_and_says_so():
    shown = figures.contour(GROUND, backend="none")
    assert not shown.commensurate
    assert "The axes are not drawn to one scale (their ranges are 26 : 1)" in shown.subtitle
    wide = GROUND.assign_coords(beta=10 * GROUND["beta"])
    wide["beta"].attrs = GROUND["beta"].attrs
    assert figures.contour(wide, backend="none").commensurate
    turned = GROUND.assign_coords(alpha=GROUND["alpha"] / 1000)
    turned["alpha"].attrs = GROUND["alpha"].attrs
    assert "(their ranges are 1 : 39)" in figures.contour(turned, backend="none").subtitle


def curved():
    dims = ("alpha", "beta")
    ds = GROUND[["loss"]].assign_attrs(title="Loss of LeNet on a random plane")
    for name, words in (
        ("curvature_min", "smallest eigenvalue of the projected Hessian"),
        ("curvature_max", "largest eigenvalue of the projected Hessian"),
        ("curvature_ratio", "|smallest / largest eigenvalue| of the projected Hessian"),
    ):
        ds[name] = value(name, dims, ds["loss"].values + 1)
        ds[name].attrs["long_name"] = words
    return ds


def test_a_title_names_what_is_shown():
    ds = curved()
    titles = {n: figures.contour(ds, n, backend="none").title for n in ("loss", "curvature_ratio")}
    assert titles == {
        "loss": "Loss of LeNet on a random plane",
        "curvature_ratio": "Curvature of LeNet on a random plane",
    }
    names = ["curvature_min", "curvature_max"]
    assert figures.contour(ds, names, backend="none").title == "Curvature of LeNet on a random plane"
    assert figures.contour(ds, ["loss", *names], backend="none").title == "Loss of LeNet on a random plane"
    scored = GROUND.assign_attrs(title="Loss of LeNet on a random plane")
    assert figures.contour(scored, ["accuracy", "test_accuracy"], backend="none").title.startswith("Accuracy of LeNet")
    assert figures.contour(ds.assign_attrs(title="Mine"), names, backend="none").title == "Mine"


@pytest.mark.parametrize(
    ("draw", "count"), [(figures.contour, 2), (figures.contour, 3), (figures.contour, 4), (figures.surface, 2)]
)
def test_words_of_panels_do_not_run_into_the_next_one(draw, count):
    """Headings end before the next panel begins, and colour bars have no words that a heading says already."""
    names = ["curvature_min", "curvature_max", "curvature_ratio", "loss"][:count]
    figure = drawn(draw(curved(), names, backend="matplotlib"))
    panels = [a for a in figure.axes if a.get_title(loc="left")]
    assert len(panels) == count
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [a._left_title.get_window_extent(renderer) for a in panels]
    for k, one in enumerate(boxes):
        for other in boxes[k + 1 :]:
            assert not one.overlaps(other)
        assert one.x1 <= figure.bbox.x1
    assert {a.get_ylabel() for a in figure.axes if a not in panels} <= {""}
