import math

import numpy as np
import pytest

from hf_select.methods.uncertainty.entropy import Entropy
from hf_select.methods.uncertainty.least_confidence import LeastConfidence
from hf_select.methods.uncertainty.margin import Margin
from hf_select.signals.keys import CLASS_PROBABILITIES, RESPONSE_TOKENS, TOP_TOKEN_NLL
from hf_select.signals.table import Signals

GOLDEN = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.6, 0.35, 0.05], [0.34, 0.33, 0.33]])


def order(method, signals, k):
    return method.pick(signals, k, np.random.default_rng(0)).indices.tolist()


def test_golden_of_a_classifier():
    method, signals = LeastConfidence(task="classification"), Signals({CLASS_PROBABILITIES: GOLDEN})
    np.testing.assert_allclose(method.score(signals), [0.5, 0.6, 0.4, 0.66])
    assert order(method, signals, 4) == [3, 1, 0, 2]


def test_golden_of_two_tokens():
    nll = -np.log([0.9, 0.6])
    signals = Signals({TOP_TOKEN_NLL: np.array([nll.mean()]), RESPONSE_TOKENS: np.array([2])})
    assert LeastConfidence().score(signals)[0] == pytest.approx(0.265153, abs=5e-7)
    assert LeastConfidence(norm="sum").score(signals)[0] == pytest.approx(0.616186, abs=5e-7)
    assert -math.expm1(-LeastConfidence(norm="sum").score(signals)[0]) == pytest.approx(0.46)


def test_the_sum_favours_long_responses_and_the_mean_does_not():
    signals = Signals({TOP_TOKEN_NLL: np.array([0.5, 0.4]), RESPONSE_TOKENS: np.array([2, 100])})
    assert order(LeastConfidence(), signals, 2) == [0, 1]
    assert order(LeastConfidence(norm="sum"), signals, 2) == [1, 0]


def test_confidence_near_one_keeps_its_digits():
    signals = Signals({TOP_TOKEN_NLL: np.array([1e-18, 2e-18, 0.0])})
    assert LeastConfidence().score(signals).tolist() == [1e-18, 2e-18, 0.0]


def test_a_response_without_tokens_has_no_score_whatever_the_norm():
    signals = Signals({TOP_TOKEN_NLL: np.array([np.nan, np.inf, 0.5]), RESPONSE_TOKENS: np.array([0, 0, 3])})
    for method in (LeastConfidence(), LeastConfidence(norm="sum")):
        assert method.exclusions(signals)["no finite score"].tolist() == [True, True, False]


@pytest.mark.parametrize("n_columns", [1, 2])
def test_of_two_classes_confidence_entropy_and_margin_rank_alike(n_columns):
    second = np.random.default_rng(0).permutation(np.linspace(0.001, 0.998, 200))
    probabilities = second[:, None] if n_columns == 1 else np.stack([1 - second, second], axis=1)
    signals = Signals({CLASS_PROBABILITIES: probabilities})
    orders = [order(method(task="classification"), signals, 200) for method in (LeastConfidence, Entropy, Margin)]
    assert orders[0] == orders[1] == orders[2] == np.argsort(np.abs(second - 0.5), kind="stable").tolist()
