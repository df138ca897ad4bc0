"""The demo of a landscape: which descents it shows, what it says of them, and where it leaves them."""

import json
import re

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.apps import sections, words_descent
from thalweg.apps.landscape import landscape_demo
from thalweg.apps.place import new_study
from thalweg.apps.runs import runs
from thalweg.landscapes import landscape, names
from thalweg.store import results

CIRCLE = tw.random_starts(50, seed=117)


def silent(_text):
    pass


def descended(optimizer, steps=60, scheduler=None, name="multiply-by-one", starts=CIRCLE, **options):
    """A descent with its outcomes."""
    shown = landscape(name)
    paths = tw.descend(shown.problem(), starts, optimizer, steps, scheduler=scheduler, **options)
    return tw.outcomes(paths, shown.problem(), branches=shown.branches, side=shown.side)


def sgd(lr, **options):
    return lambda w: torch.optim.SGD(w, lr=lr, **options)


def cyclic(optimizer):
    return torch.optim.lr_scheduler.CyclicLR(optimizer, 0.02, 0.3, step_size_up=10, cycle_momentum=False)


def told(paths):
    return " ".join(words_descent.descent(paths))


def falls(paths):
    """The last update at which any path is still above half of the saddle's loss."""
    return int(np.argmax(paths.loss.values < 0.5, axis=1).max())


def test_a_plateau_is_told_of_plain_gradient_descent_that_rests():
    assert "waited on a plateau" in told(descended(sgd(0.1)))


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (sgd(0.05, momentum=0.9, nesterov=True), {}),
        (lambda w: torch.optim.Adam(w, lr=0.05), {"steps": 150}),
        (sgd(0.02), {"scheduler": cyclic}),
        (sgd(0.1), {"noise": 1.0}),
        (sgd(0.001), {}),
        (sgd(0.02), {"name": "l6", "steps": 100}),
    ],
    ids=["momentum", "Adam", "schedule", "noise", "still moving", "hopping over a cliff"],
)
def test_no_plateau_is_told_where_a_slow_stretch_has_other_causes(optimizer, options):
    assert "plateau" not in told(descended(optimizer, **options))


def test_what_the_lesson_says_of_momentum_adam_and_schedules_is_so():
    plain = falls(descended(sgd(0.05)))
    assert falls(descended(sgd(0.05, momentum=0.9, nesterov=True))) < plain
    assert falls(descended(lambda w: torch.optim.Adam(w, lr=0.05), steps=150)) >= plain
    assert falls(descended(sgd(0.02), scheduler=cyclic)) < falls(descended(sgd(0.02), steps=150))


def test_ends_are_told_as_places():
    assert words_descent.ends(descended(sgd(0.1))) == [
        "27 on the branch t1, t2 > 0",
        "23 on the branch t1, t2 < 0",
    ]
    moving = descended(sgd(0.001))
    assert words_descent.ends(moving) == ["50 still moving"]


def test_himmelblaus_nine_critical_points_are_all_told():
    problem = landscape("himmelblau").problem()
    found = tw.critical_points(problem, tw.coordinate_plane(problem), extent=5.0, points=51)
    assert words_descent.kinds(found) == ["4 minima", "4 saddles", "1 maximum"]
    said = words_descent.critical_points(found)
    assert sum(" at (" in text for text in said) == 9
    assert not any("more" in text for text in said)
    assert sum("loss 0," in text for text in said) == 4


def test_a_few_degenerate_points_are_told_and_a_curve_of_them_is_not():
    monkey, valley = landscape("monkey-saddle").problem(), landscape("multiply-by-one").problem()
    said = [
        words_descent.critical_points(tw.critical_points(p, tw.coordinate_plane(p), extent=1.5))
        for p in (monkey, valley)
    ]
    assert said[0][1].startswith("Degenerate point at (0, 0): loss 0")
    assert len(said[0]) == 2
    assert said[1][1].startswith("Saddle at (0, 0)")
    assert "samples of a curve" in said[1][2]


def test_a_known_minimum_at_a_jump_is_told_and_drawn():
    problem = landscape("l6").problem()
    found = tw.critical_points(problem, tw.coordinate_plane(problem), extent=1.5)
    kink = {"at": [-0.125, -0.375], "type": "minimum", "loss": -0.21875}
    found.attrs["kinks"] = json.dumps([kink])
    assert words_descent.kinds(found) == ["1 minimum at a kink or a jump"]
    assert "minimum at (-0.125, -0.375), loss -0.219" in " ".join(words_descent.critical_points(found))
    surface = tw.gradient_field(problem, tw.coordinate_plane(problem), extent=1.5, points=31)
    _, _, body = next(sections.sections({"surface/l6": surface.assign_attrs(landscape="l6", formula="f")}))
    assert "minimum, not smooth" not in body
    on = {
        "surface/l6": surface.assign_attrs(landscape="l6", formula="f"),
        "critical": found.assign_attrs(on="surface/l6"),
    }
    assert [body.count("minimum, not smooth") > 0 for _, _, body in sections.sections(on)] == [True, True]


def test_nothing_found_and_nothing_known_draws_no_empty_picture():
    problem = tw.FunctionProblem(lambda x, y: x + y)
    plane = tw.coordinate_plane(problem)
    found = tw.critical_points(problem, plane, extent=1.0, points=11).assign_attrs(on="surface/tilt")
    surface = tw.gradient_field(problem, plane, extent=1.0, points=11)
    parts = {
        head: body for _, head, body in sections.sections({"surface/tilt": surface, "critical_points/tilt": found})
    }
    assert "No point with a vanishing gradient" in parts["Critical points"]
    assert "<figure" not in parts["Critical points"]


@pytest.mark.parametrize("name", names())
def test_every_landscape_has_one_plain_descent_whose_pace_can_be_chosen(name):
    shown = landscape(name)
    made = runs(shown, shown.problem(), lr=0.125, steps=7)
    main = [run for run in made if run.main]
    assert len(main) == 1
    assert main[0].steps == 7
    optimizer = main[0].optimizer([torch.zeros(1, requires_grad=True)])
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["lr"] == 0.125
    assert main[0].about == "The learning rate and the number of steps are as asked for."


@pytest.mark.parametrize(
    ("pace", "said"),
    [({"lr": 0.0}, "rate is 0"), ({"lr": float("nan")}, "rate is nan"), ({"steps": 0}, "number of steps is 0")],
)
def test_a_pace_that_is_not_positive_is_refused(pace, said):
    shown = landscape("l0")
    with pytest.raises(ValueError, match=said):
        runs(shown, shown.problem(), **pace)


def test_with_momentum_every_start_reaches_rosenbrocks_minimum():
    shown = landscape("rosenbrock")
    momentum = next(run for run in runs(shown, shown.problem()) if run.name == "momentum")
    paths = tw.descend(shown.problem(), momentum.starts, momentum.optimizer, momentum.steps, every=momentum.steps)
    ends = paths.theta.values[:, -1]
    assert np.linalg.norm(ends - 1.0, axis=1).max() < 0.03


def test_a_place_where_something_stands_is_refused_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    for inside in ("file", "file/further"):
        with pytest.raises(NotADirectoryError, match=r"file is a file, and a folder is needed.*--out"):
            new_study(tmp_path / inside)
    (tmp_path / "old" / "study.zarr").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="already holds a study"):
        new_study(tmp_path / "old")
    with pytest.raises(ValueError, match="There is no landscape"):
        landscape_demo("nowhere", tmp_path / "new", say=silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "old"]


@pytest.mark.slow
def test_the_demo_of_the_linear_network_shows_both_branches_and_the_saddle(tmp_path):
    said = []
    made = landscape_demo("multiply-by-one", tmp_path / "d", say=said.append)
    assert {"surface/multiply-by-one", "critical_points/multiply-by-one", "descent/grid"} <= set(results(made.study))
    rest = next(line for line in said if "Until they rest" in line)
    assert rest.endswith("1,275 on the branch t1, t2 > 0; 1,275 on the branch t1, t2 < 0; 51 on the saddle at 0")
    page = made.page.read_text()
    assert page.count("waited on a plateau") == 2
    assert not re.search(r"could not be drawn", page)
