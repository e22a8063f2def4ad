import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.base import Task
from hf_select.methods.representativeness.contrastive import Contrastive, divergence, nearest_of
from hf_select.signals.keys import CLASS_PROBABILITIES, PENULTIMATE_STATE
from hf_select.signals.table import Signals


def signals_of(probabilities, states, labelled=None):
    labelled = None if labelled is None else np.isin(np.arange(len(states)), labelled)
    return Signals(
        {CLASS_PROBABILITIES: np.asarray(probabilities), PENULTIMATE_STATE: np.asarray(states, dtype=np.float64)},
        labelled=labelled,
    )


def pick(signals, k, **fields):
    return Contrastive(**fields).pick(signals, k, np.random.default_rng(0))


def plain(probabilities, states, rows, reference, n_neighbours):
    """The definition, one row at a time."""
    states = states / np.linalg.norm(states, axis=1, keepdims=True)
    scores = []
    for row in rows:
        others = [other for other in reference if other != row]
        near = sorted(others, key=lambda other: (np.linalg.norm(states[row] - states[other]), other))[:n_neighbours]
        scores.append(np.mean([(probabilities[o] * np.log(probabilities[o] / probabilities[row])).sum() for o in near]))
    return np.asarray(scores)


def test_golden_prefers_the_confident_row_against_its_neighbour():
    probabilities = [[0.9, 0.1], [0.5, 0.5], [0.9999, 0.0001]]
    indices, scores = pick(signals_of(probabilities, [[1, 0]] * 3, labelled=[0]), 2)
    assert indices.tolist() == [2, 1]
    np.testing.assert_allclose(scores, [0.596041, 0.368064], atol=1e-6)


@pytest.mark.parametrize("n_neighbours", [1, 3, 100])
def test_scores_are_those_of_a_plain_loop(n_neighbours):
    rng = np.random.default_rng(0)
    probabilities, states = rng.dirichlet(np.ones(4), 50), rng.normal(size=(50, 6))
    labelled = np.arange(0, 50, 5)
    rows = np.setdiff1d(np.arange(50), labelled)
    indices, scores = pick(signals_of(probabilities, states, labelled), 40, n_neighbours=n_neighbours)
    expected = plain(probabilities, states, rows, labelled, n_neighbours)
    np.testing.assert_allclose(scores[np.argsort(indices)], expected)
    indices, scores = pick(signals_of(probabilities, states, labelled), 40, n_neighbours=n_neighbours, reference="pool")
    np.testing.assert_allclose(scores[np.argsort(indices)], plain(probabilities, states, rows, rows, n_neighbours))


def test_auto_takes_labelled_rows_where_there_are_any_and_the_pool_elsewhere():
    rng = np.random.default_rng(1)
    probabilities, states = rng.dirichlet(np.ones(3), 30), rng.normal(size=(30, 4))
    with_labelled, without = signals_of(probabilities, states, [0, 1, 2]), signals_of(probabilities, states)
    for signals, reference in ((with_labelled, "labelled"), (without, "pool")):
        chosen, named = pick(signals, 20), pick(signals, 20, reference=reference)
        assert chosen.indices.tolist() == named.indices.tolist()
    assert pick(with_labelled, 20).indices.tolist() != pick(with_labelled, 20, reference="pool").indices.tolist()


def test_without_labelled_rows_the_published_form_is_refused():
    for signals in (
        signals_of([[0.5, 0.5]] * 3, np.ones((3, 2))),
        signals_of([[np.nan, 1]] + [[0.5, 0.5]] * 2, np.ones((3, 2)), [0]),
    ):
        with pytest.raises(ConfigError, match="give labelled=, or reference='pool'"):
            pick(signals, 1, reference="labelled")


def test_labelled_rows_without_a_prediction_are_no_neighbours():
    probabilities = [[np.nan, np.nan], [0.9, 0.1], [0.5, 0.5]]
    _, scores = pick(signals_of(probabilities, [[1, 0], [0, 1], [1, 0]], labelled=[0, 1]), 1)
    np.testing.assert_allclose(scores, [0.368064], atol=1e-6)


def test_a_row_is_no_neighbour_of_itself_and_equal_distances_go_to_the_lower_row():
    probabilities, same = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]), np.ones((3, 2))
    indices, scores = pick(signals_of(probabilities, same), 3, n_neighbours=1)
    expected = plain(probabilities, same, [0, 1, 2], [0, 1, 2], 1)  # neighbours 1, 0 and 0
    np.testing.assert_allclose(scores[np.argsort(indices)], expected)


def test_only_the_direction_of_a_state_counts():
    rng = np.random.default_rng(2)
    probabilities, states = rng.dirichlet(np.ones(3), 30), rng.normal(size=(30, 4))
    stretched = states * rng.uniform(0.1, 10, size=(30, 1))
    for labelled in (None, [3, 4, 5, 6]):
        left = pick(signals_of(probabilities, states, labelled), 20, n_neighbours=2)
        right = pick(signals_of(probabilities, stretched, labelled), 20, n_neighbours=2)
        assert left.indices.tolist() == right.indices.tolist()


def test_nearest_points_are_found_exactly_with_many_ties():
    rng = np.random.default_rng(3)
    points, queries = rng.integers(0, 3, size=(60, 3)).astype(float), rng.integers(0, 3, size=(40, 3)).astype(float)
    for n_neighbours in (1, 7, 60):
        found = nearest_of(points, queries, n_neighbours)
        for query, near in zip(queries, found, strict=True):
            order = sorted(range(60), key=lambda i: (np.square(points[i] - query).sum(), i))
            assert near.tolist() == sorted(order[:n_neighbours])


def test_certain_predictions_have_a_finite_divergence_and_equal_ones_none():
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    scores = divergence(probabilities, np.array([1, 2]), np.array([[0], [0]]))
    np.testing.assert_allclose(scores, [np.log(1e12), 0], atol=1e-6)


def test_a_row_alone_has_score_zero():
    assert pick(signals_of([[0.3, 0.7]], [[1, 0]]), 1).scores.tolist() == [0]


def test_it_is_no_method_for_causal_lms_and_says_why():
    assert Contrastive.tasks == {Task.CLASSIFICATION}
    assert "'badge'" in Contrastive.unsuited[Task.CAUSAL_LM]


def test_wrong_fields_are_refused():
    with pytest.raises(ConfigError, match="reference='unlabelled' is not known"):
        Contrastive(reference="unlabelled")
    with pytest.raises(ConfigError, match="n_neighbours=0"):
        Contrastive(n_neighbours=0)
