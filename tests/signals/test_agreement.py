"""Similarity of outputs: worked values, the laws of an edit distance, and the published numbers of SPUQ."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_select.errors import MissingExtraError, UnknownNameError
from hf_select.signals.agreement import agreement, edit_similarity, get_similarity, levenshtein, rouge_l

WORDS = st.lists(st.sampled_from("abc"), max_size=8)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("", "", 0), ("flaw", "lawn", 2), ("ab", "ba", 2)],
)
def test_distances_by_hand(first, second, expected) -> None:
    assert levenshtein(list(first), list(second)) == expected


def plain_levenshtein(first, second) -> int:
    if not first or not second:
        return len(first) + len(second)
    return min(
        plain_levenshtein(first[1:], second) + 1,
        plain_levenshtein(first, second[1:]) + 1,
        plain_levenshtein(first[1:], second[1:]) + (first[0] != second[0]),
    )


@given(st.lists(st.sampled_from("abc"), max_size=5), st.lists(st.sampled_from("abc"), max_size=5))
def test_distance_is_the_fewest_edits(first, second) -> None:
    assert levenshtein(first, second) == plain_levenshtein(first, second)


@given(WORDS, WORDS, WORDS)
def test_laws_of_the_distance(first, second, third) -> None:
    assert levenshtein(first, second) == levenshtein(second, first)
    assert (levenshtein(first, second) == 0) == (first == second)
    assert levenshtein(first, third) <= levenshtein(first, second) + levenshtein(second, third)


def test_code_is_compared_by_its_tokens() -> None:
    assert edit_similarity("return a + b", "return a - b") == pytest.approx(3 / 4)
    assert edit_similarity("x = a[i]", "x == a(i)") == pytest.approx(1 - 3 / 7)
    assert edit_similarity("{}", "[]") == 0
    assert edit_similarity("if x:\n    y", "if x: y") == 1  # layout does not count
    assert edit_similarity("", "") == 1
    assert edit_similarity("", "x") == 0


def test_pairs_by_hand() -> None:
    texts = ["a b", "a c", "a b"]
    assert agreement(texts, edit_similarity, "all") == pytest.approx((0.5 + 1 + 0.5) / 3)
    assert agreement(texts, edit_similarity, "first") == pytest.approx((0.5 + 1) / 2)
    with pytest.raises(UnknownNameError, match="Unknown pairs 'none'"):
        agreement(texts, edit_similarity, "none")


def test_equal_texts_agree_whatever_measures_them() -> None:
    assert agreement(["", "", ""], lambda first, second: 0.0) == 1
    assert agreement(["{}", "{}"], lambda first, second: 0.0) == 1


@given(st.lists(st.text("ab \n", max_size=6), min_size=2, max_size=5), st.randoms())
def test_the_order_of_variants_changes_nothing(texts, random) -> None:
    others = random.sample(texts[1:], len(texts) - 1)
    for pairs in ("all", "first"):
        expected = agreement(texts, edit_similarity, pairs)
        assert 0 <= expected <= 1
        assert agreement([texts[0], *others], edit_similarity, pairs) == pytest.approx(expected)


# answers of SPUQ's README -> confidence it prints there
SPUQ = [
    (
        [
            "Yes, 3 is much less than 100.",
            "Yes, 3 is less than 100.",
            "Yes, 100 is bigger than 3.",
            "Yes, 100 is greater than 3.",
            "Yes, 100 exceeds 3 in value.",
        ],
        0.538462,
    ),
    (
        [
            "No, Kendrick Lamar was born in 1987 and Jay-Z was born in 1969, so Jay-Z will turn 60 before Kendrick "
            "Lamar.",
            "Jay-Z will turn 60 first. He was born on December 4, 1969, while Kendrick Lamar was born on June 17, "
            "1987.",
            "Yes, Jay-Z is already older than Kendrick Lamar. Jay-Z was born on December 4, 1969, while Kendrick Lamar "
            "was born on June 17, 1987.",
            "I'm sorry, as an AI language model, I cannot predict the future.",
            "Jay-Z will turn 60 later.",
        ],
        0.255821,
    ),
]


@pytest.mark.parametrize(("answers", "expected"), SPUQ)
def test_published_numbers(answers, expected) -> None:
    pytest.importorskip("rouge_score", reason="rouge_score is not installed")
    assert agreement(answers, rouge_l(), "first") == pytest.approx(expected, abs=1e-6)


def test_rouge_is_blind_to_the_signs_of_code() -> None:
    pytest.importorskip("rouge_score", reason="rouge_score is not installed")
    assert rouge_l()("return a + b", "return a - b") == 1
    assert rouge_l()("{}", "[]") == 0


def test_a_missing_package_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(MissingExtraError, match="pip install rouge-score"):
        get_similarity("rouge_l")


def test_an_unknown_similarity_is_refused() -> None:
    assert get_similarity("edit") is edit_similarity
    with pytest.raises(UnknownNameError, match="Did you mean 'rouge_l'"):
        get_similarity("rouge")
