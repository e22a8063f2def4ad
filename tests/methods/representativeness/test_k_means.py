import numpy as np
import pytest

from hf_select.methods import make
from hf_select.methods.representativeness.k_means import cluster, n_distinct, representatives
from hf_select.signals.keys import EMBEDDING
from hf_select.signals.table import Signals

TOY = np.array([[0, 0], [0, 1], [1, 0], [10, 10], [10, 11], [11, 10], [10.5, 10.5]])


def pick(vectors, k, seed=0, **fields):
    return make("k_means", **fields).pick(Signals({EMBEDDING: np.asarray(vectors)}), k, np.random.default_rng(seed))


def blobs(n_each, n_blobs, seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(n_each, 5)) + 100 * rng.normal(size=5) for _ in range(n_blobs)])


def test_golden_toy_with_the_larger_cluster_first():
    indices, scores = pick(TOY, 2)
    assert indices.tolist() == [6, 0]
    assert scores.tolist() == [4.0, 3.0]


def test_one_pick_per_blob():
    indices = pick(blobs(30, 6), 6).indices
    assert sorted(indices // 30) == [0, 1, 2, 3, 4, 5]


def test_a_representative_is_the_member_nearest_to_its_own_mean():
    rng = np.random.default_rng(1)
    vectors, labels = rng.normal(size=(200, 4)), rng.integers(7, size=200) * 2  # labels without members in between
    found, sizes = representatives(vectors, labels)
    assert len(found) == 7
    for position, size, label in zip(found, sizes, np.unique(labels), strict=True):
        members = np.flatnonzero(labels == label)
        distances = np.linalg.norm(vectors[members] - vectors[members].mean(axis=0), axis=1)
        assert position == members[distances.argmin()]
        assert size == len(members)


def test_ties_inside_a_cluster_go_to_the_lower_row():
    assert representatives(np.array([[0.0], [2.0], [2.0], [0.0]]), np.zeros(4, dtype=int))[0].tolist() == [0]


def test_duplicates_are_filled_up_by_k_center_at_the_end():
    vectors = np.array([[5.0, 5], [0, 0], [5, 5], [0, 0], [0, 0]])
    indices, scores = pick(vectors, 4)
    assert indices.tolist() == [1, 0, 2, 3]
    assert scores.tolist() == [3.0, 2.0, 0.0, 0.0]


def test_two_levels_share_the_picks_over_the_strata():
    vectors = blobs(40, 3, seed=2)
    indices = pick(vectors, 12, max_clusters=11).indices
    assert len(set(indices.tolist())) == 12
    assert np.bincount(indices // 40).tolist() == [4, 4, 4]


def test_clusters_are_those_of_scikit_learn():
    from sklearn.cluster import KMeans as Lloyd

    vectors = blobs(25, 4, seed=3)
    before = vectors.copy()
    expected = Lloyd(5, n_init=1, random_state=42).fit(vectors).labels_
    np.testing.assert_array_equal(cluster(vectors, 5, seed=42, n_init=1), expected)
    np.testing.assert_array_equal(vectors, before)


@pytest.mark.parametrize(("rows", "n"), [([[0.0, 1], [0, 1], [1, 0]], 2), ([[0.0], [-0.0]], 1), ([[1.5]], 1)])
def test_number_of_distinct_rows(rows, n):
    assert n_distinct(np.array(rows)) == n
    assert n_distinct(np.array(rows, dtype=np.float32)) == n
