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
    Weights recorded along a training run: `theta(step, weight)`, `loss(step)`, `learning_rate(step)`; perhaps further
    metrics over `step`.
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

`connection`
    A low-loss curve between two optima while it was learned: its control points `theta(node, weight)`, ends included,
    and over `step` (updates, from 1) the mini-batches' `loss` and `learning_rate`. `attrs["curve"]` is `polygonal` or
    `bezier`.
`barrier`
    How far a loss rises over the straight line between its values at the ends of a curve: over dim `quantity` (names of
    values), `barrier`, the place `t`, the value there `highest`, and the ends' values `start` and `end`.
`course`
    A curve as seen from a plane: over dim `t` the coordinates and the `distance` from the plane; of its control points
    `node_distance(node)` and each coordinate with the prefix `node_`; perhaps values like a path's (`loss`).
`motion`
    How a training run moved: over `step`, `distance_from_start`, `distance_from_end`, `path_length` (so far), `speed`
    (distance per update since the row before) and `cosine` (between the move before a row and the one after it).
`random_walk`
    What the components of a path are to be held against: over `axis` the path's `explained_variance_ratio`, that of a
    random walk of as many steps in infinitely many dimensions, `theory`, and of simulated walks `walk(sample, axis)`;
    the scores `score(step, axis)` of the path, `walk_score(step, axis)` of one walk, `theory_score(step, axis)`.
`components_by_length`
    Components of the first so many steps of a run: `explained_variance_ratio(length, axis)`, `theory(length, axis)` of
    a random walk as long, and `overlap(length)` of the span of the components with that of the whole run's (0 to 1).

`initializations`
    One network under several initialisations. Over `scheme` and `layer` (names of weight matrices and kernels): the
    norm of the gradient of the mean loss before training, `gradient_norm`, and of what each layer passes on,
    `activation_mean`, `activation_std` and `dead` (the share of its units that are 0 for every example; the coordinate
    `activation(layer)` names the functions that the layer's output goes through first). `loss(scheme, step)` of the
    mini-batches (updates, from 1), `initial_loss(scheme)` and `final_loss(scheme)` over all data (perhaps `initial_`
    and `final_` of other quantities, such as `test_loss`), and `diverged_at(scheme)`, the first update whose loss is
    not finite, -1 for never: `inf` and `nan` are kept. Perhaps `singular_value(scheme, state, value)` of the Jacobian
    of the outputs in the weights, for `state` `initial` and `trained`.
`gradients`
    At one place in weight space: `norm(layer)` of the gradient over all data, by parameter; `example_norm(example)` of
    the examples' own gradients, and `cosine(one, other)` between some of them (coordinates are the examples' numbers in
    the order they were chosen in; perhaps `target`). In attrs `noise_scale` with `noise_scale_standard_error`,
    `trace_covariance`, `gradient_square`, and the standard errors of these.
`extrapolation`
    A model of one input and one output within and beyond the range of its training data, `attrs["train_range"]`: over
    `input`, in rising order of it, `x`, `prediction`, `target` and `inside` (true or false); over `region` (`inside`,
    `outside`), `mean_square_error`, `largest_error` and `count`.

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

Kinds of the tangent of a network have rows, one for each input and output, whose coordinates `example(row)` and
`output(row)` say of which (`output` is -1 where it is none by itself: a sum, or a loss).

`tangent`
    The Jacobian $J = U \Sigma V^\top$ of the outputs in the weights: over `value`, numbered from 1, `singular_value`
    and `residual` (the root of $\lVert Jv - \sigma u \rVert^2 + \lVert J^\top u - \sigma v \rVert^2$, or more);
    `principal_feature(row, value)`, the columns of $U \Sigma$; perhaps `bound(value)`, by how much a singular value
    can be larger, `right_vector(value, weight)`, and over `row` the inputs `x` where they are numbers, `prediction`,
    `target`. Attrs: `method` (`exact`, `randomized`, `lanczos`), `rank` with `rank_known`, `frobenius`, `tail` (of
    what is left out, in that norm), `num_weights`, `theta_id`; perhaps the training data's `train_low`, `train_high`.
`kernel`
    The tangent kernel $J J^\top$ as `kernel(row, column)`; columns have coordinates with the prefix `column_`.
    `attrs["part"]` is `full`, `trace` (summed over outputs: one row for each input) or `layer` (the first dim `layer`,
    whose parts add up to the whole). Perhaps `order(row)` and `column_order(column)`: places of the rows in drawings.
`lazy`
    How far training leaves the tangent: over `step`, the `distance` of the weights from the first, the `error` of the
    linearised outputs (root mean square), `loss` and `linear_loss` of both models at the same weights; perhaps
    `relative_distance`, `relative_error`, `kernel_alignment` with the first step's kernel, `target_alignment`; of the
    linearised model trained by itself `trained_loss`, and how far its outputs are `apart` from the network's.
`tangent_path`
    The tangent along training: `singular_value(step, value)` (0 beyond the rank), `prediction(step, row)`; over `step`
    `rank` (a lower bound where `rank_known` is false), `effective_rank` $(\sum \sigma^2)^2 / \sum \sigma^4$, `loss`,
    `diverged` (then all but the losses are nan; `attrs["diverged_at"]` is the first such step, or -1); perhaps
    `frobenius`, further quantities such as `test_loss`, `kernel_alignment` and `target_alignment`, and over `row` `x`
    and `target`. Perhaps `principal_feature(step, row, value)`, in the signs and the order of the step before, with
    `place(step, value)`, the number of its singular value, and `agreement(step, value)`, its cosine with itself a step
    before (nan at the first).
`gradient_features`
    Gradients of the outputs in every weight: `feature(row, weight)`, `prediction(row)`, perhaps `x(row)` and
    `target(row)`; the coordinates `parameter(weight)` and `layer(weight)` name what a weight belongs to.
`elbows`
    A ReLU network of one input in pieces: over `elbow` the place `x`, `turns` (1: the unit is on to its right, -1: to
    its left) and `bend(elbow, output)`, the change of slope, with coordinates `layer`, `depth` (from 1) and `unit`;
    over `node`, which are all places and the ends, `node_x` and `prediction(node, output)`, with straight lines
    between; over `part` (the layers) `units`, `always_on`, `never_on`; over `relu`, every unit of every layer, with
    coordinates `relu_depth` and `relu_unit`, `on_at_low`, whether it is on at the lower end. Perhaps data
    `train_x(example)`, `train_y(example)` and `truth_x(place)`, `truth(place)`. Attrs: `low`, `high`; perhaps
    `train_low`, `train_high`.

`graph`
    What is computed from what. Over `node`, whose coordinate is a name, in the order of computing: `operation`,
    `role` (a number of `attrs["names"]`: input, parameter, buffer, constant, operation), `module` (the innermost of
    the calls over `module_call`, -1 for none), `shape` (JSON; of the first output), `dtype`, `parameters` (how many
    numbers of parameters it reads, or is), `value` and `gradient` (of the result in it; nan where either is no single
    number), `gradient_norm`, `arguments`, `source`. Over `edge`: `tail`, `head`, `argument` and `output` (which of the
    head's tensor arguments is which output of the tail), `edge_shape`, `local_derivative`. Over `module_call`: `path`,
    `call` (from 1), `type`, `parent` (-1 for none), `module_parameters`. Of autograd, over `backward_node`:
    `backward_operation`, `forward` (its node, -1 for none), `saved` (JSON: name, shape, dtype, whose), `saved_bytes`;
    over `backward_edge`: `backward_tail`, `backward_head`. Attrs: `engine`, `scalar` (whether every value is a single
    number), `outputs` (numbers of nodes), `num_parameters`.
"""

from __future__ import annotations

import xarray as xr

from thalweg.schema import curvatures, descents, graphs, paths, statistics, surfaces, tangents, valleys
from thalweg.schema.curvatures import MATRICES, QUANTITIES
from thalweg.schema.needs import SchemaError, coordinates
from thalweg.schema.surfaces import ROLES, values

__all__ = [
    "KINDS",
    "MATRICES",
    "QUANTITIES",
    "ROLES",
    "SchemaError",
    "at_model",
    "check",
    "coordinates",
    "value_name",
    "values",
]

_CHECKS = (
    surfaces.CHECKS
    | paths.CHECKS
    | descents.CHECKS
    | curvatures.CHECKS
    | valleys.CHECKS
    | tangents.CHECKS
    | statistics.CHECKS
    | graphs.CHECKS
)
KINDS = tuple(_CHECKS)


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
    thalweg.schema.needs.SchemaError: The dataset has no `kind` in its attrs; expected one of surface, path, ...
    """
    kind = dataset.attrs.get("kind")
    if kind is None:
        raise SchemaError(f"The dataset has no `kind` in its attrs; expected one of {', '.join(KINDS)}.")
    if kind not in KINDS:
        raise SchemaError(f"Unknown kind {kind!r}; expected one of {', '.join(KINDS)}.")
    _CHECKS[kind](dataset)
    return dataset


def at_model(surface: xr.Dataset) -> bool:
    """Whether coordinates zero are the model itself (`attrs["origin"]`) and not, say, the mean of a path."""
    return surface.attrs.get("origin", "model") == "model"


def value_name(metric: str, split: str) -> str:
    """Name of the variable that holds `metric` on `split`: `loss`, `test_loss`."""
    return metric if split == "train" else f"{split}_{metric}"
