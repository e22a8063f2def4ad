"""What one more text adds to a zlib stream, without compressing the stream again.

A compressor that has read the texts so far is copied for every candidate, and only the candidate goes through the copy.
The bytes are those of compressing everything at once, because zlib holds input back until it has looked far enough
ahead, however the input is cut.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

_LEVEL = 9
_BETWEEN = b"\n"
_EMPTY = len(zlib.compress(b"", _LEVEL))  # header, end mark and checksum: what any stream takes


class Size(NamedTuple):
    """Bytes of a text, or of several joined by newlines.

    Attributes:
        raw: as they are.
        compressed: after zlib.
    """

    raw: int
    compressed: int

    def without_frame(self) -> Size:
        """The same less the bytes that zlib spends on an empty text."""
        return Size(self.raw, self.compressed - _EMPTY)

    @property
    def ratio(self) -> float:
        """How many times smaller zlib makes it; high for repetitive text."""
        return self.raw / self.compressed

    @property
    def exact_ratio(self) -> int:
        """The ratio in whole units of ``2**-64``, which tell apart any two ratios of streams below 4 GiB."""
        return (self.raw << 64) // self.compressed


class ZlibStream:
    """A zlib stream at level 9 that texts are added to, joined by newlines.

    Zlib finds repetition in the last 32 KiB alone, so what was added before those makes no difference.
    """

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_LEVEL)
        self._n_raw = 0
        self._n_written = 0

    def add(self, text: bytes) -> None:
        """Append a text and the newline after it."""
        self._n_written += len(self._compressor.compress(text + _BETWEEN))
        self._n_raw += len(text) + len(_BETWEEN)

    def size_with(self, text: bytes) -> Size:
        """Size of everything added so far with a text at the end, which is not added."""
        compressor = self._compressor.copy()
        n_written = len(compressor.compress(text)) + len(compressor.flush())
        return Size(self._n_raw + len(text), self._n_written + n_written)
