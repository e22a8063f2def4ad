"""Near duplicates: of rows that share most runs of tokens the first one is kept."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from hf_select.errors import ConfigError
from hf_select.extra import check_extra
from hf_select.gates.base import Batch, Gate
from hf_select.gates.word import Windows, code_tokens, windows
from hf_select.rows import Row, RowFormat

if TYPE_CHECKING:
    from datasketch import LeanMinHash

_MAX_PERMUTATIONS = 256
_MISSED = 0.05  # share of pairs that may be missed whose likeness is the threshold itself; above it far fewer are


class Bands(NamedTuple):
    """How signatures are cut into keys: rows that share one key are compared.

    Attributes:
        n_bands: keys of a row.
        n_rows: permutations of each part that make one key.
    """

    n_bands: int
    n_rows: int


class _Parts(NamedTuple):
    """The runs of tokens of a row."""

    prompt: Windows
    response: Windows


class NearDuplicateGate(Gate):
    """Drops every row whose prompt and response are both near copies of those of one earlier row that was kept.

    The likeness of two texts is the Jaccard index of their sets of runs of ``width`` tokens; a token is a word or
    another visible character, so layout does not count. A row is dropped if prompt with prompt and response with
    response are each at least ``threshold`` alike. Candidates come from MinHash signatures in an LSH table
    (``datasketch``), and each is compared exactly: nothing is dropped that is not alike, and of pairs that are, at most
    5 % are missed at the threshold, and fewer above it.

    Rows of different classes are never compared: the same function before and after its repair is not a duplicate.

    The gate remembers what it saw in the order in which it saw it, as the gate for exact duplicates does: give
    ``dataset.filter`` a new instance each time and no ``num_proc``.

    Drops:
        Rows that repeat an earlier row but for a few tokens.

    Errs:
        Short texts have few runs, so one changed name makes them different. Programs that differ in names throughout
        are different. Templated rows that differ in a number are alike if they are long.

    Cost:
        About a thousand rows a second in one process; memory for the runs of every row that was kept, 8 bytes each.

    Source:
        Broder 1997, "On the resemblance and containment of documents"; runs of five tokens and 0.7 as in Li et al.
        2023, StarCoder (arXiv:2305.06161).

    Args:
        row_format: which columns hold prompt and response; ``None`` finds out from the column names.
        threshold: likeness from which on rows are near duplicates, in (0, 1].
        width: tokens of a run; shorter texts are one run.
        seed: of the permutations.

    Raises:
        ConfigError: if a number is out of range.
        MissingExtraError: if datasketch is not installed.
    """

    name: ClassVar[str] = "near_duplicates"
    reason: ClassVar[str] = "near duplicate"

    def __init__(
        self, row_format: RowFormat | None = None, *, threshold: float = 0.7, width: int = 5, seed: int = 1
    ) -> None:
        if not 0 < threshold <= 1 or width < 1:
            raise ConfigError(
                f"threshold={threshold}, width={width}: the threshold is in (0, 1], the width at least 1."
            )
        check_extra("datasketch", "The gate 'near_duplicates'")
        self.row_format = row_format
        self.threshold = threshold
        self.width = width
        self.seed = seed
        self._memories: dict[int | None, _Memory] = {}

    def judge(self, batch: Batch) -> list[str | None]:
        """Judge rows; see the class for what counts as near.

        Args:
            batch: column name -> values.

        Returns:
            ``"near duplicate"`` for every row that is close to one that was kept before, else ``None``.
        """
        row_format = self.row_format or RowFormat.detect(list(batch))
        return [None if self._is_new(row) else self.reason for row in row_format.read(batch)]

    def fresh(self) -> NearDuplicateGate:
        """The gate without memory."""
        return NearDuplicateGate(self.row_format, threshold=self.threshold, width=self.width, seed=self.seed)

    def _is_new(self, row: Row) -> bool:
        """Whether nothing that was kept is close to the row; it is remembered then."""
        if row.label not in self._memories:
            self._memories[row.label] = _Memory(self.threshold, self.seed)
        return self._memories[row.label].add(_Parts(self._runs(_prompt_text(row)), self._runs(row.response)))

    def _runs(self, text: str) -> Windows:
        """The set of runs of a text, ascending."""
        tokens = code_tokens(text)
        return np.unique(windows(tokens, min(self.width, len(tokens)))) if tokens else np.empty(0, dtype=np.uint64)


class _Memory:
    """The rows of one class that were kept, and a table that finds those that may be close to another."""

    def __init__(self, threshold: float, seed: int) -> None:
        from datasketch import MinHash, MinHashLSH

        self._threshold = threshold
        self._bands = n_bands, n_rows = bands(threshold)
        n_permutations = n_bands * n_rows
        self._empty = [MinHash(n_permutations, seed=seed + part, hashfunc=int) for part in range(2)]
        self._table = MinHashLSH(params=(n_bands, 2 * n_rows), num_perm=2 * n_permutations)
        self._kept: list[_Parts] = []

    def add(self, parts: _Parts) -> bool:
        """Keep a row unless it is close to one that was kept.

        Args:
            parts: its runs.

        Returns:
            Whether it was kept.
        """
        signature = self._signature(parts)
        for number in self._table.query(signature):
            earlier = self._kept[number]
            if jaccard(parts.response, earlier.response) >= self._threshold <= jaccard(parts.prompt, earlier.prompt):
                return False
        self._table.insert(len(self._kept), signature)
        self._kept.append(parts)
        return True

    def _signature(self, parts: _Parts) -> LeanMinHash:
        """MinHash values band by band, in each band half of the prompt and half of the response.

        A key is shared only by rows that are alike in both parts: neither one system prompt in front of all rows nor
        one short answer to all questions makes everything a candidate. For an empty part the other stands in.
        """
        from datasketch import LeanMinHash

        halves = []
        for part, empty in enumerate(self._empty):
            values = empty.copy()
            values.update_batch(((parts[part] if len(parts[part]) else parts[1 - part]) >> np.uint64(32)).tolist())
            halves.append(values.hashvalues.reshape(self._bands))
        return LeanMinHash(seed=1, hashvalues=np.hstack(halves).ravel(), scheme=self._empty[0].scheme)


def jaccard(one: Windows, other: Windows) -> float:
    """The Jaccard index of two sets: the share of their elements that are in both.

    Args:
        one: a set, ascending.
        other: a set, ascending.

    Returns:
        The index, in 0..1; 1 for two empty sets.
    """
    if not len(one) or not len(other):
        return float(len(one) == len(other))
    n_common = len(np.intersect1d(one, other, assume_unique=True))
    return n_common / (len(one) + len(other) - n_common)


def bands(threshold: float) -> Bands:
    """The finest keys for which pairs of the threshold's own likeness are found in 95 of 100 cases.

    Two parts of likeness ``t`` share a key of ``2 r`` permutations with the chance ``t^(2 r)``, and one of ``b`` keys
    with ``1 - (1 - t^(2 r))^b``.

    Args:
        threshold: likeness of both parts, in (0, 1].

    Returns:
        The longest keys that fit into 256 permutations of a row, and how many of them that takes.
    """
    found = Bands(_MAX_PERMUTATIONS // 2, 1)
    for n_rows in range(1, 9):
        chance = threshold ** (2 * n_rows)
        n_bands = math.ceil(math.log(_MISSED) / math.log1p(-chance)) if chance < 1 else 1
        if 2 * n_rows * n_bands <= _MAX_PERMUTATIONS:
            found = Bands(n_bands, n_rows)
    return found


def _prompt_text(row: Row) -> str:
    """The prompt, a conversation with its roles."""
    if row.messages is None:
        return row.prompt
    return "\n".join(f"{turn['role']}: {turn['content']}" for turn in row.messages)
