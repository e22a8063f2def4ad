"""Rows that hold a problem of a benchmark or its solution: a model that learned them is not measured by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from hf_select.errors import ConfigError
from hf_select.gates.base import Batch, Gate
from hf_select.gates.code import codes_of
from hf_select.gates.problem_index import CHECKS, Match, ProblemIndex
from hf_select.rows import Row, RowFormat

if TYPE_CHECKING:
    from hf_select.evaluation.problem import Problem


class LeakageGate(Gate):
    """Drops rows in which a problem of a benchmark is found again.

    Two checks; what all rows are compared with is one index, so that a row costs the same for
    one problem or ten thousand:

    - ``words``: a run of ten words of the problem or its solution, in lower case, without punctuation; a shorter
      solution as a whole. Runs that stand in more than two problems are the benchmark's manner of speaking and are not
      looked for.
    - ``function``: a Python function of the solution with other names, without docstring, comments, annotations or
      layout. Functions of fewer than 28 nodes are alike by chance and are not looked for.

    Drops:
        Copies, also with other layout, without comments or docstring, inside other text, cut off, or renamed as a
        whole.

    Keeps unchecked:
        Rows that came as token ids.

    Errs:
        Paraphrases and translations are out of reach, and so is a copy that is renamed and cut off. Two people who
        write down the same textbook function write the same words: on tasks that are common property a row is dropped
        although nobody copied it. docs/gates.md has the shares of both.

    Cost:
        About a thousand rows a second in one process.

    Source:
        Exact substrings as in Li et al. 2023, StarCoder (arXiv:2305.06161); runs of words as in Brown et al. 2020,
        GPT-3 (arXiv:2005.14165), of ten in place of thirteen because code is terse.

    Args:
        benchmarks: the problems of each benchmark, by its name; see ``hf_select.evaluation.benchmark.load_benchmark``.
        row_format: which columns hold prompt and response; ``None`` finds out from the column names.

    Raises:
        ConfigError: if there is no problem to look for.
    """

    name: ClassVar[str] = "leakage"

    def __init__(self, benchmarks: Mapping[str, Sequence[Problem]], row_format: RowFormat | None = None) -> None:
        if not any(benchmarks.values()):
            raise ConfigError("The gate 'leakage' needs problems to look for; give benchmarks={'humaneval': [...]}.")
        self.row_format = row_format
        self.index = ProblemIndex(benchmarks)

    def judge(self, batch: Batch) -> list[str | None]:
        """Judge rows; see the class for what is looked for.

        Args:
            batch: column name -> values.

        Returns:
            ``None`` for clean rows, else ``"leaks humaneval (words)"``: the first benchmark and check that found it.
        """
        reasons: list[str | None] = []
        for matches in self.matches(batch):
            first = min(matches, key=lambda match: CHECKS.index(match.check), default=None)
            reasons.append(None if first is None else f"leaks {first.benchmark} ({first.check})")
        return reasons

    def matches(self, batch: Batch) -> list[list[Match]]:
        """All problems that are found in each row.

        Args:
            batch: column name -> values.

        Returns:
            One list for each row, each problem once, in the order of the benchmarks.
        """
        rows = (self.row_format or RowFormat.detect(list(batch))).read(batch)
        self.n_not_checked += sum(row.ids is not None for row in rows)
        return self.index.find([f"{row.prompt}\n{row.response}" for row in rows], [_python_of(row) for row in rows])


def _python_of(row: Row) -> list[str]:
    """Texts of the row that may be Python with functions: what is fenced, and a file with fences in its comments."""
    pieces = [
        code for part in (row, Row("", row.prompt)) for whole in (False, True) for code in codes_of(part, whole=whole)
    ]
    sources = [source for code in pieces for source in (code.source, code.before + code.source)]
    return list(dict.fromkeys(source for source in sources if "def " in source))
