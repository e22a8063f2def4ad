"""CDAS, the selection of CodeACT: the most complex rows of every k-means cluster."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from hf_select.errors import ConfigError
from hf_select.methods.allocation import largest_remainder
from hf_select.methods.base import Exclusions, Family, Method, Picks, Task, top_k
from hf_select.methods.field import require_choice, require_positive, require_text, require_whole
from hf_select.methods.quality.ifd import IFD
from hf_select.methods.representativeness.embedded import nowhere
from hf_select.methods.representativeness.k_means import cluster, draw_seed, n_distinct
from hf_select.signals.keys import EMBEDDING, Indices, Signal
from hf_select.signals.table import Signals

_PUBLISHED_SEED = 42


@dataclass(frozen=True)
class CDAS(Method):
    """Complexity and diversity aware sampling: k-means strata, and in each stratum the rows with the highest IFD.

    Attributes:
        n_clusters: strata, reduced to the number of distinct embeddings.
        max_ifd: rows with an IFD from here on are not eligible; ``None`` keeps all.
        prefix: text before the response in the answer-alone pass (see ``ifd``).
        min_per_cluster: picks that every cluster gets at least, as far as it has eligible rows; a budget that is too
            small for that is refused.
        within: what decides inside a cluster: ``"complexity"`` (IFD), or ``"random"`` for the ablation that keeps
            diversity alone, which reads no IFD and drops no row for it. The ablation that keeps complexity alone is
            the method ``ifd``.
        seed: seed of k-means; ``None`` draws it from the selection's seed.
        compat: ``"codeact"`` for the published script to the letter: seed 42, and every cluster gives
            ``int(n_eligible * fraction)`` rows, which may be fewer than asked for and then warns.
        fraction: the published script's fraction; ``None`` for rows asked for / rows of the pool.

    Needs:
        ``embedding``, ``response_nll`` and ``answer_alone_nll``.

    Higher means:
        More complex: the score is log IFD. Picks come cluster by cluster in label order, best first inside, so that
        only scores of one cluster are in order.

    Fails when:
        The strata of the embedding mean nothing (too few rows, length clusters), or IFD fails (see ``ifd``).

    Cost:
        Two forward passes and one of the embedder; k-means O(N n_clusters D) per iteration.

    Source:
        Lv et al. 2024 (CodeACT), and its script ``CDAS/select_data.py``.

    Differs from the source:
        The budget is met exactly: it is shared out over the eligible rows of each cluster by largest remainder, where
        the script rounds down in every cluster. A row without a finite IFD is not eligible, where the script gives it
        IFD 0. ``compat="codeact"`` undoes the first difference, not the second.
    """

    name = "cdas"
    family = Family.MIXED
    citation = "Lv et al. 2024, CodeACT, arXiv:2408.02193"
    tasks = frozenset({Task.CAUSAL_LM})
    unsuited: ClassVar[Mapping[Task, str]] = {
        Task.CLASSIFICATION: "complexity is the IFD of a response; 'cluster_margin' picks hard rows from every cluster."
    }
    ordered = False

    n_clusters: int = 10
    max_ifd: float | None = 1.0
    prefix: str = ""
    min_per_cluster: int = 0
    within: Literal["complexity", "random"] = "complexity"
    seed: int | None = None
    compat: Literal["codeact"] | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        require_whole("n_clusters", self.n_clusters)
        require_whole("min_per_cluster", self.min_per_cluster, minimum=0)
        require_text("prefix", self.prefix)
        require_choice("within", self.within, ("complexity", "random"))
        if self.max_ifd is not None:
            require_positive("max_ifd", self.max_ifd)
        if self.seed is not None:
            require_whole("seed", self.seed, minimum=0)
        if self.compat is not None:
            require_choice("compat", self.compat, ("codeact",))
        if self.fraction is not None:
            require_positive("fraction", self.fraction)
        self._check_combination()

    def _check_combination(self) -> None:
        if self.fraction is not None and (self.compat is None or self.fraction > 1):
            raise ConfigError(
                f"fraction={self.fraction} is a fraction in (0, 1] for compat='codeact' alone; otherwise the budget "
                f"says how much to keep."
            )
        if self.compat is not None and (self.min_per_cluster or self.within != "complexity"):
            raise ConfigError(
                "compat='codeact' is the published script, which knows neither min_per_cluster nor within='random'; "
                "leave those at their defaults."
            )

    @property
    def needs(self) -> frozenset[Signal[Any]]:
        """The embedding, and what IFD reads where complexity decides."""
        return frozenset({EMBEDDING}) | (self.complexity.needs if self.within == "complexity" else frozenset())

    @property
    def complexity(self) -> IFD:
        """The scorer that ranks rows inside a cluster."""
        return IFD(prefix=self.prefix, max_ifd=self.max_ifd)

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows that lie nowhere, and rows that IFD excludes."""
        reasons = {"no finite embedding": nowhere(signals)}
        return reasons if self.within == "random" else {**reasons, **self.complexity.exclusions(signals)}

    def strata(self, signals: Signals, rng: np.random.Generator) -> Indices:
        """Cluster of every row, for the selection and for plots of it.

        All candidates with an embedding are clustered, whether or not IFD excludes them, as in the source.

        Args:
            signals: signals of all rows, with the embedding.
            rng: draws the seed of k-means unless a field fixes it; one in the state that ``pick`` was given yields
                the same clusters.

        Returns:
            ``(N,)`` labels from 0; -1 for a row that is no candidate or has no finite embedding.
        """
        there = ~nowhere(signals)
        if signals.candidates is not None:
            there &= signals.candidates
        vectors = signals[EMBEDDING][there]
        n_clusters = min(self.n_clusters, n_distinct(vectors))
        if n_clusters < self.n_clusters:
            warnings.warn(
                f"{self.name}: n_clusters={self.n_clusters}, but only {n_clusters} embeddings differ; {n_clusters} "
                f"clusters are made.",
                stacklevel=2,
            )
        published = _PUBLISHED_SEED if self.compat else None
        seed = next((fixed for fixed in (self.seed, published) if fixed is not None), None)
        labels = np.full(signals.n_rows, -1, dtype=np.int64)
        labels[there] = cluster(vectors, n_clusters, seed=draw_seed(rng) if seed is None else seed, n_init=1)
        return labels

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """Rows of each cluster in label order, best first inside."""
        labels = self.strata(signals, rng)[rows]
        groups = [rows[labels == label] for label in range(labels.max() + 1)]
        sizes = [len(group) for group in groups]
        if self.within == "random":
            shares = largest_remainder(sizes, k, self.min_per_cluster)
            drawn = [rng.permutation(group)[:share] for group, share in zip(groups, shares, strict=True)]
            return Picks(np.concatenate(drawn), 1.0 - np.arange(k) / k)
        self.complexity.check_scorer(signals)
        score = self.complexity.score(signals)
        if self.compat:
            shares = self._published_shares(signals, sizes, k)
        else:
            shares = largest_remainder(sizes, k, self.min_per_cluster)
        picks = [top_k(score, group, int(share)) for group, share in zip(groups, shares, strict=True)]
        return Picks(np.concatenate([p.indices for p in picks]), np.concatenate([p.scores for p in picks]))

    def _published_shares(self, signals: Signals, sizes: list[int], k: int) -> Indices:
        """Shares by the script's own arithmetic, a product of floats rounded down."""
        pool = signals.n_rows if signals.candidates is None else int(signals.candidates.sum())
        fraction = k / pool if self.fraction is None else self.fraction
        shares = np.array([math.floor(size * fraction) for size in sizes], dtype=np.int64)
        if shares.sum() > k:
            raise ConfigError(
                f"fraction={fraction:g} keeps {shares.sum()} rows, more than the {k} asked for; give the same fraction "
                f"as budget, or leave the field out."
            )
        if shares.sum() < k:
            warnings.warn(
                f"{self.name}: {k} rows were asked for and compat='codeact' takes {shares.sum()}; it keeps "
                f"{fraction:g} of the eligible rows of each cluster, rounded down.",
                stacklevel=4,
            )
        return shares
