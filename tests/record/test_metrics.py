"""Metrics and cadence of a recorder: what is told at the rows that are due, and no trace of it in the run."""

import numpy as np
import pytest
import torch
from torch import nn

import thalweg as tw


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))


def train(model, steps, recorder=None, told=(), every=1):
    """A plain loop, and what it would have written down by hand: the size of the weights and the loss, per step."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    torch.manual_seed(1)
    if recorder is not None:
        recorder.attach(model, optimizer, every=every)
    sizes, losses = [size(model)], [np.nan]
    for k in range(steps):
        x = torch.randn(8, 3)
        loss = (model(x)[:, 0] - x.sum(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if recorder is not None:
            recorder.log(loss, **({"double": 2 * loss} if k in told else {}))
        optimizer.step()
        sizes.append(size(model))
        losses.append(float(loss.detach()))
    if recorder is not None:
        recorder.close()
    return np.array(sizes), np.array(losses)


def size(model):
    return float(sum(p.detach().double().square().sum() for p in model.parameters()))


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (4, [0, 4, 8, 11]),
        ([1, 2, 4, 8], [0, 1, 2, 4, 8, 11]),
        (np.array([3, 5]), [0, 3, 5, 11]),
        ([], [0, 11]),
        (lambda step: step < 3 or step % 5 == 0, [0, 1, 2, 5, 10, 11]),
    ],
    ids=["number", "list", "array", "empty list", "function"],
)
def test_metrics_are_those_of_the_model_at_the_steps_that_are_due_the_start_and_the_end(tmp_path, every, expected):
    recorder = tw.Recorder(tmp_path / "s.zarr", metrics={"size": size})
    sizes, losses = train(network(), 11, recorder, every=every)
    found = recorder.trajectory()
    np.testing.assert_array_equal(found.step, expected)
    np.testing.assert_array_equal(found["size"], sizes[expected])
    np.testing.assert_array_equal(found.loss, losses[expected])


def test_metrics_are_computed_at_recorded_rows_only_and_without_gradients(tmp_path):
    calls = []

    def count(model):
        calls.append(torch.is_grad_enabled())
        return len(calls)

    train(network(), 10, recorder := tw.Recorder(tmp_path / "s.zarr", metrics={"calls": count}), every=5)
    np.testing.assert_array_equal(recorder.trajectory().calls, [1, 2, 3])
    assert calls == [False] * 3


def test_numbers_told_now_and_then_are_nan_in_the_other_rows(tmp_path):
    _, losses = train(network(), 6, recorder := tw.Recorder(tmp_path / "s.zarr"), told=(2, 4))
    expected = np.full(7, np.nan)
    expected[[3, 5]] = 2 * losses[[3, 5]]
    np.testing.assert_array_equal(recorder.trajectory().double, expected)


def test_the_run_is_the_one_without_metrics_to_the_bit_whatever_they_do_to_the_model(tmp_path):
    """One that switches modes, moves running statistics, draws random numbers and would fill gradients."""

    def careless(model):
        model.train()
        first = model(torch.randn(32, 3)).mean()
        model.eval()
        return first + model(torch.randn(4, 3)).mean()

    states = []
    for metrics in ({}, {"careless": careless}):
        model = network()
        train(model, 5, tw.Recorder(tmp_path / f"{len(metrics)}.zarr", metrics=metrics))
        assert all(module.training for module in model.modules())
        states.append((model.state_dict(), torch.rand(3)))
    assert all(torch.equal(value, states[1][0][name]) for name, value in states[0][0].items())
    assert torch.equal(states[0][1], states[1][1])


def test_modes_are_put_back_module_by_module_even_after_an_error(tmp_path):
    model = network()
    model[1].eval()

    def fails(model):
        model.train()
        raise RuntimeError("mine")

    recorder = tw.Recorder(tmp_path / "s.zarr", metrics={"fails": fails})
    with pytest.raises(RuntimeError, match="mine"):
        recorder.attach(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert [module.training for module in model] == [True, False, True, True]
    assert not (tmp_path / "s.zarr" / "trajectory").exists(), "nothing was recorded, so nothing is in the way"


def test_what_is_told_is_a_copy_of_its_moment(tmp_path):
    model = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    recorder = tw.Recorder(tmp_path / "s.zarr").attach(model, optimizer)
    with torch.no_grad():
        model.weight.fill_(5.0)
        recorder.log(weight_then=model.weight)
        model.weight.fill_(7.0)
    optimizer.step()
    recorder.close()
    np.testing.assert_array_equal(recorder.trajectory().weight_then, [np.nan, 5.0])


@pytest.mark.parametrize("name", ["theta", "loss", "step", "learning_rate", "val/acc", ".hidden", ""])
def test_names_that_a_trajectory_cannot_hold_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="metric"):
        tw.Recorder(tmp_path / "s.zarr", metrics={name: size})


def test_more_or_less_than_one_number_is_refused(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for value, match in ((torch.ones(2), r"`bad` is a tensor of shape \(2,\)"), (None, "`bad` is None")):
        recorder = tw.Recorder(tmp_path / "s.zarr", metrics={"bad": lambda model, value=value: value})
        with pytest.raises(ValueError, match=match):
            recorder.attach(model, optimizer)
    recorder = tw.Recorder(tmp_path / "s.zarr", metrics={"size": size}).attach(model, optimizer)
    with pytest.raises(ValueError, match="`size` is one of the metrics"):
        recorder.log(1.0, size=2.0)
    with pytest.raises(ValueError, match="`loss` is a tensor"):
        recorder.log(torch.ones(3))


@pytest.mark.parametrize("every", [[1, -2], [1.5], ["2"], True, b"12"])
def test_lists_that_are_no_steps_are_refused(tmp_path, every):
    model = network()
    with pytest.raises(ValueError, match="every="):
        tw.Recorder(tmp_path / "s.zarr").attach(model, torch.optim.SGD(model.parameters(), lr=0.1), every=every)


def test_curvature_is_recorded_at_any_steps_too(tmp_path):
    torch.manual_seed(0)
    model, x = nn.Linear(2, 1).double(), torch.randn(20, 2, dtype=torch.float64)
    problem = tw.ModuleProblem(model, (x, torch.zeros(20, 1, dtype=torch.float64)), loss=nn.functional.mse_loss)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with tw.CurvatureRecorder(tmp_path / "s.zarr", problem, k=1).attach(model, optimizer, every=[1, 3]) as recorder:
        for _ in range(5):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    assert recorder.spectrum().step.values.tolist() == [0, 1, 3, 5]
    assert recorder.spectrum().attrs["every"] == "a list of 2 steps"


class Reassigning(nn.Module):
    """Its buffer is another tensor after every call in training."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(3, 1)
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
        return self.net(x - self.mean)


def test_buffers_that_a_metric_exchanges_and_gradients_that_it_drops_are_put_back(tmp_path):
    def careless(model):
        model.zero_grad()
        model.extra = None
        return model(100 * torch.ones(4, 3)).mean()

    states = []
    for metrics in (None, {"careless": careless}):
        model = Reassigning()
        recorder = tw.Recorder(tmp_path / f"{metrics is None}.zarr", metrics=metrics)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
        with recorder.attach(model, optimizer):
            for _ in range(3):  # gradients add up
                model(x).square().mean().backward()
                optimizer.step()
        states.append(model.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name])


@torch.no_grad()
def scaled(model):
    for parameter in model.parameters():
        parameter.data *= 1.5
    return 1.0


@torch.no_grad()
def swapped(model):
    """As an average of weights is measured: put in, and taken out again."""
    kept = [parameter.clone() for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.zero_()
    size = sum(parameter.square().sum() for parameter in model.parameters())
    for parameter, value in zip(model.parameters(), kept, strict=True):
        parameter.copy_(value)
    return size


def test_a_metric_may_exchange_weights_but_must_put_them_back(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recorder = tw.Recorder(tmp_path / "s.zarr", metrics={"size": size, "scaled": scaled})
    with pytest.raises(RuntimeError, match="`scaled` changed the weights of Sequential"):
        recorder.attach(model, optimizer)
    with tw.Recorder(tmp_path / "t.zarr", metrics={"swapped": swapped}).attach(model, optimizer) as recorder:
        optimizer.step()
    np.testing.assert_array_equal(recorder.trajectory().swapped, [0.0, 0.0])
    with pytest.raises(ValueError, match=r"'zarr\.json' is no name"):
        tw.Recorder(tmp_path / "u.zarr", metrics={"zarr.json": size})
