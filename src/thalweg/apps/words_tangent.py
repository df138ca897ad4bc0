"""What tangents say, in sentences. HTML-safe: only numbers and our own words go in, texts of a dataset are escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping

import numpy as np
import xarray as xr

from thalweg.apps.words import number

_CLOSE = 0.1  # relative error of the linearised outputs below which training is called lazy
_FAR = 0.4  # and from which on it is not
_STILL = 0.95  # alignment with its first above which a kernel is said to have stayed


def tangents(several: Mapping[str, xr.Dataset]) -> list[str]:
    """Each by itself, then what they mean."""
    told = [tangent(ds, name if len(several) > 1 else "") for name, ds in several.items()]
    return [*told, _means(next(iter(several.values())))]


def tangent(ds: xr.Dataset, name: str = "") -> str:
    """Rank, the share of the first values, and how exact they are."""
    start = f"{html.escape(name)}: " if name else ""
    sizes = ds["singular_value"].values.astype(float)
    if not np.isfinite(sizes).all():
        return f"{start}the network has diverged, so its Jacobian is not finite."
    rank = int(ds.attrs.get("rank", sizes.size))
    rows, weights = ds.sizes["row"], int(ds.attrs.get("num_weights", 0))
    shape = f"{rows:,} rows" + (f" and {weights:,} weights" if weights else "")
    known = "the numerical rank is" if ds.attrs.get("rank_known", 1) else "the numerical rank is at least"
    share = f" (values below {ds.attrs['rtol']:.0e} of the largest count as zero)" if "rtol" in ds.attrs else ""
    first = f"{start}the Jacobian has {shape}; {known} {rank:,}{_limit(rank, rows, weights)}{share}"
    first = first if name else first[:1].upper() + first[1:]
    return ". ".join(part for part in (first, *_shares(ds, sizes), _certificate(ds, sizes)) if part) + "."


def _limit(rank: int, rows: int, weights: int) -> str:
    least = min(rows, weights) if weights else rows
    return f", of {least:,} that are possible" if rank < least else ", the largest that is possible"


def _shares(ds: xr.Dataset, sizes: np.ndarray) -> list[str]:
    total = float(ds.attrs.get("frobenius", np.nan)) ** 2
    if not total > 0 or not sizes.size:
        return []
    shares = np.cumsum(sizes**2) / total
    told = f"The first singular value, {number(float(sizes[0]))}, holds {shares[0]:.0%} of its squared length"
    more = [f", the first {k} hold {shares[k - 1]:.0%}" for k in (2, 10) if k <= sizes.size and shares[k - 2] < 0.995]
    return [told + "".join(more)]


def _certificate(ds: xr.Dataset, sizes: np.ndarray) -> str:
    """How the values were found and how wrong they can be."""
    method = str(ds.attrs.get("method", ""))
    if method == "exact":
        return "All values come from a full decomposition, exact up to rounding"
    if "bound" in ds and sizes.size:
        worst = float(np.nanmax(ds["bound"].values))
        return f"The values are from random projections with a certificate: none is larger by more than {number(worst)}"
    if method and sizes.size:
        worst = float(ds["residual"].max() / sizes[0])
        return f"The values come from products with the Jacobian; their residuals are at most {worst:.1e} of the first"
    return ""


def _means(ds: xr.Dataset) -> str:
    """What to read from it, and when not to."""
    over = "of the input" if "x" in ds else "of the examples"
    return (
        f"A principal feature is a function {over} that a small step in the weights can add to the outputs; the "
        "singular value says how strongly. What no feature resembles cannot be learned by small steps from here. This "
        "holds near these weights only: where training moves the features, the picture before training does not tell "
        "what will be learned. Singular values grow with the number of rows and with the scale of the outputs, so "
        "compare their shares and not their sizes between networks or data."
    )


def kernel(ds: xr.Dataset) -> list[str]:
    """What an entry is, and how the layers share."""
    values = ds["kernel"].values.astype(float)
    told = [
        f"The tangent kernel of {ds.sizes['row']:,} rows and {ds.sizes['column']:,} columns: how much a small step on "
        "one example (and output) moves the outputs on another. Blocks of large entries along the diagonal are "
        "examples that are learned together; where entries are negative, learning one unlearns the other. Its "
        "eigenvalues are the squared singular values of the Jacobian."
    ]
    if not np.isfinite(values).all():
        told.append(f"{int((~np.isfinite(values)).sum()):,} of its {values.size:,} entries are not finite.")
    elif "layer" in ds.dims and ds.sizes["row"] == ds.sizes["column"]:
        told.append(_layers(ds, values))
    told.append(
        "It is the kernel at these weights; only a network that trains lazily keeps it. A large mean makes any two "
        "kernels look alike: alignments are computed after it is taken away."
    )
    return told


def _layers(ds: xr.Dataset, values: np.ndarray) -> str:
    traces = np.trace(values, axis1=1, axis2=2)
    k = int(np.argmax(traces))
    name = html.escape(str(ds["layer"].values[k]))
    share = traces[k] / traces.sum() if traces.sum() > 0 else np.nan
    return f"The kernels of the layers add up to the whole; layer {name} has the largest trace, {share:.0%} of the sum."


def lazy(ds: xr.Dataset) -> list[str]:
    """How far training left the tangent, and what that means."""
    loss, error = ds["loss"].values.astype(float), ds["error"].values.astype(float)
    ok = np.flatnonzero(np.isfinite(loss) & np.isfinite(error))
    lost = np.flatnonzero(~np.isfinite(loss))
    if lost.size:
        at = f"{int(ds['step'][int(lost[0])]):,}"
        return [f"The network diverged at step {at}: its linearisation says nothing from there on."]
    last = ds.isel(step=int(ok[-1]))
    step = f"{int(last['step']):,}"
    told = [
        f"After {step} steps the weights lie {number(float(last['distance']))} from where they began, and the loss "
        f"went from {number(float(loss[0]))} to {number(float(last['loss']))}. At the same weights the linearised "
        f"network has {number(float(last['linear_loss']))}"
        + (f", and trained by itself {number(float(last['trained_loss']))}." if "trained_loss" in ds else ".")
    ]
    if "relative_error" in ds and np.isfinite(last["relative_error"]):
        told.append(_verdict(float(last["relative_error"]), last))
    return told


def _verdict(share: float, last: xr.Dataset) -> str:
    kept = "is close to lazy" if share < _CLOSE else "is lazy in part" if share < _FAR else "left the tangent"
    told = f"The linearised outputs miss {share:.0%} of the change that training made: training {kept}"
    if "kernel_alignment" not in last or not np.isfinite(last["kernel_alignment"]):
        return f"{told}."
    aligned = float(last["kernel_alignment"])
    turned = "the kernel hardly turned" if aligned > _STILL else "the kernel turned"
    return f"{told}; {turned} (its alignment with the first is {aligned:.2f})."


def path(ds: xr.Dataset) -> list[str]:
    """How the spectrum changed while the network trained."""
    sizes = ds["singular_value"].values.astype(float)
    ok = np.flatnonzero(np.isfinite(sizes[:, 0]))
    told = []
    if ok.size > 1:
        first, last = (ds.isel(step=int(k)) for k in (ok[0], ok[-1]))
        start, end = (float(one["singular_value"][0]) for one in (first, last))
        least = "" if bool(ds["rank_known"].values[ok].all()) else " (lower bounds)"
        told.append(
            f"From step {int(first['step']):,} to step {int(last['step']):,} the largest singular value of the "
            f"Jacobian went from {number(start)} to {number(end)}, its numerical rank from {int(first['rank']):,} to "
            f"{int(last['rank']):,}{least}, and its effective rank from {number(float(first['effective_rank']))} to "
            f"{number(float(last['effective_rank']))}. Were training lazy, none of them would move."
        )
        told += _turned(last)
    if int(ds.attrs["diverged_at"]) >= 0:
        told.append(f"The network diverged at step {int(ds.attrs['diverged_at']):,}.")
    return told


def _turned(last: xr.Dataset) -> list[str]:
    if "kernel_alignment" not in last or not np.isfinite(last["kernel_alignment"]):
        return []
    told = (
        f"The kernel of the last step has an alignment of {float(last['kernel_alignment']):.2f} with the first step's"
    )
    if "target_alignment" in last and np.isfinite(last["target_alignment"]):
        told += f" and of {float(last['target_alignment']):.2f} with the targets"
    return [f"{told} (1 is the same up to scale)."]
