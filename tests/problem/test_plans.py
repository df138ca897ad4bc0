"""Plans are remembered between runs, and a damaged memory is no memory."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thalweg.problem.engine import Plan
from thalweg.problem.plans import folder, remembered

FACTS = {"model": "some", "points": 3}
MEASURED = Plan(points_at_once=4, batch_size=64, measured={"one point": 1.5})


def never():
    raise AssertionError("measured again")


def test_a_measured_plan_is_measured_once():
    assert remembered(FACTS, lambda: (MEASURED, 0.25)) == (MEASURED, 0.25)
    plan, seconds = remembered(FACTS, never)
    assert (plan, seconds, plan.measured) == (MEASURED, 0.25, MEASURED.measured)


def test_other_facts_are_another_plan():
    remembered(FACTS, lambda: (MEASURED, 0.25))
    other = Plan(batch_size=8, measured={"x": 1.0})
    assert remembered({**FACTS, "points": 4}, lambda: (other, 1.0)) == (other, 1.0)
    assert remembered(dict(reversed(FACTS.items())), never)[0] == MEASURED


def test_a_plan_that_was_not_measured_is_not_kept():
    remembered(FACTS, lambda: (Plan(), 1.0))
    assert remembered(FACTS, lambda: (MEASURED, 2.0)) == (MEASURED, 2.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=st.binary(max_size=40)
    | st.sampled_from([b"null", b"[]", b"3", b'{"plan": 5}', b'{"plan": "[1]", "seconds": 1}'])
    | st.sampled_from(
        [
            json.dumps({"plan": json.dumps(plan), "seconds": seconds}).encode()
            for plan, seconds in [
                ({"points_at_once": "many"}, 1.0),
                ({"points_at_once": 0}, 1.0),
                ({"batch_size": 0}, 1.0),
                ({"batch_size": -5}, 1.0),
                ({"measured": 3}, 1.0),
                ({"speed": 1}, 1.0),
                ({}, None),
            ]
        ]
    )
)
def test_a_damaged_file_is_measured_anew_and_replaced(damage):
    for old in folder().glob("*.json"):
        old.unlink()
    remembered(FACTS, lambda: (MEASURED, 0.25))
    (file,) = folder().glob("*.json")
    file.write_bytes(damage)
    assert remembered(FACTS, lambda: (MEASURED, 0.5)) == (MEASURED, 0.5)
    assert remembered(FACTS, never) == (MEASURED, 0.5)


def test_a_folder_that_cannot_be_written_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("THALWEG_CACHE_DIR", str(tmp_path / "file"))
    assert remembered(FACTS, lambda: (MEASURED, 0.25)) == (MEASURED, 0.25)


def test_where_plans_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("THALWEG_CACHE_DIR", str(tmp_path / "own"))
    assert folder() == tmp_path / "own" / "plans"
    monkeypatch.delenv("THALWEG_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder() == tmp_path / "thalweg" / "plans"
