"""Drawn by plotly: interactive."""
