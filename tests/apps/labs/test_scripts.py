"""Every lab runs as a script, in its quick setting, answers and all."""

import os
import subprocess
import sys

import pytest

from thalweg.apps.labs import LABS


@pytest.mark.slow
@pytest.mark.parametrize("lab", LABS.values(), ids=list(LABS))
def test_a_lab_is_a_script(lab, tmp_path):
    module = f"thalweg.apps.labs.{lab.file.stem}"
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
