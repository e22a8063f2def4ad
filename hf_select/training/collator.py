"""Dynamic Pack: the samples of a batch put one after another into rows, so that little is padded and nothing leaks.

For samples a, b, c of 5, 2 and 4 tokens and ``max_length`` 8 (the dot is padding, a segment of its own):

    layout="rows"                                layout="flat"
    input_ids     a a a a a .   c c c c b b      a a a a a c c c c b b
    position_ids  0 1 2 3 4 0   0 1 2 3 0 1      0 1 2 3 4 0 1 2 3 0 1
    cu_seq_lens   0         5   6       10  12   0         5       9   11
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from hf_select.errors import unknown_name
from hf_select.tokens import IGNORED
from hf_select.training.packing import ALGORITHMS, Algorithm, pack
from hf_select.training.sample import (
    CollationStats,
    Sample,
    checked_max_length,
    padding_token,
    read_samples,
)

LAYOUTS = ("rows", "flat")


@dataclass
class DynamicPackCollator:
    """Packs the samples of each batch into rows of at most ``max_length`` tokens.

    Use it as the ``data_collator`` of a ``Trainer``. Loss and gradients equal those of the samples alone: positions
    restart in every sample, the first label of every sample is -100 (nothing predicts it), no attention crosses
    samples. That holds with ``packed_attention(model)`` (fastest), with FlashAttention 2 and, by the restarting
    positions alone, with the ``sdpa`` and ``eager`` attention of most models: ``check_packing(model)`` says of which.

    A batch has ``input_ids``, ``labels``, ``position_ids`` (B, L) int64; ``cu_seq_lens_q``, ``cu_seq_lens_k``
    (n_segments + 1,) int32 over the flattened rows, where the padding tail of a row is a segment of its own;
    ``max_length_q``, ``max_length_k`` int; and ``use_cache=False``. There is no ``attention_mask``: with one, the
    models of transformers let samples attend to each other. How features are read, cut and refused: ``sample.py``.

    Args:
        tokenizer: gives the token that fills rows.
        max_length: the longest sample, and in layout ``rows`` the longest row, in tokens.
        layout: ``"rows"``: several rows padded to the longest; ``"flat"``: one row of all samples without padding, for
            ``packed_attention`` or FlashAttention (other attentions pay for the square of its length).
        algorithm: how rows are filled, see :func:`hf_select.training.pack`. ``"flat"`` puts the same rows end to end.
        return_segments: whether to add ``cu_seq_lens_*`` and ``max_length_*``. False for models whose ``forward``
            takes no extra keyword arguments.

    Raises:
        ConfigError: no ``max_length``, or a tokenizer without any token to fill with.
        UnknownNameError: an unknown layout or algorithm.

    Source: CodeACT (Dynamic Pack). Differs from the source: CodeACT lets samples attend to earlier ones and runs
    positions on; it fills rows by next-fit in ascending order only (``algorithm="next_fit"``).
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int | None = None
    layout: Literal["rows", "flat"] = "rows"
    algorithm: Algorithm = "multifit"
    return_segments: bool = True
    stats: CollationStats = field(default_factory=CollationStats, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the fields."""
        checked_max_length(self.max_length)
        padding_token(self.tokenizer)
        if self.layout not in LAYOUTS:
            raise unknown_name("layout", self.layout, LAYOUTS)
        if self.algorithm not in ALGORITHMS:
            raise unknown_name("packing algorithm", self.algorithm, ALGORITHMS)

    @property
    def n_truncated(self) -> int:
        """Samples cut to ``max_length`` so far, in this process."""
        return self.stats.n_truncated

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Pack one batch.

        Args:
            features: samples or rows of ``pack_dataset``; they are not changed.

        Returns:
            The keyword arguments of the model's forward pass.

        Raises:
            PackingError: a feature that cannot be packed.
        """
        max_length = checked_max_length(self.max_length)
        samples = read_samples(features, max_length)
        packed = pack([len(sample.input_ids) for sample in samples], max_length, self.algorithm)
        rows = [[samples[i] for i in row] for row in packed]
        if self.layout == "flat":
            rows = [[sample for row in rows for sample in row]]
        batch, n_total = self._assemble(rows)
        self.stats.add(samples, n_total)
        return batch

    def _assemble(self, rows: list[list[Sample]]) -> tuple[dict[str, Any], int]:
        """Put rows of samples into tensors; also the number of tokens, padding included."""
        width = max(sum(len(sample.input_ids) for sample in row) for row in rows)
        input_ids = np.full((len(rows), width), padding_token(self.tokenizer), dtype=np.int64)
        labels = np.full((len(rows), width), IGNORED, dtype=np.int64)
        lengths: list[int] = []
        for i, row in enumerate(rows):
            used = sum(len(sample.input_ids) for sample in row)
            input_ids[i, :used] = np.concatenate([sample.input_ids for sample in row])
            labels[i, :used] = np.concatenate([sample.labels for sample in row])
            lengths += [length for sample in row for length in sample.segment_lengths]
            if used < width:
                lengths.append(width - used)
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        labels.reshape(-1)[bounds[:-1]] = IGNORED
        position_ids = np.arange(input_ids.size) - np.repeat(bounds[:-1], lengths)
        batch: dict[str, Any] = {
            "input_ids": torch.from_numpy(input_ids),
            "labels": torch.from_numpy(labels),
            "position_ids": torch.from_numpy(position_ids.reshape(input_ids.shape)),
            "use_cache": False,
        }
        if self.return_segments:
            cu_seq_lens = torch.from_numpy(bounds.astype(np.int32))
            batch |= {"cu_seq_lens_q": cu_seq_lens, "cu_seq_lens_k": cu_seq_lens}
            batch |= {"max_length_q": max(lengths), "max_length_k": max(lengths)}
        return batch, input_ids.size


DataCollatorWithDynamicPack = DynamicPackCollator
"""The name under which CodeACT users know it."""
