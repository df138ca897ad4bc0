"""`thalweg graph`, as a user types it."""

import xml.etree.ElementTree as ET

import pytest
from typer.testing import CliRunner

import thalweg as tw
from thalweg.cli import app

CODE = """
import torch
import thalweg as tw
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.head = nn.Linear(4, 2)

    def forward(self, x, scale=None):
        y = self.head(self.body(x))
        return y if scale is None else y * scale


class Branch(nn.Module):
    def forward(self, x):
        return x.sin() if x.sum() > 0 else x.cos()


def net():
    return Net(), torch.randn(5, 3)

def two():
    return Net(), (torch.randn(5, 3), torch.ones(2))

def named():
    return Net(), {"x": torch.randn(5, 3), "scale": torch.ones(2)}

def branch():
    return Branch(), torch.ones(3)

def on(device="cpu"):
    return Net().to(device), torch.randn(5, 3, device=device)

def problem():
    x, y = torch.randn(30, 3), torch.randint(2, (30,))
    return tw.ModuleProblem(Net(), (x, y), loss=nn.functional.cross_entropy, compile=False)

def alone():
    return Net()

def number():
    return 3
"""


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments, code=0):
    result = CliRunner().invoke(app, ["graph", *arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_a_model_with_inputs_becomes_a_page_of_the_targets_name(mine):
    said = run("mine.py:net")
    assert "Net: 3 operations" in said
    assert "4 calls of modules" in said
    assert "26 parameters" in said
    page = (mine / "net.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "body.0.weight" in page


@pytest.mark.parametrize(("target", "leaves"), [("two", ["x", "scale"]), ("named", ["x", "scale"]), ("on", ["x"])])
def test_inputs_by_place_and_by_name(target, leaves):
    run(f"mine.py:{target}", "--store", "study.zarr", *(("--device", "cpu") if target == "on" else ()))
    assert tw.load("study.zarr", "graph").node.values[: len(leaves)].tolist() == leaves


def test_the_loss_of_a_problem(mine):
    said = run("mine.py:problem", "--svg", "loss.svg", "--view", "backward")
    assert "Loss of Net" in said
    assert "AddmmBackward0" in (mine / "loss.svg").read_text()


def test_open_modules_and_svg(mine):
    run("mine.py:net", "--svg", "folded.svg", "--open", "none")
    run("mine.py:net", "--svg", "body.svg", "--open", "body")
    run("mine.py:net", "--svg", "all.svg", "--open", "all", "--html", "page.html")

    def kinds(file):
        return [g.get("class") for g in ET.parse(file).getroot().iter("{http://www.w3.org/2000/svg}g")]

    count = {
        file: (kinds(file).count("call"), kinds(file).count("open")) for file in ("folded.svg", "body.svg", "all.svg")
    }
    assert count == {"folded.svg": (2, 0), "body.svg": (3, 1), "all.svg": (0, 4)}
    assert (mine / "page.html").exists()
    assert not (mine / "net.html").exists()
    assert "There is no module 'tail'" in run("mine.py:net", "--open", "tail", code=2)


def test_a_study_keeps_the_graph_and_is_not_overwritten(mine):
    assert "study.zarr" in run("mine.py:net", "--store", "study.zarr", "--name", "graph/net")
    ds = tw.load("study.zarr", "graph/net")
    assert ds.attrs["kind"] == "graph"
    assert ds.attrs["engine"] == "export"
    assert not (mine / "net.html").exists()
    assert "--overwrite" in run("mine.py:net", "--store", "study.zarr", "--name", "graph/net", code=2)
    run("mine.py:net", "--store", "study.zarr", "--name", "graph/net", "--overwrite", "--engine", "run")
    assert tw.load("study.zarr", "graph/net").attrs["engine"] == "run"


def test_code_that_cannot_be_exported_is_run_and_that_is_said():
    said = run("mine.py:branch")
    assert "torch.export cannot take it" in said
    assert "the code was run and watched" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mine.py:Net"], "is a class; write a function that returns `Net(...), inputs`"),
        (["mine.py:alone"], "returned a Net without inputs"),
        (["mine.py:number"], "returned a int; it must return a model and example inputs"),
        (["mine.py:nothing"], "nothing"),
        (["mine.py:net", "--device", "cpu"], "takes no device"),
        (["mine.py:net", "--engine", "draw"], "Unknown engine 'draw'"),
        (["mine.py:branch", "--engine", "export"], "cannot take this module"),
        (["mine.py:net", "--view", "sideways"], "no view 'sideways'"),
        (["mine.py:net", "--svg", "graph.png"], ".html or .svg"),
        (["mine.py:net", "--svg", "nowhere/graph.svg"], "no folder"),
    ],
)
def test_refusals_say_what_to_do(arguments, says):
    said = run(*arguments, code=2)
    assert says in said.replace("│ ", "").replace(" │", "")
    assert "Traceback" not in said
