"""How much selections of one dataset have in common, beside what chance alone would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from hf_select.errors import RowError
from hf_select.selection import Selection
from hf_select.signals.keys import Floats, Integers


@dataclass(frozen=True)
class Overlap:
    """Rows that selections have in common, pair by pair.

    Chance is two draws of these sizes from the candidates: the rows in common are then hypergeometric, with mean
    ``|A| |B| / n_candidates``.

    Attributes:
        names: ``S`` names of the selections.
        shared: ``(S, S)`` rows in common, ``|A & B|``; on the diagonal the size of each selection.
        n_candidates: rows that could have been picked.
    """

    names: tuple[str, ...]
    shared: Integers
    n_candidates: int

    @property
    def sizes(self) -> Integers:
        """``(S,)`` rows of each selection."""
        return np.diag(self.shared)

    @property
    def fraction(self) -> Floats:
        """``(S, S)`` share of the smaller selection that the larger one holds too; NaN beside an empty one.

        ``|A & B| / min(|A|, |B|)``, which is ``|A & B| / k`` for two selections of ``k`` rows.
        """
        return _divided(self.shared, np.minimum.outer(self.sizes, self.sizes))

    @property
    def expected_fraction(self) -> Floats:
        """``(S, S)`` the share by chance: ``max(|A|, |B|) / n_candidates``, the budget where both are of one size."""
        return np.maximum.outer(self.sizes, self.sizes) / self.n_candidates

    @property
    def jaccard(self) -> Floats:
        """``(S, S)`` rows in common over rows of either, ``|A & B| / |A | B|``; NaN where both are empty."""
        return _divided(self.shared, np.add.outer(self.sizes, self.sizes) - self.shared)

    @property
    def expected_jaccard(self) -> Floats:
        """``(S, S)`` the Jaccard index of two draws that share just as many rows as chance expects."""
        expected = np.multiply.outer(self.sizes, self.sizes) / self.n_candidates
        return _divided(expected, np.add.outer(self.sizes, self.sizes) - expected)

    def chance_interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Where the share lies for that part of all random pairs.

        Args:
            level: the part, 0..1.

        Returns:
            ``(S, S)`` lower and upper bounds of ``fraction``.
        """
        from scipy.stats import hypergeom

        sizes = np.broadcast_to(self.sizes, self.shared.shape)
        low, high = hypergeom(self.n_candidates, sizes.T, sizes).interval(level)
        smaller = np.minimum.outer(self.sizes, self.sizes)
        return _divided(low, smaller), _divided(high, smaller)

    def pairs(self) -> list[dict[str, Any]]:
        """One plain record per pair, for tables and files; ``None`` where a share is not defined."""
        low, high = self.chance_interval()
        columns = {
            "overlap": self.fraction,
            "expected_overlap": self.expected_fraction,
            "chance_low": low,
            "chance_high": high,
            "jaccard": self.jaccard,
            "expected_jaccard": self.expected_jaccard,
        }
        return [
            {
                "first": self.names[i],
                "second": self.names[j],
                "n_first": int(self.sizes[i]),
                "n_second": int(self.sizes[j]),
                "n_shared": int(self.shared[i, j]),
                **{name: _plain(values[i, j]) for name, values in columns.items()},
            }
            for i, j in combinations(range(len(self.names)), 2)
        ]


def overlap(selections: Mapping[str, Selection], *, n_candidates: int | None = None) -> Overlap:
    """Count the rows that selections have in common.

    Args:
        selections: ``S`` selections of one dataset, by name.
        n_candidates: rows that could have been picked; all rows of the dataset by default.

    Returns:
        The counts.

    Raises:
        RowError: if there is no selection, they are of different datasets, or one is larger than ``n_candidates``.

    Example:
        >>> import numpy as np
        >>> def kept(*rows):
        ...     return Selection(np.array(rows), np.zeros(len(rows)), n_rows=10)
        >>> float(overlap({"a": kept(0, 1), "b": kept(1, 2)}).fraction[0, 1])
        0.5
    """
    n_rows = sorted({selection.n_rows for selection in selections.values()})
    if len(n_rows) != 1:
        raise RowError(f"An overlap needs selections of one dataset; these are of datasets of {n_rows or 'no'} rows.")
    pool = n_rows[0] if n_candidates is None else n_candidates
    largest = max(len(selection) for selection in selections.values())
    if not 0 < pool <= n_rows[0] or largest > pool:
        raise RowError(
            f"n_candidates={pool} must lie between the largest selection ({largest} rows) and the dataset "
            f"({n_rows[0]} rows)."
        )
    masks = [selection.mask() for selection in selections.values()]
    shared = [[np.count_nonzero(first & second) for second in masks] for first in masks]
    return Overlap(tuple(selections), np.array(shared, dtype=np.int64), pool)


def _divided(values: Any, by: Any) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(by) > 0, np.asarray(values, np.float64) / by, np.nan)


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
