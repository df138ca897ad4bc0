"""All checks in order: about ten forward passes over at most 256 examples."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from thalweg.problem.checks import form, function, means
from thalweg.problem.criterion import Criterion
from thalweg.problem.data import Batches
from thalweg.problem.network import Network, arithmetic

_ENOUGH = 256


@dataclass(frozen=True)
class Findings:
    """Names of the quantities, and whether examples are evaluated independently of their batch."""

    names: list[str]
    cuts: means.Cuts


def examine(network: Network, splits: Mapping[str, Batches], criteria: Mapping[str, Criterion]) -> Findings:
    """Refuse what is no function of the weights or no mean over examples, in either split."""
    train, probes, names = splits["train"], [], []
    coupled = False
    with torch.no_grad(), arithmetic(network.precision, network.device), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.load(network.theta.unsqueeze(0), 1)
        before = function.state(network)
        for split, data in splits.items():
            batch, values = form.evaluated(network, data, _ENOUGH, "training" if split == "train" else split)
            probes.append(batch)
            names.append(list(values))
            if network.head.step is None:
                coupled |= means.check_criteria(network, batch, criteria)
                means.check_targets(network, data, criteria)
        function.unmoved(network, before)
        function.listens(network, probes[0])
        function.repeats(network, probes[0], train)
        cuts = means.cuts(network, train, _ENOUGH)
        network.load(network.theta.unsqueeze(0), 1)
    return Findings(names[0], "coupled" if coupled else cuts)
