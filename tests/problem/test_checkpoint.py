"""Weights from files: data are read, code is not run, and keys that do not fit are named."""

import pickle

import pytest
import safetensors.torch
import torch
from torch import nn

import thalweg as tw
from thalweg.problem import read_state

from . import naive


def same(model, other):
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def normed(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    model(torch.randn(9, 4))
    return model


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model_state_dict": s}]
)
def test_a_state_dict_is_read_bare_or_one_level_down(tmp_path, wrap):
    trained, model = normed(1), normed(2)
    torch.save(wrap(trained.state_dict()), tmp_path / "w.pt")
    assert tw.load_weights(model, tmp_path / "w.pt") is model
    assert same(model, trained)


def test_safetensors_are_read_buffers_included(tmp_path):
    trained, model = normed(1), normed(2)
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "w.safetensors")
    tw.load_weights(model, str(tmp_path / "w.safetensors"))
    assert same(model, trained)


class Malicious:
    """Unpickled, it would write a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize("name", ["w.pt", "w.pkl", "w.safetensors", "w"])
@pytest.mark.parametrize("save", [torch.save, lambda thing, file: file.write_bytes(pickle.dumps(thing, protocol=2))])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path, name, save):
    proof = tmp_path / "ran"
    save({"state_dict": normed(1).state_dict(), "extra": Malicious(proof)}, tmp_path / name)
    with pytest.raises(ValueError, match=name):
        tw.load_weights(normed(2), tmp_path / name)
    assert not proof.exists()
    pickle.loads(pickle.dumps(Malicious(proof))).close()
    assert proof.exists()  # it would have


def test_a_whole_pickled_model_is_refused_with_what_to_save_instead(tmp_path):
    torch.save(normed(1), tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"refused.*save_file\(model\.state_dict\(\)"):
        tw.load_weights(normed(2), tmp_path / "model.pt")


def test_keys_that_do_not_fit_are_named_and_the_model_is_unchanged(tmp_path):
    model, kept = normed(2), normed(2)
    state = normed(1).state_dict()
    state["surplus"] = state.pop("0.bias")
    state["2.weight"] = torch.zeros(7, 5)
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(
        ValueError, match=r"w\.pt.*missing `0\.bias`.*not in the model `surplus`.*`2\.weight` is \(7, 5\).*\(3, 5\)"
    ):
        tw.load_weights(model, tmp_path / "w.pt")
    assert same(model, kept)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model."])
def test_a_wrappers_prefix_is_recognised(tmp_path, prefix):
    torch.save({prefix + key: value for key, value in normed(1).state_dict().items()}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=f"begins with `{prefix}`"):
        tw.load_weights(normed(2), tmp_path / "w.pt")


def tied(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    return model


def test_tied_weights_are_read_from_a_file_that_keeps_one_of_their_names(tmp_path):
    """safetensors drops names that share storage."""
    trained, model = tied(1), tied(2)
    safetensors.torch.save_model(trained, tmp_path / "w.safetensors")
    assert len(safetensors.torch.load_file(tmp_path / "w.safetensors")) == 3
    tw.load_weights(model, tmp_path / "w.safetensors")
    assert same(model, trained)
    assert model[2].weight is model[0].weight


def test_tied_weights_that_are_not_in_the_file_at_all_are_missing(tmp_path):
    state = {key: value for key, value in tied(1).state_dict().items() if "bias" in key}
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"missing `0\.weight`"):
        tw.load_weights(tied(2), tmp_path / "w.pt")


def test_a_file_that_is_not_there_is_named_with_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        read_state(tmp_path / "nothing.pt")


@pytest.mark.parametrize(
    ("name", "content"),
    [("w.pt", b""), ("w.pt", b"PK\x03\x04 cut short"), ("w.pt", b"plain text"), ("w.safetensors", b"{}")],
)
def test_damaged_files_are_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        read_state(tmp_path / name)


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"state_dict": {}}, {"optimizer": {"lr": 0.1}}])
def test_a_file_without_a_state_dict_is_refused_with_what_it_holds(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"w\.pt holds"):
        read_state(tmp_path / "w.pt")


def test_loaded_weights_are_what_the_problem_stands_at(tmp_path):
    trained = naive.mlp(seed=5)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    problem = tw.ModuleProblem(
        tw.load_weights(naive.mlp(), tmp_path / "w.pt"), naive.examples(), loss=nn.functional.cross_entropy
    )
    assert torch.equal(problem.theta, torch.cat([p.detach().flatten() for p in trained.parameters()]))


def test_any_other_bytes_are_no_checkpoint(tmp_path):
    for content in (b"hello", b"", b"PK\x03\x04broken", bytes(range(256))):
        (tmp_path / "junk.pt").write_bytes(content)
        with pytest.raises(ValueError, match=r"junk\.pt"):
            read_state(tmp_path / "junk.pt")
