"""What cannot be answered is refused before anything is computed, with what to do instead."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import thalweg as tw
from tests.measures.test_spectrum import made
from tests.problem import dense
from tests.problem.naive import D

MEASURES = {
    "pairs": tw.top_eigenpairs,
    "density": tw.spectral_density,
    "trace": tw.trace,
    "diagonal": tw.diagonal,
    "sharpness": tw.sharpness,
    "worst case": lambda problem, **options: tw.worst_case_sharpness(problem, 0.1, **options),
}


@pytest.mark.parametrize("measure", MEASURES)
def test_a_bare_model_is_refused(measure):
    with pytest.raises(TypeError, match="ModuleProblem"):
        MEASURES[measure](nn.Linear(2, 2))


@pytest.mark.parametrize("measure", MEASURES)
def test_weights_that_do_not_fit_or_are_not_finite_are_refused(measure):
    _, _, problem = made()
    theta = problem.theta
    theta[:2] = float("nan")
    with pytest.raises(ValueError, match="2 of the 43 weights are not finite"):
        MEASURES[measure](problem, theta=theta)
    with pytest.raises(ValueError, match=r"theta has shape \(3,\)"):
        MEASURES[measure](problem, theta=torch.zeros(3))


@pytest.mark.parametrize("measure", [name for name in MEASURES if name != "worst case"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"matrix": "hesian"}, "matrix='hesian'"),
        ({"parameters": "conv9"}, "No parameter is called 'conv9'"),
        ({"num_examples": 2.5}, "num_examples=2.5"),
        ({"num_examples": 0}, "num_examples=0"),
        ({"seed": "one"}, "seed='one'"),
    ],
)
def test_what_all_measures_refuse(measure, options, words):
    _, _, problem = made()
    with pytest.raises(ValueError, match=words):
        MEASURES[measure](problem, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"k": 44}, "the problem has 43 weights"),
        ({"k": 21, "parameters": "0.weight"}, "0.weight has 20 weights"),
        ({"k": 0}, "k=0"),
        ({"k": 2.0}, "k=2.0"),
        ({"k": True}, "k=True"),
        ({"which": "biggest"}, "which='biggest'"),
        ({"tol": 0.0}, "tol=0.0"),
        ({"tol": float("nan")}, "tol=nan"),
        ({"max_matvecs": 2}, "max_matvecs=2"),
        ({"start": torch.ones(3)}, "vectors of 3 entries"),
    ],
)
def test_pairs_that_there_are_not_are_refused(options, words):
    _, _, problem = made()
    with pytest.raises(ValueError, match=words):
        tw.top_eigenpairs(problem, **options)


def test_a_start_without_vectors_is_refused():
    _, _, problem = made()
    with pytest.raises(ValueError, match="vectors=True"):
        tw.top_eigenpairs(problem, start=tw.top_eigenpairs(problem, 2, vectors=False))


@pytest.mark.parametrize(
    ("measure", "options", "words"),
    [
        ("density", {"num_probes": 0}, "num_probes=0"),
        ("density", {"num_matvecs": 0}, "num_matvecs=0"),
        ("density", {"width": -1.0}, "width=-1.0"),
        ("density", {"points": [1.0, 0.0]}, "rise"),
        ("density", {"points": 1}, "points=1"),
        ("trace", {"method": "guess"}, "method='guess'"),
        ("trace", {"num_matvecs": 5}, "num_matvecs=5"),
        ("diagonal", {"num_matvecs": 1}, "num_matvecs=1"),
        ("worst case", {"steps": 0}, "steps=0"),
        ("worst case", {"restarts": -1}, "restarts=-1"),
    ],
)
def test_budgets_that_tell_nothing_are_refused(measure, options, words):
    _, _, problem = made()
    with pytest.raises(ValueError, match=words):
        MEASURES[measure](problem, **options)


def test_losses_without_curvature_are_refused():
    net, data = dense.case("batch norm")
    recalibrated = tw.ModuleProblem(net, data, loss=F.cross_entropy, batch_norm="recalibrate")
    with pytest.raises(ValueError, match="running"):
        tw.top_eigenpairs(recalibrated)
    hinge = tw.ModuleProblem(
        nn.Linear(2, 1).double(),
        (torch.randn(9, 2, dtype=D), torch.ones(9, 1, dtype=D)),
        loss=lambda o, t: (1 - o * t).clamp(min=0),
    )
    with pytest.raises(ValueError, match="piecewise linear"):
        tw.top_eigenpairs(hinge, 1)
    with pytest.raises(ValueError, match="no outputs"):
        tw.top_eigenpairs(tw.FunctionProblem(lambda x, y: x * y), 1, matrix="ggn")


def test_a_curvature_that_overflows_is_an_error_and_not_a_number():
    problem = tw.FunctionProblem(lambda x, y: torch.sqrt(x) + y**2)
    with pytest.raises(FloatingPointError, match="not finite"):
        tw.top_eigenpairs(problem, 1)
