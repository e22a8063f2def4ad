"""What one seed of a comparison works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.experiment.gating import find_leaks, leaked_problems, real_benchmarks
from hf_select.experiment.process import on_main_process
from hf_select.experiment.run import Run
from hf_select.grid.arguments import GridArguments
from hf_select.grid.base import BaseModel
from hf_select.grid.data import GridData
from hf_select.grid.split import Shares, Split, split_rows
from hf_select.signals.keys import Indices, Task

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class GridSetting:
    """What one seed of a comparison works on.

    Attributes:
        run: the run folder.
        arguments: the arguments of the run.
        seed: draws the split, the warm-up, the picks and the training.
        data: all rows.
        base: the model before any training.
        split: how the rows are divided.
    """

    run: Run
    arguments: GridArguments
    seed: int
    data: GridData
    base: BaseModel
    split: Split

    @property
    def name(self) -> str:
        """Folder of the seed below every stage."""
        return f"seed-{self.seed}"

    @cached_property
    def pool(self) -> Dataset:
        """The rows that methods pick from; row ids of picks are positions in it."""
        return self.data.dataset.select(self.split.pool)

    @cached_property
    def validation(self) -> Dataset:
        """The rows that training stops by, and the reference set of the methods that aim at one."""
        return self.data.dataset.select(self.split.validation)

    @cached_property
    def test(self) -> Dataset:
        """The rows that classifiers are measured on."""
        return self.data.dataset.select(self.split.test) if self.data.test is None else self.data.test

    @cached_property
    def leaks(self) -> list[list[int | str]]:
        """Rows of the dataset that hold a problem of a benchmark, as ``find_leaks`` gives them; one look for all seeds.

        Nothing where it was not asked for, or no benchmark can leak.
        """
        data = self.data
        if not self.leak_benchmarks:
            return []
        work = partial(find_leaks, data.dataset, data.pool.row_format, data.pool.problems)
        found: list[list[int | str]] = self.run.stage("leakage", partial(on_main_process, work))
        return found

    @property
    def leak_benchmarks(self) -> list[str]:
        """Names of the benchmarks whose problems are looked for in the rows."""
        return list(real_benchmarks(self.data.pool.problems)) if self.arguments.selection.check_leakage else []

    def leaked(self, rows: Indices) -> dict[str, set[str]]:
        """The problems that rows of the pool hold.

        Args:
            rows: row ids of the pool.

        Returns:
            Task ids for every benchmark that was looked for.
        """
        return leaked_problems(self.leaks, self.split.pool[rows].tolist(), self.leak_benchmarks)

    @property
    def labelled(self) -> Indices:
        """Row ids of the pool that are labelled before any method picks."""
        return np.flatnonzero(self.split.labelled)

    @cached_property
    def n_pickable(self) -> int:
        """Rows that a method can pick: the pool less its labelled rows."""
        return int((~self.split.labelled).sum())

    def features(self, rows: Dataset) -> list[dict[str, Any]]:
        """Rows as a classifier is trained on and measured with.

        Args:
            rows: labelled rows.

        Returns:
            Their features.
        """
        from hf_select.rows import RowFormat
        from hf_select.training.classification import classification_features

        read = RowFormat.detect(rows, self.data.pool.columns).read(rows)
        return classification_features(read, self.base.tokenizer, self.max_length)

    @cached_property
    def pool_features(self) -> list[dict[str, Any]]:
        """Features of the pool, tokenised once for all cells."""
        return self.features(self.pool)

    @cached_property
    def generation_features(self) -> Dataset:
        """Features of the pool as a causal language model is trained on them."""
        from hf_select.experiment.pool import training_features

        asked = self.arguments.data
        row_format = self.data.pool.row_format
        return training_features(self.pool, row_format, self.base.tokenizer, asked.template, asked.max_length)

    @cached_property
    def validation_features(self) -> list[dict[str, Any]]:
        """Features of the validation rows."""
        return self.features(self.validation)

    @cached_property
    def test_features(self) -> list[dict[str, Any]]:
        """Features of the test rows."""
        return self.features(self.test)

    @property
    def max_length(self) -> int:
        """Longest row in tokens: the argument, at most what the tokenizer was made for."""
        return min(self.arguments.data.max_length, self.base.tokenizer.model_max_length)


def make_split(arguments: GridArguments, data: GridData, seed: int) -> Split:
    """Divide the rows for one seed.

    Args:
        arguments: the arguments of the run.
        data: the rows.
        seed: draws the parts.

    Returns:
        The parts.
    """
    asked, selection = arguments.data, arguments.selection
    draws_test = data.test is None and arguments.task is Task.CLASSIFICATION
    shares = Shares(
        asked.test_fraction if draws_test else 0.0,
        asked.validation_fraction,
        selection.seed_fraction,
        selection.min_seed_rows_per_class,
    )
    rng = np.random.default_rng(seed)
    return split_rows(data.texts, data.groups, data.labels, shares, rng, test_texts=data.test_texts)


def check_splits(splits: Sequence[Split], budgets: Sequence[Any]) -> None:
    """Stop before long work if a budget asks for more than a pool has left.

    Args:
        splits: the parts of every seed.
        budgets: the budgets.

    Raises:
        BudgetError: if one does.
    """
    from hf_select.errors import BudgetError

    for split in splits:
        n_left = int((~split.labelled).sum())
        for budget in budgets:
            if budget.n_rows(len(split.pool)) > n_left:
                raise BudgetError(
                    f"budget={budget} is {budget.n_rows(len(split.pool))} rows of a pool of {len(split.pool)}, of "
                    f"which {len(split.pool) - n_left} are labelled already: only {n_left} are left to pick."
                )
