"""One seed of an experiment: its pool is gated and scored once, then every arm is selected, trained and measured.

Every step is a stage of the run: finished ones are read, not repeated.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.budget import Budget
from hf_select.experiment.arguments import Arguments
from hf_select.experiment.arm import FULL, Arm, check_budgets
from hf_select.experiment.model import load_model, load_tokenizer, load_trained
from hf_select.experiment.pool import Pool, load_pool, rows_without_room, training_features
from hf_select.experiment.process import on_main_process
from hf_select.experiment.run import Run
from hf_select.experiment.scoring import extract_signals, needs_of, seconds_of
from hf_select.methods import make
from hf_select.selection import Selection
from hf_select.signals.keys import Mask
from hf_select.templates import get_template

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger("hf_select")


@dataclass
class Trial:
    """One seed of an experiment.

    Attributes:
        run: the run folder.
        arguments: the arguments of the run.
        seed: draws the pool of the demo, the picks, the initial weights and the order of training.
        pool: rows, problems, validation rows.
        tokenizer: the model's tokenizer.
        rows: the tokenised rows, row id = position.
        roomless: ``(N,)`` bool, rows without a response token to learn.
        signals: the signal columns, once extracted; ``None`` before, or where no arm needs any.
    """

    run: Run
    arguments: Arguments
    seed: int
    pool: Pool
    tokenizer: PreTrainedTokenizerBase
    rows: Dataset
    roomless: Mask
    signals: Dataset | None = field(default=None, repr=False)
    _gate: dict[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def prepare(cls, run: Run, arguments: Arguments, arms: Sequence[Arm], seed: int) -> Trial:
        """Load pool and tokenizer and check them against the arms, before any model is loaded.

        Args:
            run: the run folder.
            arguments: the arguments of the run.
            arms: the arms.
            seed: the seed.

        Returns:
            The trial.
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

    def gate(self) -> dict[str, Any]:
        """Take the pool through the gates: exact duplicates, then the rows' own tests where they have any.

        Returns:
            ``keep`` (row ids), ``counts`` (dropped rows by reason) and ``seconds``.
        """
        if self._gate is None:
            self._gate = self.run.stage(f"gates/{self.name}", lambda: on_main_process(self._run_gates))
        return self._gate

    def _run_gates(self) -> dict[str, Any]:
        from hf_select.gates import apply_gates, default_gates

        began = time.perf_counter()
        gates = default_gates(self.pool.dataset, self.pool.row_format, allow_code_eval=self.arguments.executes_code)
        report = apply_gates(self.pool.dataset, gates)
        return {"keep": report.row_ids.tolist(), "counts": report.counts, "seconds": time.perf_counter() - began}

    def extract(self, arms: Sequence[Arm]) -> dict[str, float]:
        """Read the signals of all arms, every pass once.

        Args:
            arms: the arms.

        Returns:
            Seconds of each pass, and of the scorer's warm-up under ``"warm-up"``.
        """
        needs = needs_of(arms)
        if not needs:
            return {}
        name = "-".join(sorted(signal.name[:40] for signal in needs))
        folder = self.run.folder / "signals" / self.name / name
        seconds: dict[str, float] = self.run.stage(
            f"signals/{self.name}/{name}", lambda: extract_signals(self, needs, folder)
        )
        from datasets import load_from_disk

        self.signals = load_from_disk(str(folder))
        return seconds

    def candidates(self, arm: Arm) -> Mask:
        """``(N,)`` bool, rows that the arm may keep."""
        mask = ~self.roomless
        if arm.gated:
            kept = np.zeros(len(self.rows), dtype=bool)
            kept[self.gate()["keep"]] = True
            mask &= kept
        return mask

    def select(self, arm: Arm, seconds: dict[str, float]) -> tuple[Selection, float]:
        """Pick the rows of one arm.

        Args:
            arm: the arm.
            seconds: seconds of each pass, from ``extract``.

        Returns:
            The selection and the seconds it cost: its passes, its gates and the picking.
        """
        folder = self.run.folder / "selections" / arm.folder / self.name
        cost: dict[str, float] = self.run.stage(
            f"selections/{arm.folder}/{self.name}", lambda: on_main_process(lambda: self._select(arm, seconds, folder))
        )
        return Selection.load(folder), float(cost["seconds"])

    def _select(self, arm: Arm, seconds: dict[str, float], folder: Path) -> dict[str, float]:
        from hf_select.select import select

        began = time.perf_counter()
        candidates = self.candidates(arm)
        if arm.budget is None:
            indices = np.flatnonzero(candidates)
            provenance = {
                "method": {"name": FULL},
                "seed": self.seed,
                "gates": self.gate()["counts"] if arm.gated else {},
            }
            Selection(indices, np.zeros(len(indices)), len(self.rows), provenance).save(folder)
            return {"seconds": self.gate()["seconds"] if arm.gated else 0.0}
        budget = arm.budget
        if budget.kind != "tokens":  # one number of rows for every arm of this budget, gated or not
            budget = Budget.rows(min(budget.n_rows(len(self.rows)), int(candidates.sum())))
        dataset = self.pool.dataset if self.signals is None else self.signals
        selection = select(dataset, make(arm.method), budget, seed=self.seed, candidates=candidates)
        selection.save(folder)
        spent = seconds_of(arm, seconds, self.arguments)
        spent += self.gate()["seconds"] if arm.gated else 0.0
        return {"seconds": spent + time.perf_counter() - began}

    def train(self, arm: Arm, selection: Selection) -> dict[str, Any]:
        """Train the model on the rows of one arm.

        Args:
            arm: the arm.
            selection: its rows.

        Returns:
            The training record as plain data.
        """
        from hf_select.experiment.train import train

        folder = self.model_folder(arm)
        epochs = self.arguments.training.num_train_epochs
        if self.arguments.run.equal_steps:
            epochs *= int((~self.roomless).sum()) / len(selection)

        def compute() -> dict[str, Any]:
            model = load_model(self.arguments.model, self.tokenizer, seed=self.seed)
            rows = selection.apply(self.rows)
            arguments = (model, self.tokenizer, rows, self.arguments)
            return train(*arguments, seed=self.seed, folder=folder, num_train_epochs=epochs).to_dict()

        record: dict[str, Any] = self.run.stage(f"training/{arm.folder}/{self.name}", compute)
        return record

    def model_folder(self, arm: Arm) -> Path:
        """Where the model of an arm lies."""
        return self.run.folder / "models" / arm.folder / self.name

    def measure(self, arm: Arm) -> dict[str, Any]:
        """Measure the model of one arm: validation loss and pass@1 on every benchmark.

        Args:
            arm: the arm.

        Returns:
            The measures as plain data.
        """
        from hf_select.experiment.measure import measure

        folder = self.run.folder / "samples" / arm.folder / self.name
        stage = "measures" if self.arguments.executes_code else "measures-without-execution"
        measures: dict[str, Any] = self.run.stage(
            f"{stage}/{arm.folder}/{self.name}",
            lambda: measure(
                load_trained(self.model_folder(arm), self.arguments.model),
                self.tokenizer,
                self.pool,
                self.arguments,
                folder,
            ),
        )
        return measures
