"""How much to keep: a number of rows, a fraction of the rows, or a number of tokens."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from hf_select.errors import BudgetError
from hf_select.signals.keys import Indices, Integers

_FORMS = 'give rows (5000, "5000"), a fraction (0.4, "40%", "1/3") or tokens ("2M", "500k tokens")'
_NUMBER = r"(\d+(?:\.\d+)?)"
_SCALES = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


@dataclass(frozen=True)
class Budget:
    """How much of a dataset to keep.

    Build one with ``Budget.rows``, ``Budget.fraction``, ``Budget.tokens`` or ``Budget.parse``.

    Example:
        >>> Budget.parse("40%").n_rows(12001)
        4800
        >>> str(Budget.parse("1.5M tokens"))
        '1500000 tokens'
    """

    kind: Literal["rows", "fraction", "tokens"]
    value: Fraction

    @classmethod
    def rows(cls, n: int) -> Budget:
        """Keep ``n`` rows.

        Args:
            n: a whole number, at least 1.

        Returns:
            The budget.

        Raises:
            BudgetError: if ``n`` is not a whole number of at least 1.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise BudgetError(f"budget={n!r} is not a whole number of rows of at least 1; {_FORMS}.")
        return cls("rows", Fraction(int(n)))

    @classmethod
    def fraction(cls, share: float | Fraction | str) -> Budget:
        """Keep a fraction of the rows: ``floor(share * n)`` in exact arithmetic, at least 1.

        Args:
            share: in (0, 1]; a float counts as it is written.

        Returns:
            The budget.

        Raises:
            BudgetError: if ``share`` is not in (0, 1].
        """
        return cls("fraction", _share(_exact(share), share))

    @classmethod
    def tokens(cls, n: int) -> Budget:
        """Keep the longest prefix of the picks that does not exceed ``n`` tokens, at least one row.

        Args:
            n: tokens of prompt and response, at least 1.

        Returns:
            The budget.

        Raises:
            BudgetError: if ``n`` is not a whole number of at least 1.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise BudgetError(f"budget={n!r} tokens is not a whole number of at least 1; {_FORMS}.")
        return cls("tokens", Fraction(int(n)))

    @classmethod
    def parse(cls, text: str | float | Fraction | Budget) -> Budget:
        """Read a budget as people write it.

        Args:
            text: ``"40%"``, ``"1/3"``, ``0.4``, ``5000``, ``"5000"``, ``"2M"``, ``"500k tokens"``, ``"3k rows"``; a
                float or a text with a decimal point is a fraction, a whole number is rows, a scaled one tokens.

        Returns:
            The budget.

        Raises:
            BudgetError: if it is none of these.
        """
        if isinstance(text, Budget):
            return text
        if isinstance(text, bool):
            raise BudgetError(f"budget={text!r} is not a budget; {_FORMS}.")
        if isinstance(text, int | np.integer):
            return cls.rows(int(text))
        if isinstance(text, float | Fraction):
            return cls.fraction(text)
        word = re.sub(r"(?<=\d)[,_](?=\d{3}(?!\d))", "", str(text).strip().lower())  # "12,000", but not "1,5"
        if found := re.fullmatch(_NUMBER + r"\s*%", word):
            return cls("fraction", _share(Fraction(found[1]) / 100, text))
        if re.fullmatch(r"\d+\s*/\s*[1-9]\d*", word):
            return cls("fraction", _share(Fraction(word.replace(" ", "")), text))
        if found := re.fullmatch(_NUMBER + r"\s*(?:([kmb])|([kmb]?)\s*tokens?)", word):
            return cls.tokens(_whole(Fraction(found[1]) * _SCALES[found[2] or found[3] or ""], text))
        if found := re.fullmatch(_NUMBER + r"\s*([kmb]?)(\s*rows?)?", word):
            if "." in found[1] and not found[2] and not found[3]:
                return cls("fraction", _share(Fraction(found[1]), text))
            return cls.rows(_whole(Fraction(found[1]) * _SCALES[found[2]], text))
        raise BudgetError(f"budget={text!r} is not a budget; {_FORMS}.")

    def n_rows(self, n_candidates: int) -> int:
        """Number of rows to ask a method for.

        Args:
            n_candidates: rows that may be picked.

        Returns:
            That number; for a token budget all candidates, to be cut with ``prefix``.

        Raises:
            BudgetError: if there are no candidates or fewer than the rows asked for.
        """
        if n_candidates < 1:
            raise BudgetError(
                "There is no row to pick from: the pool is empty. Check the dataset, its split and the gates."
            )
        if self.kind == "tokens":
            return n_candidates
        if self.kind == "fraction":
            return max(1, math.floor(self.value * n_candidates))
        if self.value > n_candidates:
            raise BudgetError(
                f"budget={self} is above the pool of {n_candidates} rows; give at most that many, or a fraction."
            )
        return int(self.value)

    def prefix(self, indices: Indices, row_tokens: Integers) -> int:
        """Length of the longest prefix of the picks within a token budget, at least 1.

        Args:
            indices: ``(k,)`` picks, best first.
            row_tokens: ``(N,)`` tokens of every row of the dataset.

        Returns:
            How many of the picks to keep; all of them if the budget does not count tokens.
        """
        if self.kind != "tokens":
            return len(indices)
        total = np.cumsum(np.asarray(row_tokens, dtype=np.int64)[indices])
        return min(len(indices), max(1, int(np.searchsorted(total, int(self.value), side="right"))))

    def __str__(self) -> str:
        if self.kind == "fraction":
            percent = f"{float(self.value * 100):.12g}"
            return f"{percent}%" if "e" not in percent and Fraction(percent) == self.value * 100 else str(self.value)
        return f"{int(self.value)} {self.kind}"


def _exact(share: float | Fraction | str) -> Fraction:
    """The number as written: ``Fraction(str(0.29))`` is 29/100, the binary float is not."""
    try:
        return share if isinstance(share, Fraction) else Fraction(str(share))
    except (ValueError, ZeroDivisionError):
        raise BudgetError(f"budget={share!r} is not a number; {_FORMS}.") from None


def _share(value: Fraction, written: object) -> Fraction:
    if not 0 < value <= 1:
        raise BudgetError(f"budget={written!r} is not a fraction in (0, 1]; {_FORMS}.")
    return value


def _whole(value: Fraction, text: object) -> int:
    if value.denominator != 1:
        raise BudgetError(f"budget={text!r} is not a whole number; {_FORMS}.")
    return int(value)
