"""`thalweg trajectory`, as a user types it."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

import thalweg as tw
from thalweg.cli import app

CODE = """
import torch
import thalweg as tw
from torch import nn

def data():
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(1))
    return 5 * x + 3, (x.sum(1) > 0).long()

def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

def normalized():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))

def make_plain():
    return tw.ModuleProblem(plain(), data(), loss=nn.functional.cross_entropy, compile=False)

def make_normalized():
    return tw.ModuleProblem(normalized(), data(), loss=nn.functional.cross_entropy, compile=False)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    space = {}
    exec(CODE, space)
    return space


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["trajectory", *arguments, "--points", "5"])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def train(mine, network, steps, every=2, folder=None, rate=0.3, **keywords):
    model, (x, y) = mine[network](), mine["data"]()
    if keywords.get("resume"):
        theta = torch.as_tensor(tw.load("study.zarr", "trajectory").theta.values[-1])
        torch.nn.utils.vector_to_parameters(theta, model.parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    with tw.Recorder("study.zarr", **keywords).attach(model, optimizer, every) as recorder:
        for step in range(steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            recorder.log(loss)
            optimizer.step()
            if folder is not None:
                folder.mkdir(exist_ok=True)
                torch.save(model.state_dict(), folder / f"step-{step + 1}.pt")
    return model, float(F.cross_entropy(model(x), y).detach())


def test_networks_with_batch_normalisation_are_measured_with_statistics_of_each_point(mine):
    """The statistics of the model that the function makes are those of no network on the path."""
    _, last = train(mine, "normalized", 20)
    told = run("mine.py:make_normalized")
    assert "statistics are computed anew at every point" in told
    path = tw.load("study.zarr", "path/principal")
    assert path.attrs["batch_norm"] == "recalibrate"
    assert float(path.loss[-1]) == pytest.approx(last, rel=5e-2)
    told = run("mine.py:make_normalized", "--batch-norm", "running", "--name", "stored")
    assert "stored in the model" in told
    assert float(tw.load("study.zarr", "path/stored").loss[-1]) != pytest.approx(last, rel=5e-2)


def test_overwrite_replaces_the_surface_of_a_run_that_has_grown(mine):
    train(mine, "plain", 8)
    assert "Batch norm" not in run("mine.py:make_plain")
    before = tw.load("study.zarr", "surface/principal")
    train(mine, "plain", 8, resume=True)
    assert "--overwrite" in run("mine.py:make_plain", code=2)
    run("mine.py:make_plain", "--overwrite")
    assert not np.array_equal(tw.load("study.zarr", "surface/principal").loss, before.loss)
    assert tw.load("study.zarr", "path/principal").sizes["step"] == 9


def test_an_imported_run_is_replaced_with_overwrite_alone(mine, tmp_path):
    train(mine, "plain", 4, folder=tmp_path / "run", name="own")
    told = run("mine.py:make_plain", "--checkpoints", "run")
    assert "4 checkpoints were read" in told
    (tmp_path / "run/step-4.pt").unlink()
    assert "add --overwrite" in run("mine.py:make_plain", "--checkpoints", "run", code=2)
    run("mine.py:make_plain", "--checkpoints", "run", "--overwrite")
    assert tw.load("study.zarr", "trajectory").step.values.tolist() == [1, 2, 3]
    surface = "surface/principal"
    assert "no run" in run("mine.py:make_plain", "--checkpoints", "run", "--overwrite", "--run", surface, code=2)
    assert tw.load("study.zarr", surface).attrs["kind"] == "surface"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["mine.py:make_plain", "--name", "a/../b"], "no name for a result"),
        (["mine.py:make_plain", "--pattern", "step-[12].pt"], "has 2 checkpoints, and a plane needs 3"),
        (["mine.py:make_normalized"], "does not fit"),
        (["mine.py:make_plain", "--name", "a/b"], "is a result, so"),
    ],
    ids=["name", "rows", "network", "nested"],
)
def test_nothing_is_written_of_a_run_that_cannot_be_measured(mine, tmp_path, arguments, match):
    train(mine, "plain", 4, folder=tmp_path / "run", name="surface/a")
    assert match in run(*arguments, "--checkpoints", "run", code=2)
    assert tw.store.results("study.zarr") == ["surface/a"]


def test_a_recorded_run_of_another_network_or_kind_is_refused_before_anything_is_measured(mine):
    train(mine, "plain", 4)
    assert "26 weights, the problem 34" in run("mine.py:make_normalized", code=2)
    tw.save(tw.motion(tw.load("study.zarr")), "study.zarr", "motion/other")
    assert "result of kind 'motion'" in run("mine.py:make_plain", "--run", "motion/other", code=2)
    assert tw.store.results("study.zarr") == ["motion/other", "trajectory"]
    for measure in (tw.principal_components, tw.principal_plane):
        with pytest.raises(ValueError, match="result of kind 'motion'"):
            measure(tw.load("study.zarr", "motion/other"))
