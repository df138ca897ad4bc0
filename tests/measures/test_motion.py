"""Distances, speed and turns of a path, against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thalweg as tw
from tests.measures.paths import trajectory, walk
from thalweg.measures import stripes

FEW = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@FEW
@given(seed=seeds, num_steps=st.integers(2, 12), num_weights=st.integers(1, 20))
def test_motion_is_that_of_a_loop_over_rows(seed, num_steps, num_weights):
    theta = walk(seed, num_steps, num_weights)
    steps = np.cumsum(np.random.default_rng(seed).integers(1, 9, num_steps))
    found = tw.motion(trajectory(theta, steps))
    length = 0.0
    for k in range(num_steps):
        if k:
            move = theta[k] - theta[k - 1]
            length += np.linalg.norm(move)
            np.testing.assert_allclose(found.speed[k], np.linalg.norm(move) / (steps[k] - steps[k - 1]), rtol=1e-12)
        np.testing.assert_allclose(found.path_length[k], length, rtol=1e-12)
        np.testing.assert_allclose(found.distance_from_start[k], np.linalg.norm(theta[k] - theta[0]), rtol=1e-12)
        np.testing.assert_allclose(found.distance_from_end[k], np.linalg.norm(theta[k] - theta[-1]), rtol=1e-12)
        if 0 < k < num_steps - 1:
            after = theta[k + 1] - theta[k]
            cosine = move @ after / np.linalg.norm(move) / np.linalg.norm(after)
            np.testing.assert_allclose(found.cosine[k], cosine, atol=1e-12)
    assert np.isnan(found.speed[0])
    assert np.isnan(found.cosine[[0, -1]]).all()


def test_cosines_tell_a_line_a_zigzag_and_a_walk_apart():
    line = np.outer(np.arange(9.0), np.ones(5))
    np.testing.assert_allclose(tw.motion(trajectory(line)).cosine[1:-1], 1.0)
    zigzag = np.outer(np.arange(9) % 2, np.ones(5))
    np.testing.assert_allclose(tw.motion(trajectory(zigzag)).cosine[1:-1], -1.0)
    assert (np.abs(tw.motion(trajectory(walk(0, 30, 10_000))).cosine[1:-1]) < 0.06).all()


def test_small_moves_far_from_the_origin_are_told_exactly():
    """Distances from inner products of the weights would drown them: 1e8² against 1."""
    theta = 1e8 + np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    found = tw.motion(trajectory(theta))
    np.testing.assert_array_equal(found.path_length, [0, 1, 2])
    np.testing.assert_array_equal(found.cosine[1], 0)


def test_where_a_path_stands_still_it_has_no_direction():
    found = tw.motion(trajectory([[0.0], [1.0], [1.0], [2.0]]))
    np.testing.assert_array_equal(found.speed[1:], [1, 0, 1])
    assert np.isnan(found.cosine).all()


@pytest.mark.parametrize("columns", [1, 3, 7])
def test_motion_does_not_depend_on_how_much_is_in_memory(monkeypatch, columns):
    recorded = trajectory(walk(3).astype(np.float32))
    whole = tw.motion(recorded)
    monkeypatch.setattr(stripes, "READ_BYTES", columns * 4 * 12)
    monkeypatch.setattr(stripes, "WORK_BYTES", 2 * 8 * 12)
    parts = tw.motion(recorded)
    for name in whole.data_vars:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-12)


@pytest.mark.parametrize("chunk", [1, 4, 10, 64])
@pytest.mark.parametrize("columns", [1, 3, 4, 9, 30, 100])
def test_stripes_cover_every_weight_once_and_end_where_chunks_end(monkeypatch, chunk, columns):
    recorded = trajectory(walk(0))
    recorded["theta"].encoding["chunks"] = (1, chunk)
    monkeypatch.setattr(stripes, "READ_BYTES", columns * 8 * 12)
    found = list(stripes.stripes(recorded["theta"]))
    np.testing.assert_array_equal(np.concatenate([block for _, block in found], axis=1), recorded["theta"])
    assert [columns.start for columns, _ in found] == [0, *(columns.stop for columns, _ in found[:-1])]
    widest = max(block.shape[1] for _, block in found)
    assert widest <= columns
    for left, right in ((columns.start, columns.stop) for columns, _ in found):
        assert left // chunk == (right - 1) // chunk or left % chunk == 0, "no chunk is read for a piece at its end"


def test_a_path_that_is_none_is_refused():
    with pytest.raises(ValueError, match="needs at least 2 recorded steps; the trajectory has 1"):
        tw.motion(trajectory(np.ones((1, 3))))
    with pytest.raises(ValueError, match="needs at least 2 recorded steps; the trajectory is empty"):
        tw.motion(trajectory(np.ones((0, 3))))
    with pytest.raises(ValueError, match="do not rise"):
        tw.motion(trajectory(np.ones((3, 3)), [0, 2, 1]))
    with pytest.raises(ValueError, match="diverged"):
        tw.motion(trajectory([[0.0], [np.inf]]))
    with pytest.raises(ValueError, match="kind 'components'"):
        tw.motion(tw.principal_components(trajectory(walk(0))))


@pytest.mark.parametrize("num_rows", [0, 1])
def test_an_empty_trajectory_is_refused_by_all_that_need_a_path(num_rows):
    empty = trajectory(np.ones((num_rows, 3)))
    asked = [tw.motion, tw.random_walk, tw.components_by_length, tw.principal_components, tw.principal_plane]
    if not num_rows:
        line = tw.Line(np.zeros(3), np.ones(3))
        asked += [tw.average_weights, tw.moving_average, lambda path: tw.project_trajectory(path, line)]
        problem = tw.FunctionProblem(lambda theta: (theta**2).sum(-1), num_weights=3)
        asked += [lambda path: tw.track_spectrum(problem, path, k=1)]
    for ask in asked:
        with pytest.raises(ValueError, match=r"recorded step|is empty"):
            ask(empty)
