"""What the lab on linearisation trains: the notebook's constants, divergence told, answers that are measured."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from thalweg.apps.labs import sine_answers as answers
from thalweg.apps.labs import sine_runs as runs
from thalweg.landscapes import mlp, sines_data

FEW = {"num_train": 200, "epochs": 3}


def test_the_constants_are_those_of_the_notebook():
    setting = runs.Setting()
    assert (setting.steps, setting.seeds, setting.learning_rate) == (468, (100, 150), 0.1)
    torch.testing.assert_close(
        runs.problem_of(setting).theta, nn.utils.parameters_to_vector(mlp([20], seed=100).parameters())
    )
    data = runs.data_of(setting)
    assert torch.equal(data.train.x, sines_data(seed=10).train.x)
    small = runs.problem_of(runs.Setting(depth=4, scheme="uniform(0.03)"))
    assert small.num_weights == 1321
    assert 0.029 < float(small.theta.abs().max()) <= 0.03
    beyond = runs.data_of(runs.Setting(upper=0.4))
    assert torch.equal(beyond.train.x, sines_data(seed=50, train_range=(-1.0, 0.4)).train.x)
    assert float(beyond.test.x.max()) == 1.0


def test_a_training_is_sgd_with_momentum_on_the_mini_batches_that_are_recorded():
    setting = runs.Setting(num_train=64, epochs=2)
    problem = runs.problem_of(setting)
    run = runs.descent(problem, setting)
    model = mlp([20], seed=100)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = runs.data_of(setting).train
    for rows in run["example"].values[:-1]:
        optimizer.zero_grad()
        F.mse_loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
    end = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    np.testing.assert_allclose(run["theta"].values[0, -1], end, rtol=1e-4, atol=1e-5)


def test_it_learns_and_its_tangent_changes():
    ticks = []
    found = runs.trained(runs.Setting(num_train=500), lambda: ticks.append(1))
    assert len(ticks) >= found.setting.steps
    curves = runs.errors(found)
    assert curves["loss"][-1] < curves["loss"][0] / 2
    assert runs.final_error(found) == pytest.approx(float(curves["test_loss"][-1]))
    assert runs.predictions(found)["mean_square_error"][0] == pytest.approx(runs.final_error(found), rel=0.05)
    assert found.after is not None
    assert not np.allclose(found.after["singular_value"][0], found.before["singular_value"][0], rtol=0.01)


def test_a_divergence_is_told():
    found = runs.trained(runs.Setting(depth=4, scheme="uniform(3)", **FEW))
    assert found.after is None
    assert "diverged" in found.said
    assert not np.isfinite(runs.final_error(found))
    path = runs.tangents(found)
    assert path.attrs["diverged_at"] > 0
    assert bool(path["diverged"][-1])


def test_the_output_layer_alone_leaves_the_features_as_they_were():
    found = runs.trained(runs.Setting(output_only=True, **FEW))
    assert found.problem.num_weights == 21
    np.testing.assert_allclose(found.before["singular_value"], found.after["singular_value"], rtol=1e-4)


def test_a_step_of_the_tangents_path_is_the_tangent_there():
    found = runs.trained(runs.Setting(**FEW))
    path = runs.tangents(found, 4)
    for step, wanted in ((path["step"].values[0], found.before), (path["step"].values[-1], found.after)):
        here = runs.tangent_at(path, step)
        np.testing.assert_allclose(here["singular_value"][:3], wanted["singular_value"][:3], rtol=1e-4)
        order = np.argsort(wanted["x"].values)
        ours, theirs = (np.abs(one["principal_feature"].values[:, :2]) for one in (here, wanted.isel(row=order)))
        np.testing.assert_allclose(ours, theirs, rtol=2e-2, atol=2e-3)
    film = runs.tangent_film(path, "Tangent")
    assert len(film.frames) == path.sizes["step"]


def test_the_largest_rate_is_where_the_linear_model_diverges():
    problem = runs.problem_of(runs.Setting(num_train=100))
    linear = answers.LinearizedProblem(problem)
    rate = runs.largest_rate(problem)
    start = float(linear.loss(problem.theta))
    assert float(linear.loss(linear.after(2000, 0.98 * rate))) < start
    assert float(linear.loss(linear.after(2000, 1.02 * rate))) > start


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answers.deep_network, ["**9 modules**", "**1,321 weights**", "**[10, 1]**"]),
        (lambda: answers.first_gradients(**FEW), ["8.weight", "e-0", "e+0"]),
        (lambda: answers.small_weights(**FEW), ["rank 1"]),
        (lambda: answers.large_weights((1e-1, 1e-7), **FEW), ["diverged by update", "stays finite"]),
        (lambda: answers.good_weights(**FEW), ["diverged", "He, uniform"]),
        (lambda: answers.out_of_range(**FEW), ["elbows inside"]),
        (lambda: answers.widths(**FEW), ["output layer only"]),
        (lambda: answers.laziness_by_width((10, 20), epochs=2), ["| 10 |", "| 20 |"]),
        (lambda: answers.orthogonal(**FEW), ["has rank", "further"]),
    ],
)
def test_answers_tell_what_they_measure(answer, said):
    text = answer()
    assert all(words in text for words in said), text


def test_a_wider_network_is_lazier():
    """Jacot et al. (2018): trained at the same share of the largest rate, the error of the tangent falls with width."""
    narrow, wide = (answers.lazy_run(width, epochs=10) for width in (20, 200))
    assert wide["relative_error"][-1] < 0.5 * narrow["relative_error"][-1]
    assert wide["relative_distance"][-1] < narrow["relative_distance"][-1]


def test_settings_say_themselves():
    setting = runs.Setting(depth=4, scheme="he_uniform", upper=0.4, output_only=True)
    assert setting.name == "4 hidden layers of 20, He, uniform, trained on x < 0.4, output layer only"
    assert set(runs.SCHEMES) >= {
        "uniform(0.03)",
        "uniform(3)",
        "he_uniform",
        "xavier_uniform",
        "lecun_normal",
        "orthogonal",
    }
    assert dataclasses.replace(setting, width=5) == runs.changed(setting, width=5)
