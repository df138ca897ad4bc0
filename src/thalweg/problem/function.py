r"""A landscape written down: $L(x, y, \dots)$, or a closure over the whole vector `theta`."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from thalweg.problem.criterion import check_metrics, one_of
from thalweg.problem.curvature import Curvature
from thalweg.problem.engine import Plan, Points, checked
from thalweg.problem.grad import differentiating, normal, variable
from thalweg.problem.protocol import Measurement
from thalweg.problem.selection import selected
from thalweg.problem.workshop import How
from thalweg.weights import Layout

_PROBES = 5
_NOT_FOR_TENSORS = (  # what torch and numpy say when a function of numbers is given tensors
    "only one element tensors",
    "a Tensor with",
    "can't convert",
    "Can't call numpy",
    "only 0-dimensional",
    "__array_wrap__",
    "Boolean value of Tensor",
)


class FunctionProblem:
    r"""A loss given as a function of its coordinates.

    Parameters
    ----------
    function
        `f(x, y, ...)`, elementwise over tensors of any common shape, made of torch operations or Python arithmetic;
        each parameter is one weight. With `num_weights`, `f(theta)` instead: `(..., num_weights) -> (...)`.
    num_weights
        Length of the vector that `f(theta)` takes.
    theta
        Where the problem stands, `(num_weights,)`; zero by default.
    metrics
        Further functions of the same coordinates, by name.
    dtype, device
        Of the weights; float64 on the CPU by default.

    Examples
    --------
    >>> problem = FunctionProblem(lambda x, y: (1 - x * y) ** 2)
    >>> problem.num_weights
    2
    >>> problem.loss(torch.tensor([2.0, 0.5]))
    tensor(0., dtype=torch.float64)
    >>> problem.gradient(torch.tensor([2.0, 1.0]))
    tensor([2., 4.], dtype=torch.float64)
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        num_weights: int | None = None,
        theta: Any = None,
        metrics: Mapping[str, Callable[..., Any]] | None = None,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if num_weights is not None and num_weights < 1:
            raise ValueError(f"num_weights={num_weights}; a landscape needs at least one weight.")
        check_metrics(metrics)
        self._vector = num_weights is not None
        self.names = [f"theta_{i}" for i in range(num_weights)] if num_weights else _parameter_names(function)
        self.layout = Layout.vector(len(self.names), dtype)
        self._functions = {"loss": function, **(metrics or {})}
        self.device = torch.device(device)
        start = torch.zeros(self.num_weights) if theta is None else torch.as_tensor(theta).detach()
        if start.shape != (self.num_weights,) or not torch.isfinite(start).all():
            raise ValueError(
                f"theta has shape {tuple(start.shape)} or non-finite entries; the function needs {self.num_weights} "
                f"finite weights ({', '.join(self.names[:6])})."
            )
        self._theta = start.to(device=self.device, dtype=dtype, copy=True)
        for name in self._functions:
            self._probe(name)

    @property
    def theta(self) -> Tensor:
        """Where the problem stands: a copy."""
        return self._theta.clone()

    @property
    def num_weights(self) -> int:
        """Number of coordinates."""
        return len(self.names)

    @property
    def function(self) -> Callable[..., Any]:
        """The function as it was given."""
        return self._functions["loss"]

    @property
    def quantities(self) -> list[str]:
        """`loss` and the metrics."""
        return list(self._functions)

    def at(self, theta: Any) -> FunctionProblem:
        """The same function, standing elsewhere."""
        kwargs = {"num_weights": self.num_weights} if self._vector else {}
        metrics = {name: f for name, f in self._functions.items() if name != "loss"}
        return FunctionProblem(
            self._functions["loss"], theta=theta, metrics=metrics, dtype=self.layout.dtype, device=self.device, **kwargs
        )

    def loss(self, theta: Tensor) -> Tensor:
        """`(..., num_weights) -> (...)`, differentiable."""
        return self._evaluate("loss", theta)

    def loss_at(self, *coordinates: Tensor) -> Tensor:
        """The function itself: one tensor for each weight, of any common shape."""
        function = self._functions["loss"]
        return torch.as_tensor(function(torch.stack(coordinates, -1)) if self._vector else function(*coordinates))

    def losses(self, theta: Tensor) -> Tensor:
        """`(..., 1)`: the function is its own single example."""
        return self.loss(theta).unsqueeze(-1)

    def gradient(self, theta: Tensor) -> Tensor:
        """`(..., num_weights) -> (..., num_weights)`, by automatic differentiation."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: Tensor, examples: Any = None) -> tuple[Tensor, Tensor]:
        """Loss `(...)` and gradient `(..., num_weights)` of many points in one pass."""
        if examples is not None:
            raise ValueError("A FunctionProblem has no examples to make a mini-batch of; leave out `batch_size`.")
        with differentiating():
            theta = variable(self._as_weights(theta))
            loss = self.loss(theta)
            if not loss.requires_grad:
                return loss, torch.zeros_like(theta)
            return loss.detach(), torch.autograd.grad(loss.sum(), theta)[0]

    def hvp(self, theta: Tensor, v: Tensor) -> Tensor:
        r"""$\nabla^2 L(\theta)\, v$, by double backward."""
        with differentiating():
            theta, v = variable(self._as_weights(theta)), normal(self._as_weights(v))
            loss = self.loss(theta)
            if not loss.requires_grad:
                return torch.zeros_like(theta)
            (g,) = torch.autograd.grad(loss.sum(), theta, create_graph=True)
            if not g.requires_grad:
                return torch.zeros_like(theta)
            return torch.autograd.grad((g * v).sum(), theta, materialize_grads=True)[0]

    def curvature(
        self,
        matrix: str = "hessian",
        *,
        theta: Any = None,
        parameters: Any = None,
        num_examples: int | None = None,
        seed: int = 0,
        **told: Any,
    ) -> Curvature:
        """The Hessian at `theta`, set up to be multiplied with vectors; a landscape has no outputs and no examples."""
        del seed, told
        if matrix != "hessian" or num_examples is not None:
            raise ValueError(
                f"A FunctionProblem has a Hessian, and no outputs or examples to make a {matrix} of. "
                'Take matrix="hessian", without `num_examples`.'
            )
        at = self._theta if theta is None else self._as_weights(theta)
        if at.shape != (self.num_weights,) or not torch.isfinite(at).all():
            raise ValueError(
                f"theta has shape {tuple(at.shape)} or non-finite weights; expected ({self.num_weights},)."
            )
        chosen = selected(self.layout, parameters, self.device)

        def maps(theta: Tensor) -> Callable[[], Iterator[Any]]:
            return lambda: iter([lambda v: self.hvp(theta, v)])

        return Curvature(maps, at.clone(), 1, matrix, chosen, lambda: How(method="double backward"))

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
        """The function (and metrics) at `points` `(P, num_weights)`; `seed` and `plan` change nothing."""
        del seed, plan
        if num_examples is not None:
            raise ValueError("A FunctionProblem has no examples to draw from; leave out `num_examples`.")
        for name in metrics or ():
            one_of("metrics", name, list(self._functions))
        names = [n for n in self._functions if metrics is None or n == "loss" or n in metrics]
        points = checked(points, self.num_weights)
        with torch.no_grad():
            weights = points[0 : len(points)]
            values = {name: self._evaluate(name, weights).double().cpu() for name in names}
        advance(len(points))
        return Measurement(values, losses={"train": values["loss"].unsqueeze(1)} if per_example else {})

    def plan(self, num_points: int, num_examples: int | None = None, seed: int = 0) -> tuple[Plan, float]:
        """All points at once; the cost is not worth an estimate."""
        del num_examples, seed
        return Plan(points_at_once=max(1, num_points)), 0.0

    def identity(self) -> dict[str, Any]:
        """Hash of the function's values at a few fixed points, and of where the problem stands."""
        digest = self._digest(list(self._functions))
        weights = hashlib.sha256(self._theta.double().cpu().numpy().tobytes()).hexdigest()[:16]
        return {"function": digest, "weights": weights, "quantities": ", ".join(self._functions)}

    def provenance(self) -> dict[str, Any]:
        """Name and hash of the function, dtype and device."""
        return {
            "model": getattr(self._functions["loss"], "__name__", "function").replace("<lambda>", "function"),
            "function": self._digest(["loss"]),
            "num_weights": self.num_weights,
            "dtype": str(self.layout.dtype).removeprefix("torch."),
            "device": str(self.device),
        }

    def _digest(self, names: list[str]) -> str:
        """Hash of values at a few fixed points."""
        generator = torch.Generator().manual_seed(0)
        probes = torch.randn(64, self.num_weights, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            seen = [self._evaluate(name, probes).double().cpu().numpy().tobytes() for name in names]
        return hashlib.sha256(b"".join(seen)).hexdigest()[:16]

    def units(self, name: str) -> str:
        """A written landscape has no unit."""
        del name
        return ""

    def _evaluate(self, name: str, theta: Any) -> Tensor:
        theta = self._as_weights(theta)
        function = self._functions[name]
        value = torch.as_tensor(function(theta) if self._vector else function(*theta.unbind(-1)))
        value = value.to(device=self.device)
        if value.shape != theta.shape[:-1]:
            if value.ndim:
                raise ValueError(
                    f"`{name}` returned shape {tuple(value.shape)} for weights of shape {tuple(theta.shape)}; expected "
                    f"{tuple(theta.shape[:-1])}. It must act on each point by itself."
                )
            value = value.expand(theta.shape[:-1])
        return value

    def _as_weights(self, theta: Any) -> Tensor:
        theta = torch.as_tensor(theta, device=self.device).to(self.layout.dtype)
        if theta.ndim == 0 or theta.shape[-1] != self.num_weights:
            raise ValueError(
                f"The weights have shape {tuple(theta.shape)}; the function takes {self.num_weights} weights in the "
                "last dim."
            )
        return theta

    def _probe(self, name: str) -> None:
        """Try random points alone and in two groups: a function that reduces over points, or is random, is refused."""
        generator = torch.Generator().manual_seed(0)
        steps = torch.randn(_PROBES, self.num_weights, generator=generator, dtype=torch.float64)
        points = self._theta + (steps * (1 + self._theta.double().abs().cpu())).to(self._theta)
        points[0] = self._theta
        some = [3, 1, 2]
        with torch.no_grad(), _explained(name):
            first, second = self._evaluate(name, points), self._evaluate(name, points)
            fewer = self._evaluate(name, points[some])
            alone = torch.stack([self._evaluate(name, point) for point in points])
        if not torch.equal(first.nan_to_num(), second.nan_to_num()):
            raise ValueError(
                f"`{name}` gave different values at the same point. A landscape is a function: freeze its noise with a "
                "seed."
            )
        sizes = alone[alone.isfinite()].abs().double()
        rounding = 100 * torch.finfo(self.layout.dtype).eps * float(sizes.median()) if len(sizes) else 0.0
        for group, single in ((first, alone), (fewer, alone[some])):
            apart = ~torch.isclose(group.double(), single.double(), rtol=1e-5, atol=rounding, equal_nan=True)
            if apart.any():
                k = int(apart.int().argmax())
                raise ValueError(
                    f"`{name}` gives another value for a point alone ({float(single[k]):.6g}) than among others "
                    f"({float(group[k]):.6g}). It must act on each point by itself; do not sum or average over points."
                )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say what `math` and numpy functions do not do."""
    try:
        with warnings.catch_warnings(action="error", category=DeprecationWarning):  # numpy's, of tensors
            yield
    except (TypeError, RuntimeError, ValueError, DeprecationWarning) as error:
        if not any(word in str(error) for word in _NOT_FOR_TENSORS):
            raise
        raise TypeError(
            f"`{name}` does not act on tensors ({error}). Write it with torch's operations, such as torch.exp for "
            "math.exp or np.exp, and torch.where for `if`."
        ) from error


def _parameter_names(function: Callable[..., Any]) -> list[str]:
    parameters = list(inspect.signature(function).parameters.values())
    if any(p.kind is p.VAR_POSITIONAL for p in parameters) or not parameters:
        raise TypeError(
            "The function takes *args or nothing, so its number of weights is unknown. Name its parameters, f(x, y), "
            "or pass `num_weights=` for a function of the whole vector theta."
        )
    return [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
