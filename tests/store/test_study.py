"""What is saved is what is loaded, nothing else in the study changes, and what cannot be read says why."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import thalweg as tw
from thalweg.schema import SchemaError
from thalweg.store import results, study, tree

SPECIAL = st.floats(allow_nan=True, allow_infinity=True, width=32)
JSON = st.one_of(
    st.text(max_size=5), st.integers(-5, 5), st.booleans(), st.floats(-1, 1), st.lists(st.integers(0, 9), max_size=3)
)


def numbers(draw, shape, dtype="float64"):
    elements = SPECIAL if np.dtype(dtype).kind == "f" else None
    return draw(hnp.arrays(dtype, shape, elements=elements))


@st.composite
def surfaces(draw):
    dims = ("alpha", "beta", "gamma")[: draw(st.integers(1, 3))]
    shape = tuple(draw(st.integers(1, 3)) for _ in dims)
    about = {"role": "value", "metric": "loss", "split": "train", "long_name": "training loss", "units": ""}
    axes = {
        d: np.sort(draw(hnp.arrays("float64", n, elements=st.floats(-9, 9), unique=True)))
        for d, n in zip(dims, shape, strict=True)
    }
    variables = {
        "loss": (dims, numbers(draw, shape, draw(st.sampled_from(["float32", "float64", "int64"]))), about),
        "interpolated": (dims, draw(hnp.arrays(bool, shape)), {"role": "mask"}),
        "losses": ((*dims, "example"), numbers(draw, (*shape, 2)), {"role": "per_example"}),
    }
    more = draw(st.dictionaries(st.sampled_from(["title", "seed", "note"]), JSON, max_size=3))
    return xr.Dataset(variables, axes, {"kind": "surface", "coordinates": list(dims), **more})


@st.composite
def trajectories(draw):
    n, w = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    variables = {
        "theta": (("step", "weight"), numbers(draw, (n, w), draw(st.sampled_from(["float32", "float64"])))),
        "loss": ("step", numbers(draw, n)),
        "learning_rate": ("step", numbers(draw, n)),
    }
    return xr.Dataset(variables, {"step": np.arange(n) * 3}, {"kind": "trajectory", "every": 3})


@pytest.fixture
def surface():
    problem = tw.FunctionProblem(lambda x, y: x**2 + 3 * y)
    return tw.loss_surface(problem, tw.coordinate_plane(problem), extent=1.0, points=(4, 3))


def contents(folder):
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(Path(folder).rglob("*")) if f.is_file()}


@settings(max_examples=40, deadline=None)
@given(dataset=st.one_of(surfaces(), trajectories()))
def test_what_is_saved_is_what_is_loaded(dataset):
    with tempfile.TemporaryDirectory() as folder:
        kept = dataset.copy(deep=True)
        back = tw.load(tw.save(dataset, Path(folder) / "study.zarr"))
        xr.testing.assert_identical(back, kept)
        xr.testing.assert_identical(dataset, kept)
        for name in (*kept.data_vars, *kept.coords):
            assert back[name].dtype == kept[name].dtype


def test_a_study_holds_several_results(surface, tmp_path):
    for name in ("surface/a", "surface/b", "deep/er/c", "plain"):
        tw.save(surface.assign_attrs(name=name), tmp_path / "s.zarr", name)
    assert results(tmp_path / "s.zarr") == ["deep/er/c", "plain", "surface/a", "surface/b"]
    for name in results(tmp_path / "s.zarr"):
        assert tw.load(tmp_path / "s.zarr", name).attrs["name"] == name
    tree = tw.open_study(tmp_path / "s.zarr")
    xr.testing.assert_identical(tree["surface/b"].to_dataset(inherit=False), surface.assign_attrs(name="surface/b"))


def test_a_loaded_result_can_be_cut_and_saved_again(surface, tmp_path):
    tw.save(surface, tmp_path / "a.zarr")
    part = tw.load(tmp_path / "a.zarr").isel(alpha=slice(1, 3))
    xr.testing.assert_identical(tw.load(tw.save(part, tmp_path / "b.zarr")), part)


def test_a_result_computed_in_one_store_can_be_saved_in_another_and_the_same_request_is_understood_there(tmp_path):
    """Refused clearly, or answered with the right numbers."""
    problem = tw.FunctionProblem(lambda x, y: x**2 + 3 * y)
    asked = {"extent": 1.0, "points": (4, 3), "name": "a"}
    there = tw.loss_surface(problem, tw.coordinate_plane(problem), store=tmp_path / "a.zarr", **asked)
    tw.save(tw.load(tmp_path / "a.zarr"), tmp_path / "b.zarr", "a")
    try:
        again = tw.loss_surface(problem, tw.coordinate_plane(problem), store=tmp_path / "b.zarr", **asked)
    except ValueError as error:
        if "saved" in str(error):
            return
        raise
    np.testing.assert_array_equal(again.loss, there.loss)


def test_an_existing_result_is_not_overwritten_unasked(surface, tmp_path):
    store = tw.save(surface, tmp_path / "s.zarr")
    before = contents(store)
    with pytest.raises(FileExistsError, match=r"`surface`.*overwrite=True"):
        tw.save(surface.isel(alpha=[0]), store)
    assert contents(store) == before


def test_overwriting_replaces_the_whole_result_and_nothing_else(surface, tmp_path):
    store = tw.save(surface, tmp_path / "s.zarr", "a")
    tw.save(surface, store, "b")
    other = surface.isel(alpha=slice(2))
    tw.save(other, store, "a", overwrite=True)
    xr.testing.assert_identical(tw.load(store, "a"), other)
    xr.testing.assert_identical(tw.load(store, "b"), surface)
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


@pytest.mark.parametrize("first_fails", [True, False])
@pytest.mark.parametrize("call", ["to_zarr", "rename"])
def test_a_save_that_fails_leaves_the_old_result_intact(surface, tmp_path, monkeypatch, call, first_fails):
    """Whether it fails while the draft is written, while the old is moved away, or while the draft is moved in."""
    store = tw.save(surface, tmp_path / "s.zarr", "a")
    calls = []
    real = os.rename

    def fail(*args, **kwargs):
        calls.append(args)
        if call == "rename" and not first_fails and len(calls) == 1:
            return real(*args)
        if call == "to_zarr" and not first_fails:
            (Path(args[1]) / "half").mkdir(parents=True)
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(xr.Dataset, "to_zarr", fail) if call == "to_zarr" else patch.setattr(study.os, "rename", fail)
        with pytest.raises(OSError, match="disk full"):
            tw.save(surface.isel(alpha=[0]), store, "a", overwrite=True)
    assert calls
    xr.testing.assert_identical(tw.load(store, "a"), surface)
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


class Killed(BaseException):
    """No handler of errors sees it."""


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_save_killed_at_its_renames_leaves_the_old_or_the_new_result_and_later_saves_work(
    surface, tmp_path, monkeypatch, moment
):
    """Before the first rename, between the two, and after both."""
    store = tw.save(surface, tmp_path / "s.zarr", "a")
    new = surface.isel(alpha=[0])
    renamed, removed, calls = os.rename, shutil.rmtree, []

    def rename(*args):
        calls.append(args)
        if len(calls) == moment:
            raise Killed
        renamed(*args)

    def rmtree(*args, **kwargs):
        if len(calls) >= min(moment, 2):  # a killed process cleans nothing
            raise Killed
        removed(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(study.os, "rename", rename)
        patch.setattr(study.shutil, "rmtree", rmtree)
        with pytest.raises(Killed):
            tw.save(new, store, "a", overwrite=True)
    for dataset in (new, surface, new):
        tw.save(dataset, store, "a", overwrite=True)
        xr.testing.assert_identical(tw.load(store, "a"), dataset)


@pytest.mark.parametrize("name", ["../x", "..", ".", "a/../../x", "x/..", "./x", "a/./b", "/../x", "..\\x", "~/x"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_no_name_leads_out_of_the_study(surface, tmp_path, name, overwrite):
    inside = tmp_path / "inside"
    store = tw.save(surface, inside / "s.zarr", "keep")
    tw.save(surface, inside / "x")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="no name for a result"):
        tw.save(surface, store, name, overwrite=overwrite)
    with pytest.raises(ValueError, match="no name for a result"):
        tw.loss_surface(tw.FunctionProblem(lambda x: x), tw.Line([0.0], [1.0]), points=3, store=store, name=name)
    with pytest.raises(ValueError, match="no name for a result"):
        tw.Recorder(store, name, overwrite=overwrite)
    assert {k: v for k, v in contents(tmp_path).items() if not k.endswith(".lock")} == before


@pytest.mark.parametrize("name", ["a b", "a//b", "a:b", "ä?", "a/", "x.y", "zarr.json", "keep/zarr.json", " "])
def test_a_name_is_saved_under_or_refused_and_the_rest_of_the_study_stays(surface, tmp_path, name):
    store = tw.save(surface, tmp_path / "s.zarr", "keep")
    try:
        tw.save(surface, store, name, overwrite=True)
    except ValueError as error:
        if repr(name) not in str(error):
            raise
    else:
        xr.testing.assert_identical(tw.load(store, name.strip("/")), surface)
    xr.testing.assert_identical(tw.load(store, "keep"), surface)


@pytest.mark.parametrize("name", ["run_1", "run-1", "10-epochs", "2024-01-05", "lr0", "3", "a/1/b"])
def test_letters_digits_and_dashes_make_names(surface, tmp_path, name):
    """As the refusal of other names promises."""
    xr.testing.assert_identical(tw.load(tw.save(surface, tmp_path / "s.zarr", name), name), surface)


ABOVE = {
    "save": lambda surface, store: tw.save(surface, store, "surface", overwrite=True),
    "save by kind": lambda surface, store: tw.save(surface, store, overwrite=True),
    "loss_surface": lambda surface, store: tw.loss_surface(
        tw.FunctionProblem(lambda x: x), tw.Line([0.0], [1.0]), points=3, store=store, name="surface"
    ),
    "Recorder": lambda surface, store: record(store, "surface"),
}


def record(store, name):
    model = torch.nn.Linear(1, 1)
    tw.Recorder(store, name, overwrite=True).attach(model, torch.optim.SGD(model.parameters())).close()


@pytest.mark.parametrize("write", ABOVE)
def test_a_result_named_like_a_group_of_results_does_not_erase_them(surface, tmp_path, write):
    """`surface/a` and `surface/b` survive whatever is written under `surface`, or it is refused."""
    store = tw.save(surface, tmp_path / "s.zarr", "surface/a")
    tw.save(surface, store, "surface/b")
    with contextlib.suppress(ValueError, FileExistsError):
        ABOVE[write](surface, store)
    for name in ("surface/a", "surface/b"):
        xr.testing.assert_identical(tw.load(store, name), surface)


@pytest.mark.parametrize("name", ["a/loss", "a/inside"])
def test_a_result_is_not_written_inside_another(surface, tmp_path, name):
    store = tw.save(surface, tmp_path / "s.zarr", "a")
    with contextlib.suppress(ValueError, FileExistsError):
        tw.save(surface, store, name, overwrite=True)
    xr.testing.assert_identical(tw.load(store, "a"), surface)


def test_only_what_fulfils_the_schema_is_saved(surface, tmp_path):
    with pytest.raises(SchemaError):
        tw.save(surface.drop_attrs(), tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()


def test_loading_names_what_is_there(surface, tmp_path):
    store = tw.save(surface, tmp_path / "s.zarr", "a")
    assert tw.load(store).identical(surface)
    with pytest.raises(KeyError, match="no result `b`; it has a"):
        tw.load(store, "b")
    tw.save(surface, store, "b")
    with pytest.raises(KeyError, match=r"2 results \(a, b\); say which"):
        tw.load(store)


@pytest.mark.parametrize("read", [tw.load, results, tw.open_study])
class TestWhatIsNoStudy:
    """Every way of reading names the path and what is wrong with it."""

    def test_missing(self, read, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no study .*nowhere"):
            read(tmp_path / "nowhere")

    def test_an_empty_folder(self, read, tmp_path):
        with pytest.raises(ValueError, match="is no study"):
            read(tmp_path)

    def test_a_foreign_folder(self, read, tmp_path):
        (tmp_path / "notes.txt").write_text("hello")
        with pytest.raises(ValueError, match="is no study"):
            read(tmp_path)

    def test_a_file(self, read, tmp_path):
        (tmp_path / "s.zarr").write_text("hello")
        with pytest.raises(ValueError, match="is no study"):
            read(tmp_path / "s.zarr")

    def test_a_damaged_root(self, read, surface, tmp_path):
        store = tw.save(surface, tmp_path / "s.zarr")
        (store / "zarr.json").write_text('{"zarr')
        with pytest.raises(ValueError, match=r"s\.zarr is no study"):
            read(store)

    def test_a_damaged_result(self, read, surface, tmp_path):
        store = tw.save(surface, tmp_path / "s.zarr", "a")
        (store / "a" / "zarr.json").write_text('{"zarr')
        with pytest.raises(ValueError, match=r"s\.zarr"):
            read(store)


DAMAGES = {
    "an array's metadata": lambda a: (a / "loss" / "zarr.json").write_text("{"),
    "a chunk": lambda a: [c.write_bytes(b"garbage") for c in (a / "loss" / "c").rglob("*") if c.is_file()],
    "a missing array": lambda a: shutil.rmtree(a / "loss"),
    "a missing coordinate": lambda a: shutil.rmtree(a / "alpha"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("made_by", ["save", "loss_surface"])
def test_a_damaged_result_is_named_and_the_others_stay_readable(tmp_path, damage, made_by):
    problem = tw.FunctionProblem(lambda x, y: x**2 + 3 * y)
    plane = tw.coordinate_plane(problem)
    surface = tw.loss_surface(problem, plane, extent=1.0, points=3)
    store = tw.save(surface, tmp_path / "s.zarr", "b")
    if made_by == "save":
        tw.save(surface, store, "a")
    else:
        tw.loss_surface(problem, plane, extent=1.0, points=3, store=store, name="a")
    DAMAGES[damage](store / "a")
    with pytest.raises(ValueError, match=r"s\.zarr.*`a`|`a`.*s\.zarr"):
        tw.load(store, "a")
    xr.testing.assert_identical(tw.load(store, "b"), surface)


@pytest.mark.parametrize("write", ["save", "loss_surface", "Recorder"])
@pytest.mark.parametrize("what", ["foreign folder", "file"])
def test_nothing_is_written_into_what_is_no_study(surface, tmp_path, write, what):
    target = tmp_path / "there"
    if what == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    with pytest.raises((FileExistsError, ValueError), match="there"):
        ABOVE[write](surface, target)
    assert (target if what == "file" else target / "mine.txt").read_text() == "mine"


def test_a_folder_made_beforehand_becomes_a_study(surface, tmp_path):
    (tmp_path / "s.zarr").mkdir()
    xr.testing.assert_identical(tw.load(tw.save(surface, tmp_path / "s.zarr")), surface)


def test_parents_of_a_study_are_made(surface, tmp_path):
    assert tw.save(surface, tmp_path / "a" / "b" / "s.zarr").exists()


def test_a_tilde_is_the_home_folder_or_refused_but_no_folder_named_tilde(surface, tmp_path, monkeypatch):
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    with contextlib.suppress(ValueError):
        tw.save(surface, "~/s.zarr")
        xr.testing.assert_identical(tw.load("~/s.zarr"), surface)
        assert (home / "s.zarr").exists()
    assert list(here.iterdir()) == []


def test_the_old_result_of_a_save_killed_between_its_renames_comes_back(surface, tmp_path, monkeypatch):
    """It was put aside, and the new one never took its place: found when it is missed, a minute later."""
    store = tw.save(surface, tmp_path / "s.zarr", "deep/a")
    _, retired = tree.drafts(store, "deep/a")
    os.rename(store / "deep" / "a", retired)
    with pytest.raises(KeyError):
        tw.load(store, "deep/a")
    monkeypatch.setattr(tree, "_MINUTE", -1.0)
    xr.testing.assert_identical(tw.load(store, "deep/a"), surface)
    assert [p.name for p in tmp_path.iterdir()] == ["s.zarr"]


@pytest.mark.parametrize("write", ABOVE)
def test_a_name_that_holds_others_is_refused_by_the_names_it_holds(surface, tmp_path, write):
    store = tw.save(surface, tmp_path / "s.zarr", "surface/a")
    with pytest.raises(FileExistsError, match="`surface/a`"):
        ABOVE[write](surface, store)
