"""Other wordings of a text that mean the same, without a model: for code, changes that no compiler sees.

Variant 0 is the text itself. Every other variant carries a note that says nothing (a comment in the style of the
language, or a lead-in before prose), so that variants also differ for a tokenizer that folds white space, and some
changes of layout where they are safe: blank lines, spaces at the end of a line, width of the indentation, tabs.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

_COMMENT_WORDS = ("listing", "code", "source", "snippet", "excerpt", "fragment", "part", "section", "block", "item")
_LEAD_INS = (
    "Input:", "Text:", "Here it is:", "As follows:", "See below:", "Please read:", "The text:", "The input:",
    "Below:", "Consider this:",
)  # fmt: skip

# Lines that tell a language, in the order in which ties are decided.
_BRACED = re.compile(r"(?!#|--).*[;{}]$")
_SCRIPTED = re.compile(
    r"(?:async )?def \w+[^;{]*$|(?:class|if|elif|else|for|while|with|try|except|finally)\b.*:$"  # Python, Ruby
    r"|import [\w., ]+$|from \S+ import\b.*$|@\w[^;{]*$|(?:return|raise|pass|print|yield)\b[^;{]*$|self\.[^;{]*$"
    r"|[\w.\[\]'\"]+ *= [^;]*[^;{]$|\w+=\S*[^\s;]$"  # an assignment without an end, also of a shell or a makefile
    r"|require\b[^;]*$|end$|puts\b[^;]*$|(?:fi|done|esac)$|echo\b[^;]*$"  # Ruby, shell
    r"|sub \w+|my [$@%]|use (?:strict|warnings)"  # Perl
    r"|.*<- *function"  # R
)
_DASHED = re.compile(r"local \w|-- |module [\w.]+.*\bwhere$|\w+ :: \S|function\b[^;{]*\)$|return\b[^;{]*$|end$")
_STYLES = (("/* {} */", _BRACED), ("# {}", _SCRIPTED), ("-- {}", _DASHED))

# A text or a macro that goes on over the end of a line: white space there may be part of its value.
_SPANS_LINES = re.compile(r"\"\"\"|'''|`|R\"\(|\[\[|<<[-~<]?['\"]?[A-Z]|\\$", re.MULTILINE)
_FIRST_LINE_STAYS = ("#!", "<?")


def reword(text: str, variant: int, seed: int) -> str:
    """A wording of a text that means the same.

    The language is told from the text alone, by which kind of line is the most frequent: lines that end in ``;``,
    ``{`` or ``}`` take ``/* */``, lines of Python, Ruby, shell, Perl and R take ``#``, lines of Lua and Haskell
    ``--``; anything else is prose. Layout is left alone where a text literal may span lines.

    Args:
        text: code or prose.
        variant: which wording; 0 is the text itself, and no two variants of a text that is not blank are equal.
        seed: draws the wordings; the same for the same arguments everywhere.

    Returns:
        The wording; a blank text stays as it is.
    """
    if variant == 0 or not text.strip():
        return text
    style = _comment_style(text)
    rng = np.random.default_rng([seed, variant])
    reworded = _with_other_layout(text, style, rng)
    notes = "".join(f"{note}\n" for note in _notes(style, variant, seed))
    if text.startswith(_FIRST_LINE_STAYS):
        first, _, rest = reworded.partition("\n")
        return f"{first}\n{notes}{rest}"
    return notes + reworded


def _comment_style(text: str) -> str | None:
    """How a comment is written in the language of a text; ``None`` for prose."""
    lines = [line.strip() for line in text.splitlines()]
    counts = [sum(pattern.match(line) is not None for line in lines) for _, pattern in _STYLES]
    return _STYLES[counts.index(max(counts))][0] if max(counts) else None


def _notes(style: str | None, variant: int, seed: int) -> list[str]:
    """The lines that a variant carries: another one for each variant, and one more each time all are used up."""
    words = _LEAD_INS if style is None else _COMMENT_WORDS
    order = np.random.default_rng(seed).permutation(len(words))
    n_more, turn = divmod(variant - 1, len(words))
    chosen = [words[order[(turn + step) % len(words)]] for step in range(n_more + 1)]
    return [word if style is None else style.format(word) for word in chosen]


def _with_other_layout(text: str, style: str | None, rng: np.random.Generator) -> str:
    """The text with some of the changes of layout that are safe in it, each with a chance of one half."""
    changes: list[Callable[[str], str]] = [_end_on_a_blank_line]
    if not _SPANS_LINES.search(text):
        changes += [_double_blank_lines, _space_at_line_ends]
        if style is not None:
            changes.append(_change_indentation)
    for change, is_made in zip(changes, rng.random(len(changes)) < 0.5, strict=True):
        text = change(text) if is_made else text
    return text


def _end_on_a_blank_line(text: str) -> str:
    return text.rstrip("\n") + "\n\n"


def _double_blank_lines(text: str) -> str:
    return re.sub(r"\n[ \t]*\n", "\n\n\n", text)


def _space_at_line_ends(text: str) -> str:
    return re.sub(r"(?<=\S)$", " ", text, flags=re.MULTILINE)


def _change_indentation(text: str) -> str:
    """Indentation of half the width where all of it is in steps of 4 spaces, else of twice the width.

    Tabs become 4 spaces in braced languages alone: a makefile cannot do without them. Tabs and spaces are never mixed.
    """
    indents = set(re.findall(r"^[ \t]+(?=\S)", text, flags=re.MULTILINE))
    if any("\t" in indent for indent in indents):
        is_braced = _comment_style(text) == _STYLES[0][0]
        replaced = {indent: indent.replace("\t", "    ") for indent in indents} if is_braced else {}
    elif indents and all(len(indent) % 4 == 0 for indent in indents):
        replaced = {indent: indent[: len(indent) // 2] for indent in indents}
    else:
        replaced = {indent: indent * 2 for indent in indents}
    return re.sub(r"^[ \t]+(?=\S)", lambda match: replaced.get(match[0], match[0]), text, flags=re.MULTILINE)
