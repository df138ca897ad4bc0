"""Plans remembered between runs, so that the same command on the same machine computes the same bits.

Different plans round differently. A plan measured for a network is therefore kept in the user's cache folder
(`THALWEG_CACHE_DIR`, else `thalweg` under `XDG_CACHE_HOME` or `~/.cache`), under a hash of what it was measured for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from thalweg.problem.engine import Plan

Choice = tuple[Plan, float]


def remembered(facts: dict[str, object], choose: Callable[[], Choice]) -> Choice:
    """The plan kept for these facts, or `choose()`, kept from now on if it was measured."""
    file = folder() / f"{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        kept = json.loads(file.read_text())
        return Plan.from_json(kept["plan"]), float(kept["seconds"])
    plan, seconds = choose()
    if plan.measured:
        _keep(file, {"plan": plan.to_json(), "seconds": seconds, "for": facts})
    return plan, seconds


def folder() -> Path:
    """Where plans are kept."""
    if "THALWEG_CACHE_DIR" in os.environ:
        return Path(os.environ["THALWEG_CACHE_DIR"]) / "plans"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "thalweg" / "plans"


def _keep(file: Path, content: dict[str, object]) -> None:
    """Write atomically; a cache that cannot be written is done without."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=file.parent, suffix=".draft")
        with os.fdopen(handle, "w") as out:
            json.dump(content, out)
        os.replace(draft, file)
