"""One training of a curve's bends: what determines it, what is told of it, and how a store takes it up again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from thalweg import schema
from thalweg.measures.bends import Bends
from thalweg.measures.progress import bar
from thalweg.measures.request import subspace_id
from thalweg.measures.unfinished import Unfinished
from thalweg.problem import Problem
from thalweg.problem.identity import hash_tensor
from thalweg.store import StoreMismatchError, load, provenance, save
from thalweg.store.grid import same_request, same_values
from thalweg.store.tree import attrs_of, refuse_foreign, refuse_nested
from thalweg.subspaces.curves import _Bent

_SECONDS = 10.0
_TOLD = ("optimizer", "scheduler", "steps", "batch_size", "weight_decay", "seed")


class Work:
    """One training of bends, and what is told of it."""

    def __init__(self, problem: Problem, bends: Bends, recipe: dict[str, Any], probes: list[float]) -> None:
        self.problem, self.bends, self.recipe = problem, bends, recipe
        self.probes = {"loss": probes}
        self._began, self._from = time.perf_counter(), 0

    def run(self, progress: bool | None, after: Callable[[], None]) -> None:
        """Make the steps that are left."""
        bends, self._from = self.bends, self.bends.step
        expected = bends.trial() * (bends.steps - bends.step)
        title = f"{bends.curve.kind} curve"
        with bar(title, bends.steps, bends.step, show=progress, seconds=expected, unit="steps") as advance:

            def told() -> None:
                advance(1)
                after()

            bends.run(told)

    def dataset(self, complete: bool = True) -> xr.Dataset:
        """What has been learned so far."""
        bends = self.bends
        curve, losses = bends.found, bends.losses
        whose = "training " if getattr(self.problem, "num_examples", 0) else ""
        units = str(getattr(self.problem, "units", lambda _: "")("loss"))
        loss = {"long_name": f"{whose}loss of the mini-batch at t", "units": units}
        variables: dict[str, Any] = {
            "theta": (("node", "weight"), curve.nodes.cpu().numpy(), {"long_name": "weights"}),
            "loss": ("step", losses, loss),
            "learning_rate": ("step", bends.rates, {"long_name": "learning rate", "units": "1"}),
            "t": ("step", bends.t, {"long_name": "place on the curve", "units": "1"}),
        }
        lost = ~np.isfinite(losses[: bends.step])
        about: dict[str, Any] = {"diverged_at": int(lost.argmax()) + 1} if lost.any() else {}
        if self._from == 0:  # the time of a part says nothing about the whole
            about["seconds"] = round(time.perf_counter() - self._began, 3)
        facts = self.problem.provenance()
        attrs = {
            "kind": "connection",
            "title": f"Learning a curve between two solutions of {facts.get('model', 'the problem')}",
            "curve": curve.kind,
            "num_bends": len(curve.bends),
            "length": curve.length(),
            **{key: self.recipe[key] for key in _TOLD},
            "recipe": json.dumps(self.recipe),
            **({"probe_losses": json.dumps(self.probes)} if self.probes["loss"] else {}),
            "complete": complete,
            **about,
            **provenance(**facts),
        }
        if facts.get("batch_norm", "none in the model") != "none in the model":
            attrs["batch_norm"] = "statistics of the mini-batch"
        steps = np.arange(1, bends.steps + 1)
        return schema.check(xr.Dataset(variables, {"node": np.arange(len(curve.nodes)), "step": steps}, attrs))


def in_store(work: Work, study: Path, name: str, every: int | None, progress: bool | None) -> xr.Dataset:
    """Go on with what the store holds, or begin; or return what is finished."""
    refuse_foreign(study)
    refuse_nested(study, name)
    unfinished = Unfinished(study, name)
    with unfinished.held():
        if (known := _known(study, name, work)) is not None:
            unfinished.leave()
            return known
        state = unfinished.read()
        about = {"recipe": json.dumps(work.recipe), "probes": work.probes}
        if state is not None and _goes_on(state, about):
            work.bends.restore(state)
        written = time.perf_counter()
        unfinished.begin(work.bends.state() | about)

        def kept() -> None:
            nonlocal written
            step, now = work.bends.step, time.perf_counter()
            due = step % every == 0 if every is not None else now - written > _SECONDS
            if due and step < work.bends.steps:
                unfinished.write(work.bends.state() | about)
                save(work.dataset(complete=False), study, name, overwrite=True)
                written = time.perf_counter()

        work.run(progress, kept)
        save(work.dataset(), study, name, overwrite=True)
        unfinished.leave()
        return load(study, name)


def _goes_on(state: dict[str, Any], about: dict[str, Any]) -> bool:
    """Whether a state is of this very training."""
    if state.get("recipe") != about["recipe"]:
        return False
    try:
        same_values(state.get("probes", {"loss": []}), about["probes"], "the state")
    except StoreMismatchError:
        return False
    return True


def _known(study: Path, name: str, work: Work) -> xr.Dataset | None:
    """The finished result in the store; None if there is none, or a part of this very one."""
    attrs = attrs_of(study, name) if study.exists() else None
    if not attrs:
        return None
    if attrs.get("kind") != "connection" or "recipe" not in attrs:
        raise StoreMismatchError(f"{study} holds another result `{name}`. Choose another `name=`.")
    where = f"{study} under `{name}`"
    same_request(json.loads(attrs["recipe"]), json.loads(json.dumps(work.recipe)), where)
    same_values(json.loads(attrs.get("probe_losses", "{}")), work.probes, where)
    return load(study, name) if attrs.get("complete") else None


def recipe_of(
    problem: Problem, begin: _Bent, bends: Bends, size: int | None, weight_decay: float, seed: int, whole: bool
) -> dict[str, Any]:
    """All that determines the result; what needs to be hashed only where a store asks for it."""
    told = {
        **bends.labels,
        "curve": begin.kind,
        "steps": bends.steps,
        "batch_size": size or 0,
        "weight_decay": float(weight_decay),
        "seed": int(seed),
    }
    if not whole:
        return told
    aside = ("weights", "frozen state", "test data", "batch_norm")
    who = {key: value for key, value in problem.identity().items() if key not in aside}
    if (shared := getattr(problem, "shared_state", None)) is not None:
        who["frozen state"] = hash_tensor(*shared().values())
    return told | {"rates": bends.rates_told(), "beginning": subspace_id(begin), **who}
