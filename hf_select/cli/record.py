"""The parts of a report that commands share: what was given, how to repeat it, what was left out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from hf_select.cli.reading import Reading
from hf_select.experiment.results import versions
from hf_select.report.markup import Markdown, bullets, code_block, table


def seconds_table(seconds: Mapping[str, float]) -> Markdown:
    """What every step took.

    Args:
        seconds: of each step.

    Returns:
        The table.
    """
    return table(["step", "seconds"], [[step, f"{spent:.1f}"] for step, spent in seconds.items()])


def how_it_was_run(words: Sequence[str], reading: Reading) -> list[Markdown]:
    """The command, the inputs and the versions.

    Args:
        words: the words of the command line.
        reading: what was read.

    Returns:
        The section.
    """
    inputs = reading.inputs
    extraction = inputs.extraction
    facts: dict[str, Any] = {
        "dataset": inputs.name,
        "rows": f"{inputs.n_rows:,}",
        "candidates": f"{inputs.n_candidates:,}",
        "fingerprint": extraction.dataset._fingerprint,
        "columns": ", ".join(extraction.dataset.column_names),
        "model": extraction.models.given_model,
        "embedder": extraction.models.given_embedder,
        "kind of model": extraction.models.task.value,
        **{f"reference rows: {task}": f"{len(rows):,}" for task, rows in extraction.references.items()},
    }
    return [
        Markdown("## How it was run"),
        code_block(shlex.join(["hf-select", *words]), "bash"),
        table(["fact", "value"], [[name, value] for name, value in facts.items() if value is not None], numbers=False),
        table(["package", "version"], list(versions().items()), numbers=False),
    ]


def excluded_rows(excluded: Mapping[str, int]) -> list[str]:
    """Rows that could not be picked, by reason, as sentences.

    Args:
        excluded: their number by reason.

    Returns:
        The sentences.
    """
    return [f"{n_rows:,} rows were not eligible: {reason}." for reason, n_rows in excluded.items()]


def notes_section(notes: Sequence[str]) -> list[Markdown]:
    """What a reader should know before using the picks; nothing where there is nothing.

    Args:
        notes: sentences.

    Returns:
        The section.
    """
    return [Markdown("## Notes"), bullets(notes)] if notes else []
