"""Rows divided for a seed: parts that share nothing, groups that stay whole, enough labelled rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_select.errors import ConfigError
from hf_select.grid.split import Shares, split_rows

SHARES = Shares(test=0.2, validation=0.2, labelled=0.1, min_labelled_per_class=2)


def rng(seed=0):
    return np.random.default_rng(seed)


def rows(n, n_groups):
    texts = [f"text {row}" for row in range(n)]
    return texts, [row % n_groups for row in range(n)], [(row // n_groups) % 2 for row in range(n)]


@settings(max_examples=60, deadline=None)
@given(n_groups=st.integers(10, 40), per_group=st.integers(2, 5), seed=st.integers(0, 10**6))
def test_every_row_is_in_one_part_and_groups_stay_whole(n_groups, per_group, seed):
    texts, groups, labels = rows(n_groups * per_group, n_groups)
    split = split_rows(texts, groups, labels, SHARES, rng(seed))
    parts = [split.test, split.validation, split.pool]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(texts)))
    assert split.n_dropped == 0
    of_parts = [{groups[row] for row in part} for part in parts]
    assert not of_parts[0] & of_parts[1]
    assert not of_parts[0] & of_parts[2]
    assert not of_parts[1] & of_parts[2]
    assert abs(len(split.test) - 0.2 * len(texts)) <= per_group
    assert split.labelled.shape == split.pool.shape


def test_the_seed_decides_and_the_same_seed_decides_alike():
    texts, groups, labels = rows(60, 30)
    first, again, other = (split_rows(texts, groups, labels, SHARES, rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(first.pool, again.pool)
    assert np.array_equal(first.labelled, again.labelled)
    assert not np.array_equal(first.pool, other.pool)


def test_texts_of_given_test_rows_and_of_validation_leave_the_pool():
    texts = [f"text {row % 30}" for row in range(60)]  # every text twice, in two groups
    groups, labels = list(range(60)), [row % 2 for row in range(60)]
    shares = Shares(0.0, 0.2, 0.1, 1)
    split = split_rows(texts, groups, labels, shares, rng(), test_texts=["text 0", "text 1"])
    of_pool = {texts[row] for row in split.pool}
    of_validation = {texts[row] for row in split.validation}
    assert len(split.test) == 0
    assert not of_pool & of_validation
    assert not (of_pool | of_validation) & {"text 0", "text 1"}
    assert split.n_dropped == 60 - len(split.pool) - len(split.validation) > 0


def test_a_rare_class_gets_its_labelled_rows():
    texts, groups = [f"t{row}" for row in range(400)], list(range(400))
    labels = [int(row % 10 == 0) for row in range(400)]
    split = split_rows(texts, groups, labels, Shares(0.1, 0.1, 0.02, 5), rng())
    labelled = [labels[row] for row in split.pool[split.labelled]]
    assert labelled.count(1) == 5
    assert labelled.count(0) >= 5  # 2 % of the pool of 320 are 6, of which most are of class 0


def test_rows_without_classes_are_labelled_too():
    texts, groups = [f"t{row}" for row in range(50)], list(range(50))
    split = split_rows(texts, groups, None, Shares(0.0, 0.1, 0.02, 8), rng())
    assert split.labelled.sum() == 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0.5, 0.5, 0.1, 1), "leave no pool"),
        ((1.0, 0.1, 0.1, 1), "test_fraction=1.0"),
        ((0.1, 0.0, 0.1, 1), "validation_fraction=0.0"),
        ((0.1, 0.1, 0.0, 1), "seed_fraction=0.0"),
        ((0.1, 0.1, 1.0, 1), "seed_fraction=1.0"),
        ((0.1, 0.1, 0.1, 0), "min_seed_rows_per_class=0"),
    ],
)
def test_shares_that_leave_nothing_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        Shares(*fields)


def test_too_few_groups_for_three_parts_are_refused():
    texts, _, labels = rows(40, 20)
    with pytest.raises(ConfigError, match=r"validation split has no rows .*too few groups"):
        split_rows(texts, [0] * 40, labels, Shares(0.2, 0.2, 0.1, 1), rng())


def test_a_part_of_one_class_is_refused():
    texts, groups = [f"t{row}" for row in range(40)], list(range(40))
    labels = [0] * 39 + [1]
    with pytest.raises(ConfigError, match="are of class 0, so nothing can be told apart"):
        split_rows(texts, groups, labels, SHARES, rng())


def test_a_pool_that_would_be_labelled_whole_is_refused():
    texts, groups, labels = [f"t{row}" for row in range(60)], list(range(60)), [row % 2 for row in range(60)]
    with pytest.raises(ConfigError, match="nothing to pick"):
        split_rows(texts, groups, labels, Shares(0.2, 0.2, 0.1, 60), rng())
