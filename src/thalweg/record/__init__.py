"""Weights and curvature recorded while a network trains."""

from thalweg.record.curvature import CurvatureRecorder
from thalweg.record.recorder import Recorder

__all__ = ["CurvatureRecorder", "Recorder"]
