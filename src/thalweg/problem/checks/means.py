"""Is every criterion a mean over examples, and may batches be cut anew?"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from thalweg.problem.checks.values import describe, differ, mean, seeded, tolerance
from thalweg.problem.criterion import Criterion, averages, class_weights, per_example
from thalweg.problem.data import Batches
from thalweg.problem.network import Network, form_of
from thalweg.problem.tree import batch_size, leaves, take, tree_map

Cuts = Literal["freely", "coupled", "unknown"]
"""Whether an example's loss is independent of its batch, depends on it, or cannot be computed in other batches."""

_ROWS = 12
_DRAWS = 3


def cuts(network: Network, data: Batches, most: int) -> Cuts:
    """Whether examples are evaluated independently where the network stands, so that batches may be cut at will.

    Raises
    ------
    ValueError
        If a step returns a scalar that is not the mean over the batch's examples.
    """
    batch = data.several(most)
    if batch is None:
        return "freely"  # every example is a batch of its own and stays one
    n = batch_size(batch)
    left = max(2 if n >= 4 else 1, n // 3)
    try:
        whole, *parts = (seeded(network, b, 1) for b in (batch, *_parts(batch, n, left, data.columns)))
    except Exception:
        return "unknown"  # batch statistics of a single example, fixed shapes, time first
    found: Cuts = "freely"
    for name in whole if network.head.step is not None else ("loss",):
        value, a, b = whole[name], parts[0][name], parts[1][name]
        if value.ndim:
            together = torch.cat([a.reshape(-1), b.reshape(-1)])
            found = "coupled" if differ(value, together, tolerance(network)) else found
        elif differ(value, (a.mean() * left + b.mean() * (n - left)) / n, tolerance(network)):
            if network.head.step is not None:
                raise _no_mean(name, value, n, (a.mean() * left + b.mean() * (n - left)) / n, "")
            found = "coupled"
    return found


def check_criteria(network: Network, batch: Any, criteria: Mapping[str, Criterion]) -> bool:
    """Refuse criteria that broadcast, sum, or weigh; return whether one lets examples depend on each other.

    The criteria are tried apart from the network, on random outputs in the place of its own: at a perfect fit, or where
    all outputs are alike, a sum or a broadcast may look like a mean.
    """
    inputs, targets = batch
    outputs = network.head.predict(inputs)
    for name, criterion in network.head.criteria.items():
        _no_broadcast(name, criterion, outputs, targets)
    if network.head.form is None:
        network.head.form = form_of(outputs, targets)
    n = batch_size(targets)
    if any(leaf.ndim == 0 or leaf.shape[0] != n for leaf in (*leaves(outputs), *leaves(targets))):
        return False
    rows = (torch.linspace(0, n - 1, _ROWS).long() if n >= _ROWS else torch.arange(_ROWS) % n).to(network.device)
    some, wanted = take(outputs, rows, n), take(targets, rows, n)
    coupled = False
    for name, criterion in criteria.items():
        own = _own(criterion, network) if averages(criterion) else None
        for seed in range(_DRAWS):
            coupled |= _acts_on_each(name, network.head.criteria[name], own, some, wanted, seed)
    return coupled


def check_targets(network: Network, data: Batches, criteria: Mapping[str, Criterion]) -> None:
    """Refuse class weights and ignored targets anywhere in data on the device: the mean is then not over examples.

    Streamed data are checked in their first batch only, by the criterion's own mean.
    """
    if not data.resident:
        return
    for name, criterion in criteria.items():
        weight, ignored = class_weights(criterion)
        if ignored is None:
            continue
        weight = None if weight is None else weight.to(network.device)
        uneven = torch.zeros(1, dtype=torch.bool, device=network.device)
        for batch in data.iterate():
            targets = batch[1] if isinstance(batch, (tuple, list)) and len(batch) == 2 else None
            if not isinstance(targets, Tensor) or targets.is_floating_point():
                break
            uneven = uneven | (targets == ignored).any()
            if weight is not None:
                uneven = uneven | (weight[targets.clamp(0, len(weight) - 1)] != 1).any()
        if uneven:
            raise _uneven(name, "some targets are ignored or have a weight other than one")


def _parts(batch: Any, n: int, left: int, columns: list[bool] | None) -> Iterator[Any]:
    yield take(batch, slice(0, left), n, columns)
    yield take(batch, slice(left, n), n, columns)


def _no_broadcast(name: str, criterion: Criterion, outputs: Any, targets: Any) -> None:
    """An elementwise loss of (n, 1) outputs and (n,) targets is an (n, n) table: a classic silent mistake."""
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)) or outputs.shape == targets.shape:
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = criterion(outputs, targets)
    warned = any("target size" in str(w.message) for w in caught)
    table = values.shape == _broadcast_shape(outputs, targets) and (_grows(outputs, targets) or values.ndim > 1)
    if table or warned:
        raise ValueError(
            f"The outputs have shape {tuple(outputs.shape)} and the targets {tuple(targets.shape)}: `{name}` would "
            f"silently broadcast them to {tuple(values.shape)}. Give both one shape, for example "
            f"`targets.reshape(-1, *{tuple(outputs.shape[1:])})`."
        )


def _acts_on_each(
    name: str, criterion: Criterion, own: Criterion | None, outputs: Any, targets: Any, seed: int
) -> bool:
    """Compare the criterion on some rows with the same on each row alone; return whether rows depend on each other."""
    trial = _trial(criterion, outputs, targets, seed)
    if trial is None:
        return False
    outputs, whole, parts = trial
    told = f"; outputs {describe(outputs)}, targets {describe(targets)}"
    exact = 1e-6 if whole.dtype == torch.float64 else 1e-4
    if whole.numel() == 1:
        expected = torch.stack([part.double().mean() for part in parts]).mean()
        if differ(whole.double().reshape(()), expected, exact):
            raise _no_mean(name, whole, _ROWS, expected, told)
        return False
    if whole.numel() != sum(part.numel() for part in parts):
        raise ValueError(
            f"`{name}` returned {tuple(whole.shape)} values for {_ROWS} examples and {tuple(parts[0].shape)} for a "
            f"part of these: it would silently broadcast{told}. Give outputs and targets one shape, and return one "
            "value each."
        )
    each = per_example(whole, _ROWS, name).double()
    coupled = differ(each, torch.cat([per_example(p, len(p), name) if p.ndim else p[None] for p in parts]), 1e-3)
    if coupled and _grows(outputs, targets):
        raise ValueError(f"`{name}` compares every example with every other: it would silently broadcast{told}.")
    if own is not None and differ(own(outputs, targets).double(), each.mean(), exact):
        raise _uneven(name, f"by its own rule it averages to {mean(own(outputs, targets)):.6g}, not {mean(each):.6g}")
    return coupled


def _trial(criterion: Criterion, outputs: Any, targets: Any, seed: int) -> tuple[Any, Tensor, list[Tensor]] | None:
    """Outputs that the criterion takes, its finite value there, and those of single rows (or, failing that, halves)."""
    for draw in _draws(outputs, targets, seed):
        try:
            whole = criterion(draw, targets)
            if not isinstance(whole, Tensor) or not whole.isfinite().all():
                continue
        except Exception:
            continue
        for size in (1, _ROWS // 2):
            starts = range(0, _ROWS, size)
            try:
                return draw, whole, [criterion(*_rows((draw, targets), slice(s, s + size))) for s in starts]
            except Exception:
                continue
    return None


def _draws(outputs: Any, targets: Any, seed: int) -> Iterator[Any]:
    """Random outputs, from the likeliest range to the outputs as they are; probabilities stay such (CUDA asserts)."""
    generator = torch.Generator().manual_seed(seed)

    def like(draw: Callable[[Tensor], Tensor]) -> Any:
        return tree_map(lambda leaf: draw(leaf).to(leaf) if leaf.is_floating_point() else leaf, outputs)

    def normal(leaf: Tensor, model: Tensor) -> Tensor:
        center, spread = float(model.double().mean()), float(model.double().std(correction=0))
        return center + (spread or 1.0) * torch.randn(leaf.shape, generator=generator, dtype=torch.float64)

    values = [leaf for leaf in leaves(outputs) if leaf.is_floating_point()]
    probable = all(float(v.min()) >= 0 and 0 < float(v.max()) <= 1 for v in values)
    if values and not probable:
        if isinstance(targets, Tensor) and targets.is_floating_point() and targets.numel() == values[0].numel():
            yield like(lambda leaf: normal(leaf, targets))
        yield like(lambda leaf: normal(leaf, leaf))
    if values:
        yield like(lambda leaf: torch.rand(leaf.shape, generator=generator, dtype=torch.float64))
    yield outputs


def _rows(trees: tuple[Any, Any], index: slice) -> Any:
    return tuple(tree_map(lambda leaf: leaf[index], tree) for tree in trees)


def _own(criterion: Criterion, network: Network) -> Criterion:
    """The criterion with its own reduction, where the network computes."""
    if not isinstance(criterion, nn.Module):
        return criterion
    own = copy.deepcopy(criterion).to(network.device)
    return own.double() if network.precision == "float64" else own


def _no_mean(name: str, value: Tensor, count: int, parts: Tensor, told: str) -> ValueError:
    return ValueError(
        f"`{name}` returned {mean(value):.6g} for {count} examples, but its parts average to {mean(parts):.6g}: it is "
        f"not a mean over examples (a sum, class weights, a silent broadcast{told}, or a loss that couples examples). "
        "Return one value per example."
    )


def _uneven(name: str, why: str) -> ValueError:
    return ValueError(
        f"`{name}` is not a mean over examples (class weights, or ignored targets): {why}. Say which mean you want: "
        "pass a function that returns one value per example, for instance "
        '`lambda o, t: F.cross_entropy(o, t, weight=w, reduction="none") / w[t].mean()`.'
    )


def _broadcast_shape(a: Tensor, b: Tensor) -> torch.Size | None:
    try:
        return torch.broadcast_shapes(a.shape, b.shape)
    except RuntimeError:
        return None


def _grows(outputs: Any, targets: Any) -> bool:
    """Whether outputs and targets would be broadcast to more values than either has."""
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)):
        return False
    shape = _broadcast_shape(outputs, targets)
    return shape is not None and shape.numel() > max(outputs.numel(), targets.numel())
