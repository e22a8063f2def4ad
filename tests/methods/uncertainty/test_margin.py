import numpy as np

from hf_select.methods.uncertainty.margin import Margin
from hf_select.signals.keys import CLASS_PROBABILITIES, MIN_TOKEN_MARGIN, TOKEN_MARGIN
from hf_select.signals.table import Signals

GOLDEN = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.6, 0.35, 0.05], [0.34, 0.33, 0.33]])


def test_golden_of_a_classifier():
    method, signals = Margin(task="classification"), Signals({CLASS_PROBABILITIES: GOLDEN})
    np.testing.assert_allclose(method.score(signals), [0.0, -0.1, -0.25, -0.01], atol=1e-15)
    assert method.pick(signals, 4, np.random.default_rng(0)).indices.tolist() == [0, 3, 1, 2]


def test_the_order_of_the_classes_does_not_matter():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(6), size=50)
    expected = [-(max(row) - sorted(row)[-2]) for row in probabilities.tolist()]
    for order in ([0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4]):
        found = Margin(task="classification").score(Signals({CLASS_PROBABILITIES: probabilities[:, order]}))
        np.testing.assert_array_equal(found, expected)


def test_reads_the_mean_or_the_smallest_margin_of_the_tokens():
    signals = Signals({TOKEN_MARGIN: np.array([0.5, 0.2]), MIN_TOKEN_MARGIN: np.array([0.0, 0.1])})
    assert Margin().score(signals).tolist() == [-0.5, -0.2]
    assert Margin(aggregate="min").score(signals).tolist() == [0.0, -0.1]
    assert Margin().pick(signals, 2, np.random.default_rng(0)).indices.tolist() == [1, 0]
    assert Margin(aggregate="min").pick(signals, 2, np.random.default_rng(0)).indices.tolist() == [0, 1]
