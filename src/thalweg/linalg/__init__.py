"""Numerics that ask for a matvec and have never heard of a network."""
