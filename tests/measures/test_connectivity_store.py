"""A training of a curve that is interrupted and goes on; and what a store refuses to mix."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.optim import lr_scheduler as schedules

import thalweg as tw
from thalweg.measures import bends as inside
from thalweg.store import StoreMismatchError

from . import optima
from .optima import ends, problem, sgd

TRAININGS = {
    "usual": {},
    "momentum": {"optimizer": sgd(0.05, momentum=0.9, nesterov=True)},
    "Adam": {"optimizer": lambda w: torch.optim.Adam(w, lr=0.01, amsgrad=True)},
    "LBFGS": {"optimizer": lambda w: torch.optim.LBFGS(w, lr=0.1, max_iter=2)},
    "cosine": {"optimizer": sgd(), "scheduler": lambda o: schedules.CosineAnnealingLR(o, T_max=23)},
    "one cycle": {"optimizer": sgd(momentum=0.5), "scheduler": lambda o: schedules.OneCycleLR(o, 0.1, total_steps=23)},
    "milestones": {"optimizer": sgd(), "scheduler": lambda o: schedules.MultiStepLR(o, [4, 15])},
    "warm-up": {
        "optimizer": sgd(),
        "scheduler": lambda o: schedules.SequentialLR(
            o, [schedules.LinearLR(o, total_iters=5), schedules.ExponentialLR(o, 0.9)], milestones=[5]
        ),
    },
}
SIZE = {"steps": 23, "batch_size": 12, "num_bends": 2, "seed": 1}


class Killed(BaseException):
    pass


def killed_after(monkeypatch, steps):
    """Have the process die at the beginning of a step."""
    one = inside.Bends._one

    def dying(self):
        if self.step == steps:
            raise Killed
        one(self)

    monkeypatch.setattr(inside.Bends, "_one", dying)


@pytest.mark.parametrize(
    ("training", "at", "every"), [*((name, 9, 6) for name in TRAININGS), ("usual", 13, 13), ("usual", 3, 7)]
)
def test_an_interrupted_training_ends_with_the_same_bits(training, at, every, tmp_path, monkeypatch):
    p, (a, b) = problem(), ends()
    asked = SIZE | TRAININGS[training]
    whole = tw.connect(p, a, b, **asked)
    study = tmp_path / "study.zarr"
    with monkeypatch.context() as patch:
        killed_after(patch, at)
        with pytest.raises(Killed):
            tw.connect(p, a, b, store=study, every=every, **asked)
    steps = []
    one = inside.Bends._one
    monkeypatch.setattr(inside.Bends, "_one", lambda self: (steps.append(self.step), one(self)))
    resumed = tw.connect(p, a, b, store=study, every=every, **asked)
    assert steps == list(range(at // every * every, 23))
    assert torch.equal(whole.curve.nodes, resumed.curve.nodes)
    for name in ("loss", "learning_rate", "t", "theta"):
        np.testing.assert_array_equal(whole.dataset[name], resumed.dataset[name])
    assert [path.name for path in tmp_path.iterdir()] == ["study.zarr"]


def test_a_finished_curve_is_returned_without_another_step(tmp_path, monkeypatch):
    p, (a, b) = problem(), ends()
    first = tw.connect(p, a, b, store=tmp_path / "study.zarr", **SIZE)
    killed_after(monkeypatch, 0)
    again = tw.connect(p, a, b, store=tmp_path / "study.zarr", **SIZE)
    assert torch.equal(first.curve.nodes, again.curve.nodes)
    assert first.dataset.identical(again.dataset)
    assert tw.load(tmp_path / "study.zarr", "curve/bezier").attrs["complete"]


def test_what_is_learned_so_far_can_be_seen(tmp_path, monkeypatch):
    p, (a, b) = problem(), ends()
    killed_after(monkeypatch, 10)
    with pytest.raises(Killed):
        tw.connect(p, a, b, "polygonal", store=tmp_path / "study.zarr", every=4, **SIZE)
    part = tw.load(tmp_path / "study.zarr", "curve/polygonal")
    assert not part.attrs["complete"]
    assert int(part.loss.count()) == 8
    assert "diverged_at" not in part.attrs
    assert tw.read_curve(part).bends.shape == (2, len(a))


@pytest.mark.parametrize("damage", ["removed", "cut short", "another training"])
def test_a_state_that_was_lost_begins_anew(damage, tmp_path, monkeypatch):
    p, (a, b) = problem(), ends()
    study = tmp_path / "study.zarr"
    with monkeypatch.context() as patch:
        killed_after(patch, 10)
        with pytest.raises(Killed):
            tw.connect(p, a, b, store=study, every=4, **SIZE)
    (state,) = tmp_path.rglob("state.pt")
    if damage == "removed":
        state.unlink()
    elif damage == "cut short":
        state.write_bytes(state.read_bytes()[:100])
    else:
        torch.save({"step": 20, "recipe": "{}"}, state)
    resumed = tw.connect(p, a, b, store=study, every=4, **SIZE)
    assert torch.equal(resumed.curve.nodes, tw.connect(p, a, b, **SIZE).curve.nodes)


def test_a_state_runs_no_code(tmp_path):
    """A file that somebody else left in its place is data."""
    p, (a, b) = problem(), ends()
    folder = tmp_path / ".study.zarr.locks" / "curve%bezier"
    folder.mkdir(parents=True)
    torch.save({"step": 3, "evil": Trap(tmp_path / "trapped")}, folder / "state.pt")
    tw.connect(p, a, b, store=tmp_path / "study.zarr", **SIZE)
    assert not (tmp_path / "trapped").exists()


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"steps": 24}, "steps: stored 23, asked for 24"),
        ({"seed": 2}, "seed"),
        ({"batch_size": 11}, "batch_size"),
        ({"weight_decay": 0.1}, "weight_decay"),
        ({"num_bends": 1}, "beginning"),
        ({"optimizer": sgd(0.2)}, "optimizer"),
        ({"curve": "polygonal"}, "curve"),
    ],
)
def test_another_training_is_not_mixed_in(other, told, tmp_path):
    p, (a, b) = problem(), ends()
    study = tmp_path / "study.zarr"
    first = tw.connect(p, a, b, store=study, name="mine", **SIZE)
    with pytest.raises(StoreMismatchError, match=told):
        tw.connect(p, a, b, store=study, name="mine", **(SIZE | other))
    assert tw.load(study, "mine").identical(first.dataset)


def test_other_data_ends_and_results_are_told_apart(tmp_path):
    p, (a, b) = problem(), ends()
    study = tmp_path / "study.zarr"
    tw.connect(p, a, b, store=study, name="mine", **SIZE)
    with pytest.raises(StoreMismatchError, match="beginning"):
        tw.connect(p, b, a, store=study, name="mine", **SIZE)
    other = problem(data=optima.data(seed=9))
    with pytest.raises(StoreMismatchError, match="training data"):
        tw.connect(other, a, b, store=study, name="mine", **SIZE)
    tw.save(tw.loss_along(p, tw.Segment(a, b), t=3), study, "along")
    with pytest.raises(StoreMismatchError, match="another result"):
        tw.connect(p, a, b, store=study, name="along", **SIZE)
    with pytest.raises(FileExistsError):
        tw.connect(p, a, b, store=study, name="along/mine", **SIZE)


def test_the_weights_that_the_problem_holds_do_not_matter(tmp_path):
    a, b = ends()
    study = tmp_path / "study.zarr"
    first = tw.connect(problem(), a, b, store=study, **SIZE)
    again = tw.connect(problem().at(b), a, b, store=study, **SIZE)
    assert again.dataset.identical(first.dataset)
    assert torch.equal(tw.connect(problem().at(b), a, b, **SIZE).curve.nodes, first.curve.nodes)


def test_a_scheduler_whose_state_cannot_be_kept_is_refused_before_the_first_step(tmp_path):
    class Remembering(schedules.StepLR):
        def __init__(self, optimizer):
            self.memory = Trap("nowhere")
            super().__init__(optimizer, 3)

    p, (a, b) = problem(), ends()
    asked = SIZE | {"optimizer": sgd(), "scheduler": Remembering}
    with pytest.raises(ValueError, match="more than numbers and tensors"):
        tw.connect(p, a, b, store=tmp_path / "study.zarr", **asked)
    assert not list(tmp_path.iterdir())
    tw.connect(p, a, b, **asked)


SCHEDULES = {
    "milestones": [lambda o, k=k: schedules.MultiStepLR(o, [k]) for k in (5, 15)],
    "functions": [lambda o, k=k: schedules.LambdaLR(o, lambda _: k) for k in (1.0, 0.1)],
    "one cycle": [lambda o, k=k: schedules.OneCycleLR(o, k, total_steps=24) for k in (0.1, 1.0)],
    "warm-up": [
        lambda o, k=k: schedules.SequentialLR(
            o, [schedules.ConstantLR(o, k, 5), schedules.ExponentialLR(o, 0.9)], milestones=[5]
        )
        for k in (0.1, 0.5)
    ],
}


@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedules_of_other_rates_are_told_apart_and_alike_ones_recognised(kind, tmp_path):
    """Though their names and plain settings are the same."""
    p, (a, b) = problem(), ends()
    one, other = SCHEDULES[kind]
    asked = SIZE | {"optimizer": sgd(momentum=0.9), "store": tmp_path / "study.zarr"}
    first = tw.connect(p, a, b, scheduler=one, **asked)
    without = tw.connect(p, a, b, scheduler=one, **(asked | {"store": None}))
    assert torch.equal(first.curve.nodes, without.curve.nodes)  # running ahead leaves no trace
    np.testing.assert_array_equal(first.dataset.learning_rate, without.dataset.learning_rate)
    assert tw.connect(p, a, b, scheduler=one, **asked).dataset.identical(first.dataset)
    with pytest.raises(StoreMismatchError, match="rates"):
        tw.connect(p, a, b, scheduler=other, **asked)


def test_settings_of_a_group_are_told_apart(tmp_path):
    p, (a, b) = problem(), ends()
    for rate in (0.5, 0.01):
        asked = SIZE | {"optimizer": lambda w, rate=rate: torch.optim.SGD([{"params": w, "lr": rate}], lr=0.1)}
        if rate == 0.01:
            with pytest.raises(StoreMismatchError, match="rates"):
                tw.connect(p, a, b, store=tmp_path / "study.zarr", **asked)
        else:
            tw.connect(p, a, b, store=tmp_path / "study.zarr", **asked)


def test_a_scheduler_that_forgets_is_refused(tmp_path):
    class Forgetful(schedules.LRScheduler):
        calls = 0

        def get_lr(self):
            Forgetful.calls += 1
            return [0.1 / Forgetful.calls for _ in self.base_lrs]

    p, (a, b) = problem(), ends()
    with pytest.raises(ValueError, match="could not be resumed"):
        tw.connect(p, a, b, store=tmp_path / "s.zarr", **SIZE, optimizer=sgd(), scheduler=Forgetful)


class Layer(torch.nn.Module):
    def __init__(self, act):
        super().__init__()
        self.into, self.out, self.act = torch.nn.Linear(5, 6), torch.nn.Linear(6, 3), act

    def forward(self, x):
        return self.out(self.act(self.into(x)))


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("what", ["loss", "step", "network", "function"])
def test_another_loss_or_network_of_the_same_name_is_told_apart(what, killed, tmp_path, monkeypatch):
    """By its values: no text tells a lambda from another."""

    def made(k):
        if what == "function":
            return tw.FunctionProblem(lambda x, y: (x**2 + k[0] * y**2 - 1) ** 2)
        torch.manual_seed(0)
        model = Layer((torch.tanh, torch.relu)[k[0] > 1] if what == "network" else torch.tanh).double().eval()
        if what == "step":
            return tw.ModuleProblem(
                model, optima.data(), step=lambda m, b: k[0] * F.cross_entropy(m(b[0]), b[1], reduction="none")
            )
        factor = k[0] if what == "loss" else 1
        return tw.ModuleProblem(
            model, optima.data(), loss=lambda o, t: F.cross_entropy(factor * o, t, reduction="none")
        )

    first, other = made([1.0]), made([2.0])
    a, b = ([-1.0, 0.0], [1.0, 0.0]) if what == "function" else ends()
    store = tmp_path / "study.zarr"
    if not killed:
        tw.connect(first, a, b, store=store, **SIZE)
        with pytest.raises(StoreMismatchError, match=r"at the same points|function"):
            tw.connect(other, a, b, store=store, **SIZE)
        return
    with monkeypatch.context() as patch:  # before anything can be seen in the study
        killed_after(patch, 2)
        with pytest.raises(Killed):
            tw.connect(first, a, b, store=store, every=50, **SIZE)
    found = tw.connect(other, a, b, store=store, **SIZE)
    assert torch.equal(found.curve.nodes, tw.connect(other, a, b, **SIZE).curve.nodes)


def test_statistics_that_the_problem_holds_do_not_matter(tmp_path):
    a, b = ends(True)
    first = tw.connect(problem(norm=True), a, b, store=tmp_path / "study.zarr", **SIZE)
    other = problem(norm=True).with_state(optima.network(3, norm=True).state_dict())
    assert tw.connect(other, a, b, store=tmp_path / "study.zarr", **SIZE).dataset.identical(first.dataset)
