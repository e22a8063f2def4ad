"""The gates of a command: rows that may be picked are those that passed them."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.errors import ConfigError
from hf_select.extra import check_extra

if TYPE_CHECKING:
    from hf_select.cli.argument import Parser
    from hf_select.cli.input import Inputs
    from hf_select.evaluation.problem import Problem


_PACKAGES = {"near_duplicates": "datasketch", "static": "pyflakes"}


def add_gates(parser: Parser) -> None:
    """Add what takes rows out before anything is read.

    Args:
        parser: of the command.
    """
    group = parser.add_argument_group("gates")
    group.add_argument(
        "--gates",
        metavar="NAME,...",
        help="Rows must pass these first: duplicates, parses, leakage, near_duplicates, static, runs.",
    )
    group.add_argument(
        "--benchmarks",
        metavar="NAME[=FILE],...",
        default="humaneval",
        help="What the gate 'leakage' looks for: humaneval, mbpp=FILE, humaneval_plus=FILE, problems=FILE.",
    )
    group.add_argument(
        "--gate_language", metavar="NAME", help="Language of code that neither a fence nor a column 'language' names."
    )
    group.add_argument(
        "--allow_code_eval",
        action="store_true",
        help="Let the gate 'runs' execute the rows' code in the sandbox (or set HF_ALLOW_CODE_EVAL=1).",
    )
    group.add_argument(
        "--sandbox_level",
        metavar="NAME",
        help="How that code is contained: process, namespaces, landlock+seccomp or full; by default the strongest "
        "that holds.",
    )


def check_gates(arguments: Namespace) -> None:
    """Refuse gates that there are not, or that lack a package or the user's word, before the rows are loaded.

    Args:
        arguments: the arguments of the command.

    Raises:
        UnknownNameError: if there is no such gate or benchmark.
        MissingExtraError: if a gate needs a package that is not installed.
        CodeExecutionError: if a gate executes code and the user did not allow it.
    """
    from hf_select.evaluation.sandbox import choose_level, require_consent
    from hf_select.gates import parse_gates

    names = parse_gates(arguments.gates or "")
    for name in names:
        if name in _PACKAGES:
            check_extra(_PACKAGES[name], f"The gate {name!r}")
    if "runs" in names:
        require_consent(arguments.allow_code_eval or None)
        choose_level(arguments.sandbox_level)
    _problems(arguments if "leakage" in names else Namespace(benchmarks=""))


def through_gates(inputs: Inputs, arguments: Namespace) -> tuple[Inputs, dict[str, Any]]:
    """Take the rows of a command through its gates.

    Args:
        inputs: what the command works on.
        arguments: the arguments of the command.

    Returns:
        The inputs with the rows that passed as candidates, and what the gates said: ``counts``, ``not_checked`` and
        ``seconds``; nothing where no gate was named.

    Raises:
        ConfigError: if no row passed.
        BudgetError: if a budget asks for more rows than are left.
    """
    from hf_select.evaluation.sandbox import use_level
    from hf_select.experiment.gate_arguments import GateArguments
    from hf_select.experiment.gating import gates_for, run_gates
    from hf_select.experiment.process import on_main_process
    from hf_select.rows import RowFormat

    if not arguments.gates:
        return inputs, {}
    dataset = inputs.extraction.dataset
    asked = GateArguments(gates=arguments.gates, gate_language=arguments.gate_language)
    row_format = RowFormat.detect(dataset, inputs.extraction.columns)
    gates = gates_for(asked, dataset, row_format, _problems(arguments), executes_code=arguments.allow_code_eval)
    with use_level(arguments.sandbox_level, executes_code=False):
        said = on_main_process(lambda: run_gates(dataset, gates))
    passed = np.zeros(inputs.n_rows, dtype=np.bool_)
    passed[said.pop("keep")] = True
    candidates = passed if inputs.candidates is None else passed & inputs.candidates
    if not candidates.any():
        raise ConfigError(f"--gates {arguments.gates} let none of the candidate rows through: {said['counts']}.")
    gated = replace(inputs, candidates=candidates)
    for budget in gated.budgets:
        budget.n_rows(gated.n_candidates)
    return gated, {**said, "seconds": round(said["seconds"], 3)}


def _problems(arguments: Namespace) -> dict[str, list[Problem]]:
    """The benchmarks that were named."""
    from hf_select.evaluation.benchmark import load_benchmark

    pairs = [word.strip().partition("=") for word in arguments.benchmarks.split(",") if word.strip()]
    return {name: load_benchmark(name, path or None) for name, _, path in pairs}
