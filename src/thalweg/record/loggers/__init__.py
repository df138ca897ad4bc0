"""What is recorded, sent on to where people look at their runs.

A recorder takes `loggers=[...]` and tells them the numbers of every row when it is on disk (weights stay in the study);
`log_dataset` sends a finished result. A logger is anything with `log(step, values)` and `close()` (`MetricSink`).
The libraries are imported when a logger is made.

- `TensorBoardSink`: event files in a folder.
- `WandbSink`: a run of Weights & Biases, online or offline.
- `MlflowSink`: a run of MLflow, on a server or in a database file.
"""

from thalweg.record.loggers.datasets import log_dataset
from thalweg.record.loggers.mlflow import MlflowSink
from thalweg.record.loggers.sink import MetricSink
from thalweg.record.loggers.tensorboard import TensorBoardSink
from thalweg.record.loggers.wandb import WandbSink

__all__ = ["MetricSink", "MlflowSink", "TensorBoardSink", "WandbSink", "log_dataset"]
