"""The files a study reads: each a text with its language, no text twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hf_select.errors import ColumnError, ConfigError, RowError
from hf_select.experiment.arguments import EvaluationArguments
from hf_select.experiment.pool import load_pool
from hf_select.rows import RowFormat
from hf_select.study.arguments import INSTALLED, StudyDataArguments
from hf_select.study.installed_code import installed_files

if TYPE_CHECKING:
    from datasets import Dataset

UNKNOWN = "unknown"
SHARES_WORDS = "shares 13 words in a row with a reference task"

_LANGUAGE_COLUMNS = ("language", "lang")
_ALL = 10**9
_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet")


class Document(NamedTuple):
    """One file.

    Attributes:
        text: what is in it.
        language: the language it is written in.
    """

    text: str
    language: str


class Dropped(NamedTuple):
    """What is left out before rows are made of files.

    Attributes:
        n_before: files, or rows with a prompt, that there were.
        by_gates: those that a gate refused, by reason.
        not_checked: those that a gate could say nothing about, by its name.
        n_leaking: files that hold part of a reference task.
    """

    n_before: int = 0
    by_gates: Mapping[str, int] = MappingProxyType({})
    not_checked: Mapping[str, int] = MappingProxyType({})
    n_leaking: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """What was left out, by reason."""
        return {**self.by_gates, **({SHARES_WORDS: self.n_leaking} if self.n_leaking else {})}


NOTHING_DROPPED = Dropped()


def load_documents(data: StudyDataArguments, seed: int) -> list[Document]:
    """Load the files of a source, in an order drawn by chance in which the languages take turns.

    Args:
        data: names the source.
        seed: draws the order.

    Returns:
        The files, no text twice.

    Raises:
        ConfigError: if there is no file.
    """
    if data.dataset_name == INSTALLED:
        found = _installed(data, seed)
    else:
        found = _of_folder(data) if _is_folder_of_languages(data) else list(_of_dataset(load_rows(data), data, UNKNOWN))
    kept = list({document.text: document for document in found if document.text.strip()}.values())
    if not kept:
        raise ConfigError(
            f"dataset_name={data.dataset_name!r} gave no text: there is nothing to train on. Name a Hub id, a file, a "
            f"folder with one JSON Lines file per language, or 'demo'."
        )
    return in_turns(kept, seed)


def load_rows(data: StudyDataArguments) -> Dataset:
    """Load a file or a Hub dataset as it is.

    Args:
        data: names it.

    Returns:
        Its rows.
    """
    return load_pool(replace(data, max_rows=None), EvaluationArguments(benchmarks=""), 0).dataset


def in_turns(documents: Sequence[Document], seed: int) -> list[Document]:
    """The documents in an order drawn by chance, the languages taking turns while they last.

    Args:
        documents: the documents.
        seed: draws the order.

    Returns:
        All of them.
    """
    rng = np.random.default_rng(seed)
    by_language: dict[str, list[Document]] = {}
    for place in rng.permutation(len(documents)):
        by_language.setdefault(documents[place].language, []).append(documents[place])
    numbered = [
        (turn, language, document)
        for language, of_language in sorted(by_language.items())
        for turn, document in enumerate(of_language)
    ]
    return [document for _, _, document in sorted(numbered, key=lambda entry: entry[:2])]


def _installed(data: StudyDataArguments, seed: int) -> list[Document]:
    documents = []
    for path in installed_files(data.max_rows or _ALL, seed):  # nearly every file gives a window
        try:
            documents.append(Document(path.read_text(encoding="utf-8"), "python"))
        except UnicodeDecodeError:
            continue  # a file in another encoding, of which there are a few
    return documents


def _is_folder_of_languages(data: StudyDataArguments) -> bool:
    folder = Path(data.dataset_name).expanduser()
    saved = (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()
    return folder.is_dir() and not saved and any(_language_files(folder))


def _language_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.name.endswith(_SUFFIXES))


def _of_folder(data: StudyDataArguments) -> list[Document]:
    found: list[Document] = []
    for path in _language_files(Path(data.dataset_name).expanduser()):
        of_file = load_rows(replace(data, dataset_name=str(path)))
        found += _of_dataset(of_file, data, path.name.partition(".")[0])
    return found


def _of_dataset(rows: Dataset, data: StudyDataArguments, language: str) -> Iterable[Document]:
    """The texts of rows of plain text, each with what a column says of its language, else the one given."""
    row_format = row_format_of(rows, data)
    if row_format.form != "text":
        raise RowError(
            f"dataset_name={data.dataset_name!r} has rows with a prompt ({rows.column_names}), and a folder is read as "
            f"files of plain text; give one file with all rows, or name the column: --columns response=content."
        )
    texts = [row.response for row in row_format.read(rows)]
    return map(Document, texts, languages_of(rows, data, language))


def row_format_of(rows: Dataset, data: StudyDataArguments) -> RowFormat:
    """Which column of the rows holds what.

    Args:
        rows: the rows.
        data: the names of columns, where the user gave some.

    Returns:
        The format.
    """
    named = dict(pair.split("=", 1) for pair in (data.columns or "").split(",") if "=" in pair)
    return RowFormat.detect(rows, {role.strip(): column.strip() for role, column in named.items()} or None)


def languages_of(rows: Dataset, data: StudyDataArguments, otherwise: str) -> list[str]:
    """The language of every row.

    Args:
        rows: the rows.
        data: names the column, if it has another name than ``language`` or ``lang``.
        otherwise: where there is no such column.

    Returns:
        One for each row.

    Raises:
        ColumnError: if the column that was named is not there.
    """
    column = data.language_column
    if column is not None and column not in rows.column_names:
        raise ColumnError(f"No column {column!r} for --language_column; the dataset has {rows.column_names}.")
    column = column or next((name for name in _LANGUAGE_COLUMNS if name in rows.column_names), None)
    return [otherwise] * len(rows) if column is None else [str(value) for value in rows[column]]
