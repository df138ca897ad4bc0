r"""Parameter tree <-> one flat vector: where each weight of a network lies in `theta`.

A network's trainable parameters, in the order of `named_parameters()`, laid end to end, are the vector `theta` of
`num_weights` entries. `Layout` remembers names, shapes and places; `flatten` and `unflatten` go both ways (the second
without copying), and each `Block` knows its *filters*: the groups of weights that feed one output channel or one unit.

- Tied parameters appear once. Frozen ones (`requires_grad=False`) and buffers are no part of `theta`.
- `theta` is at least float32: half-precision parameters are widened exactly, and narrowed when they are put back, so
  that a small step away from them is not rounded off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["weight", "bias", "norm", "vector"]
KINDS: tuple[Kind, ...] = ("weight", "bias", "norm", "vector")
NOT_WEIGHTS: tuple[Kind, ...] = ("bias", "norm", "vector")
"""What a random direction leaves alone by default: everything that is not a matrix or a kernel (Li et al. 2018)."""

_NORM = re.compile(r"Norm(ali[sz]ation)?(?![a-z])")  # LayerNorm, RMSNorm2d, GroupNormalization; no NormalNet
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Block:
    """One parameter tensor's place in the flat vector.

    `kind` is `weight` (two or more dims), `bias`, `norm` (any parameter of a normalisation layer) or `vector` (other
    parameters of at most one dim). Viewed as `filter_shape`, the dims `filter_dims` count the filters.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    offset: int
    kind: Kind
    filter_shape: tuple[int, ...]
    filter_dims: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of weights in the block."""
        return math.prod(self.shape)

    @property
    def slice(self) -> slice:
        """Where the block lies in `theta`."""
        return slice(self.offset, self.offset + self.size)

    @property
    def num_filters(self) -> int:
        """How many filters the block has; 1 if it is not divided."""
        return math.prod(self.filter_shape[d] for d in self.filter_dims)

    def filter_norms(self, values: Tensor) -> Tensor:
        """Euclidean norm of each filter of `values` `(size,)`, shaped to broadcast against `filter_shape`."""
        rest = [d for d in range(len(self.filter_shape)) if d not in self.filter_dims]
        return torch.linalg.vector_norm(values.reshape(self.filter_shape), dim=rest, keepdim=True)


@dataclass(frozen=True)
class Layout:
    """The blocks of a flat weight vector, in order.

    Examples
    --------
    >>> layout = Layout.of(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)))
    >>> layout.num_weights, [block.name for block in layout.blocks]
    (11, ['0.weight', '0.bias', '2.weight', '2.bias'])
    >>> theta = torch.arange(11.0)
    >>> layout.unflatten(theta)["2.weight"]
    tensor([[8., 9.]])
    >>> bool((layout.flatten(layout.unflatten(theta)) == theta).all())
    True
    """

    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        """Layout of a module's trainable parameters."""
        blocks: list[Block] = []
        offset = 0
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            owner_name, _, local = name.rpartition(".")
            owner = module.get_submodule(owner_name)
            shape, dims = _filters(owner, parameter)
            kind = _kind(owner, local, parameter)
            blocks.append(Block(name, tuple(parameter.shape), parameter.dtype, offset, kind, shape, dims))
            offset += parameter.numel()
        return cls(tuple(blocks))

    @classmethod
    def vector(cls, num_weights: int, dtype: torch.dtype) -> Layout:
        """Layout of a bare vector of weights: one block, one filter."""
        return cls((Block("theta", (num_weights,), dtype, 0, "weight", (num_weights,), ()),))

    def name(self, index: int) -> str:
        """Name of one weight: its parameter's, with its place in it where that has several.

        Examples
        --------
        >>> layout = Layout.of(nn.Linear(1, 2))
        >>> layout.name(1), Layout.of(nn.Linear(1, 1)).name(1)
        ('weight[1]', 'bias')
        """
        for block in self.blocks:
            place = index - block.offset
            if 0 <= place < math.prod(block.shape):
                return block.name if math.prod(block.shape) == 1 else f"{block.name}[{place}]"
        raise IndexError(f"There is no weight {index}; there are {self.num_weights}.")

    @property
    def num_weights(self) -> int:
        """Length of the flat vector."""
        return sum(block.size for block in self.blocks)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the flat vector: the widest of the parameters', and at least float32."""
        dtype = torch.float32
        for block in self.blocks:
            dtype = torch.promote_types(dtype, block.dtype)
        return dtype

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Lay named tensors end to end; they may share leading batch dims. Copies, so nothing aliases the model."""
        parts = []
        for block in self.blocks:
            tensor = tensors[block.name]
            lead = tensor.shape[: tensor.ndim - len(block.shape)]
            parts.append(tensor.reshape((*lead, block.size)).to(self.dtype))
        return torch.cat(parts, dim=-1) if parts else torch.empty(0, dtype=self.dtype)

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Views of `theta` `(..., num_weights)` as named tensors `(..., *shape)`.

        Nothing is copied unless a block's dtype differs from `theta`'s narrower one.
        """
        if theta.shape[-1] != self.num_weights:
            raise ValueError(
                f"The weight vector has {theta.shape[-1]} entries, but the network has {self.num_weights} "
                "trainable weights. `problem.theta` has the right length."
            )
        lead = theta.shape[:-1]
        return {
            block.name: _cast(theta[..., block.slice].view((*lead, *block.shape)), block.dtype, self.dtype)
            for block in self.blocks
        }

    def parameters(self, module: nn.Module) -> Tensor:
        """The flat vector that `module` holds now: a copy."""
        named = dict(module.named_parameters())
        return self.flatten({block.name: named[block.name].detach() for block in self.blocks})

    def pieces(self, module: nn.Module, size: int) -> Iterator[Tensor]:
        """The flat vector that `module` holds now, `size` entries at a time: copies on the CPU, never the whole.

        Examples
        --------
        >>> model = nn.Linear(2, 1)
        >>> [len(piece) for piece in Layout.of(model).pieces(model, 2)]
        [2, 1]
        """
        left = self.num_weights
        if left <= size:  # one copy from the device
            yield self.parameters(module).cpu()
            return
        named = dict(module.named_parameters())
        piece, filled = torch.empty(size, dtype=self.dtype), 0
        for block in self.blocks:
            for part in named[block.name].detach().reshape(-1).split(size):
                while len(part):
                    now = min(len(piece) - filled, len(part))
                    piece[filled : filled + now] = part[:now]
                    part, filled, left = part[now:], filled + now, left - now
                    if filled == len(piece):
                        yield piece
                        piece, filled = torch.empty(min(size, left), dtype=self.dtype), 0


def _cast(view: Tensor, block: torch.dtype, flat: torch.dtype) -> Tensor:
    """Narrow a view to its parameter's dtype where that differs from the layout's."""
    return view if block == flat else view.to(block)


def _kind(owner: nn.Module, local_name: str, parameter: Tensor) -> Kind:
    """Sort a parameter as the field does: Li et al. (2018) leave out biases and normalisation layers."""
    if _is_normalization(owner):
        return "norm"
    if "bias" in local_name:
        return "bias"
    return "weight" if parameter.ndim >= 2 else "vector"


def _is_normalization(module: nn.Module) -> bool:
    names = [cls.__name__ for cls in type(module).__mro__]
    return any(_NORM.search(name) and "WeightNorm" not in name for name in names)


def _filters(owner: nn.Module, parameter: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How a block splits into filters: along dim 0, or along the output channels of a transposed convolution."""
    shape = tuple(parameter.shape)
    if len(shape) < 2:
        return (parameter.numel(),), ()
    if isinstance(owner, _TRANSPOSED):
        groups = owner.groups
        return (groups, shape[0] // groups, shape[1], math.prod(shape[2:])), (0, 2)
    return (shape[0], math.prod(shape[1:])), (0,)
