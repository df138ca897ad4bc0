"""Everybody who computes Jacobians and tangent kernels in `tangent.py`, each as a user would write it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, vmap

import thalweg as tw

OURS, LOOP, GRAD, JACREV, NT = "thalweg", "one backward each", "vmap(grad)", "vmap(jacrev)", "neural-tangents"


def loop_jacobian(model: nn.Module, x: Tensor) -> np.ndarray:
    """One forward and one backward pass for each example and output."""
    rows = []
    for i in range(len(x)):
        outputs = model(x[i : i + 1])[0]
        for value in outputs:
            found = torch.autograd.grad(value, list(model.parameters()), retain_graph=len(outputs) > 1)
            rows.append(torch.cat([part.reshape(-1) for part in found]))
    return torch.stack(rows).numpy()


def vmap_jacobian(model: nn.Module, x: Tensor) -> np.ndarray:
    """Gradients of a single output, vectorised over the examples."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def value(parameters: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(model, parameters, (one.unsqueeze(0),)).squeeze()

    found = vmap(grad(value), (None, 0))(parameters, x)
    return torch.cat([part.reshape(len(x), -1) for part in found.values()], 1).numpy()


def our_jacobian(model: nn.Module, x: Tensor) -> np.ndarray:
    return _problem(model, x).jacobian().numpy()


def tutorial_kernel(model: nn.Module, x: Tensor) -> np.ndarray:
    """`empirical_ntk_jacobian_contraction` of PyTorch's tutorial on tangent kernels, rows ordered as ours."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def single(parameters: dict[str, Tensor], one: Tensor) -> Tensor:
        return functional_call(model, parameters, (one.unsqueeze(0),)).squeeze(0)

    jacobians = [j.flatten(2) for j in vmap(jacrev(single), (None, 0))(parameters, x).values()]
    kernel = torch.stack([torch.einsum("Naf,Mbf->NMab", j, j) for j in jacobians]).sum(0)
    return _flat(kernel)


def loop_kernel(model: nn.Module, x: Tensor) -> np.ndarray:
    jacobian = loop_jacobian(model, x)
    return jacobian @ jacobian.T


def our_kernel(model: nn.Module, x: Tensor) -> np.ndarray:
    return tw.empirical_ntk(_problem(model, x)).kernel.values


def _flat(kernel: Tensor) -> np.ndarray:
    n, m, a, b = kernel.shape
    return kernel.permute(0, 2, 1, 3).reshape(n * a, m * b).numpy()


_PROBLEMS: dict[tuple[int, int], tw.ModuleProblem] = {}


def _problem(model: nn.Module, x: Tensor) -> tw.ModuleProblem:
    """Made once: reading and checking the data is no part of a Jacobian."""
    key = (id(model), len(x))
    if key not in _PROBLEMS:
        with torch.no_grad():
            targets = torch.zeros_like(model(x))
        _PROBLEMS[key] = tw.ModuleProblem(model, (x, targets), loss=nn.functional.mse_loss)
    return _PROBLEMS[key]


def our_problem(model: nn.Module, x: Tensor) -> tw.ModuleProblem:
    return _problem(model, x)


class NeuralTangents:
    """neural-tangents in an interpreter of its own: it imports only with JAX of 2024, for which others have no use."""

    def __init__(self, interpreter: str) -> None:
        self.interpreter = interpreter
        self.absent = self._missing()

    def kernel(self, model: nn.Module, x: Tensor, rounds: int) -> tuple[np.ndarray, float, float]:
        """The kernel, and the fewest seconds on the CPU and on the wall once compiled."""
        with tempfile.TemporaryDirectory() as folder:
            weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
            np.savez(f"{folder}/in.npz", x=x.numpy(), **weights)
            told = self._run([str(Path(__file__).parent / "tangent_jax.py"), folder, str(rounds)])
            if told.returncode:
                raise RuntimeError(told.stderr.strip().splitlines()[-1][:100])
            return np.load(f"{folder}/out.npy"), *json.loads(told.stdout.strip().splitlines()[-1])

    def _missing(self) -> str:
        told = self._run(["-c", "import neural_tangents"])
        if told.returncode == 0:
            return ""
        last = (told.stderr.strip().splitlines() or ["?"])[-1]
        return f"does not import: {last[:90]} (another interpreter: --neural-tangents PYTHON)"

    def _run(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        environment = {**clean, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [self.interpreter, *arguments], check=False, capture_output=True, text=True, env=environment
        )


JACOBIANS: dict[str, Callable[[nn.Module, Tensor], np.ndarray]] = {
    OURS: our_jacobian,
    GRAD: vmap_jacobian,
    LOOP: loop_jacobian,
}
KERNELS: dict[str, Callable[[nn.Module, Tensor], np.ndarray]] = {
    OURS: our_kernel,
    JACREV: tutorial_kernel,
    LOOP: loop_kernel,
}


def interpreter() -> str:
    return sys.executable
