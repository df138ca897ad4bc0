"""The algebra of labels, against arrays that are permuted entry by entry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.subspaces.permutations.labels import Groups, Part, fixed, size_of


def order(groups, label, seed):
    """Which entry comes to each place if all groups are permuted at random: by a loop."""
    found, start = [], 0
    for part in groups.resolve(label):
        units = np.arange(part.units)
        if part.group is not None:
            units = np.random.default_rng([seed, part.group]).permutation(part.units)
        for unit in units:
            found += [start + unit * part.block + k for k in range(part.block)]
        start += part.size
    return np.array(found)


@st.composite
def axes(draw, groups, length):
    """A label of the given length, of new groups with blocks and of entries that stay."""
    label = ()
    while (left := length - size_of(label)) > 0:
        block = draw(st.sampled_from([k for k in (1, 2, 3) if k <= left]))
        units = draw(st.integers(1, left // block))
        label += draw(st.sampled_from([fixed(units * block), groups.fresh(units, block), groups.fresh(units, block)]))
    return label


@given(data=st.data(), length=st.integers(1, 24), seed=st.integers(0, 1000))
def test_axes_that_are_tied_are_permuted_alike(data, length, seed):
    groups = Groups()
    a, b, c = (data.draw(axes(groups, length)) for _ in range(3))
    groups.tie(a, b)
    groups.tie(c, b)
    for other in (b, c):
        np.testing.assert_array_equal(order(groups, a, seed), order(groups, other, seed))


@given(data=st.data(), length=st.integers(1, 24), seed=st.integers(0, 1000))
def test_a_slice_is_permuted_like_its_place_in_the_whole(data, length, seed):
    groups = Groups()
    label = data.draw(axes(groups, length))
    start = data.draw(st.integers(0, length))
    stop = data.draw(st.integers(start, length))
    part = groups.take(label, start, stop)
    whole = order(groups, label, seed)
    np.testing.assert_array_equal(whole[start:stop], start + order(groups, part, seed) if start < stop else [])


@given(data=st.data(), outer=st.integers(1, 5), inner=st.integers(1, 6), seed=st.integers(0, 1000))
def test_merging_two_axes_permutes_both(data, outer, inner, seed):
    groups = Groups()
    a, b = data.draw(axes(groups, outer)), data.draw(axes(groups, inner))
    merged = order(groups, groups.product(a, b), seed)
    table = np.arange(outer * inner).reshape(outer, inner)
    np.testing.assert_array_equal(merged, table[order(groups, a, seed)][:, order(groups, b, seed)].reshape(-1))


@given(data=st.data(), outer=st.integers(1, 5), inner=st.integers(1, 6), seed=st.integers(0, 1000))
def test_cutting_an_axis_in_two_permutes_it_as_before(data, outer, inner, seed):
    groups = Groups()
    label = data.draw(axes(groups, outer * inner))
    a, b = groups.factor(label, outer)
    assert (size_of(a), size_of(b)) == (outer, inner)
    table = np.arange(outer * inner).reshape(outer, inner)
    expected = table[order(groups, a, seed)][:, order(groups, b, seed)].reshape(-1)
    np.testing.assert_array_equal(order(groups, label, seed), expected)


def test_cutting_undoes_merging():
    groups = Groups()
    units = groups.fresh(5)
    assert groups.factor(groups.product(units, fixed(4)), 5) == (units, fixed(4))
    assert groups.factor(groups.product(fixed(4), units), 4) == (fixed(4), units)
    assert groups.resolve(units) == units


def test_tying_is_no_stricter_than_it_needs_to_be():
    """Two groups end to end against one: it falls in two. A group against blocks: it moves in blocks."""
    groups = Groups()
    a, b, whole = groups.fresh(2), groups.fresh(3), groups.fresh(5)
    groups.tie((*a, *b), whole)
    assert [part.units for part in groups.resolve(whole)] == [2, 3]
    single, blocks = groups.fresh(6), groups.fresh(3, block=2)
    groups.tie(single, blocks)
    assert groups.resolve(single) == blocks
    half = groups.fresh(4)
    groups.tie(half, (*fixed(1), *groups.fresh(3)))
    assert [(part.group is None, part.units) for part in groups.resolve(half)] == [(True, 1), (False, 3)]


def test_what_cannot_be_permuted_alike_stays():
    groups = Groups()
    a = groups.fresh(6)
    groups.tie((*a, *fixed(1)), (*fixed(1), *a))
    assert groups.is_fixed(a)
    b, c = groups.fresh(3, block=2), groups.fresh(2, block=3)
    groups.tie(b, c)
    assert groups.is_fixed(b)
    assert groups.is_fixed(c)
    assert groups.is_fixed(groups.fresh(1, block=7))  # one unit has nowhere to go
    with pytest.raises(ValueError, match="5 and 6 entries"):
        groups.tie(fixed(5), fixed(6))


def test_a_group_cut_into_runs_moves_within_them():
    groups = Groups()
    label = groups.fresh(6)
    groups.cut(label, 2)
    assert groups.resolve(label) == (Part(1, 2), Part(3, 2), Part(4, 2))
