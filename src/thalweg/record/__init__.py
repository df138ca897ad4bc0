"""Weights and curvature recorded while a network trains, in a plain loop or by a trainer, and sent to loggers.

`record.lightning` and `record.huggingface` hold the callbacks for those trainers.
"""

from thalweg.record.curvature import CurvatureRecorder
from thalweg.record.loggers import MetricSink, MlflowSink, TensorBoardSink, WandbSink, log_dataset
from thalweg.record.recorder import Recorder

__all__ = [
    "CurvatureRecorder",
    "MetricSink",
    "MlflowSink",
    "Recorder",
    "TensorBoardSink",
    "WandbSink",
    "log_dataset",
]
