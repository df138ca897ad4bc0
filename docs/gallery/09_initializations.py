"""
One network, several initialisations
====================================

A network of four hidden layers on a sum of sines, drawn anew by several schemes: gradients by layer, what each
layer passes on, training, and the singular values of the Jacobian before and after.
"""

import torch.nn.functional as F

import thalweg as tw
from thalweg.landscapes import mlp, sines_data

data = sines_data(300, 100)
problem = tw.ModuleProblem(mlp([20] * 4), data.train, loss=F.mse_loss, test_data=data.test)
found = tw.compare_initializations(problem, ["uniform(0.03)", "xavier_uniform", "he_uniform"], steps=300)
for scheme in found.scheme.values:
    row = found.sel(scheme=scheme)
    print(f"{scheme:16} loss {float(row.initial_loss):8.4f} -> {float(row.final_loss):8.4f}")

# Gradients, activations, losses and singular values of three initialisations
tw.figures.initializations(found, backend="matplotlib")
