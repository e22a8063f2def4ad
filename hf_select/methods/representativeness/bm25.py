"""BM25: rows whose words are those of the reference rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np
from scipy import sparse

from hf_select.errors import ConfigError
from hf_select.methods.base import Picks, Scores, top_k
from hf_select.methods.field import require_choice, require_positive
from hf_select.methods.representativeness.term import CODE, WHITESPACE, Splitter, TermCounts
from hf_select.methods.representativeness.texted import Texted, textless
from hf_select.signals.keys import ROW_TEXT, Indices, Signal
from hf_select.signals.table import Signals

_SPLITTERS: Mapping[str, Splitter] = {"code": CODE, "whitespace": WHITESPACE}
_FLOOR = 0.25  # of the mean idf: what rank_bm25 gives a term that stands in more than half of the rows


@dataclass(frozen=True)
class BM25(Texted):
    """Mean BM25 score of a row as the document, over the reference rows as queries.

    ``score_i = mean over queries q of sum_{t in q} idf_t f_ti / (f_ti + k1 (1 - b + b len_i / avg))``

    ``f_ti`` is how often term ``t`` stands in row ``i``; ``idf_t``, from the number of rows with the term, and the mean
    length ``avg`` are those of the eligible rows. A term that a query repeats counts as often.

    Attributes:
        k1: how slowly repetition of a term saturates.
        b: how much long rows are held back, 0 (not at all) to 1.
        variant: ``"lucene"``: ``idf = ln(1 + (N - n_t + 0.5) / (n_t + 0.5))``, always above 0. ``"okapi"``, that of
            rank_bm25: ``idf = ln((N - n_t + 0.5) / (n_t + 0.5))``, where negative a quarter of the mean idf, and the
            whole times ``k1 + 1``. They order rows differently.
        terms: ``"code"``: identifiers and numbers in lower case, those of camelCase or with underscores whole and in
            parts; operators are no terms. ``"whitespace"``: what stands between white space, as it is.
        self_pool: compare every row with the rest of the eligible rows, itself excluded, instead of a reference set.

    Needs:
        ``row_text``, and that of the reference rows; rows without text are not eligible.

    Higher means:
        More of the reference rows' rarer terms, kept first.

    Fails when:
        Words in common are not what matters: it favours repeated overlap, picks near duplicates together, and cannot
        match a problem with code that says it in other words.

    Cost:
        No model. O(total words) once for the counts, with a table of the reference rows' terms alone, then one sparse
        product, whatever the number of reference rows, because BM25 is linear in the terms of the query.

    Source:
        Robertson and Zaragoza 2009; for data selection Yin and Rush 2024 (the row is the document).

    Differs from the source:
        Lucene's idf by default, and terms of code instead of words between spaces. Several tasks weigh alike, whatever
        their numbers of rows.
    """

    name = "bm25"
    citation = "Robertson and Zaragoza 2009, doi:10.1561/1500000019; Yin and Rush 2024, arXiv:2410.16208"

    k1: float = 1.5
    b: float = 0.75
    variant: Literal["lucene", "okapi"] = "lucene"
    terms: Literal["code", "whitespace"] = "code"
    self_pool: bool = False

    def __post_init__(self) -> None:
        require_positive("k1", self.k1)
        if isinstance(self.b, bool) or not isinstance(self.b, int | float) or not 0 <= self.b <= 1:
            raise ConfigError(f"b={self.b!r} is not a number in 0..1; give one.")
        require_choice("variant", self.variant, ("lucene", "okapi"))
        require_choice("terms", self.terms, tuple(_SPLITTERS))
        require_choice("self_pool", self.self_pool, (False, True))

    @property
    def reference_needs(self) -> frozenset[Signal[Any]]:
        """The text of the reference rows, unless the pool is its own reference."""
        return frozenset() if self.self_pool else frozenset({ROW_TEXT})

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:  # noqa: ARG002
        """The ``k`` rows with the highest score; ties go to the lower row id."""
        texts: list[str] = signals[ROW_TEXT][rows].tolist()
        scores = self._amid(texts) if self.self_pool else self._against(texts, self._queries(signals.reference))
        found = top_k(scores, np.arange(len(rows)), k)
        return Picks(rows[found.indices], found.scores)

    def _queries(self, reference: Mapping[str, Signals]) -> list[list[list[str]]]:
        """For each task the terms of its rows."""
        if not reference:
            raise ConfigError(
                f"{self.name!r} compares rows with a reference set and none came; give reference=, for example "
                f"validation rows, or self_pool=True to compare the rows with each other."
            )
        tasks = {task: signals[ROW_TEXT][~textless(signals)].tolist() for task, signals in reference.items()}
        for task, texts in tasks.items():
            if not texts:
                raise ConfigError(f"No reference row of task {task!r} has a text; give {self.name!r} rows with text.")
        return [list(map(_SPLITTERS[self.terms].split, texts)) for texts in tasks.values()]

    def _against(self, texts: Sequence[str], queries: Sequence[Sequence[Sequence[str]]]) -> Scores:
        """Mean score of every text over the queries."""
        weights = query_weights(queries)
        documents = _SPLITTERS[self.terms].count(texts, only=weights if self.variant == "lucene" else None)
        return mean_scores(documents, weights, k1=self.k1, b=self.b, variant=self.variant)

    def _amid(self, texts: Sequence[str]) -> Scores:
        """Mean score of every text over all the others."""
        documents = _SPLITTERS[self.terms].count(texts)
        worth = relevance(documents, k1=self.k1, b=self.b, variant=self.variant)
        everyone = np.asarray(documents.counts.sum(axis=0)).ravel()
        itself = np.asarray(worth.multiply(documents.counts).sum(axis=1)).ravel()
        return np.asarray((worth @ everyone - itself) / max(1, len(texts) - 1), dtype=np.float64)


def query_weights(tasks: Sequence[Sequence[Sequence[str]]]) -> dict[str, float]:
    """How often each term stands in a query: the mean over tasks of the mean over their queries.

    Args:
        tasks: for each task its queries, split into terms.

    Returns:
        Weight of each term, in order of first sight.
    """
    weights: dict[str, float] = {}
    for queries in tasks:
        for term, count in Counter(chain.from_iterable(queries)).items():
            weights[term] = weights.get(term, 0.0) + count / (len(tasks) * len(queries))
    return weights


def mean_scores(
    documents: TermCounts, weights: Mapping[str, float], *, k1: float, b: float, variant: Literal["lucene", "okapi"]
) -> Scores:
    """Mean BM25 score of documents over queries, in one product with the summed weights of the queries' terms.

    Args:
        documents: ``N`` documents; for ``"okapi"`` with all their terms, whose idf enter its floor.
        weights: mean number of each term in a query.
        k1: see ``BM25``.
        b: see ``BM25``.
        variant: see ``BM25``.

    Returns:
        ``(N,)`` scores.
    """
    aim = np.zeros(len(documents.columns))
    for term, weight in weights.items():
        if term in documents.columns:
            aim[documents.columns[term]] = weight
    return np.asarray(relevance(documents, k1=k1, b=b, variant=variant) @ aim, dtype=np.float64)


def relevance(documents: TermCounts, *, k1: float, b: float, variant: Literal["lucene", "okapi"]) -> sparse.csr_matrix:
    """What one term of a query is worth in each document.

    Args:
        documents: ``N`` documents and ``T`` terms.
        k1: see ``BM25``.
        b: see ``BM25``.
        variant: see ``BM25``.

    Returns:
        ``(N, T)`` worth, 0 where the document lacks the term.
    """
    counts, lengths = documents.counts, documents.lengths
    n_with = np.bincount(counts.indices, minlength=counts.shape[1])
    odds = (len(lengths) - n_with + 0.5) / (n_with + 0.5)
    if variant == "lucene":
        idf, factor = np.log1p(odds), 1.0
    else:
        idf, factor = np.log(odds), k1 + 1.0
        idf = np.where(idf < 0, _FLOOR * math.fsum(idf) / max(1, len(idf)), idf)
    mean_length = lengths.mean() or 1.0
    held_back = np.repeat(k1 * (1.0 - b + b * lengths / mean_length), np.diff(counts.indptr))
    worth = idf[counts.indices] * (factor * counts.data / (counts.data + held_back))
    return sparse.csr_matrix((worth, counts.indices, counts.indptr), shape=counts.shape)
