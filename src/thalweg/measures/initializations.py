"""Initialisations held against each other: one network, drawn anew by several schemes, looked at and trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr

from thalweg import schema
from thalweg.measures.activations import Activation, activations, with_batch_statistics
from thalweg.measures.beginnings import mini_batch, whole_numbers
from thalweg.measures.drawn import Drawn, dataset
from thalweg.measures.initialization import for_biases, initialize
from thalweg.measures.optimizers import Factory
from thalweg.measures.progress import bar
from thalweg.measures.pupils import Draws
from thalweg.measures.request import need_problem
from thalweg.measures.runs import train
from thalweg.measures.schemes import Own, scheme
from thalweg.measures.singular import singular_values as exact_singular_values
from thalweg.problem import ModuleProblem, Plan
from thalweg.store import provenance

SCHEMES = ("uniform(0.03)", "uniform(3)", "xavier_uniform", "he_normal", "lecun_normal", "orthogonal")
Spectrum = Callable[[ModuleProblem], Any]
_NOTHING = Activation(np.nan, np.nan, np.nan, "")
_STEPS_A_SECOND = 1000.0


def compare_initializations(
    problem: ModuleProblem,
    schemes: Sequence[str | Own] | Mapping[str, str | Own] = SCHEMES,
    *,
    seed: int = 0,
    biases: float | str | Own | None = 0.0,
    optimizer: Factory | None = None,
    steps: int = 500,
    batch_size: int | None = 32,
    training_seed: int | None = None,
    num_examples: int = 1024,
    singular_values: int | Spectrum | None = 20,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Draw a network anew by each scheme, look at it, train it, and look again.

    For each scheme, in turn: the norm of each layer's gradient over all training data, what each layer passes on (see
    `activations`), the singular values of the Jacobian of the outputs, losses along training on mini-batches (the same
    ones for all), and loss and singular values at the end. A training that diverges is told as such, never raised.

    Parameters
    ----------
    problem
        The network, its data and its loss; its weights do not matter, and do not change.
    schemes
        As for `initialize`, each named as it is written here; a mapping gives them names of its own.
    seed, biases
        As for `initialize`.
    optimizer
        A function that makes the optimiser, `lambda w: torch.optim.Adam(w)`; by default SGD with learning rate 0.1 and
        momentum 0.9.
    steps, batch_size
        Updates, and examples in a mini-batch; None for all examples at every step.
    training_seed
        Of the order of the examples; by default `seed`.
    num_examples
        Examples at most (of the first batch) that activations are measured on.
    singular_values
        How many of the Jacobian's, exactly, on the first 300 training inputs at most; or a function of a problem (which
        stands at the weights in question) that returns some; None or 0 for none.
    progress
        Show a bar; by default in a terminal, if it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind `initializations` (see `schema`). `diverged_at` is the first update whose loss is not finite, or -1. Losses
        behind it, and singular values of a network that diverged, are nan.

    Raises
    ------
    ValueError, TypeError
        An unknown scheme, two of one name, something else than a `ModuleProblem`, data that cannot be put together into
        mini-batches, settings that the optimiser refuses.

    Notes
    -----
    With batch normalisation, gradients, activations and training use the statistics of each batch; losses over all data
    and Jacobians those of the training data at the weights in question.

    Examples
    --------
    >>> from torch import nn
    >>> from thalweg.landscapes.sines import mlp, sines_data
    >>> data = sines_data(100, 50)
    >>> problem = ModuleProblem(mlp([20, 20]), (data.train.x, data.train.y), loss=nn.functional.mse_loss)
    >>> found = compare_initializations(problem, ["he_normal", "uniform(30)"], steps=20)
    >>> found.gradient_norm.dims, found.diverged_at.values > 0
    (('scheme', 'layer'), array([False,  True]))
    """
    named = _named(schemes)
    _checked(problem, steps, num_examples)
    spectrum = _spectrum(singular_values)
    size = mini_batch(problem, batch_size, 0.0, seed)
    draws = Draws(seed if training_seed is None else training_seed, problem.num_examples, size)
    mover = optimizer or (lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9))
    layers = [block.name for block in problem.layout.blocks if block.kind == "weight"]
    found = []
    total = steps * len(named)
    with bar("Initialisations", total, 0, show=progress, seconds=total / _STEPS_A_SECOND, unit="steps") as advance:
        for name, one in named.items():
            model = initialize(problem.rehearsal(1)[0], one, seed, biases=biases)
            start = problem.with_state(model.state_dict())
            norms, passed = _looked(start, layers, num_examples)
            run = train(start.training(size is not None), draws, mover, steps, advance)
            before, after = (_measured(start, theta) for theta in (start.theta, run.theta))
            spectra = tuple(_values(start, theta, spectrum) for theta in (start.theta, run.theta))
            found.append(Drawn(name, norms, passed, before, after, run, spectra))
    told = {"seed": seed, "biases": for_biases(biases)[1], "steps": steps, "batch_size": size or 0}
    told |= {"optimizer": found[0].run.optimizer, "num_activation_examples": num_examples}
    return schema.check(dataset(problem, layers, found).assign_attrs(told | provenance(**problem.provenance())))


def _named(schemes: Any) -> dict[str, str | Own]:
    if isinstance(schemes, str) or callable(schemes):
        schemes = [schemes]
    named = dict(schemes) if isinstance(schemes, Mapping) else {}
    for one in () if named else schemes:
        name = one if isinstance(one, str) else scheme(one).name
        if name in named:
            raise ValueError(f"Two schemes are named {name!r}; pass a mapping of names to schemes.")
        named[name] = one
    if not named:
        raise ValueError("No schemes were given; pass some, such as ['he_normal', 'uniform(0.03)'].")
    for one in named.values():
        scheme(one)
    return {str(name): one for name, one in named.items()}


def _checked(problem: Any, steps: int, num_examples: int) -> None:
    need_problem(problem)
    if not hasattr(problem, "rehearsal"):
        raise TypeError(
            f"A {type(problem).__name__} has no layers to draw anew; pass a ModuleProblem(model, data, loss=...)."
        )
    whole_numbers(steps=steps, num_examples=num_examples)


def _looked(start: ModuleProblem, layers: list[str], num_examples: int) -> tuple[list[float], list[Activation]]:
    """Gradient norms and activations by layer."""
    pupil = start.training(examples_picked=False)
    gradient = torch.zeros_like(pupil.theta)
    with pupil.session():
        pupil.loss(gradient)
    blocks = {block.name: block for block in start.layout.blocks}
    norms = [float(gradient[blocks[name].slice].double().norm()) for name in layers]
    owners = [name.rpartition(".")[0] for name in layers]
    model, forward = start.rehearsal(num_examples)
    passed = activations(with_batch_statistics(model), forward, list(dict.fromkeys(owners)))
    return norms, [passed.get(owner, _NOTHING) for owner in owners]


def _measured(problem: ModuleProblem, theta: torch.Tensor) -> dict[str, float]:
    """Every quantity over all data; batch-norm statistics are those of the weights."""
    found = problem.with_batch_norm("recalibrate").measure(theta[None], plan=Plan()).values
    return {name: float(value) for name, value in found.items()}


def _spectrum(asked: int | Spectrum | None) -> Spectrum | None:
    if callable(asked):
        return asked
    if asked:
        whole_numbers(singular_values=asked)
    return (lambda problem: exact_singular_values(problem)[:asked]) if asked else None


def _values(problem: ModuleProblem, theta: torch.Tensor, spectrum: Spectrum | None) -> np.ndarray:
    if spectrum is None or not torch.isfinite(theta).all():
        return np.empty(0)
    values = spectrum(calibrated(problem.at(theta)))
    return np.asarray(values, dtype=float).reshape(-1)


def calibrated(problem: ModuleProblem) -> ModuleProblem:
    """The same problem with batch-norm statistics of its first batch at its weights; itself where there is none."""
    model, forward = problem.rehearsal(problem.num_examples)
    layers = [
        m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm) and m.track_running_stats
    ]
    if not layers:
        return problem
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over the batches seen, which is one
        layer.train()
    with torch.no_grad():
        forward(model)
    return problem.with_state(model.state_dict())
