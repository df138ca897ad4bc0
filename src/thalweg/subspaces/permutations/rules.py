"""Rules of layers and functions: which axes of weights, inputs and outputs are permuted alike.

A rule has the parameters of its operation, whether it needs them or not.
"""
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Any

from torch import Tensor

from thalweg.subspaces.permutations import shapes
from thalweg.subspaces.permutations.labels import Label, fixed, size_of
from thalweg.subspaces.permutations.trace import Labels, Rule, Trace, tensors


def linear(trace: Trace, result: Tensor, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Labels:
    r"""$y = x W^\top + b$: the columns of $W$ follow $x$; its rows and the bias are the outputs."""
    x, (rows, columns) = trace.labels(input), trace.labels(weight)
    trace.groups.tie(columns, x[-1])
    _tie_vectors(trace, rows, bias)
    return (*x[:-1], rows)


def convolution(
    trace: Trace,
    result: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Labels:
    """Kernels `(out, in / groups, ...)`. Depthwise, each output follows its input; else all keep to their group."""
    x, (out, into, *space) = trace.labels(input), trace.labels(weight)
    axis = len(x) - 1 - len(space)
    if groups == 1:
        trace.groups.tie(into, x[axis])
    elif groups == size_of(x[axis]):
        trace.groups.tie(out, trace.groups.product(x[axis], fixed(size_of(out) // groups)))
    else:
        trace.groups.freeze(into)
        trace.groups.freeze(x[axis])
        trace.groups.cut(out, size_of(out) // groups)
    return _convolved(trace, result, input, axis, out, bias, space)


def transposed_convolution(
    trace: Trace,
    result: Tensor,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Labels:
    """Kernels `(in, out / groups, ...)`."""
    x, (into, out, *space) = trace.labels(input), trace.labels(weight)
    axis = len(x) - 1 - len(space)
    trace.groups.tie(into, x[axis])
    if groups > 1:
        trace.groups.freeze(out)
        if groups < size_of(into):
            trace.groups.freeze(into)
        out = trace.groups.product(into, fixed(size_of(out))) if groups == size_of(into) else fixed(result.shape[axis])
    return _convolved(trace, result, input, axis, out, bias, space)


def _convolved(
    trace: Trace, result: Tensor, input: Tensor, axis: int, out: Label, bias: Tensor | None, space: list[Label]
) -> Labels:
    """The outputs are `out`; positions in kernels and images stay."""
    _tie_vectors(trace, out, bias)
    x = trace.labels(input)
    for label in (*space, *x[axis + 1 :]):
        trace.groups.freeze(label)
    return (*x[:axis], trace.groups.resolve(out), *(fixed(n) for n in result.shape[axis + 1 :]))


def batch_norm(
    trace: Trace,
    result: Tensor,
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    **_: Any,
) -> Labels:
    """Statistics, scale and shift follow the channels; instance normalisation too."""
    _tie_vectors(trace, trace.labels(input)[1], running_mean, running_var, weight, bias)
    return trace.labels(input)


def layer_norm(
    trace: Trace,
    result: Tensor,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: Any = None,
) -> Labels:
    """Mean and variance do not depend on the order; scale and shift follow the units. Root mean squares too."""
    for parameter in (weight, bias):
        if parameter is not None:
            _tie_last(trace, parameter, input)
    return trace.labels(input)


def group_norm(
    trace: Trace,
    result: Tensor,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 0.0,
) -> Labels:
    """Channels stay within the group that they are normalised in."""
    channels = trace.labels(input)[1]
    _tie_vectors(trace, channels, weight, bias)
    each = size_of(channels) // num_groups
    if each > 1:
        trace.groups.cut(channels, each)
    return trace.labels(input)


def embedding(trace: Trace, result: Tensor, input: Tensor, weight: Tensor, **_: Any) -> Labels:
    """The rows of a table: the words stay, the features may move."""
    words, features = trace.labels(weight)
    trace.groups.freeze(words)
    return (*trace.labels(input), features)


def elementwise(trace: Trace, result: Tensor, *args: Any, **kwargs: Any) -> Labels | None:
    """Entry by entry, with axes of length 1 repeated: all operands are permuted alike."""
    if not isinstance(result, Tensor):
        return None
    known: list[Label | None] = [None] * result.ndim
    for tensor in tensors(args, kwargs):
        for k, label in enumerate(reversed(trace.labels(tensor)), start=1):
            here = known[-k] if k <= len(known) else label
            if size_of(label) > 1 and here is not None:
                trace.groups.tie(label, here)
            elif size_of(label) > 1:
                known[-k] = label
    return tuple(fixed(n) if label is None else label for n, label in zip(result.shape, known, strict=True))


def first_operand(trace: Trace, result: Tensor, input: Tensor, *_: Any, **__: Any) -> Labels:
    """Entry by entry, or a function of a whole axis that does not depend on its order (softmax)."""
    return trace.labels(input)


def prelu(trace: Trace, result: Tensor, input: Tensor, weight: Tensor) -> Labels:
    """A slope for all channels, or one for each."""
    if weight.numel() > 1:
        _tie_vectors(trace, trace.labels(input)[1], weight)
    return trace.labels(input)


def glu(trace: Trace, result: Tensor, input: Tensor, dim: int = -1) -> Labels:
    """One half is multiplied with a function of the other: the halves are permuted alike."""
    first, second = shapes.pieces(trace, [result, result], input, dim=dim)
    trace.groups.tie(first[dim], second[dim])
    return tuple(trace.groups.resolve(label) for label in first)


def reduction(
    trace: Trace, result: Tensor, input: Tensor, dim: Any = None, keepdim: Any = False, axis: Any = None, **_: Any
) -> Labels | None:
    """Sums, means and the like do not depend on the order of the axes that they go over."""
    dim = axis if dim is None else dim
    if not isinstance(result, Tensor) or isinstance(dim, (bool, Tensor)):
        return None
    every = range(input.ndim)
    over = every if dim is None or dim == () else [d % input.ndim for d in ([dim] if isinstance(dim, int) else dim)]
    labels = trace.labels(input)
    if result.ndim == input.ndim:
        return tuple(fixed(1) if i in over else labels[i] for i in every)
    return tuple(labels[i] for i in every if i not in over)


def norm(trace: Trace, result: Tensor, input: Tensor, p: Any = 2, dim: Any = None, *_: Any, **__: Any) -> Labels | None:
    """A norm does not depend on the order either."""
    return reduction(trace, result, input, dim)


def pooling(space: int) -> Rule:
    """Rule of pooling over so many spatial axes, or resizing them (all after the channels if 0)."""

    def rule(trace: Trace, result: Any, input: Tensor, *_: Any, **__: Any) -> Any:
        keep = input.ndim - space if space else 2
        for label in trace.labels(input)[keep:]:
            trace.groups.freeze(label)
        found = [(*trace.labels(input)[:keep], *(fixed(n) for n in each.shape[keep:])) for each in tensors(result)]
        return found if len(found) > 1 else found[0]

    return rule


def matmul(trace: Trace, result: Tensor, input: Tensor, other: Tensor) -> Labels | None:
    """Sums over an axis of both operands, which is tied; axes in front are tied too."""
    if input.ndim < 2 or other.ndim < 2:
        return None
    x, y = trace.labels(input), trace.labels(other)
    trace.groups.tie(x[-1], y[-2])
    front: list[Label] = []
    for k in range(result.ndim, 2, -1):
        here = [labels[-k] for labels in (x, y) if len(labels) >= k and size_of(labels[-k]) > 1]
        for label in here[1:]:
            trace.groups.tie(label, here[0])
        front.append(here[0] if here else fixed(1))
    return (*front, x[-2], y[-1])


def weight_norm(trace: Trace, result: Tensor, v: Tensor, g: Tensor, dim: int = 0) -> Labels | None:
    r"""$w = g\, v / \lVert v \rVert$, each row by itself."""
    return elementwise(trace, result, v, g)


def _tie_vectors(trace: Trace, label: Label, *vectors: Tensor | None) -> None:
    for vector in vectors:
        if vector is not None:
            trace.groups.tie(trace.labels(vector)[0], label)


def _tie_last(trace: Trace, parameter: Tensor, input: Tensor) -> None:
    """Tie all axes of a parameter to the last ones of the input."""
    own = trace.labels(parameter)
    for a, b in zip(own, trace.labels(input)[-len(own) :], strict=True):
        trace.groups.tie(a, b)


_ELEMENTWISE = """add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow maximum minimum
fmax fmin where lerp addcmul addcdiv atan2 hypot eq ne lt le gt ge logical_and logical_or
logical_xor logical_not masked_fill clamp clamp_min clamp_max clip copy abs neg negative positive
exp exp2 expm1 log log2 log10 log1p sqrt rsqrt square reciprocal sin cos tan sinh cosh asin acos
atan erf erfc sign floor ceil round trunc frac nan_to_num isnan isfinite relu relu6 leaky_relu elu
selu celu gelu silu mish softplus sigmoid logsigmoid log_sigmoid tanh hardtanh hardswish hardsigmoid
hardshrink softshrink tanhshrink softsign threshold rrelu rsub"""
_ONE_OPERAND = """softmax log_softmax softmin dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout
feature_alpha_dropout normalize contiguous clone detach data real to type type_as float double half bfloat16 cpu cuda
requires_grad zeros_like ones_like full_like alias"""

RULES: dict[str, Rule] = {
    **shapes.RULES,
    **dict.fromkeys(_ELEMENTWISE.split(), elementwise),
    **dict.fromkeys(_ONE_OPERAND.split(), first_operand),
    **dict.fromkeys(("sum", "mean", "amax", "amin", "var", "std", "logsumexp", "prod", "all", "any"), reduction),
    **dict.fromkeys(("norm", "vector_norm", "linalg_vector_norm"), norm),
    **dict.fromkeys(("matmul", "mm", "bmm"), matmul),
    **dict.fromkeys(("batch_norm", "instance_norm"), batch_norm),
    **dict.fromkeys(("layer_norm", "rms_norm"), layer_norm),
    **dict.fromkeys(("interpolate", "upsample"), pooling(0)),
    **{"linear": linear, "group_norm": group_norm, "embedding": embedding, "prelu": prelu, "glu": glu},
    "_weight_norm": weight_norm,
}
for _d in (1, 2, 3):
    RULES |= {f"conv{_d}d": convolution, f"conv_transpose{_d}d": transposed_convolution}
    RULES |= {
        f"{kind}_pool{_d}d{also}": pooling(_d)
        for kind in ("max", "avg", "lp", "adaptive_avg", "adaptive_max", "fractional_max")
        for also in ("", "_with_indices")
    }
