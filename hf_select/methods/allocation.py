"""How many picks each group gets: proportional shares that add up exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hf_select.errors import BudgetError
from hf_select.signals.keys import Indices


def largest_remainder(sizes: ArrayLike, total: int, minimum: int = 0) -> Indices:
    """Share ``total`` picks out over groups in proportion to their sizes, in whole numbers.

    Every group gets the whole part of ``size * total / sum(sizes)``; what is left goes to the largest fractional parts,
    ties to the lower group. A group whose share lies below ``minimum`` is raised to it (or to its size), and the other
    groups share the rest.

    Args:
        sizes: ``(C,)`` whole numbers, rows of each group.
        total: picks to share out, at most ``sum(sizes)``.
        minimum: the least that a group gets, as far as it has rows.

    Returns:
        ``(C,)`` picks of each group: never more than its size, with the sum ``total``.

    Raises:
        BudgetError: if ``total`` is above the sum of the sizes, or below what the minimum takes.

    Example:
        >>> largest_remainder([3, 2, 5], 4).tolist()
        [1, 1, 2]
        >>> largest_remainder([97, 2, 1], 10, minimum=1).tolist()
        [8, 1, 1]
    """
    rows = np.asarray(sizes, dtype=np.int64)
    least = np.minimum(rows, minimum)
    if not least.sum() <= total <= rows.sum():
        raise BudgetError(
            f"{total} picks cannot be shared out over groups of {rows.tolist()} rows with at least {minimum} each; "
            f"give a budget from {least.sum()} to {rows.sum()}, or a lower minimum."
        )
    shares = np.zeros_like(rows)
    free = rows > 0
    while free.any():
        left = total - int(shares.sum())
        whole, rest = np.divmod(rows[free] * left, rows[free].sum())
        # A share is compared with its minimum before rounding, so that rounding cannot decide who is raised.
        below = whole < least[free]
        if not below.any():
            whole[np.argsort(-rest, kind="stable")[: left - int(whole.sum())]] += 1
            shares[free] = whole
            break
        raised = np.flatnonzero(free)[below]
        shares[raised] = least[raised]
        free[raised] = False
    return shares
