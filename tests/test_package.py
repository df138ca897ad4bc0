"""The package as a whole: its public names, its README, and what it may import."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import thalweg as tw

ROOT = Path(__file__).parent.parent
NAMES = {
    *("Box", "FunctionProblem", "Line", "ModuleProblem", "Plane", "Problem", "Recorder", "Segment"),
    *("accuracy", "below", "coordinate_plane", "critical_points", "descend", "describe_cost", "figures"),
    *("filter_normalize", "gradient_field", "grid_starts", "landscapes", "layer_normalize"),
    *("linear_approximation", "load", "load_weights", "loss_surface", "model_fit", "open_study"),
    *("outcomes", "plane_through", "principal_components", "principal_plane", "project_trajectory"),
    *("random_box", "random_direction", "random_directions", "random_line", "random_plane"),
    *("random_starts", "read_netcdf", "risk", "save", "to_netcdf", "to_vtk"),
    *("CurvatureRecorder", "adam_preconditioner", "curvature_map", "diagonal", "eigen_line", "eigen_plane"),
    *("num_outliers", "overlap", "sharpness", "spectral_density", "stability_threshold", "top_eigenpairs"),
    *("trace", "track_spectrum", "track_tangent", "worst_case_sharpness"),
    *("Alignment", "PermutationSpec", "match_weights", "permutation_spec"),
    *("BezierCurve", "Connection", "PolygonalChain", "connect", "course", "curve_plane", "loss_along"),
    *("loss_barrier", "read_curve"),
    *("empirical_ntk", "kernel_alignment", "laziness", "linearize", "principal_features_at", "LinearizedProblem"),
    *("average_weights", "components_by_length", "greedy_soup", "motion", "moving_average", "random_walk"),
    *("read_trajectory", "soup"),
    *("compare_initializations", "elbows", "extrapolation", "gradient_features", "gradient_statistics", "initialize"),
    *("GradientError", "check_gradient", "computational_graph", "graph_of", "path_gradients"),
}


def test_the_public_names_are_these():
    submodules = {"apps", "cli", "export", "linalg", "measures", "problem", "record", "schema", "store"}
    public = {name for name in dir(tw) if not name.startswith("_")} - submodules - {"subspaces", "weights"}
    assert public == NAMES


@pytest.mark.parametrize("name", sorted(NAMES - {"figures", "landscapes"}))
def test_every_public_name_has_a_docstring(name):
    assert (getattr(tw, name).__doc__ or "").strip()


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert blocks
    namespace: dict = {}
    for block in blocks:
        exec(compile(ast.parse(block), "README.md", "exec"), namespace)


WITHOUT_EXTRAS = """
import sys

ABSENT = ("kaleido", "h5netcdf", "h5py", "meshio", "playwright", "hypothesis", "pytest", "lightning", "transformers")
ABSENT += ("pytorch_lightning", "accelerate", "wandb", "tensorboard", "mlflow", "sqlalchemy", "alembic")

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import thalweg as tw
from thalweg.apps.report import report

problem = tw.FunctionProblem(lambda x, y: (1 - x * y) ** 2)
surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=2.0, points=11, store="study.zarr")
tw.figures.save(tw.figures.surface(surface, backend="matplotlib"), "surface.pdf")
print(report("study.zarr"))
for write, file in ((tw.to_netcdf, "s.nc"), (tw.to_vtk, "s.vtu")):
    try:
        write(surface, file)
    except ModuleNotFoundError as error:
        print(error)
"""


@pytest.mark.slow
def test_the_core_works_without_any_optional_library(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('pip install "thalweg[export]"') == 2
    assert (tmp_path / "study.html").exists()
