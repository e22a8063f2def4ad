"""Statistics of a response: a quantity of each of its tokens, and how the quantities become one value.

Quantities are read in float32 from the same distributions as the loss and brought together in float64. Each is computed
for itself, so none depends on which others are read beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hf_select.signals.keys import Floats
from hf_select.signals.predictions import Positions, Predictions
from hf_select.signals.sketch import N_DIMS, mean_outer_product, sketched_factors


@dataclass(frozen=True)
class Statistic:
    """One value of a response.

    Attributes:
        quantity: of each position, ``(c,)`` or ``(c, k)``.
        reduce: from the ``(T, ...)`` float64 quantities of a response to its value.
        shape: of the value; empty for a number.
        dtype: of the value.
        needs_states: whether the quantity looks at what the head is given.
    """

    quantity: Callable[[Positions], torch.Tensor]
    reduce: Callable[[Floats], Any]
    shape: tuple[int, ...] = ()
    dtype: type[np.floating[Any]] = np.float64
    needs_states: bool = False

    def unread(self, n: int) -> NDArray[Any]:
        """The values of ``n`` responses that cannot be read: NaN."""
        return np.full((n, *self.shape), np.nan, dtype=self.dtype)


def entropy(probabilities: torch.Tensor, log_probs: torch.Tensor) -> torch.Tensor:
    """Entropy of each distribution, ``-sum p ln p`` with ``0 ln 0 = 0``.

    Args:
        probabilities: ``(c, V)``.
        log_probs: ``(c, V)`` their logarithms.

    Returns:
        ``(c,)`` nats.
    """
    return -(probabilities * log_probs.clamp_min(torch.finfo(log_probs.dtype).min)).sum(dim=-1)


def mutual_information(readings: Sequence[Callable[[], torch.Tensor]]) -> torch.Tensor:
    """Mutual information of the next token and the reading that predicts it.

        I = H[mean_l p_l] - mean_l H[p_l]

    Args:
        readings: ``L`` functions that give the ``(c, V)`` log probabilities of the same positions; only those of one
            exist at a time, beside the running sum.

    Returns:
        ``(c,)`` float64, nats, at least 0 and at most ``ln L``.

    Source:
        BALD (Houlsby et al. 2011) at one token; Malinin and Gales (2021), knowledge uncertainty.
    """
    total, entropies = torch.zeros(()), torch.zeros((), dtype=torch.float64)
    for read in readings:
        log_probs = read()
        probabilities = log_probs.exp()
        total = total + probabilities
        entropies = entropies + entropy(probabilities, log_probs).double()
    whole = torch.special.entr(total / len(readings)).sum(dim=-1, dtype=torch.float64)
    return torch.clamp_min(whole - entropies / len(readings), 0)


def _loss(positions: Positions) -> torch.Tensor:
    return F.nll_loss(positions.log_probs, positions.target_ids, reduction="none")


def _entropy(positions: Positions) -> torch.Tensor:
    return entropy(positions.probabilities, positions.log_probs)


def _top_loss(positions: Positions) -> torch.Tensor:
    return -positions.top[0]


def _margin(positions: Positions) -> torch.Tensor:
    first, second = positions.log_probs[:, : positions.n_ids].topk(2, dim=-1).values.exp().unbind(dim=-1)
    return first - second


STATISTICS: dict[str, Statistic] = {
    "nll": Statistic(_loss, np.mean),
    "mean_entropy": Statistic(_entropy, np.mean),
    "max_entropy": Statistic(_entropy, np.max),
    "top_nll": Statistic(_top_loss, np.mean),
    "mean_margin": Statistic(_margin, np.mean),
    "min_margin": Statistic(_margin, np.min),
    "gradient_sketch": Statistic(
        sketched_factors, mean_outer_product, (N_DIMS,), np.float32, needs_states=True
    ),
}  # fmt: skip


def summarise(predictions: Predictions, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Statistics of every segment of a batch.

    Args:
        predictions: of ``n`` segments.
        names: which statistics, of ``STATISTICS``.

    Returns:
        ``(n, ...)`` of each; NaN for a segment without target.
    """
    statistics = {name: STATISTICS[name] for name in names}
    quantities: dict[Callable[[Positions], torch.Tensor], list[torch.Tensor]] = {
        statistic.quantity: [] for statistic in statistics.values()
    }
    for part in predictions.chunks():
        positions = predictions.read(part)
        for quantity, found in quantities.items():
            found.append(quantity(positions))
    whole = {quantity: torch.cat(found).cpu().double().numpy() for quantity, found in quantities.items() if found}
    values = {}
    for name, statistic in statistics.items():
        values[name] = statistic.unread(len(predictions.counts))
        for index, part in enumerate(predictions.segments):
            if part.start < part.stop:
                values[name][index] = statistic.reduce(whole[statistic.quantity][part])
    return values
