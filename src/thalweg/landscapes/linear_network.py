r"""The linear network of scalar weights, a landscape that is seen whole: multiply by one, in $K$ steps.

$$ f(\theta; x) = \theta_K\, \sigma(\theta_{K-1} \cdots \sigma(\theta_1 x)), \qquad
   L(\theta) = \frac1n \sum_{i=1}^n D(x_i, f(\theta; x_i)), \quad D(x, x) = 0. $$

With the identity for $\sigma$ the output is $p\,x$, $p = \prod_k \theta_k$; with one input $x = 1$ and two weights the
loss is $(1 - t_1 t_2)^2$: two branches of solutions (a hyperbola), and one saddle, at the origin.

- `linear_network`, `autoencoder_losses`, `autoencoder_loss`: the network and its losses, of any depth.
- `autoencoder_gradient`, `autoencoder_hessian`: by hand, for the identity network and the squared error.
- `solution_set`, `rescale`, `conserved`: the hyperbola, the symmetry along it, and what the gradient flow conserves.
- `multiply_by_one` (two weights, as a `Landscape`), `multiply_by_one_problem` (any depth).

Reference: Saxe, McClelland & Ganguli (2014), arXiv:1312.6120.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from thalweg.landscapes.elementwise import elementwise
from thalweg.landscapes.landscape import Branch, CriticalPoint, Landscape, ball, with_coordinates
from thalweg.problem import FunctionProblem

Activation = str | Callable[[Tensor], Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]

SADDLE = CriticalPoint((0.0, 0.0), "saddle", 1.0)
"""The origin of two weights with x = 1: the loss is 1 there."""
SADDLE_EIGENVALUES = (-2.0, 2.0)
"""Of the Hessian at the origin, along (1, 1) and (1, -1)."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda value: value,
    "relu": torch.relu,
    "tanh": torch.tanh,
}


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean of the squared differences over the last dim: `(..., d), (..., d) -> (...)`.

    Examples
    --------
    >>> squared_error(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    """
    return (x - y).square().mean(-1)


def linear_network(theta: Any, x: Any, activation: Activation = "identity") -> Tensor:
    r"""Output $\theta_K \sigma(\cdots \sigma(\theta_1 x))$, as a generalised ufunc of signature `(h),(d)->(d)`.

    Parameters
    ----------
    theta
        Weights `(..., K)`; the first is applied first.
    x
        Inputs `(..., d)`. The leading dims of both are broadcast: many weights on one input, one network on a batch,
        or an ensemble on batches.
    activation
        `"identity"`, `"relu"`, `"tanh"` or a function of tensors; between the layers only, so not after the last.

    Returns
    -------
    Tensor
        `(..., d)`.

    Examples
    --------
    >>> linear_network([2.0, 3.0], [1.0, -1.0])
    tensor([ 6., -6.], dtype=torch.float64)
    >>> linear_network([2.0, 3.0], [1.0, -1.0], activation="relu")
    tensor([6., 0.], dtype=torch.float64)
    >>> linear_network(torch.ones(51, 51, 4), torch.ones(8)).shape
    torch.Size([51, 51, 8])
    """
    theta, value = _tensors(theta, x)
    sigma = _activation(activation)
    depth = theta.shape[-1]
    for k in range(depth):
        value = theta[..., k, None] * value
        value = sigma(value) if k < depth - 1 else value
    return value


def autoencoder_losses(
    theta: Any,
    x: Any,
    targets: Any = None,
    *,
    distance: Distance = squared_error,
    activation: Activation = "identity",
) -> Tensor:
    r"""$D(x, f(\theta; x))$ for each input: signature `(h),(d)->()`; `targets`, if given, replace the first `x`.

    Examples
    --------
    >>> autoencoder_losses([2.0, 1.0], [[1.0], [3.0]])
    tensor([1., 9.], dtype=torch.float64)
    """
    theta, x = _tensors(theta, x)
    targets = x if targets is None else torch.as_tensor(targets).to(x)
    return distance(targets, linear_network(theta, x, activation))


def autoencoder_loss(
    theta: Any,
    x: Any,
    targets: Any = None,
    *,
    distance: Distance = squared_error,
    activation: Activation = "identity",
) -> Tensor:
    r"""$L(\theta) = \frac1n \sum_i D(x_i, f(\theta; x_i))$, the mean over a batch `x` `(n, d)` (or one input `(d,)`).

    Examples
    --------
    >>> autoencoder_loss([[2.0, 1.0], [2.0, 0.5]], [[1.0], [3.0]])
    tensor([5., 0.], dtype=torch.float64)
    """
    theta, x = _tensors(theta, x)
    x = x.reshape(-1, x.shape[-1])
    if targets is not None:
        targets = torch.as_tensor(targets).to(x).reshape(x.shape)
    return autoencoder_losses(theta.unsqueeze(-2), x, targets, distance=distance, activation=activation).mean(-1)


def autoencoder_gradient(theta: Any, x: Any, targets: Any = None) -> Tensor:
    r"""Gradient of the mean squared loss of the identity network, by hand: `(..., K) -> (..., K)`.

    With $c = \overline{x^2}$ and $b = \overline{y x}$ (means over all entries; $y = x$ without `targets`) the loss is
    $\overline{y^2} - 2 b p + c p^2$, and
    $$ \partial_k L = -2\,(b - c\,p) \prod_{j \ne k} \theta_j, $$
    for two weights and $x = 1$: $-2\,[t_2 (1 - t_1 t_2),\ t_1 (1 - t_1 t_2)]$. The products leave out a factor instead
    of dividing by it, so that weights may be zero.

    Examples
    --------
    >>> autoencoder_gradient([2.0, 5.0], [1.0])  # the product is 10
    tensor([90., 36.], dtype=torch.float64)
    >>> autoencoder_gradient([0.0, 5.0, 3.0], [1.0])
    tensor([-30.,  -0.,  -0.], dtype=torch.float64)
    """
    theta, x = _tensors(theta, x)
    b, c = _moments(x, targets)
    ones = torch.ones_like(theta[..., :1])
    before = torch.cumprod(torch.cat([ones, theta[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([ones, theta.flip(-1)[..., :-1]], -1), -1).flip(-1)
    return -2 * (b - c * theta.prod(-1, keepdim=True)) * before * after


def autoencoder_hessian(theta: Any, x: Any, targets: Any = None) -> Tensor:
    r"""Hessian of the mean squared loss of the identity network, by hand: `(..., K) -> (..., K, K)`.

    With $p_k$ the product without $\theta_k$ and $p_{kl}$ that without both,
    $\partial_k \partial_l L = 2 c\, p_k p_l - 2\,(b - c\,p)\, p_{kl}$ off the diagonal and $2 c\, p_k^2$ on it.

    Examples
    --------
    >>> autoencoder_hessian([0.0, 0.0], [1.0])
    tensor([[ 0., -2.],
            [-2.,  0.]], dtype=torch.float64)
    """
    theta, x = _tensors(theta, x)
    b, c = _moments(x, targets)
    left_out = torch.eye(theta.shape[-1], dtype=torch.bool, device=theta.device)
    without = torch.where(left_out, 1.0, theta.unsqueeze(-2)).prod(-1)
    pairs = left_out.unsqueeze(0) | left_out.unsqueeze(1)
    without_two = torch.where(pairs, 1.0, theta[..., None, None, :]).prod(-1).masked_fill(left_out, 0.0)
    residual = (b - c * theta.prod(-1))[..., None, None]
    return 2 * c * without.unsqueeze(-1) * without.unsqueeze(-2) - 2 * residual * without_two


def solution_set(num: int = 201, extent: float = 2.0) -> dict[str, np.ndarray]:
    r"""Both branches of $t_1 t_2 = 1$ within `[-extent, extent]`, each `(num, 2)`: $t_1$ from `1/extent` to `extent`.

    Examples
    --------
    >>> solution_set(num=3)["t1, t2 > 0"]
    array([[0.5, 2. ],
           [1. , 1. ],
           [2. , 0.5]])
    """
    if not extent > 1:
        raise ValueError(
            f"extent={extent}; the hyperbola t1·t2 = 1 comes no nearer than t1 = t2 = 1: take more than 1."
        )
    t1 = np.geomspace(1 / extent, extent, num)
    branch = np.stack([t1, 1 / t1], axis=-1)
    return {"t1, t2 > 0": branch, "t1, t2 < 0": -branch}


def rescale(theta: Any, a: Any, first: int = 0, second: int = 1) -> Tensor:
    r"""The scale symmetry $(t_1, t_2) \mapsto (a\,t_1, t_2/a)$, which leaves output and loss as they are: `(..., K)`.

    `a` is a number or a tensor `(...)` that broadcasts against the leading dims; `first` and `second` say which two
    weights.

    Examples
    --------
    >>> rescale([1.0, 1.0], torch.tensor([0.5, 4.0]))
    tensor([[0.5000, 2.0000],
            [4.0000, 0.2500]], dtype=torch.float64)
    """
    theta = _weights(theta)
    a = torch.as_tensor(a).to(theta)
    depth = theta.shape[-1]
    if depth < 2 or first % depth == second % depth:
        raise ValueError(
            f"Weights {first} and {second} of {depth} were to be rescaled; the symmetry needs two different ones."
        )
    if not (a.isfinite() & (a != 0)).all():
        raise ValueError("The factor `a` has entries that are 0 or not finite; the symmetry divides by it.")
    factors = torch.ones(*a.shape, depth).to(theta)
    factors[..., first], factors[..., second] = a, 1 / a
    return theta * factors


def conserved(theta: Any) -> Tensor:
    r"""What the gradient flow conserves: $\theta_k^2 - \theta_{k+1}^2$ for neighbours, `(..., K) -> (..., K-1)`.

    Along $\dot\theta = -\nabla L$ the product $\theta_k \partial_k L$ is the same for all $k$. Descent with steps
    $\eta$ conserves it up to $O(\eta)$.

    Examples
    --------
    >>> conserved([3.0, 2.0])
    tensor([5.], dtype=torch.float64)
    """
    square = _weights(theta).square()
    return square[..., :-1] - square[..., 1:]


def multiply_by_one(
    x: Sequence[float] = (1.0,), activation: Activation = "identity", tolerance: float = 0.05
) -> Landscape:
    r"""The landscape of two weights: $(1 - t_1 t_2)^2$ for $x = 1$, and $\overline{x^2}$ times that for other inputs.

    Its branches are those of the identity network: the two of the hyperbola, where $|1 - t_1 t_2|$ is at most
    `tolerance`, and the saddle at the origin, up to the distance `tolerance`. `side` is the sign of $t_1 + t_2$: the
    line $t_1 = -t_2$ is the stable manifold of the saddle. With another `activation` the landscape carries none of
    these.

    Examples
    --------
    >>> land = multiply_by_one()
    >>> land(2.0, 0.5), land(0.0, 0.0), land.critical[0].type
    (0.0, 1.0, 'saddle')
    >>> land.side(np.array([[2.0, 0.5], [-1.0, -1.0]]))
    array([ 1, -1])
    """
    inputs = torch.as_tensor(x, dtype=torch.float64).reshape(-1, 1)
    loss, output = _functions(inputs, None, activation)
    size = float(inputs.square().mean())
    linear = activation == "identity"
    known: dict[str, Any] = {}
    if linear and size > 0:
        known = {
            "critical": (SADDLE._replace(loss=size),),
            "solutions": {f"solutions, {branch}": curve for branch, curve in solution_set().items()},
            "branches": {
                "branch t1, t2 > 0": Branch("minimum", lambda points: _on_branch(points, 1, tolerance)),
                "branch t1, t2 < 0": Branch("minimum", lambda points: _on_branch(points, -1, tolerance)),
                "saddle at 0": Branch("saddle", ball((0.0, 0.0), tolerance)),
            },
            "side": lambda points: np.sign(np.asarray(points).sum(-1)).astype(int),
        }
    formula = ("" if size == 1 else f"{size:.4g}·") + "(1 − t1·t2)²"
    return Landscape(
        name="multiply-by-one",
        title="Multiplying by one: a linear network with two weights",
        formula=formula if linear else "mean of (x − t2·σ(t1·x))²",
        function=elementwise(loss),
        coordinates=("t1", "t2"),
        extent=((-2.0, 2.0), (-2.0, 2.0)),
        about=(
            "The smallest deep network: two separate valleys of solutions, a saddle between them that slows descent "
            "down, and a scale symmetry along each valley."
        ),
        metrics={"output": elementwise(output)},
        **known,
    )


def multiply_by_one_problem(
    depth: int = 2,
    x: Sequence[float] = (1.0,),
    targets: Sequence[float] | None = None,
    *,
    activation: Activation = "identity",
    theta: Any = None,
) -> FunctionProblem:
    r"""The mean squared loss of `depth` weights `t1, ..., tK` on the inputs `x`; the metric `output` is $f(\theta; 1)$.

    `targets` (the inputs themselves by default) make it a regression: the best product is
    $\overline{xy} / \overline{x^2}$.

    Examples
    --------
    >>> problem = multiply_by_one_problem(depth=3)
    >>> problem.names, problem.loss(torch.tensor([2.0, 1.0, 0.5]))
    (['t1', 't2', 't3'], tensor(0., dtype=torch.float64))
    """
    if depth < 1:
        raise ValueError(f"depth={depth}; a network needs at least one weight.")
    inputs = torch.as_tensor(x, dtype=torch.float64).reshape(-1, 1)
    if targets is not None and len(targets) != len(inputs):
        raise ValueError(f"{len(targets)} targets for {len(inputs)} inputs; give one for each.")
    loss, output = _functions(inputs, targets, activation)
    names = [f"t{k}" for k in range(1, depth + 1)]
    return FunctionProblem(
        with_coordinates("multiply-by-one", names, loss),
        theta=theta,
        metrics={"output": with_coordinates("output", names, output)},
    )


def _functions(inputs: Tensor, targets: Any, activation: Activation) -> tuple[Callable[..., Tensor], ...]:
    """Loss, and output at x = 1, of the weights as separate arguments."""
    _activation(activation)

    def loss(*weights: Tensor) -> Tensor:
        theta = torch.stack(torch.broadcast_tensors(*weights), -1)
        return autoencoder_loss(theta, inputs.to(theta), targets, activation=activation)

    def output(*weights: Tensor) -> Tensor:
        theta = torch.stack(torch.broadcast_tensors(*weights), -1)
        return linear_network(theta, theta.new_ones(1), activation)[..., 0]

    return loss, output


def _on_branch(points: np.ndarray, sign: int, tolerance: float) -> np.ndarray:
    t1, t2 = np.moveaxis(np.asarray(points, dtype=float), -1, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        return (abs(1 - t1 * t2) <= tolerance) & (sign * t1 > 0)


def _moments(x: Tensor, targets: Any) -> tuple[Tensor, Tensor]:
    y = x if targets is None else torch.as_tensor(targets).to(x).reshape(x.shape)
    return (x * y).mean(), x.square().mean()


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    if callable(activation):
        return activation
    if activation not in _ACTIVATIONS:
        raise ValueError(
            f"activation={activation!r}; there are {', '.join(_ACTIVATIONS)}, or give a function of tensors."
        )
    return _ACTIVATIONS[activation]


def _weights(theta: Any) -> Tensor:
    theta = theta if isinstance(theta, Tensor) else torch.tensor(np.asarray(theta, dtype=float))
    if theta.ndim == 0 or theta.shape[-1] == 0:
        raise ValueError(f"theta has shape {tuple(theta.shape)}; the weights of a network are the last dim, (..., K).")
    return theta if theta.is_floating_point() else theta.double()


def _tensors(theta: Any, x: Any) -> tuple[Tensor, Tensor]:
    """Weights and inputs as tensors of one dtype, on the weights' device."""
    theta = _weights(theta)
    x = (x if isinstance(x, Tensor) else torch.tensor(np.asarray(x, dtype=float))).to(theta)
    if x.ndim == 0:
        raise ValueError("x is a single number; the entries of an input are the last dim, (..., d): write [1.0].")
    return theta, x
