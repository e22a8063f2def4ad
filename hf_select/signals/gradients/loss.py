"""The loss of each row, as a function of the model that can be differentiated: of a response, or of a class.

Rows that have none (no target token, no label) have length 0 and are not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from hf_select.errors import RowError
from hf_select.signals.gradients.span import BatchShape, Spans
from hf_select.signals.identity import key_of, segments_hash
from hf_select.signals.keys import Indices, Integers, Task
from hf_select.signals.layout import Inputs, Layout, lay_out
from hf_select.signals.plan import Segment, TokenIds
from hf_select.signals.reader import Way, bare_model, forward_parameters, inner_model
from hf_select.signals.source import Source


class LossBatch(NamedTuple):
    """The losses of some rows, not yet computed.

    Attributes:
        shape: whose token is it, in the tensors of the forward pass.
        losses: runs the forward pass; ``(n,)`` in the wide dtype.
    """

    shape: BatchShape
    losses: Callable[[], torch.Tensor]


class SampleLoss(Protocol):
    """A loss for each of ``N`` rows.

    Attributes:
        model: the model, out of its parallel wrapper.
        layout: how rows lie in its input.
        lengths: ``(N,)`` tokens of each row; 0 for a row that has no loss.
        identity: what the losses depend on besides the model, as plain data.
    """

    @property
    def model(self) -> nn.Module: ...  # noqa: D102
    @property
    def layout(self) -> Layout: ...  # noqa: D102
    @property
    def lengths(self) -> Integers: ...  # noqa: D102
    @property
    def identity(self) -> dict[str, Any]: ...  # noqa: D102

    def batch(self, rows: Indices) -> LossBatch:
        """The losses of some rows, none of length 0."""

    def probe(self) -> SampleLoss:
        """The same loss of two short made-up rows of different lengths."""


def make_loss(source: Source, *, dtype: torch.dtype = torch.float32) -> SampleLoss:
    """The loss of each row of a source: of its response after its prompt, or of its class.

    Args:
        source: rows and model.
        dtype: least dtype in which the logits become a loss.

    Returns:
        The loss.
    """
    models = source.models
    if models.task is Task.CAUSAL_LM:
        return ResponseLoss(bare_model(models.model), models.way, source.encoded.conditional(), dtype)
    from hf_select.signals.classifier_encoding import encode_texts
    from hf_select.signals.classifier_reader import bare_classifier
    from hf_select.signals.text import row_text

    texts = encode_texts(row_text(source.rows).tolist(), models.tokenizer, source.max_length)
    return LabelLoss(bare_classifier(models.model), texts, [row.label for row in source.rows], dtype)


@dataclass(frozen=True)
class ResponseLoss:
    """Mean negative log likelihood of each target token.

    Attributes:
        model: a causal language model, out of its parallel wrapper.
        way: how it is read.
        segments: ``N`` segments.
        dtype: least dtype in which the logits become a loss.
    """

    model: nn.Module
    way: Way
    segments: Sequence[Segment]
    dtype: torch.dtype = torch.float32

    @property
    def layout(self) -> Layout:
        """How rows lie in the model's input."""
        return self.way.layout

    @cached_property
    def lengths(self) -> Integers:
        """``(N,)`` tokens; 0 without a target token."""
        return np.asarray([segment.n_tokens if len(segment.target) else 0 for segment in self.segments], dtype=np.int64)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Hash of the token ids."""
        return {"loss": "response", "rows": segments_hash(self.segments)}

    def probe(self) -> ResponseLoss:
        """The loss of 8 tokens after 3, and of 4 tokens after 1."""
        ids = _probe_ids(int(inner_model(self.model).get_input_embeddings().weight.shape[0]), 16)
        return replace(self, segments=[Segment(ids[:3], ids[3:11]), Segment(ids[11:12], ids[12:])])

    def batch(self, rows: Indices) -> LossBatch:
        """The losses of some rows.

        Args:
            rows: ``(n,)`` row ids, none of length 0.

        Returns:
            Their losses, not yet computed.
        """
        segments = [self.segments[row] for row in rows]
        inputs = lay_out([np.concatenate(segment) for segment in segments], self.layout, self._device)
        n_tokens = tuple(segment.n_tokens for segment in segments)
        if self.layout is Layout.PADDED:
            n_tokens = (max(n_tokens),) * len(segments)
        targets = Spans(tuple(len(segment.target) for segment in segments))
        return LossBatch(BatchShape(Spans(n_tokens), (targets,)), lambda: self._losses(segments, inputs, targets))

    def _losses(self, segments: Sequence[Segment], inputs: Inputs, targets: Spans) -> torch.Tensor:
        where = np.concatenate(
            [
                np.arange(len(segment.target)) + (start + len(segment.context) - 1)
                for segment, start in zip(segments, inputs.starts, strict=True)
            ]
        )
        target_ids = np.concatenate([segment.target for segment in segments]).astype(np.int64)
        logits = self._logits(inputs, torch.from_numpy(where).to(self._device))
        nll = _cross_entropy(logits, torch.from_numpy(target_ids).to(logits.device), self.dtype)
        return targets.by_sample(nll).sum(1) / torch.tensor(targets.lengths, device=nll.device)

    def _logits(self, inputs: Inputs, where: torch.Tensor) -> torch.Tensor:
        """``(P, V)`` logits at flat positions, from the model's own head where that does more than multiply."""
        inner = inner_model(self.model)
        if self.way.applies_head:
            states = inner.base_model(**inputs.kwargs).last_hidden_state.flatten(0, 1)
            return inner.get_output_embeddings()(states[where.to(states.device)])  # type: ignore[no-any-return]
        if self.layout is not Layout.PADDED and "logits_to_keep" in forward_parameters(self.model):
            return self.model(**inputs.kwargs, logits_to_keep=where).logits.flatten(0, 1)  # type: ignore[no-any-return]
        logits = self.model(**inputs.kwargs).logits.flatten(0, 1)
        return logits[where.to(logits.device)]  # type: ignore[no-any-return]

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


@dataclass(frozen=True)
class LabelLoss:
    """Cross entropy of each row's class.

    Attributes:
        model: a sequence classifier, out of its parallel wrapper, with a padding token.
        texts: token ids of ``N`` texts.
        labels: ``N`` classes.
        dtype: least dtype in which the logits become a loss.
    """

    model: nn.Module
    texts: Sequence[TokenIds]
    labels: Sequence[int | None]
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        """Check the classes.

        Raises:
            RowError: if the model does not have a class.
        """
        n_classes = max(2, int(inner_model(self.model).config.num_labels))
        wrong = [
            (row, label)
            for row, label in enumerate(self.labels)
            if label is not None and not 0 <= label < n_classes
        ]  # fmt: skip
        if wrong:
            raise RowError(
                f"{len(wrong)} labels are not among the {n_classes} classes of the model (first: {wrong[:5]}); number "
                f"the classes 0 to {n_classes - 1}, or give a classifier with more."
            )

    @property
    def layout(self) -> Layout:
        """Rows are padded."""
        return Layout.PADDED

    @cached_property
    def lengths(self) -> Integers:
        """``(N,)`` tokens; 0 without text or class."""
        pairs = zip(self.texts, self.labels, strict=True)
        return np.asarray([0 if label is None else len(text) for text, label in pairs], dtype=np.int64)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Hash of token ids and classes."""
        return {"loss": "class", "rows": key_of([[text.tolist() for text in self.texts], list(self.labels)])}

    def probe(self) -> LabelLoss:
        """The loss of class 0 for 11 tokens, and of class 1 for 5."""
        n_ids = int(inner_model(self.model).get_input_embeddings().weight.shape[0])
        ids = _probe_ids(n_ids, 16, avoid=self._pad_id)
        return replace(self, texts=[ids[:11], ids[11:]], labels=[0, 1])

    def batch(self, rows: Indices) -> LossBatch:
        """The losses of some rows.

        Args:
            rows: ``(n,)`` row ids, none of length 0.

        Returns:
            Their losses, not yet computed.
        """
        lengths = np.asarray([len(self.texts[row]) for row in rows])
        longest = int(lengths.max())
        mask = np.arange(longest) < lengths[:, None]
        ids = np.full(mask.shape, self._pad_id, dtype=np.int64)
        ids[mask] = np.concatenate([self.texts[row] for row in rows])
        device = next(self.model.parameters()).device
        inputs = {
            "input_ids": torch.from_numpy(ids).to(device),
            "attention_mask": torch.from_numpy(mask.astype(np.int64)).to(device),
        }
        labels = torch.tensor([self.labels[row] for row in rows], device=device)
        shape = BatchShape(Spans((longest,) * len(rows)), (Spans((1,) * len(rows)),))
        return LossBatch(shape, lambda: _cross_entropy(self.model(**inputs).logits, labels, self.dtype))

    @property
    def _pad_id(self) -> int:
        return int(inner_model(self.model).config.get_text_config().pad_token_id)


def _cross_entropy(logits: torch.Tensor, targets: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """``(P,)`` losses in at least that dtype; one logit is that of a sigmoid head."""
    wide = logits.to(torch.promote_types(logits.dtype, dtype))
    targets = targets.to(wide.device)
    if wide.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(wide[:, 0], targets.to(wide), reduction="none")
    return F.cross_entropy(wide, targets, reduction="none")


def _probe_ids(n_ids: int, n_tokens: int, avoid: int | None = None) -> TokenIds:
    """Made-up token ids, spread over the vocabulary."""
    spread = [(7919 * position + 11) % n_ids for position in range(n_tokens)]
    return np.asarray([(token + 1) % n_ids if token == avoid else token for token in spread], dtype=np.int32)
