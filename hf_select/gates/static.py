"""Rows whose Python has no error that can be seen without running it."""

from __future__ import annotations

import ast
import re
from typing import ClassVar

from hf_select.errors import unknown_name
from hf_select.extra import missing_extra
from hf_select.gates.base import Batch, Gate
from hf_select.gates.code import Code, codes_of, row_languages
from hf_select.gates.tree import parse_python
from hf_select.rows import RowFormat

ERRORS: dict[str, str] = {
    "UndefinedName": "uses an undefined name",
    "UndefinedLocal": "uses a local name before it is set",
    "DuplicateArgument": "names an argument twice",
    "ReturnOutsideFunction": "returns outside a function",
    "YieldOutsideFunction": "yields outside a function",
    "BreakOutsideLoop": "breaks outside a loop",
    "ContinueOutsideLoop": "continues outside a loop",
    "DefaultExceptNotLast": "has a bare except before others",
    "TwoStarredExpressions": "unpacks into two starred names",
    "LateFutureImport": "imports from __future__ too late",
    "StringDotFormatMissingArgument": "formats without a value",
    "PercentFormatPositionalCountMismatch": "formats without a value",
    "PercentFormatMissingArgument": "formats without a value",
    "IfTuple": "tests a tuple, which is always true",
    "AssertTuple": "asserts a tuple, which is always true",
}
"""Messages of pyflakes that say that a program fails or means something else, and the reason of the rows they drop."""

_NAME = re.compile(r"[^\W\d]\w*")


class StaticGate(Gate):
    """Drops rows whose Python is wrong at sight: undefined names, a return outside a function, a format without values.

    The reader is ``pyflakes``, as a library: it follows scopes, has no style rules and takes a tree that is parsed
    anyway. (``ruff`` knows the same rules as F821 and kin, but only as a program that is started on files.)

    Drops:
        Rows with a piece of Python for which pyflakes has one of the messages in ``errors``.

    Keeps unchecked:
        Rows in other languages or in none that is known, and Python that does not parse (``parses`` is the gate for
        it).

    Errs:
        A name that the prompt mentions counts as given, so a slip that repeats a word of the prompt passes. A piece
        that goes on from an earlier fence is read together with it; one that relies on names told elsewhere
        (``TreeNode`` and ``List`` on judging sites, a notebook's earlier cells) is dropped, unless ``known_names`` has
        them. Star imports hide undefined names.

    Cost:
        About a thousand rows a second in one process.

    Source:
        The messages and their meaning are those of pyflakes.

    Args:
        row_format: which columns hold prompt and response; ``None`` finds out from the column names.
        language: the language of rows for which neither a fence nor the column tells one.
        language_column: column of the language; ``None`` looks for ``language``, ``lang`` or ``programming_language``.
        errors: the messages that drop a row, of ``ERRORS``.
        known_names: names that programs may use without defining them.
        whole: rows are source files: fences in them are text of a comment, not the beginning of code.

    Raises:
        UnknownNameError: if there is no such message.
        MissingExtraError: if pyflakes is not installed.
    """

    name: ClassVar[str] = "static"

    def __init__(
        self,
        row_format: RowFormat | None = None,
        *,
        language: str | None = None,
        language_column: str | None = None,
        errors: tuple[str, ...] = tuple(ERRORS),
        known_names: tuple[str, ...] = (),
        whole: bool = False,
    ) -> None:
        for error in errors:
            if error not in ERRORS:
                raise unknown_name("message of pyflakes", error, ERRORS)
        try:
            import pyflakes.checker  # noqa: F401
        except ImportError as reason:
            raise missing_extra("pyflakes", "The gate 'static'") from reason
        self.row_format = row_format
        self.language = language
        self.language_column = language_column
        self.errors = errors
        self.known_names = known_names
        self.whole = whole

    def judge(self, batch: Batch) -> list[str | None]:
        """Read the Python of a batch.

        Args:
            batch: column name -> values.

        Returns:
            ``None`` for rows without an error, and for those that could not be checked.
        """
        rows = (self.row_format or RowFormat.detect(list(batch))).read(batch)
        languages = row_languages(batch, self.language_column, self.language, len(rows))
        verdicts: list[str | None] = []
        for row, language in zip(rows, languages, strict=True):
            tree = _tree(codes_of(row, language, whole=self.whole))
            self.n_not_checked += tree is None
            verdicts.append(None if tree is None else self._judge(tree, row.prompt))
        return verdicts

    def _judge(self, tree: ast.Module, prompt: str) -> str | None:
        """The first error of a program."""
        from pyflakes.checker import Checker

        given = {*self.known_names, *_NAME.findall(prompt)}
        try:
            messages = Checker(tree, builtins=given).messages
        except RecursionError:
            return None
        found = {type(message).__name__ for message in messages}
        return next((ERRORS[error] for error in self.errors if error in found), None)


def _tree(codes: list[Code]) -> ast.Module | None:
    """The Python of a row as one program; ``None`` where there is none that parses."""
    pieces = [code for code in codes if code.language == "python"]
    together = "\n".join(code.source for code in pieces)
    for source in (together, pieces[0].before + together) if pieces else ():
        tree = parse_python(source)
        if not isinstance(tree, str):
            return tree
    return None
