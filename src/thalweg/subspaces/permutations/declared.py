"""A specification as a user writes it, made complete: how many units and entries each name stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from thalweg.subspaces.permutations.labels import Part
from thalweg.subspaces.permutations.spec import Axis

Word = str | int | None


def axes_of(
    state: Mapping[str, Tensor], groups: Mapping[str, Any], given: Mapping[str, int]
) -> dict[str, tuple[Axis, ...]]:
    """The parts of every axis of every tensor of a state."""
    words = {name: _words(name, tensor, groups) for name, tensor in state.items()}
    unknown = [name for name in groups if name not in state]
    if unknown:
        raise ValueError(f"The model has no parameters or buffers {_some(unknown)}; it has {_some(list(state))}.")
    sizes = {**_sizes(state, words), **given}
    return {
        name: tuple(_axis(name, k, axis, state[name].shape[k], sizes) for k, axis in enumerate(axes))
        for name, axes in words.items()
    }


def _words(name: str, tensor: Tensor, groups: Mapping[str, Any]) -> list[tuple[Word, ...]]:
    """For each axis the names along it."""
    if name not in groups and tensor.ndim:
        raise ValueError(
            f"`{name}` with shape {tuple(tensor.shape)} is not declared. Give a group or None for each of its axes, "
            "or None if it stays as a whole."
        )
    given = groups.get(name)
    given = (None,) * tensor.ndim if given is None else (given,) if isinstance(given, str) else tuple(given)
    if len(given) != tensor.ndim:
        raise ValueError(
            f"`{name}` has {tensor.ndim} axes, shape {tuple(tensor.shape)}, but {len(given)} are declared: {given}."
        )
    axes = [tuple(axis) if isinstance(axis, (tuple, list)) else (axis,) for axis in given]
    for word in (word for axis in axes for word in axis):
        if not (word is None or isinstance(word, (str, int))):
            raise ValueError(f"`{name}` is declared with {word!r}; expected the name of a group, or None.")
    return axes


def _sizes(state: Mapping[str, Tensor], words: Mapping[str, list[tuple[Word, ...]]]) -> dict[str, int]:
    """Units of each group: the length of the shortest axis that it has to itself."""
    sizes: dict[str, int] = {}
    for name, axes in words.items():
        for length, axis in zip(state[name].shape, axes, strict=True):
            if len(axis) == 1 and isinstance(axis[0], str):
                sizes[axis[0]] = min(length, sizes.get(axis[0], length))
    return sizes


def _axis(name: str, k: int, words: tuple[Word, ...], length: int, sizes: Mapping[str, int]) -> Axis:
    if words == (None,):
        return (Part(None, length),)
    unknown = [word for word in words if isinstance(word, str) and word not in sizes]
    if unknown:
        raise ValueError(
            f"The size of the group {unknown[0]!r} is not known: on no axis does it occur by itself. Pass "
            f"`sizes={{{unknown[0]!r}: ...}}`."
        )
    units = [sizes[word] if isinstance(word, str) else word or 0 for word in words]
    block, rest = divmod(length, sum(units)) if sum(units) else (0, length)
    if rest or not block:
        sums = " + ".join(
            f"{n} of {word!r}" if isinstance(word, str) else f"{n}" for n, word in zip(units, words, strict=True)
        )
        raise ValueError(f"Axis {k} of `{name}` has {length} entries, which {sums} units do not divide.")
    return tuple(
        Part(word, n, block) if isinstance(word, str) else Part(None, n * block)
        for n, word in zip(units, words, strict=True)
    )


def _some(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
