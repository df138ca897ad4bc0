"""Weights from files. Files from others are data, not code: safetensors, or `torch.load(weights_only=True)`."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_NESTED = ("state_dict", "model_state_dict", "model")


def read_state(file: str | Path) -> dict[str, Tensor]:
    """Named tensors of a checkpoint, on the CPU.

    `.safetensors` files are read as such, all others with `torch.load(weights_only=True)`; a state dict one level down
    (under `state_dict`, `model_state_dict` or `model`) is found.

    Raises
    ------
    FileNotFoundError
        With the resolved path.
    ValueError
        For a pickle that needs more than tensors: it could run code, and is refused. For a file without tensors.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path} (looked in {path.resolve().parent}).")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path.name} is no readable safetensors file: {error}.") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path.name} holds more than tensors, and loading it could run code, so it is refused "
            f"({_needs(error)}). Where you made it, save the weights alone: "
            "`safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')`."
        ) from error
    except Exception as error:  # whatever unpickling other bytes comes to
        reason = str(error).strip() or type(error).__name__
        raise ValueError(f"{path.name} is damaged or no PyTorch checkpoint: {reason.splitlines()[0]}") from error
    return _state_dict(content, path.name)


def _needs(error: Exception) -> str:
    """Which object a refused pickle asks for, as torch names it."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it needs {found.group(1)}" if found else "or it is no checkpoint at all"


def load_weights(model: nn.Module, file: str | Path) -> nn.Module:
    """Load a checkpoint into `model` (in place, strictly) and return it.

    Raises
    ------
    ValueError
        Naming the keys that are missing, not expected, or of another shape. The model is then unchanged.
    """
    state = read_state(file)
    fits(state, model, Path(file).name)
    model.load_state_dict(complete(state, model))
    return model


def complete(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The state with the other names of tied weights filled in: files keep one name for tensors that share storage."""
    full, expected = dict(state), model.state_dict()
    kept = {value.data_ptr(): key for key, value in expected.items() if key in state and value.numel()}
    for key, value in expected.items():
        if key not in full and value.numel() and value.data_ptr() in kept:
            full[key] = state[kept[value.data_ptr()]].reshape(value.shape)
    return full


def fits(state: Mapping[str, Tensor], model: nn.Module, source: str) -> None:
    """Refuse a state whose keys or shapes are not those of `model`."""
    expected = model.state_dict()
    # files drop names that share storage; a tied tensor may be present under any one of its names
    shared = {value.data_ptr() for key, value in expected.items() if key in state and value.numel()}
    missing = [k for k, v in expected.items() if k not in state and (not v.numel() or v.data_ptr() not in shared)]
    unexpected = [key for key in state if key not in expected]
    shapes = [
        f"`{key}` is {tuple(state[key].shape)}, the model's is {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    if not (missing or unexpected or shapes):
        return
    parts = [f"missing {_some(missing)}"] * bool(missing) + [f"not in the model {_some(unexpected)}"] * bool(unexpected)
    parts += ["; ".join(shapes[:4])] * bool(shapes)
    hint = ""
    for prefix in ("module.", "_orig_mod.", "model."):
        if unexpected and all(key.startswith(prefix) and key.removeprefix(prefix) in expected for key in unexpected):
            hint = f" Every key begins with `{prefix}`: strip it (`key.removeprefix({prefix!r})`) and save again."
    raise ValueError(f"The checkpoint {source} does not fit {type(model).__name__}: {', '.join(parts)}.{hint}")


def _state_dict(content: Any, name: str) -> dict[str, Tensor]:
    for key in ("", *_NESTED):
        candidate = content if not key else content.get(key) if isinstance(content, Mapping) else None
        if isinstance(candidate, Mapping) and candidate and all(isinstance(v, Tensor) for v in candidate.values()):
            return dict(candidate)
    found = (
        f"a dict with keys {_some(list(content))}" if isinstance(content, Mapping) else f"a {type(content).__name__}"
    )
    raise ValueError(f"{name} holds {found}; expected a state dict (names -> tensors), bare or under `state_dict`.")


def _some(names: list[Any]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return shown + (f" and {len(names) - 5} more" if len(names) > 5 else "")
