"""Runs and curves between solutions in a report."""

from tests.figures import valleys
from thalweg.apps.sections import sections
from thalweg.apps.sections_valleys import HEADINGS


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
        "motion": (HEADINGS["motion"], 1),
        "walk": (HEADINGS["random_walk"], 1),
        "length": (HEADINGS["components_by_length"], 1),
        "curve-bezier": (HEADINGS["connection"], 1),
        "barrier": (HEADINGS["barrier"], 1),
        "course": (HEADINGS["course"], 1),
    }


def test_a_curve_is_drawn_on_the_surfaces_of_its_plane_and_on_no_other():
    ground = valleys.valley_surface(9)
    study = {"surface/plane": ground, "surface/other": ground.assign_attrs(subspace_id="x"), "course": valleys.course()}
    body = next(body for anchor, _, body in sections(study) if anchor == "course")
    assert body.count("<figure") == 2
    assert "Bezier curve" in body
