"""`thalweg tangent`, as a user types it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import thalweg as tw
from thalweg.cli import app

CODE = """
import torch
import thalweg as tw
from torch import nn

def data(seed):
    x = torch.randn(30, 3, generator=torch.Generator().manual_seed(seed))
    return x, (x.sum(1) > 0).long()

def make_problem():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    return tw.ModuleProblem(model, data(1), loss=nn.functional.cross_entropy, test_data=data(2), compile=False)

def make_landscape():
    return tw.FunctionProblem(lambda x, y: x * y)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    space = {}
    exec(CODE, space)
    return space


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["tangent", *arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def by_hand(problem, x):
    """The Jacobian, one backward pass for each output."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    torch.nn.utils.vector_to_parameters(problem.theta, model.parameters())
    rows = []
    for output in model(x).flatten():
        found = torch.autograd.grad(output, list(model.parameters()), retain_graph=True)
        rows.append(torch.cat([gradient.flatten() for gradient in found]))
    return torch.stack(rows).numpy()


def test_the_tangent_its_kernel_and_gradients_are_those_of_the_problem(mine):
    said = run("mine.py:make_problem", "--kernel", "7", "--html", "page.html")
    jacobian = by_hand(mine["make_problem"](), mine["data"](1)[0])
    tangent, kernel = (tw.load("study.zarr", f"{kind}/here") for kind in ("tangent", "kernel"))
    expected = np.linalg.svd(jacobian, compute_uv=False)
    assert np.allclose(tangent.singular_value, expected[: tangent.sizes["value"]], rtol=1e-4)
    rows = jacobian[:14].reshape(7, 2, -1)
    assert np.allclose(kernel.kernel, np.einsum("iaw,jaw->ij", rows, rows), rtol=1e-4, atol=1e-5)
    assert kernel.label.values.tolist() == mine["data"](1)[1][:7].tolist()
    assert tw.load("study.zarr", "gradients/here").sizes["example"] == 30
    assert "rank" in said
    page = Path("page.html").read_text()
    assert all(f'id="{kind}-here"' in page for kind in ("tangent", "kernel", "gradients"))


def test_other_inputs_one_output_and_fewer_values(mine):
    settings = ["--inputs", "test", "--outputs", "1", "-k", "3", "--kernel", "0", "--no-gradients"]
    run("mine.py:make_problem", *settings)
    assert tw.store.results("study.zarr") == ["tangent/here"]
    tangent = tw.load("study.zarr", "tangent/here")
    jacobian = by_hand(mine["make_problem"](), mine["data"](2)[0])[1::2]
    assert np.allclose(tangent.singular_value, np.linalg.svd(jacobian, compute_uv=False)[:3], rtol=1e-4)


def test_a_recorded_run_and_initialisations(mine):
    problem = mine["make_problem"]()
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    torch.nn.utils.vector_to_parameters(problem.theta, model.parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    x, y = mine["data"](1)
    with tw.Recorder("study.zarr").attach(model, optimizer, 1) as recorder:
        for _ in range(6):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            recorder.log(loss)
            optimizer.step()
    asked = ["--run", "trajectory", "--every", "2", "--scheme", "he_normal", "--scheme", "uniform(9)", "--steps", "5"]
    said = run("mine.py:make_problem", *asked)
    path = tw.load("study.zarr", "tangent_path/here")
    assert path.step.values.tolist() == [0, 2, 4, 6]
    assert np.allclose(path.singular_value[0], tw.load("study.zarr", "tangent/here").singular_value[:20], rtol=1e-4)
    lazy = tw.load("study.zarr", "lazy/here")
    assert float(lazy.error[0]) == 0 < float(lazy.error[-1])
    assert tw.load("study.zarr", "initializations/here").scheme.values.tolist() == ["he_normal", "uniform(9)"]
    assert "initializations/here" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine.py:make_landscape"], "no outputs"),
        (["mine.py:make_problem", "--outputs", "first"], "expected all, sum, loss, or the number"),
        (["mine.py:make_problem", "--outputs", "2"], "2"),
        (["mine.py:make_problem", "-k", "27"], "27"),
        (["mine.py:make_problem", "--scheme", "hey"], "Unknown scheme"),
        (["mine.py:make_problem", "--run", "nowhere"], "no study"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(mine, arguments, words):
    assert words in run(*arguments, code=2)
    assert not Path("study.zarr").exists() or not tw.store.results("study.zarr")


def test_results_that_are_there_are_not_replaced_unless_asked(mine):
    few = ["mine.py:make_problem", "--kernel", "0", "--no-gradients"]
    run(*few)
    assert "--overwrite" in run(*few, code=2)
    run(*few, "--overwrite")


def test_of_a_run_the_last_step_is_there_and_no_other_result_is_taken_for_one(mine):
    problem = mine["make_problem"]()
    start = problem.theta[None]
    run_of_it = tw.descend(problem, start, lambda w: torch.optim.SGD(w, lr=0.1), steps=3).isel(step=[0, 1, 2, 3])
    tw.store.save(run_of_it, "study.zarr", "mine")
    few = ["mine.py:make_problem", "--kernel", "0", "--no-gradients", "--run"]
    run(*few, "mine", "--every", "2")
    assert tw.load("study.zarr", "tangent_path/here").step.values.tolist() == [0, 2, 3]
    assert "expected a trajectory" in run(*few, "tangent/here", "--name", "other", code=2)
    other = tw.ModuleProblem(torch.nn.Linear(3, 2), mine["data"](1), loss=torch.nn.functional.cross_entropy)
    foreign = tw.descend(other, other.theta[None], lambda w: torch.optim.SGD(w, lr=0.1), steps=3)
    tw.store.save(foreign, "study.zarr", "foreign")
    assert "8 weights" in run(*few, "foreign", "--name", "other", code=2)
    assert not [name for name in tw.store.results("study.zarr") if name.endswith("/other")]
