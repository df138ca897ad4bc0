"""Dense curvature matrices of small networks, entry by entry. Nothing here is imported from thalweg."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.problem import naive
from tests.problem.naive import D


class Tied(nn.Module):
    """One matrix used twice, the second time transposed."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Attention(nn.Module):
    """Self-attention over four tokens."""

    def __init__(self, kind="module"):
        super().__init__()
        self.kind, self.embed = kind, nn.Linear(2, 4)
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True) if kind == "module" else nn.Linear(4, 12)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        h = self.embed(x)
        if self.kind == "module":
            h = self.attend(h, h, h, need_weights=False)[0]
        else:
            q, k, v = (part[:, None] for part in self.attend(h).chunk(3, -1))
            h = F.scaled_dot_product_attention(q, k, v)[:, 0]
        return self.head(h.mean(1))


def _normalised(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3), nn.LayerNorm(3)
    ).double()
    model(torch.randn(40, 1, 4, 4, dtype=D))  # statistics that are not the initial ones
    return model


def _frozen():
    model = naive.mlp((4, 5, 3))
    model[0].bias.requires_grad_(False)
    return model


def _relu():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double().eval()


def _made(kind):
    torch.manual_seed(0)
    return kind().double().eval()


MODELS = {
    "tanh": (lambda: naive.mlp((4, 5, 3)), (4,)),
    "relu": (_relu, (4,)),
    "convolution": (naive.convnet, (2, 6, 6)),
    "batch norm": (lambda: _normalised().eval(), (1, 4, 4)),
    "batch norm in training mode": (_normalised, (1, 4, 4)),  # the stored statistics, whatever the mode
    "tied": (lambda: _made(Tied), (4,)),
    "frozen": (_frozen, (4,)),
    "attention module": (lambda: _made(Attention), (4, 2)),
    "attention function": (lambda: _made(lambda: Attention("function")), (4, 2)),
    "recurrent": (lambda: _made(Recurrent), (4, 2)),
}


class Recurrent(nn.Module):
    """A small LSTM."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTM(2, 3, batch_first=True), nn.Linear(3, 3)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def case(model, loss="cross_entropy", n=17, seed=1):
    """The model, inputs and targets."""
    make, shape = MODELS[model]
    x, classes = naive.examples(n, shape, 3, seed)
    generator = torch.Generator().manual_seed(seed)
    targets = {
        "cross_entropy": classes,
        "mse_loss": torch.randn(n, 3, generator=generator, dtype=D),
        "binary_cross_entropy_with_logits": torch.randint(0, 2, (n, 3), generator=generator).to(D),
    }
    return make(), (x, targets[loss])


def standing(model):
    """A copy that answers in evaluation mode."""
    theta = torch.cat([p.detach().flatten() for p in naive.trainable(model)])
    return naive.standing(model, theta).eval()


def each_loss(model, data, criterion):
    """Per-example losses: means over the outputs."""
    values = criterion(model(data[0]), data[1], reduction="none")
    return values.reshape(len(values), -1).mean(1)


def hessian(model, data, criterion):
    """Of the mean loss, by double backward."""
    model = standing(model)
    theta = torch.cat([p.detach().flatten() for p in naive.trainable(model)])
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return naive.hessian(model, theta, lambda m: each_loss(m, data, criterion).mean())


def _rows(values, model):
    """The gradient of each of `values` `(m,)` in the trainable weights: `(m, weights)`."""
    weights = naive.trainable(model)
    return torch.stack(
        [
            torch.cat([g.flatten() for g in torch.autograd.grad(v, weights, retain_graph=True, materialize_grads=True)])
            for v in values
        ]
    )


def jacobian(model, x):
    """`(n, outputs, weights)`, one output at a time."""
    model = standing(model)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        outputs = model(x)
    return _rows(outputs.flatten(), model).reshape(*outputs.shape, -1)


def in_outputs(outputs, loss):
    """The Hessian of each example's loss in its outputs, written down: `(n, outputs, outputs)`."""
    if loss == "cross_entropy":
        p = outputs.softmax(1)
        return torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    if loss == "mse_loss":
        return torch.diag_embed(torch.full_like(outputs, 2 / outputs.shape[1]))
    s = outputs.sigmoid()
    return torch.diag_embed(s * (1 - s) / outputs.shape[1])


def gauss_newton(model, data, loss):
    """The mean of J^T H J."""
    J = jacobian(model, data[0])
    with torch.no_grad():
        bend = in_outputs(standing(model)(data[0]), loss)
    return torch.einsum("ncp,ncd,ndq->pq", J, bend, J) / len(J)


def fisher_of_classes(model, data):
    """The mean of sum_c p_c g_c g_c^T, the expectation over classes taken one by one."""
    J = jacobian(model, data[0])
    with torch.no_grad():
        p = standing(model)(data[0]).softmax(1)
    total = 0
    for c in range(p.shape[1]):
        e = F.one_hot(torch.tensor(c), p.shape[1]).to(p)
        g = torch.einsum("ncp,nc->np", J, p - e)
        total = total + torch.einsum("n,np,nq->pq", p[:, c], g, g)
    return total / len(J)


def empirical_fisher(model, data, criterion):
    """The mean of g g^T."""
    model = standing(model)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        losses = each_loss(model, data, criterion)
    g = _rows(losses, model)
    return g.T @ g / len(g)


def of(curvature):
    """The matrix that a `Curvature` multiplies with."""
    return torch.stack([curvature.product(e) for e in torch.eye(curvature.num_weights, dtype=D)], dim=1)
