import itertools

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from hf_select.errors import ConfigError
from hf_select.methods.uncertainty.spuq import SPUQ, mean_divergence
from hf_select.signals.keys import generation_agreement, perturbed_probabilities
from hf_select.signals.table import Signals


def score(probabilities, **fields):
    method = SPUQ(task="classification", **fields)
    return method.score(Signals({perturbed_probabilities(5): np.asarray(probabilities, dtype=float)}))


def test_score_of_a_language_model_is_what_agreement_lacks_to_one():
    agreement = np.array([0.538462, 0.255821, 1.0])
    for fields in ({}, {"similarity": "rouge_l", "pairs": "first"}, {"n_variants": 3}):
        method = SPUQ(**fields)
        signal = generation_agreement(method.n_variants, method.similarity, method.pairs)
        assert method.needs == {signal}
        np.testing.assert_allclose(method.score(Signals({signal: agreement})), 1 - agreement)
        picks = method.pick(Signals({signal: agreement}), 3, np.random.default_rng(0))
        assert picks.indices.tolist() == [1, 0, 2]


def test_equal_predictions_agree_wholly_and_disjoint_ones_not_at_all():
    same, apart = [[0.2, 0.3, 0.5]] * 2, [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]
    assert score([same, apart]).tolist() == [0.0, pytest.approx(1.0)]


@pytest.mark.parametrize("pairs", ["all", "first"])
def test_against_scipy(pairs):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), size=(20, 5))
    probabilities[3, 2] = [1, 0, 0, 0]
    wanted = list(itertools.combinations(range(5), 2)) if pairs == "all" else [(0, other) for other in range(1, 5)]
    expected = [np.mean([jensenshannon(row[i], row[j]) ** 2 for i, j in wanted]) for row in probabilities]
    np.testing.assert_allclose(mean_divergence(probabilities, pairs), expected, atol=1e-12)
    np.testing.assert_allclose(score(probabilities, pairs=pairs), np.array(expected) / np.log(2), atol=1e-12)


@pytest.mark.parametrize("pairs", ["all", "first"])
def test_the_order_of_the_reworded_variants_does_not_matter(pairs):
    probabilities = np.random.default_rng(1).dirichlet(np.ones(3), size=(30, 5))
    expected = score(probabilities, pairs=pairs)
    np.testing.assert_allclose(score(probabilities[:, [0, 4, 2, 3, 1]], pairs=pairs), expected, atol=1e-12)
    swapped = score(probabilities[:, [1, 0, 2, 3, 4]], pairs=pairs)
    assert np.allclose(swapped, expected, atol=1e-12) is (pairs == "all")


def test_a_sigmoid_head_is_two_classes():
    second = np.random.default_rng(2).random((10, 5, 1))
    np.testing.assert_allclose(score(second), score(np.concatenate([1 - second, second], axis=2)))


def test_scores_stay_between_zero_and_one():
    certain = np.eye(3)[np.random.default_rng(0).integers(3, size=(200, 5))]
    for probabilities in (certain, np.random.default_rng(0).dirichlet(np.full(3, 1e-3), size=(200, 5))):
        found = score(probabilities)
        assert found.min() >= 0.0
        assert found.max() <= 1.0
    assert np.isnan(score(np.full((1, 5, 3), np.nan))).all()


def test_one_wording_has_nothing_to_agree_with():
    with pytest.raises(ConfigError, match=r"^n_variants=1 is not a whole number of at least 2"):
        SPUQ(n_variants=1)
    with pytest.raises(ConfigError, match=r"^similarity='bleu' is not known; give one of 'edit', 'rouge_l'"):
        SPUQ(similarity="bleu")
