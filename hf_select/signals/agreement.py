"""How much several outputs for the same row agree: mean similarity of pairs of texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import combinations
from typing import Any

import numpy as np

from hf_select.errors import MissingExtraError, unknown_name

Similarity = Callable[[str, str], float]

_TOKEN = re.compile(r"\w+|[^\w\s]")  # names, numbers and single signs of code; layout does not count

PAIRS = ("all", "first")
"""Which pairs are compared: every one, or the first output with each other one."""


def edit_similarity(first: str, second: str) -> float:
    """Share of code tokens that agree: ``1 - Levenshtein distance / tokens of the longer text``.

    Args:
        first: a text.
        second: another.

    Returns:
        0..1; 1 for texts of the same tokens.
    """
    ours, theirs = _TOKEN.findall(first), _TOKEN.findall(second)
    longer = max(len(ours), len(theirs))
    return 1.0 if longer == 0 else 1.0 - levenshtein(ours, theirs) / longer


def levenshtein(first: Sequence[str], second: Sequence[str]) -> int:
    """Fewest insertions, deletions and replacements that turn one list of tokens into another.

    Args:
        first: tokens.
        second: tokens.

    Returns:
        How many.
    """
    numbers: dict[str, int] = {}
    ours = [numbers.setdefault(token, len(numbers)) for token in first]
    theirs = np.asarray([numbers.setdefault(token, len(numbers)) for token in second], dtype=np.int64)
    steps = np.arange(len(theirs) + 1)
    costs = steps.copy()
    for token in ours:
        replaced, deleted = costs[:-1] + (theirs != token), costs + 1
        deleted[1:] = np.minimum(deleted[1:], replaced)
        # an insertion costs 1 per step to the right: a running minimum once that cost is taken off
        costs = np.minimum.accumulate(deleted - steps) + steps
    return int(costs[-1])


def rouge_l() -> Similarity:
    """ROUGE-L of ``rouge_score``: F1 of the longest common subsequence of stemmed words.

    It does not see the signs of code (``a + b`` and ``a - b`` are equal to it).

    Returns:
        The similarity.

    Raises:
        MissingExtraError: if ``rouge_score`` is not installed.
    """
    try:
        rouge_scorer: Any = import_module("rouge_score.rouge_scorer")
    except ImportError as reason:
        raise MissingExtraError(
            "similarity='rouge_l' needs the package rouge_score: pip install rouge-score. Or take similarity='edit', "
            "which needs none and sees the signs of code."
        ) from reason
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    return lambda first, second: float(scorer.score(first, second)["rougeL"].fmeasure)


SIMILARITIES: dict[str, Callable[[], Similarity]] = {"edit": lambda: edit_similarity, "rouge_l": rouge_l}


def get_similarity(name: str) -> Similarity:
    """Find a similarity by name.

    Args:
        name: a key of ``SIMILARITIES``.

    Returns:
        The similarity, 0..1.

    Raises:
        UnknownNameError: if there is none of that name.
        MissingExtraError: if it needs a package that is not installed.
    """
    if name not in SIMILARITIES:
        raise unknown_name("similarity", name, SIMILARITIES)
    return SIMILARITIES[name]()


def agreement(texts: Sequence[str], similarity: Similarity, pairs: str = "all") -> float:
    """Mean similarity of the outputs for one row; equal texts have similarity 1 whatever measures them.

    Args:
        texts: at least two outputs, that of the row's own wording first.
        similarity: of two texts, 0..1.
        pairs: which pairs are compared, of ``PAIRS``.

    Returns:
        0..1, higher where the outputs agree more.

    Raises:
        UnknownNameError: if ``pairs`` is not one of ``PAIRS``.

    Source:
        SPUQ (Gao et al. 2024), inter-sample confidence. ``pairs="first"`` without weights gives its published
        numbers; its code weights each pair by the similarity of the prompts and starts from a perturbed one.
    """
    if pairs not in PAIRS:
        raise unknown_name("pairs", pairs, PAIRS)
    compared = list(combinations(texts, 2)) if pairs == "all" else [(texts[0], other) for other in texts[1:]]
    return float(np.mean([1.0 if one == other else similarity(one, other) for one, other in compared]))
