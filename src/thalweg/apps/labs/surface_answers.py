"""Worked answers of the lab on loss surfaces: markdown from measurements, made or read when an answer is opened."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn

from thalweg.apps.labs.surface_study import FIRST, Surfaces, end_of
from thalweg.apps.labs.tables import table
from thalweg.landscapes import digits, small_cnn
from thalweg.measures import loss_along, num_outliers, sharpness
from thalweg.problem import ModuleProblem
from thalweg.subspaces import PolygonalChain, Segment, random_direction


def a_small_case() -> tuple[ModuleProblem, list[tuple[Tensor, Tensor]], nn.Module]:
    """Fifty digits in batches of 20, 20 and 10, and a small network in double precision."""
    (images, classes), _ = digits()
    batches = list(zip(images[:50].double().split(20), classes[:50].split(20), strict=True))
    model = small_cnn(0).double().eval()
    return ModuleProblem(model, batches, loss=F.cross_entropy), batches, model


def double_backward(model: nn.Module, batches: list[tuple[Tensor, Tensor]], v: Tensor, weighted: bool = True) -> Tensor:
    """The product of the Hessian with a vector as one writes it first: two backward passes a batch, then a mean."""
    weights = list(model.parameters())
    total, parts = torch.zeros_like(v), sum(len(y) for _, y in batches)
    for x, y in batches:
        slope = torch.autograd.grad(F.cross_entropy(model(x), y), weights, create_graph=True)
        along = torch.cat([g.reshape(-1) for g in slope]) @ v
        product = torch.cat([h.reshape(-1) for h in torch.autograd.grad(along, weights)])
        total += product * (len(y) / parts if weighted else 1 / len(batches))
    return total


def hessian_products() -> str:
    """A naive product of the Hessian with a vector, and ours."""
    problem, batches, model = a_small_case()
    v = random_direction(problem, seed=0)
    v = torch.as_tensor(v) / torch.linalg.vector_norm(torch.as_tensor(v))
    wanted = problem.hvp(problem.theta, v)
    rows = []
    ways: dict[str, Callable[[], Tensor]] = {
        "double backward, batches weighted by their examples": lambda: double_backward(model, batches, v),
        "double backward, plain mean of the batches": lambda: double_backward(model, batches, v, weighted=False),
        "`problem.hvp`": lambda: problem.hvp(problem.theta, v),
    }
    for name, way in ways.items():
        began = time.perf_counter()
        found = way()
        seconds = time.perf_counter() - began
        rows.append([name, f"{float((found - wanted).norm() / wanted.norm()):.1e}", f"{1e3 * seconds:.0f} ms"])
    rows.append(["central difference of gradients, step 1e-5", *_difference(problem, v, wanted)])
    return table([f"product with one vector, {problem.num_weights:,} weights", "relative difference", "time"], rows) + (
        "\n\nFor each batch: the gradient with its graph (`create_graph=True`), its inner product with $v$, and the "
        "gradient of that. The Hessian is never formed. The last batch is smaller than the others: a mean over "
        "batches that forgets this is the Hessian of another loss."
    )


def _difference(problem: ModuleProblem, v: Tensor, wanted: Tensor, step: float = 1e-5) -> tuple[str, str]:
    began = time.perf_counter()
    ends = [problem.gradient(problem.theta + sign * step * v) for sign in (1, -1)]
    found = (ends[0] - ends[1]) / (2 * step)
    return f"{float((found - wanted).norm() / wanted.norm()):.1e}", f"{1e3 * (time.perf_counter() - began):.0f} ms"


def outliers(work: Surfaces) -> str:
    """How many eigenvalues stand out, beside the number of classes."""
    pairs = work.spectrum()
    values = pairs["eigenvalue"].values
    many = num_outliers(pairs)
    classes = pairs.attrs["num_classes"]
    listed = ", ".join(f"{v:.3g}" for v in values)
    return (
        f"The largest {len(values)} eigenvalues, by magnitude: {listed}.\n\nThe largest relative gap comes after "
        f"**{many}** of them, and there are **{classes} classes**. Classifiers usually have about as many outliers as "
        f"classes, or one less; the other {work.problem.num_weights - many:,} eigenvalues are small. "
        f"{_negative(int((values < 0).sum()))}"
    )


def _negative(count: int) -> str:
    if not count:
        return "None of those listed is negative."
    return f"{count} of those listed {'is' if count == 1 else 'are'} negative: where training ended is no minimum."


def along_eigenvectors(work: Surfaces) -> str:
    """What the loss does along a large and a small eigenvector."""
    pairs, reach = work.spectrum(), work.plan.reach
    rows = []
    for k in (1, work.plan.pairs):
        found, value = work.eigen_profile(k), float(pairs["eigenvalue"].sel(pair=k))
        middle = float(found["loss"].attrs["at_origin"])
        rise = float(found["loss"].max()) - middle
        change = float(found["test_accuracy"].max() - found["test_accuracy"].min())
        rows.append([k, f"{value:.3g}", f"{value * reach**2 / 2:.2e}", f"{rise:.2e}", f"{change:.2%}"])
    head = ["pair", "eigenvalue λ", f"λ·{reach:g}²/2", "measured rise", "test accuracy varies by"]
    return table(head, rows) + (
        "\n\nA step of the same length costs as much more in one direction as the eigenvalue is larger. Where the "
        "measured rise differs from the parabola's, the gradient is not zero yet, or the loss is no parabola over "
        "this length."
    )


def bends() -> str:
    """The gradient in the bend of a chain."""
    problem, batches, model = a_small_case()
    end = ModuleProblem(small_cnn(1).double().eval(), batches, loss=F.cross_entropy).theta
    bend = (0.5 * (problem.theta + end)).requires_grad_(True)
    t, a, b = 0.3, problem.theta, end
    names = [name for name, _ in model.named_parameters()]
    sizes = [p.shape for p in model.parameters()]
    here = (1 - 2 * t) * a + 2 * t * bend  # the first half of the chain
    parts = dict(zip(names, _cut(here, sizes), strict=True))
    examples = sum(len(y) for _, y in batches)
    predicted = [(torch.func.functional_call(model, parts, x), y) for x, y in batches]
    losses = [F.cross_entropy(scores, y, reduction="sum") for scores, y in predicted]
    (by_hand,) = torch.autograd.grad(torch.stack(losses).sum() / examples, bend)
    chain = PolygonalChain(torch.stack([a, bend.detach(), b]))
    rule = float(chain.weights(t)[1]) * problem.gradient(chain(t))
    gap = float((by_hand - rule).norm() / by_hand.norm())
    return (
        "A reparametrised network needs three things: the flat vector cut into tensors of the parameters' shapes, a "
        "network called with these in place of its own (`torch.func.functional_call`), and the chain rule. On the "
        "first half of "
        r"the chain $w(t) = (1 - 2t)\,a + 2t\,\theta$, so that $\nabla_\theta L(w(t)) = 2t\, \nabla L(w(t))$; on the "
        r"second half $2(1 - t)\, \nabla L$."
        f"\n\nMeasured at t = {t} on a small network of {problem.num_weights:,} weights: back-propagation through the "
        f"reparametrised network and $2t$ times the gradient at the place differ by **{gap:.1e}** of their length. So "
        f"one "
        "gradient of the network is all that a step costs, whatever the curve."
    )


def _cut(vector: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    pieces = vector.split([shape.numel() for shape in shapes])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def connected(work: Surfaces) -> str:
    """Whether two optima are points by themselves."""
    barriers = {way: one.sel(quantity="loss") for way, one in work.barriers().items()}
    along = work.chain()
    rows = [
        [
            {"segment": "straight", "curve": "chain with one bend"}[way],
            f"{float(found['barrier']):.3f}",
            f"{float(found['t']):.2f}",
            f"{float(along[way]['test_accuracy'].min()):.1%}",
        ]
        for way, found in barriers.items()
    ]
    straight, bent = (float(barriers[way]["barrier"]) for way in ("segment", "curve"))
    share = bent / straight if straight > 0 else 0.0
    return table(["way", "barrier of the training loss", "at t", "lowest test accuracy on the way"], rows) + (
        f"\n\nOn the straight way the loss rises by {straight:.3g}; after {work.plan.chain_steps} steps of learning "
        f"the bend, {share:.0%} of that is left. "
        + (
            "Two optima from different seeds are points of one connected region of low loss rather than bottoms of "
            "separate holes, although the straight line between them leaves it."
            if share < 0.2
            else "So much being left says that the bend was not learned to its end, not that there is no way: more "
            "steps, a lower rate, or a second bend would tell."
        )
    )


def batch_sizes(work: Surfaces) -> str:
    """Optima of small and of large batches."""
    rows = []
    few = tuple(part[: work.plan.examples] for part in work.images.train)
    for name, problem in work.other_batches().items():
        found = {k: float(v[0]) for k, v in problem.measure(problem.theta[None]).values.items()}
        steep = float(sharpness(problem.with_data(few), tol=1e-2)["eigenvalue"][0])
        losses = [f"{found[k]:.3f}" for k in ("loss", "test_loss")]
        shares = [f"{found[k]:.1%}" for k in ("accuracy", "test_accuracy")]
        rows.append([name, *losses, *shares, f"{steep:.3g}"])
    return table(["trained with", "loss", "test loss", "accuracy", "on test", "sharpness"], rows) + (
        "\n\nOne explanation of why the optima of stochastic descent generalise is that noise keeps it out of narrow "
        "valleys: smaller batches, flatter minima. These numbers compare one pair of runs after equally many updates, "
        "so that the large batches have seen each image more often. Where a loss is nearly zero, so is its curvature, "
        "whatever the valley; and sharpness changes when weights are rescaled without changing what the network "
        "computes. It is a hint, not a proof."
    )


def on_the_way(work: Surfaces) -> str:
    """How descent moved through weight space."""
    run = work.train(FIRST)
    moved, plane = work.moved(), work.plane()
    straight = loss_along(work.problem, Segment(torch.as_tensor(run["theta"][0].values), end_of(run)), 11)
    rises = int((np.diff(straight["loss"].values) > 0).sum())
    walk = plane["random_walk"]
    explained, theory = (float(walk[name][:2].sum()) for name in ("explained_variance_ratio", "theory"))
    return (
        f"The way is {float(moved['path_length'][-1]):.3g} long from row to row, and ends "
        f"{float(moved['distance_from_start'][-1]):.3g} from its start. The mean cosine between successive moves is "
        f"{float(moved['cosine'].mean()):.2f} (a random walk's is 0, a straight line's 1). On the straight line from "
        f"start to end the loss rises on {rises} of 10 pieces: it is "
        f"{'a path down all the way' if rises == 0 else 'not simply downhill'}, although training did not take "
        f"it.\n\nTwo principal components explain {explained:.1%} of the path's variance. Is that much? A random walk "
        f"of as many rows has {theory:.1%}, and smooth arcs for scores. So an arc on the principal plane says little; "
        f"what differs from the "
        "walk is what training did."
    )


def top_subspace(work: Surfaces) -> str:
    """The gradient in the top subspace, and sharpness, along training."""
    found: xr.Dataset = work.sharpness()
    share, steep = found["gradient_share"].values, found["eigenvalue"].values[:, 0]
    shared, k = found["overlap"].values[-1], found.sizes["pair"]
    rows = [
        [int(step), f"{a:.3g}", f"{b:.2f}", f"{c:.2f}"]
        for step, a, b, c in zip(found["step"].values, steep, share, shared, strict=True)
    ]
    head = ["update", "largest eigenvalue", f"gradient in the top {k}", "shared with the end's"]
    chance = k / work.problem.num_weights
    top = int(np.nanargmax(steep))
    return table(head, rows) + (
        f"\n\n{k} directions of {work.problem.num_weights:,} would hold {chance:.1e} of a gradient by chance. The "
        f"sharpness is largest at update {int(found['step'][top])}"
        + (", the end of what was recorded" if top == len(steep) - 1 else " and falls after it")
        + ". It depends on the learning rate and the batch size: under full-batch descent it rises until 2 / learning "
        "rate (`examples/edge_of_stability.py`); the steps of mini-batches and Adam move it elsewhere."
    )
