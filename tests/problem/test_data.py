"""However the data come, and however often they are read, the examples are the same."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

import thalweg as tw
from thalweg.problem.engine import Plan

from . import naive

SIZES = [7, 1, 10, 5]
X, Y = naive.examples()


class Pairs(Dataset):
    def __len__(self):
        return len(Y)

    def __getitem__(self, i):
        return X[i], int(Y[i])


class Stream(IterableDataset):
    def __iter__(self):
        return iter(zip(X, Y, strict=True))


class Batches:
    """Nothing but `__iter__`, again and again."""

    def __iter__(self):
        yield from naive.cut((X, Y), SIZES)


class Reused:
    """One buffer, filled anew for every batch, as prefetchers do."""

    def __iter__(self):
        x, y = torch.empty(1, 4, dtype=torch.double), torch.empty(1, dtype=torch.int64)
        for row, target in zip(X, Y, strict=True):
            x[0], y[0] = row, target
            yield x, y


SOURCES = {
    "tuple of tensors": lambda: (X, Y),
    "list of tensors": lambda: [X, Y],
    "arrays": lambda: (X.numpy(), Y.numpy()),
    "TensorDataset": lambda: TensorDataset(X, Y),
    "Dataset": Pairs,
    "IterableDataset": Stream,
    "DataLoader": lambda: DataLoader(TensorDataset(X, Y), batch_size=5),
    "shuffling DataLoader": lambda: DataLoader(TensorDataset(X, Y), batch_size=5, shuffle=True),
    "loader with a generator": lambda: DataLoader(
        TensorDataset(X, Y), batch_size=5, shuffle=True, generator=torch.Generator().manual_seed(3)
    ),
    "list of batches": lambda: naive.cut((X, Y), SIZES),
    "tuple of batches": lambda: tuple(naive.cut((X, Y), SIZES)),
    "list of lists": lambda: [list(batch) for batch in naive.cut((X, Y), SIZES)],
    "class with __iter__": Batches,
    "class that reuses its buffer": Reused,
}


@pytest.mark.parametrize("memory", [0, None], ids=["streamed", "resident"])
@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_numbers(source, memory):
    """The traps: only the first batch, or the first 8 of a shuffling loader, used; a view that is overwritten."""
    model = naive.mlp()
    problem = tw.ModuleProblem(model, SOURCES[source](), loss=F.cross_entropy, memory=memory)
    points = naive.near(problem, 2)
    assert problem.num_examples == len(Y)
    expected = naive.surface(model, points, [(X, Y)], F.cross_entropy)
    torch.testing.assert_close(problem.measure(points).values["loss"], expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(problem.loss(points).detach(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("memory", [0, None], ids=["streamed", "resident"])
def test_a_shuffling_loader_is_one_order_for_all_passes(memory):
    data = DataLoader(TensorDataset(X, Y), batch_size=5, shuffle=True)
    problem = tw.ModuleProblem(naive.mlp(), data, loss=F.cross_entropy, memory=memory)
    assert torch.equal(problem.losses(problem.theta), problem.losses(problem.theta))
    subsets = [
        problem.measure(problem.theta[None], num_examples=6, seed=1, plan=Plan()).values["loss"] for _ in range(2)
    ]
    assert torch.equal(*subsets)


@pytest.mark.parametrize("memory", [0, None], ids=["streamed", "resident"])
def test_reading_leaves_torchs_generator_and_the_loaders_own_as_they_were(memory):
    own, sampling = torch.Generator().manual_seed(3), torch.Generator().manual_seed(4)
    loaders = [
        DataLoader(TensorDataset(X, Y), batch_size=5, shuffle=True),
        DataLoader(TensorDataset(X, Y), batch_size=5, shuffle=True, generator=own),
    ]
    torch.manual_seed(11)
    states = [g.get_state() for g in (torch.default_generator, own, sampling)]
    for loader in loaders:
        problem = tw.ModuleProblem(naive.mlp(), loader, loss=F.cross_entropy, memory=memory)
        torch.manual_seed(11)
        problem.measure(problem.theta[None])
        problem.gradient(problem.theta)
    for generator, state in zip((torch.default_generator, own), states, strict=False):
        assert torch.equal(generator.get_state(), state)


def test_a_samplers_own_generator_is_left_as_it_was():
    dataset, generator = TensorDataset(X, Y), torch.Generator().manual_seed(4)
    state = generator.get_state()
    loader = DataLoader(dataset, batch_size=5, sampler=RandomSampler(dataset, generator=generator))
    problem = tw.ModuleProblem(naive.mlp(), loader, loss=F.cross_entropy, memory=0)
    problem.losses(problem.theta)
    assert torch.equal(generator.get_state(), state)
    assert torch.equal(problem.losses(problem.theta), problem.losses(problem.theta))


def test_batches_of_different_widths_are_kept_as_they_came():
    """Sequences of different lengths: nothing to join, nothing to cut."""
    model = torch.nn.Embedding(6, 3).double()
    batches = [(torch.arange(2 * n).reshape(2, n) % 6, torch.tensor([0, 2])) for n in (3, 5, 4)]
    batches.append((torch.tensor([[1, 2]]), torch.tensor([1])))

    def criterion(outputs, targets):
        return F.cross_entropy(outputs.mean(1), targets, reduction="none")

    for memory in (0, None):
        problem = tw.ModuleProblem(model, batches, loss=criterion, memory=memory)
        points = naive.near(problem)
        expected = naive.surface(model, points, batches, criterion)
        torch.testing.assert_close(problem.measure(points).values["loss"], expected, rtol=1e-12, atol=0)
        assert problem.num_examples == 7


def test_changing_the_users_tensors_later_changes_nothing():
    x = X.clone()
    problem = tw.ModuleProblem(naive.mlp(), (x, Y), loss=F.cross_entropy)
    before = problem.loss(problem.theta).detach()
    x.zero_()
    assert torch.equal(problem.loss(problem.theta).detach(), before)


def test_data_that_change_between_passes_are_refused_when_they_are_streamed():
    """Random augmentation that torch's seed does not reach: no two passes tell the same loss."""
    generator = np.random.default_rng(0)

    class Augmented:
        def __iter__(self):
            for x, y in naive.cut((X, Y), SIZES):
                yield x + torch.from_numpy(generator.normal(size=x.shape)), y

    with pytest.raises(ValueError, match="pass"):
        tw.ModuleProblem(naive.mlp(), Augmented(), loss=F.cross_entropy, memory=0)


# --- subsets ---


@pytest.mark.parametrize("source", [lambda: (X, Y), lambda: naive.cut((X, Y), SIZES)], ids=["joined", "batches"])
@pytest.mark.parametrize("memory", [0, None], ids=["streamed", "resident"])
def test_a_subsets_mean_and_standard_error_are_the_naive_formula(source, memory):
    r"""$s^2/n\,(1-n/N)$ of the examples drawn, which are the same at every point and among all the losses."""
    problem = tw.ModuleProblem(
        naive.mlp(), source(), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, memory=memory
    )
    points, n, total = naive.near(problem), 9, len(Y)
    found = problem.measure(points, num_examples=n, seed=5, per_example=True)
    rows, everything = found.losses["train"], problem.losses(points).detach()
    drawn = [
        {int((row - value).abs().argmin()) for value in chosen} for row, chosen in zip(everything, rows, strict=True)
    ]
    assert drawn[0] == drawn[1] == drawn[2]
    assert len(drawn[0]) == n
    torch.testing.assert_close(rows, everything[:, sorted(drawn[0])], rtol=1e-12, atol=0)
    torch.testing.assert_close(found.values["loss"], rows.mean(1))
    expected = (rows.var(1, correction=1) / n * (1 - n / total)).sqrt()
    torch.testing.assert_close(found.standard_errors["loss"], expected, rtol=1e-9, atol=1e-12)
    assert set(found.standard_errors) == {"loss", "accuracy"}


def test_every_example_is_drawn_equally_often():
    problem = tw.ModuleProblem(naive.mlp(), (X, Y), loss=F.cross_entropy)
    everything = problem.losses(problem.theta).detach()
    count = torch.zeros(len(Y))
    for seed in range(200):
        rows = problem.measure(problem.theta[None], num_examples=6, seed=seed, per_example=True, plan=Plan()).losses[
            "train"
        ]
        count += (everything[:, None] - rows).abs().lt(1e-12).sum(1)
    expected = 200 * 6 / len(Y)
    assert count.sum() == 200 * 6
    assert (count - expected).abs().max() < 5 * expected**0.5


def test_the_standard_error_covers_the_truth():
    """About 68% of subsets lie within one standard error, 95% within two."""
    x, y = naive.regression(200)
    problem = tw.ModuleProblem(naive.mlp((4, 3, 1)), (x, y), loss=F.mse_loss)
    truth = float(problem.loss(problem.theta))
    misses = []
    for seed in range(200):
        found = problem.measure(problem.theta[None], num_examples=50, seed=seed, plan=Plan())
        misses.append(abs(float(found.values["loss"]) - truth) / float(found.standard_errors["loss"]))
    assert 0.56 < np.mean(np.array(misses) < 1) < 0.80
    assert np.mean(np.array(misses) < 2) > 0.88


def test_a_subset_of_all_examples_has_no_error():
    problem = tw.ModuleProblem(naive.mlp(), (X, Y), loss=F.cross_entropy)
    found = problem.measure(problem.theta[None], num_examples=len(Y))
    assert float(found.standard_errors["loss"]) == 0.0
    torch.testing.assert_close(found.values["loss"][0], problem.loss(problem.theta).detach(), rtol=1e-12, atol=0)


def test_one_example_has_an_unknown_error():
    problem = tw.ModuleProblem(naive.mlp(), (X, Y), loss=F.cross_entropy)
    assert problem.measure(problem.theta[None], num_examples=1).standard_errors["loss"].isnan().all()


def test_the_test_split_is_subsampled_too_with_its_own_total():
    test = naive.examples(12, seed=8)
    problem = tw.ModuleProblem(naive.mlp(), (X, Y), loss=F.cross_entropy, test_data=test)
    found = problem.measure(problem.theta[None], num_examples=15, seed=2, per_example=True)
    assert found.losses["train"].shape == (1, 15)
    assert found.losses["test"].shape == (1, 12)
    assert float(found.standard_errors["test_loss"]) == 0.0
    assert float(found.standard_errors["loss"]) > 0.0


@pytest.mark.parametrize("num_examples", [0, 24, -1])
def test_a_subset_larger_than_the_data_or_empty_is_refused(num_examples):
    problem = tw.ModuleProblem(naive.mlp(), (X, Y), loss=F.cross_entropy)
    with pytest.raises(ValueError, match="23"):
        problem.measure(problem.theta[None], num_examples=num_examples)


def test_a_subset_cuts_examples_and_no_other_table():
    """A table of ten rows beside ten examples is no column of examples."""
    x, y = naive.examples(40, classes=10)
    model, prices = naive.mlp((4, 10)), torch.arange(1.0, 11.0, dtype=torch.double)

    def step(network, batch):
        return F.cross_entropy(network(batch["x"]), batch["y"], reduction="none") * batch["prices"][batch["y"]]

    batches = [{"x": a, "y": b, "prices": prices} for a, b in naive.cut((x, y), [10] * 4)]
    problem = tw.ModuleProblem(model, batches, step=step)
    everything = step(model, {"x": x, "y": y, "prices": prices}).detach()
    try:
        rows = problem.measure(problem.theta[None], num_examples=20, per_example=True, plan=Plan()).losses["train"]
    except (ValueError, IndexError):
        return
    assert (everything[:, None] - rows).abs().min(0).values.max() < 1e-12


def test_scalar_criteria_have_no_standard_error_and_say_so():
    problem = tw.ModuleProblem(naive.mlp(), (X, Y), loss=naive.scalar_cross_entropy)
    for options in ({"num_examples": 5}, {"per_example": True}):
        with pytest.raises(ValueError, match="one value per example"):
            problem.measure(problem.theta[None], **options)
    with pytest.raises(ValueError, match="per-example"):
        problem.losses(problem.theta)


def test_sequences_that_come_one_by_one_may_be_shuffled_and_drawn_from():
    """Nothing to join and nothing to cut, but no example has another beside it either."""
    sequences = [(torch.arange(n) % 6, torch.tensor(n % 2)) for n in (3, 5, 4, 7, 2)]
    model = torch.nn.Embedding(6, 3).double()

    def criterion(outputs, targets):
        return F.cross_entropy(outputs.mean(1), targets, reduction="none")

    problem = tw.ModuleProblem(model, DataLoader(sequences, batch_size=1, shuffle=True), loss=criterion)
    expected = torch.stack([criterion(model(x[None]), y[None]) for x, y in sequences]).mean().detach()
    assert float(problem.loss(problem.theta)) == pytest.approx(float(expected), rel=1e-12)
    rows = problem.measure(problem.theta[None], num_examples=3, per_example=True, plan=Plan()).losses["train"]
    assert rows.shape == (1, 3)


# --- refusals ---


def generator_of_batches():
    yield from naive.cut((X, Y), SIZES)


REFUSED = {
    "no examples": (lambda: (X[:0], Y[:0]), ValueError, "no examples"),
    "an empty list": (list, ValueError, "no examples"),
    "an empty Dataset": (lambda: TensorDataset(X[:0], Y[:0]), ValueError, "no examples"),
    "a batch without examples": (lambda: [(X, Y), (X[:0], Y[:0])], ValueError, "without examples"),
    "different lengths": (lambda: (X, Y[:-1]), ValueError, "different lengths"),
    "a generator": (generator_of_batches, TypeError, "one-pass"),
    "an iterator": (lambda: iter([(X, Y)]), TypeError, "one-pass"),
    "a number": (lambda: 3, TypeError, "int"),
    "text": (lambda: ["a", "b"], TypeError, "without tensors"),
    "dicts without step": (lambda: {"x": X, "y": Y}, TypeError, "step"),
    "single examples": (lambda: list(zip(X, Y, strict=True)), TypeError, "single examples"),
    "three columns": (lambda: (X, Y, Y), TypeError, "pair"),
}


@pytest.mark.parametrize("split", ["training", "test"])
@pytest.mark.parametrize("case", REFUSED)
def test_data_that_cannot_be_read_are_refused_with_the_reason(case, split):
    make, error, message = REFUSED[case]
    data = {"data": make()} if split == "training" else {"data": (X, Y), "test_data": make()}
    with pytest.raises(error, match=message):
        tw.ModuleProblem(naive.mlp(), loss=F.cross_entropy, **data)


def test_inputs_of_the_wrong_dtype_or_width_are_refused_naming_both():
    with pytest.raises(ValueError, match=r"float32\[23, 4\].*float64"):
        tw.ModuleProblem(naive.mlp(), (X.float(), Y), loss=F.cross_entropy)
    with pytest.raises(ValueError, match=r"float64\[23, 3\]"):
        tw.ModuleProblem(naive.mlp(), (X[:, :3], Y), loss=F.cross_entropy)
