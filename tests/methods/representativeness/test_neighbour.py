import importlib.util
import sys

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hf_select.methods.representativeness import neighbour
from hf_select.methods.representativeness.neighbour import edge_distances, nearest

NAMES = {"manhattan": "cityblock", "euclidean": "euclidean"}


@pytest.fixture(params=["faiss", "scikit-learn"])
def engine(request, monkeypatch):
    if request.param == "faiss":
        pytest.importorskip("faiss")
    else:
        monkeypatch.setitem(sys.modules, "faiss", None)
        assert importlib.util.find_spec("faiss") is None
    return request.param


def all_pairs(vectors, n_neighbours, metric):
    distances = cdist(vectors, vectors, NAMES[metric])
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :n_neighbours]


@pytest.mark.parametrize("metric", NAMES)
@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_exact_on_random_points(engine, metric, shift):
    vectors = np.random.default_rng(0).normal(size=(400, 24)) + shift
    np.testing.assert_array_equal(nearest(vectors, 10, metric), all_pairs(vectors, 10, metric))


def test_tiles_change_nothing(monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr(neighbour, "_TILE_BYTES", 1)
    vectors = np.random.default_rng(5).normal(size=(203, 6))
    np.testing.assert_array_equal(nearest(vectors, 10, "manhattan"), all_pairs(vectors, 10, "manhattan"))


@pytest.mark.parametrize("metric", NAMES)
def test_the_last_resort_is_as_exact(engine, metric, monkeypatch):
    """Searches that may not be widened leave the rows with many equal neighbours to a comparison with all."""
    monkeypatch.setattr(neighbour, "_WIDEST", 0)
    vectors = np.repeat(np.random.default_rng(1).normal(size=(5, 3)), 40, axis=0)
    np.testing.assert_array_equal(nearest(vectors, 10, metric), all_pairs(vectors, 10, metric))


@pytest.mark.parametrize("metric", NAMES)
def test_more_equal_neighbours_than_are_asked_for_go_to_the_lower_position(engine, metric):
    """Forty copies of each point: the search returns any of them, the result is the first ones."""
    vectors = np.repeat(np.random.default_rng(1).normal(size=(5, 3)), 40, axis=0).astype(np.float32)
    order = np.random.default_rng(2).permutation(len(vectors))
    vectors = vectors[order]
    np.testing.assert_array_equal(nearest(vectors, 10, metric), all_pairs(vectors.astype(float), 10, metric))


@pytest.mark.parametrize("metric", NAMES)
def test_neighbours_closer_than_float32_can_tell(engine, metric):
    vectors = np.concatenate([np.linspace(0, 1e-9, 60), [1.0, 2.0]])[:, None]
    np.testing.assert_array_equal(nearest(vectors, 3, metric)[:60], all_pairs(vectors, 3, metric)[:60])


def test_all_other_points_when_the_pool_is_small(engine):
    found = nearest(np.array([[0.0], [5.0], [1.0]]), 2, "manhattan")
    assert found.tolist() == [[2, 1], [2, 0], [0, 1]]


def test_edge_distances():
    vectors = np.array([[0.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    rows, neighbours = np.array([1, 0]), np.array([[0, 1], [0, 1]])
    assert edge_distances(vectors, rows, neighbours, "manhattan").tolist() == [[7.0, 0.0], [0.0, 7.0]]
    assert edge_distances(vectors, rows, neighbours, "euclidean").tolist() == [[5.0, 0.0], [0.0, 5.0]]
