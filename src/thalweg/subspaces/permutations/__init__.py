"""Permutation symmetries of networks: which units may change places without changing what is computed."""

from thalweg.subspaces.permutations.find import permutation_spec
from thalweg.subspaces.permutations.labels import Part
from thalweg.subspaces.permutations.spec import PermutationSpec

__all__ = ["Part", "PermutationSpec", "permutation_spec"]
