"""The reference of the Python package: one page for a room or a part of it, from the docstrings.

The order on a page is set here. A public name that is not set anywhere appears under *Further* by itself, so that
nothing can be forgotten.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import thalweg
from building.docstrings import converted
from building.files import write


@dataclass(frozen=True)
class Room:
    """A page: its file, title, words above, names by section (below `thalweg`), and whose further names belong here."""

    page: str
    title: str
    words: str
    sections: dict[str, str]
    takes: tuple[str, ...] = ()
    modules: tuple[str, ...] = field(default=())


ROOMS = (
    Room(
        "problems",
        "Problems: what is looked at",
        "A network with its loss and its data, or a function that is written down, as one function of one weight "
        "vector `theta`.",
        {
            "Networks": "ModuleProblem accuracy load_weights LinearizedProblem",
            "Written landscapes": "FunctionProblem",
            "What all problems have in common": "Problem problem.Measurement",
            "How a problem computes": "problem.Plan problem.Points problem.Diverged problem.fits problem.read_state",
        },
        ("problem",),
    ),
    Room(
        "subspaces",
        "Subspaces: where to look",
        "A map from a few coordinates to weights.",
        {
            "Random directions": "random_line random_plane random_box random_direction random_directions "
            "filter_normalize layer_normalize",
            "Lines, planes, boxes": "Line Plane Box plane_through coordinate_plane",
            "Curves": "Segment PolygonalChain BezierCurve",
            "The same network in another order": "match_weights permutation_spec Alignment PermutationSpec",
            "Starts of descents": "grid_starts random_starts",
        },
        ("subspaces",),
    ),
    Room(
        "surfaces",
        "Surfaces, descents, risk",
        "Values on a grid of a subspace, and what moves on it.",
        {
            "Surfaces": "loss_surface describe_cost gradient_field below critical_points",
            "Descent": "descend outcomes",
            "Risk": "risk",
            "Functions of one variable, and fits": "linear_approximation model_fit",
        },
    ),
    Room(
        "curvature",
        "Curvature",
        "Hessian, Gauss-Newton matrix and Fisher matrices, by their products with vectors.",
        {
            "Spectra": "top_eigenpairs spectral_density num_outliers overlap",
            "Numbers": "trace diagonal sharpness worst_case_sharpness adam_preconditioner measures.WorstCase",
            "Along eigenvectors, over planes, along training": "eigen_line eigen_plane curvature_map track_spectrum "
            "stability_threshold",
        },
    ),
    Room(
        "paths",
        "Training runs and ways between networks",
        "Where training went, and how low the ways between its ends are.",
        {
            "Runs": "principal_plane principal_components project_trajectory motion random_walk components_by_length "
            "read_trajectory",
            "Ways": "connect Connection read_curve loss_along loss_barrier curve_plane course",
            "Averages": "average_weights moving_average soup greedy_soup measures.Soup",
        },
    ),
    Room(
        "tangents",
        "Tangents, initialisations, gradients",
        "The network as a linear model around its weights, and how it begins.",
        {
            "Tangent": "linearize principal_features_at empirical_ntk kernel_alignment laziness track_tangent",
            "Initialisation": "initialize compare_initializations measures.Initialization",
            "Gradients, elbows, extrapolation": "gradient_statistics gradient_features elbows extrapolation",
        },
    ),
    Room(
        "graphs",
        "Graphs and gradients",
        "The computational graph of a network or an expression, and gradients that are checked.",
        {
            "Graphs": "computational_graph graph_of",
            "Gradients": "measures.gradient_check.check_gradient measures.gradient_check.GradientError",
        },
    ),
    Room("measures", "Further measures", "", {}, ("measures",)),
    Room(
        "figures",
        "Figures",
        "",
        {
            "Surfaces": "figures.surface figures.contour figures.profile figures.critical_points",
            "Runs": "figures.path figures.training figures.motion figures.descent figures.random_walk "
            "figures.components_by_length",
            "Curvature": "figures.spectrum figures.density figures.estimate figures.spectrum_path "
            "figures.density_path figures.overlap",
            "Ways": "figures.connection figures.barrier figures.course",
            "Tangents, initialisations, gradients": "figures.tangent figures.kernel figures.lazy "
            "figures.singular_values figures.initializations figures.gradients figures.gradient_cosines "
            "figures.gradient_features figures.elbows figures.extrapolation",
            "Graphs": "figures.graph",
            "Risk, functions, fits": "figures.risk figures.linear_approximation figures.fit",
            "Any result, films, files": "figures.picture figures.animate figures.save",
        },
        ("figures",),
        ("figures",),
    ),
    Room(
        "landscapes",
        "Landscapes and small problems",
        "",
        {
            "By name": "landscapes.landscape landscapes.names landscapes.Landscape landscapes.Branch "
            "landscapes.CriticalPoint",
        },
        ("landscapes",),
        ("landscapes",),
    ),
    Room("linalg", "Numerics", "", {}, ("linalg",), ("linalg",)),
    Room(
        "record",
        "Recording",
        "A run written to disk while it trains. How to use it: {doc}`/howto/trainers` and {doc}`/howto/loggers`.",
        {
            "Recorders": "Recorder CurvatureRecorder",
            "Lightning": "record.lightning.TrajectoryCallback record.lightning.RecorderCallback",
            "Hugging Face": "record.huggingface.TrajectoryCallback record.huggingface.RecorderCallback",
            "Loggers": "record.loggers.TensorBoardSink record.loggers.WandbSink record.loggers.MlflowSink "
            "record.loggers.MetricSink record.loggers.log_dataset",
        },
        ("record",),
    ),
    Room(
        "store",
        "Studies and files",
        "A study is a zarr store that holds several results. What the results hold: {doc}`/reference/kinds`.",
        {
            "Studies": "save load open_study store.results",
            "Other formats": "to_netcdf read_netcdf to_vtk",
            "The contract of datasets": "schema.check schema.values schema.coordinates schema.at_model "
            "schema.value_name schema.SchemaError",
        },
        ("store", "export", "schema"),
    ),
)


def listed() -> set[str]:
    """All names that have a place, as they are written in `ROOMS`."""
    return {name for room in ROOMS for names in room.sections.values() for name in names.split()}


def further(room: Room) -> list[str]:
    """Public names of the room's modules that have no place of their own."""
    taken, found = {id(thing(name)) for name in listed()}, []
    for part in room.takes:
        module = import_module(f"thalweg.{part}")
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if id(value) not in taken and not isinstance(value, ModuleType):
                found.append(name if getattr(thalweg, name, None) is value else f"{part}.{name}")
    return found


def thing(name: str) -> Any:
    """What a name below `thalweg` stands for."""
    inner, _, last = name.rpartition(".")
    return getattr(import_module(f"thalweg.{inner}" if inner else "thalweg"), last)


def shortest(name: str) -> str:
    """The name at the top of the package, where it is public there."""
    last = name.rpartition(".")[2]
    return last if last in thalweg.__all__ and getattr(thalweg, last) is thing(name) else name


def pages() -> dict[str, str]:
    """Text of each page by its file's stem; a room without any name has none."""
    made = {room.page: _page(room) for room in ROOMS if room.sections or further(room)}
    known = {shortest(name) for name in listed()} | {name for room in ROOMS for name in further(room)}
    left = [n for n in thalweg.__all__ if n not in known and not isinstance(getattr(thalweg, n), ModuleType)]
    if left:
        made["further"] = _page(Room("further", "Further", "", {"More": " ".join(left)}))
    return made


def _page(room: Room) -> str:
    parts = [room.title, "=" * len(room.title), ""]
    if room.words:
        parts += [_roles(room.words), ""]
    for module in room.modules:
        parts += [f".. automodule:: thalweg.{module}", "    :no-members:", ""]
    parts += [".. currentmodule:: thalweg", ""]
    sections = {heading: [shortest(name) for name in names.split()] for heading, names in room.sections.items()}
    if more := further(room):
        sections["Further" if sections else "All"] = more
    for heading, names in sections.items():
        if len(sections) > 1:
            parts += [heading, "-" * len(heading), ""]
        described = [name for name in names if callable(thing(name))]
        parts += [".. autosummary::", "    :nosignatures:", "", *(f"    ~{name}" for name in described), ""]
        parts += list(_entries(names))
    return "\n".join(parts) + "\n"


def _roles(words: str) -> str:
    return words.replace("{doc}", ":doc:")


def _entries(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        value = thing(name)
        if inspect.isclass(value):
            yield f".. autoclass:: thalweg.{name}\n    :members:\n"
        elif inspect.isroutine(value):
            yield f".. autofunction:: thalweg.{name}\n"
        else:
            yield f".. py:data:: {name}\n{_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"    :value: {text}\n" if len(text) < 200 else ""


def _write(app: Any) -> None:
    folder = Path(app.srcdir) / "reference" / "python"
    made = pages()
    for stem, text in made.items():
        write(folder / f"{stem}.rst", text)
    for old in folder.glob("*.rst"):
        if old.stem not in made:
            old.unlink()
    _index(Path(app.srcdir) / "reference", made)


def _index(folder: Path, made: dict[str, str]) -> None:
    entries = "\n".join(f"    python/{stem}" for stem in made)
    text = f""".. _reference:

Reference
=========

Everything public, from the docstrings of the installed version ({converted(thalweg.__version__)}). The usual import is
``import thalweg as tw``.

.. toctree::
    :maxdepth: 1

    commands
    kinds
{entries}
"""
    write(folder / "index.rst", text)


def setup(app: Any) -> None:
    """Before Sphinx looks for pages."""
    app.connect("builder-inited", _write, priority=100)
