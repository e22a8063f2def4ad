"""The code of a row: taken out of a chat answer's fences, with its language as far as that is known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hf_select.rows import Row

LANGUAGE_COLUMNS = ("language", "lang", "programming_language")
"""Columns that are taken for the language of a row where none was named."""

_FENCE = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*\n(.*?)(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_ONLY_PYTHON = re.compile(r"^(?:async )?def \w+\(.*:\s*(?:#.*)?$|^from [\w.]+ import ", re.MULTILINE)
_SAME = {
    **dict.fromkeys(("py", "py3", "python2", "python3", "pycon"), "python"),
    **dict.fromkeys(("c++", "cc", "cxx", "hpp"), "cpp"),
    **dict.fromkeys(("c#", "cs"), "csharp"),
    **dict.fromkeys(("js", "node", "jsx", "mjs"), "javascript"),
    **dict.fromkeys(("sh", "shell", "zsh"), "bash"),
    **{"golang": "go", "h": "c", "kt": "kotlin", "rb": "ruby", "rs": "rust", "ts": "typescript", "ml": "ocaml"},
}


class Code(NamedTuple):
    """A piece of code of a row.

    Attributes:
        source: its text.
        language: its language in lower case, ``"python"`` or ``"cpp"``; ``None`` where it is not known.
        before: text that the source may go on from, the prompt of a completion; empty for a fenced piece.
    """

    source: str
    language: str | None
    before: str = ""


def codes_of(row: Row, language: str | None = None, *, whole: bool = False) -> list[Code]:
    """The pieces of code that a row teaches.

    With fences in the response (the prompt of a classification row stands for it) every fenced piece is one, in the
    language of its tag. Without any the whole response is the only piece. What no tag tells is in ``language``; where
    that is not known either, a text with a line that only Python has (``def f(...):``, ``from a import b``) is Python.

    Args:
        row: the row.
        language: the language of the row, as its column or the user says.
        whole: the text is a source file, in which fences belong to its comments: it is one piece.

    Returns:
        The pieces, in order; none for a row without text.
    """
    text, before = (row.response, row.prompt) if row.response or row.label is None else (row.prompt, "")
    text = text.replace("\r\n", "\n")
    fences = () if whole else _FENCE.finditer(text)
    fenced = [Code(match[3], _tagged(match[2], match[3], language)) for match in fences]
    if fenced or not text.strip():
        return [code for code in fenced if code.source.strip()]
    before = before.replace("\r\n", "\n")
    return [Code(text, language_of(text, language) or language_of(before + text, language), before)]


def language_of(text: str, language: str | None = None) -> str | None:
    """The language of a text.

    Args:
        text: source text.
        language: what is known of it, in any spelling.

    Returns:
        That language as it is named here; ``"python"`` where nothing is known and a line says so; else ``None``.
    """
    if language:
        return normal_language(language)
    return "python" if _ONLY_PYTHON.search(text) else None


def normal_language(name: str) -> str:
    """One name for each language: ``"C++"`` and ``"cc"`` are ``"cpp"``.

    Args:
        name: any spelling.

    Returns:
        The name in lower case.
    """
    lower = name.strip().lower()
    return _SAME.get(lower, lower)


def row_languages(
    batch: Mapping[str, Sequence[Any]], column: str | None, default: str | None, n_rows: int
) -> list[str | None]:
    """The language of every row, as far as a column or the user says.

    Args:
        batch: column name -> values.
        column: column of the language; ``None`` looks for one of ``LANGUAGE_COLUMNS``.
        default: the language of rows that have none.
        n_rows: number of rows.

    Returns:
        A language or ``None`` for each row.
    """
    found = column or next((name for name in LANGUAGE_COLUMNS if name in batch), None)
    if found is None or found not in batch:
        return [default] * n_rows
    return [value if isinstance(value, str) and value.strip() else default for value in batch[found]]


def _tagged(tag: str, source: str, language: str | None) -> str | None:
    """The language of a fenced piece: its tag; a piece without a tag is in the language of the row."""
    name = tag.strip("{}.").partition("=")[0].partition(":")[0]
    return normal_language(name) if name else language_of(source, language)
