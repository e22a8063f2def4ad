"""Which rows of a pool the gates let through, and which of its rows hold a problem of the benchmarks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from hf_select.errors import ColumnError, ConfigError, RowError
from hf_select.experiment.arm import Arm
from hf_select.experiment.gate_arguments import GateArguments
from hf_select.experiment.process import on_main_process

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_select.evaluation.problem import Problem
    from hf_select.gates import Gate
    from hf_select.rows import RowFormat

_BATCH = 1000
_DEMO = "demo"  # the name of the embedded pool and of its problems


def real_benchmarks(problems: Mapping[str, Sequence[Problem]]) -> dict[str, Sequence[Problem]]:
    """The benchmarks that rows can leak: not the demo's, which is worded by the templates of its own pool.

    Args:
        problems: problems of each benchmark.

    Returns:
        Those of the others.
    """
    return {name: found for name, found in problems.items() if name != _DEMO and found}


def gates_for(
    asked: GateArguments,
    dataset: Dataset,
    row_format: RowFormat,
    problems: Mapping[str, Sequence[Problem]],
    *,
    executes_code: bool,
    language_column: str | None = None,
    are_files: bool = False,
    problems_from: str = "--benchmarks",
) -> list[Gate]:
    """The gates of a run.

    Args:
        asked: what was asked for.
        dataset: the rows.
        row_format: which column holds what.
        problems: problems of each benchmark, for the gate ``leakage``.
        executes_code: whether the user gave the word that code may run.
        language_column: column of the language of a row, where it has another name than the gates know.
        are_files: whether rows are source files, not answers that fence their code.
        problems_from: the argument that names the benchmarks, for messages.

    Returns:
        The gates, the cheap ones first; none with ``no_gates``.

    Raises:
        ConfigError: if leakage is to be looked for and there is no benchmark.
        ColumnError: if rows are to be executed that have no tests.
    """
    from hf_select.gates import LeakageGate, default_gates, make_gates, parse_gates

    if asked.no_gates:
        return []
    benchmarks = real_benchmarks(problems)
    if asked.gates is None:
        exact, *tests = default_gates(dataset, row_format, allow_code_eval=executes_code)
        return [exact, *([LeakageGate(benchmarks, row_format)] if benchmarks else []), *tests]
    named = parse_gates(asked.gates)
    if "leakage" in named and not benchmarks:
        raise ConfigError(
            f"gates=leakage looks for problems of {problems_from}, and there is none that rows could leak; name some, "
            f"for example {problems_from} humaneval."
        )
    reading: dict[str, Any] = {"row_format": row_format, "language": asked.gate_language}
    reading |= {"language_column": language_column, "whole": are_files}
    fields: dict[str, dict[str, Any]] = {
        "parses": reading,
        "static": reading,
        "duplicates": {"row_format": row_format},
        "near_duplicates": {"row_format": row_format},
        "leakage": {"row_format": row_format, "benchmarks": benchmarks},
        "runs": {"row_format": row_format, "allow_code_eval": executes_code or None},
    }
    gates = make_gates(asked.gates, fields)
    if "runs" in named and (missing := {"tests", "entry_point"} - set(dataset.column_names)):
        raise ColumnError(
            f"gates=runs executes rows with tests of their own, and these have no column {sorted(missing)[0]!r} but "
            f"{dataset.column_names}; rename the columns that hold them, or leave 'runs' out."
        )
    return gates


def run_gates(dataset: Dataset, gates: Iterable[Gate]) -> dict[str, Any]:
    """Take rows through the gates.

    Args:
        dataset: the rows.
        gates: the gates.

    Returns:
        ``keep`` (row ids), ``counts`` (dropped rows by reason), ``not_checked`` (kept rows by the gate that could say
        nothing of them) and ``seconds``, as plain data.
    """
    from hf_select.gates import apply_gates

    began = time.perf_counter()
    report = apply_gates(dataset, gates)
    return {
        "keep": report.row_ids.tolist(),
        "counts": report.counts,
        "not_checked": report.not_checked,
        "seconds": time.perf_counter() - began,
    }


def gate_rows(
    asked: GateArguments,
    dataset: Dataset,
    row_format: RowFormat,
    problems: Mapping[str, Sequence[Problem]],
    **options: Any,
) -> dict[str, Any]:
    """Take all rows of a run through the gates that were named, on the main process; through none if none was.

    Args:
        asked: what was asked for.
        dataset: the rows.
        row_format: which column holds what.
        problems: problems of each benchmark, for the gate ``leakage``.
        **options: those of ``gates_for``.

    Returns:
        What ``run_gates`` gives.

    Raises:
        RowError: if no row passed.
    """
    if asked.gates is None or asked.no_gates:
        return {"keep": list(range(len(dataset))), "counts": {}, "not_checked": {}, "seconds": 0.0}
    gates = gates_for(asked, dataset, row_format, problems, **options)
    found = on_main_process(lambda: run_gates(dataset, gates))
    if not found["keep"]:
        raise RowError(f"gates={asked.gates!r} let none of the {len(dataset)} rows through: {found['counts']}.")
    return found


def find_leaks(
    dataset: Dataset, row_format: RowFormat, problems: Mapping[str, Sequence[Problem]], *, progress: bool = True
) -> list[list[int | str]]:
    """All rows that hold a problem of a benchmark.

    Args:
        dataset: the rows.
        row_format: which column holds what.
        problems: problems of each benchmark.
        progress: show a progress bar.

    Returns:
        ``[row id, benchmark, task id, check]`` for each row and problem in it; nothing where there is no benchmark.
    """
    from hf_select.gates import LeakageGate

    if not (benchmarks := real_benchmarks(problems)):
        return []
    gate = LeakageGate(benchmarks, row_format)
    leaks: list[list[int | str]] = []
    for start in tqdm(range(0, len(dataset), _BATCH), desc="Looking for benchmark problems", disable=not progress):
        found = gate.matches(dataset[start : start + _BATCH])
        leaks += [[start + place, *match] for place, matches in enumerate(found) for match in matches]
    return leaks


def leaked_problems(
    leaks: Iterable[Sequence[int | str]], row_ids: Iterable[int], benchmarks: Iterable[str] = ()
) -> dict[str, set[str]]:
    """The problems that a subset holds.

    Args:
        leaks: the leaks of the whole dataset, as ``find_leaks`` gives them.
        row_ids: the subset.
        benchmarks: names of benchmarks that were looked for, which have an entry though nothing leaked.

    Returns:
        Task ids by benchmark.
    """
    inside = set(row_ids)
    found: dict[str, set[str]] = {name: set() for name in benchmarks}
    for row_id, benchmark, task_id, _ in leaks:
        if row_id in inside:
            found.setdefault(str(benchmark), set()).add(str(task_id))
    return found


def count_leaks(leaks: Sequence[Sequence[int | str]]) -> dict[str, dict[str, Any]]:
    """The leaks of each benchmark in numbers.

    Args:
        leaks: the leaks, as ``find_leaks`` gives them.

    Returns:
        By benchmark ``n_rows``, ``n_problems`` and ``checks`` (pairs of row and problem by what found them).
    """
    by_benchmark: dict[str, list[Sequence[int | str]]] = {}
    for leak in leaks:
        by_benchmark.setdefault(str(leak[1]), []).append(leak)
    return {
        name: {
            "n_rows": len({leak[0] for leak in found}),
            "n_problems": len({leak[2] for leak in found}),
            "checks": dict(Counter(str(leak[3]) for leak in found)),
        }
        for name, found in by_benchmark.items()
    }


def check_gated(arms: Sequence[Arm], asked: GateArguments) -> list[Arm]:
    """The arms as they run: without their gates where ``no_gates`` says so.

    Args:
        arms: the arms as they were written.
        asked: which gates were asked for.

    Returns:
        The arms, each once.

    Raises:
        ConfigError: if gates were named and no arm goes through them, or both gates and none were asked for.
        UnknownNameError: if there is no such gate.
    """
    from hf_select.gates import parse_gates

    if asked.no_gates:
        if asked.gates is not None:
            raise ConfigError(f"gates={asked.gates!r} and no_gates contradict each other; give one of them.")
        return list(dict.fromkeys(replace(arm, gated=False) for arm in arms))
    if asked.gates is not None and parse_gates(asked.gates) and not any(arm.gated for arm in arms):
        raise ConfigError(
            f"gates={asked.gates!r}, but no arm goes through gates; write for example --arms full,gates+cdas:40%."
        )
    return list(arms)
