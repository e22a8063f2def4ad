"""The generated classification task: two sides of every function, nothing but the fault apart."""

from collections import Counter

import pytest

from hf_select.demo.planted_bug import build_planted_bugs, draw_corpus
from hf_select.errors import ConfigError


@pytest.fixture(scope="module")
def rows():
    return build_planted_bugs(3, 200)


def test_every_function_has_a_right_and_a_faulty_side(rows):
    sides = {}
    for row in rows:
        sides.setdefault(row["function"], []).append(row)
    assert len(sides) == 100
    for pair in sides.values():
        right, faulty = sorted(pair, key=lambda row: row["label"])
        assert (right["label"], faulty["label"]) == (0, 1)
        assert (right["fault"], bool(faulty["fault"])) == ("", True)
        assert right["code"].splitlines()[:2] == faulty["code"].splitlines()[:2]
        assert right["code"].splitlines()[2] != faulty["code"].splitlines()[2]


def test_every_row_compiles_and_no_two_are_alike(rows):
    assert len(set(rows["code"])) == 200
    for code in rows["code"]:
        compile(code, "row", "exec")


def test_a_fault_is_one_that_shows():
    rows = build_planted_bugs(5, 60)
    right = {row["function"]: row["code"] for row in rows if not row["label"]}
    lists = [values for n in range(-4, 25) for values in ([n], list(range(-9, n)), [3, 3, n])]
    inputs = [*lists, "", "aEb 3", "Zz19", "jabba"]
    told_apart = 0
    for row in rows:
        if row["label"]:
            told_apart += any(_result(row["code"], value) != _result(right[row["function"]], value) for value in inputs)
    assert told_apart >= 28  # of 30; a few show on rarer inputs only


def _result(code, value):
    namespace = {}
    exec(code, namespace)
    try:
        return namespace["f"](value)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        return type(error).__name__


def test_every_kind_of_fault_occurs(rows):
    assert set(Counter(rows["fault"])) == {"", "off_by_one", "flipped_comparison", "swapped_body"}


def test_the_same_seed_gives_the_same_rows(rows):
    assert build_planted_bugs(3, 200)[:] == rows[:]
    assert build_planted_bugs(4, 200)["code"] != rows["code"]


@pytest.mark.parametrize("n_rows", [0, 1, 7, -2])
def test_rows_come_in_pairs(n_rows):
    with pytest.raises(ConfigError, match="even number"):
        build_planted_bugs(0, n_rows)


def test_a_grammar_that_ends_is_said(monkeypatch):
    monkeypatch.setattr("hf_select.demo.planted_bug._MAX_DRAWS_PER_FUNCTION", 1)
    with pytest.raises(ConfigError, match=r"gave only \d+ of 2000 functions"):
        build_planted_bugs(0, 4000)


def test_the_corpus_shares_no_docstring_with_the_rows(rows):
    corpus = draw_corpus(3, 300, apart_from=rows["code"])
    heads = [code.splitlines()[1] for code in corpus]
    assert len(set(zip((code.splitlines()[0] for code in corpus), heads, strict=True))) == 300
    of_rows = {tuple(code.splitlines()[:2]) for code in rows["code"]}
    assert not of_rows & {tuple(code.splitlines()[:2]) for code in corpus}
