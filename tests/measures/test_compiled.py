"""Compiled descents against the plain ones, step by step; what cannot be compiled says why and runs all the same."""

import numpy as np
import pytest
import torch

import thalweg as tw
from thalweg.measures import compiled

pytestmark = pytest.mark.slow

OPTIMIZERS = {
    "sgd": lambda w: torch.optim.SGD(w, lr=0.05),
    "momentum": lambda w: torch.optim.SGD(w, lr=0.02, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "nesterov": lambda w: torch.optim.SGD(w, lr=0.02, momentum=0.9, nesterov=True),
    "uphill": lambda w: torch.optim.SGD(w, lr=0.001, maximize=True),
    "adam": lambda w: torch.optim.Adam(w, lr=0.05),
    "amsgrad": lambda w: torch.optim.AdamW(w, lr=0.05, amsgrad=True),
    "rmsprop": lambda w: torch.optim.RMSprop(w, lr=0.01, momentum=0.5, centered=True),
}
LANDSCAPES = {
    "product": lambda x, y: (1 - x * y) ** 2,
    "waves": lambda x, y: torch.sin(2 * x) * torch.exp(-(y**2)) + 0.1 * (x**2 + y**2),
    "kinks": lambda x, y: torch.relu(x) + (x - y).abs() + torch.where(y > 0, y**2, -y),
    "logistic": lambda x, y: torch.log1p(torch.exp(-x)) + torch.sigmoid(y) ** 3 + torch.tanh(x * y) / 2,
    "one weight of two": lambda x, y: x**2 + 0 * y,
}
BLANK = torch.tensor(0.5)
LINES = torch.tensor([[1.0, 2.0], [0.5, -1.0], [2.0, 0.3]], dtype=torch.float64)


def pair(function, optimizer, steps=60, starts=None, **options):
    """The plain descent and the compiled one."""
    problem = function if isinstance(function, tw.Problem) else tw.FunctionProblem(function)
    if starts is None:
        starts = tw.random_starts(9, problem.num_weights, seed=1)
    return [tw.descend(problem, starts, optimizer, steps, compile=c, **options) for c in (False, True)]


def assert_equal_to_rounding(plain, fast, rtol=1e-12):
    assert "not_compiled" not in fast.attrs
    assert fast.attrs["compile_seconds"] >= 0
    assert set(fast) == set(plain)
    for name in plain:
        np.testing.assert_allclose(fast[name], plain[name], rtol=rtol, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("function", LANDSCAPES.values(), ids=LANDSCAPES)
def test_a_compiled_descent_is_the_plain_one_to_rounding(function, optimizer):
    assert_equal_to_rounding(*pair(function, optimizer), rtol=1e-9 if function is LANDSCAPES["kinks"] else 1e-11)


def test_many_steps_of_a_smooth_descent_stay_equal():
    assert_equal_to_rounding(*pair(LANDSCAPES["product"], OPTIMIZERS["sgd"], steps=2000))


@pytest.mark.parametrize("every", [1, 7, 60, 100])
def test_the_same_iterates_are_kept(every):
    plain, fast = pair(LANDSCAPES["waves"], OPTIMIZERS["adam"], steps=100, every=every)
    np.testing.assert_array_equal(fast.step, plain.step)
    assert_equal_to_rounding(plain, fast)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_short_descents_are_whole(steps):
    assert_equal_to_rounding(*pair(LANDSCAPES["waves"], OPTIMIZERS["momentum"], steps=steps))


def test_learning_rates_follow_the_scheduler():
    def halved(optimizer):
        return torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)

    plain, fast = pair(LANDSCAPES["product"], OPTIMIZERS["adam"], scheduler=halved)
    assert_equal_to_rounding(plain, fast)
    np.testing.assert_array_equal(fast.learning_rate, 0.05 * 0.5 ** (np.arange(61) // 10))


def test_starts_that_diverge_do_so_compiled_and_leave_the_others_alone():
    starts = [[0.5, 0.5], [50.0, 40.0], [-1.0, 0.3], [1e200, 1e200]]
    plain, fast = pair(LANDSCAPES["product"], OPTIMIZERS["sgd"], starts=starts)
    assert np.isfinite(plain.loss[[0, 2]]).all()
    assert not np.isfinite(plain.loss[[1, 3], -1]).any()
    with np.errstate(all="ignore"):
        assert_equal_to_rounding(plain, fast)


def test_a_function_of_the_whole_vector_with_tensors_of_its_own_is_compiled():
    def function(theta):
        return ((theta.unsqueeze(-2) * LINES).sum(-1) - 1).square().mean(-1)

    assert_equal_to_rounding(*pair(tw.FunctionProblem(function, num_weights=2), OPTIMIZERS["adam"]))


@pytest.mark.parametrize("name", ["multiply-by-one", "rosenbrock", "ackley", "himmelblau"])
def test_known_landscapes_are_compiled(name):
    problem = tw.landscapes.landscape(name).problem()
    assert_equal_to_rounding(*pair(problem, lambda w: torch.optim.SGD(w, lr=1e-4)), rtol=1e-10)


def test_numbers_of_single_precision_in_the_function_are_compiled():
    assert_equal_to_rounding(*pair(lambda x, y: BLANK * x**2 + y**2, OPTIMIZERS["sgd"]))


class Lazy(torch.optim.SGD):
    """Remembers outside of `state` how many steps it made, and stops after ten."""

    count = 0

    def step(self, closure=None):
        self.count += 1
        return super().step(closure) if self.count <= 10 else None


def hooked(weights):
    optimizer = torch.optim.SGD(weights, lr=0.1)
    optimizer.register_step_post_hook(lambda *_: None)
    return optimizer


REASONS = {
    "of torch.optim": (lambda x, y: x**2 + y**2, {"optimizer": lambda w: Lazy(w, lr=0.1)}),
    "has been changed": (lambda x, y: x**2 + y**2, {"optimizer": hooked}),
    "values of tensors": (lambda x, y: x**2 + y**2, {"optimizer": lambda w: torch.optim.RAdam(w, lr=0.01)}),
    "by itself": (lambda x, y: x**2 + y**2, {"optimizer": torch.optim.LBFGS}),
    "single precision": (lambda x, y: x**2 + y**2, {"optimizer": torch.optim.NAdam}),
    "no counterpart": (lambda x, y: torch.special.bessel_j0(x).detach() + x * y, {}),
    "step by step": (lambda x, y: x**2 + y**2, {"noise": 0.1}),
    "more than the learning rate": (
        lambda x, y: x**2 + y**2,
        {"scheduler": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=0.1, total_steps=100)},
    ),
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_cannot_be_compiled_says_why_and_is_the_plain_descent(reason):
    function, options = REASONS[reason]
    optimizer = options.get("optimizer", OPTIMIZERS["momentum"])
    plain, fast = pair(function, optimizer, steps=20, **{k: v for k, v in options.items() if k != "optimizer"})
    assert reason in fast.attrs["not_compiled"]
    assert fast.drop_attrs().identical(plain.drop_attrs())


def test_only_written_functions_in_double_precision_are_compiled():
    single = tw.FunctionProblem(LANDSCAPES["product"], dtype=torch.float32)
    network = tw.landscapes.perceptron_problem(seed=0)
    assert "float64" in pair(single, OPTIMIZERS["sgd"])[1].attrs["not_compiled"]
    assert "FunctionProblem" in pair(network, OPTIMIZERS["sgd"])[1].attrs["not_compiled"]


def test_without_a_compiler_the_descent_is_plain(monkeypatch):
    monkeypatch.setattr(compiled.shutil, "which", lambda _: None)
    plain, fast = pair(lambda x, y: (x - 0.123) ** 2 + y**4, OPTIMIZERS["sgd"])
    assert "compiler" in fast.attrs["not_compiled"]
    assert fast.drop_attrs().identical(plain.drop_attrs())


def test_a_function_that_has_changed_since_it_was_compiled_is_compiled_anew():
    scale = [1.0]
    problem = tw.FunctionProblem(lambda x, y: scale[0] * (x**2 + y**2))
    assert_equal_to_rounding(*pair(problem, OPTIMIZERS["sgd"]))
    scale[0] = 1.5
    assert_equal_to_rounding(*pair(problem, OPTIMIZERS["sgd"]))


def test_compiling_is_done_once_for_a_problem_and_an_optimizer(monkeypatch):
    problem = tw.FunctionProblem(lambda x, y: x**4 + torch.cos(y))
    assert_equal_to_rounding(*pair(problem, OPTIMIZERS["adam"]))
    monkeypatch.setattr(compiled.subprocess, "run", lambda *_, **__: pytest.fail("compiled again"))
    assert_equal_to_rounding(*pair(problem, OPTIMIZERS["adam"], steps=33))


SETTINGS = 1.0


def test_what_a_function_refers_to_is_looked_up_at_every_descent(monkeypatch):
    """Numbers in closures and globals, numbers in tensors changed in place: never the code of an earlier value."""
    outer, weights = 1.0, torch.tensor([1.0, 2.0], dtype=torch.float64)

    def loss(x, y):
        return outer * x**2 + SETTINGS * y**2 + weights[0] * (x - y) ** 2

    problem, seen = tw.FunctionProblem(loss), []

    def both():
        plain, fast = pair(problem, OPTIMIZERS["sgd"])
        assert_equal_to_rounding(plain, fast)
        seen.append(float(plain.loss[0, 5]))

    both()
    outer = 2.0
    both()
    monkeypatch.setitem(globals(), "SETTINGS", 3.0)
    both()
    weights[0] = 0.1
    both()
    assert len(set(seen)) == 4


def test_a_compiled_loss_that_is_wrong_only_later_is_noticed():
    """Within 1e-9 of each other where it begins, however small the numbers are; far apart where it ends."""
    for scale in (1.0, 1e-12):
        plain, fast = pair(lambda x, y, s=scale: s * torch.round(1e4 * x**2 + y**2, decimals=1), OPTIMIZERS["adam"])
        np.testing.assert_array_equal(plain.theta, fast.theta)
        assert "decimals" in fast.attrs["not_compiled"]


@pytest.mark.parametrize("broken", ["missing", "no compiler after all", "fails"])
def test_where_code_cannot_be_built_the_descent_is_plain(broken, monkeypatch, tmp_path):
    fake = tmp_path / "cc"
    fake.write_text("#!/bin/sh\nexit 0\n" if broken == "no compiler after all" else "#!/bin/sh\necho no >&2\nexit 1\n")
    fake.chmod(0o755)
    if broken == "missing":
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    else:
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    plain, fast = pair(lambda x, y: x**2 + 0.123 * y**4 + len(broken), OPTIMIZERS["sgd"])
    assert fast.attrs["not_compiled"]
    np.testing.assert_array_equal(plain.theta, fast.theta)
