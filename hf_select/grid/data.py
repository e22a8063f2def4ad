"""The rows of a comparison: one dataset, test rows of their own where they are given, and what must not be divided."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hf_select.errors import ColumnError, ConfigError, RowError
from hf_select.experiment.arguments import DEMO, EvaluationArguments
from hf_select.experiment.gating import gate_rows
from hf_select.experiment.pool import Pool, load_pool
from hf_select.grid.arguments import GridArguments
from hf_select.rows import RowFormat
from hf_select.signals.keys import Task
from hf_select.signals.text import row_text

if TYPE_CHECKING:
    from datasets import Dataset

_DEMO_SEED = 0  # one dataset for all seeds; a seed draws its split, the warm-up, the picks and the training


@dataclass(frozen=True)
class GridData:
    """What a comparison works on.

    Attributes:
        pool: the dataset with its columns; for the generation task also the benchmarks and their solutions.
        texts: ``N`` texts of its rows.
        groups: ``N`` keys of what must stay on one side of a split.
        labels: ``N`` classes, 0, 1, ...; ``None`` for the generation task.
        test: test rows that were given; ``None`` where every seed draws some.
        gates: rows that gates dropped, by reason.
        gates_not_checked: rows that a gate could say nothing about, by its name.
    """

    pool: Pool
    texts: list[str]
    groups: list[Hashable]
    labels: list[int] | None
    test: Dataset | None
    gates: Mapping[str, int] = field(default_factory=dict)
    gates_not_checked: Mapping[str, int] = field(default_factory=dict)

    @property
    def dataset(self) -> Dataset:
        """The rows, row id = position."""
        return self.pool.dataset

    @property
    def n_labels(self) -> int:
        """Number of classes, 0 where rows have none."""
        return 1 + max(self.labels) if self.labels else 0

    @property
    def test_texts(self) -> list[str]:
        """Texts of the test rows that were given."""
        if self.test is None:
            return []
        return list(row_text(RowFormat.detect(self.test, self.pool.columns).read(self.test)))


def load_data(arguments: GridArguments) -> GridData:
    """Load the rows of a run, and check that they fit the task.

    Args:
        arguments: the arguments of the run.

    Returns:
        The rows.

    Raises:
        ConfigError: if test rows are asked for that the demo does not have, or words are to be joined in code that is
            to be learned.
        RowError: if the rows are not of the form that the task needs.
        ColumnError: if there is no such group column.
    """
    if arguments.is_demo and (arguments.data.test_dataset_name or arguments.data.dataset_test_split):
        raise ConfigError("dataset_name=demo draws its test rows itself; leave out --test_dataset_name and its split.")
    if arguments.data.join_words and arguments.task is Task.CAUSAL_LM:
        raise ConfigError("join_words would destroy the form of code that is to be learned; it serves classification.")
    pool, gated = _through_gates(_load_pool(arguments), arguments)
    test = _load_test(arguments)
    if arguments.data.join_words:
        pool = replace(pool, dataset=_join_words(pool.dataset, pool.row_format))
        test = None if test is None else _join_words(test, RowFormat.detect(test, pool.columns))
    rows = pool.row_format.read(pool.dataset)
    texts = list(row_text(rows))
    labels = None
    if arguments.task is Task.CLASSIFICATION:
        labels = _labels(pool)
        if test is not None:
            _check_test(test, pool, set(labels))
    elif pool.row_format.form == "classification":
        raise RowError("task=causal_lm needs rows with a response; these have a label. Give --task classification.")
    groups = _groups(arguments, pool, texts)
    return GridData(pool, texts, groups, labels, test, gated["counts"], gated["not_checked"])


def _through_gates(pool: Pool, arguments: GridArguments) -> tuple[Pool, dict[str, Any]]:
    """The pool without the rows that a gate refuses, and what the gates said."""
    may_run = arguments.experiment.executes_code
    found = gate_rows(arguments.selection, pool.dataset, pool.row_format, pool.problems, executes_code=may_run)
    if len(found["keep"]) == len(pool.dataset):
        return pool, found
    return replace(pool, dataset=pool.dataset.select(found["keep"])), found


def _load_pool(arguments: GridArguments) -> Pool:
    data = arguments.data
    if arguments.task is Task.CAUSAL_LM:
        return load_pool(data, arguments.evaluation, _DEMO_SEED)
    if arguments.is_demo:
        from hf_select.demo.planted_bug import build_planted_bugs

        return Pool(DEMO, build_planted_bugs(_DEMO_SEED, data.demo_rows), None, {}, {})
    return load_pool(data, EvaluationArguments(benchmarks=""), _DEMO_SEED)


def _load_test(arguments: GridArguments) -> Dataset | None:
    """The test rows that were given, loaded as the others are."""
    data = arguments.data
    if data.test_dataset_name is None and data.dataset_test_split is None:
        return None
    if arguments.task is Task.CAUSAL_LM:
        raise ConfigError("task=causal_lm is measured on --benchmarks, not on test rows; leave the test set out.")
    named = replace(
        data,
        dataset_name=data.test_dataset_name or data.dataset_name,
        dataset_train_split=data.dataset_test_split or data.dataset_train_split,
        max_rows=None,
    )
    return load_pool(named, EvaluationArguments(benchmarks=""), _DEMO_SEED).dataset


def _labels(pool: Pool) -> list[int]:
    """The classes of the rows, which must be 0, 1, ... without a gap."""
    if pool.row_format.form != "classification":
        raise RowError(
            f"task=classification needs a text and a label, but the columns {pool.dataset.column_names} were read as "
            f"{pool.row_format.form!r}. Name them by --columns prompt=TEXT,label=LABEL, or give --task causal_lm."
        )
    labels = [int(row.label or 0) for row in pool.row_format.read(pool.dataset)]
    found = sorted(set(labels))
    if found != list(range(len(found))) or len(found) < 2:
        raise RowError(
            f"The labels are {found[:10]}; they must be 0, 1, ... without a gap, two classes at least. Map them with "
            f"dataset.map, or dataset.class_encode_column."
        )
    return labels


def _check_test(test: Dataset, pool: Pool, known: set[int]) -> None:
    """The test rows are read as the others are and have no other class."""
    found = {row.label for row in RowFormat.detect(test, pool.columns).read(test)}
    if not found <= known:
        raise RowError(
            f"The test rows have the labels {sorted(map(str, found))} and the dataset {sorted(known)}; they must be "
            f"the same classes."
        )


def _groups(arguments: GridArguments, pool: Pool, texts: list[str]) -> list[Hashable]:
    column = "function" if arguments.is_demo and arguments.task is Task.CLASSIFICATION else arguments.data.group_column
    if column is None:
        return list(texts)
    if column not in pool.dataset.column_names:
        raise ColumnError(f"No column {column!r} to group by; the dataset has {pool.dataset.column_names}.")
    return list(pool.dataset[column])


def _join_words(dataset: Dataset, row_format: RowFormat) -> Dataset:
    """The dataset with every run of white space in its texts replaced by one blank."""
    columns = [name for name in (row_format.prompt, row_format.response) if name is not None]

    def joined(batch: dict[str, list[Any]]) -> dict[str, list[str]]:
        return {name: [" ".join(text.split()) for text in batch[name]] for name in columns}

    return dataset.map(joined, batched=True, desc="Joining words")
