import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hf_select.methods.representativeness import k_center as module
from hf_select.methods.representativeness.k_center import k_center


def plain_greedy(points, k, first=None, centres=()):
    """One pass over all points per pick."""
    points = np.asarray(points, dtype=np.float64)
    nearest = np.full(len(points), np.inf)
    for centre in centres:
        nearest = np.minimum(nearest, np.linalg.norm(points - centre, axis=1))
    picks, distances = [], []
    for _ in range(k):
        here = int(np.argmax(nearest)) if len(centres) or picks else first
        picks.append(here)
        distances.append(nearest[here])
        nearest = np.minimum(nearest, np.linalg.norm(points - points[here], axis=1))
        nearest[picks] = -np.inf
    return np.array(picks), np.array(distances)


def unit_vectors(n_rows, n_columns, seed):
    """Clustered unit vectors with a falling spectrum and a tenth of exact duplicates, as embeddings of code have."""
    rng = np.random.default_rng(seed)
    fall = np.linspace(1, 0.05, n_columns)
    centres = rng.normal(size=(12, n_columns)) * fall
    vectors = centres[rng.integers(12, size=n_rows)] + 0.5 * rng.normal(size=(n_rows, n_columns)) * fall
    vectors[n_rows // 2 : n_rows // 2 + n_rows // 10] = vectors[: n_rows // 10]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_golden_line():
    line = np.array([[0.0], [1], [2], [10], [11]])
    positions, distances = k_center(line, 3, first=0)
    assert positions.tolist() == [0, 4, 2]
    np.testing.assert_allclose(distances, [11, 11, 2])  # the first pick carries the largest finite distance
    assert k_center(line, 5, first=0)[0].tolist() == [0, 4, 2, 1, 3]
    assert k_center(line, 2, centres=line[[1]])[0].tolist() == [4, 0]


def test_golden_plane():
    assert k_center(np.array([[0.0, 0], [3, 4], [6, 8], [0, 1]]), 3, first=0)[0].tolist() == [0, 2, 1]


def check_greedy(points, positions, distances, slack):
    """Replay the picks in float64: at every turn the pick is as far as any row, and at the distance that was said.

    Distances are compared as squares: that is what float32 rounds, by ``slack``.
    """
    points = points.astype(np.float64)
    nearest = np.square(points - points[positions[0]]).sum(axis=1)
    for here, distance in zip(positions[1:], distances[1:], strict=True):
        assert nearest[here] >= nearest.max() - slack
        assert abs(nearest[here] - distance**2) <= slack
        nearest = np.minimum(nearest, np.square(points - points[here]).sum(axis=1))
    assert len(set(positions.tolist())) == len(positions)


@pytest.mark.parametrize("block_bytes", [1, 1 << 22])  # blocks of 256 rows, or of all
@pytest.mark.parametrize(("n_rows", "n_columns"), [(700, 3), (900, 48)])
def test_blocks_pick_like_one_pass_per_pick(monkeypatch, block_bytes, n_rows, n_columns):
    monkeypatch.setattr(module, "_BLOCK_BYTES", block_bytes)
    points = unit_vectors(n_rows, n_columns, seed=n_columns)
    for k in (1, 2, n_rows // 3, n_rows):
        expected, at = plain_greedy(points, k, first=3)
        positions, distances = k_center(points.astype(np.float64), k, first=3)
        assert positions.tolist() == expected.tolist()
        np.testing.assert_allclose(distances[1:], at[1:], atol=1e-7)
        check_greedy(points, *k_center(points, k, first=3), slack=1e-5)


def test_small_product_chunks_change_nothing(monkeypatch):
    points = unit_vectors(600, 8, seed=4)
    expected = k_center(points, 200)
    monkeypatch.setattr(module, "_PRODUCT_VALUES", 500)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 1)
    np.testing.assert_allclose(k_center(points, 200)[1], expected[1], atol=1e-6)


def test_centres_that_are_given_count_as_picked():
    points = unit_vectors(500, 16, seed=1).astype(np.float64)
    expected, at = plain_greedy(points[20:], 60, centres=points[:20])
    positions, distances = k_center(points[20:], 60, centres=points[:20])
    assert positions.tolist() == expected.tolist()
    np.testing.assert_allclose(distances, at, atol=1e-7)
    empty = k_center(points, 5, centres=points[:0])
    assert empty[0].tolist() == k_center(points, 5)[0].tolist()


def test_a_far_away_origin_costs_no_digits():
    points = unit_vectors(400, 6, seed=2)
    moved = k_center(points.astype(np.float64) + 1e6, 100)
    np.testing.assert_array_equal(moved[0], k_center(points.astype(np.float64), 100)[0])


def test_duplicates_come_last_in_order_and_at_distance_zero():
    points = np.repeat(np.eye(4, dtype=np.float32), 3, axis=0)
    positions, distances = k_center(points, 12, first=0)
    assert positions.tolist() == [0, 3, 6, 9, 1, 2, 4, 5, 7, 8, 10, 11]
    np.testing.assert_allclose(distances, [2**0.5] * 4 + [0] * 8, atol=1e-6)


def test_equal_distances_go_to_the_lower_position_whatever_the_rounding():
    """Rows that are all equally far from each other, in more rows than a block has."""
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(400, 400)))
    assert k_center(rotation.astype(np.float32), 400, first=7)[0].tolist() == [7, *(i for i in range(400) if i != 7)]


def test_one_point():
    positions, distances = k_center(np.array([[2.0, 3.0]]), 1)
    assert (positions.tolist(), distances.tolist()) == ([0], [0.0])


small = arrays(np.float64, st.tuples(st.integers(2, 8), st.just(2)), elements=st.integers(-9, 9).map(float))


@given(small, st.data())
def test_radius_is_at_most_twice_the_best_and_distances_never_grow(points, data):
    k = data.draw(st.integers(1, len(points)))
    positions, distances = k_center(points, k)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    best = min(apart[list(chosen)].min(axis=0).max() for chosen in itertools.combinations(range(len(points)), k))
    assert apart[positions].min(axis=0).max() <= 2 * best + 1e-9
    assert (np.diff(distances) <= 0).all()
