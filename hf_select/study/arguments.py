"""What the study of data influence can be told; the command line wins over the YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hf_select.experiment.arguments import (
    DEMO,
    Arguments,
    DataArguments,
    EvaluationArguments,
    ModelArguments,
    RunArguments,
    SelectionArguments,
)
from hf_select.experiment.gate_arguments import ArmGateArguments
from hf_select.grid.command_line import parse_groups

if TYPE_CHECKING:
    from transformers import TrainingArguments

INSTALLED = "installed"


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass
class StudyModelArguments(ModelArguments):
    """Which model is trained, all of its weights."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = field(
        default="float32", metadata=_help("Dtype of the weights; one step of the optimiser needs float32 (see --bf16).")
    )
    config_name: str | None = field(
        default=None,
        metadata=_help("Architecture of a model from scratch: Hub id or folder with a configuration; else Llama."),
    )
    config_overrides: str | None = field(
        default=None,
        metadata=_help("Changes to the configuration of a model from scratch: 'hidden_size=256,num_hidden_layers=4'."),
    )
    vocab_size: int = field(
        default=1024, metadata=_help("Entries of the tokenizer that is trained on the pool for a model from scratch.")
    )


@dataclass
class StudyDataArguments(DataArguments):
    """Which rows there are, and what they are to help with."""

    dataset_name: str = field(
        default=INSTALLED,
        metadata=_help(
            "'installed' (Python files of this machine under permissive licences), 'demo' (generated tasks with tests),"
            " a Hub id, a file, or a folder with one JSON Lines file per language."
        ),
    )
    template: str = field(default="plain", metadata=_help("Wording of a prompt, for rows that have one."))
    max_length: int = field(default=128, metadata=_help("Tokens of a row: files are cut into windows of that length."))
    max_rows: int | None = field(default=None, metadata=_help("Rows at most, as many of each language as there are."))
    max_rows_per_file: int = field(default=4, metadata=_help("Windows that one file gives at most, drawn by chance."))
    language_column: str | None = field(
        default=None, metadata=_help("Column with the language of a row; else 'language', 'lang', or the file's name.")
    )
    candidate_fraction: float = field(
        default=0.5, metadata=_help("Share of the files that the base run does not see: rows are picked from these.")
    )
    tasks: str | None = field(
        default=None,
        metadata=_help(
            "Reference tasks 'name' or 'name=file', separated by commas, whose loss is to fall; 'humaneval' by default,"
            " 'demo' for the demo."
        ),
    )
    bird_schema: str | None = field(default=None, metadata=_help("Folder with the tables of bird_sql's databases."))
    bird_databases: str | None = field(
        default=None, metadata=_help("Folder with the SQLite databases of bird_sql, for its metric.")
    )
    max_reference_rows: int = field(default=200, metadata=_help("Reference rows of each task at most."))


@dataclass
class StudyArguments(ArmGateArguments):
    """What is studied."""

    gates: str | None = field(
        default=None,
        metadata=_help(
            "Gates that files and rows must pass before they are cut: duplicates, parses, leakage (problems of --tasks "
            "that pass@1 is measured on), near_duplicates, static, runs. None by default: equal files and files that "
            "share 13 words in a row with a reference task are left out anyhow."
        ),
    )
    n_checkpoints: int = field(default=4, metadata=_help("Checkpoints of the base run, evenly spaced."))
    decay_fraction: float = field(
        default=0.2, metadata=_help("Share of the steps, of the base run and of every arm, in which the rate decays.")
    )
    start_step: int | None = field(
        default=None,
        metadata=_help("Checkpoint that arms and halves start from; by default the last one before the decay."),
    )
    n_scored: int = field(default=160, metadata=_help("Candidates that are scored at every checkpoint."))
    engine: Literal["exact", "linear", "anchored", "curved_16", "curved_64", "plain", "oracle"] = field(
        default="exact", metadata=_help("How DIScore is computed; see hf_select.methods.discore.")
    )
    score_learning_rate: float | None = field(
        default=None, metadata=_help("Learning rate of the step that is scored; by default that of the stable phase.")
    )
    n_calibration: int = field(default=32, metadata=_help("Rows that the oracle is asked about, 0 for none."))
    half_steps: int = field(
        default=24, metadata=_help("Steps on the top, the bottom and a random half of the scored rows, 0 for none.")
    )
    n_half_points: int = field(default=3, metadata=_help("How often the halves are measured on the way."))
    arms: str = field(
        default="random,static,dynamic",
        metadata=_help(
            "Arms, separated by commas: random, static (picks once), dynamic (picks every so many steps), full; random "
            "is always among them."
        ),
    )
    budget: str = field(default="25%", metadata=_help("Rows an arm trains on at a time: a share of the candidates."))
    arm_steps: int = field(default=60, metadata=_help("Steps of every arm, 0 for no arms."))
    every: int = field(default=20, metadata=_help("Steps between two selections of the dynamic arm."))
    pool_fraction: float = field(
        default=1.0, metadata=_help("Share of the candidates, drawn anew each time, that the dynamic arm scores.")
    )
    other_scores: str = field(
        default="perplexity,length,llm_score",
        metadata=_help("Methods whose scores are held against DIScore, separated by commas."),
    )
    judge_name_or_path: str | None = field(default=None, metadata=_help("Model that judges the rows (llm_score)."))
    predictor: bool = field(default=True, metadata=_help("Train a predictor of DIScore on the texts of the rows."))
    predictor_encoder: str | None = field(
        default=None, metadata=_help("Encoder that the predictor fine-tunes: Hub id or folder.")
    )
    predictor_epochs: int = field(default=5, metadata=_help("Epochs of the predictor."))
    seeds: str = field(
        default="0", metadata=_help("Seeds of the split, the weights, the order and the picks, separated by commas.")
    )
    max_tokens_per_batch: int = field(default=16384, metadata=_help("Tokens of one scoring batch."))


@dataclass
class StudyEvaluationArguments:
    """How checkpoints and arms are measured."""

    max_new_tokens: int = field(default=256, metadata=_help("Longest completion in tokens."))
    evaluation_batch_size: int = field(default=32, metadata=_help("Prompts decoded at once."))
    max_problems: int | None = field(default=None, metadata=_help("Use only so many test problems of each task."))
    allow_code_eval: bool = field(
        default=False,
        metadata=_help(
            "Run model-written code in the sandbox (or set HF_ALLOW_CODE_EVAL=1). Without it nothing is executed."
        ),
    )
    sandbox_level: str | None = field(
        default=None,
        metadata=_help("process, namespaces, landlock+seccomp or full; the strongest that holds by default."),
    )


@dataclass
class StudyRunArguments:
    """How the run goes."""

    resume: bool = field(
        default=False, metadata=_help("Go on with the run in output_dir; finished stages are not repeated.")
    )
    overwrite_output_dir: bool = field(default=False, metadata=_help("Delete the run in output_dir and start anew."))
    num_threads: int | None = field(
        default=None, metadata=_help("CPU threads of a process; by default the cores over the processes.")
    )


@dataclass
class DiscoreArguments:
    """All arguments of a run."""

    model: StudyModelArguments
    data: StudyDataArguments
    study: StudyArguments
    evaluation: StudyEvaluationArguments
    run: StudyRunArguments
    training: TrainingArguments

    @property
    def experiment(self) -> Arguments:
        """The same as the arguments of an experiment with arms, whose parts are used here."""
        selection = SelectionArguments(
            seeds=self.study.seeds, max_tokens_per_batch=self.study.max_tokens_per_batch, arms=self.study.arms
        )
        evaluation = EvaluationArguments(
            benchmarks="", allow_code_eval=self.evaluation.allow_code_eval, sandbox_level=self.evaluation.sandbox_level
        )
        run = RunArguments(num_threads=self.run.num_threads)
        return Arguments(self.model, self.data, selection, evaluation, run, self.training)

    @property
    def seeds(self) -> list[int]:
        """The seeds as numbers."""
        return self.experiment.seeds

    @property
    def executes_code(self) -> bool:
        """Whether the user gave the word that model-written code may run."""
        return self.experiment.executes_code

    @property
    def tasks(self) -> str:
        """The reference tasks, as named or by default."""
        if self.data.tasks is not None:
            return self.data.tasks
        return DEMO if self.data.dataset_name == DEMO else "humaneval"

    @property
    def is_published(self) -> bool:
        """Whether training goes on from weights that there are, not from scratch."""
        return self.model.model_name_or_path != DEMO

    @property
    def rate(self) -> float:
        """Learning rate of the step that is scored."""
        return self.study.score_learning_rate or float(self.training.learning_rate)

    @property
    def max_norm(self) -> float | None:
        """Norm that a gradient is clipped to, as the ``Trainer`` clips."""
        return float(self.training.max_grad_norm) or None

    def settings(self) -> dict[str, Any]:
        """All that the result of a stage depends on; arms and seeds stay out, so that they can be added."""
        groups = (self.model, self.data, self.study, self.evaluation)
        own = {item.name: asdict(group)[item.name] for group in groups for item in fields(group)}
        apart = {"arms", "seeds", "other_scores", "allow_code_eval", "sandbox_level", "predictor"}
        trained = {name: value for name, value in self.experiment.settings().items() if hasattr(self.training, name)}
        return {name: value for name, value in own.items() if name not in apart} | trained


def parse_study_arguments(argv: Sequence[str] | None, *, description: str, default_config: Path) -> DiscoreArguments:
    """Read the command line and the YAML file it may name.

    Args:
        argv: the words of the command line; ``None`` for the process's own.
        description: what ``--help`` says first.
        default_config: YAML file that is used when neither ``--config`` nor ``--dataset_name`` is given.

    Returns:
        The arguments.
    """
    import torch
    from transformers import TrainingArguments

    groups: list[Any] = [StudyModelArguments, StudyDataArguments, StudyArguments, StudyEvaluationArguments]
    defaults = {
        "output_dir": "runs/discore",
        "use_cpu": not torch.accelerator.is_available(),
        "report_to": "none",
        "learning_rate": 1e-3,
        "max_steps": 160,
        "warmup_steps": 0.1,
        "adam_beta2": 0.95,
        "weight_decay": 0.1,
        "per_device_train_batch_size": 16,
        "lr_scheduler_type": "warmup_stable_decay",
        "logging_steps": 10,
        "save_strategy": "no",
        "dataloader_pin_memory": torch.accelerator.is_available(),
    }
    parsed = parse_groups(
        argv,
        [*groups, StudyRunArguments, TrainingArguments],
        description=description,
        defaults=defaults,
        default_config=default_config,
    )
    return DiscoreArguments(*parsed)
