"""Memory of a recorder and of what reads its rows does not grow with the network."""

import json
import os
import subprocess
import sys

import pytest

ENV = os.environ | {"OMP_NUM_THREADS": "1"}
SCRIPT = """
import json, sys, torch, numpy as np, thalweg as tw
from thalweg.measures.trajectory import principal_components

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

def forget_peak():
    open("/proc/self/clear_refs", "w").write("5")

def record(name, num_weights, rows=4):
    model = torch.nn.ParameterList([torch.zeros(num_weights // 2), torch.zeros(num_weights - num_weights // 2)])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    forget_peak()
    before = peak()
    recorder = tw.Recorder(sys.argv[1], name).attach(model, optimizer)
    for k in range(rows - 1):
        with torch.no_grad():
            for parameter in model:
                parameter[k :: rows] += k + 1.0
        optimizer.step()
    recorder.close()
    return peak() - before

import thalweg.store.study as study
import thalweg.measures.stripes as stripes
study._LAZY_BYTES = 0
stripes.READ_BYTES = 2**25
record("warm", 2**21)
tw.motion(tw.load(sys.argv[1], "warm"))
n = 2**26
told = {"row": 4 * n, "recording": record("big", n)}
trajectory = tw.load(sys.argv[1], "big")
for name, measure in (("motion", tw.motion), ("components", tw.principal_components)):
    forget_peak()
    before = peak()
    found = measure(trajectory)
    told[name] = peak() - before - found.nbytes
print(json.dumps(told))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="peaks are read from /proc")
def test_a_row_of_64_million_weights_is_never_in_memory_as_a_whole(tmp_path):
    """Recorded, and read again by what asks for all rows: a row is 256 MB, and there are four."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "s.zarr")]
    run = subprocess.run(command, check=False, capture_output=True, text=True, env=ENV)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["recording"] < 0.7 * told["row"], told
    assert told["motion"] < told["row"], told
    assert told["components"] < told["row"], told
