"""Agreement of scores, by hand."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from hf_select.signals.gradients.agreement import bootstrap_interval, rank_correlation, slope, top_overlap


def test_rank_correlation_is_that_of_scipy_with_ties():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.integers(0, 5, (2, 30)).astype(float)
        assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)
    assert math.isnan(rank_correlation(np.ones(4), np.arange(4.0)))


def test_the_interval_holds_the_true_value_about_as_often_as_it_says():
    """Spearman of a bivariate normal with correlation r is 6/pi asin(r/2)."""
    rng, correlation = np.random.default_rng(1), 0.8
    true = 6 / np.pi * np.arcsin(correlation / 2)
    inside = 0
    for _ in range(100):
        one = rng.normal(size=60)
        other = correlation * one + np.sqrt(1 - correlation**2) * rng.normal(size=60)
        low, high = bootstrap_interval(one, other, rng)
        assert low < rank_correlation(one, other) < high
        inside += low < true < high
    assert 85 <= inside <= 100


def test_overlap_at_the_top_and_slope():
    one = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0])
    other = np.array([4.0, 5.0, 0.0, 3.0, 2.0, 1.0])
    assert top_overlap(one, other, 0.5) == pytest.approx(2 / 3)
    assert top_overlap(one, other, 0.1) == 0.0
    assert top_overlap(one, one, 0.1) == 1.0
    assert slope(3 * one + 7, one) == pytest.approx(3)
    assert math.isnan(slope(one, np.ones(6)))
