"""Any network: recurrent, attending, half-precision, tied, frozen, normalised; and the user's own is never changed."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

import thalweg as tw
from thalweg.problem.engine import Plan

from . import naive

EXACT = {"rtol": 1e-11, "atol": 1e-12}


class Recurrent(nn.Module):
    def __init__(self, kind, batch_first=True):
        super().__init__()
        self.cell = kind(3, 4, batch_first=batch_first)
        self.out = nn.Linear(4, 3)
        self.last = (slice(None), -1) if batch_first else (-1,)

    def forward(self, x):
        return self.out(self.cell(x)[0][self.last])


class Transformer(nn.Module):
    def __init__(self, norm_first=False):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1, batch_first=True, norm_first=norm_first)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.block(x).mean(1))


class Tied(nn.Module):
    """An embedding used twice, and a frozen layer."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(6, 4)
        self.middle = nn.Linear(4, 4)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.out = nn.Linear(4, 6, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens):
        return self.out(torch.tanh(self.frozen(self.middle(self.embed(tokens)))).mean(1))


def model_and_data(name):
    torch.manual_seed(4)
    sequences = naive.examples(11, (5, 3))
    return {
        "RNN": lambda: (Recurrent(nn.RNN), sequences),
        "LSTM": lambda: (Recurrent(nn.LSTM), sequences),
        "GRU": lambda: (Recurrent(nn.GRU), sequences),
        "transformer block": lambda: (Transformer(), naive.examples(11, (5, 4))),
        "transformer block, norm first": lambda: (Transformer(norm_first=True), naive.examples(11, (5, 4))),
        "tied and frozen": lambda: (Tied(), (torch.arange(33).reshape(11, 3) % 6, torch.arange(11) % 6)),
        "grouped transposed convolution": lambda: (
            nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 25, 3)),
            naive.examples(11, (4, 3, 3)),
        ),
        "weight norm": lambda: (
            nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 3)),
            naive.examples(11),
        ),
        "batch norm": lambda: (
            nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)),
            naive.examples(11),
        ),
        "layer and group norm": lambda: (
            nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.Linear(6, 3)),
            naive.examples(11),
        ),
    }[name]()


NAMES = [
    "RNN",
    "LSTM",
    "GRU",
    "transformer block",
    "transformer block, norm first",
    "tied and frozen",
    "grouped transposed convolution",
    "weight norm",
    "batch norm",
    "layer and group norm",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_network_is_the_plain_network_at_other_weights(name):
    """Loss and gradient in evaluation mode, the attention fast path included."""
    model, (x, y) = model_and_data(name)
    model = model.double().eval()
    problem = tw.ModuleProblem(model, naive.cut((x, y), [6, 5]), loss=F.cross_entropy)
    points = naive.near(problem, 3, size=0.1)
    expected = naive.surface(model, points, [(x, y)], F.cross_entropy)
    torch.testing.assert_close(problem.measure(points, plan=Plan()).values["loss"], expected, **EXACT)
    torch.testing.assert_close(problem.measure(points).values["loss"], expected, **EXACT)
    torch.testing.assert_close(problem.loss(points).detach(), expected, **EXACT)

    def plain(m):
        return F.cross_entropy(m(x), y)

    theta = points[1]
    torch.testing.assert_close(problem.gradient(theta), naive.gradient(model, theta, plain), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "weight norm"])
def test_hessian_products_of_any_network_are_central_differences_of_its_plain_gradient(name):
    """Attention kernels without second derivatives included."""
    model, (x, y) = model_and_data(name)
    model, h = model.double().eval(), 1e-5
    problem = tw.ModuleProblem(model, naive.cut((x, y), [6, 5]), loss=F.cross_entropy)
    theta, v = naive.near(problem, 3, size=0.1)[1:]
    ahead, behind = (naive.gradient(model, theta + s * h * v, lambda m: F.cross_entropy(m(x), y)) for s in (1, -1))
    torch.testing.assert_close(problem.hvp(theta, v), (ahead - behind) / (2 * h), rtol=1e-4, atol=1e-7)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@pytest.mark.parametrize("norm", [parametrizations.weight_norm, nn.utils.weight_norm], ids=["parametrized", "hook"])
def test_weight_norm_has_no_hessian_products_and_says_so(norm):
    """Torch's own second derivatives of `_weight_norm` are wrong, which gradgradcheck finds."""
    model = nn.Sequential(norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 3)).double()
    if norm is nn.utils.weight_norm:
        del model[0].weight  # the derived weight has a graph, which nothing can copy
    problem = tw.ModuleProblem(model, naive.examples(11), loss=F.cross_entropy)
    with pytest.raises(ValueError, match="`0` has weight norm"):
        problem.hvp(problem.theta, problem.theta)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize(
    "name", ["transformer block", "grouped transposed convolution", "weight norm", "batch norm", "tied and frozen"]
)
def test_points_taken_together_are_the_points_one_by_one(name):
    model, data = model_and_data(name)
    problem = tw.ModuleProblem(model.double().eval(), data, loss=F.cross_entropy)
    points = naive.near(problem, 5, size=0.1)
    one = problem.measure(points, plan=Plan()).values["loss"]
    torch.testing.assert_close(problem.measure(points, plan=Plan(points_at_once=2)).values["loss"], one, **EXACT)


def test_tied_weights_appear_once_and_frozen_ones_and_buffers_not_at_all():
    model, data = model_and_data("tied and frozen")
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    assert [block.name for block in problem.layout.blocks] == ["embed.weight", "middle.weight", "middle.bias"]
    normed, data = model_and_data("batch norm")
    names = {block.name for block in tw.ModuleProblem(normed.double(), data, loss=F.cross_entropy).layout.blocks}
    assert not any("running" in name or "tracked" in name for name in names)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("n", [11, 300])
def test_sequences_may_come_with_time_first(n, batch_first):
    x, y = naive.examples(n, (5, 3))
    model = Recurrent(nn.LSTM, batch_first).double()
    problem = tw.ModuleProblem(model, [(x if batch_first else x.transpose(0, 1), y)], loss=F.cross_entropy)
    twin = Recurrent(nn.LSTM).double()
    twin.load_state_dict(model.state_dict())
    assert float(problem.loss(problem.theta)) == pytest.approx(F.cross_entropy(twin(x), y).item(), rel=1e-12)
    assert problem.num_examples == n


def test_a_half_precision_model_keeps_a_wide_theta_and_is_itself_at_its_own_weights():
    model, (x, y) = naive.mlp(dtype=torch.bfloat16), naive.examples()
    x = x.to(torch.bfloat16)
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy})
    assert problem.theta.dtype == torch.float32
    expected = F.cross_entropy(model(x).float(), y).item()
    for found in (problem.measure(problem.theta[None]).values["loss"], problem.loss(problem.theta)):
        assert float(found.detach()) == pytest.approx(expected, rel=1e-6)
    theta = problem.theta + 0.3
    expected = F.cross_entropy(naive.standing(model, theta)(x).float(), y).item()
    for plan, rounding in ((Plan(), 1e-6), (Plan(points_at_once=2), 1e-2)):
        assert float(problem.measure(theta[None], plan=plan).values["loss"]) == pytest.approx(expected, rel=rounding)
    plain = naive.gradient(model, theta, lambda m: F.cross_entropy(m(x).float(), y)).float()
    torch.testing.assert_close(problem.gradient(theta), plain, rtol=2e-2, atol=2e-3)


def test_a_model_of_mixed_dtypes_stands_where_it_is_put():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.narrow, self.wide = nn.Linear(4, 5).bfloat16(), nn.Linear(5, 3).double()

        def forward(self, x):
            return self.wide(self.narrow(x.bfloat16()).double())

    torch.manual_seed(0)
    model, data = Mixed(), naive.examples()
    problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    assert problem.theta.dtype == torch.float64
    points = naive.near(problem)
    expected = naive.surface(model, points, [data], F.cross_entropy)
    for plan in (Plan(), Plan(points_at_once=2)):
        torch.testing.assert_close(problem.measure(points, plan=plan).values["loss"], expected, rtol=1e-2, atol=0)
    torch.testing.assert_close(problem.measure(points, plan=Plan()).values["loss"], problem.loss(points).detach())


def test_a_model_that_cannot_be_copied_is_refused_with_what_to_do():
    model = naive.mlp()
    model.kept = model(torch.zeros(1, 4, dtype=torch.double))  # a tensor with a graph
    with pytest.raises(TypeError, match=r"deepcopy.*refuses"):
        tw.ModuleProblem(model, naive.examples(), loss=F.cross_entropy)


def test_an_embedding_that_renormalises_itself_leaves_theta_alone():
    """`max_norm` writes into the weight during the forward pass."""
    model = nn.Sequential(nn.Embedding(6, 3, max_norm=0.1), nn.Flatten(), nn.Linear(3, 2)).double()
    problem = tw.ModuleProblem(model, (torch.arange(12).reshape(12, 1) % 6, torch.arange(12) % 2), loss=F.cross_entropy)
    theta = problem.theta
    kept = theta.clone()
    problem.loss(theta)
    problem.measure(theta[None])
    assert torch.equal(theta, kept)


# --- the user's model ---


@pytest.mark.parametrize("batch_norm", ["running", "recalibrate"])
@pytest.mark.parametrize("training", [True, False])
def test_the_users_model_is_never_changed(batch_norm, training):
    """The traps: the model changed by a call; evaluation in train mode moves BatchNorm statistics while plotting."""
    model, (x, y) = model_and_data("batch norm")
    model = model.double().train(training)
    model[0].bias.requires_grad_(False)
    before, graph = copy.deepcopy(model.state_dict()), [p.requires_grad for p in model.parameters()]
    objects = [id(p) for p in model.parameters()]
    kept = x.clone()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    problem = tw.ModuleProblem(
        model,
        (x, y),
        loss=F.cross_entropy,
        metrics={"accuracy": tw.accuracy},
        test_data=(x[:4], y[:4]),
        batch_norm=batch_norm,
    )
    points = naive.near(problem)
    problem.measure(points)
    problem.measure(points, num_examples=4)
    problem.losses(points)
    problem.predict(points[0], x)
    problem.at(points[1]).measure(points)
    if batch_norm == "running":
        problem.gradient(points[1])
        problem.hvp(points[1], points[2])
        problem.loss(points[1].requires_grad_(True)).backward()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == graph
    assert [id(p) for p in model.parameters()] == objects
    assert all(p.grad is None for p in model.parameters())
    assert all(m.training is training for m in model.modules())
    assert model[1].momentum == 0.1
    assert torch.equal(x, kept)


def test_training_the_model_further_does_not_move_the_problem():
    model, (x, y) = naive.mlp(), naive.examples()
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy)
    theta, loss = problem.theta, problem.loss(problem.theta).detach()
    with torch.no_grad():
        for p in model.parameters():
            p += 1.0
    assert torch.equal(problem.theta, theta)
    assert torch.equal(problem.loss(theta).detach(), loss)


@pytest.mark.parametrize("setting", ["highest", "high", "medium"])
def test_the_users_matmul_precision_is_restored(setting):
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(setting)
        problem = tw.ModuleProblem(naive.mlp(), naive.examples(), loss=F.cross_entropy)
        problem.measure(problem.theta[None])
        assert torch.get_float32_matmul_precision() == setting
    finally:
        torch.set_float32_matmul_precision(before)


class Narrow(nn.Sequential):
    """Autocasts itself."""

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x)


@pytest.mark.parametrize("kind", ["bf16", "model"])
def test_autocast_remembers_no_weights_from_point_to_point(kind):
    """The trap: autocast keeps narrowed weights until its outermost context ends, and every point tells one loss."""
    torch.manual_seed(0)
    layers = nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)
    model = nn.Sequential(*layers) if kind == "bf16" else Narrow(*layers)
    x, y = naive.examples()
    problem = tw.ModuleProblem(model, (x.float(), y), loss=F.cross_entropy, precision=kind)
    points = naive.near(problem, 4)
    alone = torch.cat([problem.measure(point[None], plan=Plan()).values["loss"] for point in points])
    assert len(alone.unique()) == 4
    torch.testing.assert_close(problem.measure(points, plan=Plan()).values["loss"], alone, rtol=0, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(problem.measure(points, plan=Plan()).values["loss"], alone, rtol=0, atol=0)
    expected = naive.surface(nn.Sequential(*layers), points, [(x.float(), y)], F.cross_entropy)
    torch.testing.assert_close(alone, expected, rtol=2e-2, atol=0)


def test_an_autocast_around_the_call_changes_nothing():
    x, y = naive.examples()
    problem = tw.ModuleProblem(naive.mlp(dtype=torch.float32), (x.float(), y), loss=F.cross_entropy)
    plain = problem.loss(problem.theta), problem.gradient(problem.theta)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(problem.loss(problem.theta), plain[0])
        assert torch.equal(problem.gradient(problem.theta), plain[1])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.LazyLinear(3), ValueError, "lazy"),
        (lambda: torch.jit.trace(nn.Linear(4, 3), torch.zeros(2, 4)), TypeError, "jit"),
    ],
    ids=["lazy", "jit"],
)
def test_models_whose_weights_cannot_be_exchanged_are_refused_with_what_to_do(make, error, message):
    x, y = naive.examples()
    with pytest.raises(error, match=message):
        tw.ModuleProblem(make(), (x.float(), y), loss=F.cross_entropy)


# --- batch normalisation ---


def normed(training=False):
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 3)).double()
    model(3 * torch.randn(50, 4, dtype=torch.double) + 1)  # statistics of their own
    return model.train(training)


def test_running_statistics_are_used_whatever_the_mode():
    x, y = naive.examples()
    for training in (False, True):
        problem = tw.ModuleProblem(normed(training), (x, y), loss=F.cross_entropy)
        points = naive.near(problem)
        expected = naive.surface(normed(), points, [(x, y)], F.cross_entropy)
        for _ in range(2):
            torch.testing.assert_close(problem.measure(points).values["loss"], expected, **EXACT)
            torch.testing.assert_close(problem.loss(points).detach(), expected, **EXACT)


def test_running_statistics_are_never_perturbed_as_weights():
    """The trap: running_var perturbed to negative, 24 of 25 points NaN."""
    problem = tw.ModuleProblem(normed(), naive.examples(), loss=F.cross_entropy)
    assert [b.name for b in problem.layout.blocks] == ["0.weight", "0.bias", "1.weight", "1.bias", "3.weight", "3.bias"]
    points = problem.theta + 100 * torch.randn(25, problem.num_weights, dtype=torch.double)
    assert problem.measure(points).values["loss"].isfinite().all()


def test_buffers_are_kept_on_the_way():
    """The trap: BatchNorm buffers dropped on reparametrisation (test loss .279 -> 1.381)."""
    model, (x, y) = normed(), naive.examples()
    problem = tw.ModuleProblem(model, (x, y), loss=F.cross_entropy)
    expected = F.cross_entropy(model(x), y).item()
    assert float(problem.at(problem.theta).loss(problem.theta)) == pytest.approx(expected, rel=1e-12)


def recalibrated(theta, batches):
    """Statistics of the training data at `theta`: of each batch, weighted by its examples."""
    model = naive.standing(normed(), theta).eval()
    total = sum(len(y) for _, y in batches)
    layer = model[1]
    with torch.no_grad():
        hidden = [model[0](x) for x, _ in batches]
        layer.running_mean.copy_(sum(h.mean(0) * len(h) for h in hidden) / total)
        layer.running_var.copy_(sum(h.var(0) * len(h) for h in hidden) / total)
    return model


@pytest.mark.parametrize("memory", [0, None], ids=["streamed", "resident"])
def test_recalibration_is_an_explicit_recalibration_and_the_test_split_uses_training_statistics(memory):
    train, (x, y), test = naive.cut(naive.examples(), [9, 4, 10]), naive.examples(), naive.examples(8, seed=6)
    problem = tw.ModuleProblem(
        normed(), train, loss=F.cross_entropy, test_data=test, batch_norm="recalibrate", memory=memory
    )
    points = naive.near(problem)
    mixed = torch.from_numpy(np.random.default_rng(0).permutation(23)).split(10)
    seen = train if memory == 0 else [(x[rows], y[rows]) for rows in mixed]
    models = [recalibrated(theta, seen) for theta in points]
    expected = torch.stack([F.cross_entropy(m(x), y) for m in models]).detach()
    expected_test = torch.stack([F.cross_entropy(m(test[0]), test[1]) for m in models]).detach()
    for _ in range(2):
        found = problem.measure(points).values
        torch.testing.assert_close(found["loss"], expected, **EXACT)
        torch.testing.assert_close(found["test_loss"], expected_test, **EXACT)
        torch.testing.assert_close(problem.loss(points).detach(), expected, **EXACT)
        torch.testing.assert_close(problem.predict(points[1], x), models[1](x).detach(), **EXACT)


def test_per_example_losses_are_recalibrated_too():
    train = naive.cut(naive.examples(), [9, 4, 10])
    problem = tw.ModuleProblem(normed(), train, loss=F.cross_entropy, batch_norm="recalibrate")
    points = naive.near(problem)
    rows = problem.losses(points).detach()
    torch.testing.assert_close(rows.mean(1), problem.loss(points).detach(), **EXACT)


def test_points_are_not_taken_together_where_each_needs_its_own_statistics():
    """Under `vmap` the statistics would be those of one point: refused, or right."""
    problem = tw.ModuleProblem(normed(), naive.examples(), loss=F.cross_entropy, batch_norm="recalibrate")
    points = naive.near(problem)
    one = problem.measure(points, plan=Plan()).values["loss"]
    try:
        together = problem.measure(points, plan=Plan(points_at_once=3)).values["loss"]
    except ValueError:
        return
    torch.testing.assert_close(together, one, **EXACT)


def test_recalibrated_losses_have_no_gradient_and_say_so():
    problem = tw.ModuleProblem(normed(), naive.examples(), loss=F.cross_entropy, batch_norm="recalibrate")
    for ask in (problem.gradient, lambda t: problem.hvp(t, t), lambda t: problem.loss(t.requires_grad_(True))):
        with pytest.raises(ValueError, match="recalibrate"):
            ask(problem.theta)
    with torch.no_grad(), pytest.raises(ValueError, match="recalibrate"):
        problem.gradient(problem.theta)


@pytest.mark.parametrize("case", ["recalibrated", "tied", "instance norm"])
def test_the_identity_does_not_depend_on_where_the_problem_was_evaluated_last(case):
    """A store would take the problem for another, and refuse to resume."""
    if case == "recalibrated":
        problem = tw.ModuleProblem(normed(), naive.examples(), loss=F.cross_entropy, batch_norm="recalibrate")
    elif case == "tied":
        model, data = model_and_data("tied and frozen")
        problem = tw.ModuleProblem(model, data, loss=F.cross_entropy)
    else:
        layers = nn.InstanceNorm2d(3, track_running_stats=True), nn.Flatten(), nn.Linear(48, 3)
        model = nn.Sequential(nn.Conv2d(2, 3, 3), *layers).double()
        problem = tw.ModuleProblem(model, naive.examples(9, (2, 6, 6)), loss=F.cross_entropy)
    before = problem.identity()
    problem.measure(naive.near(problem))
    assert problem.identity() == before


class Twice(nn.Module):
    """One layer of normalisation, called twice."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.norm = nn.Linear(4, 5), nn.Linear(5, 5), nn.BatchNorm1d(5)

    def forward(self, x):
        return self.norm(5 * self.second(self.norm(self.first(x)).relu()) + 3)


def statistics(problem):
    problem.loss(problem.theta)
    return {n: b.clone() for n, b in problem._network.head.model.named_buffers() if "running" in n}


def recalibrating(model, data, **settings):
    loss = settings.pop("loss", F.cross_entropy)
    return tw.ModuleProblem(model.double().eval(), data, loss=loss, batch_norm="recalibrate", **settings)


def test_a_layer_that_is_called_twice_has_the_mean_over_its_calls_as_torch_computes_it():
    x, y = naive.examples(24)
    batches = naive.cut((x, y), [8, 8, 8])
    found = statistics(recalibrating(Twice(), batches, memory=0))  # as they come
    model = Twice().double()
    torch.optim.swa_utils.update_bn(batches, model)
    for name, value in found.items():
        torch.testing.assert_close(value, model.get_buffer(name), **EXACT)


def test_running_statistics_of_instance_normalisation_are_recalibrated_too():
    x, y = naive.examples(9, (2, 6, 6))
    norm = nn.InstanceNorm2d(3, track_running_stats=True)
    norm.running_mean.fill_(7.0)
    torch.manual_seed(0)
    problem = recalibrating(nn.Sequential(nn.Conv2d(2, 3, 3), norm, nn.Flatten(), nn.Linear(48, 3)), (x, y))
    found = statistics(problem)
    with torch.no_grad():
        hidden = problem._network.head.model[0](x)
    torch.testing.assert_close(found["1.running_mean"], hidden.mean((0, 2, 3)), **EXACT)
    torch.testing.assert_close(found["1.running_var"], hidden.var((2, 3)).mean(0), **EXACT)
    assert problem.provenance()["batch_norm"] == "recalibrate"


def test_statistics_do_not_depend_on_the_order_in_which_the_data_are_stored():
    """Batches of a single class have variances that belong to that class."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(3).repeat_interleave(100)
    x = 4.0 * nn.functional.one_hot(y, 4) + torch.randn(300, 4, generator=generator, dtype=torch.double)
    anyhow = torch.randperm(300, generator=generator)
    problem = recalibrating(normed(), (x, y), batch_size=100)
    found = statistics(problem)["1.running_var"]
    with torch.no_grad():
        hidden = problem._network.head.model[0](x)
    torch.testing.assert_close(found, hidden.var(0), rtol=0.1, atol=0)
    other = statistics(recalibrating(normed(), (x[anyhow], y[anyhow]), batch_size=100))["1.running_var"]
    torch.testing.assert_close(found, other, rtol=0.1, atol=0)
    assert bool((hidden.view(3, 100, 5).var(1).mean(0) < 0.6 * found).any())  # as they are stored


@pytest.mark.parametrize("batch_size", [8, 1])
def test_a_last_single_example_joins_the_batch_before(batch_size):
    x, y = naive.examples(17)
    assert all(v.isfinite().all() for v in statistics(recalibrating(normed(), (x, y), batch_size=batch_size)).values())
    streamed = naive.cut((x, y), [8, 8, 1])
    with pytest.raises(ValueError, match=r"single example.*drop_last"):
        statistics(recalibrating(normed(), streamed, memory=0))
