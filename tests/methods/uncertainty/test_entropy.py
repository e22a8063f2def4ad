import numpy as np

from hf_select.methods.uncertainty.entropy import Entropy
from hf_select.signals.keys import CLASS_PROBABILITIES, MAX_TOKEN_ENTROPY, TOKEN_ENTROPY
from hf_select.signals.table import Signals

GOLDEN = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.6, 0.35, 0.05], [0.34, 0.33, 0.33]])


def test_golden_of_a_classifier():
    method, signals = Entropy(task="classification"), Signals({CLASS_PROBABILITIES: GOLDEN})
    np.testing.assert_allclose(method.score(signals), [0.693147, 1.088900, 0.823720, 1.098513], atol=5e-7)
    assert method.pick(signals, 4, np.random.default_rng(0)).indices.tolist() == [3, 1, 2, 0]


def test_probabilities_that_underflow_are_no_reason_for_a_missing_score():
    signals = Signals({CLASS_PROBABILITIES: np.array([[1.0, 0.0, 0.0], [1.0, 1e-320, 0.0]])})
    assert np.isfinite(Entropy(task="classification").score(signals)).all()


def test_reads_the_mean_or_the_largest_entropy_of_the_tokens():
    signals = Signals({TOKEN_ENTROPY: np.array([0.1, 0.2]), MAX_TOKEN_ENTROPY: np.array([0.9, 0.3])})
    assert Entropy().score(signals).tolist() == [0.1, 0.2]
    assert Entropy(aggregate="max").score(signals).tolist() == [0.9, 0.3]
    assert Entropy().needs == {TOKEN_ENTROPY}
    assert Entropy(aggregate="max").needs == {MAX_TOKEN_ENTROPY}
