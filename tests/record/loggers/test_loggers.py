"""What is recorded arrives in TensorBoard, W&B and MLflow: read back by what those libraries write to disk."""

import json
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

import thalweg as tw
from thalweg.record.loggers import MetricSink, MlflowSink, TensorBoardSink, WandbSink, log_dataset


class Kept:
    """A logger of one's own: no base class."""

    def __init__(self):
        self.rows, self.closed = [], False

    def log(self, step, values):
        self.rows.append((step, values))

    def close(self):
        self.closed = True


def train(study, loggers, every=2, curvature=False):
    """Seven steps of descent, recorded, with both recorders on the same loggers."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    x, y = torch.randn(20, 3), torch.randn(20, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    recorder = tw.Recorder(study, "run/weights", loggers=loggers).attach(model, optimizer, every)
    problem = tw.ModuleProblem(model, (x, y), loss=F.mse_loss)
    watcher = tw.CurvatureRecorder(study, problem, k=2, loggers=loggers) if curvature else None
    if watcher is not None:
        watcher.attach(model, optimizer, 3)
    for _ in range(7):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        recorder.log(loss)
        optimizer.step()
        scheduler.step()
    recorder.close()
    if watcher is not None:
        watcher.close()
    return recorder.trajectory(), watcher.spectrum() if watcher is not None else None


def expected(trajectory, prefix):
    """Name to (steps, values), by hand; the loss before the first step is unknown."""
    steps = trajectory.step.values.tolist()
    return {
        f"{prefix}/loss": (steps[1:], trajectory.loss.values[1:].tolist()),
        f"{prefix}/learning_rate": (steps, trajectory.learning_rate.values.tolist()),
    }


def read_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder)).Reload()
    return {
        name: ([e.step for e in found.Scalars(name)], [e.value for e in found.Scalars(name)])
        for name in found.Tags()["scalars"]
    }


def read_wandb(folder):
    """The history in an offline file, once the run has ended there (`finish` does not wait for the disk)."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    found, kinds, deadline = {}, [], time.monotonic() + 20
    while "exit" not in kinds and time.monotonic() < deadline:
        records = [wandb_internal_pb2.Record.FromString(data) for data in leveldb_records(file.read_bytes())]
        kinds = [record.WhichOneof("record_type") for record in records]
        time.sleep(0.05)
    for record in records:
        row = {item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        for name in row.keys() - {"thalweg/step"}:
            if not name.startswith("_"):
                steps, values = found.setdefault(name, ([], []))
                steps.append(row.get("thalweg/step"))
                values.append(row[name])
    return found


def leveldb_records(data):
    """A log of LevelDB: blocks of 32 KiB with pieces of header (checksum, length, type) and data; 7 bytes before."""
    place, whole = 7, b""
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4) and place <= len(data):
            yield whole
            whole = b""


def read_mlflow(uri, run):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    names = client.get_run(run).data.metrics
    history = {name: client.get_metric_history(run, name) for name in names}
    return {name: ([m.step for m in h], [m.value for m in h]) for name, h in history.items()}


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, (steps, values) in wanted.items():
        assert list(found[name][0]) == list(steps), name
        np.testing.assert_allclose(found[name][1], values, rtol=1e-6, err_msg=name)


def test_a_logger_of_ones_own_gets_the_numbers_of_every_row(tmp_path):
    kept = Kept()
    trajectory, spectrum = train(tmp_path / "s.zarr", [kept], curvature=True)
    wanted = expected(trajectory, "run/weights")
    for name in ("loss", "learning_rate", "threshold", "gradient_norm"):
        wanted[f"spectrum/{name}"] = ([0, 3, 6, 7], spectrum[name].values)
    wanted |= {f"spectrum/eigenvalue_{k}": ([0, 3, 6, 7], spectrum.eigenvalue.values[:, k - 1]) for k in (1, 2)}
    found = {}
    for step, values in kept.rows:
        for name, value in values.items():
            found.setdefault(name, ([], []))[0].append(step)
            found[name][1].append(value)
    same({name: found[name] for name in wanted}, wanted)
    assert not kept.closed, "several recorders may share it"
    assert isinstance(kept, MetricSink)


def test_tensorboard(tmp_path):
    """On disk after every row, not only when closed."""
    with TensorBoardSink(tmp_path / "runs") as sink:
        trajectory, _ = train(tmp_path / "s.zarr", [sink])
        same(read_tensorboard(tmp_path / "runs"), expected(trajectory, "run/weights"))


def test_a_writer_that_was_given_stays_open(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "runs")) as writer:
        TensorBoardSink(writer).close()
        assert writer.file_writer is not None


def test_wandb_offline(tmp_path, monkeypatch):
    """In a run of its own and in one that another logger counts the steps of, also when steps go back."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    import wandb

    with wandb.init(project="test", dir=tmp_path) as run:
        run.log({"other": 1.0}, step=100)
        sink = WandbSink(run)
        trajectory, _ = train(tmp_path / "s.zarr", [sink])
        sink.log(1, {"late": 2.0})
        sink.close()
        run.log({"other": 2.0})
    found = read_wandb(tmp_path)
    del found["other"]
    assert found.pop("late") == ([1], [2.0])
    same(found, expected(trajectory, "run/weights"))
    with WandbSink(project="test", dir=tmp_path / "own") as sink:
        sink.log(3, {"a": 0.5})
    assert read_wandb(tmp_path / "own") == {"a": ([3], [0.5])}
    assert wandb.run is None
    with pytest.raises(TypeError, match="project cannot be set"):
        WandbSink(run, project="x")


def test_mlflow_in_a_sqlite_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with MlflowSink(uri, run_name="first") as sink:
        trajectory, _ = train(tmp_path / "s.zarr", [sink])
        same(read_mlflow(uri, sink.run_id), expected(trajectory, "run/weights"))
    again = MlflowSink(uri, run_id=sink.run_id)
    again.log(9, {"late": float("inf")})
    again.close()
    assert read_mlflow(uri, sink.run_id)["late"] == ([9], [sys.float_info.max])
    assert MlflowSink(uri).run_id != sink.run_id
    assert {path.name for path in tmp_path.iterdir()} == {"s.zarr", "mlflow.db"}


def test_a_finished_result_is_sent_like_one_that_is_recorded(tmp_path):
    live, later = Kept(), Kept()
    trajectory, spectrum = train(tmp_path / "s.zarr", [live], curvature=True)
    log_dataset(trajectory, later, "run/weights")
    log_dataset(spectrum, later, "spectrum")
    assert sorted(live.rows, key=str) == sorted(later.rows, key=str)
    assert not later.closed


def test_paths_and_motions_are_sent_without_what_is_unknown_or_no_number_over_step(tmp_path):
    trajectory, _ = train(tmp_path / "s.zarr", [], every=1)
    plane = tw.principal_plane(trajectory)
    path, kept = tw.project_trajectory(trajectory, plane), Kept()
    log_dataset(path, kept)
    assert [step for step, _ in kept.rows] == list(range(8))
    assert kept.rows[3][1]["path/alpha"] == float(path.alpha[3])
    assert kept.rows[3][1].keys() == {f"path/{n}" for n, v in path.data_vars.items() if v.dims == ("step",)}
    names = ("distance_from_start", "distance_from_end", "path_length", "speed", "cosine")
    columns = {name: ("step", np.arange(3.0)) for name in names} | {"cosine": ("step", [np.nan, 1.0, np.nan])}
    log_dataset(xr.Dataset(columns, {"step": [0, 5, 6]}, {"kind": "motion"}), kept := Kept(), "m")
    assert [("m/cosine" in values) for _, values in kept.rows] == [False, True, False]
    with pytest.raises(ValueError, match="kind 'components' has no numbers over step"):
        log_dataset(tw.principal_components(trajectory), kept)


def test_a_logger_that_fails_is_left_out_with_a_warning_and_training_goes_on(tmp_path):
    class Broken(Kept):
        def log(self, step, values):
            if step == 4:
                raise OSError("disk full")
            super().log(step, values)

    broken, whole = Broken(), Kept()
    with pytest.warns(RuntimeWarning, match=r"Broken failed at step 4 \(OSError: disk full\)") as caught:
        trajectory, _ = train(tmp_path / "s.zarr", [broken, whole])
    assert len(caught) == 1
    assert [step for step, _ in broken.rows] == [0, 2]
    assert [step for step, _ in whole.rows] == trajectory.step.values.tolist() == [0, 2, 4, 6, 7]


def test_the_run_is_the_one_without_loggers_to_the_bit(tmp_path):
    with TensorBoardSink(tmp_path / "runs") as sink:
        one, _ = train(tmp_path / "a.zarr", [sink])
    other, _ = train(tmp_path / "b.zarr", [])
    np.testing.assert_array_equal(one.theta, other.theta)


def test_what_is_no_logger_is_refused(tmp_path):
    with pytest.raises(TypeError, match=r"'tensorboard' is no logger: it needs `log\(step, values\)`"):
        tw.Recorder(tmp_path / "s.zarr", loggers=["tensorboard"])
    with pytest.raises(TypeError, match="expected a list"):
        tw.Recorder(tmp_path / "s.zarr", loggers=Kept())


WITHOUT = """
import sys, warnings
warnings.simplefilter("error")
NAMES = ("lightning", "pytorch_lightning", "transformers", "accelerate", "wandb", "tensorboard", "mlflow", "sqlalchemy")
import thalweg as tw, thalweg.record, thalweg.record.loggers as loggers
assert not set(NAMES) & set(sys.modules), set(NAMES) & set(sys.modules)

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in NAMES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
def told(make):
    try:
        make()
    except ImportError as error:
        print(error)
told(lambda: loggers.TensorBoardSink("runs"))
told(lambda: loggers.WandbSink(mode="offline"))
told(lambda: loggers.MlflowSink("sqlite:///m.db"))
told(lambda: __import__("thalweg.record.lightning"))
told(lambda: __import__("thalweg.record.huggingface"))
"""


@pytest.mark.slow
def test_without_the_libraries_all_imports_and_each_says_what_to_install(tmp_path):
    done = subprocess.run([sys.executable, "-c", WITHOUT], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for extra, line in zip(
        ("tensorboard", "wandb", "mlflow", "lightning", "huggingface"), done.stdout.splitlines(), strict=True
    ):
        assert f'pip install "thalweg[{extra}]"' in line
    assert not any(tmp_path.iterdir())
