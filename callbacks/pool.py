"""The rows that a selection within a training scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.budget import Budget
from hf_select.errors import RowError

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray


def rows_to_score(given: Dataset | None, trained: Any) -> Dataset:
    """The rows to score, as many as are trained on.

    Args:
        given: the rows as text; ``None`` for those that are trained on.
        trained: the rows that are trained on.

    Returns:
        The rows.

    Raises:
        RowError: if there are more or fewer of them.
    """
    rows: Dataset = trained if given is None else given
    if len(rows) != len(trained):
        raise RowError(
            f"dataset= has {len(rows)} rows and the training dataset {len(trained)}; row i of one must be row i of the "
            f"other."
        )
    return rows


def drawn(n_rows: int, fraction: float, rng: np.random.Generator) -> NDArray[np.bool_] | None:
    """A share of the rows, drawn at random.

    Args:
        n_rows: how many there are.
        fraction: the share.
        rng: draws them.

    Returns:
        ``(N,)`` bool, the rows that are drawn; ``None`` for all of them.
    """
    if fraction == 1:
        return None
    candidates = np.zeros(n_rows, dtype=bool)
    candidates[rng.permutation(n_rows)[: Budget.fraction(fraction).n_rows(n_rows)]] = True
    return candidates
