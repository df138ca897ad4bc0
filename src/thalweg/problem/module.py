r"""Any `torch.nn.Module` with a loss and data, as one function of its flat weight vector.

The user's model is copied once and never changed. Loss and metrics are exact means over examples, whatever the batch
sizes: $L(\theta) = \frac1N \sum_{i=1}^N \ell(f(\theta; x_i), y_i)$.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from thalweg.problem import checks
from thalweg.problem.checkpoint import fits, read_state
from thalweg.problem.criterion import Criterion, check_metrics, name_of, one_of
from thalweg.problem.data import Batches, read, shuffles
from thalweg.problem.derivatives import Objective
from thalweg.problem.engine import Plan, Points, Sums, checked, choose, run
from thalweg.problem.identity import (
    circumstances,
    device_name,
    device_of,
    free_memory,
    frozen_state,
    hash_tensor,
    hash_text,
)
from thalweg.problem.loss_derivatives import LossDerivatives
from thalweg.problem.network import Network, Precision, Step, suited
from thalweg.problem.output_derivatives import OutputDerivatives
from thalweg.problem.outputs import Outputs
from thalweg.problem.plans import remembered
from thalweg.problem.protocol import Measurement
from thalweg.problem.training import Training
from thalweg.problem.tree import tree_map
from thalweg.schema import value_name

BatchNorm = Literal["running", "recalibrate"]


class ModuleProblem(LossDerivatives, OutputDerivatives):
    r"""A network, its loss and its data as one function of one weight vector.

    Parameters
    ----------
    model
        Any module. It is copied; training it further changes nothing here. Call `model.eval()` first: a loss with
        dropout is not a function of the weights, and is refused.
    data
        Training data: a tuple of tensors `(inputs, targets)`, a `Dataset`, a `DataLoader`, or any iterable of batches
        that can be iterated more than once. Read once, and copied to the device if they fit `memory`.
    loss
        Criterion `loss(outputs, targets)`: a function or module that can return per-example values
        (`reduction="none"`), or one that returns the mean over the batch.
    metrics
        Further criteria by name, such as `{"accuracy": thalweg.accuracy}`.
    step
        For batches that are no pairs (dicts, language models): `step(model, batch)` returns per-example losses, or a
        dict of `loss` and metrics. Replaces `loss` and `metrics`.
    test_data
        As `data`; every measurement then holds `test_loss`, `test_accuracy`, ... too, from the same pass.
    batch_norm
        `"running"`: batch (and instance) normalisation uses the statistics stored in the model, whatever mode it is in.
        `"recalibrate"`: they are recomputed at every weight vector over the training data, which doubles the cost and
        leaves no gradient. They are means over batches, weighted by examples (Izmailov et al. 2018, arXiv:1803.05407,
        section 3.2); data that fit `memory` are mixed for that, by a fixed permutation, so that no batch holds a single
        class, and a last single example joins the batch before it. Data that are streamed come as they are.
    batch_size
        How examples given as tensors or a `Dataset` are grouped where that matters (default 1,024).
    device
        Where to compute; by default where the model is.
    precision
        `"model"` (the model's dtype, TF32 off), `"float64"`, `"tf32"`, or `"bf16"` (autocast; weights stay wide).
    compile
        `True`, `False`, or `"auto"`: try `torch.compile` before runs of more than two minutes and keep it if it is
        faster.
    memory
        Bytes of data to keep on the device; by default a third of what is free.

    Raises
    ------
    ValueError
        Before anything is computed: no examples; targets that would be broadcast; non-finite weights; two different
        losses for the same weights, or one for all; a criterion that is not a mean over examples.

    Examples
    --------
    >>> model = nn.Linear(1, 1, bias=False)
    >>> x = torch.tensor([[1.0], [2.0]])
    >>> problem = ModuleProblem(model, (x, 3 * x), loss=nn.functional.mse_loss)
    >>> problem.num_weights
    1
    >>> problem.loss(torch.tensor([[3.0], [2.0]]))
    tensor([0.0000, 2.5000])
    """

    def __init__(
        self,
        model: nn.Module,
        data: Any,
        loss: Criterion | None = None,
        metrics: Mapping[str, Criterion] | None = None,
        *,
        step: Step | None = None,
        test_data: Any = None,
        batch_norm: BatchNorm = "running",
        batch_size: int | None = None,
        device: torch.device | str | None = None,
        precision: Precision = "model",
        compile: bool | Literal["auto"] = "auto",
        memory: int | None = None,
    ) -> None:
        criteria = _criteria(loss, metrics, step)
        one_of("batch_norm", batch_norm, ("running", "recalibrate"))
        one_of("precision", precision, ("model", "float64", "tf32", "bf16"))
        device = torch.device(device) if device is not None else device_of(model)
        self._network = Network(
            model, criteria=criteria, step=step, batch_norm=batch_norm, device=device, precision=precision
        )
        self.layout = self._network.layout
        checks.finite_weights(self._network)
        memory = memory if memory is not None else free_memory(device) // 3
        self._splits = {"train": read(data, device=device, batch_size=batch_size, memory=memory, what="training")}
        if test_data is not None:
            self._splits["test"] = read(
                test_data, device=device, batch_size=batch_size, memory=memory // 2, what="test"
            )
        if precision == "float64":
            for split in self._splits.values():
                split.map(lambda leaf: leaf.double() if leaf.is_floating_point() else leaf)
        self._compile, self._criteria, self._batch_norm = compile, criteria, batch_norm
        self._model_name = type(model).__name__
        self._plans: dict[Any, tuple[Plan, float]] = {}
        self._subsets: dict[tuple[int, int], dict[str, Batches]] = {}
        self._outputs: dict[Any, Outputs] = {}
        self._objective = Objective(self._network, self._splits["train"])
        self._frozen = frozen_state(self._network)
        found = checks.examine(self._network, self._splits, criteria)
        self._names, self._recut = found.names, found.cuts == "freely"
        if found.cuts == "coupled" and self._splits["train"].num_batches > 1 and shuffles(data):
            raise ValueError(
                "An example's loss depends on which others share its batch (batch statistics?), and the data come in "
                "another order at each pass, so that the loss is not a function of the weights. Switch the loader to "
                "`shuffle=False`, or the layer to running statistics (`track_running_stats=True`, `model.eval()`)."
            )

    def rehearsal(self, most: int) -> tuple[nn.Module, Callable[[nn.Module], Any]]:
        """An independent copy of the network, and a function that runs it on at most so many training examples.

        What the function returns are the network's outputs, or what `step` returns.
        """
        network = self._network.standing_at(self._network.theta)
        data = self._splits["train"]
        batch = data.cut(data.first(), most)

        def forward(model: nn.Module) -> Any:
            placed = tree_map(lambda x: suited(x, model), batch)
            return model(placed[0]) if network.head.step is None else network.head.step(model, placed)

        return network.head.model, forward

    @property
    def model_name(self) -> str:
        """The class of the user's model."""
        return self._model_name

    def loss_on(self, most: int) -> tuple[Callable[..., Tensor], tuple[Any, ...]]:
        """The mean loss as a function of a batch's parts, run by an independent copy, and at most so many examples."""
        network = self._network.standing_at(self._network.theta)
        data = self._splits["train"]
        batch = tree_map(lambda x: suited(x, network.head.model), data.cut(data.first(), most))

        def loss(x: Any, y: Any) -> Tensor:
            return network.head.losses((x, y)).mean()

        def loss_of_batch(batch: Any) -> Tensor:
            return network.head.losses(batch).mean()

        return (loss, tuple(batch)) if network.head.step is None else (loss_of_batch, (batch,))

    @property
    def quantities(self) -> list[str]:
        """Names of what `measure` returns, training before test."""
        return [value_name(name, split) for split in self._splits for name in self._names]

    def at(self, theta: Tensor) -> ModuleProblem:
        """The same problem standing at other weights: `at(theta).theta` is `theta`. Data are shared, not read again."""
        return self._with(self._network.standing_at(self._vector(theta)))

    def with_state(self, state: Mapping[str, Tensor]) -> ModuleProblem:
        """The same problem with a model's whole state (parameters and buffers) loaded; see `load_weights`."""
        fits(state, self._network.head.model, "given")
        other = self._with(self._network.with_state(state))
        other._frozen = frozen_state(other._network)
        return other

    def with_checkpoint(self, file: str | Path) -> ModuleProblem:
        """The same problem with the weights (and buffers) of a checkpoint file; see `read_state` and `load_weights`."""
        state = read_state(file)
        fits(state, self._network.head.model, Path(file).name)
        return self.with_state(state)

    def with_data(self, data: Any, *, test_data: Any = None, batch_size: int | None = None) -> ModuleProblem:
        """The same network and loss on other data: what lies outside of the training distribution, for one.

        Every measure then tells of these data. Parameters as of the class; nothing of this problem changes.

        Examples
        --------
        >>> line = nn.Linear(1, 1, bias=False)
        >>> x = torch.tensor([[1.0], [2.0]])
        >>> problem = ModuleProblem(line, (x, 3 * x), loss=nn.functional.mse_loss)
        >>> farther = problem.with_data((10 * x, 30 * x))
        >>> bool(farther.loss(problem.theta) > problem.loss(problem.theta))
        True
        """
        network = self._network.standing_at(self._network.theta)
        criteria = dict(self._criteria)
        return ModuleProblem(
            network.head.model,
            data,
            criteria.pop("loss", None),
            criteria,
            step=network.head.step,
            test_data=test_data,
            batch_norm=self._batch_norm,
            batch_size=batch_size,
            device=self.device,
            precision=network.precision,
            compile=self._compile,
        )

    def with_batch_norm(self, batch_norm: BatchNorm) -> ModuleProblem:
        """The same problem with batch normalisation's other mode; see `batch_norm` above."""
        one_of("batch_norm", batch_norm, ("running", "recalibrate"))
        network = self._network.standing_at(self._network.theta)
        network.recalibrates = batch_norm == "recalibrate" and bool(network.norms)
        other = self._with(network)
        other._batch_norm, other._plans = batch_norm, {}
        return other

    def training(self, examples_picked: bool = True) -> Training:
        """The network as it is while it is trained, on mini-batches of the training data; see `Training`.

        Raises
        ------
        ValueError
            If mini-batches are to be picked (`examples_picked`) from data that cannot be cut anew.
        """
        if examples_picked and not (self._recut and self._splits["train"].joined):
            raise ValueError(
                "The examples cannot be put together into other batches: their losses depend on which others share a "
                "batch, or their batches cannot be joined, or the data do not fit in memory. Pass `batch_size=None` "
                "(all data, in the batches as they come, at every step); or give the data as tensors, raise "
                "`memory=`, or switch the layer to running statistics."
            )
        return Training(self._network.in_training(), self._splits["train"], mixes=self._recut)

    def measure(
        self,
        points: Points,
        *,
        metrics: Sequence[str] | None = None,
        num_examples: int | None = None,
        seed: int = 0,
        per_example: bool = False,
        plan: Plan | None = None,
        advance: Callable[[float], None] = lambda _: None,
    ) -> Measurement:
        r"""Loss and metrics, on training and test data, of many weight vectors in one pass over the data.

        Parameters
        ----------
        points
            `(P, num_weights)`, or anything with a length whose slices are such tensors (`Subspace.points`).
        metrics
            Which of the problem's metrics; all by default. The loss is always measured.
        num_examples
            Use a fixed random subset of so many training examples (and of as many test examples), the same at every
            point. Means then come with standard errors $\sqrt{s^2/n \cdot (1 - n/N)}$.
        per_example
            Return per-example losses too.
        plan
            How to evaluate; by default measured on first use (`problem.plan`). Where examples depend on their batch, or
            every point has statistics of its own, batches and points are kept apart whatever it says.
        """
        points = checked(points, self.num_weights)
        names = [n for n in self._names if metrics is None or n == "loss" or n in metrics]
        for name in metrics or ():
            one_of("metrics", name, self._names)
        if plan is None:
            plan, _ = self.plan(len(points), num_examples, seed)
        splits = self._used(num_examples, seed)
        sums = run(
            self._network,
            splits,
            points,
            self._allowed(plan),
            calibration=self._splits["train"] if self._network.recalibrates else None,
            squares=num_examples is not None,
            keep=per_example,
            advance=advance,
        )
        return self._summary(sums, names, None if num_examples is None else (num_examples, seed))

    def plan(self, num_points: int, num_examples: int | None = None, seed: int = 0) -> tuple[Plan, float]:
        """The fastest way found to evaluate `num_points` points, and its estimated seconds per point.

        Measured once for each size of data and order of magnitude of `num_points`, then remembered, here and in the
        user's cache folder.
        """
        key = (num_examples, len(str(num_points)))
        if key not in self._plans:
            splits = self._used(num_examples, seed)
            total = sum(split.num_examples for split in splits.values())
            self._plans[key] = remembered(
                self._circumstances(num_examples, num_points),
                lambda: choose(
                    self._network,
                    splits["train"],
                    num_points,
                    recut=self._recut and not self._network.recalibrates,
                    compile=self._compile,
                    total_examples=total,
                ),
            )
        return self._plans[key]

    def _circumstances(self, num_examples: int | None, num_points: int) -> dict[str, Any]:
        """All that the speed of a plan, and what it may do, depends on."""
        return {
            **circumstances(self._network, self._splits),
            "examples": [{split: data.num_examples for split, data in self._splits.items()}, num_examples],
            "points": len(str(num_points)),
            "quantities": self._names,
            "settings": [self._batch_norm, self._network.precision, str(self._compile)],
            "limits": [self._recut, self._network.recalibrates],
        }

    def _points_at_once(self, num_points: int) -> int:
        return self._allowed(self.plan(num_points)[0]).points_at_once

    def _allowed(self, plan: Plan) -> Plan:
        if self._network.recalibrates:
            plan = replace(plan, points_at_once=1, compiled=False)
        return plan if self._recut else replace(plan, batch_size=None, points_at_once=1)

    def shared_state(self) -> dict[str, Tensor]:
        """What no weights `theta` carry with them, by name: frozen parameters, and buffers other than the statistics of
        normalisation. Copies of the problem at other weights share it.
        """
        return {name: value.detach().clone() for name, value in self._network.shared_state().items()}

    def identity(self) -> dict[str, Any]:
        """Hashes and names by which a store recognises the problem."""
        return {
            "model": hash_text(str(self._network.head.model)),
            "weights": hash_tensor(self._network.theta),
            "frozen state": self._frozen,
            "training data": self._splits["train"].fingerprint(),
            "test data": self._splits["test"].fingerprint() if "test" in self._splits else "none",
            "loss": ", ".join(f"{n}={name_of(c)}" for n, c in self._criteria.items()) or "step",
            "batch_norm": self._batch_norm,
            "precision": self._network.precision,
        }

    def provenance(self) -> dict[str, Any]:
        """Model, data, dtype and device, for a result's attrs."""
        return {
            "model": self._model_name,
            "num_weights": self.num_weights,
            "num_training_examples": self.num_examples,
            "num_test_examples": self._splits["test"].num_examples if "test" in self._splits else 0,
            "loss": name_of(self._criteria.get("loss")),
            "batch_norm": self._batch_norm if self._network.norms else "none in the model",
            "precision": self._network.precision,
            "dtype": str(self.layout.dtype).removeprefix("torch."),
            "device": device_name(self.device),
        }

    def units(self, name: str) -> str:
        """Unit of a quantity: nat for cross-entropies, 1 for accuracies, unknown (empty) otherwise."""
        criterion = name_of(self._criteria.get(name.removeprefix("test_"))).lower()
        if "accuracy" in name:
            return "1"
        return "nat" if any(word in criterion for word in ("cross_entropy", "crossentropy", "nll")) else ""

    # --- inside ---

    def _with(self, network: Network) -> ModuleProblem:
        """The problem with another network; everything else is shared."""
        checks.finite_weights(network)
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._network, other._objective, other._outputs = network, self._objective.moved(network), {}
        return other

    def _summary(self, sums: Mapping[str, Sums], names: Sequence[str], subset: tuple[int, int] | None) -> Measurement:
        found = Measurement({})
        for split, total in sums.items():
            for name in names:
                key = value_name(name, split)
                mean = total.total[name] / total.count[name]
                found.values[key] = mean.cpu()
                if subset is not None:
                    fraction = self._used(*subset)[split].num_examples / self._splits[split].num_examples
                    found.standard_errors[key] = _standard_error(total, name, mean, fraction).cpu()
            if total.keep:
                found.losses[split] = total.losses()
        return found


def _standard_error(sums: Sums, name: str, mean: Tensor, fraction: float) -> Tensor:
    """Of the mean of examples drawn without replacement, a `fraction` of all."""
    n = sums.count[name]
    if n < 2:
        return torch.full_like(mean, np.nan)
    variance = (sums.square[name] / n - mean.square()).clamp_min(0.0) * n / (n - 1)
    return (variance / n * (1.0 - fraction)).sqrt()


def _criteria(
    loss: Criterion | None, metrics: Mapping[str, Criterion] | None, step: Step | None
) -> dict[str, Criterion]:
    if step is not None:
        if loss is not None or metrics:
            raise TypeError(
                "Pass either `step` or `loss` and `metrics`: `step` may return a dict with `loss` and metrics."
            )
        return {}
    if loss is None:
        raise TypeError("Pass `loss`, a criterion (outputs, targets), or `step`, a function (model, batch) -> losses.")
    if not callable(loss):
        raise TypeError(f"`loss` is a {type(loss).__name__}; expected a function such as F.cross_entropy.")
    check_metrics(metrics)
    return {"loss": loss, **(metrics or {})}
