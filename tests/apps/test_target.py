"""`module:callable`: what cannot be imported is told with its reason."""

import pytest

from thalweg import FunctionProblem
from thalweg.apps.target import TargetError, make_problem

CODE = """
import thalweg as tw

def bowl(device="cpu"):
    return tw.FunctionProblem(lambda x, y: x**2 + y**2, device=device)

def number():
    return 3

answer = 42
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "my_problems.py").write_text(CODE)
    (tmp_path / "needs_more.py").write_text("import no_such_library_anywhere\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("target", ["my_problems:bowl", "my_problems.py:bowl", "./my_problems.py:bowl"])
def test_modules_and_files_are_found_in_the_working_directory(target):
    assert isinstance(make_problem(target), FunctionProblem)


@pytest.mark.usefixtures("here")
def test_options_are_passed_to_callables_that_take_them():
    assert make_problem("my_problems:bowl", device="cpu").device.type == "cpu"
    with pytest.raises(TargetError, match="takes no device"):
        make_problem("my_problems:number", device="cpu")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("my_problems", "write `package.module:make_problem`"),
        ("no_such_module:f", "no module 'no_such_module'"),
        ("no_such.py:f", "no file no_such.py"),
        ("my_problems:typo", "has no `typo`; it has `bowl`, `number`"),
        ("my_problems:answer", "is a int, not a function"),
        ("my_problems:number", "returned a int"),
        ("needs_more:f", "needs the module 'no_such_library_anywhere'"),
    ],
)
def test_a_target_that_does_not_work_says_why(target, said):
    with pytest.raises(TargetError, match=said):
        make_problem(target)
