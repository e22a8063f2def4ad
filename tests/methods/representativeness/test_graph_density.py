import numpy as np
import pytest
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import kneighbors_graph

from hf_select.errors import ConfigError
from hf_select.methods import make
from hf_select.methods.representativeness.graph_density import GraphDensity, density
from hf_select.signals.keys import EMBEDDING
from hf_select.signals.table import Signals

TOY = np.array([[0.0], [1], [2], [10]])


def pick(vectors, k, **fields):
    return make("graph_density", **fields).pick(Signals({EMBEDDING: vectors}), k, np.random.default_rng(0))


def loop_over_edges(vectors, k, n_neighbours, gamma):
    """The published algorithm, one edge and one pick at a time."""
    near = kneighbors_graph(vectors, n_neighbours, p=1).toarray()
    apart = pairwise_distances(vectors, metric="manhattan")
    weights = np.where((near + near.T) > 0, np.exp(-gamma * apart), 0.0)
    left = weights.sum(axis=1) / (weights > 0).sum(axis=1)
    picks = []
    for _ in range(k):
        here = int(np.argmax(left))
        left[weights[here] > 0] -= left[here]
        picks.append(here)
        left[picks] = left.min() - 1
    return picks


def test_golden_toy_goes_to_the_outlier_second():
    method = GraphDensity(n_neighbours=2, gamma=1.0)
    np.testing.assert_allclose(density(method.graph(TOY)), [0.251607, 0.245294, 0.167850, 0.000229], atol=1e-6)
    indices, scores = pick(TOY, 3, n_neighbours=2, gamma=1.0)
    assert indices.tolist() == [0, 3, 1]
    np.testing.assert_allclose(scores[:2], [0.251607, 0.000229], atol=1e-6)


@pytest.mark.parametrize("n_columns", [2, 20])
def test_picks_like_the_published_loop(n_columns):
    vectors = np.random.default_rng(n_columns).normal(size=(120, n_columns))
    expected = loop_over_edges(vectors, 60, 10, 1 / n_columns)
    assert pick(vectors, 60).indices.tolist() == expected


def test_the_graph_is_symmetric_without_loops_and_gamma_is_one_over_the_width():
    vectors = np.random.default_rng(0).normal(size=(50, 4))
    graph = GraphDensity(n_neighbours=3).graph(vectors).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert (graph.diagonal() == 0).all()
    assert (graph > 0).sum(axis=1).min() >= 3
    rows, columns = np.nonzero(graph)
    np.testing.assert_allclose(graph[rows, columns], np.exp(-np.abs(vectors[rows] - vectors[columns]).sum(axis=1) / 4))


def test_a_row_whose_weights_vanish_has_density_zero():
    graph = GraphDensity(n_neighbours=1, gamma=1e6).graph(TOY)
    assert graph.nnz == 0
    assert density(graph).tolist() == [0, 0, 0, 0]
    assert pick(TOY, 4, n_neighbours=1, gamma=1e6).indices.tolist() == [0, 1, 2, 3]


def test_one_row_has_no_neighbour():
    assert pick(TOY[:1], 1).indices.tolist() == [0]


def test_wrong_fields_are_refused():
    with pytest.raises(ConfigError, match="metric='l1' is not known"):
        make("graph_density", metric="l1")
    with pytest.raises(ConfigError, match="gamma=-1"):
        make("graph_density", gamma=-1)
