"""Dense symmetric matrices with known spectra, and a plain Lanczos that has seen none of the library's code."""

import numpy as np
import torch


def symmetric(eigenvalues, seed=0):
    """Q diag(λ) Qᵀ with a random orthogonal Q, float64, exactly symmetric."""
    d = np.asarray(eigenvalues, dtype=np.float64)
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(d), len(d))))
    a = (q * d) @ q.T
    return torch.as_tensor((a + a.T) / 2)


def outliers_and_bulk(n, seed=0):
    """Nine outliers from 10 to 1.2 and a bulk around zero, as Hessians of classifiers have."""
    draw = np.random.default_rng(seed)
    bulk = np.clip(0.02 * np.abs(draw.normal(size=n)) ** 3, 0, 0.8) * np.sign(draw.normal(size=n) + 0.5)
    bulk[:9] = np.geomspace(10, 1.2, 9)
    return bulk


def product(a):
    """The matvec of a dense matrix: vectors or rows."""
    return lambda v: v @ a


class Counted:
    """A matvec that counts on its own."""

    def __init__(self, a):
        self.a, self.count = a, 0

    def __call__(self, v):
        self.count += 1
        return self.a @ v


def first_vector(n, seed):
    """The random start that `top_eigenpairs` documents: Gaussian, drawn on the CPU in float64."""
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()


def fewest_lanczos_products(a, k, tol, start):
    """The first m at which the k largest |λ| of span(b, Ab, ...) have true residuals of at most tol |λ|max."""
    a = a.numpy()
    q = [start / np.linalg.norm(start)]
    while True:
        basis = np.array(q)
        values, s = np.linalg.eigh(basis @ a @ basis.T)
        top = np.argsort(-np.abs(values))[:k]
        y = basis.T @ s[:, top]
        residuals = np.linalg.norm(a @ y - y * values[top], axis=0)
        if len(q) >= k and (residuals <= tol * np.abs(values).max()).all():
            return len(q)
        w = a @ q[-1]
        for _ in range(3):
            w = w - basis.T @ (basis @ w)
        q.append(w / np.linalg.norm(w))
