"""An arm of an experiment: a method with its budget, with or without the gates before it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hf_select.budget import Budget
from hf_select.errors import ConfigError, unknown_name
from hf_select.methods import METHODS, Method, make_for
from hf_select.signals.keys import Pass, Task

FULL = "full"
_GATES = "gates+"


@dataclass(frozen=True)
class Arm:
    """One way to choose what is trained on.

    Attributes:
        method: key of ``METHODS``, or ``"full"`` for all rows.
        budget: how much to keep; ``None`` for ``full``.
        gated: whether rows that a gate refuses are taken out first.

    Example:
        >>> arm = Arm.parse("gates+cdas:40%")
        >>> (arm.method, str(arm.budget), arm.gated, arm.name, arm.folder)
        ('cdas', '40%', True, 'gates+cdas:40%', 'gates-cdas-40pct')
    """

    method: str
    budget: Budget | None
    gated: bool = False

    @classmethod
    def parse(cls, text: str) -> Arm:
        """Read an arm as it is written: ``[gates+]method[:budget]``.

        Args:
            text: for example ``"full"``, ``"random:40%"`` or ``"gates+cdas:5000"``.

        Returns:
            The arm.

        Raises:
            ConfigError: if a full arm has a budget, or the text is empty.
            UnknownNameError: if there is no such method.
            BudgetError: if the budget cannot be read.
            TaskError: if the method does not serve causal language models.
        """
        word = text.strip()
        gated = word.startswith(_GATES)
        method, _, budget = word.removeprefix(_GATES).partition(":")
        if not method:
            raise ConfigError(f"arm={text!r} names no method; write [gates+]method[:budget], for example 'cdas:40%'.")
        if method == FULL:
            if budget:
                raise ConfigError(f"arm={text!r}: 'full' keeps every row and takes no budget; use 'random:{budget}'.")
            return cls(FULL, None, gated)
        if method not in METHODS:
            raise unknown_name("method", method, [FULL, *METHODS])
        _check_given(make_for(method, Task.CAUSAL_LM))
        return cls(method, Budget.parse(budget) if budget else None, gated)

    @property
    def name(self) -> str:
        """The arm as it is written."""
        budget = f":{self.budget}".removesuffix(" rows") if self.budget else ""
        return f"{_GATES if self.gated else ''}{self.method}{budget}"

    @property
    def folder(self) -> str:
        """The name as a folder."""
        return re.sub(r"[^A-Za-z0-9_.]+", "-", self.name.replace("%", "pct"))


def _check_given(method: Method) -> None:
    """Refuse a method that needs more than rows and a model, which is all that an arm is given."""
    lacking = "a reference set" if method.needs_reference else None
    if any(signal.read_in in (Pass.GRADIENTS, Pass.DEMONSTRATIONS) for signal in method.needs):
        lacking = lacking or "labelled rows or a second model"
    if lacking:
        raise ConfigError(
            f"The method {method.name!r} needs {lacking}, which an arm of this recipe does not have. Compare it with "
            f"recipes/dsbox.py, or select with `hf-select select` and train on the subset."
        )


def parse_arms(text: str, budgets: str) -> list[Arm]:
    """Read a list of arms; every selected arm gets a random arm of the same budget beside it.

    Args:
        text: arms separated by commas.
        budgets: budgets separated by commas, for the arms that name none.

    Returns:
        The arms in the order given, each once; missing random arms stand before the first arm they are compared with.

    Raises:
        ConfigError: if there is no arm.
    """
    default = [Budget.parse(word) for word in budgets.split(",") if word.strip()]
    arms: list[Arm] = []
    for word in text.split(","):
        if not word.strip():
            continue
        arm = Arm.parse(word)
        open_budget = arm.budget is None and arm.method != FULL
        arms += [replace(arm, budget=budget) for budget in default] if open_budget else [arm]
    if not arms:
        raise ConfigError(f"arms={text!r} names no arm; write for example 'full,random:40%,cdas:40%'.")
    for arm in list(arms):
        control = Arm("random", arm.budget, arm.gated)
        if arm.method != FULL and control not in arms:
            arms.insert(arms.index(arm), control)
    return list(dict.fromkeys(arms))


def check_budgets(arms: Sequence[Arm], n_rows: int) -> None:
    """Stop before long work if an arm asks for more than the pool has, or counts tokens where that has no meaning.

    Args:
        arms: the arms.
        n_rows: rows of the pool.

    Raises:
        BudgetError: if a budget is above the pool, or the pool is empty.
        ConfigError: if a method whose picks depend on their number is given a token budget.
    """
    for arm in arms:
        if arm.budget is None:
            Budget.fraction(1).n_rows(n_rows)
            continue
        arm.budget.n_rows(n_rows)
        if arm.budget.kind == "tokens" and not METHODS[arm.method].ordered:
            raise ConfigError(
                f"arm={arm.name!r}: {arm.method} has no order to cut at a number of tokens; give rows or %."
            )
