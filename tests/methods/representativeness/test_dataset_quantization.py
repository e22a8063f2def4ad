import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.representativeness.dataset_quantization import DatasetQuantization, equal_shares, graph_cut_bins
from hf_select.signals.keys import EMBEDDING
from hf_select.signals.table import Signals

TOY = np.array([[1.0, 0], [1, 0], [0.6, 0.8], [0, 1]])


def unit_vectors(n_rows, n_columns, seed):
    vectors = np.random.default_rng(seed).normal(size=(n_rows, n_columns))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def pick(vectors, k, seed=0, **fields):
    return DatasetQuantization(**fields).pick(Signals({EMBEDDING: vectors}), k, np.random.default_rng(seed))


def dense(vectors, n_bins):
    """Bins and gains from the matrix of all similarities."""
    rest, bins, gains = list(range(len(vectors))), [], np.zeros(len(vectors))
    for number in range(n_bins):
        size = len(vectors) // n_bins if number < n_bins - 1 else len(rest)
        similar = vectors[rest] @ vectors[rest].T
        joined = []
        for _ in range(size):
            gain = similar.sum(axis=0) - 2 * similar[joined].sum(axis=0)
            gain[joined] = -np.inf
            joined.append(int(np.argmax(gain >= gain.max() - 1e-9)))
            gains[rest[joined[-1]]] = gain[joined[-1]]
        bins.append([rest[place] for place in joined])
        rest = [row for row in rest if row not in bins[-1]]
    return bins, gains


def test_golden_gains():
    np.testing.assert_allclose(TOY @ TOY.sum(axis=0), [2.6, 2.6, 3, 1.8])
    ((members,), gains) = graph_cut_bins(TOY, 1)
    assert members.tolist() == [2, 0, 3, 1]
    np.testing.assert_allclose(gains[members], [3, 1.4, 0.2, -0.6])
    indices, scores = pick(TOY, 3, n_bins=1, within="gain")
    assert indices.tolist() == [2, 0, 3]
    np.testing.assert_allclose(scores, [3, 1.4, 0.2])


@pytest.mark.parametrize(("n_rows", "n_bins"), [(30, 3), (47, 5), (20, 20), (12, 1)])
def test_running_sums_give_the_bins_and_gains_of_the_whole_matrix(n_rows, n_bins):
    for seed in range(5):
        vectors = unit_vectors(n_rows, 5, seed)
        bins, gains = graph_cut_bins(vectors, n_bins)
        expected, at = dense(vectors, n_bins)
        assert [members.tolist() for members in bins] == expected
        np.testing.assert_allclose(gains, at, atol=1e-9)


def test_bins_are_disjoint_and_hold_every_row_the_last_one_the_remainder():
    bins, _ = graph_cut_bins(unit_vectors(47, 4, 0), 10)
    assert [len(members) for members in bins] == [4] * 9 + [11]
    assert sorted(np.concatenate(bins).tolist()) == list(range(47))


def test_every_bin_gives_its_share_in_the_order_of_the_bins():
    vectors = unit_vectors(47, 4, 1)
    bins, gains = graph_cut_bins(vectors, 10)
    bin_of = {int(row): number for number, members in enumerate(bins) for row in members}
    for seed in range(5):
        indices, scores = pick(vectors, 23, seed)
        assert [bin_of[row] for row in indices.tolist()] == sorted([*range(10), *range(10), 0, 1, 2])
        np.testing.assert_array_equal(scores, gains[indices])
    first = pick(vectors, 23, within="gain").indices.tolist()
    assert first == [
        int(row) for members, share in zip(bins, [3] * 3 + [2] * 7, strict=True) for row in members[:share]
    ]


def test_rows_of_a_bin_are_drawn_uniformly():
    vectors = unit_vectors(12, 3, 2)
    bins, _ = graph_cut_bins(vectors, 3)
    seen = np.bincount(np.concatenate([pick(vectors, 3, seed, n_bins=3).indices for seed in range(2000)]), minlength=12)
    assert [int(seen[members].sum()) for members in bins] == [2000] * 3
    assert (np.abs(seen - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75)).all()


def test_shares_are_equal_and_what_full_bins_cannot_give_comes_from_the_last():
    assert equal_shares([4, 4, 4, 7], 10) == [3, 3, 2, 2]
    assert equal_shares([4, 4, 4, 7], 18) == [4, 4, 4, 6]
    assert equal_shares([4, 4, 4, 7], 19) == [4, 4, 4, 7]
    assert equal_shares([4, 4, 4, 7], 2) == [1, 1, 0, 0]


def test_there_are_no_more_bins_than_rows():
    assert sorted(pick(TOY, 4, n_bins=10).indices.tolist()) == [0, 1, 2, 3]
    assert pick(TOY, 2, n_bins=10, within="gain").indices.tolist() == [2, 0]


def test_equal_rows_join_in_order():
    vectors = np.repeat(unit_vectors(1, 300, 0), 41, axis=0)
    bins, _ = graph_cut_bins(vectors, 4)
    assert np.concatenate(bins).tolist() == list(range(41))


def test_wrong_fields_are_refused():
    with pytest.raises(ConfigError, match="n_bins=0"):
        DatasetQuantization(n_bins=0)
    with pytest.raises(ConfigError, match="within='first' is not known"):
        DatasetQuantization(within="first")
