"""Training runs by themselves: losses, motion, and components beside those of random walks."""

import numpy as np
import pytest

from tests.figures import valleys
from tests.figures.descents import drawn, numbers
from thalweg import figures
from thalweg.figures.training import running_mean

WALK = valleys.random_walk()


def words(figure):
    """Every word of a figure."""
    if hasattr(figure, "axes"):
        found = [t.get_text() for t in figure.texts]
        return " ".join(found + [a.get_title(loc="left") for a in figure.axes])
    layout = figure.layout
    return " ".join([layout.title.text, layout.title.subtitle.text, *(a.text or "" for a in layout.annotations)])


# Random walks


def test_a_pure_walk_is_told_to_be_nothing_but_one():
    pure = valleys.random_walk(valleys.walk(101, 300, seed=77))
    shown = figures.random_walk(pure, backend="none")
    assert "nothing tells this run from a random walk" in shown.subtitle
    titles = [c.title for c in shown.cells]
    assert titles[1:4] == ["Score 1: agreement 1.00", "Score 2: agreement 1.00", "Score 3: agreement 0.99"]
    assert "lie outside the range of the simulated walks" in figures.random_walk(WALK, backend="none").subtitle


@pytest.mark.parametrize("backend", ["plotly", "matplotlib"])
def test_nobody_can_read_a_lissajous_figure_as_a_discovery(backend):
    figure = figures.random_walk(WALK, backend=backend)
    said = words(figure).replace("<br>", " ").replace("\n", " ")
    for told in (
        "they are no finding about training",
        "A simulated random walk",
        "Theory of random walks",
        "1806.08805",
    ):
        assert told in said
    assert "60.8% of a random walk as long" in said


def test_shares_stand_beside_the_theory_and_the_range_of_the_walks():
    cell = figures.random_walk(WALK, backend="none").cells[0]
    walks, theory, run = cell.series
    np.testing.assert_array_equal(run.y, WALK["explained_variance_ratio"])
    np.testing.assert_array_equal(theory.y, WALK["theory"])
    np.testing.assert_allclose(walks.band, np.percentile(WALK["walk"], [5, 95], axis=0))
    assert cell.y.kind == "log"
    assert run.hover[0] == f"this run, component 1: {100 * float(WALK['explained_variance_ratio'][0]):.3g}%"


def test_scores_have_mean_square_one_and_the_sign_of_the_theory():
    flipped = WALK.assign(score=-WALK["score"], walk_score=-WALK["walk_score"])
    for ds in (WALK, flipped):
        cells = figures.random_walk(ds, backend="none").cells
        for cell in cells[1:4]:
            curves = {s.label: s.y for s in cell.series}
            for y in curves.values():
                assert np.mean(y**2) == pytest.approx(1.0)
                assert y @ curves["random walk, theory"] >= 0
        np.testing.assert_array_equal(cells[4].series[0].x, cells[1].series[-1].y)
        np.testing.assert_array_equal(cells[4].series[0].y, cells[2].series[-1].y)
        assert [c.title for c in cells[4:]] == ["This run", "A simulated random walk", "Theory of random walks"]
        assert len({c.x.ends for c in cells[4:]}) == 1


def test_few_components_and_no_simulated_walks_are_drawn_too():
    for ds in (WALK.isel(axis=[0]), WALK.isel(axis=[0, 1]), WALK.isel(sample=[])):
        for backend in ("plotly", "matplotlib"):
            figure = figures.random_walk(ds, backend=backend)
            _ = drawn(figure) if backend == "matplotlib" else figure.to_json()
    assert len(figures.random_walk(WALK.isel(axis=[0]), backend="none").cells) == 2
    with pytest.raises(ValueError, match="fewer than two steps"):
        figures.random_walk(WALK.isel(step=[0]))


def test_components_by_length_stand_beside_those_of_walks_as_long():
    ds = valleys.by_length()
    share, overlap = figures.components_by_length(ds, backend="none").panels
    for k in range(3):
        run, walk = share.series[2 * k], share.series[2 * k + 1]
        np.testing.assert_array_equal(run.y, ds["explained_variance_ratio"][:, k])
        np.testing.assert_array_equal(walk.y, ds["theory"][:, k])
        assert walk.dashed
        assert (walk.color, run.dashed) == (run.color, False)
    np.testing.assert_array_equal(overlap.series[0].y, ds["overlap"])
    entries = [s.entry for s in figures.components_by_length(ds, backend="none").keys]
    assert entries == ["component 1", "random walk as long", "component 2", "component 3"]
    with pytest.raises(ValueError, match="no length or no axis"):
        figures.components_by_length(ds.isel(length=[]))


# Motion and training


def test_motion_is_distances_speed_and_cosines_between_minus_one_and_one():
    ds = valleys.motion()
    distance, speed, cosine = figures.motion(ds, backend="none").panels
    np.testing.assert_array_equal(distance.series[0].y, ds["distance_from_start"])
    np.testing.assert_array_equal(distance.series[1].y, ds["distance_from_end"])
    np.testing.assert_array_equal(speed.series[0].y, ds["speed"])
    np.testing.assert_array_equal(cosine.series[0].y, ds["cosine"])
    assert cosine.ruler.ends == pytest.approx((-1, 1), abs=0.1)
    assert [m.at for m in cosine.marks] == [0.0]
    length, far = float(ds["path_length"][-1]), float(ds["distance_from_start"][-1])
    assert f"{length / far:.3g} times the distance from start to end" in figures.motion(ds, backend="none").subtitle
    wide = ds.assign(speed=ds["speed"] ** 3)
    assert figures.motion(wide, backend="none").panels[1].ruler.kind == "log"


def test_training_is_the_loss_its_metrics_and_the_rate_where_it_changes():
    ds = valleys.trajectory()
    loss, accuracy, rate = figures.training(ds, backend="none").panels
    np.testing.assert_array_equal(loss.series[0].y, ds["loss"])
    known = np.isfinite(ds["accuracy"].values)
    np.testing.assert_array_equal(accuracy.series[0].y, ds["accuracy"].values[known])
    np.testing.assert_array_equal(accuracy.series[0].x, ds["step"].values[known])
    assert [(s.label, s.dashed) for s in accuracy.series] == [("accuracy", False), ("test accuracy", True)]
    np.testing.assert_array_equal(rate.series[0].y, ds["learning_rate"])
    steady = figures.training(ds.assign(learning_rate=0 * ds["learning_rate"] + 0.1), backend="none")
    assert len(steady.panels) == 2
    assert "Learning rate 0.1" in steady.subtitle


def test_a_curve_s_training_says_which_curve_it_is_and_smooths_its_mini_batches():
    ds = valleys.connection(400).assign(t=("step", np.linspace(0, 1, 400)))
    shown = figures.training(ds, backend="none")
    assert shown.title == "How the curve was learned"
    assert shown.subtitle.startswith("Bezier curve with 1 bend. 400 steps from 1 to 400")
    raw, mean = shown.panels[0].series
    np.testing.assert_array_equal(raw.y, ds["loss"])
    np.testing.assert_array_equal(mean.y, running_mean(ds["loss"].values, 8))
    assert [p.ruler.label for p in shown.panels] == ["Loss [nats]", "Learning rate"]
    assert len(figures.training(valleys.connection(50), backend="none").panels[0].series) == 1


@pytest.mark.parametrize("window", [1, 2, 5, 40])
def test_a_running_mean_is_that_of_each_value_s_neighbours(window):
    values = np.random.default_rng(0).normal(size=30)
    values[[3, 4]] = np.nan
    high = np.minimum(np.arange(30) - window // 2 + window, 30)
    slow = [
        np.nanmean(p) if np.isfinite(p := values[max(0, k - window // 2) : h]).any() else np.nan
        for k, h in enumerate(high)
    ]
    np.testing.assert_allclose(running_mean(values, window), slow)


def test_losses_that_are_not_finite_are_counted_but_for_those_before_the_first_update():
    ds = valleys.trajectory().copy(deep=True)
    ds["loss"][0] = np.nan
    assert figures.training(ds, backend="none").notes == ()
    ds["loss"][7] = np.inf
    assert figures.training(ds, backend="none").notes == ("1 of 41 losses is not finite",)


RUNS = {
    "motion": (figures.motion, valleys.motion()),
    "trajectory": (figures.training, valleys.trajectory()),
    "connection": (figures.training, valleys.connection()),
    "components_by_length": (figures.components_by_length, valleys.by_length()),
    "random_walk": (figures.random_walk, WALK),
    "course": (figures.course, valleys.course(lift=1.0)),
}


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_backends_draw_the_same_curves(kind, theme):
    draw, ds = RUNS[kind]
    shown = draw(ds, backend="none")
    parts = getattr(shown, "panels", None) or shown.cells
    static, interactive = drawn(draw(ds, backend="matplotlib", theme=theme)), draw(ds, theme=theme)
    for k, part in enumerate(parts):
        lines = [x for x in static.axes[k].lines if x.get_label() in {s.entry or f"_{s.label}" for s in part.series}]
        traces = [t for t in interactive.data if t.xaxis == f"x{k + 1 if k else ''}" and "band" not in t.name]
        curves = [s for s in part.series if s.line or s.symbol]
        assert len(traces) == len(curves)
        for s, trace in zip(curves, traces, strict=True):
            np.testing.assert_allclose(numbers(trace.y), s.y)
        for s in [s for s in curves if s.entry]:
            (line,) = [x for x in lines if x.get_label() == s.entry]
            np.testing.assert_allclose(line.get_ydata(), s.y)
    entries = [t.get_text() for legend in static.legends for t in legend.get_texts()]
    assert entries == [t.name for t in interactive.data if t.showlegend] == [s.entry for s in shown.keys]


@pytest.mark.parametrize("kind", RUNS)
def test_results_of_another_kind_are_refused(kind):
    draw, _ = RUNS[kind]
    with pytest.raises(ValueError, match=r"is of kind 'barrier', and one of kind .* is needed"):
        draw(valleys.barrier())
    with pytest.raises(TypeError, match="`ds` is a list; a dataset of kind"):
        draw([1])


@pytest.mark.parametrize("kind", ["motion", "trajectory", "connection"])
def test_runs_without_steps_are_refused_and_one_step_is_a_mark(kind):
    draw, ds = RUNS[kind]
    with pytest.raises(ValueError, match="holds no step"):
        draw(ds.isel(step=[]))
    shown = draw(ds.isel(step=[1]), backend="none")
    assert all(s.symbol for s in shown.panels[0].series)
    drawn(draw(ds.isel(step=[1]), backend="matplotlib"))
