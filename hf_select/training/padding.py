"""Plain padding: one sample per row, the yardstick that packing is measured against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hf_select.errors import PackingError, unknown_name
from hf_select.tokens import IGNORED
from hf_select.training.sample import (
    CollationStats,
    checked_max_length,
    padding_token,
    read_samples,
)

PADDINGS = ("longest", "max_length")


@dataclass
class PaddingCollator:
    """Pads each sample on the right, with the same reading of features as ``DynamicPackCollator``.

    Both train on the same tokens with the same labels, so that their losses can be compared step by step.

    Args:
        tokenizer: gives the token that fills rows.
        max_length: the longest sample, in tokens.
        padding: ``"longest"``: to the longest sample of the batch; ``"max_length"``: always to ``max_length``.

    Raises:
        ConfigError: no ``max_length``, or a tokenizer without any token to fill with.
        UnknownNameError: an unknown padding.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int | None = None
    padding: Literal["longest", "max_length"] = "longest"
    stats: CollationStats = field(default_factory=CollationStats, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the fields."""
        checked_max_length(self.max_length)
        padding_token(self.tokenizer)
        if self.padding not in PADDINGS:
            raise unknown_name("padding", self.padding, PADDINGS)

    @property
    def n_truncated(self) -> int:
        """Samples cut to ``max_length`` so far, in this process."""
        return self.stats.n_truncated

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Pad one batch.

        Args:
            features: samples; they are not changed.

        Returns:
            ``input_ids``, ``labels`` and ``attention_mask``, each (B, L) int64.

        Raises:
            PackingError: a feature that cannot be read, or a row of ``pack_dataset``.
        """
        max_length = checked_max_length(self.max_length)
        samples = read_samples(features, max_length)
        if any(len(sample.segment_lengths) > 1 for sample in samples):
            raise PackingError(
                "These rows are packed, and their samples would see each other: use DynamicPackCollator."
            )
        width = max_length if self.padding == "max_length" else max(len(sample.input_ids) for sample in samples)
        shape = (len(samples), width)
        input_ids = np.full(shape, padding_token(self.tokenizer), dtype=np.int64)
        labels = np.full(shape, IGNORED, dtype=np.int64)
        attention_mask = np.zeros(shape, dtype=np.int64)
        for i, sample in enumerate(samples):
            n_tokens = len(sample.input_ids)
            input_ids[i, :n_tokens] = sample.input_ids
            labels[i, 1:n_tokens] = sample.labels[1:]  # nothing predicts the first token; packed batches agree
            attention_mask[i, :n_tokens] = 1
        self.stats.add(samples, input_ids.size)
        columns = {"input_ids": input_ids, "labels": labels, "attention_mask": attention_mask}
        return {name: torch.from_numpy(column) for name, column in columns.items()}
