"""The stages of a cascade, read from text: ``"length:50% > k_means(max_clusters=50):5x > core_set"``."""

from __future__ import annotations

import ast
import itertools
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from hf_select.budget import Budget
from hf_select.errors import BudgetError, ConfigError, UnknownNameError
from hf_select.methods.base import Method, Task

_BORDER = re.compile(r">(?=(?:[^'\"]|'[^']*'|\"[^\"]*\")*$)")  # a ">" outside quotes
_STAGE = re.compile(r"(?P<name>\w+)\s*(?P<fields>\(.*\))?\s*(?P<keep>:[^:()]*)?", re.DOTALL)
_MULTIPLE = re.compile(r"(\d+(?:\.\d+)?)\s*x")
_FORM = "a stage reads name:keep or name(field=value, ...):keep, the last one without :keep"
_KEEP = "give rows (5000), a fraction of the candidates (20%), or a multiple of the picks (5x)"


@dataclass(frozen=True)
class Stage:
    """One stage of a cascade.

    Attributes:
        text: the stage as it was written.
        name: key of its method.
        fields: fields of its method.
        keep: how much it keeps: rows or a fraction of the candidates, a multiple (``Fraction``) of the picks, or
            ``None`` for the picks themselves.
    """

    text: str
    name: str
    fields: dict[str, Any]
    keep: Budget | Fraction | None

    def method_for(self, task: Task) -> Method:
        """The method of the stage.

        Args:
            task: the kind of model.

        Returns:
            The method for that kind.

        Raises:
            TaskError: if it is not sound for that kind.
        """
        from hf_select.methods import make_for  # inside, because the table of methods imports the cascade

        return make_for(self.name, task, **self.fields)

    def n_kept(self, n_candidates: int, k: int) -> int:
        """How many rows the stage keeps at most.

        Args:
            n_candidates: rows that may be picked.
            k: rows that the cascade picks.

        Returns:
            That number, at least ``k``.

        Raises:
            BudgetError: if the stage keeps fewer than ``k`` rows, or more rows are asked of it than there are.
        """
        if self.keep is None:
            return k
        if isinstance(self.keep, Fraction):
            return math.floor(self.keep * k)
        n_kept = self.keep.n_rows(n_candidates)
        if n_kept < k:
            raise BudgetError(
                f"The stage {self.text!r} keeps {n_kept} of {n_candidates} rows and the cascade is to pick {k}; let it "
                f"keep more, for example a multiple of the picks (5x)."
            )
        return n_kept


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Read the stages of a cascade.

    Args:
        text: stages from first to last, with ``>`` between them.

    Returns:
        The stages.

    Raises:
        ConfigError: if a stage cannot be read or its method cannot have such fields, if one does not say what it
            keeps, or keeps no less than the one before.
        UnknownNameError: if there is no such method.
    """
    stages = tuple(_parse_stage(piece.strip(), text) for piece in _BORDER.split(text))
    for stage in stages[:-1]:
        if stage.keep is None:
            raise _refusal(text, f"{stage.text!r} does not say what it keeps; {_KEEP} after a colon")
    if stages[-1].keep is not None:
        raise _refusal(text, f"the last stage keeps what the selection is asked for; shorten {stages[-1].text!r}")
    for before, after in itertools.pairwise(stages[:-1]):
        if _size(after) >= _size(before) and _kind(after) == _kind(before):
            raise _refusal(text, f"{after.text!r} keeps no less than {before.text!r} before it")
    return stages


def _parse_stage(piece: str, text: str) -> Stage:
    from hf_select.methods import make  # inside, because the table of methods imports the cascade

    found = _STAGE.fullmatch(piece)
    if found is None:
        raise _refusal(text, f"{piece!r} cannot be read; {_FORM}")
    try:
        fields = _parse_fields(found["fields"] or "()")
    except (SyntaxError, ValueError):
        raise _refusal(text, f"{found['fields']} is not (field=value, ...) with plain values") from None
    if "task" in fields:
        raise _refusal(text, f"{piece!r} sets task, which is a field of the cascade and handed on to its stages")
    try:
        make(found["name"], **fields)
    except (ConfigError, UnknownNameError) as reason:
        raise type(reason)(f"stages={text!r}: {piece!r}: {reason}") from reason
    keep = None if found["keep"] is None else _parse_keep(found["keep"][1:].strip(), text)
    return Stage(piece, found["name"], fields, keep)


def _parse_fields(brackets: str) -> dict[str, Any]:
    """Fields written as Python writes arguments; a bare word is text."""
    call = ast.parse(f"method{brackets}", mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
        raise ValueError
    values = {
        str(word.arg): word.value.id if isinstance(word.value, ast.Name) else ast.literal_eval(word.value)
        for word in call.keywords
    }
    if len(values) < len(call.keywords) or "None" in values:  # a name twice, or ** without a name
        raise ValueError
    return values


def _parse_keep(word: str, text: str) -> Budget | Fraction:
    if found := _MULTIPLE.fullmatch(word):
        multiple = Fraction(found[1])
        if multiple < 1:
            raise _refusal(text, f"{word!r} is less than the picks themselves; {_KEEP}")
        return multiple
    try:
        budget = Budget.parse(word)
    except BudgetError:
        raise _refusal(text, f"{word!r} is not what a stage keeps; {_KEEP}") from None
    if budget.kind == "tokens":
        raise _refusal(text, f"{word!r} counts tokens; {_KEEP}")
    return budget


def _kind(stage: Stage) -> str:
    return stage.keep.kind if isinstance(stage.keep, Budget) else "multiple"


def _size(stage: Stage) -> Fraction:
    return stage.keep.value if isinstance(stage.keep, Budget) else stage.keep or Fraction(1)


def _refusal(text: str, reason: str) -> ConfigError:
    return ConfigError(f"stages={text!r}: {reason}.")
