import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.errors import BudgetError, ConfigError
from hf_select.methods import make
from hf_select.methods.cdas import CDAS
from hf_select.signals.keys import ANSWER_ALONE_NLL, EMBEDDING, RESPONSE_NLL
from hf_select.signals.table import Signals

TOY = np.array([[0, 0], [0, 1], [1, 0], [10, 10], [10, 11], [11, 10], [10.5, 10.5]])
TOY_IFD = [0.5, 0.9, 0.7, 1.2, 0.3, 0.8, 0.6]


def signals(vectors, ifd, **masks):
    alone = np.ones(len(ifd))
    return Signals(
        {EMBEDDING: np.asarray(vectors, float), RESPONSE_NLL: np.log(ifd) + alone, ANSWER_ALONE_NLL: alone}, **masks
    )


def pick(method, table, k, seed=0):
    return method.pick(table, k, np.random.default_rng(seed))


def random_pool(n_rows, seed, n_blobs=4):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(n_blobs, 6)) * 10
    return signals(
        centres[rng.integers(n_blobs, size=n_rows)] + rng.normal(size=(n_rows, 6)), rng.uniform(0.2, 1.2, n_rows)
    )


@pytest.mark.parametrize(("fraction", "k", "expected"), [(0.4, 2, [1, 5]), (0.7, 4, [1, 2, 5, 6])])
def test_golden_published_script(fraction, k, expected):
    method = CDAS(n_clusters=2, compat="codeact", fraction=fraction)
    table = signals(TOY, TOY_IFD)
    assert method.strata(table, np.random.default_rng(0)).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert pick(method, table, k).indices.tolist() == expected


def test_golden_one_cluster_with_ties():
    table = signals(np.arange(5)[:, None], [0.5, 0.5, 0.5, 1e-9, 1e-9])
    method = CDAS(n_clusters=1, compat="codeact", fraction=0.4)
    assert pick(method, table, 2).indices.tolist() == [0, 1]


def test_published_rounding_is_a_product_of_floats():
    """int(100 * 0.29) is 28."""
    table = signals(np.random.default_rng(0).normal(size=(101, 2)), [*np.linspace(0.1, 0.9, 100), 1.1])
    with pytest.warns(UserWarning, match="29 rows were asked for and compat='codeact' takes 28"):
        indices = pick(CDAS(n_clusters=1, compat="codeact", fraction=0.29), table, 29).indices
    assert indices.tolist() == list(range(99, 71, -1))
    assert len(pick(CDAS(n_clusters=1), table, 29).indices) == 29


def test_published_script_on_a_pool_is_a_loop_over_its_clusters():
    from sklearn.cluster import KMeans

    table = random_pool(300, seed=1)
    vectors, ifd = table[EMBEDDING], np.exp(table[RESPONSE_NLL] - 1)
    labels = KMeans(n_clusters=10, random_state=42).fit(vectors).labels_
    expected = []
    for label in range(10):
        members = [i for i in range(300) if labels[i] == label and ifd[i] < 1.0]
        members.sort(key=lambda i: ifd[i], reverse=True)
        expected += members[: int(len(members) * 0.4)]
    with pytest.warns(UserWarning, match=f"takes {len(expected)}"):
        assert pick(make("cdas", compat="codeact"), table, 120).indices.tolist() == expected


def test_the_published_fraction_may_not_exceed_the_budget():
    with pytest.raises(ConfigError, match=r"fraction=0.7 keeps 4 rows, more than the 2 asked for"):
        pick(CDAS(n_clusters=2, compat="codeact", fraction=0.7), signals(TOY, TOY_IFD), 2)


def test_the_budget_is_met_by_largest_remainder_over_eligible_rows():
    picks = pick(CDAS(n_clusters=2, seed=42), signals(TOY, TOY_IFD), 3)
    assert picks.indices.tolist() == [1, 2, 5]  # shares of 1.5 each: the tie goes to the lower cluster
    np.testing.assert_allclose(np.exp(picks.scores), [0.9, 0.7, 0.8])


def test_every_cluster_gets_its_minimum():
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(size=(76, 2)), rng.normal(size=(4, 2)) + 100])
    table = signals(vectors, rng.uniform(0.2, 0.9, 80))
    per_blob = [
        np.bincount(pick(CDAS(n_clusters=2, min_per_cluster=n), table, 8).indices // 76, minlength=2).tolist()
        for n in (0, 1, 3)
    ]
    assert per_blob == [[8, 0], [7, 1], [5, 3]]
    with pytest.raises(BudgetError, match="at least 6 each"):
        pick(CDAS(n_clusters=2, min_per_cluster=6), table, 8)


@given(st.integers(0, 30), st.integers(1, 40))
def test_inside_a_cluster_the_best_are_taken_and_none_reaches_the_limit(seed, k):
    table, method = random_pool(60, seed), CDAS(n_clusters=4)
    eligible = method.eligible(table)
    indices = pick(method, table, min(k, len(eligible)), seed).indices
    labels = method.strata(table, np.random.default_rng(seed))
    ifd = method.complexity.ifd(table)
    assert (ifd[indices] < 1).all()
    assert (np.diff(labels[indices]) >= 0).all()
    for label in range(4):
        taken = [ifd[row] for row in indices if labels[row] == label]
        left = [ifd[row] for row in eligible if labels[row] == label and row not in set(indices.tolist())]
        assert taken == sorted(taken, reverse=True)
        assert not taken or not left or min(taken) >= max(left)


def test_strata_hold_rows_that_ifd_excludes_and_leave_out_those_that_lie_nowhere():
    vectors = TOY.copy()
    vectors[0] = np.nan
    table = signals(vectors, TOY_IFD, candidates=np.arange(7) != 1)
    labels = CDAS(n_clusters=2).strata(table, np.random.default_rng(0))
    assert labels[:2].tolist() == [-1, -1]
    assert labels[3] >= 0
    assert len(set(labels[3:].tolist())) == 1


def test_random_inside_strata_reads_no_ifd_and_keeps_the_proportions():
    method = CDAS(n_clusters=2, within="random")
    assert method.needs == {EMBEDDING}
    table = Signals({EMBEDDING: np.concatenate([np.zeros((40, 2)), np.ones((20, 2))]) + np.arange(60)[:, None] * 1e-3})
    drawn = {tuple(pick(method, table, 6, seed).indices) for seed in range(5)}
    assert len(drawn) == 5
    assert all(np.bincount(np.array(rows) // 40).tolist() == [4, 2] for rows in drawn)


def test_fewer_distinct_embeddings_than_clusters():
    table = signals(np.array([[0.0], [0.0], [1.0], [1.0]]), [0.1, 0.2, 0.3, 0.4])
    with pytest.warns(UserWarning, match="n_clusters=10, but only 2 embeddings differ"):
        indices = pick(CDAS(), table, 2).indices
    assert sorted(indices.tolist()) == [1, 3]


def test_the_seed_of_the_clusters_is_drawn_or_fixed():
    table = random_pool(80, seed=3, n_blobs=1)
    strata = [CDAS(seed=fixed).strata(table, np.random.default_rng(seed)) for fixed in (None, 5) for seed in (0, 1)]
    assert strata[0].tolist() != strata[1].tolist()
    assert strata[2].tolist() == strata[3].tolist()


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"fraction": 0.4}, "fraction=0.4"),
        ({"fraction": 1.5, "compat": "codeact"}, "fraction=1.5"),
        ({"compat": "codeact", "min_per_cluster": 1}, "min_per_cluster"),
        ({"compat": "codeact", "within": "random"}, "within"),
        ({"compat": "deita"}, "compat='deita'"),
        ({"n_clusters": 0}, "n_clusters=0"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields, word):
    with pytest.raises(ConfigError, match=word):
        CDAS(**fields)
