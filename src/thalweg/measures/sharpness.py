r"""Sharpness: the largest eigenvalue of the Hessian, or of what an adaptive optimiser makes of it.

Gradient descent with learning rate $\eta$ on a quadratic is stable as long as $\lambda_{\max}(H) < 2/\eta$; with a
preconditioner, $\theta \leftarrow \theta - \eta P^{-1} \nabla L$, as long as $\lambda_{\max}(P^{-1} H) < 2/\eta$, and
with Adam's moving average of gradients, $(2 + 2\beta_1) / ((1 - \beta_1)\eta)$ (Cohen et al. 2021, arXiv:2103.00065;
2022, arXiv:2207.14484).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from thalweg import linalg
from thalweg.measures.matrix import Place, place, watched
from thalweg.measures.spectrum import eigenpairs, warm_start
from thalweg.problem import Problem
from thalweg.weights import Layout


def sharpness(
    problem: Problem,
    *,
    preconditioner: Any = None,
    matrix: str = "hessian",
    parameters: str | Sequence[str] | None = None,
    theta: Any = None,
    tol: float = 1e-3,
    max_matvecs: int | None = None,
    start: xr.Dataset | Tensor | None = None,
    seed: int = 0,
    num_examples: int | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""The largest eigenvalue of $A$, or of $P^{-1} A$ for a diagonal preconditioner $P$, with its residual.

    $P^{-1} A$ has the eigenvalues of the symmetric $S = P^{-1/2} A P^{-1/2}$, whose products are used: for $Sw =
    \lambda w$ the vector $v = P^{-1/2} w$ fulfils $P^{-1} A v = \lambda v$.

    Parameters
    ----------
    problem, matrix, parameters, theta, tol, max_matvecs, start, seed, num_examples, progress
        As for `top_eigenpairs`. `start` may be an earlier result of this function.
    preconditioner
        The diagonal of $P$, `(num_weights,)`, positive; `adam_preconditioner(optimizer, model)` is Adam's.

    Returns
    -------
    Dataset
        Kind `eigenpairs` with one pair, `which="largest"`. With a preconditioner `eigenvector` is $w$, `residual`
        $\lVert Sw - \lambda w \rVert$, and `attrs["preconditioned"]` is true.

    Raises
    ------
    ValueError, TypeError, FloatingPointError
        As `top_eigenpairs`; a preconditioner of another shape, or not positive.

    Examples
    --------
    >>> from thalweg import FunctionProblem
    >>> bowl = FunctionProblem(lambda x, y: 2 * x**2 + 0.5 * y**2)
    >>> sharpness(bowl).eigenvalue.values.round(6), sharpness(bowl, preconditioner=[8, 0.5]).eigenvalue.values.round(6)
    (array([4.]), array([2.]))
    """
    at = place(problem, matrix, theta, parameters, num_examples, seed)
    scale = _scale(at, preconditioner)
    rows = warm_start(at, start)
    curvature = at.curvature(expected=30)
    with watched(curvature, "sharpness", None, progress, 15) as product:
        found = linalg.top_eigenpairs(
            product if scale is None else lambda v: scale * product(scale * v),
            at.size,
            1,
            which="largest",
            tol=tol,
            max_matvecs=max_matvecs,
            start=rows,
            seed=at.seed,
            dtype=at.theta.dtype,
            device=at.theta.device,
        )
    whose = f"the {at.whose}" if scale is None else f"P⁻¹ times the {at.whose}"
    title = f"Sharpness: the largest eigenvalue of {whose}" + ("" if found.converged.all() else " (not converged)")
    return eigenpairs(at, curvature, found, "largest", tol, True, title=title, preconditioned=scale is not None)


def adam_preconditioner(optimizer: torch.optim.Optimizer, model: nn.Module | Layout | Problem) -> Tensor:
    r"""The diagonal of the preconditioner by which Adam divides its moving average of gradients.

    After $t$ steps the update is $\theta \leftarrow \theta - \eta P_t^{-1} m_t$ with
    $$ P_t = (1 - \beta_1^t) \left[ \operatorname{diag} \sqrt{\nu_t / (1 - \beta_2^t)} + \epsilon I \right] $$
    (Cohen et al. 2022, arXiv:2207.14484, section 2), $m_t$ and $\nu_t$ the moving averages as they are stored.

    Parameters
    ----------
    optimizer
        `torch.optim.Adam` or `AdamW`, after at least one step; with `amsgrad` its largest $\nu$ counts.
    model
        The module that is trained: its trainable parameters are found among the optimiser's. Or a problem, or its
        `layout`: then the optimiser has one group with parameters of the same shapes in the same order.

    Returns
    -------
    Tensor
        `(num_weights,)`, positive, for `sharpness(problem, preconditioner=...)`.

    Raises
    ------
    TypeError, ValueError
        Another optimiser; no step taken; parameters that the optimiser does not train.

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> optimizer = torch.optim.Adam(model.parameters(), lr=0.1, eps=0.0)
    >>> (3 * model(torch.ones(1, 1)).sum()).backward()
    >>> optimizer.step()
    >>> adam_preconditioner(optimizer, model)  # (1 - 0.9) * |gradient|
    tensor([0.3000])
    """
    if not isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
        raise TypeError(f"The optimiser is of type {type(optimizer).__name__}; expected torch.optim.Adam or AdamW.")
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    layout, trained = _trained(optimizer, model)
    entries: dict[str, Tensor] = {}
    for name, parameter in trained.items():
        state = optimizer.state.get(parameter, {})
        if id(parameter) not in groups or "exp_avg_sq" not in state:
            raise ValueError(
                f"The optimiser has no moving averages of {name!r}: it trains other parameters, or has taken no step."
            )
        entries[name] = _denominator(state, groups[id(parameter)])
    return layout.flatten(entries)


def _denominator(state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    t, (beta1, beta2) = float(state["step"]), map(float, group["betas"])
    nu = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
    return (1 - beta1**t) * ((nu.detach() / (1 - beta2**t)).sqrt() + float(group["eps"]))


def _trained(optimizer: torch.optim.Optimizer, model: Any) -> tuple[Layout, dict[str, Tensor]]:
    """The layout, and each of its blocks' parameter as the optimiser holds it."""
    if isinstance(model, nn.Module):
        named = dict(model.named_parameters())
        layout = Layout.of(model)
        return layout, {block.name: named[block.name] for block in layout.blocks}
    found = model if isinstance(model, Layout) else getattr(model, "layout", None)
    if not isinstance(found, Layout):
        raise TypeError(
            f"`model` is of type {type(model).__name__}; expected the module that is trained, or a problem."
        )
    held = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
    shapes = [tuple(p.shape) for p in held]
    if len(optimizer.param_groups) > 1 or shapes != [block.shape for block in found.blocks]:
        raise ValueError(
            "The optimiser's parameters do not follow the problem's one by one; pass the module that is trained."
        )
    return found, {block.name: p for block, p in zip(found.blocks, held, strict=True)}


def _scale(at: Place, preconditioner: Any) -> Tensor | None:
    """$P^{-1/2}$ of the selected weights."""
    if preconditioner is None:
        return None
    diagonal = torch.as_tensor(preconditioner).detach().to(at.theta)
    if diagonal.shape != at.theta.shape or not bool((diagonal > 0).all()) or not bool(diagonal.isfinite().all()):
        raise ValueError(
            f"The preconditioner has shape {tuple(diagonal.shape)} or entries that are not positive; expected the "
            f"diagonal of P, ({len(at.theta)},), positive."
        )
    return at.selection.of(diagonal).rsqrt()
