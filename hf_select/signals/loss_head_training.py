"""The training of a loss head on labelled rows, with the classifier as it is.

The published head is trained together with the classifier; here the classifier is only read, once, and the head learns
on what was read. Rows that the classifier itself was trained on have smaller losses than others, so a head is better
trained on labelled rows that it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from hf_select.errors import RowError
from hf_select.rows import Row
from hf_select.signals.classifier_encoding import encode_texts
from hf_select.signals.classifier_engine import run_classifier
from hf_select.signals.classifier_reader import ClassifierReader
from hf_select.signals.keys import Floats, Integers
from hf_select.signals.loss_head import LossHead, ranking_loss
from hf_select.signals.plan import MAX_TOKENS_PER_BATCH, TokenIds
from hf_select.signals.store import Arrays
from hf_select.signals.text import row_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def train_loss_head(
    model: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    *,
    n_epochs: int = 50,
    learning_rate: float = 1e-3,
    batch_size: int = 32,
    margin: float = 1.0,
    max_length: int | None = None,
    max_tokens_per_batch: int = MAX_TOKENS_PER_BATCH,
    seed: int = 0,
    progress: bool = False,
) -> LossHead:
    """Train a head that predicts the loss of a classifier.

    Args:
        model: a sequence classifier; it is given back as it was.
        tokenizer: its tokenizer.
        rows: rows with labels, at least 2 that have a text; better such as the classifier was not trained on.
        n_epochs: times that the head sees every row.
        learning_rate: of AdamW.
        batch_size: rows of one step; pairs are made inside of it.
        margin: of the ranking loss.
        max_length: tokens of a text at most.
        max_tokens_per_batch: tokens of one forward pass of the classifier.
        seed: of the initial weights and of the order of the rows.
        progress: show a progress bar of the reading.

    Returns:
        The head, on the CPU.

    Raises:
        RowError: if there are fewer than 2 rows to learn on.
    """
    head = LossHead.for_model(model, seed=seed)

    def read(reader: ClassifierReader, sequences: Sequence[TokenIds]) -> Arrays:
        return _read(head, reader, sequences)

    sequences = encode_texts(row_text(rows).tolist(), tokenizer, max_length)
    found = run_classifier(
        "loss head", model, sequences, read, max_tokens_per_batch=max_tokens_per_batch, progress=progress
    )
    losses = _losses(found["log_probabilities"], rows)
    usable = np.flatnonzero(np.isfinite(losses))
    if len(usable) < 2:
        raise RowError(f"A loss head learns on pairs of rows and {len(usable)} of {len(rows)} can be read; give more.")
    pooled, targets = torch.from_numpy(found["pooled"][usable]), torch.from_numpy(losses[usable])
    optimizer = torch.optim.AdamW(head.parameters(), lr=learning_rate)
    rng = np.random.default_rng(seed)
    with torch.enable_grad():
        for _ in range(n_epochs):
            order = torch.from_numpy(rng.permutation(len(usable)))
            for batch in order.split(batch_size):
                optimizer.zero_grad()
                ranking_loss(head(pooled[batch]), targets[batch], margin).backward()
                optimizer.step()
    return head.requires_grad_(False)


def _read(head: LossHead, reader: ClassifierReader, sequences: Sequence[TokenIds]) -> Arrays:
    """What the head reads of each text, and the logarithms of the class probabilities."""
    inputs = reader.inputs(sequences)
    outputs = reader.outputs(inputs, output_hidden_states=True)
    logits = outputs.logits.float()
    if logits.shape[1] == 1:  # a sigmoid head: classes 0 and 1
        logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    pooled = head.pool(outputs.hidden_states, inputs["attention_mask"])
    return {"pooled": pooled.cpu().numpy(), "log_probabilities": logits.log_softmax(-1).cpu().numpy()}


def _losses(log_probabilities: Floats, rows: Sequence[Row]) -> Floats:
    """Loss of each row; NaN for one that could not be read."""
    n_classes = log_probabilities.shape[1]
    for row_id, row in enumerate(rows):
        if row.label is None or not 0 <= row.label < n_classes:
            raise RowError(
                f"Labelled row {row_id} has label {row.label}, and the classifier has classes 0 to {n_classes - 1}; a "
                f"loss head needs one of these for every labelled row."
            )
    labels: Integers = np.asarray([row.label for row in rows], dtype=np.int64)
    return np.asarray(-log_probabilities[np.arange(len(rows)), labels])
