"""What the comparison of selection methods can be told; the command line wins over the YAML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.errors import ConfigError, unknown_name
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
from hf_select.signals.keys import Task

if TYPE_CHECKING:
    from transformers import TrainingArguments

PAPER_METHODS = (
    *("least_confidence", "entropy", "margin", "bald", "batch_bald", "egl", "spuq", "uq_icl"),
    *("random", "bm25", "core_set", "k_means", "cluster_margin", "badge", "contrastive", "dataset_quantization", "zip"),
    *("learning_loss", "less", "staff"),
)
"""The twenty methods of the DSBox study, in its order."""


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass
class GridModelArguments(ModelArguments):
    """Which model is fine-tuned in every cell of the grid, and reads the signals after its warm-up."""

    model_name_or_path: str = field(
        default=DEMO,
        metadata=_help(
            "Encoder to classify with, such as microsoft/codebert-base, or causal LM (--task causal_lm): Hub id or "
            "folder; 'demo' makes a small one from nothing."
        ),
    )
    language_model_name_or_path: str | None = field(
        default=None,
        metadata=_help("Causal LM that answers after demonstrations (uq_icl); the demo trains a small one."),
    )
    draft_model_name_or_path: str | None = field(
        default=None,
        metadata=_help("Small model of the same kind (staff); by default the model's own form, half as deep and wide."),
    )


@dataclass
class GridDataArguments(DataArguments):
    """Which rows there are, and how they are divided."""

    task: str = field(
        default="classification",
        metadata=_help("'classification' (text or code with a label) or 'causal_lm' (prompt with a response)."),
    )
    max_length: int = field(default=512, metadata=_help("Longest row in tokens; what is longer is cut, and told."))
    demo_rows: int = field(default=3000, metadata=_help("Rows of the generated dataset."))
    test_dataset_name: str | None = field(
        default=None, metadata=_help("Test rows of their own: Hub id, file or folder (with --dataset_test_split).")
    )
    dataset_test_split: str | None = field(
        default=None, metadata=_help("Split of the test rows; without both, every seed draws a test split.")
    )
    test_fraction: float = field(default=0.1, metadata=_help("Share of the rows in a drawn test split."))
    validation_fraction: float = field(
        default=0.1, metadata=_help("Share of the rows in the validation split: early stopping, and reference set.")
    )
    group_column: str | None = field(
        default=None,
        metadata=_help("Column of what must not be split, such as a project; equal texts never are."),
    )
    join_words: bool = field(
        default=False,
        metadata=_help("Replace every run of white space by one blank: the formatting of Devign tells its labels."),
    )


@dataclass
class GridSelectionArguments(ArmGateArguments):
    """What is compared."""

    gates: str | None = field(
        default=None,
        metadata=_help(
            "Gates that rows must pass before they are divided: duplicates, parses, leakage, near_duplicates, static, "
            "runs. None by default."
        ),
    )
    methods: str = field(
        default=",".join(PAPER_METHODS), metadata=_help("Methods, separated by commas; random is always among them.")
    )
    budgets: str = field(
        default="1%,3%,5%,10%",
        metadata=_help("Rows that a method picks, as shares of the pool or numbers, separated by commas."),
    )
    seeds: str = field(default="0,1,2", metadata=_help("Seeds of splits, warm-up, picks and training."))
    full_arm: bool = field(default=True, metadata=_help("Train on the whole pool too, once per seed."))
    seed_fraction: float = field(
        default=0.03, metadata=_help("Share of the pool that is labelled before; every cell trains on it too.")
    )
    min_seed_rows_per_class: int = field(default=8, metadata=_help("Labelled rows of each class at least."))
    warm_up_epochs: float = field(default=10.0, metadata=_help("Epochs of the warm-up on those rows."))
    n_checkpoints: int = field(default=4, metadata=_help("Checkpoints of the warm-up that less reads."))
    embedder: str | None = field(
        default=None,
        metadata=_help("Sentence-transformers model of the embeddings, or 'tfidf'; else the model's own states."),
    )
    max_tokens_per_batch: int = field(default=16384, metadata=_help("Tokens of one batch of a pass."))


@dataclass
class GridRunArguments:
    """How the run goes."""

    early_stopping_patience: int = field(
        default=3, metadata=_help("Epochs without a lower validation loss after which a classifier stops.")
    )
    resume: bool = field(
        default=False, metadata=_help("Go on with the run in output_dir; finished cells are not repeated.")
    )
    overwrite_output_dir: bool = field(default=False, metadata=_help("Delete the run in output_dir and start anew."))
    num_threads: int | None = field(
        default=None, metadata=_help("CPU threads of a process; by default the cores over the processes.")
    )


@dataclass
class GridArguments:
    """All arguments of a run."""

    model: GridModelArguments
    data: GridDataArguments
    selection: GridSelectionArguments
    evaluation: EvaluationArguments
    run: GridRunArguments
    training: TrainingArguments

    @property
    def task(self) -> Task:
        """Kind of model.

        Raises:
            ConfigError: if there is no such kind.
        """
        known = [task.value for task in Task]
        if self.data.task not in known:
            raise ConfigError(str(unknown_name("task", self.data.task, known)))
        return Task(self.data.task)

    @property
    def is_demo(self) -> bool:
        """Whether the rows are generated."""
        return self.data.dataset_name == DEMO

    @property
    def experiment(self) -> Arguments:
        """The same as the arguments of an experiment with arms, whose parts the generation task uses."""
        selection = SelectionArguments(
            seeds=self.selection.seeds,
            embedder=self.selection.embedder,
            max_tokens_per_batch=self.selection.max_tokens_per_batch,
        )
        run = RunArguments(num_threads=self.run.num_threads)
        return Arguments(self.model, self.data, selection, self.evaluation, run, self.training)

    @property
    def seeds(self) -> list[int]:
        """The seeds as numbers."""
        return self.experiment.seeds

    def settings(self) -> dict[str, Any]:
        """All that the result of a cell depends on; methods, budgets and seeds stay out, so that they can be added."""
        own = asdict(self.model) | asdict(self.data) | asdict(self.selection) | asdict(self.evaluation)
        own |= {"early_stopping_patience": self.run.early_stopping_patience}
        apart = {"methods", "budgets", "seeds", "full_arm", "allow_code_eval", "sandbox_level"}
        trained = {name: value for name, value in self.experiment.settings().items() if hasattr(self.training, name)}
        return {name: value for name, value in own.items() if name not in apart} | trained


def parse_grid_arguments(argv: Sequence[str] | None, *, description: str, default_config: Path) -> GridArguments:
    """Read the command line and the YAML file it may name.

    Args:
        argv: the words of the command line; ``None`` for the process's own.
        description: what ``--help`` says first.
        default_config: YAML file that is used when neither ``--config`` nor ``--dataset_name`` is given.

    Returns:
        The arguments.

    Raises:
        ConfigError: if the words cannot be used, or the recipe was launched under FSDP.
    """
    import torch
    from transformers import TrainingArguments

    from hf_select.training.replicated_trainer import refuse_sharding

    refuse_sharding()
    groups: list[Any] = [GridModelArguments, GridDataArguments, GridSelectionArguments, EvaluationArguments]
    defaults = {
        "output_dir": "runs/dsbox",
        "use_cpu": not torch.accelerator.is_available(),
        "report_to": "none",
        "learning_rate": 5e-5,
        "per_device_train_batch_size": 32,
        "num_train_epochs": 10,
        "lr_scheduler_type": "constant",
        "dataloader_pin_memory": torch.accelerator.is_available(),
    }
    parsed = parse_groups(
        argv,
        [*groups, GridRunArguments, TrainingArguments],
        description=description,
        defaults=defaults,
        default_config=default_config,
    )
    return GridArguments(*parsed)
