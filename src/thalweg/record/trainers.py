"""What the callbacks for trainers have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from thalweg.record.curvature import CurvatureRecorder
from thalweg.record.recorder import Recorder

AnyRecorder = Recorder | CurvatureRecorder


class Losses:
    """The loss of one update, out of those of the batches that it is made of; kept on the device.

    Parameters
    ----------
    tell
        Is told of it after each batch.
    """

    def __init__(self, tell: Callable[[Any], object]) -> None:
        self._tell = tell
        self.begin()

    @classmethod
    def of(cls, recorder: AnyRecorder) -> Losses | None:
        """None for a recorder that asks for no losses (`CurvatureRecorder`)."""
        return cls(recorder.log) if isinstance(recorder, Recorder) else None

    def begin(self) -> None:
        """The next loss is of another update."""
        self._sum: Any = 0.0
        self._count = 0

    def add(self, loss: Tensor, *, mean: bool = True) -> None:
        """Tell the mean of the losses since `begin`, or their sum; in single precision at least."""
        self._sum = self._sum + loss.detach().to(torch.promote_types(loss.dtype, torch.float32))
        self._count += 1
        self._tell(self._sum / self._count if mean else self._sum)


def part_of(model: nn.Module, part: str | None) -> nn.Module:
    """The model, or its submodule of that name."""
    if part is None:
        return model
    try:
        return model.get_submodule(part)
    except AttributeError as error:
        names = ", ".join(name for name, _ in model.named_children()) or "none"
        raise ValueError(f"{type(model).__name__} has no submodule {part!r}; it has {names}.") from error


def refuse_split(model: nn.Module, how: str = "") -> None:
    """Refuse weights that no process has as a whole: FSDP, DeepSpeed's stage 3, tensor parallelism."""
    if how or any(isinstance(p, DTensor) or hasattr(p, "ds_id") for p in model.parameters()):
        raise ValueError(
            f"{how or 'Tensor parallelism'} splits the weights or their updates over processes, so none has all of "
            "them to record. Train on one device, or data-parallel (DDP); or record checkpoints afterwards."
        )
