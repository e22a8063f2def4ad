import itertools
from collections import Counter

import numpy as np
import pytest

from hf_select.methods.representativeness import k_means_plus_plus as module
from hf_select.methods.representativeness.k_means_plus_plus import Points, k_means_plus_plus

FACTORS = [
    np.array([[1.0, 2], [0, 1], [2, 0.5], [1, 1], [-1, 0.3]]),
    np.array([[1.0, 0], [2, 1], [0, 1], [1, 1], [1, 2]]),
]


def products(factors):
    return np.stack([np.kron(*rows) for rows in zip(*factors, strict=True)])


def law(vectors, k):
    """Probability of every sequence of picks, from the definition."""
    first = int(np.argmax(np.linalg.norm(vectors, axis=1)))
    apart = np.square(vectors[:, None] - vectors).sum(axis=-1)
    found = {}
    for rest in itertools.permutations(set(range(len(vectors))) - {first}, k - 1):
        probability, picks = 1.0, [first]
        for row in rest:
            weights = apart[:, picks].min(axis=1)
            probability *= weights[row] / weights.sum()
            picks.append(row)
        found[tuple(picks)] = probability
    return found


def test_distances_of_outer_products_are_those_of_the_products_themselves():
    rng = np.random.default_rng(0)
    factors = [rng.normal(size=(50, 4)), rng.normal(size=(50, 7))]
    vectors, points = products(factors), Points(factors)
    np.testing.assert_allclose(points.squared_norms, np.square(vectors).sum(axis=1))
    explicit = np.square(vectors[:, None] - vectors).sum(axis=-1)
    np.testing.assert_allclose(points.squared_distances(slice(None), np.arange(50)), explicit, atol=1e-10)
    np.testing.assert_allclose(points.nearest(np.array([3, 4, 9])), explicit[:, [3, 4, 9]].min(axis=1), atol=1e-10)


def test_equal_points_are_at_distance_zero_in_float32_as_well():
    rng = np.random.default_rng(1)
    factors = [np.repeat(rng.normal(size=(20, width)).astype(np.float32), 3, axis=0) for width in (3, 700)]
    apart = Points(factors).squared_distances(slice(None), np.arange(60))
    assert (apart.reshape(20, 3, 20, 3)[np.arange(20), :, np.arange(20)] == 0).all()
    assert (apart > 0).sum() == 60 * 57


@pytest.mark.parametrize("n_tries", [1, 2, 32])
def test_picks_follow_the_law(monkeypatch, n_tries):
    """Also where points are drawn by old distances and kept or not by present ones."""
    monkeypatch.setattr(module, "_N_TRIES", n_tries)
    points, expected, n_runs = Points(FACTORS), law(products(FACTORS), 4), 1500
    rng = np.random.default_rng(7)
    seen = Counter(tuple(k_means_plus_plus(points, 4, rng)[0].tolist()) for _ in range(n_runs))
    assert sum(expected.values()) == pytest.approx(1)
    assert set(seen) <= set(expected)
    for picks, probability in expected.items():
        spread = np.sqrt(n_runs * probability * (1 - probability))
        assert abs(seen[picks] - n_runs * probability) < 4.5 * spread + 1, picks


def test_scores_are_distances_to_the_nearest_earlier_pick_and_the_first_is_the_longest():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(200, 5))
    positions, distances = k_means_plus_plus(Points([vectors]), 120, np.random.default_rng(0))
    assert len(set(positions.tolist())) == 120
    assert positions[0] == np.argmax(np.linalg.norm(vectors, axis=1))
    assert distances[0] == pytest.approx(np.linalg.norm(vectors, axis=1).max())
    apart = np.linalg.norm(vectors[positions][:, None] - vectors[positions], axis=-1)
    expected = [apart[turn, :turn].min() for turn in range(1, 120)]
    np.testing.assert_allclose(distances[1:], expected, atol=1e-7)


def test_fewer_picks_are_the_first_of_more():
    vectors = np.random.default_rng(3).normal(size=(100, 3))
    longest, distances = k_means_plus_plus(Points([vectors]), 90, np.random.default_rng(5))
    for k in (1, 2, 31, 33, 89):
        fewer, at = k_means_plus_plus(Points([vectors]), k, np.random.default_rng(5))
        assert fewer.tolist() == longest[:k].tolist()
        assert at.tolist() == distances[:k].tolist()


def test_where_all_that_are_left_lie_on_picks_the_lowest_is_next():
    vectors = np.array([[1.0], [2], [2], [1], [2], [1]])
    positions, distances = k_means_plus_plus(Points([vectors]), 6, np.random.default_rng(0))
    assert positions[0] == 1
    assert set(positions[1:2].tolist()) <= {0, 3, 5}
    assert positions[2:].tolist() == sorted(set(range(6)) - set(positions[:2].tolist()))
    assert distances.tolist() == [2, 1, 0, 0, 0, 0]


def test_zero_vectors_go_in_order():
    positions, distances = k_means_plus_plus(Points([np.zeros((4, 3))]), 4, np.random.default_rng(0))
    assert positions.tolist() == [0, 1, 2, 3]
    assert distances.tolist() == [0, 0, 0, 0]
