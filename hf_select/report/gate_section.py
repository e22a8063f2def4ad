"""What a report says of the gates: rows they dropped, rows they could say nothing about, problems that leaked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hf_select.report.markup import Markdown, bullets, escape, table
from hf_select.report.result import Arm, spread_of
from hf_select.report.tables import benchmark_names, count, decimal, gates_table

_LEAKAGE = (
    "Problems whose text or solution stands in the rows of an arm, and pass@1 without them: arms that were shown "
    "answers are compared with the others by the last column. Paraphrases are not found."
)
_COLUMNS = ("n_leaked_problems", "n_uncontaminated", "pass_at_1", "pass_at_1_uncontaminated")


def gates_section(
    counts: Mapping[str, int], not_checked: Mapping[str, int], n_rows: int | None, said: str = "", *, ran: str = ""
) -> list[Markdown]:
    """What the gates dropped.

    Args:
        counts: dropped rows by reason.
        not_checked: rows that a gate kept because it could say nothing about them, by its name.
        n_rows: rows before the gates, for the shares.
        said: a sentence above the table.
        ran: names of the gates, which are told where they dropped nothing.

    Returns:
        The section; nothing where no gate said anything and none is known to have run.
    """
    if not counts and not not_checked and not ran:
        return []
    told = [f"{n:,} rows were kept unchecked by the gate {name}." for name, n in not_checked.items()]
    return [
        Markdown("## What the gates dropped"),
        *([escape(said)] if said else []),
        gates_table(counts, n_rows) if counts else escape(f"Nothing{f' ({ran})' if ran else ''}."),
        *([bullets(told)] if told else []),
    ]


def leakage_section(arms: Sequence[Arm]) -> list[Markdown]:
    """What leaked, and pass@1 without it.

    Args:
        arms: the arms.

    Returns:
        The section; nothing where leaks were not looked for.
    """
    found = [measures for arm in arms for record in arm.get("per_seed") or () for measures in _benchmarks(record)]
    if all(measures.get("n_leaked_problems") is None for measures in found):
        return []
    return [Markdown("## Leakage"), escape(_LEAKAGE), leakage_table(arms)]


def _benchmarks(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((record.get("benchmarks") or {}).values())


def leakage_table(arms: Sequence[Arm]) -> Markdown:
    """Leaked problems and pass@1 with and without them, a line for each arm and benchmark that was looked for.

    Args:
        arms: the arms.

    Returns:
        The table; mean ± standard deviation where an arm has several seeds.
    """
    rows = []
    for arm in arms:
        for name in benchmark_names([arm]):
            found = [(record.get("benchmarks") or {}).get(name) or {} for record in arm.get("per_seed") or ()]
            if all(measures.get("n_leaked_problems") is None for measures in found):
                continue
            spreads = [_spread(found, column) for column in _COLUMNS]
            counts, shares = spreads[:2], spreads[2:]
            rows.append([arm.get("name", "?"), name, *map(count, counts), *(decimal(share, 3) for share in shares)])
    header = ["arm", "benchmark", "leaked problems", "problems left", "pass@1", "pass@1 without leaked problems"]
    return table(header, rows)


def _spread(found: Sequence[Mapping[str, Any]], column: str) -> Any:
    """Mean and deviation of one measure over the seeds."""
    return spread_of(Arm(per_seed=[{"pass_at_1": measures.get(column)} for measures in found]), "pass_at_1")
