"""Rows whose code can be parsed."""

from __future__ import annotations

import logging
import textwrap
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from hf_select.extra import install_command
from hf_select.gates.base import Batch, Gate
from hf_select.gates.code import Code, codes_of, row_languages
from hf_select.gates.tree import MAX_CHARACTERS, parse_python
from hf_select.rows import RowFormat

if TYPE_CHECKING:
    from tree_sitter import Parser

logger = logging.getLogger("hf_select")

MEASURED = (
    *("clojure", "csharp", "d", "dart", "elixir", "elm", "erlang", "fortran", "gleam", "go", "haskell", "java"),
    *("javascript", "julia", "kotlin", "lua", "nim", "ocaml", "perl", "php", "r", "racket", "ruby", "scala", "swift"),
    *("typescript", "zig"),
)
"""Languages besides Python whose grammar refused at most 3 % of real programs (docs/gates.md has the table)."""

_NOT_CHECKED = ""


class ParsesGate(Gate):
    """Drops rows with code that does not parse: answers that were cut off, prose in place of code, broken edits.

    Python is read by ``ast``, the language's own parser: the response alone, dedented, or as the continuation of the
    prompt, whichever parses. Other languages are read by tree-sitter (extra ``gates``). Of a chat answer the fenced
    pieces are read, each in the language of its fence, and one that fails is enough.

    Drops:
        Rows with a piece of code in a known language that does not parse.

    Keeps unchecked:
        Rows without code in a known language, rows in a language whose grammar is not among ``languages`` or not
        installed, and pieces of more than 200,000 characters.

    Errs:
        Python 2 does not parse as Python 3. Pieces that were never meant to stand alone (``...`` between statements, a
        REPL session) are dropped. A tree-sitter grammar follows the compiler loosely: it lets wrong programs pass, and
        refuses right ones where macros or recent syntax defeat it, 31 % of C and 27 % of C++ files; so only languages
        that were measured are read unless more are named.

    Cost:
        Some thousand rows a second in one process.

    Source:
        Wang et al. 2024, XCoder (arXiv:2409.03810) filters by execution; parsing is the part of it that needs no tests.

    Args:
        row_format: which columns hold prompt and response; ``None`` finds out from the column names.
        language: the language of rows for which neither a fence nor the column tells one.
        language_column: column of the language; ``None`` looks for ``language``, ``lang`` or ``programming_language``.
        languages: languages that tree-sitter reads; a grammar that refuses many real programs is not among them.
        whole: rows are source files: fences in them are text of a comment, not the beginning of code.
    """

    name: ClassVar[str] = "parses"
    unparsable: ClassVar[str] = "does not parse"
    too_deep: ClassVar[str] = "nested too deep to parse"

    def __init__(
        self,
        row_format: RowFormat | None = None,
        *,
        language: str | None = None,
        language_column: str | None = None,
        languages: tuple[str, ...] = MEASURED,
        whole: bool = False,
    ) -> None:
        self.row_format = row_format
        self.language = language
        self.language_column = language_column
        self.languages = languages
        self.whole = whole

    def judge(self, batch: Batch) -> list[str | None]:
        """Parse the code of a batch.

        Args:
            batch: column name -> values.

        Returns:
            ``None`` for rows whose code parses, and for those that could not be checked.
        """
        rows = (self.row_format or RowFormat.detect(list(batch))).read(batch)
        languages = row_languages(batch, self.language_column, self.language, len(rows))
        verdicts: list[str | None] = []
        for row, language in zip(rows, languages, strict=True):
            found = [self._judge(code) for code in codes_of(row, language, whole=self.whole)]
            self.n_not_checked += all(verdict == _NOT_CHECKED for verdict in found)
            verdicts.append(next((verdict for verdict in found if verdict), None))
        return verdicts

    def _judge(self, code: Code) -> str | None:
        """Why a piece does not parse; ``None`` where it does, an empty text where that was not checked."""
        if code.language is None or len(code.before) + len(code.source) > MAX_CHARACTERS:
            return _NOT_CHECKED
        if code.language == "python":
            return _judge_python(code)
        parser = _parser(code.language) if code.language in self.languages else None
        if parser is None:
            return _NOT_CHECKED
        tree = parser.parse(code.source.encode("utf-8", "replace"))
        return self.unparsable if tree.root_node.has_error else None


def _judge_python(code: Code) -> str | None:
    """Whether one of the readings of a piece parses."""
    found = set()
    for source in (code.source, code.before + code.source, textwrap.dedent(code.source)):
        tree = parse_python(source)
        if not isinstance(tree, str):
            return None
        found.add(tree)
    return ParsesGate.too_deep if "too deep" in found else ParsesGate.unparsable


@lru_cache
def _parser(language: str) -> Parser | None:
    """The parser of a language; ``None``, with a warning, where the extra is not installed."""
    try:
        from tree_sitter_language_pack import get_parser
    except ImportError:
        command = install_command("tree_sitter_language_pack")
        logger.warning("Code in %s is not checked: %s brings its parser.", language, command)
        return None
    try:
        return get_parser(language)  # type: ignore[arg-type]  # its names are a Literal
    except LookupError:
        return None
