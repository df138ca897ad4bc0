"""The study of the lab on loss surfaces: what is there is read, what is not is measured, and answers tell it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from thalweg.apps.labs import surface_answers as answers
from thalweg.apps.labs import surface_study as studies
from thalweg.landscapes import lenet, small_cnn

PLAN = replace(studies.QUICK, epochs=4, pairs=3, rows=2, top=2, chain_steps=5, num_train=100, num_test=50)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    torch.set_num_threads(1)
    return studies.Surfaces(PLAN, tmp_path_factory.mktemp("study"))


def test_the_training_is_adam_on_shuffled_mini_batches(work):
    run = work.train()
    assert (int(run["step"][-1]), work.steps) == (16, 16)
    model = small_cnn(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=PLAN.rate)
    draw = torch.Generator().manual_seed(0)
    images, classes = work.images.train
    for _ in range(PLAN.epochs):
        for rows in torch.randperm(100, generator=draw).split(PLAN.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(model(images[rows]), classes[rows]).backward()
            optimizer.step()
    wanted = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    np.testing.assert_allclose(run["theta"][-1].values, wanted, atol=1e-5)
    np.testing.assert_array_equal(work.problem.theta.numpy(), run["theta"][-1].values)


def test_opened_again_it_reads_what_is_there(work, monkeypatch):
    first = {"spectrum": work.spectrum(), "profile": work.eigen_profile(1), "sharpness": work.sharpness()}
    ways, plane = work.chain(), work.plane()
    assert work.has(studies.FIRST, studies.SECOND, studies.SPECTRUM, studies.COURSE, *studies.JOINED, *studies.SEEN)

    def measured(*_, **__):
        raise AssertionError("measured again")

    for name in ("top_eigenpairs", "track_spectrum", "valley", "training", "Recorder"):
        monkeypatch.setattr(studies, name, measured)
    again = studies.Surfaces(PLAN, work.study.parent)
    assert again.spectrum().identical(first["spectrum"])
    assert again.sharpness().identical(first["sharpness"])
    np.testing.assert_array_equal(again.eigen_profile(1)["loss"], first["profile"]["loss"])
    assert again.chain()["curve"].identical(ways["curve"])
    assert again.plane()["path"].identical(plane["path"])
    assert set(work.valley()) == {"surface", "course"}


def test_a_training_that_was_cut_off_is_done_anew(tmp_path, monkeypatch):
    work = studies.Surfaces(PLAN, tmp_path)
    ticks = iter(range(5))
    with pytest.raises(StopIteration):
        work.train(tick=lambda: next(ticks))
    assert not work.has(studies.FIRST)
    assert int(work.train()["step"][-1]) == work.steps
    assert work.has(studies.FIRST)


def test_large_batches_make_as_many_updates(work):
    assert int(work.train(studies.LARGE)["step"][-1]) == work.steps
    assert list(work.other_batches()) == ["batches of 32", "large batches"]


def test_another_choice_is_another_study():
    names = {replace(PLAN, **change).name for change in ({}, {"seed": 1}, {"epochs": 5}, {"data": "mnist"})}
    assert len(names) == 4


def test_the_networks_are_those_of_their_images(tmp_path):
    digits, mnist = (studies.Surfaces(studies.Plan(data), tmp_path).network(3) for data in ("digits", "mnist"))
    assert torch.equal(digits[0].weight, small_cnn(3)[0].weight)
    assert torch.equal(mnist[0].weight, lenet(3)[0].weight)


def test_products_of_the_answer_agree_and_unweighted_ones_do_not():
    problem, batches, model = answers.a_small_case()
    v = torch.randn(problem.num_weights, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    wanted = problem.hvp(problem.theta, v)
    torch.testing.assert_close(answers.double_backward(model, batches, v), wanted, rtol=1e-8, atol=1e-10)
    plain = answers.double_backward(model, batches, v, weighted=False)
    assert (plain - wanted).norm() > 0.01 * wanted.norm()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda work: answers.hessian_products(), ["38,282 weights", "central difference"]),
        (lambda work: answers.bends(), ["e-1"]),
        (answers.outliers, ["**10 classes**"]),
        (answers.along_eigenvectors, ["measured rise"]),
        (answers.connected, ["chain with one bend"]),
        (answers.batch_sizes, ["large batches", "sharpness"]),
        (answers.on_the_way, ["A random walk of as many rows"]),
        (answers.top_subspace, ["largest at update"]),
    ],
)
def test_answers_tell_what_they_measure(work, answer, said):
    text = answer(work)
    assert all(words in text for words in said), text


def test_a_few_of_many_values_keep_the_ends():
    import xarray as xr

    assert studies.some(xr.DataArray(np.arange(100)), 5) == [0.0, 25.0, 50.0, 74.0, 99.0]
    assert studies.some(xr.DataArray([1, 2]), 5) == [1.0, 2.0]
