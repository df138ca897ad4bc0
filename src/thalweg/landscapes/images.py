"""What all image data sets share: the split into training and test examples, and labels shuffled to be memorised."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Split(NamedTuple):
    """Training and test examples: images `(n, 1, height, width)` in [0, 1], and classes `(n,)`."""

    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


def shuffled_split(images: Tensor, classes: Tensor, num_train: int, seed: int) -> Split:
    """Shuffle examples by `seed` and cut them in two.

    Examples
    --------
    >>> train, test = shuffled_split(torch.rand(5, 1, 2, 2), torch.arange(5), num_train=3, seed=0)
    >>> len(train[0]), sorted([*train[1].tolist(), *test[1].tolist()])
    (3, [0, 1, 2, 3, 4])
    """
    if not 0 < num_train < len(classes):
        raise ValueError(f"num_train={num_train}; there are {len(classes)} images, and both parts need some.")
    order = torch.randperm(len(classes), generator=torch.Generator().manual_seed(seed))
    images, classes = images[order], classes[order]
    return Split((images[:num_train], classes[:num_train]), (images[num_train:], classes[num_train:]))


def shuffle_labels(targets: Tensor, seed: int = 0, fraction: float = 1.0) -> Tensor:
    """Permute the labels of a random part of the examples: nothing can be learned of these, only memorised.

    A permutation keeps the number of examples of each class. Some labels stay right by chance: of `k` balanced classes
    a share of `1/k` of those permuted.

    Parameters
    ----------
    targets
        Labels `(n, ...)`; they are not changed.
    seed
        Which examples, and how permuted.
    fraction
        Share of the examples among which labels are permuted, from 0 to 1.

    Notes
    -----
    Networks can bring the training loss to zero on such labels: Zhang et al. (2017), Understanding deep learning
    requires rethinking generalization, arXiv:1611.03530.

    Examples
    --------
    >>> labels = torch.arange(10)
    >>> shuffled = shuffle_labels(labels, seed=0)
    >>> bool((shuffled == labels).all()), shuffled.sort().values.tolist() == labels.tolist()
    (False, True)
    """
    if targets.ndim == 0:
        raise ValueError("The targets are a single number; labels are permuted among examples, (n, ...).")
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction={fraction}; a share of the examples lies between 0 and 1.")
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(targets), generator=generator)[: round(fraction * len(targets))].to(targets.device)
    shuffled = targets.clone()
    order = torch.randperm(len(chosen), generator=generator).to(targets.device)
    shuffled[chosen] = targets[chosen[order]]
    return shuffled
