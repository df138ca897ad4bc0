"""Who takes the training steps of `connect.py`: thalweg, what one would write by hand, and a plain training run.

Everybody moves the bend of a curve from the segment by SGD with momentum, on the same `t` and mini-batches, picked from
tensors in memory; the plain run moves the network's own weights on these mini-batches. Each returns the bend as one
vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw
from thalweg.measures.pupils import BLOCK, Draws

PLAIN, OURS = "plain training step", "thalweg.connect"
COPIED, THROUGH = "wrapper: copies module by module", "wrapper: autograd through the layers"
RATE, MOMENTUM, BATCH = 0.02, 0.9, 256


@dataclass(frozen=True)
class Case:
    """Two trained networks, their data, and the size of a mini-batch."""

    key: str
    title: str
    models: tuple[nn.Module, nn.Module]
    inputs: Tensor
    targets: Tensor
    batch_size: int
    kind: str = "bezier"

    def __str__(self) -> str:
        weights = sum(p.numel() for p in self.models[0].parameters())
        return f"({self.key}) {self.title}: {weights:,} weights, mini-batches of {self.batch_size}, {self.kind}"

    @cached_property
    def problem(self) -> tw.ModuleProblem:
        """Made once; in the loop's own batches, over which statistics are averaged."""
        data, metrics = (self.inputs, self.targets), {"accuracy": tw.accuracy}
        return tw.ModuleProblem(self.models[0], data, loss=F.cross_entropy, metrics=metrics, batch_size=BATCH)

    @property
    def ends(self) -> list[Tensor]:
        return [parameters_to_vector(model.parameters()).detach().clone() for model in self.models]

    @property
    def normalizes(self) -> bool:
        return any(isinstance(module, nn.BatchNorm2d) for module in self.models[0].modules())

    def draws(self, steps: int) -> Iterator[tuple[list[float], Tensor, Tensor]]:
        """Coefficients of the control points and a mini-batch, for each step."""
        draws = Draws(0, len(self.inputs), self.batch_size)
        curve = tw.BezierCurve if self.kind == "bezier" else tw.PolygonalChain
        shape = curve(torch.eye(3))
        last = -1
        for step in range(steps):
            if step % BLOCK == 0:
                coefficients = shape.weights(draws.t(step // BLOCK)).tolist()
            epoch, rows = draws.rows(step)
            if epoch != last:
                last, order = epoch, draws.order(epoch)
            index = order[rows]
            yield coefficients[step % BLOCK], self.inputs[index], self.targets[index]


def ours(case: Case) -> Callable[[int], Tensor]:
    """The whole call, set-up included."""
    problem, (a, b) = case.problem, case.ends

    def run(steps: int) -> Tensor:
        def optimizer(bends: list[Tensor]) -> torch.optim.Optimizer:
            return torch.optim.SGD(bends, lr=RATE, momentum=MOMENTUM)

        size = case.batch_size
        found = tw.connect(problem, a, b, case.kind, optimizer=optimizer, steps=steps, batch_size=size, progress=False)
        return found.curve.bends[0]

    return run


def plain(case: Case) -> Callable[[int], Tensor]:
    """The network itself, trained on."""

    def run(steps: int) -> Tensor:
        model = copy.deepcopy(case.models[0]).train(case.normalizes)
        optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
        for _, inputs, targets in case.draws(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        return parameters_to_vector(model.parameters()).detach()

    return run


def copied(case: Case) -> Callable[[int], Tensor]:
    """A model that is written into at each step, module by module; gradients are collected tensor by tensor."""

    def run(steps: int) -> Tensor:
        model = copy.deepcopy(case.models[0]).train(case.normalizes)
        first, last = ([p.detach() for p in m.parameters()] for m in case.models)
        bends = [((a + b) / 2).requires_grad_(True) for a, b in zip(first, last, strict=True)]
        optimizer = torch.optim.SGD(bends, lr=RATE, momentum=MOMENTUM)
        places = [p for module in model.modules() for p in module.parameters(recurse=False)]
        for w, inputs, targets in case.draws(steps):
            with torch.no_grad():
                for place, a, bend, b in zip(places, first, bends, last, strict=True):
                    place.copy_(w[0] * a + w[1] * bend + w[2] * b)
            model.zero_grad()
            F.cross_entropy(model(inputs), targets).backward()
            for place, bend in zip(places, bends, strict=True):
                bend.grad = w[1] * place.grad
            optimizer.step()
        return parameters_to_vector(bends).detach()

    return run


def through(case: Case) -> Callable[[int], Tensor]:
    """Control points are parameters of each layer; autograd goes through their combination (Garipov et al. 2018)."""

    def run(steps: int) -> Tensor:
        model = copy.deepcopy(case.models[0]).train(case.normalizes)
        names = [name for name, _ in model.named_parameters()]
        first, last = ([p.detach() for p in m.parameters()] for m in case.models)
        bends = [((a + b) / 2).requires_grad_(True) for a, b in zip(first, last, strict=True)]
        optimizer = torch.optim.SGD(bends, lr=RATE, momentum=MOMENTUM)
        for w, inputs, targets in case.draws(steps):
            parts = zip(names, first, bends, last, strict=True)
            weights = {name: w[0] * a + w[1] * bend + w[2] * b for name, a, bend, b in parts}
            optimizer.zero_grad()
            F.cross_entropy(functional_call(model, weights, (inputs,)), targets).backward()
            optimizer.step()
        return parameters_to_vector(bends).detach()

    return run


CONTESTANTS = {PLAIN: plain, OURS: ours, COPIED: copied, THROUGH: through}


def along(case: Case, curve: tw.BezierCurve) -> tuple[Tensor, Tensor]:
    """thalweg's losses and accuracies at 61 places."""
    found = tw.loss_along(case.problem, curve, progress=False)
    return torch.as_tensor(found.loss.values), torch.as_tensor(found.accuracy.values)


@torch.no_grad()
def along_by_hand(case: Case, curve: tw.BezierCurve, loader: bool = False) -> tuple[Tensor, Tensor]:
    """A loop over 61 places: weights into the model, statistics anew where there are any, all batches."""
    model = copy.deepcopy(case.models[0])
    batches: Any = list(zip(case.inputs.split(BATCH), case.targets.split(BATCH), strict=True))
    if loader:
        batches = DataLoader(TensorDataset(case.inputs, case.targets), batch_size=BATCH)
    losses, accuracies = [], []
    for t in torch.linspace(0, 1, 61, dtype=torch.float64):
        vector_to_parameters(curve(t), model.parameters())
        if case.normalizes:
            _recalibrated(model, [inputs for inputs, _ in batches])
        loss = hits = 0.0
        for inputs, targets in batches:
            outputs = model(inputs)
            loss += F.cross_entropy(outputs, targets, reduction="sum").item()
            hits += (outputs.argmax(1) == targets).sum().item()
        losses.append(loss / len(case.inputs))
        accuracies.append(hits / len(case.inputs))
    return torch.tensor(losses, dtype=torch.float64), torch.tensor(accuracies, dtype=torch.float64)


def along_loader(case: Case, curve: tw.BezierCurve) -> tuple[Tensor, Tensor]:
    """The same loop around a DataLoader, as the published code has it."""
    return along_by_hand(case, curve, loader=True)


def _recalibrated(model: nn.Module, batches: list[Tensor]) -> None:
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
    model.train()
    seen = 0
    for inputs in batches:
        for norm in norms:
            norm.momentum = len(inputs) / (seen + len(inputs))
        model(inputs)
        seen += len(inputs)
    model.eval()
