import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.representativeness import rds_plus as module
from hf_select.methods.representativeness.rds_plus import RDSPlus, cosines, round_robin
from hf_select.signals.keys import PENULTIMATE_STATE, WEIGHTED_STATE
from hf_select.signals.table import Signals

ROWS = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9], [1, 1]], dtype=np.float32)
TASKS = {"right": [[2.0, 0]], "up": [[0, 3.0], [0.1, 3.0]]}


def signals_of(rows, tasks, signal=WEIGHTED_STATE):
    reference = {task: Signals({signal: np.asarray(states, dtype=np.float32)}) for task, states in tasks.items()}
    return Signals({signal: np.asarray(rows)}, reference=reference)


def pick(rows, tasks, k, **fields):
    return RDSPlus(**fields).pick(signals_of(rows, tasks), k, np.random.default_rng(0))


def test_reference_rows_of_all_tasks_take_their_nearest_in_turn():
    indices, scores = pick(ROWS, TASKS, 5)
    assert indices.tolist() == [0, 2, 3, 1, 4]  # right, up, up, right, up
    cosine = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    np.testing.assert_allclose(scores[[0, 1, 3, 4]], cosine[[0, 2, 1, 4], [0, 1, 0, 1]], rtol=1e-6)


def test_a_row_that_is_taken_goes_to_nobody_else():
    similar = np.array([[0.9, 0.8, 0.1, 0.2], [0.9, 0.3, 0.1, 0.2], [0.9, 0.8, 0.7, 0.2]], dtype=np.float32)
    taken, scores = round_robin(similar.copy(), 4)
    assert taken.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(scores, [0.9, 0.3, 0.7, 0.2], rtol=1e-6)


def test_picks_like_a_plain_loop():
    rng = np.random.default_rng(0)
    rows, aims = rng.normal(size=(60, 6)), rng.normal(size=(7, 6))
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (aims, rows)]
    similar = (unit[0] @ unit[1].T).astype(np.float32)
    expected = []
    for turn in range(40):
        left = [row for row in range(60) if row not in expected]
        expected.append(max(left, key=lambda row: (similar[turn % 7, row], -row)))
    assert pick(rows, {"a": aims[:3], "b": aims[3:]}, 40).indices.tolist() == expected


def test_mean_is_that_over_tasks_and_max_that_over_reference_rows():
    rng = np.random.default_rng(1)
    rows, one, two = rng.normal(size=(20, 4)), rng.normal(size=(1, 4)), rng.normal(size=(5, 4))
    by_task = [cosines(np.float32(task), rows).astype(np.float64) for task in (one, two)]
    expected = {
        "mean": (by_task[0].mean(axis=0) + by_task[1].mean(axis=0)) / 2,
        "max": np.concatenate(by_task).max(axis=0),
    }
    for aggregate, score in expected.items():
        indices, scores = pick(rows, {"one": one, "two": two}, 20, aggregate=aggregate)
        assert indices.tolist() == np.argsort(-score, kind="stable").tolist()
        np.testing.assert_allclose(scores, np.sort(score)[::-1])


def test_only_directions_count():
    stretched = ROWS * np.array([[5.0], [0.1], [7], [1], [3]])
    assert pick(stretched, TASKS, 5).indices.tolist() == pick(ROWS, TASKS, 5).indices.tolist()


@pytest.mark.parametrize("aggregate", ["round_robin", "mean", "max"])
def test_equal_rows_go_by_row_id(aggregate):
    rng = np.random.default_rng(2)
    rows = np.repeat(rng.normal(size=(1, 301)).astype(np.float32), 37, axis=0)
    assert pick(rows, {"a": rng.normal(size=(3, 301))}, 37, aggregate=aggregate).indices.tolist() == list(range(37))


def test_a_zero_state_is_like_nothing():
    assert cosines(np.array([[1.0, 0]]), np.array([[0.0, 0], [3, 4]])).tolist() == [[0.0, np.float32(0.6)]]


def test_cosines_of_more_rows_than_a_chunk_are_all_there(monkeypatch):
    rng = np.random.default_rng(3)
    aims, rows = rng.normal(size=(3, 8)), rng.normal(size=(50, 8))
    whole = cosines(aims, rows)
    monkeypatch.setattr(module, "_CHUNK_VALUES", 60)
    np.testing.assert_array_equal(cosines(aims, rows), whole)
    assert whole.shape == (3, 50)


def test_a_classifier_is_asked_for_the_input_of_its_last_layer():
    method = RDSPlus(task="classification")
    assert method.needs == method.reference_needs == {PENULTIMATE_STATE}
    signals = signals_of(ROWS, TASKS, PENULTIMATE_STATE)
    assert method.pick(signals, 2, np.random.default_rng(0)).indices.tolist() == [0, 2]


def test_rows_and_reference_rows_without_a_state_are_left_out():
    rows = ROWS.copy()
    rows[0, 0] = np.nan
    tasks = {"right": [[np.inf, 0], [2.0, 0]]}
    with pytest.warns(UserWarning, match="only 4 are eligible"):
        assert pick(rows, tasks, 5).indices.tolist() == [1, 4, 3, 2]


def test_without_reference_rows_it_is_refused():
    with pytest.raises(ConfigError, match="none came; give reference="):
        pick(ROWS, {}, 1)
    with pytest.raises(ConfigError, match="No reference row of task 'b' has a finite weighted_state"):
        pick(ROWS, {"a": [[1.0, 0]], "b": [[np.nan, 0]]}, 1)


def test_wrong_fields_are_refused():
    with pytest.raises(ConfigError, match="aggregate='sum' is not known"):
        RDSPlus(aggregate="sum")
    with pytest.raises(ConfigError, match="task='other' is not known"):
        RDSPlus(task="other")
