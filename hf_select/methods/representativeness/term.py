"""Terms of code: what a text is made of, and how often each term stands in each text.

A text is first cut into words, and only every *distinct* word is split into terms: a pool repeats its words so often
that the splitting costs next to nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
from scipy import sparse

from hf_select.signals.keys import Indices

_WORD = re.compile(r"\w+")


class TermCounts(NamedTuple):
    """How often terms stand in texts.

    Attributes:
        counts: ``(N, T)`` how often each counted term stands in each text, columns as in ``columns``.
        lengths: ``(N,)`` terms of each text, whether counted or not.
        columns: column of each counted term.
    """

    counts: sparse.csr_matrix
    lengths: Indices
    columns: dict[str, int]


@dataclass(frozen=True)
class Splitter:
    """How a text becomes terms: words first, then the terms of each word.

    Attributes:
        words: cuts a text into words.
        terms: the terms that one word stands for; ``None`` where a word is a term.
    """

    words: Callable[[str], list[str]]
    terms: Callable[[str], list[str]] | None = None

    def split(self, text: str) -> list[str]:
        """The terms of a text, in order."""
        words = self.words(text)
        return words if self.terms is None else [term for word in words for term in self.terms(word)]

    def count(self, texts: Iterable[str], only: Collection[str] | None = None) -> TermCounts:
        """Count the terms of texts.

        Args:
            texts: ``N`` texts.
            only: the terms to count; ``None`` for all.

        Returns:
            The counts.
        """
        words = map(self.words, texts)
        return count_terms(words, only) if self.terms is None else _split(count_terms(words), self.terms, only)


def identifier_terms(word: str) -> list[str]:
    """An identifier in lower case, followed by its parts where it has several.

    Args:
        word: letters, digits and underscores of any script.

    Returns:
        The whole and the parts between underscores and at the humps of camelCase; nothing for underscores alone.

    Example:
        >>> identifier_terms("parseHTTPResponse_v2")
        ['parsehttpresponse_v2', 'parse', 'http', 'response', 'v2']
        >>> identifier_terms("Path")
        ['path']
    """
    whole = word.lower()
    parts = [hump.lower() for part in word.split("_") if part for hump in _humps(part)]
    return parts if parts in ([], [whole]) else [whole, *parts]


def _humps(part: str) -> list[str]:
    """Cut where a hump of camelCase begins: at a capital after another character, or before a small letter."""
    if part.islower() or part.isupper():
        return [part]
    starts = [
        place
        for place in range(1, len(part))
        if part[place].isupper() and (not part[place - 1].isupper() or part[place + 1 : place + 2].islower())
    ]
    return [part[start:stop] for start, stop in zip([0, *starts], [*starts, len(part)], strict=True)]


CODE = Splitter(_WORD.findall, identifier_terms)
"""Identifiers and numbers, split at camelCase and underscores and kept whole besides, in lower case."""

WHITESPACE = Splitter(str.split)
"""What stands between white space, as it is."""


def count_terms(texts: Iterable[Sequence[str]], only: Collection[str] | None = None) -> TermCounts:
    """Count the terms of texts that are split already.

    Args:
        texts: ``N`` lists of terms.
        only: the terms to count; ``None`` for all.

    Returns:
        The counts.
    """
    sizes: list[int] = []
    stream = chain.from_iterable(_noting(texts, sizes))
    if only is None:
        columns: dict[str, int] = defaultdict()
        columns.default_factory = columns.__len__  # type: ignore[attr-defined]  # numbers terms by first sight
        numbers = np.fromiter(map(columns.__getitem__, stream), dtype=np.int64)
    else:
        columns = {term: number for number, term in enumerate(only)}
        numbers = np.fromiter(map(columns.get, stream, repeat(-1)), dtype=np.int64)
    lengths = np.asarray(sizes, dtype=np.int64)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    counted = numbers >= 0
    return TermCounts(_tally(rows[counted], numbers[counted], (len(lengths), len(columns))), lengths, dict(columns))


def _noting(texts: Iterable[Sequence[str]], sizes: list[int]) -> Iterator[Sequence[str]]:
    """The same texts, with their sizes noted as they go by."""
    for text in texts:
        sizes.append(len(text))
        yield text


def _tally(rows: Indices, columns: Indices, shape: tuple[int, int]) -> sparse.csr_matrix:
    """How often each pair of row and column comes: whole numbers sort quicker than any dictionary counts."""
    pairs = np.sort(rows * shape[1] + columns)
    first = np.flatnonzero(np.diff(pairs, prepend=-1))
    counts = np.diff(first, append=len(pairs)).astype(np.float64)
    row_of, column_of = np.divmod(pairs[first], max(1, shape[1]))
    starts = np.searchsorted(row_of, np.arange(shape[0] + 1))
    return sparse.csr_matrix((counts, column_of, starts), shape=shape)


def _split(words: TermCounts, terms: Callable[[str], list[str]], only: Collection[str] | None) -> TermCounts:
    """The counts of terms from those of words, through the terms of every distinct word."""
    of_word = count_terms(map(terms, words.columns), only)
    lengths = (words.counts @ of_word.lengths.astype(np.float64)).astype(np.int64)
    return TermCounts((words.counts @ of_word.counts).tocsr(), lengths, of_word.columns)
