"""The stochastic landscape: what one example, a hundred examples, and all examples that might come, say of two weights.

The smallest perceptron w1·max(w2·x, 0) is fitted to y = 2x + noise by stochastic descent, one example at a time. Each
step follows the landscape of its own example; training minimises their mean; what one wants is the expectation. Run it:
`python examples/stochastic_landscape.py`. It writes `stochastic_landscape.mp4` and `.png`, the film to move by hand
`stochastic_landscape.html`, its linear twin `stochastic_linear.html`, and takes about a minute. The `.mp4` needs the
extra `films`: `pip install ".[films]"`.
"""

import numpy as np
import torch

import thalweg as tw
from thalweg.landscapes import expected_risk, perceptron_data, perceptron_problem

torch.set_num_threads(1)
data = perceptron_data(100, slope=2.0, std=3.0, seed=0)


def stochastic(linear: bool, start: list[float], rate: float, epochs: int) -> tuple:
    """The three risks on a grid, and stochastic descent in the data's own order."""
    problem = perceptron_problem(data, linear=linear)
    plane = tw.coordinate_plane(problem)
    risk = tw.risk(
        problem, plane, extent=5.0, points=100, expected=lambda theta: expected_risk(theta, std=3.0, linear=linear)
    )
    path = tw.descend(
        problem, [start], lambda w: torch.optim.SGD(w, lr=rate), steps=100 * epochs, batch_size=1, shuffle=False
    )
    return problem, risk, tw.project_trajectory(path, plane)


problem, risk, path = stochastic(linear=False, start=[3.0, -4.0], rate=0.01, epochs=1)
last = path.theta.values[0, -1]
print(f"Last iterate: w1 = {last[0]:.4f}, w2 = {last[1]:.4f}.")
for name in ("empirical_risk", "expected_risk"):
    best = risk[name].argmin(["alpha", "beta"])
    where = float(risk.alpha[best["alpha"]]), float(risk.beta[best["beta"]])
    print(f"The {name.replace('_', ' ')} is least, {float(risk[name].min()):.3f}, at w1·w2 = {np.prod(where):.3f}.")

tw.figures.save(tw.figures.risk(risk, descent=path, backend="matplotlib"), "stochastic_landscape.png")
film = tw.figures.animate(tw.figures.risk, risk, descent=path, steps=range(0, 100), backend="matplotlib")
print(tw.figures.save(film, "stochastic_landscape.mp4"))
by_hand = tw.figures.animate(tw.figures.risk, risk, descent=path, steps=range(0, 100, 10))
print(tw.figures.save(by_hand, "stochastic_landscape.html"))

# The linear twin, from beside its saddle: ten epochs, the first steps and then every fortieth.
_, risk, path = stochastic(linear=True, start=[2.0, -1.9], rate=0.05, epochs=10)
steps = [*range(5), *range(40, 1000, 40)]
print(tw.figures.save(tw.figures.animate(tw.figures.risk, risk, descent=path, steps=steps), "stochastic_linear.html"))
