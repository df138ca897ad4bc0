"""The package as a whole: its public names, its README, and what it may import."""

import ast
import re
from pathlib import Path

import pytest

import thalweg as tw

ROOT = Path(__file__).parent.parent
NAMES = {
    *("Box", "FunctionProblem", "Line", "ModuleProblem", "Plane", "Problem", "Recorder", "Segment", "accuracy"),
    *("coordinate_plane", "describe_cost", "figures", "filter_normalize", "layer_normalize", "load", "load_weights"),
    *("loss_surface", "open_study", "plane_through", "principal_components", "principal_plane", "project_trajectory"),
    *("random_box", "random_direction", "random_directions", "random_line", "random_plane", "save", "to_netcdf"),
    "to_vtk",
}


def test_the_public_names_are_these():
    submodules = {"apps", "cli", "export", "landscapes", "linalg", "measures", "problem", "record", "schema", "store"}
    public = {name for name in dir(tw) if not name.startswith("_")} - submodules - {"subspaces", "weights"}
    assert public == NAMES


@pytest.mark.parametrize("name", sorted(NAMES - {"figures"}))
def test_every_public_name_has_a_docstring(name):
    assert (getattr(tw, name).__doc__ or "").strip()


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert blocks
    namespace: dict = {}
    for block in blocks:
        exec(compile(ast.parse(block), "README.md", "exec"), namespace)
