r"""Derivatives of a network's outputs in its weights: the Jacobian, row by row, and products with it.

For $n$ inputs and $c$ outputs, $J_{(i,a),w} = \partial f_a(\theta; x_i) / \partial \theta_w$ has $nc$ rows, example by
example. `jacobian` stores it, `blocks` hands it over in pieces, `jvp` ($Jv$) and `vjp` ($J^\top u$) never form it.

Rows come from one forward pass and one backward pass for each output, layer by layer (`layers`); where a network is not
made of layers that this holds for, each example is differentiated by itself (`vmap` of `jacrev`). Which of the two is
right is checked against a plain backward pass on the first examples.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor
from torch.func import jacrev, jvp, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from thalweg.problem.examples import Diverged, Examples
from thalweg.problem.grad import differentiating, forward_mode, normal, variable
from thalweg.problem.layers import Piece, Unstructured, factors, written
from thalweg.problem.network import Network, arithmetic
from thalweg.problem.tree import batch_size, leaves, take, tree_map

Which = Literal["all", "sum", "loss"] | int
_FEW = 3
_KEPT = 10**6  # weights up to which a network to look at is kept
_PIECE = 512  # examples that go through products together
_PIECE_BYTES = 2**27  # of a piece of the Jacobian


class Outputs:
    """Chosen outputs of a network on some examples, as one vector-valued function of the weights.

    Attributes
    ----------
    num_examples, per_example, num_rows
        `num_rows = num_examples * per_example`; row `i * per_example + a` is output `a` of example `i`.
    way
        How rows are computed: `by layers`, or `by examples` and why.
    """

    def __init__(
        self, network: Network, examples: Examples, which: Which, shape: tuple[int, ...] | None = None
    ) -> None:
        self.network, self.examples, self.which = network.only_loss(), examples, which_of(which)
        self.num_examples = examples.num_examples
        self.way = ""
        self._watched_network: Network | None = None
        self.shape = self._probed(next(examples.pieces(_FEW)), shape)
        if isinstance(self.which, int):
            self.which %= math.prod(self.shape)  # counted from the end
        self.per_example = math.prod(self.shape) if which == "all" else 1
        self.num_rows = self.num_examples * self.per_example

    def values(self, theta: Tensor) -> Tensor:
        """The outputs themselves, `(num_rows,)`."""
        with torch.no_grad(), self._arithmetic():
            found = [self._rows(theta, batch).reshape(-1) for batch in self.examples.pieces(_PIECE)]
        return torch.cat(found)

    def jacobian(self, theta: Tensor) -> Tensor:
        """All rows, `(num_rows, num_weights)`."""
        pieces = [rows for _, rows in self.blocks(theta)]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def blocks(self, theta: Tensor, num_bytes: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The outputs `(r,)` and rows `(r, num_weights)`, some examples at a time.

        Raises
        ------
        Diverged
            If a row is not finite.
        """
        size = self.piece(2**40 if num_bytes is None and self._bytes() <= 2**30 else num_bytes or _PIECE_BYTES)
        for values, found in self._pieces(theta, size):
            rows = written(found, values, self.network.layout.num_weights) if isinstance(found, list) else found
            rows = rows.reshape(values.numel(), -1)
            if not bool(torch.isfinite(rows.sum())):  # of finite entries it is, unless they are huge
                finite(rows, "entries of its Jacobian are")
            yield values.reshape(-1), rows

    def factors(self, theta: Tensor, size: int) -> Iterator[tuple[Tensor, list[Piece] | Tensor]]:
        """The outputs `(n, c)` and each layer's part in their gradients, or the rows `(n, c, num_weights)` as such."""
        yield from self._pieces(theta, size)

    def jvp(self, theta: Tensor, v: Tensor) -> Tensor:
        """`J v`, `(..., num_weights) -> (..., num_rows)`: two forward passes for each vector."""
        start = 0
        with differentiating(), self._arithmetic(), forward_mode():
            theta, flat = normal(theta.detach()), normal(v).reshape(-1, v.shape[-1])
            out = torch.empty(len(flat), self.num_rows, dtype=flat.dtype, device=flat.device)
            for batch in self.examples.pieces(_PIECE):
                push = self._pushing(theta, batch)
                for row, vector in zip(out, flat, strict=True):
                    found = push(vector.contiguous()).detach().reshape(-1)
                    row[start : start + len(found)] = found
                start += len(found)
        return out.reshape(*v.shape[:-1], self.num_rows)

    def vjp(self, theta: Tensor, u: Tensor) -> Tensor:
        """`J^T u`, `(..., num_rows) -> (..., num_weights)`: a forward pass, and a backward pass for each vector."""
        start = 0
        with differentiating(), self._arithmetic():
            theta, flat = normal(theta.detach()), normal(u).reshape(-1, u.shape[-1])
            out = torch.zeros(len(flat), len(theta), dtype=flat.dtype, device=flat.device)
            for batch in self.examples.pieces(_PIECE):
                values, back = _pulling(self._rows, theta, batch)
                part = flat[:, start : start + values.numel()]
                for row, vector in zip(out, part, strict=True):
                    row += back(vector.reshape(values.shape).contiguous())[0].detach()
                start += values.numel()
        return out.reshape(*u.shape[:-1], len(theta))

    def piece(self, num_bytes: int) -> int:
        """How many examples have rows of so many bytes."""
        return max(1, min(self.num_examples, num_bytes * self.num_examples // max(self._bytes(), 1)))

    def _bytes(self) -> int:
        layout = self.network.layout
        return self.num_rows * layout.num_weights * torch.finfo(layout.dtype).bits // 8

    # --- inside ---

    def _arithmetic(self) -> Any:
        return arithmetic(self.network.precision, self.network.device)

    def _rows(self, theta: Tensor, batch: Any) -> Tensor:
        """`(n, c)`, differentiable in `theta`."""
        if self.which == "loss":
            return _column(self.network.at(theta, batch)["loss"])
        return self._chosen(self.network.predict(theta, batch[0]))

    def _chosen(self, outputs: Tensor) -> Tensor:
        outputs = outputs.reshape(len(outputs), -1)
        if self.which == "all":
            return outputs
        return outputs.sum(1, keepdim=True) if self.which == "sum" else outputs[:, self.which, None]  # type: ignore[index]

    def _pushing(self, theta: Tensor, batch: Any) -> Callable[[Tensor], Tensor]:
        """Forward mode; where an operation has none, the transpose of the transpose."""

        def rows(t: Tensor) -> Tensor:
            return self._rows(t, batch)

        def twice(v: Tensor) -> Tensor:
            values, back = _pulling(self._rows, theta, batch)
            return vjp(lambda u: back(u)[0], torch.zeros_like(values))[1](v)[0]

        def push(v: Tensor) -> Tensor:
            try:
                return jvp(rows, (theta,), (v,))[1]
            except (RuntimeError, NotImplementedError):
                return twice(v)

        return push

    def _pieces(self, theta: Tensor, size: int) -> Iterator[tuple[Tensor, list[Piece] | Tensor]]:
        with differentiating(), self._arithmetic():
            network = self._standing(theta)
        for batch in self.examples.pieces(size):
            with differentiating(), self._arithmetic():
                if self.way == "by layers":
                    found: tuple[Tensor, list[Piece] | Tensor] = factors(
                        network, batch, lambda b: self._watched(network, b)
                    )
                else:
                    found = self._by_examples(theta, batch)
            yield found

    def _standing(self, theta: Tensor) -> Network:
        """A network of our own at these weights, and `way` settled; it is kept where it is small."""
        theta = normal(theta.detach())
        network = self._watched_network or self.network.standing_at(theta)
        if not self.way:
            self.way = self._found(network)
        network.load(theta.unsqueeze(0), 1)
        if len(theta) <= _KEPT:
            self._watched_network = network
        return network

    def _watched(self, network: Network, batch: Any) -> Tensor:
        """Rows of a network that is looked at while it runs."""
        if self.which == "loss":
            return _column(network.head(batch)["loss"])
        return self._chosen(network.head.predict(batch[0]))

    def _found(self, network: Network) -> str:
        """Whether rows by layers are those of a plain backward pass.

        At weights that differ from the network's, as some parts of it may be idle there (weights of zero, dead units).
        """
        layout, batch = network.layout, next(self.examples.pieces(_FEW))
        own = self.network.theta
        draw = torch.randn(own.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(own)
        for share in (0.3, 0.0):
            theta = own.clone()
            for block in layout.blocks:
                theta[block.slice] += share * (own[block.slice].square().mean().sqrt() + 0.1) * draw[block.slice]
            network.load(theta.unsqueeze(0), 1)
            try:
                values, pieces = factors(network, batch, lambda b: self._watched(network, b))
                rows = written(pieces, values, layout.num_weights)
            except (Unstructured, RuntimeError) as reason:
                return f"by examples ({str(reason).strip().partition(chr(10))[0]})"
            u = draw[: values.numel()].reshape(values.shape).to(values) if len(draw) >= values.numel() else values + 1
            plain = _pulling(self._rows, theta, batch)[1](u)[0].detach()
            if bool(torch.isfinite(plain).all()):
                return self._agreed(torch.einsum("nc,ncw->w", u.to(rows), rows), plain)
        return "by layers"  # that nothing is finite is told later

    def _agreed(self, found: Tensor, plain: Tensor) -> str:
        narrow = any(block.dtype.itemsize < 4 for block in self.network.layout.blocks)
        rough = narrow or self.network.precision in ("bf16", "tf32")
        tolerance = 5e-2 if rough else 1e-6 if found.dtype == torch.float64 else 1e-3
        for block in self.network.layout.blocks:
            apart = (found[block.slice] - plain[block.slice]).norm()
            if not float(apart) <= tolerance * float(plain[block.slice].norm() + 1e-3 * plain.norm()):
                return (
                    f"by examples (by layers, `{block.name}` has another gradient: it may be used outside of its layer)"
                )
        return "by layers"

    def _by_examples(self, theta: Tensor, batch: Any) -> tuple[Tensor, Tensor]:
        """`(n, c)` and `(n, c, num_weights)`, each example by itself."""
        n = _size(batch)
        theta = normal(theta.detach())
        columns = [leaf.ndim > 0 and leaf.shape[0] == n for leaf in leaves(batch)]

        def one(t: Tensor, *parts: Tensor) -> tuple[Tensor, Tensor]:
            part, column = iter(parts), iter(columns)
            alone = tree_map(lambda _: next(part).unsqueeze(0) if next(column) else next(part), batch)
            values = self._rows(t, alone)[0]
            return values, values

        dims = [0 if column else None for column in columns]
        try:
            with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
                warnings.filterwarnings("ignore", message="There is a performance drop")
                found, values = vmap(jacrev(one, has_aux=True), in_dims=(None, *dims))(theta, *leaves(batch))
        except RuntimeError:  # an operation that knows no vmap
            found, values = self._one_by_one(theta, batch, n)
        return values.detach(), found.detach()

    def _one_by_one(self, theta: Tensor, batch: Any, n: int) -> tuple[Tensor, Tensor]:
        rows, values = [], []
        for i in range(n):
            leaf = variable(theta)
            own = self._rows(leaf, take(batch, slice(i, i + 1), n))[0]
            found = [torch.autograd.grad(v, leaf, retain_graph=True, materialize_grads=True)[0] for v in own]
            rows.append(torch.stack(found))
            values.append(own.detach())
        return torch.stack(rows), torch.stack(values)

    def _probed(self, batch: Any, shape: tuple[int, ...] | None) -> tuple[int, ...]:
        """The outputs' shape for one example, or why there is no Jacobian."""
        inputs = batch[0]
        n = _size(batch)
        theta = variable(self.network.theta)
        with differentiating(), self._arithmetic():
            try:
                found = self._rows(theta, batch) if self.which == "loss" else self.network.predict(theta, inputs)
            except (RuntimeError, TypeError, IndexError) as error:
                given = ", ".join(str((self.num_examples, *leaf.shape[1:])) for leaf in leaves(inputs))
                raise ValueError(
                    f"The network cannot be applied to inputs of shape {given}: "
                    f"{str(error).strip().partition(chr(10))[0]}. Pass inputs shaped as the training inputs are."
                ) from error
        if not isinstance(found, Tensor):
            raise TypeError(
                f"The network returns {type(found).__name__}, not one tensor, so that its outputs have no order to be "
                "rows. Wrap it in a module that returns the outputs to be looked at."
            )
        if found.ndim == 0 or len(found) != n:
            raise ValueError(f"The network returns shape {tuple(found.shape)} for {n} examples; expected {n} rows.")
        if shape is not None and tuple(found.shape[1:]) != shape:
            raise ValueError(
                f"For these inputs the network returns {tuple(found.shape[1:])} for each example, for its training "
                f"inputs {shape}. Pass inputs shaped as the training inputs are."
            )
        if not found.is_floating_point() or not found.requires_grad:
            raise ValueError(
                f"The outputs ({found.dtype}) have no gradient: they do not depend smoothly on the weights. Return "
                "them before they are rounded, turned to class numbers (argmax) or detached."
            )
        columns = found[0].numel()
        if isinstance(self.which, int) and not -columns <= self.which < columns:
            raise ValueError(f"outputs={self.which}; the network has {columns}, numbered from 0.")
        return tuple(found.shape[1:])


def finite(value: Tensor, what: str) -> None:
    """Refuse entries that are not finite.

    Raises
    ------
    Diverged
        Saying so.
    """
    if not bool(torch.isfinite(value).all()):
        raise Diverged(
            f"The network has diverged: {what} not finite. Take the weights of an earlier step, or "
            "train with a smaller learning rate or initial weights."
        )


def _pulling(
    rows: Callable[[Tensor, Any], Tensor], theta: Tensor, batch: Any
) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor]]]:
    values, back, *_ = vjp(lambda t: rows(t, batch), theta)
    return values, back


def which_of(which: Any) -> Which:
    """Refuse what names no outputs."""
    if which in ("all", "sum", "loss") and isinstance(which, str):
        return which  # type: ignore[return-value]
    if isinstance(which, bool) or not isinstance(which, int):
        raise ValueError(
            f"outputs={which!r}; expected 'all', 'sum', 'loss' (each example's) or the number of one. Of several, take "
            "all and keep their rows."
        )
    return which


def _column(losses: Tensor) -> Tensor:
    if losses.ndim == 0:
        raise ValueError("The loss returns the mean over a batch; for per-example losses return one value each.")
    return losses.reshape(len(losses), 1)


def _size(batch: Any) -> int:
    return batch_size(batch) if batch[1] is not None else batch_size((None, batch[0]))
