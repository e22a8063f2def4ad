import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_select.methods.uncertainty.joint_information import Configurations, most_informative_batch, thin
from hf_select.methods.uncertainty.probability import mutual_information

FIRST_CLASS = {"A": [1, 1, 0, 0], "B": [1, 1, 0, 0], "C": [1, 0, 1, 0], "D": [0.5] * 4, "E": [0.9, 0.9, 0.1, 0.1]}
GOLDEN = np.array([[[p, 1 - p] for p in row] for row in FIRST_CLASS.values()], dtype=float)


def batch(probabilities, k, n_configurations=10_000, min_gain=-np.inf, seed=0):
    positions, gains = most_informative_batch(
        np.asarray(probabilities, dtype=float),
        k,
        n_configurations=n_configurations,
        min_gain=min_gain,
        rng=np.random.default_rng(seed),
    )
    return positions.tolist(), gains


def joint_information(probabilities):
    """By the definition: entropy of all lists of labels, less the entropy that is left when the sample is known."""
    _, n_samples, n_classes = probabilities.shape
    total = 0.0
    for labels in itertools.product(range(n_classes), repeat=len(probabilities)):
        given_sample = np.prod([row[:, label] for row, label in zip(probabilities, labels, strict=True)], axis=0)
        for chance, weight in ((given_sample.mean(), -1.0), *((each, 1 / n_samples) for each in given_sample)):
            total += weight * (chance * math.log(chance) if chance > 0 else 0.0)
    return total


def greedy_by_the_definition(probabilities, k):
    picked, known, gains = [], 0.0, []
    for _ in range(k):
        joint = [
            -np.inf if row in picked else joint_information(probabilities[[*picked, row]])
            for row in range(len(probabilities))
        ]
        picked.append(int(np.argmax(np.round(joint, 9))))
        gains.append(joint[picked[-1]] - known)
        known = joint[picked[-1]]
    return picked, gains


def test_golden_gains_after_the_first_pick():
    table = Configurations(GOLDEN, 10_000, np.random.default_rng(0))
    np.testing.assert_allclose(table.gains(np.arange(5)), [0.693147, 0.693147, 0.693147, 0, 0.368064], atol=5e-7)
    table.add(0)
    joint = 0.693147 + table.gains(np.arange(5))
    np.testing.assert_allclose(joint, [0.693147, 0.693147, 1.386294, 0.693147, 0.693147], atol=1e-6)
    table.add(2)
    np.testing.assert_allclose(table.gains(np.arange(5)), 0, atol=1e-12)
    assert table.are_exact


def test_golden_batch_stops_when_nothing_is_left_to_tell():
    positions, gains = batch(GOLDEN, 5, min_gain=1e-6)
    assert positions == [0, 2]
    np.testing.assert_allclose(gains.cumsum(), [0.693147, 1.386294], atol=5e-7)
    assert gains.sum() == pytest.approx(math.log(4))


def test_golden_ties_go_to_the_lower_position():
    assert batch(GOLDEN, 5)[0] == [0, 2, 1, 3, 4]


def test_gains_that_differ_by_rounding_are_ties():
    first = np.array([[0.1, 0.8], [0.1, 0.9], [0.1, 0.9 + 1e-11]])
    probabilities = np.stack([first, 1 - first], axis=2)
    gains = mutual_information(probabilities)
    assert gains[0] < gains[1] < gains[2] < gains[1] + 1e-10
    assert batch(probabilities, 3)[0] == [1, 2, 0]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_against_the_definition(n_classes):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        probabilities = rng.dirichlet(np.full(n_classes, 0.5), size=(8, rng.integers(2, 7)))
        probabilities[rng.random(8) < 0.2] = np.eye(n_classes)[0]
        expected, expected_gains = greedy_by_the_definition(probabilities, 5)
        positions, gains = batch(probabilities, 5)
        assert positions == expected
        np.testing.assert_allclose(gains, expected_gains, atol=1e-9)


def test_rows_that_are_passed_over_could_not_have_been_the_best():
    """A large pool, where only some rows are looked at, picks as if all were."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=6) + 0.5 * rng.normal(size=(10, 6))
    first = 1 / (1 + np.exp(-rng.normal(size=(3000, 6)) @ weights.T))
    probabilities = np.stack([first, 1 - first], axis=2)
    table, expected, open_ = Configurations(probabilities, 10_000, rng), [], np.ones(3000, dtype=bool)
    for _ in range(9):
        gains = np.where(open_, table.gains(np.arange(3000)), -np.inf)
        expected.append(int(np.argmax(np.round(gains, 9))))
        open_[expected[-1]] = False
        table.add(expected[-1])
    assert table.are_exact
    assert batch(probabilities, 9)[0] == expected


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(2, 4))
def test_a_batch_of_one_is_bald_and_joint_information_is_bounded(seed, n_samples, n_classes):
    probabilities = np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.3), size=(15, n_samples))
    information = mutual_information(probabilities)
    positions, gains = batch(probabilities, 5)
    assert batch(probabilities, 1)[0] == positions[:1] == [int(np.argmax(np.round(information, 9)))]
    assert gains[0] == pytest.approx(information.max())
    assert (gains >= -1e-12).all()
    assert (np.diff(gains) <= 1e-9).all()
    assert gains.sum() <= math.log(n_samples) + 1e-9
    assert gains.sum() == pytest.approx(joint_information(probabilities[positions]))


def test_a_certain_row_again_tells_nothing_more():
    rng = np.random.default_rng(0)
    certain = np.eye(3)[rng.integers(3, size=(4, 8))]
    table = Configurations(np.concatenate([certain, certain]), 10_000, rng)
    for row in range(4):
        assert table.gains(np.array([row + 4]))[0] > 0.05
        table.add(row)
        assert table.gains(np.array([row + 4]))[0] == pytest.approx(0.0, abs=1e-12)


def test_permuting_rows_permutes_the_picks_and_so_does_no_sample():
    rng = np.random.default_rng(2)
    probabilities, order = rng.dirichlet(np.ones(2), size=(40, 9)), rng.permutation(40)
    expected = batch(probabilities, 12, n_configurations=50)[0]
    assert order[batch(probabilities[order], 12, n_configurations=50)[0]].tolist() == expected
    exact = batch(probabilities, 7)[0]
    assert batch(probabilities[:, rng.permutation(9)], 7)[0] == exact


def test_estimates_are_right_on_average_and_better_from_more_configurations():
    probabilities = np.random.default_rng(4).dirichlet(np.ones(3), size=(8, 6))
    exact = joint_information(probabilities[:7]) - joint_information(probabilities[:6])

    def estimates(n_configurations):
        tables = [Configurations(probabilities, n_configurations, np.random.default_rng(seed)) for seed in range(200)]
        for table in tables:
            for row in range(6):
                table.add(row)
            assert not table.are_exact
            assert len(table.weights) == n_configurations
            assert table.weights.sum() == pytest.approx(1.0)
        return np.array([table.gains(np.array([6]))[0] for table in tables])

    few, many = estimates(30), estimates(300)
    for found in (few, many):
        assert abs(found.mean() - exact) < 4 * found.std() / math.sqrt(200)
        assert found.min() > 0
    assert many.std() < few.std() / 3


def test_thinning_keeps_the_heavy_and_draws_the_light_evenly():
    weights = np.array([0.3, 0.002, 0.25, 0.001, 0.004, 0.003, 0.44])
    kept = np.zeros((4000, 7))
    rng = np.random.default_rng(0)
    for trial in kept:
        positions, new = thin(weights, 5, rng)
        assert len(set(positions.tolist())) == 5
        assert (np.diff(positions) > 0).all()
        assert new.sum() == pytest.approx(weights.sum())
        trial[positions] = new
    np.testing.assert_array_equal(kept[:, [0, 2, 6]], np.tile(weights[[0, 2, 6]], (4000, 1)))
    np.testing.assert_allclose(kept.mean(axis=0), weights, atol=2e-4)
    light = kept[:, [1, 3, 4, 5]]
    assert np.unique(light[light > 0]).round(12).tolist() == [0.005]


def test_as_few_as_one_configuration_of_equal_ones():
    positions, weights = thin(np.full(10, 0.1), 1, np.random.default_rng(0))
    assert 0 <= positions[0] < 10
    assert weights.tolist() == [pytest.approx(1.0)]
