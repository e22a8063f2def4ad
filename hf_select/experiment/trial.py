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
from hf_select.experiment.model import load_model, load_scorer, load_tokenizer, load_trained
from hf_select.experiment.pool import Pool, load_pool, rows_without_room, training_features
from hf_select.experiment.process import on_main_process
from hf_select.experiment.run import Run
from hf_select.methods import make
from hf_select.selection import Selection
from hf_select.signals.keys import ROW_TOKENS, Mask, Pass, Signal
from hf_select.templates import get_template

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger("hf_select")

_MODEL_PASSES = frozenset({Pass.FORWARD, Pass.ANSWER_ALONE, Pass.EMBEDDING})


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
    def _name(self) -> str:
        return f"seed-{self.seed}"

    def gate(self) -> dict[str, Any]:
        """Take the pool through the gates: exact duplicates, then the rows' own tests where they have any.

        Returns:
            ``keep`` (row ids), ``counts`` (dropped rows by reason) and ``seconds``.
        """
        if self._gate is None:
            self._gate = self.run.stage(f"gates/{self._name}", lambda: on_main_process(self._run_gates))
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
        needs = self._needs(arms)
        if not needs:
            return {}
        name = "-".join(sorted(signal.name[:40] for signal in needs))
        folder = self.run.folder / "signals" / self._name / name
        seconds: dict[str, float] = self.run.stage(f"signals/{self._name}/{name}", lambda: self._extract(needs, folder))
        from datasets import load_from_disk

        self.signals = load_from_disk(str(folder))
        return seconds

    def _needs(self, arms: Sequence[Arm]) -> set[Signal[Any]]:
        needs = {signal for arm in arms if arm.method != FULL for signal in make(arm.method).needs}
        return needs | ({ROW_TOKENS} if any(arm.budget and arm.budget.kind == "tokens" for arm in arms) else set())

    def _pass(self, signal: Signal[Any]) -> Pass:
        """The pass that reads a signal: without an embedder, embeddings come out of the scorer's forward pass."""
        pooled = signal.read_in is Pass.EMBEDDING and self.arguments.selection.embedder is None
        return Pass.FORWARD if pooled else signal.read_in

    def _extract(self, needs: set[Signal[Any]], folder: Path) -> dict[str, float]:
        from hf_select.extract import extract

        seconds: dict[str, float] = {}
        scorer: PreTrainedModel | None = None
        if any(signal.read_in in _MODEL_PASSES for signal in needs):
            scorer, seconds["warm-up"] = self._scorer()
        dataset = self.pool.dataset
        for kind in sorted({self._pass(signal) for signal in needs}):
            began = time.perf_counter()
            dataset = extract(
                dataset,
                [signal for signal in needs if self._pass(signal) is kind],
                model=scorer,
                tokenizer=self.tokenizer,
                embedder=self.arguments.selection.embedder,
                columns=self.pool.columns,
                template=self.arguments.data.template,
                max_length=self.arguments.data.max_length,
                max_tokens_per_batch=self.arguments.selection.max_tokens_per_batch,
                cache_dir=self.run.folder / "cache",
            )
            seconds[kind.value] = time.perf_counter() - began
        columns = sorted(signal.column for signal in needs)
        on_main_process(lambda: dataset.select_columns(columns).save_to_disk(str(folder)))
        return seconds

    def _scorer(self) -> tuple[PreTrainedModel, float]:
        """The model that scores, warmed up if asked for, and the seconds that took."""
        selection, model = self.arguments.selection, self.arguments.model
        if selection.scorer_name_or_path:
            return load_scorer(selection.scorer_name_or_path, model), 0.0
        if selection.scorer_warmup_fraction <= 0:
            return load_model(model, self.tokenizer, seed=self.seed), 0.0
        folder = self.run.folder / "scorer" / self._name
        record = self.run.stage(f"scorer/{self._name}", lambda: self._warm_up(folder))
        return load_trained(folder, model), float(record["training_seconds"])

    def _warm_up(self, folder: Path) -> dict[str, Any]:
        """Train a copy of the model on some rows, each also without its prompt, so that it knows answers alone."""
        from hf_select.experiment.train import train
        from hf_select.training.warm_up import warm_up_features

        share = Budget.fraction(self.arguments.selection.scorer_warmup_fraction)
        usable = np.flatnonzero(~self.roomless)
        drawn = np.random.default_rng(self.seed).permutation(usable)[: share.n_rows(len(usable))]
        features = warm_up_features(self.rows.select(drawn), self.tokenizer)
        model = load_model(self.arguments.model, self.tokenizer, seed=self.seed + 1000)
        n_processes = self.arguments.training.world_size
        record = train(
            model,
            self.tokenizer,
            features,
            self.arguments,
            seed=self.seed + 1000,
            folder=folder,
            num_train_epochs=self.arguments.selection.scorer_warmup_epochs,
            max_steps=-1,  # and the same rows in every step, however many processes share them:
            per_device_train_batch_size=max(1, self.arguments.training.per_device_train_batch_size // n_processes),
        )
        return record.to_dict()

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
        folder = self.run.folder / "selections" / arm.folder / self._name
        cost: dict[str, float] = self.run.stage(
            f"selections/{arm.folder}/{self._name}", lambda: on_main_process(lambda: self._select(arm, seconds, folder))
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
        passes = {self._pass(signal) for signal in make(arm.method).needs}
        spent = sum(seconds.get(kind.value, 0.0) for kind in passes)
        spent += seconds.get("warm-up", 0.0) if passes & _MODEL_PASSES else 0.0
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

        record: dict[str, Any] = self.run.stage(f"training/{arm.folder}/{self._name}", compute)
        return record

    def model_folder(self, arm: Arm) -> Path:
        """Where the model of an arm lies."""
        return self.run.folder / "models" / arm.folder / self._name

    def measure(self, arm: Arm) -> dict[str, Any]:
        """Measure the model of one arm: validation loss and pass@1 on every benchmark.

        Args:
            arm: the arm.

        Returns:
            The measures as plain data.
        """
        from hf_select.experiment.measure import measure

        folder = self.run.folder / "samples" / arm.folder / self._name
        stage = "measures" if self.arguments.executes_code else "measures-without-execution"
        measures: dict[str, Any] = self.run.stage(
            f"{stage}/{arm.folder}/{self._name}",
            lambda: measure(
                load_trained(self.model_folder(arm), self.arguments.model),
                self.tokenizer,
                self.pool,
                self.arguments,
                folder,
            ),
        )
        return measures
