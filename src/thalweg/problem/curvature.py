r"""Products with a curvature matrix over all data, set up once and applied many times.

The matrix is the mean over the examples, $A = \frac1N \sum_i A_i$, whatever the batches; it is never formed. How a
product is computed is found out in `workshop`, of which weights in `selection`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.problem.grad import differentiating, normal
from thalweg.problem.linearized import Map
from thalweg.problem.network import Precision, arithmetic
from thalweg.problem.selection import Selection
from thalweg.problem.workshop import How

Matrix = Literal["hessian", "ggn", "fisher", "fisher_sampled", "empirical_fisher"]
_GROUP = 8  # vectors at once on a GPU


class Curvature:
    r"""A symmetric matrix that answers with products.

    Made by `problem.curvature(...)`.

    Attributes
    ----------
    theta
        Where, `(all weights,)`.
    num_weights
        Rows of the matrix: all weights, or those selected.
    num_products
        Vectors multiplied so far.
    how
        `How` products are computed.
    matrix, selection
        Which matrix; which block, in words.
    """

    def __init__(
        self,
        maps: Callable[[Tensor], Callable[[], Iterator[Map]]],
        theta: Tensor,
        count: int,
        matrix: str,
        selection: Selection,
        told: Callable[[], How],
    ) -> None:
        self._at, self._count, self._selection, self._told = maps, count, selection, told
        self._precision = _precision(theta.device)
        with torch.inference_mode(False):
            own, self.theta = theta.detach().clone(), theta.detach().clone()  # whatever becomes of the caller's
        with undisturbed(self._precision, theta.device):
            self._maps = maps(own)
        self.matrix, self.how = matrix, told()
        self.selection = selection.words
        self.num_weights = selection.size
        self.num_products = 0

    def product(self, v: Tensor) -> Tensor:
        """Matrix times vector `(num_weights,)`, or times each row of a block `(b, num_weights)`.

        Raises
        ------
        ValueError
            For another shape.
        """
        v = torch.as_tensor(v, device=self.theta.device)
        if v.ndim not in (1, 2) or v.shape[-1] != self.num_weights:
            raise ValueError(
                f"The vector has shape {tuple(v.shape)}; the {self.matrix} of {self.selection} needs "
                f"({self.num_weights},) or a block (b, {self.num_weights})."
            )
        rows = self.embed(v.reshape(-1, self.num_weights).to(self.theta))
        found = self._of_rows(rows)
        self.num_products += len(rows)
        return self._selection.of(found).reshape(v.shape).to(v.dtype if v.is_floating_point() else found.dtype)

    __call__ = product

    def moved(self, theta: Tensor) -> Curvature:
        """The same matrix at other weights `(all weights,)`, by the way found here: nothing is tried or traced anew."""
        if self.matrix == "fisher_sampled":
            raise ValueError(
                "Targets were drawn from what the network predicts at the weights that this Fisher matrix was made at. "
                "Make another there: `problem.curvature('fisher_sampled', theta=...)`."
            )
        theta = torch.as_tensor(theta).to(self.theta)
        if theta.shape != self.theta.shape or not torch.isfinite(theta).all():
            raise ValueError(
                f"theta has shape {tuple(theta.shape)} or non-finite weights; expected {len(self.theta)} finite ones."
            )
        with arithmetic(self._precision, theta.device):
            return Curvature(self._at, theta, self._count, self.matrix, self._selection, self._told)

    def embed(self, v: Tensor) -> Tensor:
        """The vector among all weights, zero outside of the selection: `(..., num_weights) -> (..., all weights)`."""
        return self._selection.embedded(v)

    def _of_rows(self, rows: Tensor) -> Tensor:
        with undisturbed(self._precision, rows.device):
            rows = normal(rows)
            result = torch.zeros(rows.shape, dtype=torch.float64, device=rows.device)
            for at in self._maps():
                if rows.device.type == "cuda" and len(rows) > 1:
                    for k in range(0, len(rows), _GROUP):
                        result[k : k + _GROUP] += _together(at, rows[k : k + _GROUP])
                else:
                    for k, row in enumerate(rows):
                        result[k] += at(row).detach()
            return (result / self._count).to(rows.dtype)


@contextmanager
def undisturbed(precision: Precision, device: torch.device) -> Iterator[None]:
    """Derivatives in this arithmetic whatever mode the caller is in, and no operations that have none.

    Attention takes its plain kernel; a fused layer of attention, taken in evaluation mode, has no derivatives at all.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    with arithmetic(precision, device), differentiating(), sdpa_kernel(SDPBackend.MATH):
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)


def _precision(device: torch.device) -> Precision:
    """The arithmetic in force: what a problem set up, and what its products are computed in later."""
    tf32 = device.type == "cuda" and torch.backends.cudnn.allow_tf32 and torch.get_float32_matmul_precision() == "high"
    return "tf32" if tf32 else "model"


def _together(at: Map, rows: Tensor) -> Tensor:
    try:
        return torch.func.vmap(at)(rows).detach()
    except RuntimeError:  # an operation that knows no vmap
        return torch.stack([at(row).detach() for row in rows])
