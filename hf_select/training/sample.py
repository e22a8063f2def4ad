"""One feature of a batch, read and checked: what both collators agree on.

A feature is a mapping with ``input_ids`` and, if the prompt is not to be trained, ``labels``. The rules:

- ``labels`` default to ``input_ids``; leading labels of -100 are the prompt;
- tokens whose ``attention_mask`` is 0 are padding and are left out;
- a sample longer than ``max_length`` is cut at the end, so that only its response gets shorter, and counted;
- a prompt that fills ``max_length`` alone leaves nothing to train and is an error;
- a feature whose ``position_ids`` restart is a row of ``pack_dataset``: it keeps its segments and is never cut.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from hf_select.errors import ConfigError, PackingError
from hf_select.tokens import IGNORED

Tokens = npt.NDArray[np.int64]


class Sample(NamedTuple):
    """The tokens of one feature, ready to be put into a row."""

    input_ids: Tokens
    """(n,) token ids."""
    labels: Tokens
    """(n,) token ids, -100 where nothing is trained."""
    segment_lengths: tuple[int, ...]
    """Lengths of the samples inside: one, except in a row that was packed before. They sum to n."""
    n_dropped: int
    """Tokens cut off at the end."""


@dataclass
class CollationStats:
    """What a collator has seen so far, in this process.

    Workers of a dataloader (``dataloader_num_workers`` above 0) each count in a copy of their own, which the training
    process never sees: measure with 0 workers, or call the collator yourself.
    """

    n_samples: int = 0
    """Samples collated."""
    n_tokens: int = 0
    """Real tokens in the batches."""
    n_padding_tokens: int = 0
    """Padding tokens in the batches."""
    n_truncated: int = 0
    """Samples that were cut to ``max_length``."""
    n_dropped_tokens: int = 0
    """Tokens lost by it."""

    @property
    def padding_fraction(self) -> float:
        """Share of all tokens of the batches that are padding, 0..1; 0 before the first batch."""
        n_total = self.n_tokens + self.n_padding_tokens
        return self.n_padding_tokens / n_total if n_total else 0.0

    def add(self, samples: Sequence[Sample], n_total: int) -> None:
        """Count one batch, and warn at the first sample that was cut.

        Args:
            samples: the samples of the batch.
            n_total: all tokens of the batch, padding included.
        """
        n_tokens = sum(len(sample.input_ids) for sample in samples)
        n_truncated = sum(sample.n_dropped > 0 for sample in samples)
        n_dropped = sum(sample.n_dropped for sample in samples)
        if n_truncated and not self.n_truncated:
            warnings.warn(
                f"{n_truncated} of {len(samples)} samples of this batch were longer than max_length and lost "
                f"{n_dropped} tokens at their end. Later ones are only counted: collator.stats.n_truncated.",
                stacklevel=3,
            )
        self.n_samples += sum(len(sample.segment_lengths) for sample in samples)
        self.n_tokens += n_tokens
        self.n_padding_tokens += n_total - n_tokens
        self.n_truncated += n_truncated
        self.n_dropped_tokens += n_dropped


def read_samples(features: Sequence[Mapping[str, Any]], max_length: int) -> list[Sample]:
    """Read the features of a batch; they are not changed.

    Args:
        features: each with ``input_ids`` and optionally ``labels``, ``attention_mask``, ``position_ids`` and ``row_id``
            (to name the row in an error); lists, arrays or tensors of one dimension.
        max_length: the longest sample, in tokens.

    Returns:
        One sample per feature, in order.

    Raises:
        PackingError: a feature that is empty, malformed, or whose prompt leaves no room for a response.
    """
    if not features:
        raise PackingError("A batch without features came; drop it before it reaches the collator.")
    return [_read(feature, max_length, _name(feature, position)) for position, feature in enumerate(features)]


def _name(feature: Mapping[str, Any], position: int) -> str:
    """How errors call a feature: by its row id, or by its place in the batch."""
    row_id = feature.get("row_id")
    return f"The sample at position {position} of the batch" if row_id is None else f"Row {int(row_id)}"


def _read(feature: Mapping[str, Any], max_length: int, name: str) -> Sample:
    """One feature by the rules of this module."""
    if "input_ids" not in feature:
        raise PackingError(f"{name} has no input_ids, only {sorted(feature)}: tokenise the dataset first.")
    columns = dict(_columns(feature, name))
    input_ids = columns["input_ids"]
    if not input_ids.size:
        raise PackingError(f"{name} has no tokens: filter empty rows out of the dataset.")
    labels = columns.get("labels", input_ids)
    segment_lengths = _segment_lengths(columns.get("position_ids"), len(input_ids), name)
    if len(segment_lengths) > 1:
        if len(input_ids) > max_length:
            raise PackingError(
                f"{name} was packed to {len(input_ids)} tokens, more than max_length={max_length}: "
                "pack the dataset again with this max_length."
            )
        return Sample(input_ids, labels, segment_lengths, 0)
    check_prompt(labels, max_length, name)
    n_dropped = max(0, len(input_ids) - max_length)
    return Sample(input_ids[:max_length], labels[:max_length], (len(input_ids) - n_dropped,), n_dropped)


def _columns(feature: Mapping[str, Any], name: str) -> Iterator[tuple[str, Tokens]]:
    """The columns that collators read, as arrays of one length without the padding of the feature."""
    present = [key for key in ("input_ids", "labels", "position_ids", "attention_mask") if feature.get(key) is not None]
    columns = {key: np.asarray(feature[key], dtype=np.int64) for key in present}
    shapes = {key: column.shape for key, column in columns.items()}
    if len(set(shapes.values())) > 1 or columns["input_ids"].ndim != 1:
        raise PackingError(f"{name} needs columns of one dimension and one length, got shapes {shapes}.")
    mask = columns.pop("attention_mask", None)
    is_token = slice(None) if mask is None or mask.all() else mask.astype(bool)
    return ((key, column[is_token]) for key, column in columns.items())


def _segment_lengths(position_ids: Tokens | None, n_tokens: int, name: str) -> tuple[int, ...]:
    """Lengths of the stretches in which the positions count up from 0."""
    if position_ids is None:
        return (n_tokens,)
    starts = np.flatnonzero(position_ids == 0)
    lengths = np.diff(starts, append=n_tokens)
    if not starts.size or starts[0] != 0 or (position_ids != np.arange(n_tokens) - np.repeat(starts, lengths)).any():
        raise PackingError(f"position_ids of {name[0].lower()}{name[1:]} do not count up from 0 in every sample.")
    return tuple(lengths.tolist())


def check_prompt(labels: Tokens, max_length: int, name: str) -> None:
    """Refuse a sample whose prompt (its leading labels of -100) leaves no room for a response.

    Args:
        labels: (n,) labels of the whole sample.
        max_length: the longest sample, in tokens.
        name: how the error calls the sample.

    Raises:
        PackingError: the prompt has ``max_length`` tokens or more.
    """
    if len(labels) < max_length:
        return
    trained = labels != IGNORED
    n_prompt = int(trained.argmax()) if trained.any() else len(labels)
    if n_prompt >= max_length:
        raise PackingError(
            f"{name} has a prompt of {n_prompt} tokens, which fills max_length={max_length} alone: nothing of its "
            "response could be trained. Raise max_length or filter the row out."
        )


def checked_max_length(max_length: int | None) -> int:
    """The limit of a collator, which must be given.

    Args:
        max_length: tokens, at least 2 (one to read, one to predict).

    Returns:
        The same number.

    Raises:
        ConfigError: it is None or below 2.
    """
    if max_length is None or max_length < 2:
        raise ConfigError(
            f"max_length is {max_length}: give the longest row in tokens, for example max_length=2048 "
            "(at most the model's max_position_embeddings)."
        )
    return max_length


def padding_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """The token that fills rows; no loss and no other token ever sees it.

    Args:
        tokenizer: its pad token is used, or its end-of-sequence token when it has none.

    Returns:
        A token id.

    Raises:
        ConfigError: the tokenizer has neither.
    """
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise ConfigError("The tokenizer has neither a pad token nor an eos token: set tokenizer.pad_token.")
