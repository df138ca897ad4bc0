"""What is true, found without the code under test: residuals by double backward, and how few products would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from spectrum_cases import Case, slopes
from torch.nn.attention import SDPBackend, sdpa_kernel


def products(case: Case, vectors: np.ndarray) -> np.ndarray:
    """The Hessian times each row, by double backward, batches summed in float64."""
    rows = torch.as_tensor(vectors, dtype=torch.float32, device=case.inputs.device)
    sizes = [p.numel() for p in case.parameters]
    total = torch.zeros(rows.shape, dtype=torch.float64, device=rows.device)
    with sdpa_kernel(SDPBackend.MATH):
        for slope, share in slopes(case, case.batch_size):
            for row, sum_ in zip(rows, total, strict=True):
                parts = [part.view_as(p) for part, p in zip(row.split(sizes), case.parameters, strict=True)]
                found = torch.autograd.grad(slope, case.parameters, parts, retain_graph=True)
                sum_ += share * torch.cat([f.reshape(-1) for f in found]).double()
    return total.cpu().numpy()


def residual(case: Case, values: np.ndarray, vectors: np.ndarray) -> float:
    """Largest ‖Hv − λv‖ of the pairs, as a share of the largest eigenvalue."""
    rows = np.asarray(vectors, dtype=np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    off = products(case, rows) - np.asarray(values)[:, None] * rows
    return float(np.linalg.norm(off, axis=1).max() / np.abs(values).max())


@dataclass(frozen=True)
class Lanczos:
    """Plain Lanczos in float64: after each step, eigenvalues by falling magnitude and their residuals."""

    steps: list[tuple[np.ndarray, np.ndarray]]

    @property
    def values(self) -> np.ndarray:
        return self.steps[-1][0]

    def off(self, values: np.ndarray) -> float:
        """How far these are from the largest eigenvalues, as a share of the largest."""
        order = np.argsort(-np.abs(values), kind="stable")
        return float(np.abs(np.asarray(values)[order] - self.values[: len(values)]).max() / abs(self.values[0]))

    def fewest(self, k: int, tol: float) -> int:
        """Products after which the `k` pairs first are there with residuals below `tol`."""
        scale = abs(self.values[0])
        for count, (values, residuals) in enumerate(self.steps, start=1):
            there = count >= k and (residuals[:k] <= tol * scale).all()
            if there and np.abs(values[:k] - self.values[:k]).max() <= tol * scale:
                return count
        return len(self.steps)


def lanczos(product: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, k: int, tol: float) -> Lanczos:
    """From `start`, orthogonal to all earlier vectors (twice), until `k` pairs have residuals below `tol`."""
    basis = [(start / start.norm()).double().cpu().numpy()]
    alpha: list[float] = []
    beta: list[float] = []
    steps = []
    for count in range(1, 301):
        image = product(torch.as_tensor(basis[-1]).to(start)).double().cpu().numpy()
        alpha.append(float(basis[-1] @ image))
        rows = np.stack(basis)
        for _ in range(2):
            image = image - rows.T @ (rows @ image)
        beta.append(float(np.linalg.norm(image)))
        matrix = np.diag(alpha) + np.diag(beta[:-1], 1) + np.diag(beta[:-1], -1)
        values, vectors = np.linalg.eigh(matrix)
        order = np.argsort(-np.abs(values), kind="stable")
        steps.append((values[order], beta[-1] * np.abs(vectors[-1, order])))
        if count > 2 * k and (steps[-1][1][:k] <= tol * abs(steps[-1][0][0])).all():
            break
        basis.append(image / beta[-1])
    return Lanczos(steps)
