"""What is trained, as a function of its flat weight vector."""

from thalweg.problem.checkpoint import fits, load_weights, read_state
from thalweg.problem.criterion import accuracy
from thalweg.problem.engine import Plan, Points
from thalweg.problem.examples import Diverged
from thalweg.problem.function import FunctionProblem
from thalweg.problem.module import ModuleProblem
from thalweg.problem.protocol import Measurement, Problem
from thalweg.problem.tangent_model import LinearizedProblem

__all__ = [
    "Diverged",
    "FunctionProblem",
    "LinearizedProblem",
    "Measurement",
    "ModuleProblem",
    "Plan",
    "Points",
    "Problem",
    "accuracy",
    "fits",
    "load_weights",
    "read_state",
]
