"""DS-1000: data-science snippets, run inside their own test context, which only the official layout holds.

Source: Lai et al. 2023, "DS-1000: A Natural and Reliable Benchmark for Data Science Code Generation"; the simplified
layout of its authors, whose ``code_context`` defines ``test_execution`` (and sometimes ``test_string``).

The snippet is executed by its tests, inside their process, so every verdict is flagged ``in_process``: a snippet that
looks for the expected result can find it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_select.evaluation.result import Sample
from hf_select.evaluation.sandbox import Program, Sandbox, Verdict, choose_level
from hf_select.evaluation.task.built import Built, Options
from hf_select.evaluation.task.measurement import Graded
from hf_select.evaluation.task.record import HubSource, Layout, Record, find_layout, is_file, read_file, read_hub

_HUB = "xlangai/DS-1000"
_LAYOUTS = (
    Layout("DS-1000", ("prompt", "reference_code", "code_context", "metadata")),
    Layout("re-formatted DS-1000, loss only", ("prompt", "canonical_solution", "code_context")),
)
_TIMEOUT = 60.0
_MEMORY_BYTES = 8 << 30
_MODULES = {"Pytorch": "torch", "Sklearn": "sklearn"}


class Execution(Graded):
    """Share of snippets that their test context accepts."""

    metric = "execution accuracy"
    stop = ("</code>", "# SOLUTION END", "\nEND SOLUTION", "\n```")

    def __init__(self, records: Sequence[Record]) -> None:
        """Keep the problems.

        Args:
            records: (M,) rows in the official layout.
        """
        super().__init__([record["prompt"] for record in records])
        self.records = records

    def grade(
        self, row_ids: Sequence[int], completions: Sequence[str], progress: bool, level: str | None = None
    ) -> list[Sample]:
        """Run every snippet; one whose library is not installed is refused.

        Args:
            row_ids: (P,) rows of the reference set.
            completions: (P,) what the model wrote for each.
            progress: show a progress bar.
            level: how programs are contained, as in ``Sandbox``.

        Returns:
            (P,) samples.
        """
        level = choose_level(level).name
        programs = [self._program(row_id, text) for row_id, text in zip(row_ids, completions, strict=True)]
        lacking = [_missing_module(self.records[row_id]["metadata"]) for row_id in row_ids]
        asked = [place for place, module in enumerate(lacking) if module is None]
        with Sandbox(level, timeout=_TIMEOUT, max_memory_bytes=_MEMORY_BYTES, allow_code_eval=True) as sandbox:
            found = sandbox.check_many([programs[place] for place in asked], progress=progress)
        verdicts = dict(zip(asked, found, strict=True))
        return [
            Sample.of(
                _task_id(self.records[row_id], row_id),
                completions[place],
                programs[place].completion,
                verdicts.get(place) or _refused(lacking[place], level),
            )
            for place, row_id in enumerate(row_ids)
        ]

    def _program(self, row_id: int, completion: str) -> Program:
        context = str(self.records[row_id]["code_context"])
        tests = ["test_execution(solution)"] + (["test_string(solution)"] if "def test_string(" in context else [])
        return Program(
            completion=f"solution = {completion.strip(chr(10))!r}\n",
            entry_points=(),
            tests=(context, *tests),
            in_process=True,
        )


def _task_id(record: Record, row_id: int) -> str:
    return f"DS-1000/{record['metadata'].get('problem_id', row_id)}"


def _missing_module(metadata: Mapping[str, Any]) -> str | None:
    library = str(metadata.get("library", ""))
    module = _MODULES.get(library, library.lower())
    return module if module and importlib.util.find_spec(module) is None else None


def _refused(module: str | None, level: str) -> Verdict:
    return Verdict(
        passed=False,
        status="refused",
        detail=f"the package {module} is not installed",
        level=level,
        seconds=0.0,
        in_process=False,
    )


def read_ds1000(source: str | Path | None, split: str | None) -> list[Record]:
    """The rows of DS-1000.

    Args:
        source: a file or a name of the Hub; ``None`` for the official dataset of the Hub.
        split: a split of the Hub, ``"test"`` by default.

    Returns:
        The rows.
    """
    source = _HUB if source is None else source
    records = read_file(source) if is_file(source) else read_hub(HubSource(str(source), split=split or "test"))
    find_layout(records, _LAYOUTS, "ds1000", source)
    return records


def build_ds1000(records: Sequence[Record], options: Options) -> Built:
    """Make a task of drawn rows.

    Args:
        records: (M,) rows.
        options: not used by this task.

    Returns:
        The reference set, with execution accuracy where every row brings its test context.
    """
    del options
    official = find_layout(records, _LAYOUTS, "ds1000", "the drawn rows") is _LAYOUTS[0]
    executable = official and all("def test_execution(" in record["code_context"] for record in records)
    return Built(
        prompts=[record["prompt"] for record in records],
        completions=[record["reference_code" if official else "canonical_solution"] for record in records],
        measurement=Execution(records) if executable else None,
        unmeasured=""
        if executable
        else (
            "these rows are a re-formatted DS-1000 without the inputs and answers of its tests; execution accuracy "
            f"needs the official layout, whose code_context defines test_execution ({_HUB}, or a file of it)."
        ),
    )
