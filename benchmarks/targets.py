"""The targets of the issue, each with the value measured here: met or missed. Reported, never asserted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contestants import BF16, LOADER, LOADER_128, MEMORY, MEMORY_256, PEER_3D, TF32, THALWEG
from ours import TOLERANCE, Adaptive


@dataclass(frozen=True)
class Result:
    """Points per second of everybody who ran in one case, and thalweg's extras."""

    speed: Mapping[str, float]
    adaptive: Adaptive | None = None
    cost_of_four: float | None = None

    def ratio(self, *others: str, ours: str = THALWEG) -> float | None:
        """How many times faster than the fastest of `others`; None if one side did not run."""
        speeds = [self.speed[name] for name in others if name in self.speed]
        return self.speed[ours] / max(speeds) if speeds and ours in self.speed else None


@dataclass(frozen=True)
class Target:
    """What was asked for, what was measured, and whether that will do."""

    text: str
    measured: str
    met: bool | None  # None: told for comparison, not asked for


def targets(results: Mapping[str, Result], device: str) -> Iterator[Target]:
    """Those targets for which something was measured."""
    yield from _on_gpu(results) if device == "cuda" else _on_cpu(results)
    for key in ("a", "b"):
        if key in results and (found := results[key].adaptive):
            yield Target(
                f"({key}) adaptive={TOLERANCE} within 1% of the range, with at most a tenth of the points",
                f"{found.error:.2%} with {found.evaluated} points ({found.fraction:.1%})",
                found.error <= 0.01 and found.fraction <= 0.1,
            )
    for result in results.values():
        if (cost := result.cost_of_four) is not None:
            text = "train and test, loss and accuracy cost one pass (two would cost 2.0 times one)"
            yield Target(text, f"{cost:.2f} times the loss alone", cost < 1.5)


def _on_cpu(results: Mapping[str, Result]) -> Iterator[Target]:
    ratios = {key: ratio for key, result in results.items() if (ratio := result.ratio(MEMORY)) is not None}
    if ratios:
        slowest = min(ratios, key=ratios.__getitem__)
        yield _at_least(1.0, ratios[slowest], f"never slower than the {MEMORY} (least in case {slowest})")
    for key, least in {"b": 2.0, "c": 2.0, "d": 8.0}.items():
        if key in ratios:
            yield _at_least(least, ratios[key], f"({key}) over the {MEMORY}")
        if key in ratios and key != "d":
            yield Target(f"({key}) over the {MEMORY_256}", f"{results[key].ratio(MEMORY_256):.2f}x", None)
    if "a" in results and (ratio := results["a"].ratio(LOADER, PEER_3D)) is not None:
        yield _at_least(7.0, ratio, "(a) over the fastest DataLoader-style tool (batches of 64)")
        yield Target(f"(a) over the {LOADER_128}", f"{results['a'].ratio(LOADER_128):.2f}x", None)


def _on_gpu(results: Mapping[str, Result]) -> Iterator[Target]:
    if "c" not in results:
        return
    for least, ours in ((5.0, THALWEG), (15.0, max((TF32, BF16), key=lambda name: results["c"].speed.get(name, 0.0)))):
        if (ratio := results["c"].ratio(LOADER, ours=ours)) is not None:
            yield _at_least(least, ratio, f"(c) {ours} over the {LOADER}")


def _at_least(least: float, ratio: float, text: str) -> Target:
    return Target(f"{text}: at least {least:g}x", f"{ratio:.2f}x", ratio >= least)
