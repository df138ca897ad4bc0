r"""How products with a curvature matrix are computed, found out by trying on the first batch.

- `linearized`: the derivative of the gradient along $v$, traced once; what does not depend on $v$ is kept for every
  batch that fits the memory (`Linearizer`); of a Hessian only if it is asked for;
- `kept graph`: backward through a gradient whose graph is kept;
- `forward over reverse` and `reverse over reverse`: everything anew for every vector;
- `central differences` of gradients, where an operation has no second derivative; the result says so.

Two ways that are right agree: what differs from the others on a random vector is not used.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from thalweg.problem.criterion import one_of
from thalweg.problem.grad import load_forward_rules
from thalweg.problem.linearized import Apply, Linearizer, Map
from thalweg.problem.products import Straight

Method = Literal["auto", "linearized", "kept graph", "forward over reverse", "reverse over reverse", "differences"]
METHODS: tuple[str, ...] = get_args(Method)
_WORTH = 20.0  # seconds of products from which on tracing pays: it takes seconds, and saves a fifth of a product
_QUICK = 0.02  # seconds of a gradient over all data below which the batch size is no matter
_CHECKED = 16  # examples on which products of all ways are compared
_TRIED = 128  # examples on which those that are right are timed
_HOPELESS = 3.0  # times slower on the few examples than the fastest way: not timed
Make = Callable[[Tensor, Any], tuple[Map, int]]


@dataclass
class How:
    """How products are computed, and what they cost.

    Attributes
    ----------
    method
        One of `METHODS`; `function` for a landscape written down.
    seconds_per_gradient, seconds_per_product
        Over all data, as measured on the first batch.
    kept_batches, num_batches, kept_bytes
        How much is kept between products.
    failed
        Ways that could not be used, and why.
    """

    method: str = ""
    seconds_per_gradient: float = math.nan
    seconds_per_product: float = math.nan
    kept_batches: int = 0
    num_batches: int = 1
    kept_bytes: int = 0
    set_up_seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """For a result's attrs."""
        part = f", {self.kept_batches} of {self.num_batches} batches kept" if self.kept_batches else ""
        lost = "; ".join(f"not {way}: {why}" for way, why in self.failed.items())
        return f"{self.method}{part}" + (f" ({lost})" if lost else "")


class Workshop:
    """Finds the fastest way to multiply, by trying on a few examples.

    Parameters
    ----------
    ways
        Products of one batch, by name; the first is what is fallen back on.
    keep
        Prepares a batch: its map and the bytes that are kept, if there is such a way.
    gradient
        Of one batch's total loss.
    batches
        A pass over the data, in batches of so many examples (as they came for None).
    sample
        A batch to try on, and what part of all examples it has.
    """

    def __init__(
        self,
        ways: dict[str, Apply],
        keep: Make | None,
        gradient: Callable[[Tensor, Any], Tensor],
        batches: Callable[[int | None], Iterator[Any]],
        sample: Callable[[int], tuple[Any, float]],
        *,
        sizes: Sequence[int],
        method: str,
        memory: int,
        resident: bool,
        expected: int,
    ) -> None:
        one_of("method", method, METHODS)
        one_of("method (of this matrix)", method, ["auto", "linearized", *(["kept graph"] if keep else []), *ways])
        load_forward_rules()
        self._ways, self._direct = ways, next(iter(ways))
        self._keep, self._gradient, self._batches, self._sample = keep, gradient, batches, sample
        self._asked, self._memory, self._resident, self._expected = method, memory, resident, expected
        self._sizes, self._size = sizes, sizes[0] if len(sizes) == 1 else None
        self._make: Make | None = None
        self.how = How()

    def maps(self, theta: Tensor) -> Callable[[], Iterator[Map]]:
        """All batches' maps at `theta`, one after the other; those that are kept are made now."""
        began = time.perf_counter()
        self.how = replace(self.how, kept_batches=0, kept_bytes=0, failed=dict(self.how.failed))
        if not self.how.method:
            self._make = self._chosen(theta)
        self.how.num_batches = sum(1 for _ in self._batches(self._size))
        kept = self._kept(self._make, theta) if self._make is not None else []
        self.how.set_up_seconds = round(time.perf_counter() - began, 4)
        direct = self._ways[self._direct]

        def each() -> Iterator[Map]:
            yield from kept
            for batch in itertools.islice(self._batches(self._size), len(kept), None):
                yield lambda v, batch=batch: direct(theta, batch, v)  # type: ignore[misc]

        return each if len(kept) < self.how.num_batches else lambda: iter(kept)

    def _kept(self, make: Make, theta: Tensor) -> list[Map]:
        """Maps of as many batches as fit the memory."""
        found: list[Map] = []
        for batch in self._batches(self._size):
            at, size = make(theta, batch)
            if found and self.how.kept_bytes + size > self._memory:
                break
            found.append(at)
            self.how.kept_bytes += size
        self.how.kept_batches = len(found)
        return found

    def _chosen(self, theta: Tensor) -> Make | None:
        """Set `how.method`; how batches are prepared by it, if something is kept."""
        if self._asked in self._ways:
            self.how.method = self._direct = self._asked
            return None
        batch, share = self._sample(_TRIED)
        v = torch.randn(theta.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(theta)
        slope, seconds = _timed(lambda: self._gradient(theta, batch), theta.device)
        if not torch.isfinite(slope).all():
            raise ValueError("The gradient at these weights is not finite; there is no curvature to speak of.")
        self._choose_size(theta, seconds / share)
        self.how.seconds_per_gradient = seconds / share
        tried = self._timings(theta, batch, v, share, self._right(theta, v))
        if not tried:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.how.failed.items())
            raise ValueError(f"No product with this matrix could be computed. {reasons}")
        name = min(tried, key=lambda way: tried[way][1])
        linear = self._linearizer(theta, batch, v, tried[name], share)
        if linear is not None:
            return linear
        self.how.method = name
        self.how.seconds_per_product = tried[name][1] / share
        return self._keep if name == "kept graph" else None

    def _choose_size(self, theta: Tensor, whole: float) -> None:
        """The batch size whose gradients take least, where batches may be cut as one likes."""
        if len(self._sizes) < 2 or whole < _QUICK:
            self._size = self._size or self._sizes[-1]
            return
        seconds = {}
        for size in self._sizes:
            batch, share = self._sample(size)
            began = time.perf_counter()
            self._gradient(theta, batch)
            _wait(theta.device)
            seconds[size] = (time.perf_counter() - began) / share
        self._size = min(seconds, key=lambda size: seconds[size])

    def _right(self, theta: Tensor, v: Tensor) -> dict[str, tuple[Tensor, float]]:
        """Products of a few examples and their seconds, by each way that works, is right and may be used."""
        batch, _ = self._sample(_CHECKED)
        found: dict[str, tuple[Tensor, float]] = {}
        free = self._asked in ("auto", "linearized")
        if self._asked == "kept graph" and not self._resident:
            self.how.failed["kept graph"] = "the data are not kept on the device"
        elif self._keep is not None and self._resident and (free or self._asked == "kept graph"):
            made = self._made(theta, batch)
            if made is not None:
                self._try(found, "kept graph", v, made[0])
        for name, way in self._ways.items():
            if name != "differences" and (free or self._asked == name):
                self._try(found, name, v, lambda v, way=way: way(theta, batch, v))  # type: ignore[misc]
        if "differences" in self._ways and (self._asked == "differences" or (free and not found)):
            self._try(found, "differences", v, lambda v: self._ways["differences"](theta, batch, v))
        self._agree(found)
        return found

    def _timings(
        self, theta: Tensor, batch: Any, v: Tensor, share: float, right: dict[str, tuple[Tensor, float]]
    ) -> dict[str, tuple[Tensor, float]]:
        """Products of more examples and their seconds, by the right ways that have a chance; the fastest direct one."""
        least = min((seconds for _, seconds in right.values()), default=0.0)
        found: dict[str, tuple[Tensor, float]] = {}
        for name in [name for name, (_, seconds) in right.items() if seconds <= _HOPELESS * least]:
            if name != "kept graph":
                found[name] = _once(lambda name=name: self._ways[name](theta, batch, v), theta.device)  # type: ignore[misc]
                continue
            made = self._made(theta, batch)
            if made is not None and (made[1] / share <= self._memory or self._asked == name):
                found[name] = _once(lambda made=made: made[0](v), theta.device)  # type: ignore[misc]
        direct = {name: value for name, value in (found or right).items() if name in self._ways}
        direct = direct or {name: value for name, value in right.items() if name in self._ways}
        self._direct = min(direct, key=lambda way: direct[way][1], default=next(iter(self._ways)))
        return found or right

    def _made(self, theta: Tensor, batch: Any) -> tuple[Map, int] | None:
        """A batch's kept graph and its bytes, if there can be one."""
        assert self._keep is not None
        try:
            return self._keep(theta, batch)
        except Straight:
            raise ValueError(
                "The loss is piecewise linear in the weights: its Hessian is zero wherever it exists. "
                'Look at matrix="ggn" or "empirical_fisher".'
            ) from None
        except (RuntimeError, NotImplementedError) as error:
            self.how.failed["kept graph"] = _first_line(error)
            return None

    def _try(self, found: dict[str, tuple[Tensor, float]], name: str, v: Tensor, product: Map) -> None:
        """Note a product and its seconds, if the way works, and if its products are those of a symmetric matrix.

        They are not where an operation's own backward pass is cut off from the graph: second derivatives then miss
        terms, without an error.
        """
        u = v.flip(0)
        try:
            value, seconds = _timed(lambda: product(v), v.device)
            other = product(u).detach()
        except (RuntimeError, NotImplementedError, AssertionError, TypeError) as error:
            self.how.failed[name] = _first_line(error)
            return
        if name != "differences" and _lopsided(u, value, v, other):
            self.how.failed[name] = "its products are not symmetric (an operation without second derivatives?)"
        else:
            found[name] = value, seconds

    def _agree(self, found: dict[str, tuple[Tensor, float]]) -> None:
        """Drop a way whose product differs from that of two others, or is not finite."""
        for name in [name for name, (value, _) in found.items() if not torch.isfinite(value).all()]:
            self.how.failed[name] = "its product is not finite"
            del found[name]
        for name in list(found):
            others = [value for other, (value, _) in found.items() if other != name]
            if len(others) > 1 and all(_differ(found[name][0], value) for value in others):
                self.how.failed[name] = "its product differs from the others'"
                del found[name]

    def _linearizer(
        self, theta: Tensor, batch: Any, v: Tensor, best: tuple[Tensor, float], share: float
    ) -> Make | None:
        """Trace, if that may pay, and use it if it is faster.

        Unasked only where no graph can be kept: a kept graph is nearly as fast, and torch's tracer can crash.
        """
        pays = self._keep is None and self._expected * best[1] / share > _WORTH and self._resident
        if self._direct == "differences" or not (self._asked == "linearized" or (self._asked == "auto" and pays)):
            return None
        linearizer = Linearizer(self._ways[self._direct])
        try:
            at, size = linearizer(theta, batch)
            value, fast = _timed(lambda: at(v), theta.device)
        except Exception as error:  # whatever a tracer stumbles over
            self.how.failed["linearized"] = _first_line(error)
            if self._asked == "linearized":
                raise ValueError(f"The gradient could not be linearised: {_first_line(error)}") from error
            return None
        if _differ(value, best[0]):
            self.how.failed["linearized"] = "its product differs from the others'"
        elif self._asked == "linearized" or (fast < best[1] and size / share <= self._memory):
            self.how.method = "linearized"
            self.how.seconds_per_product = fast / share
            return linearizer
        return None


def _timed(product: Callable[[], Tensor], device: torch.device) -> tuple[Tensor, float]:
    """The second of two runs; the first warms up."""
    result = product().detach()
    _wait(device)
    began = time.perf_counter()
    result = product().detach()
    _wait(device)
    return result, time.perf_counter() - began


def _once(product: Callable[[], Tensor], device: torch.device) -> tuple[Tensor, float]:
    """A run and its seconds, of a way that ran on fewer examples before; on a GPU, where kernels are chosen, twice."""
    if device.type == "cuda":
        return _timed(product, device)
    began = time.perf_counter()
    return product().detach(), time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _differ(a: Tensor, b: Tensor) -> bool:
    tolerance = 1e-2 if a.dtype == torch.float32 else 1e-6
    return float((a - b).norm()) > tolerance * float(b.norm()) + torch.finfo(a.dtype).tiny


def _lopsided(u: Tensor, Av: Tensor, v: Tensor, Au: Tensor) -> bool:
    """Whether u.Av and v.Au differ by more than rounding does, in units of what a random vector has along Av."""
    size = float((u.norm() * Av.norm() + v.norm() * Au.norm()).double()) / len(v) ** 0.5
    tolerance = 1e-5 if v.dtype == torch.float64 else 0.1
    return abs(float(u.double() @ Av.double() - v.double() @ Au.double())) > tolerance * size


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:120] or type(error).__name__
