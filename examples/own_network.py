"""What `thalweg surface` needs of your code: a function that returns a problem.

From Python: `python examples/own_network.py`. From the command line, with weights of your own:

    thalweg surface examples/own_network.py:make_problem --checkpoint weights.safetensors --adaptive 0.01 --html
    surface.html
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import thalweg as tw
from thalweg.landscapes import digits


def make_model() -> nn.Module:
    """A convolutional network with batch normalisation."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def make_problem(device: str = "cpu") -> tw.ModuleProblem:
    """Model, data, loss and metrics: everything that a surface needs to know."""
    train, test = digits()
    return tw.ModuleProblem(
        make_model().eval(),
        DataLoader(TensorDataset(*train), batch_size=256),
        loss=F.cross_entropy,
        metrics={"accuracy": tw.accuracy},
        test_data=test,
        device=device,
    )


if __name__ == "__main__":
    problem = make_problem()
    surface = tw.loss_surface(problem, tw.random_plane(problem, seed=0), points=21)
    print(surface)
