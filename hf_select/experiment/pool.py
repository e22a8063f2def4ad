"""The pool of a run: the rows to select from, the problems to be measured on, and the rows of the validation loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.errors import ConfigError, RowError
from hf_select.experiment.arguments import DEMO, DataArguments, EvaluationArguments
from hf_select.rows import Row, RowFormat
from hf_select.signals.keys import Mask
from hf_select.templates import get_template
from hf_select.tokens import IGNORED, features, tokenize

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from hf_select.evaluation.problem import Problem

_LOADERS = {".json": "json", ".jsonl": "json", ".gz": "json", ".parquet": "parquet", ".csv": "csv"}


@dataclass(frozen=True)
class Pool:
    """What one seed of an experiment works on.

    Attributes:
        name: the dataset, as it was named.
        dataset: the rows, row id = position.
        columns: which column holds what, as the user named them; ``None`` where they are found by name.
        problems: problems of each benchmark.
        validation: rows of the validation loss, by name (the benchmarks' own solutions, or the demo's held-out rows).
        junk_fraction: share of planted junk, where it is known.
    """

    name: str
    dataset: Dataset
    columns: dict[str, str] | None
    problems: dict[str, list[Problem]]
    validation: dict[str, list[Row]]
    junk_fraction: float | None = None

    @property
    def row_format(self) -> RowFormat:
        """Which column holds what."""
        return RowFormat.detect(self.dataset, self.columns)


def load_pool(data: DataArguments, evaluation: EvaluationArguments, seed: int) -> Pool:
    """Load the dataset and the benchmarks of a run.

    Args:
        data: names the dataset.
        evaluation: names the benchmarks.
        seed: draws the embedded pool; a real dataset is the same for every seed.

    Returns:
        The pool.

    Raises:
        ConfigError: if the demo benchmark is asked for without the demo pool.
        RowError: if the dataset is empty.
    """
    from hf_select.evaluation.benchmark import load_benchmark

    named = dict(_benchmark(word) for word in evaluation.benchmarks.split(",") if word.strip())
    if data.dataset_name == DEMO:
        return _demo_pool(data, evaluation, named, seed)
    if DEMO in named:
        raise ConfigError("benchmarks=demo belongs to dataset_name=demo; give humaneval, mbpp or a file instead.")
    dataset = _load_dataset(data)
    if len(dataset) == 0:
        raise RowError(f"Dataset {data.dataset_name!r} (split {data.dataset_train_split!r}) has no rows.")
    columns = _columns(data.columns)
    RowFormat.detect(dataset, columns).read(dataset.select(range(min(100, len(dataset)))))
    problems = {name: load_benchmark(name, path)[: evaluation.max_problems] for name, path in named.items()}
    return Pool(data.dataset_name, dataset, columns, problems, _solutions(problems))


def training_features(
    dataset: Dataset, row_format: RowFormat, tokenizer: PreTrainedTokenizerBase, template: str, max_length: int
) -> Dataset:
    """The rows as a collator takes them, end-of-sequence token included.

    Args:
        dataset: ``N`` rows.
        row_format: which column holds what.
        tokenizer: the model's tokenizer.
        template: wording of the prompts.
        max_length: longest row in tokens; responses are cut to fit.

    Returns:
        ``N`` rows with ``input_ids``, ``labels``, ``row_id`` and ``n_truncated``.
    """
    wording = get_template(template)

    def to_features(batch: dict[str, list[Any]], row_ids: list[int]) -> dict[str, list[Any]]:
        tokenized = tokenize(row_format.read(batch), tokenizer, wording, max_length=max_length, add_eos=True)
        columns = {
            name: [row[name] for row in features(tokenized, row_ids)] for name in ("input_ids", "labels", "row_id")
        }
        return {**columns, "n_truncated": [row.n_truncated for row in tokenized]}

    return dataset.map(
        to_features, batched=True, with_indices=True, remove_columns=dataset.column_names, desc="Tokenising the rows"
    )


def rows_without_room(rows: Dataset, *, drop: bool, max_length: int) -> Mask:
    """Rows whose prompt alone fills ``max_length``, so that nothing of their response is left.

    Args:
        rows: tokenised rows as ``training_features`` gives them.
        drop: whether the user said to leave such rows out.
        max_length: the limit, for the message.

    Returns:
        ``(N,)`` bool, true where nothing is left to learn.

    Raises:
        RowError: if there are such rows and they are not to be dropped.
    """
    empty = np.array([all(label == IGNORED for label in labels) for labels in rows["labels"]], dtype=bool)
    if empty.any() and not drop:
        raise RowError(
            f"{int(empty.sum())} rows have nothing to learn: their prompt alone fills max_length={max_length} (first "
            f"row ids: {np.flatnonzero(empty)[:5].tolist()}). Raise --max_length, or leave them out by "
            f"--drop_long_prompts."
        )
    return empty


def _demo_pool(data: DataArguments, evaluation: EvaluationArguments, named: dict[str, str | None], seed: int) -> Pool:
    from hf_select.demo.pool import build_pool
    from hf_select.evaluation.benchmark import humaneval_problem, load_benchmark

    demo = build_pool(seed, n_rows=data.demo_rows, n_test=data.demo_test_problems)
    problems = {
        name: [humaneval_problem(row) for row in demo.problems] if name == DEMO else load_benchmark(name, path)
        for name, path in named.items()
    }
    problems = {name: found[: evaluation.max_problems] for name, found in problems.items()}
    validation = {DEMO: RowFormat.detect(demo.validation).read(demo.validation)}
    return Pool(DEMO, demo.train, None, problems, validation, demo.junk_fraction)


def _benchmark(word: str) -> tuple[str, str | None]:
    name, _, path = word.strip().partition("=")
    return name, path or None


_OF_A_TORN_FILE = ("Expected to read", "Expected to be able to read", "Corrupted m", "Tried reading schema message")


def _columns(text: str | None) -> dict[str, str] | None:
    if not text:
        return None
    pairs = [word.partition("=") for word in text.split(",")]
    if wrong := [pair[0] for pair in pairs if not pair[1] or not pair[2]]:
        raise ConfigError(f"columns={text!r}: {wrong[0]!r} names no column; write 'prompt=question,response=answer'.")
    return {role.strip(): column.strip() for role, _, column in pairs}


def _load_dataset(data: DataArguments) -> Dataset:
    """The named split, or an error that says what cannot be loaded (``datasets`` has many of its own for that)."""
    from datasets.exceptions import DatasetsError

    path = Path(data.dataset_name).expanduser()
    if path.is_file() and path.suffix not in _LOADERS:
        raise ConfigError(f"dataset_name={data.dataset_name!r} is none of {', '.join(_LOADERS)}; convert it.")
    try:
        dataset = _read_dataset(path, data)
    except (DatasetsError, OSError, ValueError, IndexError) as error:
        raise ConfigError(
            f"dataset_name={data.dataset_name!r} (split {data.dataset_train_split!r}) cannot be loaded: {error} "
            f"{_advice(error)}"
        ) from error
    return dataset.select(range(min(data.max_rows, len(dataset)))) if data.max_rows else dataset


def _advice(error: Exception) -> str:
    """What to do about a dataset that cannot be loaded; Arrow does not say that a file is cut short."""
    from datasets.config import HF_DATASETS_CACHE

    if any(words in str(error) for words in _OF_A_TORN_FILE):
        return f"A file of it is cut short: write the folder anew, or remove its copy below {HF_DATASETS_CACHE}."
    return "Give a Hub id, or a file or folder that exists and has rows."


def _read_dataset(path: Path, data: DataArguments) -> Dataset:
    from datasets import DatasetDict, load_dataset, load_from_disk

    if path.is_file():
        return load_dataset(_LOADERS[path.suffix], data_files=str(path), split="train")
    if path.is_dir() and ((path / "state.json").is_file() or (path / "dataset_dict.json").is_file()):
        loaded = load_from_disk(str(path))
        return loaded[data.dataset_train_split] if isinstance(loaded, DatasetDict) else loaded
    return load_dataset(data.dataset_name, data.dataset_config, split=data.dataset_train_split)


def _solutions(problems: dict[str, list[Problem]]) -> dict[str, list[Row]]:
    return {
        name: [Row(problem.prompt, problem.canonical_solution) for problem in found if problem.canonical_solution]
        for name, found in problems.items()
    }
