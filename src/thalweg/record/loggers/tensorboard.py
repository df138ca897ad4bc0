"""Numbers as TensorBoard's event files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thalweg.record.loggers.sink import Closing, missing


class TensorBoardSink(Closing):
    """Writes to a folder for `tensorboard --logdir`, at once after every row.

    Parameters
    ----------
    writer
        The folder; or a `SummaryWriter` that is open already (Lightning's is `trainer.logger.experiment`).

    Examples
    --------
    >>> import tempfile
    >>> with TensorBoardSink(tempfile.mkdtemp()) as sink:
    ...     sink.log(10, {"trajectory/loss": 0.5})
    """

    def __init__(self, writer: str | Path | Any) -> None:
        self._owned = isinstance(writer, (str, Path))
        self._writer: Any = _open(writer) if isinstance(writer, (str, Path)) else writer

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """One scalar each."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the files; a writer that was given stays open."""
        if self._owned:
            self._writer.close()


def _open(folder: str | Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise missing(error, "tensorboard") from error
    return SummaryWriter(str(Path(folder).expanduser()))
