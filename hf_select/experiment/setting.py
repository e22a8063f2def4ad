"""What one seed of an experiment works on: pool, tokenizer and tokenised rows, checked before any model is loaded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_select.budget import Budget
from hf_select.experiment.arguments import Arguments
from hf_select.experiment.arm import Arm, check_budgets
from hf_select.experiment.model import load_tokenizer
from hf_select.experiment.pool import Pool, load_pool, rows_without_room, training_features
from hf_select.experiment.run import Run
from hf_select.signals.keys import Mask
from hf_select.templates import get_template

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger("hf_select")


@dataclass(frozen=True)
class Setting:
    """What one seed of an experiment works on.

    Attributes:
        run: the run folder.
        arguments: the arguments of the run.
        seed: draws the pool of the demo, the picks, the initial weights and the order of training.
        pool: rows, problems, validation rows.
        tokenizer: the model's tokenizer.
        rows: the tokenised rows, row id = position.
        roomless: ``(N,)`` bool, rows without a response token to learn.
    """

    run: Run
    arguments: Arguments
    seed: int
    pool: Pool
    tokenizer: PreTrainedTokenizerBase
    rows: Dataset
    roomless: Mask

    @classmethod
    def prepare(cls, run: Run, arguments: Arguments, arms: Sequence[Arm], seed: int) -> Setting:
        """Load pool and tokenizer and check them against the arms, before any model is loaded.

        Args:
            run: the run folder.
            arguments: the arguments of the run.
            arms: the arms.
            seed: the seed.

        Returns:
            The setting.
        """
        pool = load_pool(arguments.data, arguments.evaluation, seed)
        check_budgets(arms, len(pool.dataset))
        if arguments.selection.scorer_warmup_fraction:
            Budget.fraction(arguments.selection.scorer_warmup_fraction)
        tokenizer = load_tokenizer(arguments.model, pool)
        sample = pool.row_format.read(pool.dataset.select(range(1)))[0]
        get_template(arguments.data.template).prompt(sample, tokenizer)
        length = arguments.data.max_length
        rows = training_features(pool.dataset, pool.row_format, tokenizer, arguments.data.template, length)
        roomless = rows_without_room(rows, drop=arguments.data.drop_long_prompts, max_length=length)
        check_budgets(arms, int((~roomless).sum()))
        n_cut = int(np.count_nonzero(rows["n_truncated"]))
        if n_cut:
            logger.warning(
                "%d of %d rows are longer than max_length=%d; their responses are cut.", n_cut, len(rows), length
            )
        return cls(run, arguments, seed, pool, tokenizer, rows, roomless)

    @property
    def name(self) -> str:
        """Folder of the seed below every stage."""
        return f"seed-{self.seed}"
