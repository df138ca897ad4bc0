"""A private copy of the user's network that answers: at these weights, on this batch, which losses and metrics?

The copy's parameters are views of one flat buffer, so that moving to another weight vector is one copy. The user's
model is read once and never touched again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import UninitializedParameter

from thalweg.problem.calling import call
from thalweg.problem.checkpoint import complete
from thalweg.problem.criterion import Criterion, averages, per_example, unreduced
from thalweg.problem.tree import batch_size
from thalweg.weights import Layout

Precision = Literal["model", "float64", "tf32", "bf16"]
Step = Callable[[nn.Module, Any], Any]


class Head(nn.Module):
    """Model and criteria as one module: batch -> one tensor of values per quantity, `(n,)` or a mean `()`."""

    def __init__(self, model: nn.Module, criteria: Mapping[str, Criterion], step: Step | None, precision: str) -> None:
        super().__init__()
        self.model, self.criteria, self.step, self.precision = model, dict(criteria), step, precision
        self.form: tuple[int, int, bool] | None = None
        self.asked: Criterion | None = None  # the loss as the user wrote it

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """Values of every quantity on `batch`."""
        if self.step is not None:
            return self._stepped(batch)
        inputs, targets = batch
        outputs = self.predict(inputs)
        n = batch_size(targets)
        self._expect(outputs, targets, n)
        return {name: per_example(f(outputs, targets), n, name) for name, f in self.criteria.items()}

    def losses(self, batch: Any) -> Tensor:
        """The losses alone, of a batch whose form is known."""
        if self.step is not None:
            return self._stepped(batch)["loss"]
        inputs, targets = batch
        return per_example(self.criteria["loss"](self.predict(inputs), targets), batch_size(targets), "loss")

    def predict(self, inputs: Any) -> Any:
        """Outputs of the model, widened to float32 where they are narrower."""
        with self._autocast():
            return _widen(self.model(inputs))

    def _expect(self, outputs: Any, targets: Any, num_examples: int) -> None:
        """Refuse a batch whose outputs and targets fit each other in another way than the first batch's did."""
        if self.form is None or num_examples < 2 or form_of(outputs, targets) == self.form:
            return
        raise ValueError(
            f"A batch has outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)}; in the "
            f"first training batch they had {self.form[0]} and {self.form[1]} dims and "
            f"{'one shape' if self.form[2] else 'different shapes'}. The loss could silently broadcast them: give the "
            "targets of all batches (and of the test data) one form."
        )

    def _stepped(self, batch: Any) -> dict[str, Tensor]:
        assert self.step is not None
        with self._autocast():
            returned = self.step(self.model, batch)
        values = returned if isinstance(returned, Mapping) else {"loss": returned}
        if "loss" not in values:
            raise ValueError(f"step returned a dict with {sorted(values)}; it needs the key 'loss'.")
        flat = {name: _widen(torch.as_tensor(v)) for name, v in values.items()}
        n = batch_size(batch)
        return {
            name: per_example(v, n if v.shape == (1,) else len(v) if v.ndim else 1, name) for name, v in flat.items()
        }

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision != "bf16":
            return nullcontext()
        return torch.autocast(next(self.model.parameters()).device.type, dtype=torch.bfloat16, cache_enabled=False)


def form_of(outputs: Any, targets: Any) -> tuple[int, int, bool] | None:
    """Dims of outputs and targets, and whether their shapes are equal: alike in all batches of a sound problem."""
    if not (isinstance(outputs, Tensor) and isinstance(targets, Tensor)):
        return None
    return outputs.ndim, targets.ndim, outputs.shape == targets.shape


class Network:
    """The copy, its flat buffer, and the two ways to evaluate it: one weight vector, or many under `vmap`."""

    def __init__(
        self,
        model: nn.Module,
        *,
        criteria: Mapping[str, Criterion],
        step: Step | None,
        batch_norm: str,
        device: torch.device,
        precision: Precision,
    ) -> None:
        model = _copy(model).to(device)
        if precision == "float64":
            model = model.double()
        for layer in model.modules():
            if isinstance(layer, _NormBase) and layer.running_mean is not None:
                layer.eval()  # the stored statistics, whatever the mode
            if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
                layer.sparse = False  # the same gradient, as a plain tensor
        self.norms = _norms(model)
        self._renormalizes = any(getattr(m, "max_norm", None) is not None for m in model.modules())
        self.recalibrates = batch_norm == "recalibrate" and bool(self.norms)
        self.device, self.precision = device, precision
        self.layout = Layout.of(model)
        self.theta = self.layout.parameters(model)
        plain = {name: unreduced(_precise(criterion, precision), device) for name, criterion in criteria.items()}
        self.head = Head(model, plain, step, precision)
        self.head.asked = criteria.get("loss")
        self.compiled: Callable[[Any], dict[str, Tensor]] | None = None
        self._point = self.theta.clone()
        self._many: Tensor | None = None
        self._bind()

    def _bind(self) -> None:
        """Make the copy's parameters views of the flat buffer (those of another dtype are copied at each move)."""
        named = dict(self.head.model.named_parameters())
        self._copied: list[tuple[nn.Parameter, slice]] = []
        for block in self.layout.blocks:
            if block.dtype == self.layout.dtype:
                named[block.name].data = self._point[block.slice].view(block.shape)
            else:
                self._copied.append((named[block.name], block.slice))

    def standing_at(self, theta: Tensor) -> Network:
        """An independent network with other weights."""
        other = copy.copy(self)
        other.head = copy.deepcopy(self.head)
        other.norms = _norms(other.head)
        other.theta, other._point, other._many, other.compiled = theta.clone(), theta.clone(), None, None
        other._bind()
        other.load(theta.unsqueeze(0), 1)
        return other

    def only_loss(self) -> Network:
        """The same network without metrics."""
        other = copy.copy(self)
        other.head = copy.copy(self.head)
        other.head.criteria = {name: f for name, f in self.head.criteria.items() if name == "loss"}
        other.compiled = None
        return other

    def in_training(self) -> Network:
        """An independent network without metrics that normalises by the statistics of each batch, and keeps none."""
        other = self.standing_at(self.theta).only_loss()
        for layer in other.head.modules():
            if isinstance(layer, _NormBase) and layer.running_mean is not None:
                layer.track_running_stats, layer.running_mean, layer.running_var = False, None, None
        other.recalibrates, other.norms = False, []
        asked = other.head.asked
        if asked is not None and averages(asked) and not _has_tensors(asked):
            other.head.criteria = {"loss": asked}  # its own mean takes fewer operations than ours over its values
        return other

    def with_state(self, state: Mapping[str, Tensor]) -> Network:
        """An independent network with another state: parameters and buffers."""
        other = self.standing_at(self.theta)
        other.head.model.load_state_dict(complete(state, other.head.model))
        return other.standing_at(other.layout.parameters(other.head.model))

    def load(self, thetas: Tensor, points_at_once: int) -> None:
        """Stand at these weights `(k, num_weights)`: all of them under `vmap`, or one in the flat buffer."""
        if points_at_once > 1:
            thetas = thetas.to(self._point)
            self._many = thetas.clone() if self._renormalizes else thetas
            return
        self._many = None
        self._point.copy_(thetas[0])
        self.settle()

    @property
    def point(self) -> Tensor:
        """The flat buffer that the parameters are views of: whoever writes to it calls `settle` afterwards."""
        return self._point

    def settle(self) -> None:
        """Pass on what the flat buffer holds to those parameters that are no views of it."""
        for parameter, where in self._copied:
            parameter.data.copy_(self._point[where].view(parameter.shape))

    def __call__(self, batch: Any, compiled: bool = False) -> dict[str, Tensor]:
        """Values where `load` stands: `(k, n)` per quantity, or `(k,)` for means."""
        if self._many is not None:
            return vmap(self.at, in_dims=(0, None))(self._many, batch)
        head = self._compile() if compiled else self.head
        return {name: value.unsqueeze(0) for name, value in head(batch).items()}

    def at(self, theta: Tensor, batch: Any) -> dict[str, Tensor]:
        """Values at `theta` as a differentiable function of it."""
        views = {f"model.{name}": view for name, view in self.layout.unflatten(theta).items()}
        return call(self.head, views, batch)

    def predict(self, theta: Tensor, inputs: Any) -> Any:
        """Outputs at `theta`, differentiable."""
        predictor = _Predictor(self.head)
        views = {f"head.model.{name}": view for name, view in self.layout.unflatten(theta).items()}
        return call(predictor, views, inputs)

    def recalibrate(self, batches: Iterable[Any]) -> None:
        """Statistics of normalisation layers where the network stands: means over `batches`, weighted by examples.

        As Izmailov et al. (2018, arXiv:1803.05407, section 3.2) and the code of Garipov et al. (2018) do it. A layer
        that is called several times in a pass has the mean over its calls, as `torch.optim.swa_utils.update_bn`.
        """
        momenta = [layer.momentum for layer in self.norms]
        seen = dict.fromkeys(self.norms, 0)
        size = 0

        def weighted(layer: Any, _: Any) -> None:
            seen[layer] += size
            layer.momentum = size / seen[layer]

        handles = [layer.register_forward_pre_hook(weighted) for layer in self.norms]
        for layer in self.norms:
            layer.reset_running_stats()
            layer.train()
        try:
            for batch in batches:
                size = batch_size(batch)
                self._seen_alone(batch, size)
        finally:
            for handle in handles:
                handle.remove()
            for layer, momentum in zip(self.norms, momenta, strict=True):
                layer.momentum = momentum
                layer.eval()

    def _seen_alone(self, batch: Any, size: int) -> None:
        """A forward pass of a batch for its statistics, which a single example may not have."""
        try:
            self.head(batch)
        except ValueError as error:
            if size > 1 or "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                "A batch of the training data holds a single example, which has no statistics for batch normalisation. "
                "Leave that batch out (`drop_last=True`), or give the data as tensors."
            ) from error

    def shared_state(self) -> dict[str, Tensor]:
        """What does not move with the weights, by name: buffers and frozen parameters, under none of a moved one's.

        Not the statistics of normalisation, which belong to the weights.
        """
        model = self.head.model
        named = dict(model.named_parameters())
        moved = {id(named[block.name]) for block in self.layout.blocks}
        names = {name for name, p in model.named_parameters(remove_duplicate=False) if id(p) in moved}
        for prefix, layer in model.named_modules(remove_duplicate=False):
            if isinstance(layer, _NormBase):
                names |= {f"{prefix}.{name}".lstrip(".") for name, _ in layer.named_buffers(recurse=False)}
        return {n: v for n, v in model.state_dict().items() if n not in names and isinstance(v, Tensor)}

    def _compile(self) -> Callable[[Any], dict[str, Tensor]]:
        if self.compiled is None:
            self.compiled = torch.compile(self.head, dynamic=False)
        return self.compiled


class _Predictor(nn.Module):
    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head

    def forward(self, inputs: Any) -> Any:
        return self.head.predict(inputs)


@contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """The arithmetic of `precision` and no other: TF32 products only if it is `tf32`, and no autocast from outside.

    Nor does autocast inside remember narrowed weights: it would until the outermost context ends, from point to point.
    """
    with torch.autocast(device.type, enabled=False, cache_enabled=False):
        if device.type != "cuda":
            yield
            return
        before = _products()
        _set_products(("high", True) if precision == "tf32" else ("highest", False))
        try:
            yield
        finally:
            _set_products(before)


def _products() -> tuple[str, bool]:
    try:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError as error:  # set through torch's other, newer interface; the two may not be mixed
        raise RuntimeError(
            f"{error} Set `torch.set_float32_matmul_precision('highest')`; thalweg chooses the arithmetic by "
            "`precision=`."
        ) from error


def _set_products(setting: tuple[str, bool]) -> None:
    torch.set_float32_matmul_precision(setting[0])
    torch.backends.cudnn.allow_tf32 = setting[1]


def _norms(module: nn.Module) -> list[_NormBase]:
    """Layers of batch or instance normalisation that keep running statistics."""
    return [m for m in module.modules() if isinstance(m, _NormBase) and m.running_mean is not None]


def _has_tensors(criterion: Criterion) -> bool:
    """Whether it brings tensors of its own, which would have to be where the network is, and as wide."""
    return isinstance(criterion, nn.Module) and bool(criterion.state_dict())


def _precise(criterion: Criterion, precision: str) -> Criterion:
    """The criterion with its own tensors (class weights) as wide as the outputs will be."""
    if precision == "float64" and isinstance(criterion, nn.Module):
        return copy.deepcopy(criterion).double()
    return criterion


def _copy(model: nn.Module) -> nn.Module:
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            f"{type(model).__name__} is compiled by torch.jit, and its weights cannot be exchanged. Pass the original "
            "nn.Module, with `load_state_dict(scripted.state_dict())`."
        )
    if any(isinstance(p, UninitializedParameter) for p in model.parameters()):
        raise ValueError(
            f"{type(model).__name__} has lazy layers whose weights do not exist yet. Call the model on one batch first."
        )
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise TypeError(
            f"{type(model).__name__} cannot be copied ({error}). thalweg works on a copy so that your model stays as "
            "it is; remove attributes that `copy.deepcopy` refuses (tensors with a graph, open files, old-style hooks)."
        ) from error


def suited(tensor: Tensor, model: nn.Module) -> Tensor:
    """A tensor where the model's parameters are, in double precision if they are."""
    first = next(model.parameters(), tensor)
    wide = first.dtype == torch.float64 and tensor.is_floating_point()
    return tensor.to(first.device, torch.float64 if wide else tensor.dtype)


def _widen(value: Any) -> Any:
    """Half-precision outputs as float32, so that a loss is not rounded to three digits."""
    if isinstance(value, Tensor) and value.is_floating_point() and value.element_size() < 4:
        return value.float()
    return value
