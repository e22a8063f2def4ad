"""Sets of demonstrations: balanced, seeded, never the row itself, and cut to fit."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.errors import ConfigError
from hf_select.rows import Row
from hf_select.signals.demonstration_set import (
    DemonstrationSets,
    cut,
    distinct_rows,
    draw_orders,
    equal_share,
    only_drawn,
    split_lead,
)


@given(
    st.lists(st.integers(0, 3), min_size=2, max_size=30),
    st.integers(1, 5),
    st.integers(1, 8),
    st.integers(0, 3),
)
def test_classes_are_as_even_as_they_go(classes, n_sets, n_demonstrations, seed) -> None:
    orders = draw_orders(classes, n_sets, n_demonstrations, seed)
    assert len(orders) == n_sets
    available = np.bincount(classes, minlength=4)
    for order in orders:
        assert len(order) == min(len(classes), n_demonstrations + 1)  # one to spare for the row itself
        assert len(set(order)) == len(order)
        counts = np.bincount([classes[row] for row in order], minlength=4)
        can_have_more = available > counts
        if can_have_more.any():
            assert counts.max() <= counts[can_have_more].min() + 1
    assert draw_orders(classes, n_sets, n_demonstrations, seed) == orders
    assert draw_orders(classes, n_sets + 1, n_demonstrations, seed)[:n_sets] == orders


def test_only_drawn_rows_are_kept() -> None:
    assert only_drawn([[7, 2], [2, 9]]) == ([2, 7, 9], [[1, 0], [0, 2]])


def test_sets_differ_and_cover_all_rows() -> None:
    orders = draw_orders([None] * 6, 200, 2, seed=0)
    counts = np.bincount([row for order in orders for row in order[:2]], minlength=6)
    assert len({tuple(order) for order in orders}) > 50
    assert np.abs(counts - 400 / 6).max() < 4 * np.sqrt(400 / 6)
    assert draw_orders([None] * 6, 200, 2, seed=1) != orders


def sets() -> DemonstrationSets:
    pieces = [np.full(length, length, dtype=np.int32) for length in (1, 2, 3, 4)]
    return DemonstrationSets(["a", "b", "c", "d"], pieces, [[0, 1, 2], [3, 0, 1]], 2)


def test_a_row_is_not_shown_to_itself() -> None:
    assert sets().before("z", 0).tolist() == [1, 2, 2]
    assert sets().before("a", 0).tolist() == [2, 2, 3, 3, 3]
    assert sets().before("c", 0).tolist() == [1, 2, 2]  # it was not shown anyway
    assert sets().before("a", 1).tolist() == [4, 4, 4, 4, 2, 2]
    assert [sets().n_before(text) for text in "zabc"] == [5, 6, 5, 5]
    assert sets().max_tokens == 6


def test_the_identity_is_that_of_all_that_is_shown() -> None:
    whole = sets()
    others = [
        DemonstrationSets(["a", "b", "c", "e"], whole.pieces, whole.orders, 2),
        DemonstrationSets(whole.texts, [*whole.pieces[:3], whole.pieces[0]], whole.orders, 2),
        DemonstrationSets(whole.texts, whole.pieces, [[0, 1, 2], [3, 1, 0]], 2),
        DemonstrationSets(whole.texts, whole.pieces, whole.orders, 1),
    ]
    assert len({one.identity for one in (whole, sets(), *others)}) == 5


def test_equal_texts_count_once() -> None:
    labelled = [Row("a", "", 0), Row("b", "", 1), Row("a", "", 1), Row("", "plain text")]
    assert distinct_rows(labelled, [], 3) == [labelled[0], labelled[1], labelled[3]]
    assert len(distinct_rows(labelled, [Row("z", "")], 3)) == 3


def test_too_few_labelled_rows_are_refused() -> None:
    labelled = [Row("a", "", 0), Row("b", "", 1), Row("a", "", 1)]
    with pytest.raises(ConfigError, match=r"needs 3 labelled rows of different texts.*labelled= names 2"):
        distinct_rows(labelled, [Row("z", "")], 3)
    with pytest.raises(ConfigError, match="needs 3 labelled rows"):
        distinct_rows(labelled, [Row("z", ""), Row("a", "")], 2)  # one is the row's own


def test_shares_by_hand() -> None:
    assert equal_share(100, 10, 4) == 18
    assert equal_share(None, 10, 4) is None
    with pytest.raises(ConfigError, match=r"n_demonstrations=4 and the row do not fit into 14 tokens"):
        equal_share(14, 10, 4)


def test_cuts_are_counted(caplog) -> None:
    texts = [np.arange(length) for length in (2, 5, 9)]
    with caplog.at_level(logging.WARNING, "hf_select"):
        assert [len(ids) for ids in cut("rows", texts, 5)] == [2, 5, 5]
        assert [len(ids) for ids in cut("rows", texts, None)] == [2, 5, 9]
        assert [len(ids) for ids in cut("rows", texts, 9)] == [2, 5, 9]
    assert [record.getMessage() for record in caplog.records] == [
        "demonstrations pass: 1 of 3 rows are cut to 5 tokens to fit into the context of the language model."
    ]


def test_the_token_before_everything_is_taken_off() -> None:
    ids = np.asarray([1, 5, 1], dtype=np.int32)
    assert [part.tolist() for part in split_lead(ids, 1)] == [[1], [5, 1]]
    assert [part.tolist() for part in split_lead(ids, 2)] == [[], [1, 5, 1]]
    assert [part.tolist() for part in split_lead(ids, None)] == [[], [1, 5, 1]]
    assert [part.tolist() for part in split_lead(ids[:0], 1)] == [[], []]
