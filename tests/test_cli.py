"""The command line, as a user types it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from safetensors.torch import save_file
from typer.testing import CliRunner

import thalweg as tw
from thalweg.apps.target import make_problem
from thalweg.cli import app

CODE = """
import time
import torch, torch.nn.functional as F
import thalweg as tw
from thalweg.apps.target import make_problem

def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2)).eval()

def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(40, 3, generator=generator), torch.randint(2, (40,), generator=generator)

def make_problem():
    return tw.ModuleProblem(model(), data(), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, compile=False)

def make_buggy():
    return tw.ModuleProblem(model(), data(), los=F.cross_entropy)

def normalized():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.ReLU(), torch.nn.Linear(5, 2))

def make_normalized():
    return tw.ModuleProblem(normalized().eval(), data(), loss=F.cross_entropy, compile=False)

def slow_step(model, batch):
    time.sleep(0.02)
    return F.cross_entropy(model(batch[0]), batch[1], reduction="none")

def make_slow_problem():
    return tw.ModuleProblem(model(), data(), step=slow_step, compile=False)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


def test_a_surface_from_the_command_line_is_the_surface_from_python(here):
    run("surface", "mine.py:make_problem", "--points", "7x5", "--extent", "-1,1x-0.5,1", "--seed", "3")
    surface = tw.load("study.zarr", "surface/random")
    sys.path.insert(0, str(here))
    import mine

    problem = mine.make_problem()
    plane = tw.random_plane(problem, seed=3)
    expected = tw.loss_surface(problem, plane, alpha=np.linspace(-1, 1, 7), beta=np.linspace(-0.5, 1, 5))
    np.testing.assert_allclose(surface.loss, expected.loss, rtol=1e-6)
    np.testing.assert_array_equal(surface.accuracy, expected.accuracy)


def test_a_checkpoint_is_where_the_surface_stands(here):
    sys.path.insert(0, str(here))
    import mine

    other = mine.model()
    with torch.no_grad():
        other[0].weight.mul_(2.0)
    save_file(other.state_dict(), "other.safetensors")
    run("surface", "mine.py:make_problem", "--checkpoint", "other.safetensors", "--points", "3", "--extent", "1")
    x, y = mine.data()
    expected = torch.nn.functional.cross_entropy(other(x), y).item()
    assert float(tw.load("study.zarr").loss[1, 1]) == pytest.approx(expected, rel=1e-6)


def test_a_segment_runs_between_two_checkpoints(here):
    sys.path.insert(0, str(here))
    import mine

    a, b = mine.model(), mine.model()
    with torch.no_grad():
        b[2].weight.neg_()
    save_file(a.state_dict(), "a.safetensors")
    torch.save({"state_dict": b.state_dict()}, "b.pt")
    words = ("surface", "mine.py:make_problem", "--checkpoint", "a.safetensors", "--along", "segment", "--to", "b.pt")
    run(*words, "--points", "5")
    x, y = mine.data()
    line = tw.load("study.zarr", "surface/segment")
    ends = [torch.nn.functional.cross_entropy(m(x), y).item() for m in (a, b)]
    np.testing.assert_allclose(line.loss[[0, -1]], ends, rtol=1e-6)


def test_the_other_ends_batch_norm_statistics_are_not_lost_in_silence(here):
    """`b` has other running statistics than the model: on the line between them neither's are right."""
    sys.path.insert(0, str(here))
    import mine

    a, b = mine.normalized(), mine.normalized()
    for _ in range(5):
        b(mine.data()[0] * 3 + 1)
    save_file(a.state_dict(), "a.safetensors")
    with torch.no_grad():
        b[3].weight.neg_()
    save_file(b.state_dict(), "b.safetensors")
    words = ("surface", "mine.py:make_normalized", "--checkpoint", "a.safetensors", "--along", "segment")
    words += ("--to", "b.safetensors", "--points", "5")
    assert "batch-norm statistics belong to it" in refused(*words)
    run(*words, "--batch-norm", "recalibrate")
    line = tw.load("study.zarr", "surface/segment")
    x, y = mine.data()
    b[1].momentum = 1.0  # one batch of everything: its statistics, as recalibration finds them
    b.train()(x)
    expected = torch.nn.functional.cross_entropy(b.eval()(x), y).item()
    assert float(line.loss[-1]) == pytest.approx(expected, rel=1e-5)


def test_a_line_a_plane_and_a_box_live_in_one_study(here):
    for along in ("line", "plane", "box"):
        run("surface", "mine.py:make_problem", "--along", along, "--points", "3", "--extent", "1")
    assert set(tw.open_study("study.zarr")["surface"].children) == {"random", "random-line", "random-box"}
    assert "complete already" in run("surface", "mine.py:make_problem", "--points", "3", "--extent", "1")


@pytest.mark.usefixtures("here")
def test_a_path_never_replaces_the_surface_that_it_belongs_to():
    sys.path.insert(0, str(Path.cwd()))
    from mine import data, model

    trained = model()
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.5)
    with tw.Recorder("study.zarr").attach(trained, optimizer):
        for _ in range(6):
            optimizer.zero_grad()
            x, y = data()
            torch.nn.functional.cross_entropy(trained(x), y).backward()
            optimizer.step()
    for _ in range(2):
        run("surface", "mine.py:make_problem", "--along", "path", "--points", "5", "--name", "mine")
        assert tw.load("study.zarr", "mine").attrs["kind"] == "surface"
        assert tw.load("study.zarr", "path/mine").attrs["kind"] == "path"


def test_show_draws_and_export_writes(here):
    run("surface", "mine.py:make_problem", "--points", "5x4", "--extent", "1", "--html", "first.html")
    assert Path("first.html").stat().st_size > 1e6
    assert "surface/random" in run("show", "study.zarr")
    assert Path("study.html").exists()
    for name in ("s.nc", "s.vtu", "s.html", "s.pdf", "s.png"):
        run("export", "study.zarr", "surface/random", name)
        assert (here / name).exists()
    stored = tw.load("study.zarr", "surface/random")
    np.testing.assert_array_equal(xr.load_dataset("s.nc").loss, stored.loss)


def test_export_draws_descents_and_critical_points(here):
    problem = tw.FunctionProblem(lambda x, y: (x**2 - 1) ** 2 + y**2)
    paths = tw.descend(problem, tw.grid_starts(1.5, 3), lambda w: torch.optim.SGD(w, lr=0.05), 20)
    tw.save(tw.outcomes(paths, problem), "study.zarr", "descent")
    tw.save(tw.critical_points(problem, tw.coordinate_plane(problem), extent=2.0), "study.zarr", "critical")
    for name in ("descent", "critical"):
        for suffix in ("png", "html"):
            run("export", "study.zarr", name, f"{name}.{suffix}")
            assert (here / f"{name}.{suffix}").stat().st_size > 1e4


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("surface", "mine.py:nothing"), "has no `nothing`"),
        (("surface", "mine.py:make_problem", "--checkpoint", "none.pt"), "There is no checkpoint none.pt"),
        (("surface", "mine.py:make_problem", "--points", "many"), "--points 'many'"),
        (("surface", "mine.py:make_problem", "--extent", "far"), "--extent 'far'"),
        (("surface", "mine.py:make_problem", "--along", "segment"), "takes one --to, the other end; 0 came"),
        (("surface", "mine.py:make_problem", "--adaptive", "7"), "adaptive=7"),
        (("surface", "mine.py:make_buggy"), "unexpected keyword argument 'los' (TypeError in mine.py, line"),
        (("surface", "mine.py:make_problem", "--threads", "0"), "greater than or equal to 1"),
        (("surface", "mine.py:make_problem", "--store", "/proc/no/x.zarr"), "No such file or directory"),
        (("demo", "--lr", "0.1"), "--lr 0.1 came without --landscape"),
        (("demo", "--steps", "5"), "--steps 5 came without --landscape"),
        (("demo", "--landscape", "l0", "--lr", "-1"), "The learning rate is -1, and a positive number is needed"),
        (("demo", "--landscape", "l0", "--steps", "0"), "The number of steps is 0"),
        (("demo", "--landscape", "nowhere"), "There is no landscape 'nowhere'."),
        (("demo", "--landscape", "l0", "--out", "mine.py"), "mine.py is a file, and a folder is needed"),
        (("demo", "--out", "mine.py"), "mine.py is a file, and a folder is needed"),
        (("show", "no.zarr"), "There is no study no.zarr"),
        (("export", "mine.py", "x", "x.nc"), "mine.py"),
    ],
)
def test_a_command_that_cannot_work_says_why_in_a_line(words, said):
    before = sorted(Path.cwd().iterdir())
    assert said in refused(*words)
    left = [path for path in Path.cwd().iterdir() if path not in before and path.name != "__pycache__"]
    assert left == [] or words[0] != "demo"


@pytest.mark.usefixtures("here")
def test_an_error_of_a_private_class_is_told_by_a_public_name():
    text = "class _Mine(ValueError):\n    pass\n\ndef make_problem():\n    raise _Mine('no')\n"
    Path("private.py").write_text(text)
    assert "no (ValueError in private.py, line 5" in refused("surface", "private.py:make_problem")


@pytest.mark.usefixtures("here")
def test_the_demo_of_a_landscape_goes_into_a_folder_of_its_name():
    output = run("demo", "--landscape", "L0", "--steps", "20", "--lr", "0.2")
    assert Path("thalweg-demo-l0/report.html").exists()
    assert "Critical points: 1 minimum" in output
    descent = tw.load("thalweg-demo-l0/study.zarr", "descent/sgd")
    assert descent.attrs["steps"] == 20
    assert set(descent.learning_rate.values) == {0.2}
    assert "already holds" in refused("demo", "--landscape", "l0")


@pytest.mark.usefixtures("here")
def test_a_store_that_holds_another_grid_is_refused_and_kept():
    run("surface", "mine.py:make_problem", "--points", "5", "--extent", "1")
    before = tw.load("study.zarr")
    assert "holds another computation" in refused("surface", "mine.py:make_problem", "--points", "7", "--extent", "1")
    xr.testing.assert_identical(tw.load("study.zarr"), before)


def test_help_reads_like_a_manual():
    text = run("--help")
    assert all(verb in text for verb in ("demo", "surface", "show", "export"))
    assert "resumes" in " ".join(run("surface", "--help").split())


@pytest.mark.slow
def test_killed_and_given_again_the_command_ends_in_the_same_bits(here):
    """`kill -9` in the middle, twice; then the same words again; against one run that nobody killed."""
    words = [sys.executable, "-m", "thalweg.cli", "surface", "mine.py:make_slow_problem", "--points", "31x17"]
    words += ["--extent", "auto", "--threads", "1", "--store"]
    subprocess.run([*words, "whole.zarr"], check=True, capture_output=True)
    for _ in range(2):
        process = subprocess.Popen([*words, "killed.zarr"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_for_blocks(here / "killed.zarr" / "surface" / "random" / "status", process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not tw.load("killed.zarr").attrs["complete"]
    subprocess.run([*words, "killed.zarr"], check=True, capture_output=True)
    whole, killed = tw.load("whole.zarr"), tw.load("killed.zarr")
    assert killed.attrs["complete"]
    for name in ("alpha", "beta", "loss"):
        assert whole[name].values.tobytes() == killed[name].values.tobytes()


def _wait_for_blocks(folder: Path, process: subprocess.Popen) -> None:
    """Until one more block is on disk than when we came."""
    known = len(list(folder.glob("c/*/*")))
    for _ in range(600):
        if len(list(folder.glob("c/*/*"))) > known or process.poll() is not None:
            return
        time.sleep(0.05)
    raise AssertionError("no block was written within 30 s")


def test_spectrum_measures_tells_and_draws(here):
    said = run("spectrum", "mine.py:make_problem", "-k", "3", "--density", "--probes", "3", "--html", "page.html")
    assert "3 largest eigenvalues of the Hessian" in said
    assert "trace" in said
    pairs, density = tw.load("study.zarr", "spectrum/hessian"), tw.load("study.zarr", "density/hessian")
    assert pairs.converged.values.all()
    assert density.attrs["num_probes"] == 3
    page = Path("page.html").read_text()
    assert "The largest curvatures" in page
    assert "All curvatures" in page
    block = run("spectrum", "mine.py:make_problem", "-k", "1", "--matrix", "ggn", "--parameters", "*.bias")
    assert "the Gauss-Newton matrix of" in block
    run("surface", "mine.py:make_problem", "--along", "eigen", "--points", "5", "--extent", "0.1")
    assert tw.load("study.zarr", "surface/eigen").sizes == {"alpha": 5, "beta": 5}
    for name in ("spectrum/hessian", "density/hessian"):
        run("export", "study.zarr", name, "picture.png")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-k", "0"), "k=0"),
        (("-k", "100000"), "weights"),
        (("--parameters", "nothing"), "No parameter is called 'nothing'; there are"),
        (("--tol", "0"), "tol"),
    ],
)
def test_spectra_that_cannot_be_measured_leave_nothing_behind(words, said):
    result = CliRunner().invoke(app, ["spectrum", "mine.py:make_problem", *words])
    assert result.exit_code != 0
    assert said in " ".join(result.output.split())
    assert not Path("study.zarr").exists()


@pytest.mark.usefixtures("here")
def test_a_spectrum_is_not_replaced_unasked():
    run("spectrum", "mine.py:make_problem", "-k", "1")
    result = CliRunner().invoke(app, ["spectrum", "mine.py:make_problem", "-k", "2"])
    assert result.exit_code != 0
    assert "already holds spectrum/hessian" in " ".join(result.output.split())
    assert tw.load("study.zarr").sizes["pair"] == 1
    run("spectrum", "mine.py:make_problem", "-k", "2", "--overwrite")
    assert tw.load("study.zarr").sizes["pair"] == 2


@pytest.fixture
def two(here):
    """Two checkpoints of the network in `mine.py`, trained a little from different seeds."""
    problem = make_problem("mine.py:make_problem")
    generator = torch.Generator().manual_seed(0)
    files = []
    for name in ("a", "b"):
        theta = problem.theta + 0.3 * torch.randn(problem.num_weights, generator=generator)
        for _ in range(30):
            theta = theta - 0.1 * problem.gradient(theta)
        state = {key: value.clone() for key, value in problem.layout.unflatten(theta).items()}
        files.append(f"{name}.safetensors")
        save_file(state, files[-1])
    return files


def test_connect_learns_measures_and_draws_a_valley(two):
    words = ("connect", "mine.py:make_problem", *two, "--steps", "20", "--points", "7", "--plane-points", "5")
    said = run(*words, "--html", "page.html")
    assert "On the learned curve the training loss" in said
    names = ("along/bezier/curve", "along/bezier/segment", "barrier/bezier/curve", "course/bezier", "surface/bezier")
    results = {name: tw.load("study.zarr", name) for name in names}
    assert results["along/bezier/curve"].sizes["t"] == 7
    assert results["surface/bezier"].sizes == {"alpha": 5, "beta": 5}
    assert "Between two solutions" in Path("page.html").read_text()
    before = tw.load("study.zarr", "curve/bezier")
    assert "On the learned curve" in run(*words)
    xr.testing.assert_identical(tw.load("study.zarr", "curve/bezier"), before)
    assert "are equal" in refused("connect", "mine.py:make_problem", two[0], two[0])
    aligned = run(*words, "--align", "--name", "aligned", "--curve", "polygonal")
    assert "after their alignment" in aligned
    assert tw.load("study.zarr", "curve/aligned").attrs["curve"] == "polygonal"


def test_a_folder_of_checkpoints_is_seen_as_a_run(here):
    problem = make_problem("mine.py:make_problem")
    theta, folder = problem.theta, here / "run"
    folder.mkdir()
    for k in range(18):
        state = {key: value.clone() for key, value in problem.layout.unflatten(theta).items()}
        save_file(state, folder / f"epoch-{k}.safetensors")
        theta = theta - 0.2 * problem.gradient(theta)
    said = run("trajectory", "mine.py:make_problem", "--checkpoints", "run", "--points", "5", "--html", "page.html")
    assert "18 checkpoints were read" in said
    assert "a random walk's" in said
    for kind in ("surface", "path", "motion", "random_walk", "components_by_length"):
        assert tw.load("study.zarr", f"{kind}/principal").attrs["kind"] == kind
    assert tw.load("study.zarr", "components_by_length/principal").sizes["length"] == 7
    page = Path("page.html").read_text()
    assert "The run beside a random walk" in page
    assert "How the run moved" in page
    assert "no result `nothing`" in refused("trajectory", "mine.py:make_problem", "--run", "nothing")
