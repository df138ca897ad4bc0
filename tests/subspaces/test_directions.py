"""Random directions: Gaussian, seeded, scaled filter by filter, orthogonal where they are said to be."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import nn

import thalweg as tw
from thalweg.weights import Layout

D = torch.double


def problem_of(model, inputs=(4,)):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, *inputs, generator=generator, dtype=D)
    return tw.ModuleProblem(model.double().eval(), (x, torch.arange(12) % 3), loss=F.cross_entropy)


def convnet():
    torch.manual_seed(0)
    return problem_of(
        nn.Sequential(
            nn.Conv2d(2, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.ConvTranspose2d(4, 6, 3, groups=2),
            nn.Flatten(),
            nn.Linear(216, 3),
        ),
        (2, 6, 6),
    )


def relu_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()


def filters(problem, vector):
    """Each output channel's weights, by a loop over the network's own layers."""
    found, start = {}, 0
    for name, p in problem._network.head.model.named_parameters():
        part = vector[start : start + p.numel()].reshape(p.shape)
        start += p.numel()
        if p.ndim < 2:
            continue
        transposed = name.startswith("3.")  # (in, out / groups, k, k), two groups
        rows = [part[2 * g : 2 * g + 2, o] for g in range(2) for o in range(3)] if transposed else list(part)
        found[name] = torch.stack([row.norm() for row in rows])
    return found


# --- filter normalisation ---


@pytest.mark.parametrize("seed", [0, 1])
def test_each_filter_of_a_direction_has_the_norm_of_the_networks_filter(seed):
    """The trap: "filter-wise" that is per layer or per tensor."""
    problem = convnet()
    wanted = filters(problem, problem.theta)
    assert {name: len(norms) for name, norms in wanted.items()} == {"0.weight": 4, "3.weight": 6, "5.weight": 3}
    for name, norms in filters(problem, tw.random_direction(problem, seed=seed)).items():
        torch.testing.assert_close(norms, wanted[name], rtol=1e-12, atol=0)


def test_normalising_twice_is_normalising_once():
    """The trap: bias normalised twice."""
    problem = convnet()
    for exclude in (("bias", "norm", "vector"), ()):
        once = tw.random_direction(problem, seed=0, exclude=exclude)
        torch.testing.assert_close(tw.filter_normalize(once, problem.theta, problem.layout), once, rtol=1e-13, atol=0)
        gaussian = tw.random_direction(problem, seed=0, normalize=None, exclude=exclude)
        for block in problem.layout.blocks:
            if block.kind == "bias" and not exclude:
                bias, raw = problem.theta[block.slice], gaussian[block.slice]
                torch.testing.assert_close(once[block.slice], raw * bias.norm() / raw.norm())


def test_layer_normalisation_scales_each_tensor_as_a_whole():
    problem = convnet()
    gaussian = tw.random_direction(problem, seed=3, normalize=None)
    scaled = tw.random_direction(problem, seed=3, normalize="layer")
    for block in problem.layout.blocks:
        if block.kind == "weight":
            theta, raw = problem.theta[block.slice], gaussian[block.slice]
            torch.testing.assert_close(scaled[block.slice], raw * theta.norm() / raw.norm())


def test_a_filter_of_zeros_is_not_moved_and_makes_no_nan():
    layout = Layout.of(nn.Linear(2, 2, bias=False))
    scaled = tw.filter_normalize(torch.tensor([1.0, 2.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 3.0, 4.0]), layout)
    assert scaled.tolist() == [0.0, 0.0, 0.0, 0.0]
    kept = torch.tensor([1.0, 2.0, 3.0, 4.0])
    tw.filter_normalize(kept, kept, layout)
    assert kept.tolist() == [1.0, 2.0, 3.0, 4.0]


def rescaled(factors):
    """The same function: first-layer units times `factors`, the next layer's columns divided by them."""
    model = relu_net()
    with torch.no_grad():
        model[0].weight *= factors[:, None]
        model[0].bias *= factors
        model[2].weight /= factors
    return problem_of(model)


def slice_through(problem, exclude):
    line = tw.random_line(problem, seed=2, exclude=exclude)
    return problem.measure(line(torch.linspace(-1, 1, 9, dtype=D)[:, None])).values["loss"]


@pytest.mark.parametrize("exclude", [("bias", "norm", "vector"), ()], ids=["weights only", "biases too"])
@pytest.mark.parametrize("factor", [10.0, 0.01])
def test_rescaling_a_whole_relu_layer_leaves_the_filter_normalised_surface_unchanged(factor, exclude):
    plain = slice_through(rescaled(torch.ones(6)), exclude)
    torch.testing.assert_close(slice_through(rescaled(torch.full((6,), factor)), exclude), plain, rtol=1e-10, atol=0)


def test_rescaling_single_relu_units_need_not_leave_it_unchanged():
    """The rows of the next layer mix the units, so their norms change unevenly: this is promised to nobody."""
    plain, single = rescaled(torch.ones(6)), rescaled(torch.tensor([10.0, 1, 1, 0.1, 1, 1]))
    torch.testing.assert_close(single.loss(single.theta), plain.loss(plain.theta))
    exclude = ("bias",)
    assert (slice_through(single, exclude) - slice_through(plain, exclude)).abs().max() > 1e-3


# --- randomness ---


def wide():
    return tw.FunctionProblem(lambda t: (t**2).sum(-1), num_weights=20_000, theta=np.ones(20_000))


def test_directions_are_gaussian():
    """The trap: uniform in [0, 1). Mean 0, variance 1, kurtosis 3, and the whole distribution."""
    direction = tw.random_direction(wide(), seed=0, normalize=None).numpy()
    assert abs(direction.mean()) < 4 / 20_000**0.5
    assert direction.var() == pytest.approx(1.0, abs=4 * (2 / 20_000) ** 0.5)
    assert (direction**4).mean() == pytest.approx(3.0, abs=0.3)
    assert stats.kstest(direction, "norm").pvalue > 1e-3


def test_two_directions_are_nearly_orthogonal_in_many_dimensions():
    u, v = tw.random_directions(wide(), 2, seed=0, normalize=None)
    assert abs(float(u @ v / u.norm() / v.norm())) < 4 / 20_000**0.5


def test_the_same_seed_draws_the_same_directions_however_many_and_leaves_torchs_generator_alone():
    problem = convnet()
    torch.manual_seed(9)
    state = torch.get_rng_state()
    three = tw.random_directions(problem, 3, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(10)
    assert torch.equal(tw.random_directions(problem, 2, seed=5), three[:2])
    assert torch.equal(tw.random_plane(problem, seed=5).v, three[1])
    assert torch.equal(tw.random_box(problem, 3, seed=5).directions, three)
    assert not torch.equal(tw.random_direction(problem, seed=6), three[0])


def test_the_draw_is_made_in_one_dtype_on_the_cpu_so_that_every_device_and_precision_sees_the_same_direction():
    model, x = relu_net(), torch.randn(12, 4, dtype=D)
    data = (x.float(), torch.arange(12) % 3)
    narrow = tw.ModuleProblem(model.float(), data, loss=F.cross_entropy)
    double = tw.ModuleProblem(model.float(), data, loss=F.cross_entropy, precision="float64")
    draws = [tw.random_direction(p, seed=1, normalize=None) for p in (narrow, double)]
    assert torch.equal(draws[0].double(), draws[1])
    expected = torch.randn(narrow.num_weights, generator=torch.Generator().manual_seed(1))
    moved = draws[0] != 0
    assert torch.equal(draws[0][moved], expected[moved])


# --- orthogonality ---


@pytest.mark.parametrize("normalize", ["filter", "layer", None])
@pytest.mark.parametrize("dtype", ["model", "float64"])
def test_orthogonal_directions_are_orthogonal_after_scaling_and_keep_their_lengths(normalize, dtype):
    """The traps: Gram-Schmidt without dividing by the norm (cos -0.9999); orthogonalised first, then normalised."""
    data = (torch.randn(12, 4), torch.arange(12) % 3)
    problem = tw.ModuleProblem(relu_net().float(), data, loss=F.cross_entropy, precision=dtype)
    plain = tw.random_directions(problem, 3, seed=0, normalize=normalize).double()
    ortho = tw.random_directions(problem, 3, seed=0, normalize=normalize, orthogonal=True).double()
    lengths = ortho.norm(dim=1)
    torch.testing.assert_close(lengths, plain.norm(dim=1), rtol=1e-6, atol=0)
    cosines = ortho @ ortho.T / lengths[:, None] / lengths
    assert (cosines - torch.eye(3)).abs().max() < 1e-6
    assert torch.equal(ortho == 0, plain == 0)


def test_more_orthogonal_directions_than_weights_are_refused():
    """The third would be rounding noise."""
    problem = tw.FunctionProblem(lambda x, y: x * y, theta=[1.0, 1.0])
    with pytest.raises(ValueError, match="orthogonal"):
        tw.random_directions(problem, 3, seed=0, orthogonal=True)


# --- what is left alone ---


def test_biases_and_normalisation_are_left_alone_by_default_and_everything_moves_on_request():
    problem = convnet()
    still, moved = tw.random_direction(problem, seed=0), tw.random_direction(problem, seed=0, exclude=())
    for block in problem.layout.blocks:
        assert bool(still[block.slice].any()) == (block.kind == "weight")
        assert moved[block.slice].all() or block.name == "1.bias"  # which is zero in a new network
    only = tw.random_direction(problem, seed=0, exclude=("weight", "norm"))
    assert {b.name for b in problem.layout.blocks if only[b.slice].any()} == {"0.bias", "3.bias", "5.bias"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"normalize": "filters"}, "normalize='filters'"),
        ({"exclude": "bias"}, "exclude='bias'"),
        ({"exclude": ("biases",)}, "biases"),
        ({"exclude": ("weight", "bias", "norm", "vector")}, "exclude"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tw.random_direction(convnet(), seed=0, **options)


def test_a_network_of_zeros_has_no_filter_normalised_direction_and_is_told_so():
    problem = tw.FunctionProblem(lambda x, y: x * y)
    with pytest.raises(ValueError, match="normalize=None"):
        tw.random_plane(problem)
    assert tw.random_plane(problem, normalize=None).u.norm() > 0


# --- planes through what is known ---


def test_a_plane_through_three_networks_contains_them():
    a, b, c = torch.randn(3, 50, generator=torch.Generator().manual_seed(0), dtype=D)
    plane = tw.plane_through(a, b, c)
    for point, anchor in zip((a, b, c), plane.anchors, strict=True):
        found = plane.project(point)
        assert float(found.distance) < 1e-12
        np.testing.assert_allclose(found.coords, anchor, atol=1e-12)
        torch.testing.assert_close(plane(anchor), point)
    assert torch.equal(plane(np.zeros(2)), a)
    assert float(plane.u.norm()) == pytest.approx(1)
    assert float(plane.v.norm()) == pytest.approx(1)
    assert abs(float(plane.u @ plane.v)) < 1e-14
    (low, high) = plane.domain.T
    assert (low < plane.anchors.min(0)).all()
    assert (high > plane.anchors.max(0)).all()


@pytest.mark.parametrize("width", [1e-4, 1e-1])
def test_nearly_aligned_networks_still_span_an_orthogonal_plane(width):
    """The trap: "orthogonal" directions nearly parallel."""
    generator = torch.Generator().manual_seed(1)
    a, along, across = torch.randn(3, 50, generator=generator)
    plane = tw.plane_through(a, a + along, a + 2 * along + width * across)
    u, v = plane.u.double(), plane.v.double()
    assert abs(float(u @ v / u.norm() / v.norm())) < 1e-6


@pytest.mark.parametrize(
    ("a", "b", "c", "message"),
    [
        (np.zeros(3), np.ones(3), 2 * np.ones(3), "on a line"),
        (np.zeros(3), np.zeros(3), np.ones(3), "on a line"),
        (np.zeros(3), np.ones(3), np.zeros(3), "on a line"),
        (np.zeros(3), np.ones(3), np.ones(4), "3, 3 and 4"),
    ],
)
def test_points_that_span_no_plane_are_refused(a, b, c, message):
    with pytest.raises(ValueError, match=message):
        tw.plane_through(a, b, c)


def test_a_coordinate_plane_has_the_two_weights_as_its_coordinates():
    problem = tw.FunctionProblem(lambda x, y, z: x + y * z, theta=[1.0, 2.0, 3.0])
    plane = tw.coordinate_plane(problem, 0, 2)
    assert plane(np.array([5.0, 7.0])).tolist() == [5.0, 2.0, 7.0]
    assert plane.project(problem.theta).coords.tolist() == [1.0, 3.0]
    assert plane.info["labels"] == ["x", "z"]
    with pytest.raises(ValueError, match="no weight 3"):
        tw.coordinate_plane(problem, 0, 3)


def test_provenance_travels_with_the_plane():
    info = tw.random_plane(convnet(), seed=4, orthogonal=True).info
    assert info == {
        "kind": "random",
        "seed": 4,
        "normalize": "filter",
        "exclude": "bias, norm, vector",
        "orthogonal": True,
    }
