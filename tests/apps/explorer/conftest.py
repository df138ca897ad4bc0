"""A small study with what the explorer shows, and the server that shows it."""

import shutil
import socket
import threading
import time

import numpy as np
import pytest
import uvicorn
import xarray as xr

import thalweg as tw
from thalweg.apps.explorer import application

A, B = np.linspace(-2, 2, 21), np.linspace(-1, 1.5, 17)
THETA = np.stack([np.linspace(-1.5, 0.5, 12), np.linspace(1.0, 0.0, 12)])


def bowl(a, b, split="train"):
    return 0.3 + a**2 + 2 * b**2 + (0.5 * a if split == "test" else 0.0)


def surface(values=bowl, title="A bowl"):
    def told(metric, split, numbers):
        words = {"role": "value", "metric": metric, "split": split, "units": "", "at_origin": 0.3}
        return (("alpha", "beta"), numbers, words | {"long_name": f"{split}ing {metric}".replace("testing", "test")})

    a, b = A[:, None], B[None]
    ds = xr.Dataset(
        {
            "loss": told("loss", "train", values(a, b)),
            "test_loss": told("loss", "test", values(a, b, "test")),
            "accuracy": told("accuracy", "train", 1 / (1 + values(a, b))),
        },
        {"alpha": A, "beta": B},
        {"kind": "surface", "coordinates": ["alpha", "beta"], "subspace_id": "one", "title": title, "seed": 7},
    )
    for name in ("alpha", "beta"):
        ds[name].attrs["units"] = "distance"
    return ds


def path():
    a, b = THETA
    over = {"alpha": a, "beta": b, "distance": 0.1 * np.arange(12.0), "loss": bowl(a, b) + 0.01}
    over["projected_loss"] = bowl(a, b)
    attrs = {"kind": "path", "coordinates": ["alpha", "beta"], "subspace_id": "one"}
    return xr.Dataset({key: ("step", value) for key, value in over.items()}, {"step": 10 * np.arange(12)}, attrs)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    where = tmp_path_factory.mktemp("explorer") / "study.zarr"
    tw.save(surface(), where, "surface/bowl")
    tw.save(surface(lambda a, b, _="train": 5 * bowl(a, b), "A steep bowl"), where, "surface/steep")
    tw.save(path(), where, "path/bowl")
    line = surface().isel(beta=8, drop=True).assign_attrs(coordinates=["alpha"], title="A line")
    tw.save(line, where, "surface/line")
    problem = tw.FunctionProblem(lambda x, y: (1 - x * y) ** 2 + 0.1 * x**2)
    tw.save(tw.top_eigenpairs(problem, theta=np.ones(2), k=2), where, "spectrum/hessian")
    return where


@pytest.fixture
def own(study, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(study, tmp_path / "own.zarr")


@pytest.fixture
def served():
    """Addresses of studies, each served by a real server until the test ends."""
    running = []

    def serve(where):
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(application(where), log_level="error", ws="none", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        running.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield serve
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
