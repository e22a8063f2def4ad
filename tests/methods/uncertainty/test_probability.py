import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hf_select.methods.uncertainty.probability import class_probabilities, entropy, mutual_information

ALTERNATING = {
    "a": [[0.51, 0.49], [0.49, 0.51]] * 2,
    "b": [[0.99, 0.01], [0.55, 0.45]] * 2,
    "c": [[1.0, 0.0], [0.0, 1.0]] * 2,
    "d": [[0.5, 0.5]] * 4,
}


@st.composite
def pools(draw):
    """Probabilities of a few rows, samples and classes, with zeros and certainties among them."""
    shape = (draw(st.integers(1, 4)), draw(st.integers(2, 5)), draw(st.integers(2, 4)))
    weights = draw(npst.arrays(np.int64, shape, elements=st.integers(0, 6)))
    weights[weights.sum(axis=2) == 0] = 1
    return weights / weights.sum(axis=2, keepdims=True)


def test_golden_mutual_information():
    found = mutual_information(np.array(list(ALTERNATING.values())))
    np.testing.assert_allclose(found, [0.000200, 0.167206, 0.693147, 0.0], atol=5e-7)
    assert found[3] == 0.0
    assert entropy(np.mean(ALTERNATING["d"], axis=0)) == pytest.approx(0.693147, abs=5e-7)


def test_golden_mean_of_the_tokens_of_a_sequence():
    tokens = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    assert mutual_information(tokens).mean() == pytest.approx(0.346574, abs=5e-7)


@settings(deadline=None)
@given(pools())
def test_mutual_information_is_bounded_and_does_not_know_the_order_of_the_samples(probabilities):
    _, n_samples, n_classes = probabilities.shape
    information = mutual_information(probabilities)
    assert (information >= 0).all()
    assert (information <= min(math.log(n_classes), math.log(n_samples)) + 1e-12).all()
    assert (information <= entropy(probabilities.mean(axis=1)) + 1e-12).all()
    np.testing.assert_allclose(mutual_information(probabilities[:, ::-1]), information, atol=1e-12)
    brute = [_entropy(row.mean(axis=0)) - sum(_entropy(sample) for sample in row) / n_samples for row in probabilities]
    np.testing.assert_allclose(information, brute, atol=1e-12)


def _entropy(distribution):
    return -sum(p * math.log(p) for p in distribution if p > 0)


@settings(deadline=None)
@given(pools())
def test_mutual_information_is_zero_just_where_all_samples_agree(probabilities):
    agree = (np.ptp(probabilities, axis=1) == 0).all(axis=1)
    assert ((mutual_information(probabilities) == 0) == agree).all()
    assert (mutual_information(np.repeat(probabilities[:, :1], 7, axis=1)) == 0).all()


def test_one_class_is_the_probability_of_the_second_of_two():
    np.testing.assert_allclose(class_probabilities(np.array([[0.25], [1.0]])), [[0.75, 0.25], [0.0, 1.0]])
    assert class_probabilities(np.full((3, 4, 1), 0.5, dtype=np.float32)).shape == (3, 4, 2)
    assert class_probabilities(np.full((3, 4, 1), 0.5, dtype=np.float32)).dtype == np.float64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_with_one_bad_value_has_no_number_at_all(bad):
    values = np.full((3, 2, 2), 0.5)
    values[1, 0, 1] = bad
    probabilities = class_probabilities(values)
    assert np.isnan(probabilities[1]).all()
    assert np.isnan(mutual_information(probabilities)).tolist() == [False, True, False]
    assert np.isfinite(values[1]).sum() == 3


def test_nothing_is_lost_to_probabilities_of_zero():
    assert entropy(np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])).tolist() == [0.0, pytest.approx(math.log(2))]
