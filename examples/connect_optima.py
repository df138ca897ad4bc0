"""Two optima of a convolutional network, parted by a barrier on the straight way and joined by a bent one without.

Two networks of 44,426 weights are trained from different seeds on 4,000 handwritten digits. On the segment between them
the loss rises far above both ends; a polygonal chain with one bend, learned in seconds, stays as low as they are. The
same for networks that were trained differently: in small and large batches, with an L2 penalty, with
dropout.

Run it: `python examples/connect_optima.py`. It writes the study `connect_optima.zarr` and a page for each pair, and
takes about a minute on one core. It needs the extra `data` (`pip install "thalweg[data]"`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import thalweg as tw
from thalweg.landscapes import mnist_sample

torch.set_num_threads(1)
(images, classes), test = mnist_sample()
study = "connect_optima.zarr"


class Network(nn.Module):
    """Two convolutions and three linear layers: 44,426 weights."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(256, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the ten digits."""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        x = self.dropout(F.relu(self.fc1(x)))
        return self.fc3(self.dropout(F.relu(self.fc2(x))))


def trained(
    seed: int, batch_size: int = 64, steps: int = 600, rate: float = 2e-3, dropout: float = 0.0, decay: float = 0.0
) -> nn.Module:
    """A network after some epochs of Adam."""
    torch.manual_seed(seed)
    model = Network(dropout)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, weight_decay=decay)
    for _ in range(steps):
        batch = torch.randint(len(images), (batch_size,))
        optimizer.zero_grad()
        F.cross_entropy(model(images[batch]), classes[batch]).backward()
        optimizer.step()
    return model.eval()


first = trained(0)
problem = tw.ModuleProblem(
    first, (images, classes), loss=F.cross_entropy, metrics={"accuracy": tw.accuracy}, test_data=test
)
others = {
    "another seed": trained(1),
    "large batches": trained(1, batch_size=512, steps=150, rate=4e-3),
    "L2 penalty": trained(1, decay=1e-3),
    "dropout": trained(1, dropout=0.5),
}

print(f"{problem.num_weights:,} weights; batches of 64, seed 0, joined with:")
print(f"{'':14} {'ends':>15}   {'segment':>17}   {'chain':>17}    accuracy on test data, lowest")
print(f"{'':14} {'training loss':>15}   {'barrier at t':>17}   {'barrier at t':>17}    {'segment':>8} {'chain':>8}")
for name, other in others.items():
    chain = tw.connect(problem, first.state_dict(), other.state_dict(), "polygonal", steps=800, seed=0)
    ways = {"segment": tw.Segment(chain.curve.a, chain.curve.b), "chain": chain.curve}
    along = {way: tw.loss_along(problem, curve, t=21) for way, curve in ways.items()}
    barrier = {way: tw.loss_barrier(found).sel(quantity="loss") for way, found in along.items()}
    lowest = {way: float(found.test_accuracy.min()) for way, found in along.items()}
    ends = f"{float(barrier['chain'].start):.4f} {float(barrier['chain'].end):.4f}"
    height = {way: f"{float(found.barrier):9.4f} at {float(found.t):.2f}" for way, found in barrier.items()}
    print(f"{name:14} {ends:>15}   {height['segment']:>17}   {height['chain']:>17}    ", end="")
    print(f"{lowest['segment']:8.3f} {lowest['chain']:8.3f}")
    folder = name.replace(" ", "_").lower()
    tw.save(chain.dataset, study, f"{folder}/connection", overwrite=True)
    tw.save(tw.course(chain.curve, tw.curve_plane(chain.curve)), study, f"{folder}/course", overwrite=True)
    for way, found in along.items():
        tw.save(found, study, f"{folder}/{way}", overwrite=True)
        tw.save(tw.loss_barrier(found), study, f"{folder}/{way}_barrier", overwrite=True)
    tw.figures.save(tw.figures.connection(along, title=f"Joined with {name}"), f"{folder}.html")
