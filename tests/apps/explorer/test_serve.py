"""`thalweg open` and `serve`: one address, this machine only, until it is interrupted."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from thalweg.apps.explorer import serve
from thalweg.cli import app


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, ["open", "--no-browser", *words])
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


def test_what_is_no_study_is_refused_in_a_line(tmp_path):
    (tmp_path / "file.zarr").write_text("mine")
    assert "There is no study" in refused(str(tmp_path / "nothing.zarr"))
    assert "is no study" in refused(str(tmp_path / "file.zarr"))


def test_a_port_that_is_taken_is_named(study):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port}" in refused(str(study), "--port", str(port))
    with pytest.raises(ValueError, match="no port"):
        serve(study, port=70000, browser=False)


def test_the_browser_is_opened_only_if_wanted(study, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("uvicorn.Server.run", lambda *_args, **_more: None)
    pages: list[str] = []
    serve(study, browser=False, ready=pages.append)
    assert opened == []
    serve(study, ready=pages.append)
    assert opened == pages[1:]
    assert pages[0].startswith("http://127.0.0.1:")


def test_without_its_libraries_it_says_what_to_install(study, monkeypatch):
    monkeypatch.delitem(sys.modules, "thalweg.apps.explorer.server", raising=False)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(ModuleNotFoundError, match=r"thalweg\[apps\]"):
        serve(study, browser=False)


@pytest.mark.slow
def test_the_study_is_open_until_it_is_interrupted(study):
    command = [sys.executable, "-m", "thalweg.cli", "open", str(study), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_env()) as process:
        try:
            page = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline()).group()
            with urllib.request.urlopen(page + "api/study", timeout=20) as reply:
                assert json.load(reply)["name"] == "study.zarr"
            process.send_signal(signal.SIGINT)
            _, complaints = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 0
    assert complaints == ""


def _env() -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(p).resolve()) for p in sys.path if p]),
        "PYTHONUNBUFFERED": "1",
    }
