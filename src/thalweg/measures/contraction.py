r"""Tangent kernels $J_1 J_2^\top$ without Jacobians: a sum over layers of products of what a layer takes in and gives.

Where a layer's gradients are $\sum_p \delta_{iap} h_{ip}^\top$ (`problem.layers`), its part of the kernel is

$$ K_{(i,a),(j,b)} = \sum_{p,q} (\delta_{iap} \cdot \delta_{jbq}) (h_{ip} \cdot h_{jq}), $$

for a layer with one place $p$ the product, entry by entry, of two small Gram matrices. With many places (a
convolution of large images) the layer's gradients are written out instead, and multiplied; whichever takes fewer
operations. Reference: Novak, Sohl-Dickstein & Schoenholz (2022), arXiv:2206.08720, section 3.3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor

from thalweg.problem.layers import Factor, Piece, Whole
from thalweg.problem.outputs import Outputs
from thalweg.weights import Layout

_ENTRIES = 2**24  # of a part of the kernel that is worked on
Layers = dict[str, list[Piece]]


def contracted(
    first: Outputs, second: Outputs | None, theta: Tensor, *, trace: bool, by_layer: bool, memory: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Kernels by layer (or one, of all, called `all`), and the outputs of the first inputs, `(n, c)`.

    Parameters
    ----------
    first, second
        Outputs on the rows' inputs and on the columns'; None for the same.
    trace
        Sum over the outputs: one row for each input.
    memory
        Bytes for what is kept of some inputs at a time.
    """
    other = second or first
    c1, c2 = (1, 1) if trace else (first.per_example, other.per_example)
    shape = (first.num_examples * c1, other.num_examples * c2)
    found: dict[str, Tensor] = {}
    seen: list[Tensor] = []
    for i, values, rows in _tiles(first, theta, memory):
        seen.append(values)
        for j, columns in _partners(first, second, theta, memory, i, rows):
            for name in rows:
                key = name if by_layer else "all"
                if key not in found:
                    found[key] = theta.new_zeros(shape)
                tile = found[key][i.start * c1 : i.stop * c1, j.start * c2 : j.stop * c2]
                _add(tile, rows[name], columns[name], trace, same=second is None and i == j)
    if second is None:
        for kernel in found.values():
            _mirror(kernel)
    return found, torch.cat(seen)


def _tiles(outputs: Outputs, theta: Tensor, memory: int) -> Iterator[tuple[slice, Tensor, Layers]]:
    """Some examples at a time, with what their kernels are made of."""
    start = 0
    for values, pieces in outputs.factors(theta, _tile_size(outputs, theta, memory)):
        here = slice(start, start + len(values))
        start = here.stop
        yield here, values, _by_name(pieces, outputs.network.layout)


def _partners(
    first: Outputs, second: Outputs | None, theta: Tensor, memory: int, here: slice, rows: Layers
) -> Iterator[tuple[slice, Layers]]:
    """The tiles that a tile of rows meets: all of other inputs; of the same, itself and those that follow."""
    if second is None:
        yield here, rows
    if second is None and here.stop == first.num_examples:
        return
    for j, _, columns in _tiles(second or first, theta, memory):
        if second is not None or j.start >= here.stop:
            yield j, columns


def _tile_size(outputs: Outputs, theta: Tensor, memory: int) -> int:
    """Examples whose factors, and the widest layer's gradients, fit the memory, twice."""
    values, pieces = next(iter(outputs.factors(theta, 2)))
    if isinstance(pieces, Tensor):
        each = pieces[0].numel()
    else:
        factors = [piece for piece in pieces if isinstance(piece, Factor)]
        whole = sum(block[0].numel() for p in pieces if isinstance(p, Whole) for _, block in p.blocks)
        widest = max((_rows_entries(f) for f in factors), default=0)
        each = whole + widest + sum(f.left[0].numel() + f.right[0].numel() for f in factors)
    return max(1, min(outputs.num_examples, memory // (2 * each * values.element_size())))


def _rows_entries(factor: Factor) -> int:
    _, c, g, _, o = factor.left.shape
    return c * g * o * (factor.right.shape[-1] + 1)


def _by_name(pieces: list[Piece] | Tensor, layout: Layout) -> Layers:
    """Calls of the same layer belong together: its gradient is the sum of theirs."""
    found: Layers = defaultdict(list)
    if isinstance(pieces, Tensor):
        for block in layout.blocks:
            owner = block.name.rpartition(".")[0]
            part = [(block.slice, pieces[:, :, block.slice])]
            earlier = found.pop(owner, [])
            found[owner] = [Whole(owner, [*(b for p in earlier for b in p.blocks), *part])]  # type: ignore[union-attr]
        return found
    for piece in pieces:
        found[piece.name].append(piece)
    return found


def _add(tile: Tensor, rows: list[Piece], columns: list[Piece], trace: bool, same: bool) -> None:
    """Add a layer's part to a tile of the kernel; of the same inputs, on and above the diagonal is enough."""
    if len(rows) > 1 and all(isinstance(piece, Whole) for piece in [*rows, *columns]):
        rows, columns = [_summed(rows)], [_summed(columns)]
    for one in rows:
        for two in columns:
            alone = same and len(rows) == 1
            if isinstance(one, Factor) and isinstance(two, Factor) and _few_places(one, two, trace):
                _by_places(tile, one, two, trace, alone)
            else:
                left = _flat(one, trace)
                _by_rows(tile, left, left if one is two else _flat(two, trace), alone)


def _summed(pieces: list[Piece]) -> Whole:
    total = [piece.flat() for piece in pieces]
    return Whole(pieces[0].name, [(slice(None), torch.stack(total).sum(0))])


def _flat(piece: Piece, trace: bool) -> Tensor:
    """Gradients, one row for each example and output; for the trace those of an example side by side."""
    rows = piece.flat()
    return rows.flatten(1) if trace else rows.flatten(0, 1)


def _few_places(one: Factor, two: Factor, trace: bool) -> bool:
    """Whether sums over pairs of places take fewer operations than products of rows."""
    _, c, g, places, o = one.left.shape
    k, pairs = one.right.shape[-1], places * two.left.shape[3]
    outputs = c if trace else c * two.left.shape[1]
    return pairs * g * (k + outputs * o) <= outputs * g * o * k


def _by_rows(tile: Tensor, left: Tensor, right: Tensor, same: bool) -> None:
    step = max(256, min(len(left), _ENTRIES // len(right))) if same else len(left)
    for start in range(0, len(left), step):
        columns = slice(start, None) if same else slice(None)
        tile[start : start + step, columns].addmm_(left[start : start + step], right[columns].T)


def _by_places(tile: Tensor, one: Factor, two: Factor, trace: bool, same: bool) -> None:
    n1, n2 = len(one.left), len(two.left)
    c1, c2 = (1, 1) if trace else (one.left.shape[1], two.left.shape[1])
    step = max(1, min(_ENTRIES // (n2 * c1 * c2), n1 // 4 + 1 if same else n1))
    for start in range(0, n1, step):
        columns = slice(start if same else 0, None)
        rows = slice(start, start + step)
        part = tile[start * c1 : (start + step) * c1, columns.start * c2 :]
        for p in range(one.left.shape[3]):
            for q in range(two.left.shape[3]):
                for g in range(one.left.shape[2]):
                    ins = _ins(one, two, rows, columns, (g, p, q))
                    a, b = one.left[rows, :, g, p], two.left[columns, :, g, q]
                    dim = (1, -1) if trace else (0, 1)
                    outs = a.flatten(*dim) @ b.flatten(*dim).T
                    if not trace:
                        outs = outs.view(len(a), c1, len(b), c2) * ins[:, None, :, None]
                        part += outs.view(len(a) * c1, len(b) * c2)
                    else:
                        part.addcmul_(outs, ins)


def _ins(one: Factor, two: Factor, rows: slice, columns: slice, at: tuple[int, int, int]) -> Tensor:
    """Products of what places take in; a bias takes in 1."""
    g, p, q = at
    if one.weight is None:
        return one.left.new_ones((len(one.left[rows]), len(two.left[columns])))
    ins = one.right[rows, g, p] @ two.right[columns, g, q].T
    return ins if one.bias is None else ins + 1.0


def _mirror(kernel: Tensor) -> None:
    """Copy what is above the diagonal below it."""
    step = 512
    for start in range(0, len(kernel), step):
        here = kernel[start : start + step, start : start + step]
        here.copy_(here.triu() + here.triu(1).T)
        kernel[start + step :, start : start + step] = kernel[start : start + step, start + step :].T
