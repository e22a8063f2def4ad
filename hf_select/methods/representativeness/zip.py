"""ZIP: rows that say most per compressed byte, alone, after the picks so far, and next to each other."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hf_select.errors import ConfigError
from hf_select.methods.base import Picks
from hf_select.methods.field import require_choice, require_whole
from hf_select.methods.representativeness.texted import Texted
from hf_select.methods.representativeness.zlib_stream import Size, ZlibStream
from hf_select.signals.keys import ROW_TEXT, Indices
from hf_select.signals.table import Signals


@dataclass(frozen=True)
class ZIP(Texted):
    """The rows whose text zlib can shorten least: ``ratio = bytes / compressed bytes``, low is dense.

    Rounds of three stages, until ``k`` rows are picked:

    1. the ``k1`` rows with the lowest known ratio (at first that of the row alone),
    2. of these the ``k2`` with the lowest ratio of the picks so far followed by the row, which becomes the known one,
    3. of these ``k3``, one after the other: each time the row with the lowest ratio after this round's picks.

    Attributes:
        k1: rows looked at in the second stage.
        k2: rows looked at in the third stage; never more than a fifth of the rows that are left, because that stage
            does not see the picks of earlier rounds.
        k3: picks of one round, at most ``k2``; where fewer than ``k2`` rows are looked at, fewer in proportion.
        reference: ``"published"`` for the ratio as in the source, which favours short rows for the 8 bytes that zlib
            spends on every text; ``None`` takes those off.

    Needs:
        ``row_text``; rows without text are not eligible.

    Higher means:
        Denser at its turn: the score is the negated ratio in the third stage. Scores of one round are in no order with
        those of another.

    Fails when:
        Dense is not good: noise, random strings and rare words compress least. Zlib looks back 32 KiB and no farther,
        so repetition across a large selection is not seen.

    Cost:
        No model. Every round compresses up to ``k1 + k2 k3`` rows, each on a copy of a primed stream, which costs the
        same whatever was picked before; on one core.

    Source:
        Yin et al. 2024 (Entropy law and ZIP), and its script.

    Differs from the source:
        Only picked rows leave the pool, so that no row is picked twice and no candidate is lost; the budget is met
        exactly; texts are prompt and response joined by newlines, without record keys; ratios are compared exactly,
        less zlib's frame of 8 bytes; below ``5 k2`` rows the last two stages shrink with the pool.
    """

    name = "zip"
    citation = "Yin et al. 2024, Entropy law, arXiv:2407.06645"

    k1: int = 10_000
    k2: int = 200
    k3: int = 100
    reference: Literal["published"] | None = None

    def __post_init__(self) -> None:
        for field in ("k1", "k2", "k3"):
            require_whole(field, getattr(self, field))
        if self.k3 > self.k2:
            raise ConfigError(f"k3={self.k3} picks cannot come from k2={self.k2} rows; give a k3 of at most {self.k2}.")
        require_choice("reference", self.reference, (None, "published"))

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:  # noqa: ARG002
        """The ``k`` rows in the order of picking, each with its negated ratio at its turn."""
        texts = [text.encode("utf-8", "surrogatepass") for text in signals[ROW_TEXT][rows]]
        picked = ZlibStream()
        sizes = dict(enumerate(self._sizes(ZlibStream(), texts)))
        positions: list[int] = []
        scores: list[float] = []
        while len(positions) < k:
            looked_at = _densest(sizes, self.k1)
            sizes.update(zip(looked_at, self._sizes(picked, [texts[place] for place in looked_at]), strict=True))
            n_last = min(self.k2, max(1, len(sizes) // 5))
            last = _densest({place: sizes[place] for place in looked_at}, n_last)
            n_picks = min(max(1, n_last * self.k3 // self.k2), len(last), k - len(positions))
            for place, size in self._round({place: texts[place] for place in last}, n_picks):
                positions.append(place)
                scores.append(-size.ratio)
                picked.add(texts[place])
                del sizes[place]
        return Picks(rows[positions], np.asarray(scores))

    def _sizes(self, stream: ZlibStream, texts: Iterable[bytes]) -> list[Size]:
        sizes = map(stream.size_with, texts)
        return list(sizes if self.reference == "published" else map(Size.without_frame, sizes))

    def _round(self, texts: dict[int, bytes], n_picks: int) -> list[tuple[int, Size]]:
        """The third stage.

        Args:
            texts: text of each row by its position; what is picked is taken out.
            n_picks: how many to pick, at most the number of texts.

        Returns:
            Position and size of each pick, in order.
        """
        stream, picked = ZlibStream(), []
        for _ in range(n_picks):
            sizes = dict(zip(texts, self._sizes(stream, texts.values()), strict=True))
            (place,) = _densest(sizes, 1)
            picked.append((place, sizes[place]))
            stream.add(texts.pop(place))
        return picked


def _densest(sizes: Mapping[int, Size], n_rows: int) -> list[int]:
    """Positions of the lowest ratios, lowest first; ties go to the lower position."""
    ranked = heapq.nsmallest(n_rows, ((size.exact_ratio, place) for place, size in sizes.items()))
    return [place for _, place in ranked]
