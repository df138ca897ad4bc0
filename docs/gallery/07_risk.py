"""
Pointwise, empirical and expected risk
======================================

The smallest perceptron under stochastic descent, one example at a time: the landscape of the current example, of a
hundred, and of all that might come. See :doc:`/meaning/risk`.
"""

import torch

import thalweg as tw
from thalweg.landscapes import expected_risk, perceptron_data, perceptron_problem

problem = perceptron_problem(perceptron_data(100, slope=2.0, std=3.0, seed=0))
plane = tw.coordinate_plane(problem)
risk = tw.risk(problem, plane, extent=5.0, points=61, expected=lambda w: expected_risk(w, std=3.0))
path = tw.descend(problem, [[3.0, -4.0]], lambda w: torch.optim.SGD(w, lr=0.01), steps=100, batch_size=1, shuffle=False)
path = tw.project_trajectory(path, plane)

# The three risks at update 20
tw.figures.risk(risk, descent=path, step=20, backend="matplotlib")

# %%
# Eighty updates later:

# The three risks at update 100
tw.figures.risk(risk, descent=path, step=99, backend="matplotlib")
