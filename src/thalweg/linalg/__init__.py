"""Numerics that ask for a matvec and have never heard of a network.

- `top_eigenpairs`: eigenpairs at the ends of a spectrum (`lanczos`; when it stops: `stopping`).
- `spectral_quadrature`: the whole spectrum, smoothed (`quadrature`).
- `hutchinson`, `hutch_plus_plus`, `xtrace`, `diagonal`: traces and diagonals with standard errors (`trace`).
- `orthonormalize`, `principal_angles`, `subspace_overlap`, `share_in_subspace`: small subspaces (`low_rank`).
- `exact_svd`, `randomized_svd`, `lanczos_svd`: singular triplets of a rectangular matrix, stored or known by products
  (`svd`, `bidiagonal`, `linear_map`).
- `Operator`, `check_operator`: products counted and checked (`operator`).
"""

from thalweg.linalg.bidiagonal import lanczos_svd
from thalweg.linalg.estimate import DiagonalEstimate, Estimate
from thalweg.linalg.lanczos import Eigenpairs, top_eigenpairs
from thalweg.linalg.linear_map import LinearMap
from thalweg.linalg.low_rank import orthonormalize, principal_angles, share_in_subspace, subspace_overlap
from thalweg.linalg.operator import Matvec, Operator, OperatorCheck, check_operator
from thalweg.linalg.quadrature import Curve, Quadrature, spectral_quadrature
from thalweg.linalg.stopping import Stop, Which
from thalweg.linalg.svd import Triplets, exact_svd, randomized_svd, rank_tolerance
from thalweg.linalg.trace import diagonal, hutch_plus_plus, hutchinson
from thalweg.linalg.xtrace import xtrace

__all__ = [
    "Curve",
    "DiagonalEstimate",
    "Eigenpairs",
    "Estimate",
    "LinearMap",
    "Matvec",
    "Operator",
    "OperatorCheck",
    "Quadrature",
    "Stop",
    "Triplets",
    "Which",
    "check_operator",
    "diagonal",
    "exact_svd",
    "hutch_plus_plus",
    "hutchinson",
    "lanczos_svd",
    "orthonormalize",
    "principal_angles",
    "randomized_svd",
    "rank_tolerance",
    "share_in_subspace",
    "spectral_quadrature",
    "subspace_overlap",
    "top_eigenpairs",
    "xtrace",
]
