import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.representativeness.badge import BADGE, output_gradients
from hf_select.methods.representativeness.k_means_plus_plus import Points
from hf_select.signals.keys import CLASS_PROBABILITIES, GRADIENT_SKETCH, PENULTIMATE_STATE
from hf_select.signals.table import Signals

P = np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4], [0.5, 0.5]])
H = np.array([[1.0, 0], [2, 0], [0, 1], [2, 0]])


def pick(probabilities, states, k, seed=0):
    signals = Signals({CLASS_PROBABILITIES: probabilities, PENULTIMATE_STATE: states})
    return BADGE(task="classification").pick(signals, k, np.random.default_rng(seed))


def test_golden_lengths_first_pick_and_probabilities_of_the_next():
    points = Points([output_gradients(P), H])
    np.testing.assert_allclose(np.sqrt(points.squared_norms), [0.141421, 1.414214, 0.565685, 1.414214], atol=1e-6)
    assert pick(P, H, 1).indices.tolist() == [1]
    squared = points.nearest(np.array([1]))
    np.testing.assert_allclose(squared / squared.sum(), [0.411168, 0, 0.588832, 0], atol=1e-6)


def test_a_row_that_equals_a_pick_is_left_to_the_end():
    picked = [pick(P, H, 4, seed) for seed in range(50)]
    assert {tuple(indices.tolist()) for indices, _ in picked} == {(1, 0, 2, 3), (1, 2, 0, 3)}
    assert all(scores[0] == pytest.approx(np.sqrt(2)) and scores[3] == 0 for _, scores in picked)


def test_of_two_classes_the_length_is_that_of_the_less_likely():
    rng = np.random.default_rng(0)
    probabilities, states = rng.dirichlet([1, 1], 30), rng.normal(size=(30, 5))
    expected = np.sqrt(2) * probabilities.min(axis=1) * np.linalg.norm(states, axis=1)
    np.testing.assert_allclose(np.sqrt(Points([output_gradients(probabilities), states]).squared_norms), expected)
    assert pick(probabilities, states, 1).indices.tolist() == [int(np.argmax(expected))]


def test_equally_likely_classes_make_the_first_the_label():
    assert output_gradients(np.array([[0.4, 0.4, 0.2]])).tolist() == [[-0.6, 0.4, 0.2]]


def test_one_probability_is_that_of_a_sigmoid():
    assert pick(P[:, 1:], H, 4).indices.tolist() == pick(P, H, 4).indices.tolist()


def test_a_causal_lm_is_asked_for_the_sketch_of_its_gradient():
    sketch = np.array([[1.0, 0], [0, 3], [1, 0], [0, 3]])
    method = BADGE()
    assert method.needs == {GRADIENT_SKETCH}
    indices, scores = method.pick(Signals({GRADIENT_SKETCH: sketch}), 4, np.random.default_rng(0))
    assert indices[0] == 1
    assert set(indices[1:2].tolist()) <= {0, 2}
    np.testing.assert_allclose(scores, [3, np.sqrt(10), 0, 0])


def test_rows_without_a_gradient_are_not_eligible():
    states = H.copy()
    states[2, 1] = np.inf
    signals = Signals({CLASS_PROBABILITIES: P, PENULTIMATE_STATE: states})
    (mask,) = BADGE(task="classification").exclusions(signals).values()
    assert mask.tolist() == [False, False, True, False]


def test_other_tasks_are_refused():
    with pytest.raises(ConfigError, match="task='regression' is not known"):
        BADGE(task="regression")
