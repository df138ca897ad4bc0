"""What a figure does not draw, and says so: steps that are not there, foreign results, arguments of the wrong sort."""

import json

import numpy as np
import pytest

from tests.figures import descents
from tests.figures.conftest import A, B, make, value
from tests.figures.stochastic import risks, sgd
from tests.figures.test_descent import line_problem
from thalweg import figures

RUNS = descents.circle()
EVERY = RUNS.isel(step=slice(0, None, 10))
PROFILE, ON_LINE = line_problem()


def on_map(draw, ds=RUNS):
    return lambda step: draw(descents.surface(), descent=ds, step=step, backend="none")


@pytest.mark.parametrize(
    "draw",
    [
        on_map(figures.surface),
        on_map(figures.contour),
        on_map(figures.surface, EVERY),
        lambda step: figures.descent(EVERY, step=step, backend="none"),
        lambda step: figures.profile(PROFILE, descent=ON_LINE, step=step, backend="none"),
    ],
)
def test_a_step_that_is_not_recorded_is_refused_everywhere_naming_those_that_are(draw):
    for step in (-1, 4.5, 31, 10_000):
        with pytest.raises(
            ValueError, match=r"Step .* is not recorded; the nearest is \d+ \(\d+ steps from 0 to \d+\)"
        ):
            draw(step)
    for wrong in ("x", "10", True, [3]):
        with pytest.raises(TypeError, match="the number of a recorded step is needed, such as step=10"):
            draw(wrong)
    with pytest.raises(ValueError, match="step=nan; the number of a recorded step is needed"):
        draw(np.nan)
    draw(np.int64(0))


def test_a_step_needs_something_that_has_steps(plane, run_path, line):
    for draw in (figures.surface, figures.contour):
        with pytest.raises(ValueError, match="step=3 needs a path or a descent whose step it is"):
            draw(plane, step=3)
    with pytest.raises(ValueError, match="step=3 needs a path or a descent"):
        figures.profile(line, step=3)
    with pytest.raises(ValueError, match=r"Step 125 is not recorded; the nearest is 120"):
        figures.surface(plane, path=run_path, step=125)


def test_one_of_several_runs_has_to_hold_the_step_and_none_may_begin_after_it():
    later = RUNS.assign_coords(step=RUNS["step"] + 5)
    figures.surface(descents.surface(), descent=[RUNS, EVERY], step=7, backend="none")
    with pytest.raises(ValueError, match=r"step=3 lies before the first step 5 \(31 steps from 5 to 35\)"):
        figures.surface(descents.surface(), descent=[RUNS, later], step=3)


ABOUT = {"num_weights": 2, "model": "branches", "subspace": json.dumps({"kind": "random", "seed": 0})}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_weights": 3}, r"another number of weights \(3\) than the surface \(2\).*of the same problem"),
        ({"model": "LeNet"}, r"another model \(LeNet\) than the surface \(branches\)"),
        ({"subspace": json.dumps({"kind": "random", "seed": 1})}, "another subspace .*Make both in the same subspace"),
    ],
)
@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
def test_what_belongs_to_another_problem_or_plane_is_refused(draw, change, words):
    ground = descents.surface().assign_attrs(ABOUT)
    for name, other in (("descent", RUNS), ("critical", descents.critical(["saddle"], [(0, 0)]))):
        with pytest.raises(ValueError, match=f"`{name}` has {words}"):
            draw(ground, **{name: other.assign_attrs(ABOUT | change)})
        draw(ground, **{name: other.assign_attrs(ABOUT)}, backend="none")
        draw(ground, **{name: other}, backend="none")  # what it does not say cannot differ
        spaced = json.dumps({"seed": 0, "kind": "random"}, indent=1)
        draw(ground, **{name: other.assign_attrs(ABOUT | {"subspace": spaced})}, backend="none")


def test_profiles_and_risks_refuse_foreign_descents_too():
    with pytest.raises(ValueError, match="`descent` has another model"):
        figures.profile(PROFILE.assign_attrs(model="a"), descent=ON_LINE.assign_attrs(model="b"))
    with pytest.raises(
        ValueError, match=r"`descent` has another loss function \(mse_loss\) than the surface \(l1_loss\)"
    ):
        figures.risk(risks(points=5).assign_attrs(loss="l1_loss"), descent=sgd().assign_attrs(loss="mse_loss"))


def test_points_are_pairs_with_names(plane):
    with pytest.raises(
        TypeError, match=r"`points` is a list; names with their coordinates are needed, such as points="
    ):
        figures.surface(plane, points=[[0, 0]])
    for wrong in ((0, 0, 0), 1.0, "ab", None, (None, 1)):
        with pytest.raises(ValueError, match=r"Point 'SGD' is .*; a pair \(α, β\) is needed"):
            figures.contour(plane, points={"SGD": wrong})
    with pytest.raises(ValueError, match="its coordinates have to be finite"):
        figures.contour(plane, points={"SGD": (0.0, np.nan)})


def test_speeds_and_sizes_are_positive_numbers(tmp_path):
    film = figures.animate(figures.descent, RUNS, steps=[0, 10], backend="matplotlib")
    for wrong, error, words in (
        ("10", TypeError, "fps='10' is no number; pass a positive number of frames in a second"),
        (-1, ValueError, "fps=-1 cannot be"),
    ):
        with pytest.raises(error, match=words):
            figures.animate(figures.descent, RUNS, fps=wrong)
    for figure, name in ((film, "a.gif"), (film.frame(0), "a.png")):
        for wrong, error in ((0, ValueError), (np.inf, ValueError), ("300", TypeError)):
            with pytest.raises(error, match=r"dpi=.*; pass a positive number of pixels on an inch"):
                figures.save(figure, tmp_path / name, dpi=wrong)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TypeError, match="step='x'"):
        figures.animate(figures.descent, RUNS, steps=["x"])


def bowl(change):
    a, b = np.meshgrid(A, B, indexing="ij")
    loss = value("loss", ("alpha", "beta"), change(a**2 + b**2))
    return make({"loss": loss}, {"alpha": A, "beta": B}, ("alpha", "beta"))


@pytest.mark.parametrize("draw", [figures.surface, figures.contour])
@pytest.mark.parametrize("backend", ["plotly", "matplotlib"])
def test_values_as_large_as_numbers_can_be_are_drawn_or_refused_with_a_remedy(draw, backend):
    huge, few, wide = (
        bowl(lambda z: (z + 1) * 3e307),
        bowl(lambda z: np.where(z > 2, 1e307, z)),
        bowl(lambda z: 10 ** (z * 120)),
    )
    for ds in (huge, few, wide):
        figure = draw(ds, backend=backend)
        descents.drawn(figure) if backend == "matplotlib" else figure.to_json()
    assert figures.surface(huge, backend="none").layers["loss"].scale.log
    with pytest.raises(
        ValueError, match=r"runs from 3.* to .*10³⁰⁸, more than a linear scale can show; draw it with log=True"
    ):
        draw(huge, log=False, backend=backend)
    with pytest.raises(ValueError, match="what is not positive lies on the floor"):
        draw(bowl(lambda z: (z - 1) * 1e307), backend=backend)


def test_no_logarithm_is_offered_of_losses_with_many_negative_values(plane):
    def scales(ds):
        return [b.label for m in figures.surface(ds).layout.updatemenus for b in m.buttons]

    assert "log" in scales(bowl(lambda z: z))
    assert "log" not in scales(bowl(lambda z: z - np.quantile(z, 0.3)))
    assert "log" not in scales(bowl(lambda z: -z))
