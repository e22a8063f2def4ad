"""STAFF: a small model scores every row, the target model a few of each stratum, and the budget follows the target.

effort of the draft -> hardest rows dropped -> strata -> a few rows of each on the target -> budgets -> hardest rows
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from hf_select.errors import ConfigError
from hf_select.methods.allocation import largest_remainder
from hf_select.methods.base import Exclusions, Family, Method, Picks, Scores, Want, top_k
from hf_select.methods.field import require_choice, require_whole
from hf_select.signals.keys import Floats, Indices, Signal, effort
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class STAFF(Method):
    """Speculative coreset selection: strata by the effort of a small draft model, budgets by the target's effort.

    ``V_s = (mean target effort / its mean over all verified rows) / (mean draft effort / its mean over those)``, over
    the verified rows of stratum ``s``; smallest stratum first, it gets ``floor(left * V_s / sum of V over the rest)``
    picks, at most its size

    The target model reads the verified rows alone, ``n_strata * n_verified`` at most.

    Attributes:
        measure: what effort is: the norm of the gradient of the last layer's value projection
            (``"last_value_projection"``), of LoRA's B there (``"lora_b"``) or of all trained parameters (``"all"``), or
            the ``"loss"``.
        n_strata: strata of draft effort; empty ones are dropped.
        n_verified: rows of each stratum that the target reads; a stratum that has no more rows than that is not
            verified and gets an equal share of what is left.
        outlier_fraction: the share of rows with the highest draft effort that is left out, in 0..1 (below 1); they are
            picked only where there is no other row, the least effort first.
        bins: strata of equal ``"width"`` in effort, or of about equally many rows (``"quantile"``).
        within: what a stratum gives: its rows with the ``"highest"`` draft effort, or ``"random"`` ones.

    Needs:
        ``effort_measure_last_value_projection_model_draft``, and ``effort_measure_last_value_projection_model_target``
        for the verified rows; another ``measure`` is another signal.

    Higher means:
        More effort for the draft model. Picks come hardest first, which is not the order of a smaller budget.

    Fails when:
        Draft and target are not of one family, or the pool is so small that strata have no more than ``n_verified``
        rows: the target is then not asked at all. Wrong and garbled rows below the outliers take the most effort.

    Cost:
        One forward and a short backward pass of the draft on every row, of the target on the verified rows; O(N log N).

    Source:
        Zhang et al. 2025 (STAFF, algorithm 1), and its code ``selection/selection-gemma.py``.

    Differs from the source:
        The target reads the verified rows alone, where the published script scores the whole pool on it; so scores are
        divided by their means over the verified rows instead of being scaled to 0..1 over all rows. What rounding down
        leaves goes to the strata in proportion to their remaining rows, where the script draws those picks at random.
        The script's measure is ``"lora_b"``, a random sketch of the default one.
    """

    name = "staff"
    family = Family.QUALITY
    citation = "Zhang et al. 2025, arXiv:2410.01296"
    ordered = False

    measure: Literal["last_value_projection", "lora_b", "all", "loss"] = "last_value_projection"
    n_strata: int = 50
    n_verified: int = 10
    outlier_fraction: float = 0.1
    bins: Literal["width", "quantile"] = "width"
    within: Literal["highest", "random"] = "highest"

    def __post_init__(self) -> None:
        require_choice("measure", self.measure, ("last_value_projection", "lora_b", "all", "loss"))
        require_whole("n_strata", self.n_strata)
        require_whole("n_verified", self.n_verified)
        is_number = isinstance(self.outlier_fraction, int | float) and not isinstance(self.outlier_fraction, bool)
        if not is_number or not 0 <= self.outlier_fraction < 1:
            raise ConfigError(f"outlier_fraction={self.outlier_fraction!r} is not a fraction from 0 to below 1.")
        require_choice("bins", self.bins, ("width", "quantile"))
        require_choice("within", self.within, ("highest", "random"))

    @property
    def draft(self) -> Signal[Floats]:
        """Effort of the small model."""
        return effort(self.measure, "draft")

    @property
    def target(self) -> Signal[Floats]:
        """Effort of the model that is selected for."""
        return effort(self.measure, "target")

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """Effort of the draft and of the target."""
        return frozenset({self.draft, self.target})

    @property
    def needs_at_first(self) -> frozenset[Signal[Any]]:
        """Effort of the draft."""
        return frozenset({self.draft})

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows without a draft effort; the target may lack any row, since it reads but a few."""
        return {"no finite draft effort": ~np.isfinite(signals[self.draft])}

    def wants(self, signals: Signals, k: int, rng: np.random.Generator) -> Want | None:  # noqa: ARG002
        """The target's effort on the verified rows; they do not depend on ``k``."""
        if self.target in signals:
            return None
        unread = signals.with_values({self.target: np.full(signals.n_rows, np.nan)})
        strata, _ = self.strata(unread, self.eligible(unread))
        verified = np.sort(np.concatenate([np.empty(0, np.int64), *self._verified(strata, rng)]))
        return Want(frozenset({self.target}), verified) if len(verified) else None

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The share of every stratum, hardest rows first; outliers at the end where all other rows are picked."""
        strata, outliers = self.strata(signals, rows)
        sizes = [len(stratum) for stratum in strata]
        ratios = effort_ratios(signals[self.draft], signals[self.target], self._verified(strata, rng))
        shares = share_out(sizes, ratios, min(k, sum(sizes)))
        if self.within == "random":
            strata = [rng.permutation(stratum) for stratum in strata]
        taken = np.concatenate([stratum[:share] for stratum, share in zip(strata, shares, strict=True)])
        score = np.asarray(signals[self.draft], dtype=np.float64)
        picks = top_k(score, np.sort(taken), len(taken))
        last = outliers[: k - len(taken)]
        return Picks(np.concatenate([picks.indices, last]), np.concatenate([picks.scores, score[last]]))

    def strata(self, signals: Signals, rows: Indices) -> tuple[list[Indices], Indices]:
        """Rows by draft effort, for the selection and for plots of it.

        Args:
            signals: signals of all rows, with the draft's effort.
            rows: ``(M,)`` row ids, ascending.

        Returns:
            Row ids of each stratum, the easiest stratum first and inside it the hardest row; and the outliers, the
            easiest first. Ties go to the lower row id.
        """
        score = np.asarray(signals[self.draft], dtype=np.float64)
        ascending = rows[np.argsort(score[rows], kind="stable")]
        n_kept = len(rows) - math.floor(Fraction(str(self.outlier_fraction)) * len(rows))
        kept, outliers = np.sort(ascending[:n_kept]), ascending[n_kept:]
        if not len(kept):
            return [], outliers
        steps = np.arange(1, self.n_strata) / self.n_strata
        if self.bins == "width":
            easiest, hardest = score[kept].min(), score[kept].max()
            edges = easiest + (hardest - easiest) * steps
        else:
            edges = np.quantile(score[kept], steps)
        labels = np.searchsorted(edges, score[kept], side="right")  # half open, the last stratum closed
        members = [kept[labels == label] for label in np.unique(labels)]
        return [top_k(score, stratum, len(stratum)).indices for stratum in members], outliers

    def _verified(self, strata: Sequence[Indices], rng: np.random.Generator) -> list[Indices]:
        """The rows of each stratum that the target reads; none of a stratum that is too small.

        They are drawn by their place in the stratum, so that the order of the dataset has no part in it.
        """
        return [
            rng.choice(stratum, self.n_verified, replace=False) if len(stratum) > self.n_verified else stratum[:0]
            for stratum in strata
        ]


def effort_ratios(draft: Floats, target: Floats, verified: Sequence[Indices]) -> Scores:
    """How much more effort the verified rows of each stratum take of the target than of the draft.

    Args:
        draft: ``(N,)`` effort of the draft.
        target: ``(N,)`` effort of the target; NaN where it was not read.
        verified: row ids of each stratum that the target read.

    Returns:
        ``(S,)`` ratios, 1 = as over all verified rows; NaN for a stratum without a verified row, or without effort.
    """
    known = [rows[np.isfinite(target[rows])] for rows in verified]
    sums = np.array([(target[rows].sum(dtype=np.float64), draft[rows].sum(dtype=np.float64)) for rows in known])
    totals = sums.sum(axis=0)
    ratios = np.full(len(verified), np.nan)
    told = (sums > 0).all(axis=1)
    ratios[told] = (sums[told, 0] / totals[0]) / (sums[told, 1] / totals[1])
    return ratios


def share_out(sizes: ArrayLike, ratios: ArrayLike, total: int) -> Indices:
    """Share ``total`` picks out over strata, the smallest stratum first.

    In turn each stratum gets ``floor(left * ratio / sum of the ratios from here on)``, or ``floor(left / strata from
    here on)`` if it has no ratio, and never more than its size. What is left at the end goes to the strata that have
    rows left, in proportion to those.

    Args:
        sizes: ``(S,)`` rows of each stratum.
        ratios: ``(S,)`` positive weights; NaN for a stratum without one.
        total: picks to share out, at most ``sum(sizes)``.

    Returns:
        ``(S,)`` picks of each stratum, with the sum ``total``.

    Raises:
        BudgetError: if ``total`` is above the sum of the sizes.

    Example:
        >>> share_out([3, 12, 40], [float("nan"), 1.2, 0.6], 20).tolist()
        [3, 11, 6]
    """
    rows = np.asarray(sizes, dtype=np.int64)
    weights = [None if math.isnan(ratio) else Fraction(ratio) for ratio in np.asarray(ratios, np.float64).tolist()]
    shares = np.zeros_like(rows)
    left = total
    order = np.argsort(rows, kind="stable").tolist()
    for turn, stratum in enumerate(order):
        weight = weights[stratum]
        if weight is None:
            share = left // (len(order) - turn)
        else:
            share = math.floor(left * weight / sum(weights[later] or 0 for later in order[turn:]))
        shares[stratum] = min(int(rows[stratum]), share)
        left -= int(shares[stratum])
    return shares + largest_remainder(rows - shares, left)
