"""Who finds eigenpairs: thalweg, its peers from PyPI as their documentation says, and scipy over a loop by hand.

Each contestant runs a case for `k` pairs at one rung of its ladder, from the loosest setting to the tightest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.sparse.linalg import LinearOperator, eigsh
from spectrum_cases import Case, double_backward
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

import thalweg as tw

OURS, EIGSH, CURVLINOPS = "thalweg", "eigsh, double backward", "curvlinops + eigsh"
EIGENTHINGS, PYHESSIAN = "hessian-eigenthings", "PyHessian"
PACKAGES = {
    CURVLINOPS: ("curvlinops", "curvlinops-for-pytorch"),
    EIGENTHINGS: ("hessian_eigenthings", "hessian-eigenthings"),
    PYHESSIAN: ("pyhessian", "pyhessian"),
}
TOL = 1e-3


class Spent(Exception):
    """More seconds than the budget allows."""


@dataclass
class Counter:
    """Products, and examples that went through the network or what is kept of it."""

    budget: float  # seconds of the process
    products: int = 0
    rows: int = 0
    began: float = field(default_factory=time.process_time)

    def product(self) -> None:
        if time.process_time() - self.began > self.budget:
            raise Spent(f"not there after {self.products:,} products")
        self.products += 1


@dataclass
class Pairs:
    """What came out; vectors as rows."""

    values: np.ndarray
    vectors: np.ndarray
    set_up: float = 0.0
    how: str = ""


Run = Callable[[Case, int, Any, Counter], Pairs]


@dataclass(frozen=True)
class Contestant:
    """A tool, its ladder of settings from loose to tight, and their name."""

    name: str
    run: Run
    setting: str
    ladder: Callable[[int], Sequence[Any]]


def ours(case: Case, k: int, tol: float, counter: Counter) -> Pairs:
    problem = case.problem
    made, spent = [], []
    curvature = problem.curvature

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        made.append(curvature(*args, **kwargs))
        spent.append(time.process_time() - began)
        return made[-1]

    problem.curvature = timed  # type: ignore[method-assign]
    found = tw.top_eigenpairs(problem, k, tol=tol, progress=False)
    counter.products = found.attrs["num_matvecs"]
    how = made[0].how
    counter.rows += round(case.num_examples * (counter.products + how.kept_batches / how.num_batches))
    return Pairs(found.eigenvalue.values, found.eigenvector.values, spent[0], how.words)


def eigsh_by_hand(case: Case, k: int, tol: float, counter: Counter) -> Pairs:
    size = case.batch_size
    with sdpa_kernel(SDPBackend.MATH):
        return _eigsh(case, k, tol, counter, lambda v: double_backward(case, size, v))


def _eigsh(case: Case, k: int, tol: float, counter: Counter, product: Callable[[Tensor], Tensor]) -> Pairs:
    device = case.inputs.device

    def matvec(v: np.ndarray) -> np.ndarray:
        counter.product()
        return product(torch.as_tensor(v.reshape(-1), dtype=torch.float32, device=device)).cpu().numpy()

    shape = (case.num_weights, case.num_weights)
    start = np.random.default_rng(0).normal(size=case.num_weights).astype(np.float32)
    values, vectors = eigsh(LinearOperator(shape, matvec, dtype=np.float32), k=k, tol=tol, v0=start)
    return Pairs(values, vectors.T)


def curvlinops(case: Case, k: int, tol: float, counter: Counter) -> Pairs:
    """`HessianLinearOperator(...).to_scipy()` in `eigsh`, its checks of the data as they are by default."""
    from curvlinops import HessianLinearOperator

    began = time.process_time()
    data = case.batches(case.batch_size)
    criterion = torch.nn.CrossEntropyLoss()
    with sdpa_kernel(SDPBackend.MATH):
        operator = HessianLinearOperator(case.model, criterion, case.parameters, data, progressbar=False)
        linear = operator.to_scipy(dtype=np.float32)
        set_up = time.process_time() - began
        found = _eigsh(case, k, tol, counter, lambda v: torch.as_tensor(linear @ v.cpu().numpy()))
    found.set_up = set_up
    return found


def eigenthings(case: Case, k: int, steps: int, counter: Counter) -> Pairs:
    """`lanczos` over a `HessianOperator`; it takes a fixed number of steps."""
    from hessian_eigenthings import HessianOperator, lanczos, supervised_loss

    operator = HessianOperator(case.model, case.batches(case.batch_size), supervised_loss(F.cross_entropy))
    matvec = operator.matvec

    def counted(v: Tensor) -> Tensor:
        counter.product()
        return matvec(v)

    operator.matvec = counted  # type: ignore[method-assign]
    with sdpa_kernel(SDPBackend.MATH):
        found = lanczos(operator, k=k, max_iter=steps, reorthogonalize=True, seed=0)
    return Pairs(found.eigenvalues.cpu().double().numpy(), found.eigenvectors.cpu().numpy())


def pyhessian(case: Case, k: int, tol: float, counter: Counter) -> Pairs:
    """Power iteration with deflation on one batch of all examples, whose graph it keeps: the fastest that it offers."""
    module: Any = import_module("pyhessian.hessian")  # the package has a class of that name
    plain = module.hessian_vector_product

    def counted(*args: Any) -> Any:
        counter.product()
        return plain(*args)

    module.hessian_vector_product = counted
    try:
        with sdpa_kernel(SDPBackend.MATH):
            began = time.process_time()
            cuda = case.inputs.device.type == "cuda"
            found = module.hessian(case.model, F.cross_entropy, data=(case.inputs, case.targets), cuda=cuda)
            set_up = time.process_time() - began
            values, vectors = found.eigenvalues(maxIter=10_000, tol=tol, top_n=k)
    finally:
        module.hessian_vector_product = plain
        case.model.zero_grad()
    counter.rows += case.num_examples * counter.products
    rows = torch.stack([torch.cat([part.reshape(-1) for part in vector]) for vector in vectors])
    return Pairs(np.array(values), rows.detach().cpu().numpy(), set_up)


def _tolerances(_: int) -> Sequence[float]:
    return (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5)


CONTESTANTS = (
    Contestant(OURS, ours, "tol", lambda _: (TOL,)),
    Contestant(EIGSH, eigsh_by_hand, "tol", _tolerances),
    Contestant(CURVLINOPS, curvlinops, "tol", _tolerances),
    Contestant(EIGENTHINGS, eigenthings, "steps", lambda k: [2 * k, 3 * k, 4 * k, 5 * k, 6 * k, 8 * k, 12 * k]),
    Contestant(PYHESSIAN, pyhessian, "tol", lambda _: (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)),
)


def missing(contestant: Contestant) -> str:
    """Why it cannot take part, or nothing."""
    module, package = PACKAGES.get(contestant.name, ("", ""))
    if module and find_spec(module) is None:
        return f"not installed: pip install {package}"
    return ""
