"""What a command works on: every name on the command line checked, cheap checks first, and the rows loaded."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_select.budget import Budget
from hf_select.cli.requirement import check_extras, check_method, check_signals
from hf_select.cli.row_id import check_row_file, read_row_mask
from hf_select.errors import ColumnError, ConfigError, HfSelectError, ModelError, RowError, unknown_name
from hf_select.experiment.arguments import DEMO, DataArguments, EvaluationArguments
from hf_select.experiment.pool import Pool, load_pool
from hf_select.extraction import Extraction, as_task
from hf_select.methods import Method, make_for
from hf_select.signals.keys import EMBEDDING, RESPONSE_NLL, ROW_TOKENS, Mask, Pass
from hf_select.signals.models import TFIDF, Companions, Models
from hf_select.signals.source import Options
from hf_select.templates import get_template

if TYPE_CHECKING:
    from datasets import Dataset

_OPTIONS = ("template", "max_length", "max_tokens_per_batch", "embed", "max_new_tokens", "cache_dir")
_FILE_SUFFIXES = (".json", ".jsonl", ".gz", ".parquet", ".csv", ".txt", ".arrow")


@dataclass(frozen=True)
class Inputs:
    """What a command works on.

    Attributes:
        name: the dataset, as it was named.
        extraction: the dataset and what its signals are read with.
        methods: the methods, by name.
        budgets: how much to keep.
        candidates: ``(N,)`` bool, rows that may be picked; ``None`` for all.
        on_invalid: what happens to rows without a finite score.
        dtype: dtype of the model's weights, ``"auto"`` for the checkpoint's.
    """

    name: str
    extraction: Extraction
    methods: Mapping[str, Method]
    budgets: tuple[Budget, ...]
    candidates: Mask | None
    on_invalid: Any
    dtype: str

    @property
    def n_rows(self) -> int:
        """Rows of the dataset."""
        return len(self.extraction.dataset)

    @property
    def n_candidates(self) -> int:
        """Rows that the budgets are a share of."""
        return self.n_rows if self.candidates is None else int(self.candidates.sum())


def load_inputs(
    arguments: Namespace,
    methods: Mapping[str, Mapping[str, Any]],
    budgets: Sequence[Budget],
    *,
    seed: int,
    progress: bool,
) -> Inputs:
    """Check everything that a command line names, and load the rows.

    Args:
        arguments: the arguments of the command.
        methods: fields of each method, by its name.
        budgets: how much to keep.
        seed: of the passes that draw.
        progress: show progress bars.

    Returns:
        The inputs.

    Raises:
        BudgetError: if a budget does not fit the rows or a method.
    """
    given = {name: value for name in _OPTIONS if (value := getattr(arguments, name)) is not None}
    options = Options(**given, seed=seed, progress=progress)
    references = _check_words(arguments)
    models = _models(arguments)
    made = {name: make_for(name, models.task, **fields) for name, fields in methods.items()}
    for method in made.values():
        check_method(
            method, budgets, n_references=len(references), has_labelled=bool(arguments.labelled), models=models
        )
    pool = _load(arguments, arguments.dataset_name, seed)
    reference = {task: _load_reference(arguments, task, name, seed) for task, name in references.items()}
    n_rows = len(pool.dataset)
    masks = {name: read_row_mask(_path(getattr(arguments, name)), n_rows, name) for name in ("candidates", "labelled")}
    extraction = Extraction(pool.dataset, models, pool.columns, options, masks["labelled"], reference or None)
    inputs = Inputs(
        pool.name, extraction, made, tuple(budgets), masks["candidates"], arguments.on_invalid, arguments.dtype
    )
    for budget in budgets:
        budget.n_rows(inputs.n_candidates)
    _check_rows(inputs)
    return inputs


def reference_source(extraction: Extraction, rows: Dataset) -> Extraction:
    """What the signals of a reference set are read with: the same as for the dataset.

    Args:
        extraction: the dataset and what its signals are read with.
        rows: the reference set, with the columns of the dataset or in a form of its own.

    Returns:
        The same for the reference set.
    """
    there = set((extraction.columns or {}).values()) <= set(rows.column_names)
    return replace(extraction, dataset=rows, labelled=None, columns=extraction.columns if there else None)


@contextlib.contextmanager
def named(argument: str, name: object) -> Iterator[None]:
    """Turn what loading a model or tokenizer raises into an error that names the argument.

    Args:
        argument: the argument, without dashes.
        name: its value.

    Yields:
        None: nothing; the loading is done inside.

    Raises:
        ModelError: if it fails.
    """
    try:
        yield
    except HfSelectError:
        raise
    except (OSError, ValueError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"--{argument} {name} cannot be loaded: {reason} Give a Hub id or a folder.") from error


def _check_words(arguments: Namespace) -> dict[str, str]:
    """Check what needs no library to be loaded; give the reference sets by task."""
    if arguments.template is not None:
        get_template(arguments.template)
    check_extras(arguments.embedder)
    for name in ("candidates", "labelled"):
        check_row_file(_path(getattr(arguments, name)), name)
    for folder in arguments.checkpoints:
        if not Path(folder).is_dir():
            raise ConfigError(f"--checkpoints {folder}: there is no such folder.")
    references = _references(arguments.reference)
    for argument, name in (("dataset_name", arguments.dataset_name), *(("reference", n) for n in references.values())):
        _check_dataset_name(argument, name, arguments.dataset_split)
    return references


def _references(words: Sequence[str]) -> dict[str, str]:
    """Reference sets by task; one without a name is the task ``reference``."""
    found: dict[str, str] = {}
    for word in words:
        task, equals, name = word.partition("=")
        task, name = (task, name) if equals and "/" not in task else ("reference", word)
        if not task or not name:
            raise ConfigError(f"--reference {word!r} is not of the form 'task=NAME_OR_FILE' or 'NAME_OR_FILE'.")
        if task in found:
            raise ConfigError(f"--reference names the task {task!r} twice; give every set its own name: 'task=FILE'.")
        found[task] = name
    return found


def _check_dataset_name(argument: str, name: str, split: str) -> None:
    """Refuse what is meant as a file and is not there, and a saved dataset without the split."""
    path = Path(name).expanduser()
    is_file_name = name.startswith(("/", "./", "../", "~")) or path.suffix.lower() in _FILE_SUFFIXES
    if is_file_name and not path.exists():
        raise ConfigError(f"--{argument} {name}: there is no such file or folder.")
    if (path / "dataset_dict.json").is_file():
        from datasets import load_from_disk

        splits: Any = load_from_disk(str(path))
        if split not in splits:
            raise ConfigError(str(unknown_name(f"split of {name}", split, splits)) + " Give --dataset_split.")


def _models(arguments: Namespace) -> Models:
    """The models by name, their configurations and tokenizer seen to be there."""
    companions = Companions(
        language_model=arguments.language_model,
        draft_model=arguments.draft_model,
        ensemble=tuple(arguments.ensemble),
        checkpoints=tuple(arguments.checkpoints),
        judge=arguments.judge,
    )
    models = Models(
        arguments.model_name_or_path,
        arguments.tokenizer_name,
        arguments.embedder,
        arguments.revision,
        as_task(arguments.task),
        companions,
    )
    for argument in ("model_name_or_path", "language_model", "draft_model"):
        if (name := getattr(arguments, argument)) is not None:
            _check_model(argument, name, arguments.revision if argument == "model_name_or_path" else None)
    if models.has_tokenizer:
        argument = "model_name_or_path" if arguments.tokenizer_name is None else "tokenizer_name"
        with named(argument, getattr(arguments, argument)):
            tokenizer = models.tokenizer
        if arguments.template == "chat" and not getattr(tokenizer, "chat_template", None):
            raise ModelError("--template chat needs a tokenizer with a chat template, and this one has none.")
    return models


def _check_model(argument: str, name: str, revision: str | None) -> None:
    from transformers import AutoConfig

    with named(argument, name):
        AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)


def _load(arguments: Namespace, name: str, seed: int) -> Pool:
    """A dataset by name, its form found."""
    data = DataArguments(
        dataset_name=name,
        dataset_config=arguments.dataset_config,
        dataset_train_split=arguments.dataset_split,
        columns=arguments.columns,
        max_rows=arguments.max_rows,
        **({"demo_rows": arguments.max_rows} if arguments.max_rows else {}),
    )
    return load_pool(data, EvaluationArguments(benchmarks=""), seed)


def _load_reference(arguments: Namespace, task: str, name: str, seed: int) -> Dataset:
    """A reference set; it may have the columns of the dataset or a form of its own."""
    if name == DEMO:
        raise ConfigError(f"--reference {task}=demo: the embedded pool is no reference set; give a Hub id or a file.")
    whole = Namespace(**{**vars(arguments), "max_rows": None, "dataset_config": None})
    try:
        return _load(whole, name, seed).dataset
    except ColumnError:
        return _load(Namespace(**{**vars(whole), "columns": None}), name, seed).dataset


def _check_rows(inputs: Inputs) -> None:
    """Read the rows, and check that the signals that are missing can be read from them."""
    extraction = inputs.extraction
    counts_tokens = any(budget.kind == "tokens" for budget in inputs.budgets)
    for method in inputs.methods.values():
        needs = extraction.missing(method.needs | ({ROW_TOKENS} if counts_tokens else frozenset()))
        aims = [
            signal
            for rows in extraction.references.values()
            for signal in reference_source(extraction, rows).missing(method.reference_needs)
        ]
        check_signals(method, {*needs, *aims}, extraction.models)
        scores = [s for s in needs if s == RESPONSE_NLL or s.read_in is Pass.ANSWER_ALONE]
        if scores and not any(row.response for row in extraction.source.rows):
            raise RowError(
                f"{method.name!r} scores responses, and none of the {inputs.n_rows} rows has one; name the column with "
                f"--columns response=COLUMN (the columns are {extraction.dataset.column_names})."
            )
        if EMBEDDING in needs and extraction.models.given_embedder not in (None, TFIDF):
            with named("embedder", extraction.models.given_embedder):
                _ = extraction.models.embedder


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser()
