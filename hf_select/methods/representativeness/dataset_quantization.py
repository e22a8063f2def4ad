"""Dataset quantization: bins of ever less representative rows, and the same share of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hf_select.methods.base import Picks, Scores
from hf_select.methods.field import require_choice, require_whole
from hf_select.methods.representativeness.embedded import Embedded
from hf_select.signals.keys import EMBEDDING, Floats, Indices
from hf_select.signals.table import Signals

_TIE_ULPS = 64  # rounding errors of a gain, in units of the last place of the largest one


@dataclass(frozen=True)
class DatasetQuantization(Embedded):
    """Graph cut greedy splits the rows into bins, one after the other; every bin gives its share of the picks.

    ``gain_i = sum_{j in pool} e_i . e_j - 2 sum_{j in bin} e_i . e_j``, where the pool is what no earlier bin took. The
    row with the largest gain joins the bin until it is full; the last bin takes what is left.

    Attributes:
        n_bins: how many bins, at most one per row.
        within: which rows of a bin are picked: ``"random"`` ones, as published, or those with the highest ``"gain"``,
            which were first in it.

    Needs:
        ``embedding``.

    Higher means:
        More typical of what was left, less like the bin so far: the score is the gain when the row joined its bin.
        Picks come bin by bin, so that scores of different bins do not compare.

    Fails when:
        The pool is mostly noise: every bin gives the same share, whatever is in it.

    Cost:
        O(N^2 D) time, bound by memory (a matrix-vector product per row), O(N D) memory.

    Source:
        Zhou et al. 2023 (Dataset quantization), graph cut with lambda 1.

    Differs from the source:
        Gains come from running sums of vectors instead of an N x N matrix. No row is left over: the last bin takes the
        remainder. The budget is met exactly. Gains that rounding cannot tell apart are ties and go to the lower row id.
    """

    name = "dataset_quantization"
    citation = "Zhou et al. 2023, Dataset Quantization, arXiv:2308.10524"
    ordered = False

    n_bins: int = 10
    within: Literal["random", "gain"] = "random"

    def __post_init__(self) -> None:
        require_whole("n_bins", self.n_bins)
        require_choice("within", self.within, ("random", "gain"))

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The picks of each bin in the order of the bins; inside a bin in the order of drawing, or of gain."""
        bins, gains = graph_cut_bins(signals[EMBEDDING][rows], min(self.n_bins, len(rows)))
        shares = equal_shares([len(members) for members in bins], k)
        positions = []
        for members, share in zip(bins, shares, strict=True):
            positions.append((rng.permutation(members) if self.within == "random" else members)[:share])
        found = np.concatenate(positions)
        return Picks(rows[found], gains[found])


def equal_shares(sizes: list[int], total: int) -> list[int]:
    """Share picks out equally over bins of one size, of which the last may be larger.

    Args:
        sizes: rows of each bin.
        total: picks to share out, at most ``sum(sizes)``.

    Returns:
        Picks of each bin: ``total / n_bins``, one more in the first bins where that is no whole number; what a full
        bin cannot give comes from the last.

    Example:
        >>> equal_shares([3, 3, 5], 7)
        [3, 2, 2]
        >>> equal_shares([3, 3, 5], 10)
        [3, 3, 4]
    """
    whole, n_more = divmod(total, len(sizes))
    shares = [min(whole + (number < n_more), size) for number, size in enumerate(sizes)]
    shares[-1] += total - sum(shares)
    return shares


def graph_cut_bins(vectors: Floats, n_bins: int) -> tuple[list[Indices], Scores]:
    """Split points into bins by greedy graph cut.

    The sum of a point's inner products with a set is its inner product with the sum of the set, so no matrix of all
    pairs is needed: ``gain_i = e_i . (sum of the pool)``, and every point that joins the bin takes ``2 e_i . e_j`` off.

    Args:
        vectors: ``(N, D)`` points.
        n_bins: how many bins, at most ``N``; each takes ``N // n_bins`` points and the last takes the rest.

    Returns:
        Positions of each bin in the order of joining, and ``(N,)`` the gain of every point when it joined.
    """
    pool = np.arange(len(vectors))
    gains = np.empty(len(vectors))
    bins = []
    for number in range(n_bins):
        size = len(vectors) // n_bins if number < n_bins - 1 else len(pool)
        points = np.asarray(vectors[pool], dtype=np.float64)
        joined, at = _fill(points, size)
        bins.append(pool[joined])
        gains[pool[joined]] = at
        pool = np.delete(pool, joined)
    return bins, gains


def _fill(points: Floats, size: int) -> tuple[Indices, Scores]:
    """The points that join one bin, with their gains."""
    gain = points @ points.sum(axis=0)
    tie = _TIE_ULPS * np.finfo(np.float64).eps * float(np.abs(gain).max())
    joined = np.empty(size, dtype=np.int64)
    at = np.empty(size)
    for turn in range(size):
        here = int(np.argmax(gain >= gain.max() - tie))
        joined[turn], at[turn] = here, gain[here]
        gain -= 2.0 * (points @ points[here])
        gain[here] = -np.inf
    return joined, at
