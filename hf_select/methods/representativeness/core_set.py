"""Core-set: the rows that leave no other row far from a pick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hf_select.errors import ConfigError
from hf_select.methods.base import Picks
from hf_select.methods.field import require_choice, require_whole
from hf_select.methods.representativeness.embedded import Embedded
from hf_select.methods.representativeness.k_center import k_center
from hf_select.signals.keys import EMBEDDING, Floats, Indices
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class CoreSet(Embedded):
    """k-center greedy: pick the row farthest from all picks so far, again and again.

    ``i_t = argmax_i min_{c in picks} ||e_i - e_c||_2``

    Labelled rows (``signals.labelled``) are centres from the start and are not picked again.

    Attributes:
        init: first pick where no row is labelled: ``"farthest_from_mean"``, ``"random"``, or a row id.
        n_shards: above 1, every ``n_shards``-th row makes a shard, ``k`` rows of each shard are picked alone, and the
            picks are made among those: the largest distance is then at most 4 times the best possible, not 2 times.

    Needs:
        ``embedding``.

    Higher means:
        Farther from every earlier pick when it was picked; the scores never grow. In one shard the last one bounds the
        distance of every row to its nearest pick.

    Fails when:
        Outliers lie far from everything and are picked first: broken rows, other languages, exotic formatting. Put
        gates before it.

    Cost:
        O(N k D) time at the speed of matrix products, O(N D) memory. In shards O((N + n_shards k) k D) time, one shard
        and ``n_shards k`` rows in memory besides the embedding; worth it where k is far below N / n_shards.

    Source:
        Sener and Savarese 2018 (algorithm 1); Gonzalez 1985; shards: Malkomes et al. 2015 (theorem 1).

    Differs from the source:
        The start is fixed by a rule (public implementations start at row 0 or at random). Distances that rounding
        cannot tell apart are ties and go to the lower row id. Exact duplicates are picked last instead of failing.
        Shards are strides of the eligible rows, not drawn at random, and labelled rows are centres in every shard.
    """

    name = "core_set"
    citation = (
        "Sener and Savarese 2018, arXiv:1708.00489; Gonzalez 1985, doi:10.1016/0304-3975(85)90224-5; "
        "Malkomes et al. 2015 (NeurIPS 28, Fast Distributed k-Center Clustering with Outliers on Massive Data)"
    )

    init: int | Literal["farthest_from_mean", "random"] = "farthest_from_mean"
    n_shards: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.init, str):
            require_choice("init", self.init, ("farthest_from_mean", "random"))
        else:
            require_whole("init", self.init, minimum=0)
        require_whole("n_shards", self.n_shards)

    @property
    def ordered(self) -> bool:  # type: ignore[override]  # with shards the rows to pick among depend on k
        """Whether the picks for fewer rows are a prefix of those for more."""
        return self.n_shards == 1

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """The ``k`` rows in greedy order, each with its distance to the nearest earlier pick or labelled row."""
        vectors = signals[EMBEDDING]
        centres = None
        if signals.labelled is not None:
            known = vectors[signals.labelled]
            centres = known[np.isfinite(known).all(axis=1)]
        if self.n_shards > 1:
            rows = self._of_shards(vectors, rows, k, centres)
        positions, distances = k_center(vectors[rows], k, centres=centres, first=self._first(rows, rng))
        return Picks(rows[positions], distances)

    def _of_shards(self, vectors: Floats, rows: Indices, k: int, centres: Floats | None) -> Indices:
        """Row ids of the picks of every shard alone, ascending; a row to start from stays among them."""
        found = [np.asarray([self.init])] if isinstance(self.init, int) and self.init in rows else []
        for start in range(min(self.n_shards, len(rows))):
            shard = rows[start :: self.n_shards]
            positions, _ = k_center(vectors[shard], min(k, len(shard)), centres=centres)
            found.append(shard[positions])
        return np.unique(np.concatenate(found)).astype(np.int64)

    def _first(self, rows: Indices, rng: np.random.Generator) -> int | None:
        """Where to start.

        Args:
            rows: ``(M,)`` eligible row ids, ascending.
            rng: draws a random start.

        Returns:
            Position in ``rows`` of the first pick; ``None`` for the row farthest from the mean.

        Raises:
            ConfigError: if ``init`` is a row id that is not eligible.
        """
        if self.init == "farthest_from_mean":
            return None
        if self.init == "random":
            return int(rng.integers(len(rows)))
        place = int(np.searchsorted(rows, self.init))
        if place == len(rows) or rows[place] != self.init:
            raise ConfigError(f"init={self.init} is not an eligible row id; give one of the {len(rows)} eligible rows.")
        return place
