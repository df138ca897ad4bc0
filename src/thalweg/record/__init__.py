"""Weights recorded while a network trains."""

from thalweg.record.recorder import Recorder

__all__ = ["Recorder"]
