"""What one seed of a study works on, checked before any training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.budget import Budget
from hf_select.errors import BudgetError, ConfigError, unknown_name
from hf_select.experiment.gating import leaked_problems, real_benchmarks
from hf_select.experiment.run import Run
from hf_select.gates import parse_gates
from hf_select.signals.keys import Indices
from hf_select.study.arguments import DiscoreArguments
from hf_select.study.gating import find_pool_leaks, gate_corpus, problems_of
from hf_select.study.model import check_model, load_study_tokenizer
from hf_select.study.pool import Corpus, StudyPool, make_pool
from hf_select.study.reference import Reference, load_tasks, make_references
from hf_select.study.schedule import Schedule
from hf_select.study.split import StudySplit, split_pool

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

RANDOM, STATIC, DYNAMIC, FULL = "random", "static", "dynamic", "full"
ARMS = (RANDOM, STATIC, DYNAMIC, FULL)

_LEAST = {
    **{"n_checkpoints": 2, "half_steps": 0, "n_half_points": 1, "arm_steps": 0},
    **{"every": 1, "n_calibration": 0, "predictor_epochs": 1},
}


@dataclass(frozen=True)
class StudySetting:
    """What one seed of a study works on.

    Attributes:
        run: the run folder.
        arguments: the arguments of the run.
        seed: draws the split, the weights, the order of the rows and the picks.
        pool: the rows.
        tokenizer: the model's tokenizer.
        references: the tasks.
        split: how the rows are divided.
        schedule: the steps of the base run.
        leaks: rows of the pool that hold a problem of a task, as ``find_leaks`` gives them.
        leak_benchmarks: the tasks whose problems were looked for.
    """

    run: Run
    arguments: DiscoreArguments
    seed: int
    pool: StudyPool
    tokenizer: PreTrainedTokenizerBase
    references: Mapping[str, Reference]
    split: StudySplit
    schedule: Schedule
    leaks: Sequence[Sequence[int | str]] = ()
    leak_benchmarks: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Folder of the seed below every stage."""
        return f"seed-{self.seed}"

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints."""
        return self.schedule.checkpoints(self.arguments.study.n_checkpoints)

    @property
    def start(self) -> int:
        """Step of the checkpoint that arms and halves start from."""
        return self.schedule.start(self.arguments.study.n_checkpoints, self.arguments.study.start_step)

    def checkpoint(self, step: int) -> Path:
        """Folder of a checkpoint of the base run."""
        return self.run.folder / "base" / self.name / f"checkpoint-{step}"

    @property
    def scored(self) -> Dataset:
        """The rows that are scored at every checkpoint."""
        return self.pool.features.select(self.split.scored)

    @property
    def candidates(self) -> Dataset:
        """The rows that arms pick from."""
        return self.pool.features.select(self.split.candidates)

    @property
    def reference_features(self) -> dict[str, Dataset]:
        """The reference rows of every task."""
        return {name: reference.features for name, reference in self.references.items()}

    def leaked(self, rows: Indices) -> dict[str, set[str]]:
        """The problems that a model was shown.

        Args:
            rows: row ids of the pool that it was trained on, besides those of the base run.

        Returns:
            Task ids of the problems that these hold, for every task whose problems were looked for.
        """
        return leaked_problems(self.leaks, {*self.split.base.tolist(), *rows.tolist()}, self.leak_benchmarks)

    @property
    def budget(self) -> Budget:
        """Rows that an arm trains on at a time."""
        return Budget.rows(Budget.parse(self.arguments.study.budget).n_rows(len(self.split.candidates)))

    @property
    def extraction_options(self) -> dict[str, Any]:
        """Options of ``extract`` that all passes share."""
        return {
            "tokenizer": self.tokenizer,
            "template": "plain",
            "max_tokens_per_batch": self.arguments.study.max_tokens_per_batch,
        }


def prepare_settings(arguments: DiscoreArguments) -> list[StudySetting]:
    """Load rows, tasks and tokenizer and divide the rows; all that can be refused is refused here.

    Args:
        arguments: the arguments of the run.

    Returns:
        What each seed works on.
    """
    seeds, study = arguments.seeds, arguments.study
    check_model(arguments.model)
    check_study(arguments)
    arms_of(arguments)
    schedule = base_schedule(arguments)
    schedule.start(study.n_checkpoints, study.start_step)
    corpus = Corpus.load(arguments.data)
    tasks = load_tasks(arguments.tasks, corpus, max_rows=arguments.data.max_reference_rows)
    run = Run.open(
        arguments.training.output_dir or "runs/discore",
        arguments.settings(),
        resume=arguments.run.resume,
        overwrite=arguments.run.overwrite_output_dir,
    )
    corpus = gate_corpus(run, arguments, corpus, tasks)
    tokenizer = load_study_tokenizer(arguments.model, corpus)
    pool = make_pool(corpus, tokenizer)
    references = make_references(tasks, tokenizer, arguments.data.max_length)
    splits = [
        split_pool(
            pool.files,
            pool.languages,
            candidate_fraction=arguments.data.candidate_fraction,
            n_scored=study.n_scored,
            seed=seed,
        )
        for seed in seeds
    ]
    for split in splits:
        _require_choice(arguments, len(split.candidates))
    problems = real_benchmarks(problems_of(tasks)) if study.check_leakage else {}
    leaks = find_pool_leaks(run, pool, problems)
    return [
        StudySetting(run, arguments, seed, pool, tokenizer, references, split, schedule, leaks, list(problems))
        for seed, split in zip(seeds, splits, strict=True)
    ]


def _require_choice(arguments: DiscoreArguments, n_candidates: int) -> None:
    """Refuse a budget above the candidates, and one that takes all rows that a selection of the dynamic arm scores."""
    study = arguments.study
    n_kept, n_drawn = Budget.parse(study.budget).n_rows(n_candidates), int(study.pool_fraction * n_candidates)
    if DYNAMIC in arms_of(arguments) and study.pool_fraction < 1 and n_drawn <= n_kept:
        raise BudgetError(
            f"budget={study.budget!r} keeps {n_kept} rows and pool_fraction={study.pool_fraction} scores {n_drawn} of "
            f"{n_candidates} at a time: the dynamic arm would choose nothing. Raise pool_fraction, or lower the budget."
        )


def arms_of(arguments: DiscoreArguments) -> list[str]:
    """The arms, random among them.

    Args:
        arguments: the arguments of the run.

    Returns:
        Their names; none where arms have no step.

    Raises:
        UnknownNameError: if there is no such arm.
    """
    names = [name.strip() for name in arguments.study.arms.split(",") if name.strip()]
    for name in names:
        if name not in ARMS:
            raise unknown_name("arm", name, ARMS)
    chosen = {RANDOM, *names}
    return [name for name in ARMS if name in chosen] if arguments.study.arm_steps else []


def base_schedule(arguments: DiscoreArguments) -> Schedule:
    """The steps of the base run.

    Args:
        arguments: the arguments of the run.

    Returns:
        The schedule.

    Raises:
        ConfigError: if another schedule than warm-up, stable phase and decay was asked for.
    """
    training = arguments.training
    if training.lr_scheduler_type != "warmup_stable_decay":
        raise ConfigError(
            f"lr_scheduler_type={str(training.lr_scheduler_type)!r}: arms branch off at the stable learning rate, "
            f"which only 'warmup_stable_decay' has."
        )
    return Schedule.of(training.max_steps, warm_up=training.warmup_steps, decay_fraction=arguments.study.decay_fraction)


def check_study(arguments: DiscoreArguments) -> None:
    """Refuse numbers that cannot be used.

    Args:
        arguments: the arguments of the run.

    Raises:
        ConfigError: if one cannot.
        BudgetError: if the budget counts tokens.
    """
    study = arguments.study
    parse_gates(study.gates or "")
    for name, lowest in _LEAST.items():
        if getattr(study, name) < lowest:
            raise ConfigError(f"{name}={getattr(study, name)} must be at least {lowest}.")
    if 0 < study.n_calibration < 8:
        raise ConfigError(f"n_calibration={study.n_calibration} must be 0 or at least 8: ranks of fewer say nothing.")
    if study.score_learning_rate is not None and study.score_learning_rate <= 0:
        raise ConfigError(f"score_learning_rate={study.score_learning_rate} must be above 0.")
    if not 0 < study.pool_fraction <= 1:
        raise ConfigError(f"pool_fraction={study.pool_fraction} must lie above 0 and not above 1.")
    if arguments.data.max_rows_per_file < 1:
        raise ConfigError(f"max_rows_per_file={arguments.data.max_rows_per_file} must be at least 1.")
    if Budget.parse(study.budget).kind == "tokens":
        raise BudgetError(f"budget={study.budget!r}: arms are compared at equal rows; give a number of rows or a %.")
    if study.arm_steps:
        Schedule.of(study.arm_steps, decay_fraction=study.decay_fraction)
