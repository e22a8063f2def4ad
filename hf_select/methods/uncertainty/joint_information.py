"""Greedy batches by joint mutual information, exact for as long as the labels of the picks can be listed.

Let ``y_S`` be the labels of the picks so far and ``w`` the sample of the model that they come from. Configuration
``m`` of those labels has a probability ``q_m`` and, by Bayes, leaves a posterior ``W_ms`` over the samples. What one
more row ``i`` would tell is its mutual information with ``w`` under that posterior, mean over the configurations:

``I(y_i; w | y_S) = sum_m q_m [H(sum_s W_ms p_is) - sum_s W_ms H(p_is)]``

It is the gain of the joint information of the batch, ``I(y_S, y_i; w) - I(y_S; w)``. No term is ever negative, and
where a posterior knows the sample it is 0. The table of configurations grows by a factor ``C`` with every pick; beyond
``n_configurations`` rows it is thinned to that many, and the gain becomes an estimate without bias.

A gain never grows with the picks before it, so the last one bounds the present one, and only rows whose bound reaches
the best gain are looked at again. (Estimates from a thinned table have noise; there the last estimate stands for the
bound.)
"""

from __future__ import annotations

import numpy as np

from hf_select.methods.base import Scores
from hf_select.methods.uncertainty.probability import entropy
from hf_select.signals.keys import Indices

_FLOOR = 1e-30  # stands for probability 0 in logarithms: p ln p is then 7e-29
_NEGLIGIBLE = 1e-16  # configurations that are less probable change no gain by more than rounding does
_DECIMALS = 9  # gains that agree in so many are ties
_BLOCK_ROWS = 128  # rows that are looked at before the bounds are asked again
_BLOCK_VALUES = 1 << 16  # values of one product: they are read four times and should stay in the L2 cache


def most_informative_batch(
    probabilities: Scores, k: int, *, n_configurations: int, min_gain: float, rng: np.random.Generator
) -> tuple[Indices, Scores]:
    """Pick, again and again, the row that adds most to the joint mutual information of the batch.

    Gains are compared rounded to nine decimals; ties go to the lower position.

    Args:
        probabilities: ``(N, S, C)`` class probabilities of ``S`` samples that all rows share.
        k: how many to pick, at most ``N``.
        n_configurations: most configurations of the picks' labels that are listed.
        min_gain: stop before a gain that does not exceed it, in nats.
        rng: thins the table, one draw per pick once it is full.

    Returns:
        ``(j,)`` positions in the order of picking, ``j <= k``, and ``(j,)`` the gain of each in nats: exact as
        long as ``C`` to the number of earlier picks does not exceed ``n_configurations``.

    Source:
        Kirsch et al. 2019, algorithm 1.
    """
    table = Configurations(probabilities, n_configurations, rng)
    bounds = table.gains(np.arange(len(probabilities)))
    picked: list[int] = []
    gains: list[float] = []
    while len(picked) < k:
        best = _best(table, bounds)
        if bounds[best] <= min_gain:
            break
        picked.append(best)
        gains.append(float(bounds[best]))
        bounds[best] = -np.inf
        table.add(best)
    return np.asarray(picked, dtype=np.int64), np.asarray(gains, dtype=np.float64)


def _best(table: Configurations, bounds: Scores) -> int:
    """The row with the largest gain, after bringing the bounds that could reach it up to date."""
    left = np.flatnonzero(bounds > -np.inf)
    order = left[np.argsort(-bounds[left], kind="stable")]
    largest, n_seen = -np.inf, 0
    while n_seen < len(order) and bounds[order[n_seen]] >= largest - 2 * 10.0**-_DECIMALS:
        block = order[n_seen : n_seen + _BLOCK_ROWS]
        bounds[block] = table.gains(block)
        largest = max(largest, float(bounds[block].max()))
        n_seen += len(block)
    seen = np.sort(order[:n_seen])
    return int(seen[np.argmax(np.round(bounds[seen], _DECIMALS))])


class Configurations:
    """The labels that the picks may have: how probable each list of them is and what it would tell about the model.

    Args:
        probabilities: ``(N, S, C)`` class probabilities of ``S`` samples that all rows share.
        n_configurations: most of them that are kept.
        rng: thins them, one draw per pick once there are more.

    Attributes:
        weights: ``(M,)`` probability of each configuration; one, the empty list, before the first pick.
        posteriors: ``(M, S)`` probability of each sample of the model, given the configuration.
        are_exact: whether all configurations are still there.
    """

    def __init__(self, probabilities: Scores, n_configurations: int, rng: np.random.Generator) -> None:
        n_samples = probabilities.shape[1]
        self._by_class = np.ascontiguousarray(probabilities.transpose(0, 2, 1))
        np.maximum(self._by_class, _FLOOR, out=self._by_class)
        self._entropies = entropy(probabilities)
        self._n_configurations = n_configurations
        self._rng = rng
        self.weights: Scores = np.ones(1)
        self.posteriors: Scores = np.full((1, n_samples), 1.0 / n_samples)
        self.are_exact = True

    def gains(self, rows: Indices) -> Scores:
        """What each of some rows would add to the joint mutual information.

        Args:
            rows: ``(B,)`` positions.

        Returns:
            ``(B,)`` nats.
        """
        n_classes, n_samples = self._by_class.shape[1:]
        given_sample = self._entropies[rows] @ (self.weights @ self.posteriors)
        posteriors = np.ascontiguousarray(self.posteriors.T)
        step = max(1, _BLOCK_VALUES // (n_classes * len(self.weights)))
        predicted = np.empty((min(step, len(rows)) * n_classes, len(self.weights)))
        surprise = np.empty_like(predicted)
        entropies = np.empty(len(rows))
        for start in range(0, len(rows), step):
            block = self._by_class[rows[start : start + step]].reshape(-1, n_samples)
            here, logarithm = predicted[: len(block)], surprise[: len(block)]
            np.matmul(block, posteriors, out=here)
            np.log(here, out=logarithm)
            logarithm *= here
            entropies[start : start + step] = -(logarithm @ self.weights).reshape(-1, n_classes).sum(axis=1)
        return entropies - given_sample

    def add(self, row: int) -> None:
        """Add a pick: every configuration now goes on with each of its labels.

        Args:
            row: its position.
        """
        likelihoods = self._by_class[row]
        joint = (self.weights[:, None] * (self.posteriors @ likelihoods.T)).ravel()
        kept = np.flatnonzero(joint > _NEGLIGIBLE)
        weights = joint[kept]
        if len(kept) > self._n_configurations:
            chosen, weights = thin(weights, self._n_configurations, self._rng)
            kept = kept[chosen]
            self.are_exact = False
        before, labels = np.divmod(kept, len(likelihoods))
        posteriors = self.posteriors[before] * likelihoods[labels]
        posteriors /= posteriors.sum(axis=1, keepdims=True)
        self.weights, self.posteriors = weights, posteriors


def thin(weights: Scores, n_kept: int, rng: np.random.Generator) -> tuple[Indices, Scores]:
    """Keep ``n_kept`` of many weighted points such that no weighted sum over them changes on average.

    A point is kept with probability ``min(1, weight / t)`` and then weighs ``max(weight, t)``: the heavy ones stay as
    they are, the light ones are drawn evenly along the list. ``t`` is chosen for the number to come out.

    Args:
        weights: ``(M,)`` above 0, ``M > n_kept``.
        n_kept: how many to keep.
        rng: one draw.

    Returns:
        ``(n_kept,)`` positions, ascending, and their new weights.

    Source:
        Fearnhead and Clifford 2003, optimal resampling.
    """
    falling = np.sort(weights)[::-1]
    rest = np.cumsum(falling[::-1])[::-1][:n_kept]  # rest[j]: weight of all but the j heaviest
    thresholds = rest / (n_kept - np.arange(n_kept))  # with the j heaviest kept for certain
    threshold = thresholds[np.argmax(falling[:n_kept] <= thresholds)]
    reached = np.cumsum(np.minimum(weights / threshold, 1.0))
    positions = np.searchsorted(reached, rng.random() + np.arange(n_kept), side="right")
    positions = np.minimum(positions, len(weights) - 1)  # the sum may fall short of n_kept by rounding
    return positions, np.maximum(weights[positions], threshold)
