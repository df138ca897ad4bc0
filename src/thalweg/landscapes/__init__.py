"""Landscapes and small problems known on paper or in class: what tests, labs and demos look at.

- `landscape(name)`: the linear network, nine surfaces and the classics of optimisation, with what is known of each.
- The linear network of any depth, random fields, functions of one variable.
- Models and examples: regression with a weight or two, the smallest perceptron, sums of sines, small real images.
"""

from thalweg.landscapes.calculus import FUNCTIONS, OneVariable
from thalweg.landscapes.catalog import landscape, names
from thalweg.landscapes.digits import SmallCNN, digits, small_cnn
from thalweg.landscapes.elementwise import elementwise
from thalweg.landscapes.fashion_mnist import fashion_mnist
from thalweg.landscapes.images import Split, shuffle_labels
from thalweg.landscapes.landscape import Branch, CriticalPoint, Landscape
from thalweg.landscapes.lenet import LeNet, lenet
from thalweg.landscapes.linear_network import (
    SADDLE,
    SADDLE_EIGENVALUES,
    autoencoder_gradient,
    autoencoder_hessian,
    autoencoder_loss,
    autoencoder_losses,
    conserved,
    linear_network,
    multiply_by_one,
    multiply_by_one_problem,
    rescale,
    solution_set,
    squared_error,
)
from thalweg.landscapes.mnist import mnist_sample
from thalweg.landscapes.perceptron import (
    LinearPerceptron,
    Perceptron,
    expected_risk,
    perceptron_data,
    perceptron_problem,
    perceptron_sampler,
    reset_weights,
)
from thalweg.landscapes.random_field import LatticeField, gaussian_field, notebook_field, white_noise
from thalweg.landscapes.regression import (
    LinearizedModel,
    LinearModel,
    LinearNonlinearModel,
    PolynomialModel,
    PowerModel,
    RegressionModel,
    SineModel,
    ThresholdModel,
    regression_problem,
    taylor_sine,
)
from thalweg.landscapes.regression_data import Examples, draw_inputs, linear_data, nonlinear_data, regression_data
from thalweg.landscapes.sines import SinesData, SumOfSines, mlp, sines_data, sum_of_sines

__all__ = [
    "FUNCTIONS",
    "SADDLE",
    "SADDLE_EIGENVALUES",
    "Branch",
    "CriticalPoint",
    "Examples",
    "Landscape",
    "LatticeField",
    "LeNet",
    "LinearModel",
    "LinearNonlinearModel",
    "LinearPerceptron",
    "LinearizedModel",
    "OneVariable",
    "Perceptron",
    "PolynomialModel",
    "PowerModel",
    "RegressionModel",
    "SineModel",
    "SinesData",
    "SmallCNN",
    "Split",
    "SumOfSines",
    "ThresholdModel",
    "autoencoder_gradient",
    "autoencoder_hessian",
    "autoencoder_loss",
    "autoencoder_losses",
    "conserved",
    "digits",
    "draw_inputs",
    "elementwise",
    "expected_risk",
    "fashion_mnist",
    "gaussian_field",
    "landscape",
    "lenet",
    "linear_data",
    "linear_network",
    "mlp",
    "mnist_sample",
    "multiply_by_one",
    "multiply_by_one_problem",
    "names",
    "nonlinear_data",
    "notebook_field",
    "perceptron_data",
    "perceptron_problem",
    "perceptron_sampler",
    "regression_data",
    "regression_problem",
    "rescale",
    "reset_weights",
    "shuffle_labels",
    "sines_data",
    "small_cnn",
    "solution_set",
    "squared_error",
    "sum_of_sines",
    "taylor_sine",
    "white_noise",
]
