import numpy as np
import pytest
from scipy.cluster.hierarchy import cut_tree
from scipy.cluster.hierarchy import linkage as scipy_linkage

from hf_select.errors import ConfigError
from hf_select.methods.representativeness.cluster_margin import ClusterMargin, linked, take_turns
from hf_select.signals.keys import CLASS_PROBABILITIES, EMBEDDING, TOKEN_MARGIN
from hf_select.signals.table import Signals

LABELS = np.array([0, 0, 0, 1, 1, 2, 0])
MARGINS = np.array([0.1, 0.2, 0.3, 0.15, 0.5, 0.4, 0.9])
PLACES = np.array([[0.0], [0.1], [0.2], [10], [10.1], [20], [0.3]])  # three clusters, those of LABELS


def pick(k, seed=0, **fields):
    method = ClusterMargin(rows_per_cluster=2, **fields)
    return method.pick(Signals({EMBEDDING: PLACES, TOKEN_MARGIN: MARGINS}), k, np.random.default_rng(seed))


def same_groups(left, right):
    return (
        len(set(zip(left.tolist(), right.tolist(), strict=True))) == len(set(left.tolist())) == len(set(right.tolist()))
    )


def test_golden_turns():
    unsure = np.argsort(MARGINS, kind="stable")[:6]
    assert unsure.tolist() == [0, 3, 1, 2, 5, 4]
    assert take_turns(unsure, LABELS, 5).tolist() == [5, 3, 0, 4, 1]
    assert take_turns(unsure, LABELS, 4).tolist() == [5, 3, 0, 4]


def test_the_method_clusters_the_embedding_and_takes_turns():
    indices, scores = pick(7)
    assert indices.tolist() == [5, 3, 0, 4, 1, 2, 6]
    assert scores.tolist() == (-MARGINS[indices]).tolist()


def test_only_the_least_certain_rows_are_considered():
    assert pick(3, rows_per_pick=1).indices.tolist() == [3, 0, 1]  # of rows 0, 3 and 1
    assert pick(2, rows_per_pick=2).indices.tolist() == [3, 0]  # of rows 0, 3, 1 and 2


def test_clusters_of_one_size_go_by_their_lowest_margin_and_then_by_row_id():
    rows = np.array([4, 1, 3, 0])
    assert take_turns(rows, np.array([7, 5, 9, 5, 7]), 4).tolist() == [4, 1, 0, 3]


def test_random_rows_come_from_the_same_clusters_in_turn():
    found = [pick(7, seed, within="random").indices for seed in range(40)]
    assert all(sorted(indices.tolist()) == list(range(7)) for indices in found)
    assert {tuple(LABELS[indices].tolist()) for indices in found} == {(2, 1, 0, 1, 0, 0, 0)}
    assert {int(indices[2]) for indices in found} == {0, 1, 2, 6}


def test_classification_reads_the_margin_of_the_two_best_classes():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.2, 0.2, 0.6]])
    signals = Signals({EMBEDDING: np.eye(3), CLASS_PROBABILITIES: probabilities})
    indices, scores = ClusterMargin(task="classification").pick(signals, 3, np.random.default_rng(0))
    assert indices.tolist() == [1, 0, 2]
    np.testing.assert_allclose(scores, [-0.05, -0.2, -0.4])


def test_linkage_is_average_linkage():
    points = np.random.default_rng(0).normal(size=(60, 4))
    expected = cut_tree(scipy_linkage(points, "average"), n_clusters=6).ravel()
    assert same_groups(linked(points, 6), expected)


def test_equal_embeddings_stay_together_and_clusters_are_no_more_than_they():
    distinct = np.random.default_rng(1).normal(size=(4, 3))
    which = np.random.default_rng(2).integers(4, size=50)
    labels = ClusterMargin(rows_per_cluster=2).clusters(distinct[which], np.random.default_rng(0))
    assert same_groups(labels, which)


def test_many_rows_are_split_before_they_are_clustered():
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.normal(size=(40, 3)) + 100 * centre for centre in range(4)])
    labels = ClusterMargin(max_rows=80).clusters(points, np.random.default_rng(0))
    assert 14 <= len(set(labels.tolist())) <= 16  # a tenth of every part
    blobs = [set(labels[start : start + 40].tolist()) for start in range(0, 160, 40)]
    assert sum(map(len, blobs)) == len(set.union(*blobs))


def test_a_row_alone_is_a_cluster():
    signals = Signals({EMBEDDING: PLACES[:1], TOKEN_MARGIN: MARGINS[:1]})
    assert ClusterMargin().pick(signals, 1, np.random.default_rng(0)).indices.tolist() == [0]


@pytest.mark.parametrize(
    "fields", [{"within": "best"}, {"max_rows": 1}, {"rows_per_pick": 0}, {"rows_per_cluster": 0.5}, {"task": "other"}]
)
def test_wrong_fields_are_refused(fields):
    (name,) = fields
    with pytest.raises(ConfigError, match=f"^{name}="):
        ClusterMargin(**fields)
