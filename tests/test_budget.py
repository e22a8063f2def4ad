from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.budget import Budget
from hf_select.errors import BudgetError


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("40%", "fraction", Fraction(2, 5)),
        ("40 %", "fraction", Fraction(2, 5)),
        ("12.5%", "fraction", Fraction(1, 8)),
        ("0.29", "fraction", Fraction(29, 100)),
        ("1.0", "fraction", Fraction(1)),
        ("1/3", "fraction", Fraction(1, 3)),
        ("2 / 3", "fraction", Fraction(2, 3)),
        (0.29, "fraction", Fraction(29, 100)),
        (np.float32(0.4), "fraction", Fraction(2, 5)),
        (Fraction(1, 7), "fraction", Fraction(1, 7)),
        (1.0, "fraction", Fraction(1)),
        (5000, "rows", Fraction(5000)),
        (np.int64(7), "rows", Fraction(7)),
        ("5000", "rows", Fraction(5000)),
        ("5,000", "rows", Fraction(5000)),
        ("12_000 rows", "rows", Fraction(12000)),
        ("1.5k rows", "rows", Fraction(1500)),
        ("1 row", "rows", Fraction(1)),
        ("2M tokens", "tokens", Fraction(2_000_000)),
        ("2M", "tokens", Fraction(2_000_000)),
        ("2k", "tokens", Fraction(2_000)),
        ("2k rows", "rows", Fraction(2_000)),
        ("1.5M tokens", "tokens", Fraction(1_500_000)),
        ("500k tokens", "tokens", Fraction(500_000)),
        ("1,234,567 tokens", "tokens", Fraction(1_234_567)),
        ("1 token", "tokens", Fraction(1)),
        ("2B Tokens", "tokens", Fraction(2_000_000_000)),
    ],
)
def test_budgets_as_people_write_them(text, kind, value):
    budget = Budget.parse(text)
    assert (budget.kind, budget.value) == (kind, value)
    assert Budget.parse(budget) is budget


@pytest.mark.parametrize(
    "text",
    [
        *("", "abc", "0", 0, -5, "-5", "0%", "101%", 1.5, 0.0, "nan", float("nan"), float("inf"), "3/2", "1/0"),
        *("1.5 rows", "0.5 tokens", "0 tokens", "1,5%", "0,4", "40 % of rows", "1e3", True, None, [1]),
    ],
)
def test_what_is_no_budget_is_refused_with_the_forms_that_are(text):
    with pytest.raises(BudgetError, match=r"give rows .*, a fraction .* or tokens"):
        Budget.parse(text)


@pytest.mark.parametrize("n", [0, -1, 1.0, True, "5"])
def test_a_number_must_be_whole_and_positive(n):
    with pytest.raises(BudgetError, match="not a whole number of"):
        Budget.rows(n)
    with pytest.raises(BudgetError, match="not a whole number of"):
        Budget.tokens(n)


def test_a_fraction_is_exact():
    assert Budget.fraction(0.29).n_rows(100) == 29  # int(100 * 0.29) is 28
    assert Budget.fraction("0.7").n_rows(10) == 7
    assert Budget.parse("40%").n_rows(12001) == 4800
    assert Budget.parse("1/3").n_rows(3) == 1
    assert Budget.parse("1%").n_rows(7) == 1  # at least one row
    assert Budget.parse("100%").n_rows(7) == 7


def test_rows_are_taken_as_they_are_up_to_the_pool():
    assert Budget.rows(5).n_rows(5) == 5
    with pytest.raises(BudgetError, match="budget=6 rows is above the pool of 5 rows"):
        Budget.rows(6).n_rows(5)


@pytest.mark.parametrize("text", [3, "40%", "10 tokens"])
def test_an_empty_pool_is_refused(text):
    with pytest.raises(BudgetError, match="no row to pick from"):
        Budget.parse(text).n_rows(0)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(1, 1), (4, 1), (5, 1), (6, 1), (7, 2), (9, 2), (10, 3), (11, 4), (1000, 4)],
)
def test_tokens_keep_the_longest_prefix_of_the_picks_and_at_least_one_row(tokens, expected):
    row_tokens = np.array([3, 100, 5, 2, 1])
    budget = Budget.tokens(tokens)
    assert budget.n_rows(5) == 5
    assert budget.prefix(np.array([2, 3, 0, 4]), row_tokens) == expected


def test_other_budgets_keep_all_picks():
    assert Budget.rows(2).prefix(np.array([1, 0]), np.array([10, 10])) == 2
    assert Budget.tokens(5).prefix(np.array([], dtype=np.int64), np.array([10, 10])) == 0


def test_written_as_it_is_read():
    texts = ["40%", "12.5%", "1/3", "7 rows", "1500000 tokens", "1/1000000000"]
    assert [str(Budget.parse(text)) for text in texts] == texts


@given(st.fractions(min_value=0, max_value=1).filter(bool), st.integers(1, 10**6))
def test_any_budget_survives_writing_and_reading(share, n):
    for budget in (Budget.fraction(share), Budget.rows(n), Budget.tokens(n)):
        assert Budget.parse(str(budget)) == budget
