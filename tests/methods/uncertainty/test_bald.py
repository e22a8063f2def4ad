import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.uncertainty.bald import BALD, variation_ratio
from hf_select.signals.keys import stochastic_probabilities, token_mutual_information
from hf_select.signals.table import Signals

GOLDEN = np.array(
    [
        [[0.51, 0.49], [0.49, 0.51]] * 2,
        [[0.99, 0.01], [0.55, 0.45]] * 2,
        [[1.0, 0.0], [0.0, 1.0]] * 2,
        [[0.5, 0.5]] * 4,
    ]
)


def classifier(probabilities, **fields):
    method = BALD(task="classification", n_samples=4, **fields)
    return method, Signals({stochastic_probabilities(4): probabilities})


def test_golden_mutual_information_ranks_what_the_samples_are_sure_of_apart():
    method, signals = classifier(GOLDEN)
    np.testing.assert_allclose(method.score(signals), [0.000200, 0.167206, 0.693147, 0.0], atol=5e-7)
    assert method.pick(signals, 4, np.random.default_rng(0)).indices.tolist() == [2, 1, 0, 3]


def test_golden_variation_ratio_counts_votes_however_sure():
    method, signals = classifier(GOLDEN, measure="variation_ratio")
    assert method.score(signals).tolist() == [0.5, 0.0, 0.5, 0.0]
    assert method.pick(signals, 4, np.random.default_rng(0)).indices.tolist() == [0, 2, 1, 3]


def test_the_largest_variation_ratio():
    n_found = 0
    for n_samples in range(2, 9):
        for n_classes in range(2, 6):
            votes = np.eye(n_classes)[np.arange(n_samples) % n_classes]
            ratio = variation_ratio(votes[None])[0]
            assert ratio == pytest.approx(1 - -(-n_samples // n_classes) / n_samples)
            drawn = np.eye(n_classes)[np.random.default_rng(0).integers(n_classes, size=(300, n_samples))]
            assert variation_ratio(drawn).max() <= ratio
            n_found += 1
    assert n_found == 28


def test_variation_ratio_against_a_count():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=(40, 7))
    expected = [1 - max(np.bincount(row.argmax(axis=1))) / 7 for row in probabilities]
    np.testing.assert_allclose(variation_ratio(probabilities), expected)


def test_a_sigmoid_head_is_two_classes():
    for measure in ("mutual_information", "variation_ratio"):
        method, signals = classifier(GOLDEN, measure=measure)
        expected = method.score(signals)
        np.testing.assert_allclose(method.score(classifier(GOLDEN[..., 1:])[1]), expected, atol=1e-15)


def test_a_row_that_a_sample_says_nothing_finite_about_has_no_score():
    probabilities = GOLDEN.copy()
    probabilities[1, 2, 0] = np.inf
    for measure in ("mutual_information", "variation_ratio"):
        method, signals = classifier(probabilities, measure=measure)
        assert method.exclusions(signals)["no finite score"].tolist() == [False, True, False, False]


def test_takes_as_many_samples_as_there_are():
    method = BALD(task="classification")
    assert method.n_samples == 20
    signals = Signals({stochastic_probabilities(20): GOLDEN})
    np.testing.assert_array_equal(method.score(signals), classifier(GOLDEN)[0].score(classifier(GOLDEN)[1]))


def test_a_language_model_is_ranked_by_its_tokens():
    signals = Signals({token_mutual_information(5): np.array([0.1, np.nan, 0.3])})
    method = BALD(n_samples=5)
    assert method.exclusions(signals)["no finite score"].tolist() == [False, True, False]
    assert method.pick(signals, 2, np.random.default_rng(0)).indices.tolist() == [2, 0]


@pytest.mark.parametrize("n_samples", [1, 0, 2.0, True])
def test_one_sample_cannot_disagree(n_samples):
    with pytest.raises(ConfigError, match=f"^n_samples={n_samples} is not a whole number of at least 2"):
        BALD(n_samples=n_samples)


def test_permuting_rows_permutes_the_picks():
    rng = np.random.default_rng(1)
    probabilities, order = rng.dirichlet(np.ones(3), size=(50, 4)), rng.permutation(50)
    method, signals = classifier(probabilities)
    expected = method.pick(signals, 20, rng).indices
    moved = method.pick(classifier(probabilities[order])[1], 20, rng).indices
    assert order[moved].tolist() == expected.tolist()
