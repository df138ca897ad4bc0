r"""Initialisation: a network's weights drawn anew, by a scheme and a seed.

Too small weights let gradients vanish with depth, too large ones let them explode; He, Xavier, LeCun and orthogonal
schemes keep the scale of what passes through a layer about the same (`schemes` has the formulas). `initializations`
holds several of them against each other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from thalweg.measures.schemes import Own, Scheme
from thalweg.measures.schemes import scheme as scheme_of
from thalweg.weights import Block, Layout

_STACKED = {"in_proj_weight": 3}  # matrices of attention in one tensor
_GATES = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3}  # of recurrent layers
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LOOKUPS = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True)
class Initialization:
    """What `initialize` did: the attribute `initialization` of the model that it returns.

    Attributes
    ----------
    scheme, biases
        Names; `biases` is `as given` where they were left alone.
    touched, left
        Names of the parameters that were drawn anew, and of those that are as they were (normalisation, embeddings,
        frozen and reparametrised weights).
    """

    scheme: str
    biases: str
    seed: int
    touched: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        """In a line or two."""
        left = f"; left as they were: {', '.join(self.left)}" if self.left else ""
        return f"{self.scheme}, biases {self.biases}, seed {self.seed}: {', '.join(self.touched)}{left}"


def initialize(
    model: nn.Module, scheme: str | Own, seed: int = 0, *, biases: float | str | Own | None = 0.0
) -> nn.Module:
    r"""A copy of a model with its weights drawn anew.

    Matrices and kernels are drawn by the scheme, each by its own fans: those of transposed convolutions as of the
    convolution they transpose, attention's three projections and the gates of recurrent layers one by one. Embeddings,
    normalisation layers, frozen and reparametrised weights (weight normalisation) stay as they are.

    Parameters
    ----------
    model
        Any module; it does not change.
    scheme
        `"he_normal"`, `"he_uniform"`, `"xavier_normal"`, `"xavier_uniform"`, `"lecun_normal"`, `"lecun_uniform"`,
        `"orthogonal"`, `"zeros"`, `"uniform(0.03)"`, `"normal(0.1)"` (see `schemes`), or a function that fills a tensor
        in place, such as `torch.nn.init.sparse_` with its sparsity bound.
    seed
        The same seed gives the same weights on every device; torch's global generator stays as it is.
    biases
        A number; or a scheme for them that needs no fans, such as `"uniform(0.1)"`; None leaves them as they are.

    Returns
    -------
    Module
        With the attribute `initialization`, an `Initialization` that says which parameters were touched.

    Raises
    ------
    ValueError, TypeError
        An unknown scheme, or a model without a weight that it could touch.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1))
    >>> drawn = initialize(model, "uniform(0.03)", seed=200)
    >>> print(drawn.initialization)
    uniform(0.03), biases 0, seed 200: 0.weight, 0.bias, 2.weight, 2.bias; left as they were: 1.weight, 1.bias
    >>> bool(drawn[0].weight.abs().max() <= 0.03), drawn[0].bias.tolist()
    (True, [0.0, 0.0, 0.0])
    """
    found = scheme_of(scheme)
    filler_of_biases, said = for_biases(biases)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed={seed!r}; expected a whole number from 0.")
    _need_weights(model)
    drawn = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    touched = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)  # for functions of the user's own
        for block, owner, parameter in _drawable(drawn):
            filler = found if block.kind == "weight" else filler_of_biases
            if filler is None:
                continue
            _fill(parameter, owner, block, filler, generator)
            touched.append(block.name)
    if not any(block.kind == "weight" for block, *_ in _drawable(drawn)):
        raise ValueError(
            f"{type(model).__name__} has no matrix or kernel to draw: its weights are frozen, reparametrised, or those "
            "of embeddings and normalisation. Call `model.requires_grad_(True)`, or fold weight normalisation into the "
            "weights first."
        )
    left = tuple(name for name, _ in drawn.named_parameters() if name not in touched)
    drawn.initialization = Initialization(found.name, said, seed, tuple(touched), left)  # type: ignore[assignment]
    return drawn


def for_biases(given: float | str | Own | None) -> tuple[Scheme | None, str]:
    """What fills biases, None if they stay, and its name."""
    if given is None:
        return None, "as given"
    if isinstance(given, (int, float)):
        return scheme_of(f"constant({float(given)!r})"), f"{given:g}"
    found = scheme_of(given)
    if found.name.startswith(("xavier", "he_", "lecun", "orthogonal")):
        raise ValueError(f"biases={given!r}: a bias has no fans. Pass a number, 'uniform(a)', 'normal(s)' or None.")
    return found, found.name


def _need_weights(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"The model is a {type(model).__name__}; expected a torch.nn.Module.")
    if any(isinstance(p, UninitializedParameter) for p in model.parameters()):
        raise ValueError(
            f"{type(model).__name__} has lazy layers whose weights do not exist yet. Call the model on one batch first."
        )


def _drawable(model: nn.Module) -> Iterator[tuple[Block, nn.Module, nn.Parameter]]:
    """Matrices, kernels and biases that a scheme may draw."""
    named = dict(model.named_parameters())
    for block in Layout.of(model).blocks:
        owner = model.get_submodule(block.name.rpartition(".")[0])
        plain = not isinstance(owner, _LOOKUPS) and not _reparametrised(owner, block.name)
        if block.kind in ("weight", "bias") and plain and block.size:
            yield block, owner, named[block.name]


def _reparametrised(owner: nn.Module, name: str) -> bool:
    """Whether the parameter is not what the layer multiplies with: weight and spectral normalisation, old and new."""
    return "parametrizations." in name or any(
        type(hook).__name__ in ("WeightNorm", "SpectralNorm") and not name.endswith("bias")
        for hook in owner._forward_pre_hooks.values()
    )


def _fill(parameter: Tensor, owner: nn.Module, block: Block, filler: Scheme, generator: torch.Generator) -> None:
    """Draw on the CPU in the parameter's dtype (float32 for half precision), one matrix after the other."""
    wide = torch.promote_types(parameter.dtype, torch.float32)
    drawn = torch.empty(parameter.shape, dtype=wide)
    for part in drawn.chunk(_parts(owner, block), 0):
        if isinstance(owner, _TRANSPOSED) and block.kind == "weight":
            _fill_transposed(part, owner.groups, filler, generator)
        else:
            filler.fill(part, generator)
    parameter.copy_(drawn)


def _parts(owner: nn.Module, block: Block) -> int:
    local = block.name.rpartition(".")[2]
    recurrent = block.kind == "weight" and local.startswith("weight_") and "hr" not in local
    return _STACKED.get(local, _GATES.get(type(owner).__name__, 1) if recurrent else 1)


def _fill_transposed(kernel: Tensor, groups: int, filler: Scheme, generator: torch.Generator) -> None:
    """Kernels `(in, out / groups, ...)` as those of a convolution, `(out, in / groups, ...)`."""
    into, out, *field = kernel.shape
    grouped = kernel.view(groups, into // groups, out, *field).transpose(1, 2)
    plain = torch.empty(groups * out, into // groups, *field, dtype=kernel.dtype)
    filler.fill(plain, generator)
    grouped.copy_(plain.view(grouped.shape))
