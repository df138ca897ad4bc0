r"""What is read off spectra: how many eigenvalues stand out of the bulk, and how much two top subspaces share.

The Hessian of a network that classifies into $C$ classes has about $C$ (or $C - 1$) eigenvalues far outside of the
bulk (Sagun et al. 2017, arXiv:1706.04454; Papyan 2018, arXiv:1811.07062), and gradients soon lie in their span
(Gur-Ari, Roberts & Dyer 2018, arXiv:1812.04754).
"""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from thalweg import linalg, schema


def num_outliers(ds: xr.Dataset, *, least: float = 1.5) -> int:
    r"""The number of eigenvalues that stand out: those before the largest relative gap.

    With magnitudes $|\lambda_1| \ge |\lambda_2| \ge \dots$ it is the $i$ with the largest
    $|\lambda_i| / |\lambda_{i+1}|$. Compare it with `ds.attrs["num_classes"]`.

    Parameters
    ----------
    ds
        Kind `eigenpairs`, of `which="magnitude"` or `"largest"`, with more pairs than there may be outliers: about
        twice the number of classes. Pairs that did not converge are left out, with all after them. Or kind
        `spectral_density`: the gap is looked for among the nodes of each probe that lie farther from zero than they
        resolve, and the median of the probes' counts is told; eigenvalues closer than that count as one.
    least
        Gaps narrower than this ratio are none; without any gap there are 0 outliers.

    Returns
    -------
    int
        How many. It is a property of the values given: a wider gap beyond the last pair is not seen.

    Raises
    ------
    ValueError
        Another kind, the smallest eigenvalues, or fewer than two (converged) pairs.

    Examples
    --------
    >>> pairs = xr.Dataset(
    ...     {
    ...         "eigenvalue": ("pair", [9.0, 8.0, 7.0, 0.5, 0.4]),
    ...         "residual": ("pair", [0.0] * 5),
    ...         "converged": ("pair", [True] * 5),
    ...     },
    ...     {"pair": [1, 2, 3, 4, 5]},
    ...     {"kind": "eigenpairs", "matrix": "hessian"},
    ... )
    >>> num_outliers(pairs)
    3
    """
    kind = schema.check(ds).attrs["kind"]
    if kind == "spectral_density":
        counts = [_of_probe(ds, probe, least) for probe in range(ds.sizes["probe"])]
        return int(np.median(counts))
    if kind != "eigenpairs" or ds.attrs.get("which") in ("smallest", "both"):
        raise ValueError(
            f"Outliers are counted in results of kind 'eigenpairs' (largest first) or 'spectral_density', not in "
            f"{kind!r} of {ds.attrs.get('which', 'this form')!r}. `top_eigenpairs(problem, k=20)` makes one."
        )
    done = ds["converged"].values.astype(bool)
    sizes = np.abs(ds["eigenvalue"].values[: len(done) if done.all() else int(np.argmin(done))])
    if sizes.size < 2:
        raise ValueError("A gap needs two converged pairs at least; ask `top_eigenpairs` for more, or a larger `tol`.")
    return _before_gap(np.sort(sizes)[::-1], least)


def overlap(a: xr.Dataset, b: xr.Dataset) -> float:
    r"""How much two top subspaces share: $\lVert U V^\top \rVert_F^2 / \min(k, l)$ in $[0, 1]$.

    1: one contains the other; two random subspaces of $n$ weights share $\max(k, l) / n$.

    Parameters
    ----------
    a, b
        Kind `eigenpairs` with their vectors, of the same weights (at other steps, of other matrices, of other data).

    Raises
    ------
    ValueError
        Another kind, results without vectors, or of another number of weights.

    Examples
    --------
    >>> from thalweg import FunctionProblem, top_eigenpairs
    >>> bowl = FunctionProblem(lambda x, y, z: 3 * x**2 + 2 * y**2 + z**2)
    >>> round(overlap(top_eigenpairs(bowl, k=2), top_eigenpairs(bowl, k=2, which="smallest")), 6)
    0.5
    """
    rows = []
    for name, ds in (("a", a), ("b", b)):
        if schema.check(ds).attrs["kind"] != "eigenpairs" or "eigenvector" not in ds:
            raise ValueError(f"`{name}` has no eigenvectors; `top_eigenpairs(problem, vectors=True)` makes them.")
        rows.append(torch.as_tensor(ds["eigenvector"].values))
    return min(linalg.subspace_overlap(*rows), 1.0)


def _of_probe(ds: xr.Dataset, probe: int, least: float) -> int:
    """Before the largest gap among a probe's nodes farther from zero than they resolve; the rest counts as there."""
    node, weight = (ds[name].values[probe] for name in ("node", "node_weight"))
    node = node[weight > 0]
    sizes = np.sort(np.abs(node))[::-1]
    return _before_gap(np.maximum(sizes, np.ptp(node) / len(node)), least)


def _before_gap(sizes: np.ndarray, least: float) -> int:
    """Falling magnitudes: how many come before the largest ratio."""
    if sizes.size < 2 or not sizes[0] > 0:
        return 0
    ratios = sizes[:-1] / np.maximum(sizes[1:], 1e-15 * sizes[0])
    last = int(ratios.argmax())
    return last + 1 if ratios[last] >= least else 0
