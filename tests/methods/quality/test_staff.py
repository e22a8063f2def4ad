"""STAFF: budgets by hand and against the published loop, strata, and what the target is asked."""

import math

import numpy as np
import pytest

from hf_select.errors import BudgetError, ConfigError
from hf_select.methods.quality.staff import STAFF, effort_ratios, share_out
from hf_select.signals.keys import effort
from hf_select.signals.table import Signals

DRAFT, TARGET = effort("last_value_projection", "draft"), effort("last_value_projection", "target")
NONE = math.nan


def published_loop(sizes, ratios, total):
    """Budgets of the published script, in floats, and what its rounding leaves over."""
    order = sorted(range(len(sizes)), key=lambda stratum: sizes[stratum])
    shares, left = [0] * len(sizes), total
    for turn, stratum in enumerate(order):
        if math.isnan(ratios[stratum]):
            share = left // (len(order) - turn)
        else:
            share = math.floor(left * ratios[stratum] / sum(r for r in (ratios[s] for s in order[turn:]) if r == r))
        shares[stratum] = min(sizes[stratum], share)
        left -= shares[stratum]
    return shares, left


def table(draft, target=None, **masks) -> Signals:
    draft = np.asarray(draft, dtype=np.float64)
    return Signals({DRAFT: draft, TARGET: np.full(len(draft), np.nan) if target is None else target}, **masks)


def pick(method, signals, k, seed=0):
    return method.pick(signals, k, np.random.default_rng(seed))


def verified_rows(method, signals, seed=0) -> np.ndarray:
    draft_alone = Signals({DRAFT: signals[DRAFT]}, candidates=signals.candidates, labelled=signals.labelled)
    want = method.wants(draft_alone, 1, np.random.default_rng(seed))
    if want is None:
        return np.empty(0, np.int64)
    assert want.signals == {method.target}
    assert (np.diff(want.rows) > 0).all()
    return want.rows


@pytest.mark.parametrize(
    ("sizes", "ratios", "total", "expected"),
    [
        ([4, 6], [2, 1], 5, [3, 2]),
        ([4, 6], [0.5, 1.5], 5, [1, 4]),
        ([3, 12, 40], [NONE, 1.2, 0.6], 20, [3, 11, 6]),
        ([5, 5], [NONE, NONE], 7, [3, 4]),
        ([6, 2], [1, 1], 8, [6, 2]),
        ([2, 3, 4], [1, 1, 1], 0, [0, 0, 0]),
    ],
)
def test_budgets_by_hand(sizes, ratios, total, expected) -> None:
    assert share_out(sizes, ratios, total).tolist() == expected


def test_what_rounding_leaves_goes_where_rows_are_left() -> None:
    assert published_loop([3, 4, 5], [NONE, 9.0, 1.0], 12) == ([3, 4, 5], 0)
    assert published_loop([2, 9, 10], [NONE, NONE, 1e-9], 20) == ([2, 9, 9], 0)
    # the last stratum cannot take its share: 3 of 10 are left, for the 8 free rows of the first
    assert published_loop([2, 10, 12], [3.0, 1.0, 1e9], 20)[1] == 8
    assert share_out([2, 10, 12], [3.0, 1.0, 1e9], 20).tolist() == [1, 7, 12]


def test_budgets_add_up_and_fit_for_any_strata() -> None:
    rng, n_left_over, n_same = np.random.default_rng(0), 0, 0
    for _ in range(500):
        sizes = rng.integers(1, 30, rng.integers(1, 9))
        ratios = np.where(rng.random(len(sizes)) < 0.3, np.nan, rng.gamma(0.5, size=len(sizes)) + 1e-6)
        total = int(rng.integers(0, sizes.sum() + 1))
        shares = share_out(sizes, ratios, total)
        assert shares.sum() == total
        assert (shares >= 0).all()
        assert (shares <= sizes).all()
        published, left = published_loop(sizes.tolist(), ratios.tolist(), total)
        assert (shares >= published).all()
        n_left_over += left > 0
        n_same += shares.tolist() == published
    assert n_left_over > 50
    assert n_same > 200


def test_equal_ratios_cover_the_strata_evenly() -> None:
    assert share_out([100, 100, 100, 100], [0.7] * 4, 40).tolist() == [10, 10, 10, 10]
    assert share_out([4, 100, 100, 100], [0.7] * 4, 40).tolist() == [4, 12, 12, 12]  # small strata are kept whole


def test_a_budget_above_the_rows_is_refused() -> None:
    with pytest.raises(BudgetError, match="picks cannot be shared out"):
        share_out([2, 3], [1, 1], 6)


def test_a_ratio_compares_means_over_verified_rows() -> None:
    draft = np.array([1.0, 3.0, 10.0, 10.0, 5.0, 0.0])
    target = np.array([4.0, 4.0, 10.0, np.nan, 99.0, 0.0])
    verified = [np.array([0, 1]), np.array([2, 3]), np.array([], dtype=np.int64), np.array([5]), np.array([3])]
    # sums: target 8, 10, -, 0, -; draft 4, 10 (row 3 was not read), -, 0, -; totals 18 and 14
    ratios = effort_ratios(draft, target, verified)
    np.testing.assert_allclose(ratios, [(8 / 18) / (4 / 14), (10 / 18) / (10 / 14), NONE, NONE, NONE])
    np.testing.assert_allclose(effort_ratios(draft, 1000 * target, verified), ratios)  # each model has a scale


def test_strata_are_half_open_and_the_last_is_closed() -> None:
    draft = [1, 5, 4, 9, 10, 2, 3, 8, 6, 7]  # without its hardest row 1..9, so that the border lies at 5
    strata, outliers = STAFF(n_strata=2).strata(table(draft), np.arange(10))
    assert [stratum.tolist() for stratum in strata] == [[2, 6, 5, 0], [3, 7, 9, 8, 1]]
    assert outliers.tolist() == [4]
    strata, outliers = STAFF(n_strata=2, outlier_fraction=0.29).strata(table(np.arange(100)), np.arange(100))
    assert len(outliers) == 29  # floor(0.29 * 100) in floats is 28
    assert outliers.tolist() == list(range(71, 100))


def test_strata_of_quantiles_hold_equally_many_rows_and_never_part_equal_ones() -> None:
    draft = np.random.default_rng(0).gamma(0.3, size=1000)
    width, _ = STAFF(n_strata=10).strata(table(draft), np.arange(1000))
    quantile, _ = STAFF(n_strata=10, bins="quantile").strata(table(draft), np.arange(1000))
    assert len(width[0]) > 300
    assert [len(stratum) for stratum in quantile] == [90] * 10
    alike, _ = STAFF(n_strata=10, bins="quantile", outlier_fraction=0).strata(table([1] * 7 + [2] * 3), np.arange(10))
    assert [stratum.tolist() for stratum in alike] == [[0, 1, 2, 3, 4, 5, 6], [7, 8, 9]]


def test_ties_go_to_the_lower_row_id_among_outliers_too() -> None:
    strata, outliers = STAFF(n_strata=5).strata(table(np.ones(20)), np.arange(20))
    assert [stratum.tolist() for stratum in strata] == [list(range(18))]
    assert outliers.tolist() == [18, 19]


def test_picks_by_hand() -> None:
    draft = np.arange(1.0, 11.0)  # strata: rows 0..3 and 4..8; row 9 is an outlier
    target = np.where(draft < 5, 2 * draft, draft)  # V = 2 : 1, whatever rows are verified
    method, signals = STAFF(n_strata=2, n_verified=3), table(draft, target)
    assert pick(method, signals, 5).indices.tolist() == [8, 7, 3, 2, 1]
    assert pick(method, signals, 5).scores.tolist() == [9, 8, 4, 3, 2]
    assert pick(method, signals, 9).indices.tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert pick(method, signals, 10).indices.tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0, 9]  # an outlier where none else is


def test_the_target_decides_where_the_budget_goes() -> None:
    draft = np.random.default_rng(0).uniform(size=400)
    easy, hard = np.where(draft < 0.45, 9 * draft, draft), np.where(draft < 0.45, draft / 9, draft)
    method = STAFF(n_strata=2)
    n_easy = [int((draft[pick(method, table(draft, target), 100).indices] < 0.45).sum()) for target in (easy, hard)]
    assert n_easy[0] > 80
    assert n_easy[1] < 20


def test_only_few_rows_are_asked_for_and_only_those_count() -> None:
    rng = np.random.default_rng(3)
    draft, target = rng.gamma(2, size=1000), rng.gamma(2, size=1000)
    allowed, labelled = rng.random(1000) < 0.8, rng.random(1000) < 0.1
    n_checked = 0
    for method in (STAFF(), STAFF(n_strata=7, n_verified=5), STAFF(n_strata=7, bins="quantile", within="random")):
        signals = table(draft, target, candidates=allowed, labelled=labelled)
        asked = verified_rows(method, signals, seed=5)
        assert 0 < len(asked) <= method.n_strata * method.n_verified
        assert (allowed & ~labelled)[asked].all()
        told = np.full(1000, np.nan)
        told[asked] = target[asked]
        wild = np.where(np.isnan(told), 1e9, told)
        full = pick(method, signals, 200, seed=5).indices.tolist()
        for other in (told, wild):
            again = pick(method, table(draft, other, candidates=allowed, labelled=labelled), 200, seed=5)
            assert again.indices.tolist() == full
            n_checked += 1
        worse = np.where(np.isnan(told), 0.0, 1000 * told * rng.gamma(0.2, size=1000))
        assert set(pick(method, table(draft, worse, candidates=allowed, labelled=labelled), 200, seed=5)[0]) != set(
            full
        )
    assert n_checked == 6


def test_small_strata_are_not_verified_and_share_equally() -> None:
    lone = STAFF(n_strata=1, n_verified=10, outlier_fraction=0)
    assert [len(verified_rows(lone, table(np.arange(n_rows)))) for n_rows in (9, 10, 11)] == [0, 0, 10]
    draft = np.arange(20.0)
    method = STAFF(n_strata=4, n_verified=10, outlier_fraction=0)
    assert len(verified_rows(method, table(draft))) == 0
    picks = pick(method, table(draft), 8)
    assert picks.indices.tolist() == [19, 18, 14, 13, 9, 8, 4, 3]


def test_a_verified_row_without_a_finite_effort_is_left_out_of_the_ratio() -> None:
    draft = np.random.default_rng(0).uniform(size=300)
    target = 2 * draft
    asked = verified_rows(STAFF(n_strata=3), table(draft))
    target[asked[::7]] = np.nan
    assert len(pick(STAFF(n_strata=3), table(draft, target), 60).indices) == 60
    np.testing.assert_array_equal(
        pick(STAFF(n_strata=3), table(draft, target), 60).indices, pick(STAFF(n_strata=3), table(draft, draft), 60)[0]
    )


@pytest.mark.parametrize("fields", [{}, {"bins": "quantile"}, {"within": "random"}])
def test_the_order_of_the_dataset_has_no_part_in_it(fields) -> None:
    rng = np.random.default_rng(1)
    draft, target, order = rng.gamma(2, size=600), rng.gamma(2, size=600), rng.permutation(600)
    method = STAFF(n_strata=5, **fields)
    picked = pick(method, table(draft, target), 90).indices
    moved = pick(method, table(draft[order], target[order]), 90).indices
    assert order[moved].tolist() == picked.tolist()


def test_the_rows_asked_for_follow_the_seed_and_not_the_number_of_picks() -> None:
    draft = table(np.random.default_rng(0).uniform(size=300))
    rows = {tuple(verified_rows(STAFF(n_strata=3), draft, seed=seed)) for seed in range(5)}
    assert len(rows) == 5
    alone = Signals({DRAFT: draft[DRAFT]})
    asked = [STAFF(n_strata=3).wants(alone, k, np.random.default_rng(0)).rows.tolist() for k in (1, 300)]
    assert asked[0] == asked[1]


def test_nothing_is_wanted_when_the_target_was_read_or_no_row_is_eligible() -> None:
    assert STAFF().wants(table(np.ones(100)), 5, np.random.default_rng(0)) is None
    nobody = Signals({DRAFT: np.full(100, np.nan)})
    assert STAFF(n_strata=1).wants(nobody, 5, np.random.default_rng(0)) is None


def test_needs() -> None:
    method = STAFF(measure="lora_b")
    assert method.needs == {effort("lora_b", "draft"), effort("lora_b", "target")}
    assert method.needs_at_first == {effort("lora_b", "draft")}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outlier_fraction", 1), ("outlier_fraction", -0.1), ("outlier_fraction", True), ("n_strata", 0),
        ("n_verified", 2.0), ("measure", "norm"), ("bins", "depth"), ("within", "lowest"),
    ],
)  # fmt: skip
def test_unknown_values_are_refused_by_name(field, value) -> None:
    with pytest.raises(ConfigError, match=f"^{field}="):
        STAFF(**{field: value})
