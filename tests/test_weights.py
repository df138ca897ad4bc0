"""A network's weights as one vector: nothing lost, nothing twice, nothing copied that need not be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

from thalweg.weights import Layout

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
shapes = st.lists(st.integers(1, 4), max_size=4).map(tuple)


class Bag(nn.Module):
    """Parameters of any shapes and dtypes; some frozen."""

    def __init__(self, kinds, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        for k, (shape, dtype, trained) in enumerate(kinds):
            values = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
            self.register_parameter(f"p{k}", nn.Parameter(values, requires_grad=trained))


bags = st.builds(
    Bag, st.lists(st.tuples(shapes, st.sampled_from(DTYPES), st.booleans()), min_size=1, max_size=6), st.integers(0, 99)
).filter(lambda bag: any(p.requires_grad for p in bag.parameters()))


@given(bags)
def test_there_and_back_is_the_identity_to_the_bit(module):
    """Half-precision parameters are widened exactly, and narrowed when they are put back."""
    layout = Layout.of(module)
    theta = layout.parameters(module)
    trained = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    assert theta.shape == (layout.num_weights,) == (sum(p.numel() for p in trained.values()),)
    assert theta.dtype in (torch.float32, torch.float64)
    back = layout.unflatten(theta)
    assert list(back) == list(trained)
    for name, p in trained.items():
        assert back[name].dtype == p.dtype
        assert torch.equal(back[name], p)
    assert torch.equal(layout.flatten(back), theta)


@given(bags, st.integers(1, 3))
def test_many_vectors_at_once_are_each_by_itself(module, count):
    layout = Layout.of(module)
    thetas = torch.randn(2, count, layout.num_weights).to(layout.dtype)
    together = layout.unflatten(thetas)
    assert torch.equal(layout.flatten(together), torch.stack([layout.flatten(layout.unflatten(t)) for t in thetas]))
    for name, tensor in layout.unflatten(thetas[1, 0]).items():
        assert torch.equal(together[name][1, 0], tensor)


@given(bags)
def test_blocks_lie_end_to_end(module):
    blocks = Layout.of(module).blocks
    assert [b.slice.start for b in blocks] == [sum(b.size for b in blocks[:k]) for k in range(len(blocks))]


def test_unflattening_copies_nothing():
    layout = Layout.of(nn.Sequential(nn.Linear(3, 4), nn.Conv1d(2, 3, 2)))
    theta = torch.randn(5, layout.num_weights)
    for tensor in layout.unflatten(theta).values():
        assert tensor.untyped_storage().data_ptr() == theta.untyped_storage().data_ptr()
    layout.unflatten(theta[0])["0.bias"].zero_()
    assert not theta[0, 12:16].any()


def test_the_vector_of_a_model_aliases_nothing():
    """The trap: a centre that drifts with the live weights."""
    model = nn.Linear(3, 2, bias=False)
    theta = Layout.of(model).parameters(model)
    kept = theta.clone()
    with torch.no_grad():
        model.weight += 1
    assert torch.equal(theta, kept)
    theta += 5
    assert torch.equal(model.weight, kept.view(2, 3) + 1)


def test_tied_parameters_appear_once_frozen_ones_and_buffers_never():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3).requires_grad_(False))
    model[1].weight = model[0].weight
    assert [b.name for b in Layout.of(model).blocks] == ["0.weight", "0.bias", "1.bias", "2.weight", "2.bias"]


def test_a_vector_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match=r"7 entries.*8"):
        Layout.of(nn.Linear(3, 2)).unflatten(torch.zeros(7))


@pytest.mark.parametrize(
    ("dtypes", "wide"),
    [
        ((torch.bfloat16,), torch.float32),
        ((torch.float16, torch.bfloat16), torch.float32),
        ((torch.bfloat16, torch.float64), torch.float64),
        ((torch.float32,), torch.float32),
    ],
)
def test_theta_is_as_wide_as_the_widest_and_at_least_single(dtypes, wide):
    assert Layout.of(Bag([((2,), dtype, True) for dtype in dtypes], 0)).dtype == wide


def test_a_small_step_from_a_half_precision_weight_is_not_rounded_off():
    model = nn.Linear(1, 1, bias=False).bfloat16()
    nn.init.ones_(model.weight)
    theta = Layout.of(model).parameters(model)
    assert float(theta + 1e-4 - theta) > 0


# --- filters: the weights that feed one output ---


def conv_transpose_filters(weight, groups):
    """`(in, out / groups, k, k)`: output channel (g, o) reads the inputs of its group."""
    per_group = weight.shape[0] // groups
    return [weight[g * per_group : (g + 1) * per_group, o] for g in range(groups) for o in range(weight.shape[1])]


@pytest.mark.parametrize(
    ("layer", "filters"),
    [
        (nn.Linear(3, 4), list),
        (nn.Conv2d(2, 5, 3), list),
        (nn.Conv1d(4, 6, 3, groups=2), list),
        (nn.ConvTranspose2d(4, 3, 2), lambda w: conv_transpose_filters(w, 1)),
        (nn.ConvTranspose1d(4, 6, 3, groups=2), lambda w: conv_transpose_filters(w, 2)),
        (nn.ConvTranspose3d(6, 6, 2, groups=3), lambda w: conv_transpose_filters(w, 3)),
        (nn.Embedding(7, 3), list),
        (nn.Bilinear(2, 3, 4), list),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "",
)
def test_filter_norms_are_those_of_a_loop_over_output_channels(layer, filters):
    """The trap: "filter-wise" that is per layer or per tensor."""
    layout = Layout.of(layer)
    block = layout.blocks[0]
    theta = layout.parameters(layer)
    norms = block.filter_norms(theta[block.slice])
    expected = torch.stack([f.norm() for f in filters(layer.weight.detach())])
    torch.testing.assert_close(norms.flatten(), expected)
    assert block.num_filters == len(expected)
    (norms * torch.ones(block.filter_shape)).reshape(block.shape)  # broadcasts against the filters


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_recurrent_filters_are_the_rows_that_feed_one_gate_of_one_unit(cell):
    layer = cell(3, 4)
    layout = Layout.of(layer)
    theta = layout.parameters(layer)
    for block in layout.blocks[:2]:
        weight = getattr(layer, block.name).detach()
        norms = block.filter_norms(theta[block.slice]).flatten()
        torch.testing.assert_close(norms, torch.stack([row.norm() for row in weight]))
    assert [b.kind for b in layout.blocks] == ["weight", "weight", "bias", "bias"]


def test_biases_and_vectors_are_one_filter_each():
    layout = Layout.of(nn.Linear(3, 4))
    assert [block.num_filters for block in layout.blocks] == [4, 1]


# --- kinds ---


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.matrix, self.temperature = (nn.Parameter(torch.ones(s)) for s in ((3,), (2, 3), ()))


class NormalNet(nn.Module):
    """Not a normalisation layer, whatever its name."""

    def __init__(self):
        super().__init__()
        self.matrix = nn.Parameter(torch.ones(2, 3))


class RMSNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(3))


@pytest.mark.parametrize(
    ("module", "kinds"),
    [
        (nn.Linear(3, 2), ["weight", "bias"]),
        (nn.Conv2d(1, 2, 3), ["weight", "bias"]),
        (nn.BatchNorm2d(3), ["norm", "norm"]),
        (nn.LayerNorm((2, 3)), ["norm", "norm"]),
        (nn.GroupNorm(1, 2), ["norm", "norm"]),
        (RMSNorm2d(), ["norm"]),
        (nn.PReLU(3), ["vector"]),
        (Custom(), ["vector", "weight", "vector"]),
        (NormalNet(), ["weight"]),
        (nn.MultiheadAttention(4, 2), ["weight", "bias", "weight", "bias"]),
        (parametrizations.weight_norm(nn.Linear(3, 2, bias=False)), ["weight", "weight"]),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, nn.Module) else "",
)
def test_kinds(module, kinds):
    assert [block.kind for block in Layout.of(module).blocks] == kinds


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 20, 21, 22, 100])
def test_pieces_end_to_end_are_the_flat_vector(size):
    """Whatever their length: shorter than parameters, longer, or the whole; also of transposed and frozen ones."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    model[0].weight = nn.Parameter(torch.randn(3, 4).T)
    model[0].bias.requires_grad_(False)
    layout = Layout.of(model)
    pieces = list(layout.pieces(model, size))
    assert [len(piece) for piece in pieces[:-1]] == [size] * (len(pieces) - 1)
    assert torch.equal(torch.cat(pieces), layout.parameters(model))
    kept = torch.cat(pieces)
    with torch.no_grad():
        model[1].weight.zero_()
    assert torch.equal(torch.cat(pieces), kept), "copies"
