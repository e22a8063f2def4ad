"""The rows of a study: tokenised, each with its text, its language and the file it comes from."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.errors import ConfigError
from hf_select.experiment.arguments import DEMO
from hf_select.experiment.pool import rows_without_room, training_features
from hf_select.study.arguments import INSTALLED, StudyDataArguments
from hf_select.study.corpus import (
    NOTHING_DROPPED,
    UNKNOWN,
    Document,
    Dropped,
    languages_of,
    load_documents,
    load_rows,
    row_format_of,
)
from hf_select.tokens import IGNORED

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from hf_select.demo.pool import DemoPool

logger = logging.getLogger("hf_select")

_SEED = 0  # one pool for all seeds; a seed draws its split, the weights, the order and the picks
_MIN_WINDOW = 16
_ORIGIN = "origin"


@dataclass(frozen=True)
class Corpus:
    """The rows before they are tokenised: files to be cut into windows, or rows with a prompt.

    Attributes:
        data: what the user asked for.
        documents: files; empty where there are rows.
        rows: rows with prompt and response; ``None`` where there are files.
        demo: the generated pool, for its held-out rows and problems.
        dropped: what was left out of the source.
    """

    data: StudyDataArguments
    documents: list[Document]
    rows: Dataset | None = None
    demo: DemoPool | None = None
    dropped: Dropped = NOTHING_DROPPED

    @classmethod
    def load(cls, data: StudyDataArguments) -> Corpus:
        """Load the source.

        Args:
            data: names it.

        Returns:
            The corpus.
        """
        if data.dataset_name == DEMO:
            from hf_select.demo.pool import build_pool

            demo = build_pool(_SEED, n_rows=data.demo_rows, n_test=data.demo_test_problems)
            return cls(data, [], demo.train, demo, Dropped(len(demo.train)))
        if data.dataset_name != INSTALLED and not Path(data.dataset_name).expanduser().is_dir():
            rows = load_rows(data)
            if row_format_of(rows, data).form != "text":
                return cls(data, [], rows, dropped=Dropped(len(rows)))
        documents = load_documents(data, _SEED)
        return cls(data, documents, dropped=Dropped(len(documents)))

    def first(self, n_rows: int | None) -> Corpus:
        """The corpus with its first rows alone; files stay, because rows are cut from them later.

        Args:
            n_rows: how many; ``None`` for all.

        Returns:
            The corpus.
        """
        if self.rows is None or n_rows is None or n_rows >= len(self.rows):
            return self
        return replace(self, rows=self.rows.select(range(n_rows)), dropped=self.dropped._replace(n_before=n_rows))

    def gated(self, keep: Sequence[int], counts: Mapping[str, int], not_checked: Mapping[str, int]) -> Corpus:
        """The corpus that passed the gates.

        Args:
            keep: which of the files or rows passed, ascending.
            counts: the others by reason.
            not_checked: those that a gate could say nothing about, by its name.

        Returns:
            The corpus with what was dropped.
        """
        dropped = self.dropped._replace(by_gates=counts, not_checked=not_checked)
        if self.rows is None:
            return replace(self, documents=[self.documents[place] for place in keep], dropped=dropped)
        rows = self.rows if len(keep) == len(self.rows) else self.rows.select(keep)
        return replace(self, rows=rows, dropped=dropped)

    def without(self, places: Collection[int]) -> Corpus:
        """The corpus without some of its files.

        Args:
            places: which of the documents.

        Returns:
            The rest.
        """
        left_out = set(places)
        kept = [document for place, document in enumerate(self.documents) if place not in left_out]
        dropped = self.dropped._replace(n_leaking=self.dropped.n_leaking + len(left_out))
        return replace(self, documents=kept, dropped=dropped)

    @cached_property
    def texts(self) -> list[str]:
        """All texts, to train a tokenizer on."""
        if self.rows is None:
            return [document.text for document in self.documents]
        return [row.prompt + row.response for row in row_format_of(self.rows, self.data).read(self.rows)]


@dataclass(frozen=True)
class StudyPool:
    """Rows to train on and to score.

    Attributes:
        name: the source.
        features: ``N`` tokenised rows (``input_ids``, ``labels``), row id = position.
        texts: the same rows as text, in columns that methods read (``text``, or ``prompt`` and ``completion``).
        languages: ``N`` languages; of the demo what was planted in the row.
        files: ``N`` numbers of the files that they come from: a split keeps a file on one side.
        dropped: what was left out of the source.
    """

    name: str
    features: Dataset
    texts: Dataset
    languages: list[str]
    files: list[int]
    dropped: Dropped = NOTHING_DROPPED

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def lengths(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """``(N,)`` tokens of each row."""
        return np.asarray([len(ids) for ids in self.features["input_ids"]], dtype=np.int64)

    def plain_texts(self, rows: Sequence[int]) -> list[str]:
        """Rows as one text each.

        Args:
            rows: row ids.

        Returns:
            Their texts.
        """
        some = self.texts.select(rows)
        columns = [list(some[name]) for name in some.column_names]
        return ["".join(parts) for parts in zip(*columns, strict=True)]


def make_pool(corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> StudyPool:
    """Tokenise the rows, or cut the files into windows.

    Args:
        corpus: files or rows.
        tokenizer: the model's tokenizer.

    Returns:
        The pool.

    Raises:
        ConfigError: if ``max_length`` is too short.
    """
    if corpus.data.max_length < _MIN_WINDOW:
        raise ConfigError(f"max_length={corpus.data.max_length} must be at least {_MIN_WINDOW} tokens.")
    return _windows(corpus, tokenizer) if corpus.rows is None else _rows(corpus, corpus.rows, tokenizer)


def _rows(corpus: Corpus, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> StudyPool:
    from datasets import Dataset

    data = corpus.data
    rows = rows.select(range(min(data.max_rows or len(rows), len(rows))))
    row_format = row_format_of(rows, data)
    features = training_features(rows, row_format, tokenizer, data.template, data.max_length)
    kept = np.flatnonzero(~rows_without_room(features, drop=data.drop_long_prompts, max_length=data.max_length))
    read = row_format.read(rows.select(kept))
    column = replace(data, language_column=_ORIGIN) if corpus.demo is not None else data
    languages = languages_of(rows, column, UNKNOWN)
    return StudyPool(
        name=data.dataset_name,
        features=features.select_columns(["input_ids", "labels"]).select(kept),
        texts=Dataset.from_dict({"prompt": [row.prompt for row in read], "completion": [row.response for row in read]}),
        languages=[languages[place] for place in kept],
        files=_numbered([row.prompt for row in read]),
        dropped=corpus.dropped,
    )


def _numbered(keys: Sequence[str]) -> list[int]:
    """Equal keys as equal numbers, in the order in which they first occur."""
    known: dict[str, int] = {}
    return [known.setdefault(key, len(known)) for key in keys]


def _windows(corpus: Corpus, tokenizer: PreTrainedTokenizerBase) -> StudyPool:
    """Windows of files, an end-of-sequence token behind each file."""
    from datasets import Dataset

    data, rng = corpus.data, np.random.default_rng([_SEED, 1])
    windows: list[list[int]] = []
    languages: list[str] = []
    files: list[int] = []
    for number, document in enumerate(corpus.documents):
        if data.max_rows and len(windows) >= data.max_rows:
            break
        ids = [*tokenizer(document.text, add_special_tokens=False, verbose=False)["input_ids"]]
        ids += [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
        starts = np.arange(0, max(1, len(ids) - _MIN_WINDOW + 1), data.max_length)
        drawn = np.sort(rng.permutation(len(starts))[: data.max_rows_per_file])
        of_file = [ids[start : start + data.max_length] for start in starts[drawn] if len(ids) >= _MIN_WINDOW]
        windows += of_file
        languages += [document.language] * len(of_file)
        files += [number] * len(of_file)
    n_kept = min(data.max_rows or len(windows), len(windows))
    if n_kept == 0:
        raise ConfigError(f"No file of {data.dataset_name!r} has {_MIN_WINDOW} tokens; give others.")
    windows = windows[:n_kept]
    logger.info("%d windows of %d files.", n_kept, len(set(files[:n_kept])))
    labels = [[IGNORED, *window[1:]] for window in windows]  # nothing predicts the first token
    return StudyPool(
        name=data.dataset_name,
        features=Dataset.from_dict({"input_ids": windows, "labels": labels}),
        texts=Dataset.from_dict({"text": tokenizer.batch_decode(windows, skip_special_tokens=True)}),
        languages=languages[:n_kept],
        files=files[:n_kept],
        dropped=corpus.dropped,
    )
