r"""What each result looks like: the contract between computing and drawing.

A result is an `xarray.Dataset` with `attrs["kind"]`. Measures write it, figures read it, `check` says whether it holds.

Kinds
-----
`surface`
    One or more quantities over a regular grid of a subspace. `attrs["coordinates"]` names the grid's dims in order
    (`["alpha", "beta"]` on a plane, `["alpha"]` on a line, `["t"]` on a curve), `attrs["origin"]` what lies at zero.
    Each data variable says its part in `attrs["role"]`:

    - `value`: a mean over examples, dims = the coordinates. `attrs["metric"]` (`loss`, `accuracy`, ...),
      `attrs["split"]` (`train` or `test`), `attrs["at_origin"]` (the same quantity at the subspace's origin).
      Training quantities carry the metric's name (`loss`), test quantities the prefix `test_` (`test_loss`).
    - `standard_error`: of the variable named in `attrs["of"]`; there when a subset of the examples was used.
    - `gradient`: $\partial L / \partial c_k$, with the further dim `coordinate`.
    - `hessian`: $D^\top H D$ for the directions $D$, with the further dims `coordinate` and `coordinate_2`.
    - `per_example`: with the further dim `example` or `test_example`.
    - `mask`: `interpolated`, true where a value was predicted and not evaluated.
    - `region`: true where the variable `attrs["of"]` is below `attrs["eps"]`.

    A risk surface holds `pointwise_risk` (per example), `empirical_risk` and, of split `population`, `expected_risk`.
`path`
    A trajectory as seen in a subspace: over dim `step`, the coordinates (`alpha`, `beta`; role `position`), the
    `distance` of the true point from the subspace, and for each metric the value at the true point (`loss`, role
    `value`) and at its projection (`projected_loss`, role `projected`).
`trajectory`
    Weights recorded along a training run: `theta(step, weight)`, `loss(step)`, `learning_rate(step)`.
`components`
    Principal components of a trajectory: `component(axis, weight)`, `mean(weight)`,
    `explained_variance_ratio(axis)`, `score(step, axis)`; of a descent `score(start, step, axis)`.
`descent`
    An optimiser from many starts: `theta(start, step, weight)`, `loss(start, step)`, `gradient(start, step, weight)`
    (that of the update made at that step), `learning_rate(step)`; with mini-batches `batch_loss(start, step)` and the
    examples' numbers `example(step, slot)`. Projected onto a subspace it has positions like a path, over
    `(start, step)`. Once its ends are told apart: `outcome(start)` (a number of `attrs["names"]`, with
    `attrs["kinds"]`), `plateau(start)`, `crossings(start)`.
`critical_points`
    Over dim `point`: the position's coordinates, `loss`, `gradient_norm`, `eigenvalue(point, direction)`,
    `eigenvector(point, coordinate, direction)`, `type` (a number of `attrs["names"]`).
`linear_approximation`
    A function of one variable and its tangents: `value(x)`; `tangent(step, x)`, and over `step`: `point`, `epsilon`,
    `slope`, `true`, `approximation`, `error`.
`fit`
    A model of one input along a descent: `prediction(start, step, input)`, `loss(start, step)`,
    `theta(start, step, weight)`, the data `x(example)`, `y(example)`; perhaps `truth(input)`.

Kinds of curvature say in `attrs["matrix"]` whose: `hessian`, `ggn`, `fisher`, `fisher_sampled` or `empirical_fisher`.
Eigenvalues have the unit of the loss, because weights have none.

`eigenpairs`
    Over dim `pair`, numbered from 1 in the order that `attrs["which"]` says (`magnitude`, `largest`, `smallest`;
    `both` is from the largest down): `eigenvalue`, `residual` $= \lVert Av - \lambda v \rVert$, `converged`; perhaps
    `eigenvector(pair, weight)`. Attrs among others: `tol`, `num_matvecs`, `num_weights`, `num_selected`, `parameters`,
    `gradient_share`, `num_classes` (0 where there are none).
`spectral_density`
    `density(eigenvalue)` and `density_standard_error(eigenvalue)`, perhaps the ends of its interval, `density_low` and
    `density_high`; the quadrature of each probe, `node(probe, ...)` and `node_weight(probe, ...)`, over a second dim of
    any name but `node`; weights of a probe sum to 1. Attrs: `sigma` (width of the bumps), `trace`,
    `trace_standard_error`, `quantile` (standard errors that an interval reaches to either side).
`estimate`
    `attrs["quantity"]` is `trace`, with `value`, `standard_error` and perhaps `sample(probe)`, or `diagonal`, with
    `value(weight)` and `standard_error(weight)`.
`spectrum_path`
    Curvature along training: `eigenvalue(step, pair)`, `residual(step, pair)`, `converged(step, pair)`; over `step`
    `num_matvecs`, `learning_rate`, `loss`, `gradient_norm`, `gradient_share`, `threshold` (the curvature at which
    descent becomes unstable, nan where unknown; `attrs["threshold_words"]`); perhaps `seconds(step)`,
    `overlap(step, other)` of the top subspaces (0 to 1; `other` are the same steps), `preconditioned(step, pair)`, and
    densities `density(step, grid)` over the eigenvalues in coordinate `grid`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import xarray as xr

KINDS = (
    *("surface", "path", "trajectory", "components"),
    *("descent", "critical_points", "linear_approximation", "fit"),
    *("eigenpairs", "spectral_density", "estimate", "spectrum_path"),
)
ROLES = ("value", "standard_error", "gradient", "hessian", "per_example", "mask", "region")
MATRICES = {
    "hessian": "Hessian",
    "ggn": "Gauss-Newton matrix",
    "fisher": "Fisher matrix",
    "fisher_sampled": "sampled Fisher matrix",
    "empirical_fisher": "empirical Fisher matrix",
}
QUANTITIES = {"trace": (), "diagonal": ("weight",)}


class SchemaError(ValueError):
    """A dataset is not what the rest of thalweg can read."""


def check(dataset: xr.Dataset) -> xr.Dataset:
    """Return `dataset` unchanged if it fulfils the schema of its kind.

    Raises
    ------
    SchemaError
        Naming the first thing that is missing or wrong.

    Examples
    --------
    >>> import xarray as xr
    >>> check(xr.Dataset())
    Traceback (most recent call last):
    thalweg.schema.SchemaError: The dataset has no `kind` in its attrs; expected one of surface, path, trajectory, ...
    """
    kind = dataset.attrs.get("kind")
    if kind is None:
        raise SchemaError(f"The dataset has no `kind` in its attrs; expected one of {', '.join(KINDS)}.")
    if kind not in KINDS:
        raise SchemaError(f"Unknown kind {kind!r}; expected one of {', '.join(KINDS)}.")
    _CHECKS[kind](dataset)
    return dataset


def coordinates(surface: xr.Dataset) -> tuple[str, ...]:
    """Names of the grid's dims, in order."""
    return tuple(np.atleast_1d(surface.attrs["coordinates"]).tolist())


def values(surface: xr.Dataset) -> list[str]:
    """Names of the measured quantities, training before test, loss before the metrics."""
    names = [str(name) for name, var in surface.data_vars.items() if var.attrs.get("role") == "value"]
    return sorted(names, key=lambda n: (surface[n].attrs["split"] != "train", surface[n].attrs["metric"] != "loss"))


def at_model(surface: xr.Dataset) -> bool:
    """Whether coordinates zero are the model itself (`attrs["origin"]`) and not, say, the mean of a path."""
    return surface.attrs.get("origin", "model") == "model"


def value_name(metric: str, split: str) -> str:
    """Name of the variable that holds `metric` on `split`: `loss`, `test_loss`."""
    return metric if split == "train" else f"{split}_{metric}"


def _check_surface(ds: xr.Dataset) -> None:
    dims = _need_coordinates(ds)
    for dim in dims:
        _need(ds, ds.coords, dim, "coordinate")
        if ds[dim].dims != (dim,):
            raise SchemaError(f"Coordinate `{dim}` must be a list of numbers, finite and strictly increasing.")
        _need_increasing(ds[dim])
    for name, var in ds.data_vars.items():
        _check_variable(ds, str(name), var, dims)
    if not values(ds):
        raise SchemaError("A surface needs at least one variable with attrs['role'] == 'value'.")


def _check_variable(ds: xr.Dataset, name: str, var: xr.DataArray, dims: tuple[str, ...]) -> None:
    role = var.attrs.get("role")
    if role not in ROLES:
        raise SchemaError(f"Variable `{name}` has role {role!r}; expected one of {', '.join(ROLES)}.")
    further = {
        "gradient": ("coordinate",),
        "hessian": ("coordinate", "coordinate_2"),
        "per_example": tuple(map(str, var.dims[len(dims) :][:1])) or ("example",),
    }.get(role, ())
    if tuple(var.dims) != (*dims, *further):
        more = {
            "gradient": " and `coordinate`",
            "hessian": " and `coordinate`, `coordinate_2`",
            "per_example": " and one for the examples",
        }.get(role, "")
        raise SchemaError(f"Variable `{name}` has dims {var.dims}; a {role} has {dims}{more}, in this order.")
    if role == "value":
        for key in ("metric", "split", "long_name", "units"):
            if key not in var.attrs:
                raise SchemaError(f"Variable `{name}` lacks attrs[{key!r}].")
    if role in ("standard_error", "region") and var.attrs.get("of") not in ds:
        whose = {"standard_error": "whose standard error it is", "region": "of which variable it is a region"}[role]
        raise SchemaError(f"Variable `{name}` must say in attrs['of'] {whose}.")


def _check_path(ds: xr.Dataset) -> None:
    dims = _need_coordinates(ds)
    for dim in dims:
        _need(ds, ds.data_vars, dim, "position")
    _need(ds, ds.data_vars, "distance", "variable")
    _one_dimensional(ds, [*dims, "distance"], "step")


def _check_trajectory(ds: xr.Dataset) -> None:
    _need_variables(ds, {"theta": ("step", "weight"), "loss": ("step",), "learning_rate": ("step",)})
    _need(ds, ds.coords, "step", "coordinate")


def _check_components(ds: xr.Dataset) -> None:
    _need_variables(
        ds,
        {
            "component": ("axis", "weight"),
            "mean": ("weight",),
            "explained_variance_ratio": ("axis",),
            "score": ("start", "step", "axis") if "start" in ds.dims else ("step", "axis"),
        },
    )


def _check_descent(ds: xr.Dataset) -> None:
    every = ("start", "step", "weight")
    _need_variables(ds, {"theta": every, "loss": every[:2], "gradient": every, "learning_rate": ("step",)})
    for dim in every[:2]:
        _need(ds, ds.coords, dim, "coordinate")
    if "coordinates" in ds.attrs:
        _need_variables(ds, dict.fromkeys((*coordinates(ds), "distance"), every[:2]))
    further = {"batch_loss": every[:2], "example": ("step", "slot"), "crossings": every[:1]}
    _need_variables(ds, {name: dims for name, dims in further.items() if name in ds})
    if "outcome" in ds:
        _need_variables(ds, dict.fromkeys(("outcome", "plateau"), every[:1]))
        _need_names(ds["outcome"], "names", "kinds")


def _check_critical_points(ds: xr.Dataset) -> None:
    dims = _need_coordinates(ds)
    flat = dict.fromkeys((*dims, "loss", "gradient_norm", "type"), ("point",))
    matrices = {"eigenvalue": ("point", "direction"), "eigenvector": ("point", "coordinate", "direction")}
    _need_variables(ds, {**flat, **matrices})
    _need_names(ds["type"], "names")


def _check_linear_approximation(ds: xr.Dataset) -> None:
    steps = dict.fromkeys(("point", "epsilon", "slope", "true", "approximation", "error"), ("step",))
    _need_variables(ds, {"value": ("x",), "tangent": ("step", "x"), **steps})
    for dim in ("x", "step"):
        _need(ds, ds.coords, dim, "coordinate")


def _check_fit(ds: xr.Dataset) -> None:
    _need_variables(
        ds,
        {
            "prediction": ("start", "step", "input"),
            "loss": ("start", "step"),
            "theta": ("start", "step", "weight"),
            "x": ("example",),
            "y": ("example",),
        },
    )
    if "truth" in ds:
        _need_variables(ds, {"truth": ("input",)})
    for dim in ("start", "step", "input"):
        _need(ds, ds.coords, dim, "coordinate")


def _check_eigenpairs(ds: xr.Dataset) -> None:
    _need_matrix(ds)
    _need_variables(ds, dict.fromkeys(("eigenvalue", "residual", "converged"), ("pair",)))
    if "eigenvector" in ds:
        _need_variables(ds, {"eigenvector": ("pair", "weight")})
    _need(ds, ds.coords, "pair", "coordinate")
    _need_verdicts(ds)


def _check_spectral_density(ds: xr.Dataset) -> None:
    _need_matrix(ds)
    _need(ds, ds.coords, "eigenvalue", "coordinate")
    further = [name for name in ("density_low", "density_high") if name in ds]
    _need_variables(ds, dict.fromkeys(("density", "density_standard_error", *further), ("eigenvalue",)))
    _need_increasing(ds["eigenvalue"])
    for name in ("node", "node_weight"):
        _need(ds, ds.data_vars, name, "variable")
        dims = ds[name].dims
        if len(dims) != 2 or dims[0] != "probe" or dims != ds["node"].dims:
            raise SchemaError(f"`{name}` has dims {dims}; expected `probe` and one for the nodes, for both the same.")


def _check_estimate(ds: xr.Dataset) -> None:
    _need_matrix(ds)
    quantity = ds.attrs.get("quantity")
    if quantity not in QUANTITIES:
        raise SchemaError(f"attrs['quantity'] is {quantity!r}; an estimate is of one of {', '.join(QUANTITIES)}.")
    _need_variables(ds, dict.fromkeys(("value", "standard_error"), QUANTITIES[quantity]))
    if "sample" in ds:
        _need_variables(ds, {"sample": ("probe",)})


def _check_spectrum_path(ds: xr.Dataset) -> None:
    _need_matrix(ds)
    _need(ds, ds.coords, "step", "coordinate")
    every = dict.fromkeys(("eigenvalue", "residual", "converged"), ("step", "pair"))
    scalars = ("num_matvecs", "learning_rate", "loss", "gradient_norm", "gradient_share", "threshold")
    _need_variables(ds, {**every, **dict.fromkeys(scalars, ("step",))})
    further = {"preconditioned": ("step", "pair"), "overlap": ("step", "other"), "density": ("step", "grid")}
    _need_variables(ds, {name: dims for name, dims in further.items() if name in ds})
    _need_verdicts(ds)
    for name, coordinate in (("overlap", "other"), ("density", "grid")):
        if name in ds:
            _need(ds, ds.coords, coordinate, "coordinate")
    if "density" in ds:
        _need_increasing(ds["grid"])


def _need_matrix(ds: xr.Dataset) -> None:
    if ds.attrs.get("matrix") not in MATRICES:
        raise SchemaError(
            f"attrs['matrix'] of a {ds.attrs['kind']} is {ds.attrs.get('matrix')!r}; "
            f"expected one of {', '.join(MATRICES)}."
        )


def _need_verdicts(ds: xr.Dataset) -> None:
    if ds["converged"].dtype.kind not in "biu":
        raise SchemaError(f"`converged` holds {ds['converged'].dtype}; expected true or false for every pair.")


def _need_increasing(axis: xr.DataArray) -> None:
    numeric = axis.dtype.kind in "iuf"
    if not numeric or not np.isfinite(axis).all() or not (np.diff(axis.values) > 0).all():
        raise SchemaError(f"Coordinate `{axis.name}` must be a list of numbers, finite and strictly increasing.")


def _need_names(var: xr.DataArray, *keys: str) -> None:
    """Numbers that stand for words: each has one."""
    for key in keys:
        words = np.atleast_1d(var.attrs.get(key, []))
        if var.dtype.kind not in "iu" or (var.size and not 0 <= int(var.min()) <= int(var.max()) < len(words)):
            raise SchemaError(f"`{var.name}` holds whole numbers, each the place of a word in its attrs[{key!r}].")


def _need_coordinates(ds: xr.Dataset) -> tuple[str, ...]:
    kind = ds.attrs["kind"]
    if "coordinates" not in ds.attrs:
        raise SchemaError(f"A {kind} names its dims in attrs['coordinates'], for example ['alpha', 'beta'].")
    dims = coordinates(ds)
    if not dims or not all(isinstance(dim, str) for dim in dims):
        raise SchemaError(
            f"attrs['coordinates'] of a {kind} is {ds.attrs['coordinates']!r}; expected names of its dims."
        )
    return dims


def _need_variables(ds: xr.Dataset, wanted: dict[str, tuple[str, ...]]) -> None:
    for name, dims in wanted.items():
        _need(ds, ds.data_vars, name, "variable")
        if ds[name].dims != dims:
            raise SchemaError(f"`{name}` has dims {ds[name].dims}; expected {dims}.")


def _need(ds: xr.Dataset, where: Iterable[Hashable], name: str, what: str) -> None:
    if name not in where:
        raise SchemaError(f"A {ds.attrs['kind']} needs the {what} `{name}`; it has {sorted(map(str, where))}.")


def _one_dimensional(ds: xr.Dataset, names: Iterable[str], dim: str) -> None:
    _need(ds, ds.coords, dim, "coordinate")
    for name in names:
        if ds[name].dims != (dim,):
            raise SchemaError(f"`{name}` has dims {ds[name].dims}; expected ('{dim}',).")


_CHECKS = {
    "surface": _check_surface,
    "path": _check_path,
    "trajectory": _check_trajectory,
    "components": _check_components,
    "descent": _check_descent,
    "critical_points": _check_critical_points,
    "linear_approximation": _check_linear_approximation,
    "fit": _check_fit,
    "eigenpairs": _check_eigenpairs,
    "spectral_density": _check_spectral_density,
    "estimate": _check_estimate,
    "spectrum_path": _check_spectrum_path,
}
