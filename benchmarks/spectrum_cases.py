"""The networks of `spectrum.py`: trained for seconds on real data, so that some eigenvalues stand out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from images import coloured, fashion_mnist, subset
from networks import resnet20
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

import thalweg as tw
from thalweg.landscapes.digits import digits, small_cnn


@dataclass
class Case:
    """A network in eval mode, its examples, and in batches of how many the peers get them."""

    key: str
    title: str
    model: nn.Module
    inputs: Tensor
    targets: Tensor
    sizes: tuple[int, ...]  # batch sizes that divide the examples: a peer averages batches whatever their size
    data: str
    gradients: dict[int, float] = field(default_factory=dict)

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.model.parameters())

    @property
    def num_weights(self) -> int:
        return sum(p.numel() for p in self.parameters)

    @property
    def num_examples(self) -> int:
        return len(self.inputs)

    @property
    def problem(self) -> tw.ModuleProblem:
        return tw.ModuleProblem(self.model, (self.inputs, self.targets), loss=F.cross_entropy)

    def batches(self, size: int) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.inputs.split(size), self.targets.split(size), strict=True))

    @cached_property
    def batch_size(self) -> int:
        """The one in which a product by double backward is fastest."""
        with sdpa_kernel(SDPBackend.MATH):
            return min(self.sizes, key=lambda size: seconds_of(lambda: double_backward(self, size)))

    @cached_property
    def gradient_seconds(self) -> float:
        """CPU seconds of a gradient over all examples, in the batches that suit it best."""
        for size in self.sizes:
            self.gradients[size] = seconds_of(lambda size=size: gradient(self, size), repeat=5)  # type: ignore[misc]
        return min(self.gradients.values())

    def __str__(self) -> str:
        return f"({self.key}) {self.title}: {self.num_weights:,} weights, {self.num_examples:,} {self.data}"


def seconds_of(call: Callable[[], object], repeat: int = 2) -> float:
    """The least CPU seconds of some calls after a first one (wall seconds where a GPU works)."""
    now = time.perf_counter if torch.cuda.is_initialized() else time.process_time
    call()
    found = []
    for _ in range(repeat):
        _wait()
        began = now()
        call()
        _wait()
        found.append(now() - began)
    return min(found)


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def gradient(case: Case, size: int) -> None:
    for inputs, targets in case.batches(size):
        torch.autograd.grad(F.cross_entropy(case.model(inputs), targets), case.parameters)


def slopes(case: Case, size: int) -> Iterator[tuple[list[Tensor], float]]:
    """Gradients of the batches' mean losses with their graphs, and what share of the examples each batch has."""
    for inputs, targets in case.batches(size):
        loss = F.cross_entropy(case.model(inputs), targets)
        yield list(torch.autograd.grad(loss, case.parameters, create_graph=True)), len(inputs) / case.num_examples


def double_backward(case: Case, size: int, v: Tensor | None = None) -> Tensor:
    """A product with the Hessian as one would write it: a gradient with its graph, and backward through it."""
    v = torch.ones(case.num_weights, device=case.inputs.device) if v is None else v
    total = torch.zeros_like(v)
    parts = [part.view_as(p) for part, p in zip(v.split([p.numel() for p in case.parameters]), case.parameters)]  # noqa: B905
    for slope, share in slopes(case, size):
        found = torch.autograd.grad(slope, case.parameters, parts)
        total += share * torch.cat([f.reshape(-1) for f in found])
    return total


# --- the cases ---


def small() -> Case:
    inputs, targets = digits(1500)[0]
    model = _trained(small_cnn(), inputs, targets, steps=150)
    return Case("small", "CNN", model, inputs, targets, (125, 250, 500, 1500), "digits")


def large() -> Case:
    training, _ = fashion_mnist()
    images = subset(training, 4000)
    inputs = F.adaptive_avg_pool2d(images.inputs, 8)
    model = _trained(small_cnn(), inputs, images.targets, steps=300)
    return Case("large", "CNN", model, inputs, images.targets, (125, 250, 500, 2000), f"images of {images.name}, 8x8")


class Block(nn.Module):
    """Causal self-attention and a perceptron, each after a layer norm (GPT-2's order)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.mix(self.norm1(x)).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Predicts the next character; returns logits `(examples, characters, positions)`."""

    def __init__(self, characters: int, length: int, width: int = 32, heads: int = 4, blocks: int = 2) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(characters, width), nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.tokens(x) + self.places))).transpose(1, 2)


def transformer(count: int = 500, length: int = 32) -> Case:
    """On the text of Python's own help topics, which comes with the interpreter."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[key] for key in sorted(topics))[: count * (length + 1)].lower()
    alphabet = sorted(set(text))
    codes = torch.tensor([alphabet.index(letter) for letter in text]).view(count, length + 1)
    inputs, targets = codes[:, :-1].contiguous(), codes[:, 1:].contiguous()
    model = _trained(Transformer(len(alphabet), length), inputs, targets, steps=300)
    data = f"lines of {length} characters (Python's help topics)"
    return Case("transformer", "transformer", model, inputs, targets, (50, 100, count // 2, count), data)


def resnet() -> Case:
    """On a GPU only."""
    images = coloured(subset(fashion_mnist()[0], 4000))
    inputs, targets = images.inputs.cuda(), images.targets.cuda()
    model = _trained(resnet20().cuda(), inputs, targets, steps=300)
    return Case("resnet", "ResNet-20", model, inputs, targets, (500, 1000, 2000), f"images ({images.name})")


def _trained(model: nn.Module, inputs: Tensor, targets: Tensor, steps: int) -> nn.Module:
    optimizer = torch.optim.Adam(model.train().parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        batch = torch.randint(len(inputs), (64,), generator=generator).to(inputs.device)
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[batch]), targets[batch]).backward()
        optimizer.step()
    optimizer.zero_grad()
    return model.eval()


BUILDERS: dict[str, Callable[[], Case]] = {
    "small": small,
    "large": large,
    "transformer": transformer,
    "resnet": resnet,
}


def build(key: str, *, quick: bool = False) -> Case:
    """From a fixed seed."""
    torch.manual_seed(0)
    return transformer(count=200) if quick and key == "transformer" else BUILDERS[key]()
