"""Which samples go into which row: packing by length alone, without tokens and without a model.

Two questions, two objectives:

- A **batch** (:func:`pack`) is padded to its longest row, so the cost is ``n_rows * longest row``. ``multifit`` looks
  for the row width that makes this small; ``next_fit`` is CodeACT's own rule.
- A **dataset** (:func:`best_fit_decreasing`) becomes rows that later batches pad to ``max_length`` or not at all, so
  the cost is the number of rows.

No randomness: equal lengths give equal rows, ties go to the sample that came first.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence
from heapq import heapreplace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from hf_select.errors import PackingError, unknown_name

Algorithm = Literal["multifit", "next_fit"]
Rows = list[list[int]]
Integers = npt.NDArray[np.int64]

# The search of multifit stops at this share of padding, or after this many numbers of rows: on lengths of code it finds
# nothing better later, and it must stay far cheaper than the training step that it serves.
_GOOD_PADDING_FRACTION = 0.002
_MAX_ROW_COUNTS = 8


class Packing(NamedTuple):
    """Rows of a whole dataset, without a Python object per row."""

    samples: Integers
    """(N,) positions of the samples, row after row."""
    offsets: Integers
    """(n_rows + 1,) where each row begins in ``samples``, and N."""

    def rows(self) -> Rows:
        """The same rows as lists of sample positions."""
        samples, offsets = self.samples.tolist(), self.offsets.tolist()
        return [samples[start:end] for start, end in itertools.pairwise(offsets)]


def pack(lengths: Sequence[int], max_length: int, algorithm: Algorithm = "multifit") -> Rows:
    """Put the samples of one batch into rows of at most ``max_length`` tokens.

    Args:
        lengths: (n,) tokens of each sample, 1 to ``max_length``.
        max_length: the longest row, in tokens.
        algorithm: ``"multifit"`` (never more padded tokens than next-fit, usually a tenth or less of them) or
            ``"next_fit"`` (ascending lengths, a row closes when the next sample does not fit).

    Returns:
        Rows of positions in ``lengths``; every sample is in exactly one.

    Raises:
        PackingError: a sample without tokens, or longer than ``max_length``.
        UnknownNameError: an unknown algorithm.

    Source: next-fit: CodeACT, Dynamic Pack. MULTIFIT: Coffman, Garey and Johnson 1978, An application of bin-packing to
    multiprocessor scheduling. Differs from the source: best-fit inside, and the number of rows is searched too.
    """
    if algorithm not in ALGORITHMS:
        raise unknown_name("packing algorithm", algorithm, ALGORITHMS)
    _check_lengths(np.asarray(lengths, dtype=np.int64), max_length)
    if not lengths:
        return []
    return ALGORITHMS[algorithm](lengths, max_length)


def padded_size(rows: Rows, lengths: Sequence[int]) -> int:
    """Tokens of a batch whose rows are all padded to the longest one.

    Args:
        rows: rows of positions in ``lengths``.
        lengths: (n,) tokens of each sample.

    Returns:
        ``n_rows * longest row``; 0 without rows.
    """
    return len(rows) * max((sum(lengths[i] for i in row) for row in rows), default=0)


def _next_fit(lengths: Sequence[int], max_length: int) -> Rows:
    """CodeACT's rule: ascending lengths, and the row is closed when the next sample does not fit."""
    rows: Rows = []
    used = max_length
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if used + lengths[i] > max_length:
            rows.append([])
            used = 0
        rows[-1].append(i)
        used += lengths[i]
    return rows


def _multifit(lengths: Sequence[int], max_length: int) -> Rows:
    """For each number of rows that can still win, the smallest width at which best-fit packs it; the best of all.

    Of rows that cost the same, even ones are kept: whoever deals them out to several batches then pads less.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    descending = [lengths[i] for i in order]
    n_tokens, longest = sum(descending), descending[0]
    best = _next_fit(lengths, max_length)
    best_size = padded_size(best, lengths)
    good_size = n_tokens / (1 - _GOOD_PADDING_FRACTION)
    fewest = -(-n_tokens // max_length)
    for n_rows in range(fewest, min(len(order), fewest + _MAX_ROW_COUNTS - 1) + 1):
        if best_size <= good_size or n_rows * longest >= best_size:
            break
        # Widths below the first bound cannot hold the tokens, widths above the second cannot beat the best so far.
        low, high = max(longest, -(-n_tokens // n_rows)), min(max_length, (best_size - 1) // n_rows)
        while low <= high:
            width = (low + high) // 2
            rows = _best_fit(descending, width, n_rows)
            if rows is None:
                low = width + 1
                continue
            widest = max(sum(descending[i] for i in row) for row in rows)
            if len(rows) * widest < best_size:
                best, best_size = [[order[i] for i in row] for row in rows], len(rows) * widest
            high = widest - 1
    even = [[order[i] for i in row] for row in _even(descending, len(best))]
    return even if padded_size(even, lengths) <= best_size else best


def _best_fit(descending: Sequence[int], width: int, n_rows: int) -> Rows | None:
    """Best-fit decreasing into at most ``n_rows`` rows of ``width`` tokens; None if that does not succeed."""
    free = [width] * n_rows  # ascending, beside it the row that has this much room
    holders: Rows = [[] for _ in range(n_rows)]
    for i, length in enumerate(descending):
        place = bisect_left(free, length)
        if place == n_rows:
            return None
        room = free.pop(place) - length
        row = holders.pop(place)
        row.append(i)
        place = bisect_left(free, room)
        free.insert(place, room)
        holders.insert(place, row)
    return [row for row in holders if row]


def _even(descending: Sequence[int], n_rows: int) -> Rows:
    """Longest sample first, each into the row that has the fewest tokens."""
    rows: Rows = [[] for _ in range(n_rows)]
    emptiest = [(0, place) for place in range(n_rows)]
    for i, length in enumerate(descending):
        used, place = emptiest[0]
        rows[place].append(i)
        heapreplace(emptiest, (used + length, place))
    return rows


ALGORITHMS = {"multifit": _multifit, "next_fit": _next_fit}


def best_fit_decreasing(lengths: npt.ArrayLike, max_length: int) -> Packing:
    """Pack a whole dataset into few rows: best-fit decreasing, a million samples in a fraction of a second.

    Samples of one length are moved together, into all rows that have the least sufficient room, so the work grows with
    the number of distinct lengths and rooms and not with the number of samples.

    Args:
        lengths: (N,) tokens of each sample, 1 to ``max_length``.
        max_length: the longest row, in tokens.

    Returns:
        The rows; as many as best-fit decreasing makes one sample at a time.

    Raises:
        PackingError: a sample without tokens, or longer than ``max_length``.

    Source: the objective and best-fit decreasing: Ding et al. 2024, Fewer Truncations Improve Language Modeling
    (https://huggingface.co/papers/2404.10830). Differs from the source: whole runs of equal lengths at once.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    _check_lengths(sizes, max_length)
    descending = _stable_order(max_length - sizes)
    counts = np.bincount(sizes, minlength=max_length + 1)
    row_of = np.empty(len(sizes), dtype=np.int64)  # of the samples in descending order
    rooms = _Rooms(max_length)
    placed = 0
    for length in np.flatnonzero(counts)[::-1].tolist():
        left = int(counts[length])
        while left:
            rows, per_row = rooms.take(length, left)
            n = len(rows) * per_row
            row_of[placed : placed + n] = np.repeat(rows, per_row) if per_row > 1 else rows
            placed, left = placed + n, left - n
    by_row = _stable_order(row_of)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row_of, minlength=rooms.n_rows))])
    return Packing(descending[by_row], offsets)


class _Rooms:
    """Open rows by the room they have left; ``take`` finds the least sufficient room by one bit operation."""

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length
        self.n_rows = 0
        self.rows: list[list[Integers]] = [[] for _ in range(max_length + 1)]  # by room, in chunks
        self.n_open = [0] * (max_length + 1)
        self.occupied = 0  # bit r is set when a row with room r is open

    def take(self, length: int, wanted: int) -> tuple[Integers, int]:
        """Rows that get samples of one length, and how many each gets (``wanted`` in all at most, one at least)."""
        fitting = self.occupied >> length
        room = length + (fitting & -fitting).bit_length() - 1 if fitting else self.max_length
        # A row that took one sample has the least sufficient room for the next one too.
        per_row = min(wanted, room // length)
        if fitting:
            rows = self._pop(room, min(wanted // per_row, self.n_open[room]))
        else:
            rows = np.arange(self.n_rows, self.n_rows + wanted // per_row)
            self.n_rows += len(rows)
        self._push(room - per_row * length, rows)
        return rows, per_row

    def _pop(self, room: int, n: int) -> Integers:
        """Close ``n`` rows that have this much room."""
        self.n_open[room] -= n
        if not self.n_open[room]:
            self.occupied &= ~(1 << room)
        chunks, taken = self.rows[room], []
        while n:
            chunk = chunks.pop()
            if len(chunk) > n:
                chunks.append(chunk[n:])
                chunk = chunk[:n]
            taken.append(chunk)
            n -= len(chunk)
        return taken[0] if len(taken) == 1 else np.concatenate(taken)

    def _push(self, room: int, rows: Integers) -> None:
        """Open rows with this much room; full rows are forgotten."""
        if room:
            self.rows[room].append(rows)
            self.n_open[room] += len(rows)
            self.occupied |= 1 << room


def _stable_order(keys: Integers) -> Integers:
    """``argsort(kind="stable")`` of numbers >= 0, several times faster: a radix sort by 16-bit digits."""
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    largest = int(keys.max(initial=0))
    for shift in range(16, largest.bit_length(), 16):
        digits = (keys >> shift).astype(np.uint16)
        order = order[np.argsort(digits[order], kind="stable")]
    return order


def _check_lengths(lengths: Integers, max_length: int) -> None:
    """Every sample must have a token and fit into a row."""
    if lengths.size and int(lengths.min()) < 1:
        position = int(lengths.argmin())
        raise PackingError(f"Sample {position} has {lengths[position]} tokens: filter empty rows out before packing.")
    if lengths.size and int(lengths.max()) > max_length:
        position = int(lengths.argmax())
        raise PackingError(
            f"Sample {position} has {lengths[position]} tokens, more than max_length={max_length}: cut it first."
        )
