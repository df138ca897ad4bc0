"""Landscapes and small problems known on paper or in class: what tests, labs and demos look at."""

from thalweg.landscapes.digits import digits, small_cnn

__all__ = ["digits", "small_cnn"]
