"""Principal features as functions of the input: Nyström's extension, and what it gives back."""

import numpy as np
import pytest
import torch

import thalweg as tw
from tests.measures.tangents import classifier, jacobian, sines_problem


@pytest.mark.parametrize("vectors", [True, False])
def test_at_their_own_inputs_features_are_what_they_were(vectors):
    problem, _ = sines_problem([20, 20], num=150)
    tangent = tw.linearize(problem, k=8, vectors=vectors)
    again = tw.principal_features_at(tangent, problem, "train")
    np.testing.assert_allclose(
        again.principal_feature, tangent.principal_feature, atol=1e-4 * float(tangent.singular_value[0])
    )
    np.testing.assert_array_equal(again.singular_value, tangent.singular_value)


def test_elsewhere_they_are_nystroems_extension_of_the_kernel():
    problem, model, x = classifier()
    z = torch.randn(5, 1, 6, 6, dtype=x.dtype)
    tangent = tw.linearize(problem)
    K = (jacobian(model, z) @ jacobian(model, x).T).numpy()
    values = tangent.singular_value.values
    wanted = K @ (tangent.principal_feature.values / values) / values
    found = tw.principal_features_at(tangent, problem, z)
    np.testing.assert_allclose(found.principal_feature, wanted, atol=1e-9)
    assert found.attrs["found_on"] == "training"


def test_of_one_output_and_the_test_data():
    problem, _ = sines_problem()
    tangent = tw.linearize(problem, "test", 0, k=4)
    found = tw.principal_features_at(tangent, problem, "test")
    np.testing.assert_allclose(found.principal_feature, tangent.principal_feature, atol=1e-4)


def test_what_cannot_be_extended_is_refused():
    problem, _ = sines_problem()
    given = tw.linearize(problem, [[0.0], [0.5]])
    with pytest.raises(ValueError, match="vectors=True"):
        tw.principal_features_at(given, problem, "test")
    tangent = tw.linearize(problem)
    with pytest.raises(ValueError, match="at other weights"):
        tw.principal_features_at(tangent, problem, "test", theta=2 * problem.theta)
    with pytest.raises(ValueError, match="kind 'kernel'"):
        tw.principal_features_at(tw.empirical_ntk(problem), problem, "test")
