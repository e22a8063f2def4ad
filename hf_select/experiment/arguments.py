"""What a recipe can be told, on the command line or in a YAML file; the command line wins."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hf_select.errors import ConfigError, unknown_name
from hf_select.experiment.gate_arguments import ArmGateArguments

if TYPE_CHECKING:
    from transformers import TrainingArguments

DEMO = "demo"

_TRAINING_SETTINGS = (
    *("learning_rate", "lr_scheduler_type", "warmup_steps", "num_train_epochs", "max_steps", "optim", "weight_decay"),
    *("adam_beta1", "adam_beta2", "max_grad_norm", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("bf16", "fp16", "activation_checkpointing"),
)


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults shown, and the recipe's own lines left as they are."""


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass
class ModelArguments:
    """Which model is trained."""

    model_name_or_path: str = field(
        default=DEMO,
        metadata=_help("Causal LM to fine-tune: Hub id or folder; 'demo' builds a small Llama from scratch."),
    )
    model_revision: str | None = field(default=None, metadata=_help("Branch, tag or commit of the model."))
    tokenizer_name: str | None = field(default=None, metadata=_help("Tokenizer, if it is not the model's own."))
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = field(
        default="auto", metadata=_help("Dtype of the weights; 'auto' keeps the checkpoint's.")
    )
    attn_implementation: str = field(
        default="packed",
        metadata=_help("'packed' (padding-free, no attention across samples), 'sdpa', 'eager' or 'flash_attention_2'."),
    )
    use_peft: bool = field(default=False, metadata=_help("Train LoRA adapters instead of all weights."))
    lora_r: int = field(default=8, metadata=_help("Rank of the adapters."))
    lora_alpha: int = field(default=16, metadata=_help("Scale of the adapters."))
    lora_dropout: float = field(default=0.1, metadata=_help("Dropout on the adapters' input."))
    lora_target_modules: str = field(default="all-linear", metadata=_help("Modules to adapt, separated by commas."))


@dataclass
class DataArguments:
    """Which rows there are and how they are worded."""

    dataset_name: str = field(
        default=DEMO,
        metadata=_help("Hub id, or a local JSON/JSONL/Parquet/CSV file or folder; 'demo' is the embedded pool."),
    )
    dataset_config: str | None = field(default=None, metadata=_help("Configuration of a Hub dataset."))
    dataset_train_split: str = field(default="train", metadata=_help("Split to select from and train on."))
    columns: str | None = field(
        default=None, metadata=_help("Columns, where they are not found by name: 'prompt=question,response=answer'.")
    )
    template: str = field(
        default="instruction",
        metadata=_help(
            "Wording of a prompt: plain, question, instruction, alpaca, llama2, chatml, chat, or a text with {prompt}."
        ),
    )
    max_length: int = field(
        default=2048, metadata=_help("Longest row in tokens; only responses are cut, never prompts.")
    )
    drop_long_prompts: bool = field(
        default=False, metadata=_help("Leave out rows whose prompt alone fills max_length instead of stopping.")
    )
    max_rows: int | None = field(default=None, metadata=_help("Use only the first rows of the dataset (a trial run)."))
    demo_rows: int = field(default=3000, metadata=_help("Rows of the embedded pool."))
    demo_test_problems: int = field(default=200, metadata=_help("Held-out problems of the embedded pool."))


@dataclass
class SelectionArguments(ArmGateArguments):
    """What is compared."""

    arms: str = field(
        default="full,random,cdas",
        metadata=_help(
            "Arms '[gates+]method[:budget]', separated by commas; a random arm of each budget is always added. Percent "
            "are of the rows that leave room for a response, before the gates."
        ),
    )
    budgets: str = field(
        default="40%", metadata=_help("Budgets of the arms that name none: 40%%, 5000, '2M tokens', ...")
    )
    seeds: str = field(default="0", metadata=_help("Seeds, separated by commas; every arm runs with each of them."))
    scorer_name_or_path: str | None = field(
        default=None, metadata=_help("Causal LM that scores the rows, if it is not the model to be trained.")
    )
    scorer_warmup_fraction: float = field(
        default=0.0, metadata=_help("Share of the rows a copy of the model is trained on before it scores (0 = none).")
    )
    scorer_warmup_epochs: float = field(default=6.0, metadata=_help("Epochs of that warm-up."))
    embedder: str | None = field(
        default=None,
        metadata=_help(
            "Sentence-transformers model for the clusters, or 'tfidf'; by default the scorer's own hidden states."
        ),
    )
    max_tokens_per_batch: int = field(default=16384, metadata=_help("Tokens of one scoring batch."))


@dataclass
class EvaluationArguments:
    """How the trained models are measured."""

    benchmarks: str = field(
        default="humaneval,mbpp",
        metadata=_help(
            "Benchmarks 'name' or 'name=file', separated by commas: demo, humaneval, mbpp, humaneval_plus, ..."
        ),
    )
    prompt_style: str = field(
        default="completion", metadata=_help("Wording of a problem: completion, chat or codeact.")
    )
    max_new_tokens: int = field(default=512, metadata=_help("Longest completion in tokens."))
    n_samples: int = field(default=1, metadata=_help("Completions per problem."))
    temperature: float = field(default=0.0, metadata=_help("0 decodes greedily."))
    evaluation_batch_size: int = field(default=32, metadata=_help("Prompts decoded at once."))
    max_problems: int | None = field(default=None, metadata=_help("Use only the first problems of each benchmark."))
    allow_code_eval: bool = field(
        default=False, metadata=_help("Run model-written code in the sandbox (or set HF_ALLOW_CODE_EVAL=1); else none.")
    )
    sandbox_level: str | None = field(
        default=None,
        metadata=_help("process, namespaces, landlock+seccomp or full; the strongest that holds by default."),
    )


@dataclass
class RunArguments:
    """How the run goes."""

    padding: Literal["dynamic_pack", "longest", "max_length"] = field(
        default="dynamic_pack",
        metadata=_help("How a training batch is laid out; a list of arms can be timed under each."),
    )
    packing_algorithm: Literal["multifit", "next_fit"] = field(
        default="multifit", metadata=_help("How dynamic_pack fills rows: fewest padded tokens, or CodeACT's own rule.")
    )
    packing_layout: Literal["rows", "flat"] = field(
        default="rows", metadata=_help("dynamic_pack into rows of at most max_length, or into one row without padding.")
    )
    equal_steps: bool = field(
        default=False, metadata=_help("Train every arm for the steps of the full set, so that rows alone differ.")
    )
    resume: bool = field(
        default=False, metadata=_help("Go on with the run in output_dir; finished stages are not repeated.")
    )
    overwrite_output_dir: bool = field(default=False, metadata=_help("Delete the run in output_dir and start anew."))
    num_threads: int | None = field(
        default=None, metadata=_help("CPU threads of a process; by default the cores over the processes.")
    )
    push_arm: str | None = field(
        default=None,
        metadata=_help("Arm whose model --push_to_hub pushes (to --hub_model_id); the first selecting one by default."),
    )
    push_dataset_id: str | None = field(
        default=None, metadata=_help("Dataset repository that --push_to_hub pushes the rows of that arm to.")
    )


@dataclass
class Arguments:
    """All arguments of a run."""

    model: ModelArguments
    data: DataArguments
    selection: SelectionArguments
    evaluation: EvaluationArguments
    run: RunArguments
    training: TrainingArguments

    @property
    def seeds(self) -> list[int]:
        """The seeds as numbers.

        Raises:
            ConfigError: if one is not a whole number, or there is none.
        """
        words = [word.strip() for word in self.selection.seeds.split(",") if word.strip()]
        if not words or not all(word.isdigit() for word in words):
            raise ConfigError(f"seeds={self.selection.seeds!r} is not a list of whole numbers such as '0,1,2'.")
        return [int(word) for word in dict.fromkeys(words)]

    @property
    def executes_code(self) -> bool:
        """Whether the user gave the word that model-written code may run."""
        return self.evaluation.allow_code_eval or os.environ.get("HF_ALLOW_CODE_EVAL") == "1"

    def settings(self) -> dict[str, Any]:
        """Everything the results depend on; arms, seeds and how the run goes on stay out."""
        apart = {"arms", "budgets", "seeds", "resume", "overwrite_output_dir", "num_threads", "allow_code_eval"}
        apart |= {"push_arm", "push_dataset_id", "sandbox_level"}
        groups = (self.model, self.data, self.selection, self.evaluation, self.run)
        named = [(group, item.name) for group in groups for item in fields(group)]
        plain = {name: getattr(group, name) for group, name in named if name not in apart}
        return plain | {name: getattr(self.training, name) for name in _TRAINING_SETTINGS}


def parse_arguments(argv: Sequence[str] | None, *, description: str, default_config: Path) -> Arguments:
    """Read the command line and the YAML file it may name.

    Args:
        argv: the words of the command line; ``None`` for the process's own.
        description: what ``--help`` says first.
        default_config: YAML file that is used when neither ``--config`` nor ``--dataset_name`` is given.

    Returns:
        The arguments.

    Raises:
        ConfigError: if a file cannot be read or a value has the wrong form.
    """
    import torch
    from transformers import HfArgumentParser, TrainingArguments

    words = list(sys.argv[1:] if argv is None else argv)
    groups: list[Any] = [ModelArguments, DataArguments, SelectionArguments, EvaluationArguments, RunArguments]
    groups.append(TrainingArguments)
    parser = HfArgumentParser(groups, description=description, allow_abbrev=False, formatter_class=_HelpFormatter)
    parser.add_argument("--config", help="YAML file with any of these arguments; the command line wins over it.")
    parser.set_defaults(output_dir="runs/codeact", use_cpu=not torch.cuda.is_available(), report_to="none")
    config, words = _config_of(words)
    if config is None and not any(word.split("=")[0] == "--dataset_name" for word in words):
        config = default_config
    known = {action.dest for action in parser._actions if action.dest not in ("help", "config")}
    if config is not None:
        parser.set_defaults(**read_config(config, known))
    for word in words:
        name = word.split("=")[0].removeprefix("--")
        if word.startswith("--") and name not in known | {"help"} and name.removeprefix("no_") not in known:
            raise unknown_name("argument", name, known)
    try:
        parsed = parser.parse_args_into_dataclasses(args=words, look_for_args_file=False)
    except ValueError as error:
        raise ConfigError(f"The arguments cannot be used: {error}") from error
    return Arguments(*parsed[: len(groups)])


def read_config(path: Path, known: Iterable[str]) -> dict[str, Any]:
    """Read a YAML file of arguments.

    Args:
        path: the file.
        known: all argument names.

    Returns:
        The arguments it sets.

    Raises:
        ConfigError: if there is no such file, it is not a mapping, or it is not YAML.
        UnknownNameError: if a key is not an argument.
    """
    import yaml

    if not path.is_file():
        raise ConfigError(f"--config {path}: there is no such file.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"--config {path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"--config {path} must hold 'argument: value' lines, but holds a {type(content).__name__}.")
    names = set(known)
    for key in content:
        if key not in names:
            raise unknown_name(f"argument in {path.name}", key, names)
    return content


def _config_of(words: list[str]) -> tuple[Path | None, list[str]]:
    """Take ``--config FILE`` out of the command line."""
    for place, word in enumerate(words):
        if word.startswith("--config="):
            return Path(word.partition("=")[2]), words[:place] + words[place + 1 :]
        if word == "--config":
            if place + 1 == len(words):
                raise ConfigError("--config needs the path of a YAML file behind it.")
            return Path(words[place + 1]), words[:place] + words[place + 2 :]
    return None, words
