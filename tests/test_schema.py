"""The contract between computing and drawing: what fulfils it passes unchanged, each thing malformed is named."""

import numpy as np
import pytest
import xarray as xr

from thalweg import schema


def surface():
    about = {"role": "value", "metric": "loss", "split": "train", "long_name": "training loss", "units": ""}
    return xr.Dataset(
        {
            "loss": (("alpha", "beta"), np.zeros((2, 3)), about),
            "test_loss": (("alpha", "beta"), np.zeros((2, 3)), about | {"split": "test"}),
            "accuracy": (("alpha", "beta"), np.zeros((2, 3)), about | {"metric": "accuracy"}),
            "loss_standard_error": (("alpha", "beta"), np.zeros((2, 3)), {"role": "standard_error", "of": "loss"}),
            "gradient": (("alpha", "beta", "coordinate"), np.zeros((2, 3, 2)), {"role": "gradient"}),
            "losses": (("alpha", "beta", "example"), np.zeros((2, 3, 5)), {"role": "per_example"}),
            "interpolated": (("alpha", "beta"), np.zeros((2, 3), dtype=bool), {"role": "mask"}),
        },
        {"alpha": [0.0, 1.0], "beta": [0.0, 1.0, 2.0]},
        {"kind": "surface", "coordinates": ["alpha", "beta"]},
    )


def path():
    return xr.Dataset(
        {name: ("step", np.zeros(4)) for name in ("alpha", "beta", "distance", "loss")},
        {"step": np.arange(4)},
        {"kind": "path", "coordinates": ["alpha", "beta"]},
    )


def trajectory():
    return xr.Dataset(
        {
            "theta": (("step", "weight"), np.zeros((4, 6))),
            "loss": ("step", np.zeros(4)),
            "learning_rate": ("step", np.zeros(4)),
        },
        {"step": np.arange(4)},
        {"kind": "trajectory"},
    )


def components():
    return xr.Dataset(
        {
            "component": (("axis", "weight"), np.zeros((2, 6))),
            "mean": ("weight", np.zeros(6)),
            "explained_variance_ratio": ("axis", np.zeros(2)),
            "score": (("step", "axis"), np.zeros((4, 2))),
        },
        {"step": np.arange(4), "axis": [1, 2]},
        {"kind": "components"},
    )


WELL_FORMED = {"surface": surface, "path": path, "trajectory": trajectory, "components": components}


def without_attr(ds, key, variable=None):
    del (ds if variable is None else ds[variable]).attrs[key]
    return ds


def with_attr(ds, key, value, variable=None):
    (ds if variable is None else ds[variable]).attrs[key] = value
    return ds


MALFORMED = {
    "no kind": (lambda: without_attr(surface(), "kind"), "no `kind`"),
    "unknown kind": (lambda: with_attr(surface(), "kind", "surfaces"), "'surfaces'.*surface, path"),
    "kind is a list": (lambda: with_attr(surface(), "kind", ["surface"]), "surface"),
    "surface without coordinates": (lambda: without_attr(surface(), "coordinates"), "coordinates"),
    "surface with an unknown coordinate": (lambda: with_attr(surface(), "coordinates", ["alpha", "gamma"]), "gamma"),
    "coordinate without values": (lambda: surface().drop_vars("beta"), "beta"),
    "coordinate that falls": (lambda: surface().assign_coords(beta=[2.0, 1.0, 0.0]), "`beta`.*increasing"),
    "coordinate that repeats": (lambda: surface().assign_coords(beta=[0.0, 0.0, 1.0]), "`beta`.*increasing"),
    "coordinate with nan": (lambda: surface().assign_coords(beta=[0.0, np.nan, 1.0]), "`beta`.*finite"),
    "coordinate of words": (lambda: surface().assign_coords(beta=["a", "b", "c"]), "`beta`"),
    "scalar coordinate": (lambda: surface().isel(beta=0), "`beta`"),
    "no values": (lambda: surface()[["interpolated"]], "role"),
    "variable without role": (lambda: without_attr(surface(), "role", "gradient"), "`gradient` has role None"),
    "unknown role": (lambda: with_attr(surface(), "role", "values", "gradient"), "`gradient` has role 'values'"),
    "dims in another order": (
        lambda: surface().assign(losses=surface().losses.transpose("example", "alpha", "beta")),
        "`losses` has dims",
    ),
    "value without metric": (lambda: without_attr(surface(), "metric", "loss"), "`loss` lacks.*metric"),
    "value without split": (lambda: without_attr(surface(), "split", "loss"), "`loss` lacks.*split"),
    "value without long_name": (lambda: without_attr(surface(), "long_name", "loss"), "`loss` lacks.*long_name"),
    "value without units": (lambda: without_attr(surface(), "units", "loss"), "`loss` lacks.*units"),
    "value with a further dim": (
        lambda: surface().assign(loss=surface().losses.assign_attrs(surface().loss.attrs)),
        "`loss`",
    ),
    "error of nothing": (lambda: without_attr(surface(), "of", "loss_standard_error"), "`loss_standard_error`"),
    "error of a stranger": (lambda: with_attr(surface(), "of", "f1", "loss_standard_error"), "`loss_standard_error`"),
    "path without coordinates": (lambda: without_attr(path(), "coordinates"), "coordinates"),
    "path without a position": (lambda: path().drop_vars("beta"), "beta"),
    "path without distance": (lambda: path().drop_vars("distance"), "distance"),
    "path without steps": (lambda: path().drop_vars("step"), "step"),
    "path over another dim": (lambda: path().assign(beta=("time", np.zeros(4))), "`beta` has dims"),
    "trajectory without weights": (lambda: trajectory().drop_vars("theta"), "theta"),
    "trajectory without loss": (lambda: trajectory().drop_vars("loss"), "loss"),
    "trajectory without learning rate": (lambda: trajectory().drop_vars("learning_rate"), "learning_rate"),
    "trajectory without steps": (lambda: trajectory().drop_vars("step"), "step"),
    "weights on their side": (
        lambda: trajectory().assign(theta=(("weight", "step"), np.zeros((6, 4)))),
        "`theta` has dims",
    ),
    "loss per weight": (lambda: trajectory().assign(loss=("weight", np.zeros(6))), "`loss` has dims"),
    "components without ratio": (
        lambda: components().drop_vars("explained_variance_ratio"),
        "explained_variance_ratio",
    ),
    "components on their side": (
        lambda: components().assign(component=(("weight", "axis"), np.zeros((6, 2)))),
        "`component` has dims",
    ),
}


@pytest.mark.parametrize("kind", WELL_FORMED)
def test_a_well_formed_dataset_passes_unchanged(kind):
    dataset = WELL_FORMED[kind]()
    kept = dataset.copy(deep=True)
    assert schema.check(dataset) is dataset
    assert dataset.identical(kept)


@pytest.mark.parametrize("fault", MALFORMED)
def test_what_is_malformed_is_named(fault):
    make, match = MALFORMED[fault]
    with pytest.raises(schema.SchemaError, match=match):
        schema.check(make())


def test_every_kind_has_a_check():
    assert set(WELL_FORMED) == set(schema.KINDS)


def test_values_come_training_first_and_loss_first():
    assert schema.values(surface()) == ["loss", "accuracy", "test_loss"]


def test_coordinates_of_a_line_may_be_one_word():
    line = with_attr(surface().isel(beta=0, drop=True), "coordinates", "alpha")
    assert schema.coordinates(schema.check(line)) == ("alpha",)


@pytest.mark.parametrize(("split", "name"), [("train", "loss"), ("test", "test_loss")])
def test_the_split_is_a_prefix_except_for_training(split, name):
    assert schema.value_name("loss", split) == name
