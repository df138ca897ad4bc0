"""Computational graphs, against autograd's own nodes and gradients."""

import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import thalweg as tw

PAIR = {"a": 2.0, "b": 3.0}


def walked(result):
    """Autograd's nodes behind a tensor, and how many edges there are between them: an independent walk."""
    seen, edges, waiting = {result.grad_fn}, 0, [result.grad_fn]
    while waiting:
        for before, _ in waiting.pop().next_functions:
            if before is None:
                continue
            edges += 1
            if before not in seen:
                seen.add(before)
                waiting.append(before)
    return [node.name().rpartition("::")[2] for node in seen], edges


def operations(ds):
    role = ds.role.attrs["names"].index("operation")
    return ds.operation.values[ds.role.values == role].tolist()


def words(ds):
    """Each operation's name with the names of what it reads, in the order of its arguments."""
    names, found = ds.node.values.tolist(), {}
    for tail, head, place in sorted(zip(ds["tail"].values, ds["head"].values, ds.argument.values, strict=True)):
        found.setdefault(names[head], []).append((int(place), names[tail]))
    return {head: [name for _, name in sorted(read)] for head, read in found.items()}


def derived(function, **values):
    leaves = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in values.items()}
    result = function(**leaves)
    got = torch.autograd.grad(result, list(leaves.values()), allow_unused=True) if result.requires_grad else ()
    gradients = {k: 0.0 if g is None else g.item() for k, g in zip(leaves, got, strict=True)}
    return result, gradients


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda a, b: (a + b) * (b + 1), {"add": ["a", "b"], "add_1": ["b"], "mul": ["add", "add_1"]}),
        (
            lambda a, b: torch.mul(torch.add(a, b), torch.add(b, torch.tensor(1.0))),
            {"add": ["a", "b"], "add_1": ["b", "constant"], "mul": ["add", "add_1"]},
        ),
        (
            lambda a, b: a * b + b * b + a + b,
            {
                "mul": ["a", "b"],
                "mul_1": ["b", "b"],
                "add": ["mul", "mul_1"],
                "add_1": ["add", "a"],
                "add_2": ["add_1", "b"],
            },
        ),
    ],
    ids=["operators", "functions", "expanded"],
)
def test_the_three_ways_to_write_one_expression(function, expected):
    ds = tw.computational_graph(function, **PAIR)
    result, gradients = derived(function, **PAIR)
    assert words(ds) == expected
    nodes, edges = walked(result)
    assert Counter(ds.backward_operation.values.tolist()) == Counter(nodes)
    assert ds.sizes["backward_edge"] == edges
    assert ds.sizes["edge"] == edges + ("constant" in ds.node.values)
    assert ds.value.values[-1] == result.item() == 20.0
    for name, gradient in gradients.items():
        assert float(ds.gradient.sel(node=name)) == pytest.approx(gradient)
        assert math.fsum(p.gradient for p in tw.path_gradients(ds, name)) == pytest.approx(gradient)


UNARY = [torch.sin, torch.tanh, torch.exp, torch.relu, torch.neg, lambda v: v**3, lambda v: v * 0.5 + 1]
BINARY = [torch.add, torch.mul, torch.sub, torch.atan2, torch.maximum]


@st.composite
def expressions(draw):
    """A function of `a`, `b`, `c`: each step reads earlier values, some more than once."""
    steps = []
    for k in range(draw(st.integers(1, 9))):
        reads = draw(st.lists(st.integers(0, k + 2), min_size=1, max_size=2))
        reads[0] = k + 2 if draw(st.booleans()) else reads[0]
        steps.append((draw(st.sampled_from(UNARY if len(reads) == 1 else BINARY)), reads))

    def function(a, b, c):
        values = [a, b, c]
        for operation, reads in steps:
            values.append(operation(*(values[k] for k in reads)))
        return values[-1]

    return function


numbers = st.floats(-2.0, 2.0).filter(lambda v: abs(v) > 1e-3)


@given(expressions(), numbers, numbers, numbers)
def test_sums_over_paths_are_the_gradient(function, a, b, c):
    values = {"a": a, "b": b, "c": c}
    result, gradients = derived(function, **values)
    ds = tw.computational_graph(function, **values)
    nodes, edges = walked(result)
    assert (ds.sizes["backward_node"], ds.sizes["backward_edge"]) == (len(nodes), edges)
    if not np.isfinite(ds.local_derivative.values).all():
        return
    for name, gradient in gradients.items():
        ways = tw.path_gradients(ds, name)
        size = math.fsum(abs(p.gradient) for p in ways)
        assert math.fsum(p.gradient for p in ways) == pytest.approx(gradient, abs=1e-9 * max(size, 1))
        assert all(p.gradient == pytest.approx(math.prod(p.derivatives)) for p in ways)


@given(expressions(), numbers, numbers, numbers)
def test_what_autograd_remembers_has_the_same_gradients(function, a, b, c):
    leaves = {
        k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in zip("abc", (a, b, c), strict=True)
    }
    result = function(**leaves)
    used = {id(n.variable) for n in _all_nodes(result.grad_fn) if hasattr(n, "variable")}
    leaves = {k: v for k, v in leaves.items() if id(v) in used}
    ds = tw.graph_of(result, **leaves)
    got = torch.autograd.grad(result, list(leaves.values()))
    for name, gradient in zip(leaves, got, strict=True):
        assert float(ds.gradient.sel(node=name)) == pytest.approx(float(gradient), nan_ok=True)
        if np.isfinite(ds.local_derivative.values).all():
            ways = tw.path_gradients(ds, name)
            size = math.fsum(abs(p.gradient) for p in ways)
            assert math.fsum(p.gradient for p in ways) == pytest.approx(float(gradient), abs=1e-9 * max(size, 1))
    assert all(v.grad is None for v in leaves.values())


def _all_nodes(start):
    seen, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(n for n, _ in node.next_functions)
    return seen


def test_a_value_that_the_result_does_not_need_is_left_out():
    def function(a, b):
        (a * b).sin()
        return a + 0 * b

    ds = tw.computational_graph(function, **PAIR)
    assert operations(ds) == ["mul", "add"]
    assert ds.attrs["num_unused"] == 2
    assert tw.path_gradients(tw.computational_graph(lambda a, b: a * 2, **PAIR), "b") == []


def test_in_place_operations_and_views_are_followed():
    def function(x):
        y = x * 2
        y[0].mul_(3)
        return y.sum()

    ds = tw.computational_graph(function, torch.ones(2))
    x = torch.ones(2, requires_grad=True)
    (expected,) = torch.autograd.grad(function(x), x)
    assert float(ds.gradient_norm.sel(node="x")) == pytest.approx(float(expected.norm()))
    assert words(ds)["sum"] == ["mul_"]


def test_the_mlp_has_its_operations_parameters_and_shapes():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
    ds = tw.computational_graph(model, torch.randn(5, 8))
    assert ds.attrs["engine"] == "export"
    assert words(ds) == {
        "linear": ["input", "0.weight", "0.bias"],
        "tanh": ["linear"],
        "linear_1": ["tanh", "2.weight", "2.bias"],
    }
    assert ds.attrs["num_parameters"] == sum(p.numel() for p in model.parameters()) == 161
    by_name = dict(zip(ds.node.values, ds.parameters.values.tolist(), strict=True))
    assert [by_name[n] for n in ("linear", "tanh", "linear_1")] == [144, 0, 17]
    assert [json.loads(s) for s in ds["shape"].sel(node=["linear", "tanh", "linear_1"]).values] == [
        [5, 16],
        [5, 16],
        [5, 1],
    ]
    assert ds.path.values.tolist() == ["0", "1", "2"]
    assert ds.type.values.tolist() == ["Linear", "Tanh", "Linear"]
    assert ds.module_parameters.values.tolist() == [144, 0, 17]


def test_regression_is_addmm_and_a_mean_square():
    torch.manual_seed(0)
    model, x, y = nn.Linear(3, 1), torch.randn(4, 3), torch.randn(4, 1)
    ds = tw.computational_graph(lambda x, y: nn.functional.mse_loss(model(x), y), x, y)
    assert operations(ds) == ["t", "addmm", "mse_loss"]
    assert words(ds)["addmm"] == ["bias", "x", "t"] or words(ds)["addmm"] == ["Linear.bias", "x", "t"]
    loss = nn.functional.mse_loss(model(x), y)
    loss.backward()
    weight = next(n for n in ds.node.values if n.endswith("weight"))
    assert float(ds.gradient_norm.sel(node=weight)) == pytest.approx(float(model.weight.grad.norm()))
    assert float(ds.value[-1]) == pytest.approx(loss.item())
    # The residuals' derivative is 2 (prediction - y) / n, at the node that gives the prediction.
    expected = 2 * (model(x) - y).norm().item() / 4
    assert float(ds.gradient_norm.sel(node="addmm")) == pytest.approx(expected)


def test_tensors_kept_for_the_backward_pass():
    ds = tw.computational_graph(lambda a, b: (a * b).exp().sum(), torch.ones(3), torch.ones(3))
    kept = dict(zip(ds.backward_operation.values, map(json.loads, ds.saved.values), strict=True))
    assert {entry[3] for entry in kept["MulBackward0"]} == {"a", "b"}
    assert [entry[3] for entry in kept["ExpBackward0"]] == ["exp"]
    size = dict(zip(ds.backward_operation.values, ds.saved_bytes.values.tolist(), strict=True))
    assert (size["MulBackward0"], size["ExpBackward0"], size["SumBackward0"]) == (24, 12, 0)


class Thrice(nn.Module):
    """One layer, three times."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        for _ in range(3):
            x = self.layer(x).tanh()
        return x


@pytest.mark.parametrize("engine", ["export", "run"])
def test_a_module_called_three_times_is_three_calls(engine):
    ds = tw.computational_graph(Thrice(), torch.randn(2, 4), engine=engine)
    assert ds.path.values.tolist() == ["layer"] * 3
    assert ds.call.values.tolist() == [1, 2, 3]
    per_call = [[n for n, c in zip(ds.operation.values, ds.module.values, strict=True) if c == k] for k in range(3)]
    assert len({tuple(n) for n in per_call}) == 1
    assert any(n in ("linear", "addmm") for n in per_call[0])
    assert sum(n.endswith("weight") for n in ds.node.values) == 1
    assert ds.attrs["num_parameters"] == 20
    shared = ds.module.sel(node=[n for n in ds.node.values if n.startswith("layer.")])
    assert (shared == -1).all()


class Block(nn.Module):
    """Convolution, norm, and what came in."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU()

    def forward(self, x):
        return self.act(self.norm(self.conv(x)) + x)


ENGINES_AGREE = {
    "mlp": lambda: (nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), torch.randn(3, 4)),
    "thrice": lambda: (Thrice(), torch.randn(2, 4)),
    "block": lambda: (Block(), torch.randn(2, 3, 5, 5)),
    "norm": lambda: (nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 6)), torch.randn(3, 6)),
}


@pytest.mark.parametrize("make", ENGINES_AGREE.values(), ids=ENGINES_AGREE)
def test_both_engines_agree(make):
    torch.manual_seed(0)
    model, x = make()
    x.requires_grad_()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    one, other = (tw.computational_graph(Summed(model), x, engine=engine) for engine in ("export", "run"))
    assert one.attrs["engine"] == "export"
    assert other.attrs["engine"] == "run"
    assert Counter(one.backward_operation.values.tolist()) == Counter(other.backward_operation.values.tolist())
    assert one.sizes["backward_edge"] == other.sizes["backward_edge"]
    assert one.saved_bytes.sum() == other.saved_bytes.sum()
    assert one.attrs["num_parameters"] == other.attrs["num_parameters"]
    assert list(zip(one.path.values, one.type.values, one.call.values, strict=True)) == list(
        zip(other.path.values, other.type.values, other.call.values, strict=True)
    )
    leaves = {n: float(g) for n, g in zip(one.node.values, one.gradient_norm.values, strict=True) if "." in n}
    for name, norm in leaves.items():
        assert float(other.gradient_norm.sel(node=name)) == pytest.approx(norm, rel=1e-4, nan_ok=True)
    for k, v in model.state_dict().items():
        assert torch.equal(v, before[k]), f"{k} was changed"
    assert all(p.grad is None for p in model.parameters())


class Summed(nn.Module):
    """A loss of a model's output, so that there is a gradient."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x).square().sum()


def test_what_export_cannot_take_is_run():
    class Branch(nn.Module):
        def forward(self, x):
            return x.sin() if x.sum() > 0 else x.cos()

    ds = tw.computational_graph(Branch(), torch.ones(3))
    assert ds.attrs["engine"] == "run"
    assert "torch.export" in ds.attrs["engine_reason"]
    assert operations(ds) == ["sin"]
    with pytest.raises(ValueError, match='engine="run"'):
        tw.computational_graph(Branch(), torch.ones(3), engine="export")


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 2 * x * gradient


def test_a_custom_function_is_one_operation():
    ds = tw.computational_graph(lambda x: Square.apply(x) + x, x=3.0)
    assert operations(ds) == ["Square", "add"]
    assert ds.local_derivative.values.tolist() == [6.0, 1.0, 1.0]
    assert float(ds.gradient.sel(node="x")) == 7.0
    x = torch.tensor(3.0, requires_grad=True)
    assert tw.graph_of(Square.apply(x) + x, x=x).operation.values.tolist() == ["input", "Square", "add"]


@pytest.mark.parametrize("case", ["expression", "network"])
def test_it_survives_a_study(tmp_path, case):
    ds = (
        tw.computational_graph(lambda a, b: (a + b) * (b + 1), **PAIR)
        if case == "expression"
        else tw.computational_graph(Thrice(), torch.randn(2, 4))
    )
    tw.save(ds, tmp_path / "study.zarr", "graph")
    again = tw.load(tmp_path / "study.zarr", "graph")
    for name, variable in ds.variables.items():
        assert variable.dims == again[name].dims
        if variable.dtype.kind == "f":
            np.testing.assert_array_equal(variable.values, again[name].values)
        else:
            assert variable.values.tolist() == again[name].values.tolist()
    assert tw.figures.graph(again).to_svg() == tw.figures.graph(ds).to_svg()
    if case == "expression":
        assert tw.path_gradients(again, "b") == tw.path_gradients(ds, "b")


def test_problem_graphs_end_in_the_loss():
    torch.manual_seed(0)
    model, x, y = nn.Linear(3, 2), torch.randn(20, 3), torch.randint(2, (20,))
    problem = tw.ModuleProblem(model, (x, y), loss=nn.functional.cross_entropy)
    ds = tw.computational_graph(problem)
    assert any("cross_entropy" in name or "nll_loss" in name for name in operations(ds))
    assert float(ds.value[-1]) == pytest.approx(nn.functional.cross_entropy(model(x[:8]), y[:8]).item(), rel=1e-5)
    with pytest.raises(TypeError, match="brings its own examples"):
        tw.computational_graph(problem, x)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: tw.computational_graph(lambda a: 3, a=1.0), ValueError, "returned 3"),
        (lambda: tw.computational_graph(torch.ones(2)), TypeError, "graph_of"),
        (lambda: tw.computational_graph(torch.sin, 1.0, engine="draw"), ValueError, "export, run"),
        (lambda: tw.computational_graph(torch.sin, 1.0, engine="export"), ValueError, "modules only"),
        (lambda: tw.graph_of(torch.ones(2)), ValueError, "no graph behind"),
        (lambda: tw.graph_of(2.0), TypeError, "float"),
        (lambda: tw.path_gradients(None, "a"), ValueError, "no graph"),
    ],
)
def test_refusals(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_refusals_of_paths_and_of_freed_graphs():
    ds = tw.computational_graph(lambda a, b: a * b, **PAIR)
    with pytest.raises(KeyError, match="no node 'c'"):
        tw.path_gradients(ds, "c")
    with pytest.raises(ValueError, match="single numbers"):
        tw.path_gradients(tw.computational_graph(torch.sum, torch.ones(3)), "input")

    def doubled(a):
        for _ in range(20):
            a = a + a
        return a

    many = tw.computational_graph(doubled, a=1.0)
    assert float(many.gradient.sel(node="a")) == 2.0**20
    with pytest.raises(ValueError, match="1,048,576 paths"):
        tw.path_gradients(many, "a")
    x = torch.ones(2, requires_grad=True)
    result = x.sin().sum()
    with pytest.raises(ValueError, match="result was not computed from it"):
        tw.graph_of(result, x=x, y=torch.ones(1, requires_grad=True))
    result.backward()
    with pytest.raises(ValueError, match="freed"):
        tw.graph_of(result, x=x)
