"""Which cells a comparison has: methods, budgets, seeds, and the methods that are left out with the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hf_select.budget import Budget
from hf_select.errors import ConfigError, TaskError, unknown_name
from hf_select.experiment.arguments import DEMO
from hf_select.grid.arguments import GridArguments
from hf_select.methods import METHODS, Method, make_for
from hf_select.signals.keys import Pass, Task

FULL = "full"
RANDOM = "random"

# Beyond max_batch the exact method has no meaning; its own stochastic form takes over, and the record says so.
_FIELDS: dict[str, dict[str, Any]] = {"batch_bald": {"fallback": "power_bald"}}


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Attributes:
        methods: the methods, random first.
        budgets: the budgets, as given.
        left_out: why a method that was asked for is not among them, by name.
    """

    methods: tuple[Method, ...]
    budgets: tuple[Budget, ...]
    left_out: dict[str, str]


def make_plan(arguments: GridArguments) -> Plan:
    """Read methods and budgets, and leave out the methods that do not serve the task.

    Args:
        arguments: the arguments of the run.

    Returns:
        The plan.

    Raises:
        UnknownNameError: if there is no such method.
        ConfigError: if there is no budget, or one counts tokens.
    """
    names = [name.strip() for name in arguments.selection.methods.split(",") if name.strip()]
    if not names:
        raise ConfigError(f"methods={arguments.selection.methods!r} names no method; write for example 'k_means,bm25'.")
    for name in names:
        if name not in METHODS:
            raise unknown_name("method", name, METHODS)
    methods: list[Method] = []
    left_out: dict[str, str] = {}
    for name in dict.fromkeys([RANDOM, *names]):
        try:
            method = make_for(name, arguments.task, **_FIELDS.get(name, {}))
        except TaskError as reason:
            left_out[name] = str(reason)
            continue
        if (reason_missing := _what_is_missing(method, arguments)) is not None:
            left_out[name] = reason_missing
            continue
        methods.append(method)
    return Plan(tuple(methods), parse_budgets(arguments.selection.budgets), left_out)


def parse_budgets(text: str) -> tuple[Budget, ...]:
    """Read a list of budgets.

    Args:
        text: budgets separated by commas.

    Returns:
        The budgets in the order given, each once.

    Raises:
        ConfigError: if there is none, or one counts tokens.
    """
    budgets = tuple(dict.fromkeys(Budget.parse(word) for word in text.split(",") if word.strip()))
    if not budgets:
        raise ConfigError(f"budgets={text!r} names no budget; write for example '1%,5%'.")
    if tokens := [str(budget) for budget in budgets if budget.kind == "tokens"]:
        raise ConfigError(f"budgets={text!r}: cells are compared at equal rows, not at {tokens[0]}; give rows or %.")
    return budgets


def budget_name(budget: Budget | None) -> str:
    """A budget as it is written in tables; ``"100%"`` for the whole pool."""
    return "100%" if budget is None else str(budget).removesuffix(" rows")


def cell_folder(method: str, budget: Budget | None) -> str:
    """Name of a cell below every stage, without its seed."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", f"{method}-{budget_name(budget)}".replace("%", "pct"))


def _what_is_missing(method: Method, arguments: GridArguments) -> str | None:
    """The companion that a method needs and that nobody gave; ``None`` if it has all."""
    reads = {signal.read_in for signal in method.needs}
    needs_language_model = arguments.task is Task.CLASSIFICATION and Pass.DEMONSTRATIONS in reads
    is_demo = arguments.model.model_name_or_path == DEMO
    if needs_language_model and arguments.model.language_model_name_or_path is None and not is_demo:
        return (
            "it asks a causal language model after demonstrations, which a classifier cannot answer: give "
            "--language_model_name_or_path."
        )
    return None
