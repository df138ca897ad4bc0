"""The contract between computing and drawing: what fulfils it passes unchanged, each thing malformed is named."""

import numpy as np
import pytest
import xarray as xr

from tests.figures import pieces
from thalweg import schema
from thalweg.schema.statistics import STATES


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
            "below_loss": (("alpha", "beta"), np.zeros((2, 3), dtype=bool), {"role": "region", "of": "loss"}),
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


def descent():
    """Two starts, four steps; projected onto a plane, its ends told apart."""
    each = {name: (("start", "step"), np.zeros((2, 4))) for name in ("loss", "alpha", "beta", "distance")}
    about = {"names": ["minimum 1", "still moving"], "kinds": ["minimum", "moving"]}
    return xr.Dataset(
        {
            **each,
            "theta": (("start", "step", "weight"), np.zeros((2, 4, 6))),
            "gradient": (("start", "step", "weight"), np.zeros((2, 4, 6))),
            "learning_rate": ("step", np.zeros(4)),
            "outcome": ("start", np.array([1, 0]), about),
            "plateau": ("start", np.zeros(2, dtype=int)),
            "crossings": ("start", np.zeros(2, dtype=int)),
        },
        {"start": np.arange(2), "step": np.arange(4)},
        {"kind": "descent", "coordinates": ["alpha", "beta"]},
    )


def critical_points():
    return xr.Dataset(
        {
            **{name: ("point", np.zeros(3)) for name in ("alpha", "beta", "loss", "gradient_norm")},
            "eigenvalue": (("point", "direction"), np.zeros((3, 2))),
            "eigenvector": (("point", "coordinate", "direction"), np.zeros((3, 2, 2))),
            "type": ("point", np.array([0, 1, 1]), {"names": ["minimum", "saddle"]}),
        },
        attrs={"kind": "critical_points", "coordinates": ["alpha", "beta"]},
    )


def linear_approximation():
    over = ("point", "epsilon", "slope", "true", "approximation", "error")
    return xr.Dataset(
        {
            "value": ("x", np.zeros(5)),
            "tangent": (("step", "x"), np.zeros((3, 5))),
            **{name: ("step", np.zeros(3)) for name in over},
        },
        {"x": np.arange(5.0), "step": np.arange(3)},
        {"kind": "linear_approximation"},
    )


def fit():
    return xr.Dataset(
        {
            "prediction": (("start", "step", "input"), np.zeros((2, 4, 7))),
            "loss": (("start", "step"), np.zeros((2, 4))),
            "theta": (("start", "step", "weight"), np.zeros((2, 4, 1))),
            "x": ("example", np.zeros(9)),
            "y": ("example", np.zeros(9)),
        },
        {"start": np.arange(2), "step": np.arange(4), "input": np.arange(7.0)},
        {"kind": "fit"},
    )


def eigenpairs():
    each = {name: ("pair", np.zeros(3)) for name in ("eigenvalue", "residual")}
    return xr.Dataset(
        {**each, "converged": ("pair", np.ones(3, bool)), "eigenvector": (("pair", "weight"), np.zeros((3, 6)))},
        {"pair": [1, 2, 3]},
        {"kind": "eigenpairs", "matrix": "hessian", "which": "magnitude"},
    )


def spectral_density():
    names = ("density", "density_standard_error", "density_low", "density_high")
    return xr.Dataset(
        {
            **{name: ("eigenvalue", np.zeros(5)) for name in names},
            **{name: (("probe", "rank"), np.zeros((2, 4))) for name in ("node", "node_weight")},
        },
        {"eigenvalue": np.arange(5.0)},
        {"kind": "spectral_density", "matrix": "ggn"},
    )


def estimate(quantity="trace"):
    dims = () if quantity == "trace" else ("weight",)
    each = {name: (dims, np.zeros((6,) * len(dims))) for name in ("value", "standard_error")}
    sample = {"sample": ("probe", np.zeros(4))} if quantity == "trace" else {}
    return xr.Dataset({**each, **sample}, attrs={"kind": "estimate", "quantity": quantity, "matrix": "fisher"})


def spectrum_path():
    scalars = ("num_matvecs", "learning_rate", "loss", "gradient_norm", "gradient_share", "threshold", "seconds")
    each = {name: (("step", "pair"), np.zeros((4, 2))) for name in ("eigenvalue", "residual", "preconditioned")}
    return xr.Dataset(
        {
            **each,
            **{name: ("step", np.zeros(4)) for name in scalars},
            "converged": (("step", "pair"), np.ones((4, 2), bool)),
            "overlap": (("step", "other"), np.ones((4, 4))),
            "density": (("step", "grid"), np.ones((4, 5))),
        },
        {"step": np.arange(4), "other": np.arange(4), "pair": [1, 2], "grid": np.arange(5.0)},
        {"kind": "spectrum_path", "matrix": "hessian"},
    )


def surface_with_hessian():
    dims = ("alpha", "beta", "coordinate", "coordinate_2")
    return surface().assign(hessian=(dims, np.zeros((2, 3, 2, 2)), {"role": "hessian"}))


def over(dim, *names, **attrs):
    """Zeros over one dim, for each name."""
    return xr.Dataset({name: (dim, np.zeros(4)) for name in names}, {dim: np.arange(4)}, attrs)


def connection():
    found = over("step", "loss", "learning_rate", kind="connection", curve="bezier")
    return found.assign(theta=(("node", "weight"), np.zeros((3, 6))))


def barrier():
    names = ("barrier", "t", "highest", "start", "end")
    return over("quantity", *names, kind="barrier").assign_coords(quantity=["loss", "test_loss", "error", "test_error"])


def course():
    found = over("t", "alpha", "beta", "distance", kind="course", coordinates=["alpha", "beta"])
    return found.assign({f"node_{name}": ("node", np.zeros(3)) for name in ("alpha", "beta", "distance")})


def motion():
    return over("step", "distance_from_start", "distance_from_end", "path_length", "speed", "cosine", kind="motion")


def random_walk():
    found = over("axis", "explained_variance_ratio", "theory", kind="random_walk")
    scores = {f"{whose}score": (("step", "axis"), np.zeros((5, 4))) for whose in ("", "walk_", "theory_")}
    return found.assign(walk=(("sample", "axis"), np.zeros((7, 4))), **scores)


def components_by_length():
    found = over("length", "overlap", kind="components_by_length").assign_coords(axis=[1, 2])
    return found.assign(dict.fromkeys(("explained_variance_ratio", "theory"), (("length", "axis"), np.zeros((4, 2)))))


def initializations():
    layers = ("gradient_norm", "activation_mean", "activation_std", "dead")
    return xr.Dataset(
        {
            **{name: (("scheme", "layer"), np.zeros((3, 2))) for name in layers},
            **{name: ("scheme", np.zeros(3)) for name in ("initial_loss", "final_loss")},
            "loss": (("scheme", "step"), np.zeros((3, 4))),
            "diverged_at": ("scheme", np.array([-1, 2, -1])),
            "singular_value": (("scheme", "state", "value"), np.zeros((3, 2, 5))),
        },
        {"scheme": list("abc"), "layer": ["0.weight", "2.weight"], "step": [1, 2, 3, 4], "state": list(STATES)},
        {"kind": "initializations"},
    )


def gradients():
    found = over("example", "example_norm", kind="gradients", noise_scale=np.inf, noise_scale_standard_error=np.nan)
    cosine = {"cosine": (("one", "other"), np.ones((2, 2))), "norm": ("layer", np.ones(3))}
    return found.assign(cosine).assign_coords(layer=list("abc"), one=[0, 2], other=[0, 2])


def extrapolation():
    found = over("input", "x", "prediction", "target", "inside", kind="extrapolation", train_range=[0.0, 1.0])
    errors = {name: ("region", np.zeros(2)) for name in ("mean_square_error", "largest_error", "count")}
    return found.assign(errors).assign_coords(region=["inside", "outside"])


def rows(dim="row", prefix=""):
    return {prefix + "example": (dim, np.array([0, 0, 1, 1])), prefix + "output": (dim, np.array([0, 1, 0, 1]))}


def tangent():
    return xr.Dataset(
        {
            "singular_value": ("value", np.ones(3)),
            "residual": ("value", np.zeros(3)),
            "bound": ("value", np.zeros(3)),
            "principal_feature": (("row", "value"), np.zeros((4, 3))),
            "right_vector": (("value", "weight"), np.zeros((3, 6))),
            **{name: ("row", np.zeros(4)) for name in ("x", "prediction", "target")},
        },
        {"value": [1, 2, 3], "row": np.arange(4), **rows()},
        {"kind": "tangent", "method": "exact", "rank": 3},
    )


def kernel(part="full"):
    dims, shape = (("layer",), (2,)) if part == "layer" else ((), ())
    return xr.Dataset(
        {"kernel": ((*dims, "row", "column"), np.zeros((*shape, 4, 4)))},
        {**rows(), **rows("column", "column_"), **({"layer": ["0", "2"]} if dims else {})},
        {"kind": "kernel", "part": part},
    )


def lazy():
    names = ("distance", "error", "loss", "linear_loss", "kernel_alignment", "apart", "trained_loss")
    return xr.Dataset({name: ("step", np.zeros(4)) for name in names}, {"step": np.arange(4)}, {"kind": "lazy"})


def tangent_path():
    data = {name: ("step", np.zeros(4)) for name in ("rank", "effective_rank", "loss", "test_loss", "kernel_alignment")}
    data |= {name: ("step", np.zeros(4, dtype=bool)) for name in ("rank_known", "diverged")}
    data |= {name: (("step", "value"), np.zeros((4, 2))) for name in ("singular_value", "place", "agreement")}
    data |= {"prediction": (("step", "row"), np.zeros((4, 3))), "target": ("row", np.zeros(3))}
    data["principal_feature"] = (("step", "row", "value"), np.zeros((4, 3, 2)))
    coords = {"step": np.arange(4), "value": [1, 2], "example": ("row", np.arange(3)), "output": ("row", np.zeros(3))}
    return xr.Dataset(data, coords, {"kind": "tangent_path", "diverged_at": -1})


def graph():
    """a + b in a module, and its backward."""
    words = {"operation": ["input", "input", "add"], "shape": ["[]"] * 3, "dtype": ["float64"] * 3}
    words |= {"arguments": [""] * 3, "source": [""] * 3}
    numbers = {name: ("node", np.zeros(3)) for name in ("value", "gradient", "gradient_norm")}
    names = {"names": ["input", "parameter", "buffer", "constant", "operation"]}
    return xr.Dataset(
        {
            **{name: ("node", np.array(values, dtype=object)) for name, values in words.items()},
            **numbers,
            "role": ("node", np.array([0, 0, 4]), names),
            "module": ("node", np.array([-1, -1, 0])),
            "parameters": ("node", np.zeros(3, dtype=int)),
            "tail": ("edge", np.array([0, 1])),
            "head": ("edge", np.array([2, 2])),
            "argument": ("edge", np.array([0, 1])),
            "output": ("edge", np.array([0, 0])),
            "edge_shape": ("edge", np.array(["[]"] * 2, dtype=object)),
            "local_derivative": ("edge", np.ones(2)),
            "path": ("module_call", np.array(["sum"], dtype=object)),
            "type": ("module_call", np.array(["Sum"], dtype=object)),
            "call": ("module_call", np.array([1])),
            "parent": ("module_call", np.array([-1])),
            "module_parameters": ("module_call", np.array([0])),
            "backward_operation": ("backward_node", np.array(["AddBackward0", "AccumulateGrad"], dtype=object)),
            "forward": ("backward_node", np.array([2, 0])),
            "saved": ("backward_node", np.array(["[]"] * 2, dtype=object)),
            "saved_bytes": ("backward_node", np.zeros(2, dtype=int)),
            "backward_tail": ("backward_edge", np.array([0])),
            "backward_head": ("backward_edge", np.array([1])),
        },
        {"node": ["a", "b", "add"]},
        {"kind": "graph", "engine": "run", "scalar": 1, "outputs": [2]},
    )


WELL_FORMED = {
    "graph": graph,
    "tangent": tangent,
    "kernel": kernel,
    "lazy": lazy,
    "tangent_path": tangent_path,
    "elbows": pieces.elbows,
    "gradient_features": pieces.gradient_features,
    "initializations": initializations,
    "gradients": gradients,
    "extrapolation": extrapolation,
    "connection": connection,
    "barrier": barrier,
    "course": course,
    "motion": motion,
    "random_walk": random_walk,
    "components_by_length": components_by_length,
    "surface": surface,
    "path": path,
    "trajectory": trajectory,
    "components": components,
    "descent": descent,
    "critical_points": critical_points,
    "linear_approximation": linear_approximation,
    "fit": fit,
    "eigenpairs": eigenpairs,
    "spectral_density": spectral_density,
    "estimate": estimate,
    "spectrum_path": spectrum_path,
}


def outcome(numbers, **attrs):
    """A descent whose ends have these numbers."""
    found = descent().assign(outcome=("start", np.array(numbers), descent()["outcome"].attrs))
    found["outcome"].attrs |= attrs
    return found


def without_attr(ds, key, variable=None):
    del (ds if variable is None else ds[variable]).attrs[key]
    return ds


def with_attr(ds, key, value, variable=None):
    (ds if variable is None else ds[variable]).attrs[key] = value
    return ds


MALFORMED = {
    "tangent without residuals": (lambda: tangent().drop_vars("residual"), "`residual`"),
    "tangent whose rows are nobody's": (lambda: tangent().drop_vars("output"), "coordinate `output`"),
    "features on their side": (
        lambda: tangent().assign(principal_feature=(("value", "row"), np.zeros((3, 4)))),
        "`principal_feature` has dims",
    ),
    "targets of examples": (lambda: tangent().assign(target=("value", np.zeros(3))), "`target` has dims"),
    "kernel of an unknown part": (lambda: with_attr(kernel(), "part", "half"), "'half'; expected one of"),
    "kernel of layers without layers": (lambda: with_attr(kernel(), "part", "layer"), "the dim `layer`"),
    "layers of a whole kernel": (lambda: with_attr(kernel("layer"), "part", "full"), "the dim `layer`"),
    "kernel of unknown layers": (lambda: kernel("layer").drop_vars("layer"), "coordinate `layer`"),
    "kernel whose columns are nobody's": (lambda: kernel().drop_vars("column_example"), "coordinate `column_example`"),
    "lazy training without error": (lambda: lazy().drop_vars("error"), "`error`"),
    "lazy training without steps": (lambda: lazy().drop_vars("step"), "coordinate `step`"),
    "a tangent path without ranks": (lambda: tangent_path().drop_vars("rank"), "`rank`"),
    "a tangent path whose features have no place": (lambda: tangent_path().drop_vars("place"), "`place`"),
    "a tangent path that may have diverged": (lambda: without_attr(tangent_path(), "diverged_at"), "diverged_at"),
    "elbows of no unit": (lambda: pieces.elbows().drop_vars("unit"), "`unit`"),
    "elbows without straight lines": (lambda: pieces.elbows().drop_vars("node_x"), "`node_x`"),
    "features of no layer": (lambda: pieces.gradient_features().drop_vars("layer"), "`layer`"),
    "features of no example": (lambda: pieces.gradient_features().drop_vars("example"), "`example`"),
    "initialisations without names": (lambda: initializations().drop_vars("scheme"), "`scheme`"),
    "initialisations on their side": (lambda: initializations().assign(dead=initializations().dead.T), "`dead`"),
    "initialisations without an end": (lambda: initializations().drop_vars("final_loss"), "`final_loss`"),
    "states in another order": (lambda: initializations().assign_coords(state=list(STATES)[::-1]), "`state`.*initial"),
    "a divergence by halves": (
        lambda: initializations().assign(diverged_at=("scheme", np.ones(3))),
        "`diverged_at`.*whole",
    ),
    "gradients without examples": (lambda: gradients().drop_vars("example_norm"), "`example_norm`"),
    "gradients without noise scale": (lambda: without_attr(gradients(), "noise_scale"), "`noise_scale`"),
    "cosines of unnumbered examples": (lambda: gradients().drop_vars("other"), "`other`"),
    "graph without an engine": (lambda: without_attr(graph(), "engine"), "`engine`"),
    "graph that runs in circles": (lambda: graph().assign(tail=("edge", np.array([2, 1]))), "`tail` < `head`"),
    "graph with an edge to nowhere": (lambda: graph().assign(head=("edge", np.array([2, 3]))), "`head`.*from 0 to 2"),
    "graph with an unknown result": (lambda: with_attr(graph(), "outputs", [7]), "expected numbers of nodes"),
    "graph whose module is its own": (lambda: graph().assign(parent=("module_call", np.array([0]))), "`parent`"),
    "graph without values": (lambda: graph().drop_vars("value"), "`value`"),
    "extrapolation without a range": (lambda: without_attr(extrapolation(), "train_range"), "`train_range`"),
    "extrapolation with other regions": (lambda: extrapolation().assign_coords(region=["in", "out"]), "`region`"),
    "extrapolation without predictions": (lambda: extrapolation().drop_vars("prediction"), "`prediction`"),
    "connection by an unknown curve": (lambda: with_attr(connection(), "curve", "spline"), "'spline'.*polygonal"),
    "connection without nodes": (lambda: connection().drop_vars("theta"), "`theta`"),
    "barrier without names": (lambda: barrier().drop_vars("quantity"), "`quantity`"),
    "course without its nodes": (lambda: course().drop_vars("node_beta"), "`node_beta`"),
    "course that turns back": (lambda: course().assign_coords(t=[0.0, 1.0, 0.5, 2.0]), "`t`.*increasing"),
    "motion without its speed": (lambda: motion().drop_vars("speed"), "`speed`"),
    "random walk without its theory": (lambda: random_walk().drop_vars("theory_score"), "`theory_score`"),
    "lengths without values": (lambda: components_by_length().drop_vars("length"), "`length`"),
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
    "region of nothing": (lambda: without_attr(surface(), "of", "below_loss"), "`below_loss`.*region"),
    "region of a stranger": (lambda: with_attr(surface(), "of", "f1", "below_loss"), "`below_loss`.*region"),
    "region with a further dim": (
        lambda: surface().assign(below_loss=surface().losses.assign_attrs(role="region", of="loss")),
        "`below_loss` has dims",
    ),
    "descent without weights": (lambda: descent().drop_vars("theta"), "theta"),
    "descent without loss": (lambda: descent().drop_vars("loss"), "loss"),
    "descent without gradient": (lambda: descent().drop_vars("gradient"), "gradient"),
    "descent without learning rate": (lambda: descent().drop_vars("learning_rate"), "learning_rate"),
    "descent without steps": (lambda: descent().drop_vars("step"), "coordinate `step`"),
    "descent without numbered starts": (lambda: descent().drop_vars("start"), "coordinate `start`"),
    "descent of one start, squeezed": (lambda: descent().isel(start=0), "`theta` has dims"),
    "steps before starts": (lambda: descent().assign(loss=descent().loss.T), "`loss` has dims"),
    "descent without a position": (lambda: descent().drop_vars("beta"), "beta"),
    "descent without distance": (lambda: descent().drop_vars("distance"), "distance"),
    "position that is the same for all starts": (
        lambda: descent().assign(alpha=descent().alpha[0].drop_vars("start")),
        "`alpha` has dims",
    ),
    "outcome without plateau": (lambda: descent().drop_vars("plateau"), "plateau"),
    "outcome of every step": (lambda: descent().assign(outcome=descent().loss.astype(int)), "`outcome` has dims"),
    "outcome without names": (lambda: without_attr(descent(), "names", "outcome"), "`outcome`.*'names'"),
    "outcome without kinds": (lambda: without_attr(descent(), "kinds", "outcome"), "`outcome`.*'kinds'"),
    "outcome beyond the names": (lambda: outcome([0, 2]), "`outcome`.*'names'"),
    "outcome below zero": (lambda: outcome([-1, 0]), "`outcome`.*'names'"),
    "outcome with fewer kinds than names": (lambda: outcome([0, 1], kinds=["minimum"]), "`outcome`.*'kinds'"),
    "outcome that is no whole number": (lambda: outcome([0.0, 1.0]), "`outcome`.*whole"),
    "critical points without coordinates": (lambda: without_attr(critical_points(), "coordinates"), "coordinates"),
    "critical points without a position": (lambda: critical_points().drop_vars("beta"), "beta"),
    "critical points without loss": (lambda: critical_points().drop_vars("loss"), "loss"),
    "critical points without gradient norm": (lambda: critical_points().drop_vars("gradient_norm"), "gradient_norm"),
    "critical points without eigenvalues": (lambda: critical_points().drop_vars("eigenvalue"), "eigenvalue"),
    "critical points without directions": (lambda: critical_points().drop_vars("eigenvector"), "eigenvector"),
    "critical points without types": (lambda: critical_points().drop_vars("type"), "type"),
    "eigenvectors on their side": (
        lambda: critical_points().assign(eigenvector=(("point", "direction", "coordinate"), np.zeros((3, 2, 2)))),
        "`eigenvector` has dims",
    ),
    "types beyond the names": (lambda: with_attr(critical_points(), "names", ["minimum"], "type"), "`type`.*'names'"),
    "approximation without function": (lambda: linear_approximation().drop_vars("value"), "value"),
    "approximation without tangent": (lambda: linear_approximation().drop_vars("tangent"), "tangent"),
    "approximation without slope": (lambda: linear_approximation().drop_vars("slope"), "slope"),
    "approximation without truth": (lambda: linear_approximation().drop_vars("true"), "true"),
    "approximation without error": (lambda: linear_approximation().drop_vars("error"), "error"),
    "approximation without places": (lambda: linear_approximation().drop_vars("x"), "coordinate `x`"),
    "approximation without steps": (lambda: linear_approximation().drop_vars("step"), "coordinate `step`"),
    "a single step, squeezed": (lambda: linear_approximation().isel(step=0), "`tangent` has dims"),
    "fit without predictions": (lambda: fit().drop_vars("prediction"), "prediction"),
    "fit without data": (lambda: fit().drop_vars("y"), "`y`"),
    "fit without inputs": (lambda: fit().drop_vars("input"), "coordinate `input`"),
    "fit of one start, squeezed": (lambda: fit().isel(start=0), "`prediction` has dims"),
    "curvature of no matrix": (lambda: without_attr(eigenpairs(), "matrix"), "attrs.'matrix'. of a eigenpairs is None"),
    "curvature of an unknown matrix": (
        lambda: with_attr(estimate(), "matrix", "ntk"),
        "'ntk'; expected one of hessian",
    ),
    "pairs without values": (lambda: eigenpairs().drop_vars("eigenvalue"), "`eigenvalue`"),
    "pairs without residuals": (lambda: eigenpairs().drop_vars("residual"), "`residual`"),
    "pairs without numbers": (lambda: eigenpairs().drop_vars("pair"), "coordinate `pair`"),
    "pairs whose convergence is a number": (
        lambda: eigenpairs().assign(converged=("pair", np.ones(3))),
        "`converged` holds float64; expected true or false",
    ),
    "vectors on their side": (
        lambda: eigenpairs().assign(eigenvector=(("weight", "pair"), np.zeros((6, 3)))),
        "`eigenvector` has dims",
    ),
    "density without error": (
        lambda: spectral_density().drop_vars("density_standard_error"),
        "`density_standard_error`",
    ),
    "density over falling eigenvalues": (
        lambda: spectral_density().assign_coords(eigenvalue=-np.arange(5.0)),
        "`eigenvalue`.*increasing",
    ),
    "density without nodes": (lambda: spectral_density().drop_vars("node"), "variable `node`"),
    "nodes of one probe, squeezed": (lambda: spectral_density().isel(probe=0), "`node` has dims.*`probe`"),
    "weights of other nodes": (
        lambda: spectral_density().assign(node_weight=(("probe", "other"), np.zeros((2, 4)))),
        "`node_weight` has dims.*the same",
    ),
    "estimate of nothing": (lambda: without_attr(estimate(), "quantity"), "'quantity'. is None.*trace, diagonal"),
    "diagonal that is a number": (lambda: with_attr(estimate(), "quantity", "diagonal"), "`value` has dims"),
    "estimate without error": (lambda: estimate().drop_vars("standard_error"), "`standard_error`"),
    "samples of weights": (lambda: estimate().assign(sample=("weight", np.zeros(6))), "`sample` has dims"),
    "curvature path without steps": (lambda: spectrum_path().drop_vars("step"), "coordinate `step`"),
    "curvature path without threshold": (lambda: spectrum_path().drop_vars("threshold"), "`threshold`"),
    "pairs before steps": (lambda: spectrum_path().assign(residual=spectrum_path().residual.T), "`residual` has dims"),
    "overlaps with unnumbered others": (lambda: spectrum_path().drop_vars("other"), "coordinate `other`"),
    "densities over unknown eigenvalues": (lambda: spectrum_path().drop_vars("grid"), "coordinate `grid`"),
    "densities over falling eigenvalues": (
        lambda: spectrum_path().assign_coords(grid=-np.arange(5.0)),
        "`grid`.*increasing",
    ),
    "hessian that is no matrix": (
        lambda: surface_with_hessian().assign(hessian=surface_with_hessian().hessian[..., 0]),
        "`hessian` has dims.*coordinate_2",
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


def test_what_is_optional_may_be_missing():
    for ds in (
        eigenpairs().drop_vars("eigenvector"),
        spectral_density().drop_vars(["density_low", "density_high"]),
        estimate().drop_vars("sample"),
        estimate("diagonal"),
        tangent().drop_vars(["bound", "right_vector", "x", "prediction", "target"]),
        kernel("trace"),
        kernel("layer"),
        lazy().drop_vars(["kernel_alignment", "apart", "trained_loss"]),
        tangent_path().drop_vars(["principal_feature", "place", "agreement", "kernel_alignment", "test_loss"]),
        spectrum_path().drop_vars(["overlap", "density", "preconditioned", "seconds", "other", "grid"]),
        eigenpairs().isel(pair=slice(0)),
        surface_with_hessian(),
    ):
        assert schema.check(ds) is ds


def test_values_come_training_first_and_loss_first():
    assert schema.values(surface()) == ["loss", "accuracy", "test_loss"]


def test_coordinates_of_a_line_may_be_one_word():
    line = with_attr(surface().isel(beta=0, drop=True), "coordinates", "alpha")
    assert schema.coordinates(schema.check(line)) == ("alpha",)


def test_critical_points_may_be_none_at_all():
    assert schema.check(critical_points().isel(point=slice(0))).sizes["point"] == 0


def test_a_descent_need_not_be_projected_nor_told_apart():
    bare = without_attr(descent().drop_vars(["alpha", "beta", "distance", "outcome", "plateau"]), "coordinates")
    assert schema.check(bare) is bare


def test_one_word_for_all_ends_is_a_list_of_one():
    """What a store gives back for a list of one word may be the word."""
    assert schema.check(outcome([0, 0], names="minimum", kinds="minimum")).outcome.attrs["names"] == "minimum"


@pytest.mark.parametrize(("split", "name"), [("train", "loss"), ("test", "test_loss")])
def test_the_split_is_a_prefix_except_for_training(split, name):
    assert schema.value_name("loss", split) == name
