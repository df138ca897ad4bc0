"""Small networks of every structure that is promised, in double precision, with weights of which no two are alike."""

import torch
import torch.nn.functional as F
from torch import nn


def randomized(model, seed=0):
    """Random weights, scales, shifts and running statistics."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.double)
            tensor.copy_(noise.exp() if name.endswith("running_var") else noise / max(tensor[0].numel(), 1) ** 0.5)
    return model


class Lambda(nn.Module):
    """A function of the input and the layers `a`, `b`, ... ."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.function(self, x)


class Block(nn.Module):
    """A residual block, with a projection on the shortcut where the shape changes."""

    def __init__(self, into, out, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.norm2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        project = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.shortcut = project if stride > 1 or into != out else nn.Identity()

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        y += self.shortcut(x)
        return F.relu(y)


class ResNet(nn.Module):
    """A residual network with batch normalisation, for 8x8 images."""

    def __init__(self, width=6):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 2 * width, 1))
        self.fc = nn.Linear(2 * width, 3)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


def lenet():
    """Two convolutions, flattened into linear layers."""
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 2), nn.Tanh(), nn.Flatten()),
        *(nn.Linear(24, 10), nn.ReLU(), nn.Linear(10, 3)),
    )


def attention(heads=2, width=8):
    """A transformer block written by hand."""

    def forward(self, x):
        x = self.embed(x.squeeze(1)) + self.place
        b, t, d = x.shape
        q, k, v = (z.view(b, t, heads, d // heads).transpose(1, 2) for z in self.qkv(self.norm(x)).chunk(3, dim=-1))
        y = (q @ k.transpose(-2, -1) / 2).softmax(-1) @ v
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return self.read(x.mean(1))

    layers = {"qkv": nn.Linear(width, 3 * width), "out": nn.Linear(width, width), "read": nn.Linear(width, 3)}
    net = Lambda(forward, embed=nn.Linear(8, width), norm=nn.LayerNorm(width), **layers)
    net.place = nn.Parameter(torch.zeros(8, width))
    return net


def dense():
    """Features joined with those of earlier layers."""

    def forward(self, x):
        y = self.a(x).relu()
        y = torch.cat([y, self.b(y).relu()], dim=1)
        return self.fc(torch.cat([y, y + self.c(y)], 1).flatten(1))

    layers = {"a": nn.Conv2d(1, 3, 1), "b": nn.Conv2d(3, 4, 1), "c": nn.Conv2d(7, 7, 1), "fc": nn.Linear(14 * 64, 3)}
    return Lambda(forward, **layers)


def generator():
    """A linear layer whose units become images; transposed convolutions, one of them depthwise."""

    def forward(self, x):
        y = self.a(x.flatten(1)).view(-1, 6, 2, 2)
        y = F.interpolate(self.c(self.b(y).relu()), scale_factor=2)
        return self.d(y).mean((2, 3))

    layers = {"b": nn.ConvTranspose2d(6, 4, 2), "c": nn.ConvTranspose2d(4, 4, 2, groups=4), "d": nn.Conv2d(4, 3, 1)}
    return Lambda(forward, a=nn.Linear(64, 24), **layers)


def channels_last():
    """Flattened with the channels last."""
    layers = {"conv": nn.Conv2d(1, 4, 5), "fc": nn.Linear(64, 3)}
    return Lambda(lambda self, x: self.fc(self.conv(x).permute(0, 2, 3, 1).reshape(len(x), -1)), **layers)


def padded_shortcut():
    """Zeros for the channels that a shortcut lacks (He et al. 2016, option A)."""

    def forward(self, x):
        x = self.a(x).relu()
        return self.fc((self.b(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))).relu().mean((2, 3)))

    return Lambda(forward, a=nn.Conv2d(1, 4, 1), b=nn.Conv2d(4, 8, 3, 2, 1), fc=nn.Linear(8, 3))


def twice():
    """A layer that is used twice, so that its rows and columns are one group."""
    layers = {"a": nn.Linear(8, 6), "b": nn.Linear(6, 6), "c": nn.Linear(48, 3)}
    return Lambda(lambda self, x: self.c(self.b(self.b(self.a(x.squeeze(1))).tanh()).flatten(1)), **layers)


def excited():
    """Channels scaled by a function of their means."""

    def forward(self, x):
        x = self.a(x)
        scale = self.c(self.b(x.mean((2, 3))).relu()).sigmoid()
        return self.d((x * scale[:, :, None, None]).sum((2, 3)))

    layers = {"b": nn.Linear(5, 2), "c": nn.Linear(2, 5), "d": nn.Linear(5, 3)}
    return Lambda(forward, a=nn.Conv2d(1, 5, 3), **layers)


def table():
    """Words looked up in the table by which they are told, too."""
    net = Lambda(lambda self, x: self.out(self.words(x) + self.mix(self.words(x)).relu()), words=nn.Embedding(7, 6))
    net.mix, net.out = nn.Linear(6, 6), nn.Linear(6, 7, bias=False)
    net.out.weight = net.words.weight
    return net


IMAGES = {
    "mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, 7), nn.ReLU(), nn.Linear(7, 5), nn.GELU(), nn.Linear(5, 3)
    ),
    "lenet": lenet,
    "resnet": ResNet,
    "attention": attention,
    "dense": dense,
    "generator": generator,
    "channels last": channels_last,
    "padded shortcut": padded_shortcut,
    "twice": twice,
    "excited": excited,
    "normalised": lambda: nn.Sequential(
        *(nn.Flatten(), nn.Linear(64, 8), nn.LayerNorm(8), nn.PReLU(8), nn.Linear(8, 8), nn.RMSNorm(8)),
        *(nn.Linear(8, 12), nn.GLU(), nn.BatchNorm1d(6), nn.Linear(6, 3), nn.LogSoftmax(1)),
    ),
    "groups": lambda: nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 12, 3, groups=6), nn.InstanceNorm2d(12)),
        *(nn.Conv2d(12, 8, 1), nn.Conv2d(8, 8, 1, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    ),
    "one-dimensional": lambda: nn.Sequential(
        *(nn.Flatten(2), nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(124, 3)),
    ),
    "three-dimensional": lambda: nn.Sequential(
        *(
            nn.Unflatten(2, (2, 4)),
            nn.Conv3d(1, 4, 2),
            nn.BatchNorm3d(4),
            nn.MaxPool3d(1),
            nn.Flatten(),
            nn.Linear(84, 3),
        ),
    ),
}


def network(name, seed=0):
    """One of the networks for `(n, 1, 8, 8)` images."""
    return randomized(IMAGES[name](), seed)


def images(num=3, seed=0):
    """Random images."""
    return torch.randn(num, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
