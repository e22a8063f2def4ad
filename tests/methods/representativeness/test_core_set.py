from itertools import combinations

import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods import make
from hf_select.signals.keys import EMBEDDING
from hf_select.signals.table import Signals

LINE = np.array([[0.0], [1], [2], [10], [11]])


def pick(vectors, k, init="farthest_from_mean", seed=0, **masks):
    signals = Signals({EMBEDDING: np.asarray(vectors, float)}, **masks)
    return make("core_set", init=init).pick(signals, k, np.random.default_rng(seed))


def mask(n_rows, rows):
    there = np.zeros(n_rows, dtype=bool)
    there[rows] = True
    return there


def test_golden_line():
    assert pick(LINE, 3, init=0).indices.tolist() == [0, 4, 2]
    assert pick(LINE, 5, init=0).indices.tolist() == [0, 4, 2, 1, 3]
    radius = np.abs(LINE - LINE[[0, 4, 2], 0]).min(axis=1).max()
    assert radius == 1.0


def test_golden_labelled_row_is_a_centre_and_not_a_pick():
    indices, scores = pick(LINE, 2, labelled=mask(5, [1]))
    assert indices.tolist() == [4, 0]
    assert scores.tolist() == [10.0, 1.0]
    with pytest.warns(UserWarning, match="5 rows were asked for and only 4"):
        assert sorted(pick(LINE, 5, labelled=mask(5, [1])).indices.tolist()) == [0, 2, 3, 4]


def test_golden_plane():
    assert pick([[0, 0], [3, 4], [6, 8], [0, 1]], 3, init=0).indices.tolist() == [0, 2, 1]


def test_starts_at_the_row_farthest_from_the_mean():
    assert pick(LINE, 1).indices.tolist() == [4]


def test_a_random_start_comes_from_the_seed():
    starts = {int(pick(LINE, 1, init="random", seed=seed).indices[0]) for seed in range(40)}
    assert starts == {0, 1, 2, 3, 4}


def test_labelled_rows_that_lie_nowhere_are_no_centres():
    vectors = LINE.copy()
    vectors[1] = np.nan
    assert pick(vectors, 3, init=0, labelled=mask(5, [1]), candidates=mask(5, [0, 2, 4])).indices.tolist() == [0, 4, 2]


def test_labelled_rows_need_not_be_candidates():
    picks = pick(LINE, 2, labelled=mask(5, [0]), candidates=mask(5, [1, 2, 3]))
    assert picks.indices.tolist() == [3, 2]


def test_a_start_that_may_not_be_picked_is_refused():
    with pytest.raises(ConfigError, match="init=3 is not an eligible row id"):
        pick(LINE, 2, init=3, candidates=mask(5, [0, 1, 4]))
    with pytest.raises(ConfigError, match="init='first' is not known"):
        make("core_set", init="first")


def test_permuting_rows_permutes_the_picks():
    rng = np.random.default_rng(3)
    vectors, order = rng.normal(size=(80, 4)), rng.permutation(80)
    expected = pick(vectors, 30).indices
    assert order[pick(vectors[order], 30).indices].tolist() == expected.tolist()


def sharded(vectors, k, n_shards, **fields):
    signals = Signals({EMBEDDING: np.asarray(vectors, float)})
    return make("core_set", n_shards=n_shards, **fields).pick(signals, k, np.random.default_rng(0))


def radius(vectors, picks):
    vectors = np.asarray(vectors, float)
    return np.linalg.norm(vectors[:, None] - vectors[picks], axis=2).min(axis=1).max()


def test_golden_shards():
    # Shards 0, 2, 11 and 1, 10; the rows farthest from their means are 11 and 1 (10 is as far, and comes later), then 0
    # and 10. Among 0, 1, 10, 11 the farthest from the mean is 0 (11 is as far), and 11 is farthest from it.
    picks = sharded(LINE, 2, 2)
    assert picks.indices.tolist() == [0, 4]
    assert picks.scores.tolist() == [11.0, 11.0]
    assert sharded(LINE, 2, 2, init=3).indices.tolist() == [3, 0]


def test_one_shard_and_shards_of_one_row_are_the_greedy_algorithm():
    vectors = np.random.default_rng(4).normal(size=(60, 3))
    plain = pick(vectors, 7)
    for n_shards in (1, 9, 60, 500):  # from 9 on no shard has more than 7 rows, and all are picked among
        assert sharded(vectors, 7, n_shards).indices.tolist() == plain.indices.tolist()
    assert make("core_set").ordered
    assert not make("core_set", n_shards=2).ordered


def test_shards_leave_no_row_farther_than_four_times_the_best_possible():
    """Malkomes et al. 2015: against all subsets, on points that a bad partition can hurt."""
    rng = np.random.default_rng(5)
    worst = 0.0
    for _ in range(60):
        vectors = np.round(rng.normal(size=(11, 2)) * rng.choice([0.1, 1, 10], size=(11, 1)), 2)
        k, n_shards = int(rng.integers(1, 4)), int(rng.integers(2, 5))
        best = min(radius(vectors, list(subset)) for subset in combinations(range(11), k))
        worst = max(worst, radius(vectors, sharded(vectors, k, n_shards).indices) / best)
    assert 1.0 < worst <= 4.0


def test_labelled_rows_are_centres_of_every_shard():
    vectors = np.concatenate([np.zeros((20, 1)), np.full((4, 1), 5.0)])
    signals = Signals({EMBEDDING: vectors}, labelled=mask(24, [0]))
    picks = make("core_set", n_shards=4).pick(signals, 3, np.random.default_rng(0))
    assert picks.scores.tolist() == [5.0, 0.0, 0.0]
    assert picks.indices[0] == 20


def test_a_number_of_shards_is_whole():
    with pytest.raises(ConfigError, match="n_shards=0 is not a whole number of at least 1"):
        make("core_set", n_shards=0)
