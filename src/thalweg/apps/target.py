"""`module:callable` and `file.py:callable`: how a command line points at the user's own code."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from thalweg.problem import Problem


class TargetError(ValueError):
    """A target that cannot be imported or called."""


def make_problem(target: str, **options: Any) -> Problem:
    """Import `module:callable` (the working directory is searched first), call it, and check that a problem comes back.

    `options` that are not None are passed on, if the callable takes them.

    Raises
    ------
    TargetError
        Saying which part failed, and what the module has instead.
    """
    function = find(target)
    wanted = {key: value for key, value in options.items() if value is not None}
    accepted = inspect.signature(function).parameters
    refused = [key for key in wanted if key not in accepted]
    if refused:
        raise TargetError(f"{target} takes no {', '.join(refused)}; give it that parameter, or leave the option out.")
    problem = function(**wanted)
    if not isinstance(problem, Problem):
        raise TargetError(
            f"{target} returned a {type(problem).__name__}; it must return a thalweg problem: "
            f"`ModuleProblem(model, data, loss=...)`."
        )
    return problem


def find(target: str) -> Any:
    """The object that `module:callable` names."""
    module_name, colon, name = target.rpartition(":")
    if not colon or not module_name or not name:
        raise TargetError(f"{target!r} is no target; write `package.module:make_problem` or `file.py:make_problem`.")
    module = _module(module_name)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise TargetError(f"{module_name} has no `{name}`; it has {_callables(module)}.")
        found = getattr(found, part)
    if not callable(found):
        raise TargetError(f"{target} is a {type(found).__name__}, not a function that makes a problem.")
    return found


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if name.endswith(".py") and not Path(name).is_file():
        raise TargetError(f"There is no file {name} (looked in {here}).")
    try:
        return _from_file(Path(name)) if name.endswith(".py") else importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and name.startswith(error.name):
            raise TargetError(f"There is no module {error.name!r} (looked in {here} and the Python path).") from error
        raise TargetError(f"{name} needs the module {error.name!r}, which is not installed here.") from error


def _from_file(path: Path) -> ModuleType:
    sys.path.insert(0, str(path.resolve().parent))
    installed = path.stem in sys.stdlib_module_names or "site-packages" in str(
        getattr(sys.modules.get(path.stem), "__file__", "")
    )
    name = f"user_{path.stem}" if installed else path.stem  # a file called torch.py must not stand in for torch
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _callables(module: ModuleType) -> str:
    own = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_") and inspect.isfunction(v)]
    return ", ".join(f"`{n}`" for n in own[:8]) or "no functions"
