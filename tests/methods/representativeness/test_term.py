import random

import numpy as np
import pytest

from hf_select.methods.representativeness.term import CODE, WHITESPACE, count_terms, identifier_terms

TEXTS = ["def addTwo(a, b): return a + b", "class HTTPServer2: pass", "", "+ - *", "x = add_two(add_two(1))"]


@pytest.mark.parametrize(
    ("word", "terms"),
    [
        ("name", ["name"]),
        ("Path", ["path"]),
        ("URL", ["url"]),
        ("snake_case", ["snake_case", "snake", "case"]),
        ("camelCase", ["camelcase", "camel", "case"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("parseHTTPResponse_v2", ["parsehttpresponse_v2", "parse", "http", "response", "v2"]),
        ("__init__", ["__init__", "init"]),
        ("_private", ["_private", "private"]),
        ("MAX_SIZE", ["max_size", "max", "size"]),
        ("utf8Decode", ["utf8decode", "utf8", "decode"]),
        ("a_a", ["a_a", "a", "a"]),
        ("42", ["42"]),
        ("_", []),
        ("größeÄndern", ["größeändern", "größe", "ändern"]),
        ("имяФайла", ["имяфайла", "имя", "файла"]),
        ("变量", ["变量"]),
    ],
)
def test_an_identifier_is_kept_whole_besides_its_parts(word, terms):
    assert identifier_terms(word) == terms


def test_code_has_words_and_no_operators():
    assert CODE.split("x += foo.barBaz(1)  # ok?") == ["x", "foo", "barbaz", "bar", "baz", "1", "ok"]
    assert WHITESPACE.split(" x +=\tFoo(1)\n") == ["x", "+=", "Foo(1)"]


@pytest.mark.parametrize("splitter", [CODE, WHITESPACE], ids=["code", "whitespace"])
@pytest.mark.parametrize("only", [None, ["add_two", "add", "nowhere", "a", "+"]], ids=["all", "some"])
def test_counts_are_those_of_a_plain_loop(splitter, only):
    found = splitter.count(TEXTS, only)
    terms = [splitter.split(text) for text in TEXTS]
    assert found.lengths.tolist() == list(map(len, terms))
    assert found.counts.shape == (len(TEXTS), len(found.columns))
    assert set(found.columns) == (set(only) if only else {term for text in terms for term in text})
    for row, text in enumerate(terms):
        for term, column in found.columns.items():
            assert found.counts[row, column] == text.count(term)


def test_terms_that_are_split_already_are_counted_as_they_are():
    rng = random.Random(0)
    texts = [[rng.choice("abcdefg") for _ in range(rng.randrange(0, 30))] for _ in range(200)]
    found = count_terms(iter(texts))
    assert found.counts.sum() == sum(map(len, texts)) > 0
    assert found.counts.has_canonical_format
    for row, text in enumerate(texts):
        assert {t: found.counts[row, c] for t, c in found.columns.items()} == {t: text.count(t) for t in found.columns}


def test_no_texts_and_no_terms_give_empty_counts():
    assert count_terms([]).counts.shape == (0, 0)
    assert count_terms([["a"], []], only=[]).counts.shape == (2, 0)
    assert CODE.count(["+", ""]).lengths.tolist() == [0, 0]
    np.testing.assert_array_equal(count_terms([["a"], []], only=["b"]).counts.toarray(), [[0], [0]])
