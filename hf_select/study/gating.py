"""What a study leaves out before it cuts its files, and which of its rows hold a problem that it measures.

Files and rows are gated whole, once for all seeds. What is left is trained on, as windows; the problems are looked for
in these, so that pass@1 can also be given without those that a model was shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_select.evaluation.problem import Problem
from hf_select.experiment.gating import find_leaks, gate_rows, real_benchmarks
from hf_select.experiment.run import Run
from hf_select.rows import RowFormat
from hf_select.study.arguments import DiscoreArguments
from hf_select.study.corpus import UNKNOWN, Document, row_format_of
from hf_select.study.demo_task import DemoTask
from hf_select.study.leak import found_in
from hf_select.study.pool import Corpus, StudyPool

if TYPE_CHECKING:
    from datasets import Dataset


def problems_of(tasks: Sequence[Any]) -> dict[str, list[Problem]]:
    """The problems of the tasks that are measured by pass@1, which rows could leak.

    Args:
        tasks: the tasks.

    Returns:
        By name of the task; tasks of another metric have none, because their prompts are code of somebody's repository
        or descriptions of tables, which others may hold too.
    """
    found = {task.name: _problems(task) for task in tasks}
    return {name: problems for name, problems in found.items() if problems}


def _problems(task: Any) -> list[Problem]:
    from hf_select.evaluation.task.humaneval_x import CompiledPassAtOne
    from hf_select.evaluation.task.pass_at_one import PassAtOne

    if isinstance(task, DemoTask):
        return task.problems
    measurement = getattr(task, "measurement", None)
    if isinstance(measurement, PassAtOne):
        return list(measurement.problems)
    if isinstance(measurement, CompiledPassAtOne):
        return [
            Problem(str(record["task_id"]), record["prompt"], "", record["canonical_solution"], ())
            for record in measurement.records
        ]
    return []


def gate_corpus(run: Run, arguments: DiscoreArguments, corpus: Corpus, tasks: Sequence[Any]) -> Corpus:
    """Leave out what the named gates refuse, and then files that share 13 words in a row with a reference task.

    Args:
        run: the run folder, where the verdicts are kept.
        arguments: the arguments of the run.
        corpus: the files or rows.
        tasks: the tasks.

    Returns:
        The rest, with what was dropped.
    """
    asked = arguments.study
    if asked.gates is not None and not asked.no_gates:
        corpus = corpus.first(arguments.data.max_rows)
        rows, row_format = _rows_of(corpus)
        found = run.stage(
            "gates",
            lambda: gate_rows(
                asked,
                rows,
                row_format,
                problems_of(tasks),
                executes_code=arguments.executes_code,
                language_column=arguments.data.language_column,
                are_files=corpus.rows is None,
                problems_from="--tasks",
            ),
        )
        corpus = corpus.gated(found["keep"], found["counts"], found["not_checked"])
    return corpus.without(found_in(corpus.documents, tasks))


def _rows_of(corpus: Corpus) -> tuple[Dataset, RowFormat]:
    """What is gated as a dataset: a file is a row of plain text in its own language."""
    if corpus.rows is not None:
        return corpus.rows, row_format_of(corpus.rows, corpus.data)
    from datasets import Dataset, Features, Value

    columns = {
        "text": [document.text for document in corpus.documents],
        corpus.data.language_column or "language": [_language(document) for document in corpus.documents],
    }
    features = Features({name: Value("string") for name in columns})
    return Dataset.from_dict(columns, features), RowFormat("text", response="text")


def _language(document: Document) -> str | None:
    return None if document.language == UNKNOWN else document.language


def find_pool_leaks(run: Run, pool: StudyPool, problems: Mapping[str, Sequence[Problem]]) -> list[list[int | str]]:
    """All rows that hold a problem, looked for once for all seeds; every process looks at a share.

    Args:
        run: the run folder, where they are kept.
        pool: the rows.
        problems: problems of each task.

    Returns:
        What ``find_leaks`` gives, by ascending row id.
    """
    if not real_benchmarks(problems):
        return []
    found: list[list[int | str]] = run.stage("leakage", lambda: _find(pool.texts, problems))
    return found


def _find(texts: Dataset, problems: Mapping[str, Sequence[Problem]]) -> list[list[int | str]]:
    from accelerate import PartialState
    from accelerate.utils import gather_object

    state = PartialState()
    own = range(state.process_index, len(texts), state.num_processes)
    row_format, progress = RowFormat.detect(texts), state.is_main_process
    found = find_leaks(texts.select(own), row_format, problems, progress=progress) if len(own) else []
    leaks = gather_object([[own[int(row_id)], *told] for row_id, *told in found])
    return sorted(leaks, key=lambda leak: int(leak[0]))
