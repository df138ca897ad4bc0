"""Drawn by matplotlib: for papers."""
