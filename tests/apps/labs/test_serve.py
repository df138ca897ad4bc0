"""The labs' server keeps to this machine, and the command line says what there is."""

import socket
import urllib.error
import urllib.request

import pytest
from typer.testing import CliRunner

from thalweg.apps.labs import LABS, lab
from thalweg.apps.labs.serve import head, index_page, serve
from thalweg.cli import app


def test_the_list_names_every_lab_and_asks_for_nothing_else():
    page = index_page()
    assert all(f'href="/{found.name}/"' in page and found.title in page for found in LABS.values())
    assert "http" not in page + head()


def test_every_notebook_of_the_folder_is_in_the_catalogue():
    (folder,) = {found.file.parent for found in LABS.values()}
    notebooks = {file for file in folder.glob("*.py") if "marimo.App(" in file.read_text()}
    assert notebooks == {found.file for found in LABS.values()}


def test_names_with_underscores_are_the_same_and_unknown_ones_are_refused():
    assert lab("Calculus") is LABS["calculus"]
    with pytest.raises(KeyError, match="There is no lab 'algebra'; there are"):
        lab("algebra")


def test_the_command_lists_and_refuses():
    listed = CliRunner().invoke(app, ["lab"])
    assert listed.exit_code == 0
    assert all(name in listed.output for name in LABS)
    unknown = CliRunner().invoke(app, ["lab", "algebra"])
    assert unknown.exit_code == 2
    assert "There is no lab 'algebra'" in unknown.output


def test_a_port_that_is_taken_is_told():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"Port {port} of 127\.0\.0\.1 is taken"):
            serve("calculus", port=port, browser=False)


@pytest.mark.slow
def test_other_host_names_are_refused(labs):
    with urllib.request.urlopen(labs) as found:
        assert found.status == 200
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(urllib.request.Request(labs, headers={"Host": "example.com"}))
