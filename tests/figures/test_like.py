"""Two surfaces on one scale: what is drawn like another has its colours, heights and iso-lines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.figures.conftest import A, B, landscape, make, value
from thalweg import figures


def plane():
    values = landscape(A[:, None], B[None])
    dims = ("alpha", "beta")
    return make({"loss": value("loss", dims, values)}, {"alpha": A, "beta": B}, dims)


def drawn(ds, **options):
    return figures.surface(ds, backend="none", **options).layers["loss"]


@given(factor=st.floats(0.01, 100), log=st.sampled_from(["auto", True, False]), clip=st.sampled_from(["auto", None]))
def test_each_like_the_other_has_the_same_scale(factor, log, clip):
    one = plane()
    other = one.copy(deep=True)
    other["loss"] = factor * one["loss"] + 0.1
    other["loss"].attrs = one["loss"].attrs
    a = drawn(one, like=other.loss, log=log, clip=clip)
    b = drawn(other, like=one.loss, log=log, clip=clip)
    assert a.scale == b.scale
    np.testing.assert_array_equal(a.levels, b.levels)
    np.testing.assert_array_equal(a.fine, b.fine)
    assert a.ticks == b.ticks


def test_a_surface_like_itself_is_as_it_was():
    one = plane()
    assert drawn(one, like=[one.loss, one.loss]).scale == drawn(one).scale


def test_all_of_both_lies_on_the_scale():
    one = plane()
    other = one.copy(deep=True)
    other["loss"] = (one["loss"] + 1000).assign_attrs(one["loss"].attrs)
    scale = drawn(one, like=other.loss, log=False, clip=None).scale
    assert scale.low == pytest.approx(float(one.loss.min()))
    assert scale.high == pytest.approx(float(other.loss.max()))


def test_a_dataset_is_refused():
    with pytest.raises(TypeError, match=r"other\.loss"):
        drawn(plane(), like=plane())
