"""What is refused before anything is computed: problems whose loss is not one function of the weights.

Each check runs the network on (a part of) the first batch only, and its error says what to switch.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from thalweg.problem.criterion import Criterion, averages
from thalweg.problem.network import Network
from thalweg.problem.tree import batch_size, leaves, take

_ENOUGH = 256


def finite_weights(network: Network) -> None:
    """Refuse weights that are inf or nan, and a network without trainable weights."""
    if network.layout.num_weights == 0:
        raise ValueError(
            "The model has no trainable parameters (all are frozen, or there are none). "
            "Call `model.requires_grad_(True)` on what you want to move."
        )
    for block in network.layout.blocks:
        bad = int((~torch.isfinite(network.theta[block.slice])).sum())
        if bad:
            raise ValueError(
                f"Parameter `{block.name}` has {bad} non-finite entries (of {block.size}): the training has diverged, or "
                "the checkpoint is damaged. Load finite weights; the landscape around inf or nan is nowhere defined."
            )


def well_formed(network: Network, batch: Any, criteria: Mapping[str, Criterion]) -> dict[str, Tensor]:
    """Evaluate the first batch; refuse malformed batches, and targets that a loss would silently broadcast."""
    if network.head.step is None and not (isinstance(batch, (tuple, list)) and len(batch) == 2):
        raise TypeError(
            f"A batch is a {type(batch).__name__}{_length(batch)}; expected a pair (inputs, targets). "
            "For other batches pass `step=`, a function (model, batch) -> per-example losses."
        )
    network.load(network.theta.unsqueeze(0), 1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            values = network(batch)
        except Exception as error:
            raise _explained(error, network, batch) from error
    if network.head.step is None:
        broadcast = [w for w in caught if "target size" in str(w.message)]
        _same_shape(network, batch, criteria, warned=bool(broadcast))
    return {name: value[0] for name, value in values.items()}


def deterministic(network: Network, batch: Any) -> None:
    """Refuse a network that gives two different losses for the same weights."""
    first, second = (_seeded(network, batch, seed) for seed in (1, 2))
    for name, value in first.items():
        if _differ(value, second[name], 1e-4):
            raise ValueError(
                f"The same weights and batch gave two different values of `{name}` "
                f"({_mean(value):.6g} and {_mean(second[name]):.6g}). {_culprits(network.head.model)}"
            )


def splits_freely(network: Network, batch: Any) -> bool:
    """Whether examples are evaluated independently, so that batches may be cut at will.

    Raises
    ------
    ValueError
        If a criterion returns a scalar that is not the mean over the batch's examples.
    """
    n = batch_size(batch)
    if n < 2:
        return True
    whole, half = slice(0, min(n, _ENOUGH)), max(1, min(n, _ENOUGH) // 3)
    parts = [take(batch, s, n) for s in (whole, slice(0, half), slice(half, whole.stop))]
    try:
        all_, left, right = (_seeded(network, part, 1) for part in parts)
    except Exception:
        return False  # a batch of this size cannot be cut (batch statistics of a single example, fixed shapes)
    free = True
    for name, value in all_.items():
        if value.ndim:
            together = torch.cat([left[name], right[name]])
            free &= together.shape == value.shape and not _differ(value, together, _tolerance(network))
        else:
            mean = (left[name] * half + right[name] * (whole.stop - half)) / whole.stop
            if _differ(value, mean, _tolerance(network)):
                raise ValueError(
                    f"`{name}` returned {_mean(value):.6g} for {whole.stop} examples, but its parts of {half} and "
                    f"{whole.stop - half} average to {_mean(mean):.6g}: it is not a mean over examples (a sum, a silent "
                    f"broadcast{_shapes(network, batch)}, or a loss that couples examples). Return one value per example."
                )
    return free


def agrees_with(network: Network, batch: Any, criteria: Mapping[str, Criterion]) -> None:
    """Refuse a criterion whose own mean is not the mean over examples (class weights, ignored targets)."""
    inputs, targets = batch
    with torch.no_grad():
        outputs = network.head.predict(inputs)
    for name, criterion in criteria.items():
        if not averages(criterion):
            continue
        own = criterion.to(network.device) if isinstance(criterion, nn.Module) else criterion
        with torch.no_grad():
            native = own(outputs, targets).double()
            ours = network.head.criteria[name](outputs, targets).double().mean()
        if _differ(native, ours, max(1e-3, _tolerance(network))):
            raise ValueError(
                f"`{name}` averages to {native:.6g} by its own rule, but the mean over examples is {ours:.6g} (class "
                "weights, or ignored targets). Say which you want: pass a function that returns one value per "
                'example, for instance `lambda o, t: F.cross_entropy(o, t, weight=w, reduction="none") / w[t].mean()`.'
            )


def _same_shape(network: Network, batch: Any, criteria: Mapping[str, Criterion], *, warned: bool) -> None:
    """An elementwise loss of (n, 1) outputs and (n,) targets is an (n, n) table: a classic silent mistake."""
    inputs, targets = batch
    with torch.no_grad():
        outputs = network.head.predict(inputs)
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)) or outputs.shape == targets.shape:
        return
    broadcast = _broadcast_shape(outputs, targets)
    larger = broadcast is not None and broadcast.numel() > max(outputs.numel(), targets.numel())
    for name in criteria:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = network.head.criteria[name](outputs, targets)
        if values.shape == broadcast and (larger or values.ndim > 1) or (warned and name == "loss"):
            raise ValueError(
                f"The outputs have shape {tuple(outputs.shape)} and the targets {tuple(targets.shape)}: `{name}` would "
                f"silently broadcast them to {tuple(values.shape)}. Give both one shape, for example "
                f"`targets.reshape(-1, *{tuple(outputs.shape[1:])})`."
            )


def _seeded(network: Network, batch: Any, seed: int) -> dict[str, Tensor]:
    devices = [network.device.index or 0] if network.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed)
        return {name: value[0] for name, value in network(batch).items()}


def _culprits(model: nn.Module) -> str:
    """Name what is random: layers in training mode that draw numbers."""
    dropping = [f"`{n}` ({type(m).__name__})" for n, m in model.named_modules() if m.training and _is_random(m)]
    if dropping:
        return f"In training mode: {', '.join(dropping[:4])}. Call `model.eval()` before making the problem."
    if model.training:
        return "The model is in training mode. Call `model.eval()` before making the problem."
    return "Its forward pass draws random numbers even in evaluation mode; switch that off, or seed it inside forward."


def _is_random(module: nn.Module) -> bool:
    rate = getattr(module, "dropout", 0.0)
    return "Drop" in type(module).__name__ or (isinstance(rate, float) and rate > 0)


def _explained(error: Exception, network: Network, batch: Any) -> Exception:
    weights = {block.dtype for block in network.layout.blocks}
    if network.head.step is None:
        inputs, targets = batch
        got = f"inputs {_describe(inputs)} and targets {_describe(targets)}"
    else:
        got = f"a batch of {_describe(batch)}"
    return ValueError(
        f"The first batch could not be evaluated: {error} It holds {got}; the weights are "
        f"{', '.join(sorted(str(w).removeprefix('torch.') for w in weights))}{_shapes(network, batch)}."
    )


def _shapes(network: Network, batch: Any) -> str:
    if network.head.step is not None:
        return ""
    try:
        with torch.no_grad():
            outputs = network.head.predict(batch[0])
    except Exception:
        return ""
    return f"; outputs {_describe(outputs)}, targets {_describe(batch[1])}"


def _describe(tree: Any) -> str:
    parts = [f"{str(t.dtype).removeprefix('torch.')}{list(t.shape)}" for t in leaves(tree)]
    return ", ".join(parts) or type(tree).__name__


def _length(batch: Any) -> str:
    return f" of length {len(batch)}" if isinstance(batch, (tuple, list)) else ""


def _broadcast_shape(a: Tensor, b: Tensor) -> torch.Size | None:
    try:
        return torch.broadcast_shapes(a.shape, b.shape)
    except RuntimeError:
        return None


def _tolerance(network: Network) -> float:
    narrow = network.precision in ("bf16", "tf32") or any(b.dtype.itemsize < 4 for b in network.layout.blocks)
    return 0.05 if narrow else 1e-3


def _differ(a: Tensor, b: Tensor, tolerance: float) -> bool:
    """Whether values differ by more than `tolerance` of their size; equal infinities and nans do not."""
    if a.shape != b.shape:
        return True
    return not torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance * 1e-2, equal_nan=True)


def _mean(value: Tensor) -> float:
    return float(value.double().mean())


