"""Runs and curves between solutions in a report."""

from tests.figures import valleys
from thalweg.apps.sections import sections


def test_every_kind_of_run_and_curve_has_a_section_with_a_picture():
    study = {
        "motion": valleys.motion(),
        "walk": valleys.random_walk(samples=3),
        "length": valleys.by_length(),
        "curve/bezier": valleys.connection(30),
        "barrier": valleys.barrier(),
        "course": valleys.course(),
        "trajectory": valleys.trajectory(),
    }
    found = {anchor: (heading, body.count("<figure")) for anchor, heading, body in sections(study)}
    assert found == {
        "trajectory": ("The recorded training run", 1),
        "motion": ("How the run moved", 1),
        "walk": ("The run beside a random walk", 1),
        "length": ("Components of shorter runs", 1),
        "curve-bezier": ("Between two solutions", 1),
        "barrier": ("Barriers between two solutions", 1),
        "course": ("A curve in its plane", 1),
    }


def test_a_curve_is_drawn_on_the_surfaces_of_its_plane_and_on_no_other():
    ground = valleys.valley_surface(9)
    study = {"surface/plane": ground, "surface/other": ground.assign_attrs(subspace_id="x"), "course": valleys.course()}
    body = next(body for anchor, _, body in sections(study) if anchor == "course")
    assert body.count("<figure") == 1
    assert "Bezier curve" in body


def test_what_was_measured_along_a_curve_is_shown_with_it_and_not_again():
    segment, curve = valleys.along(), valleys.along(0.0, "bezier")
    study = {"curve/x": valleys.connection(30), "along/x/segment": segment, "along/x/curve": curve}
    study |= {
        "barrier/x/curve": valleys.barrier(),
        "surface/x": valleys.valley_surface(9),
        "course/x": valleys.course(),
    }
    found = {anchor: body for anchor, _, body in sections(study)}
    assert set(found) == {"curve-x", "surface-x"}
    assert "learned curve" in found["curve-x"]
    assert "Bezier curve" in found["surface-x"]
