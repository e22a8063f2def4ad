"""The engine of the classifier passes: texts of all rows in, one value per row out, whatever the memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from hf_select.errors import RowError
from hf_select.signals.classifier_reader import ClassifierReader, classifier_reader
from hf_select.signals.engine import FirstCheck, blank_non_finite
from hf_select.signals.keys import Indices
from hf_select.signals.memory import Halving
from hf_select.signals.plan import MAX_TOKENS_PER_BATCH, TokenIds, make_plan
from hf_select.signals.shards import run_shards
from hf_select.signals.store import Arrays, Store

ReadTexts = Callable[[ClassifierReader, Sequence[TokenIds]], Arrays]
"""Values of a batch of texts."""


def run_classifier(
    name: str,
    model: torch.nn.Module,
    sequences: Sequence[TokenIds],
    read: ReadTexts,
    *,
    state: AbstractContextManager[object] | None = None,
    max_tokens_per_batch: int = MAX_TOKENS_PER_BATCH,
    store: Store | None = None,
    progress: bool = False,
) -> Arrays:
    """Read all texts with a classifier, in batches of similar length.

    A batch that does not fit into memory is split in halves, the plan stays as it is.

    Args:
        name: name of the pass.
        model: a sequence classifier; it is given back as it was.
        sequences: token ids of ``N`` texts; an empty one is not read.
        read: what to read of a batch.
        state: what the model is put into while it is read, for example dropout masks; nothing by default.
        max_tokens_per_batch: tokens of one forward pass, padding included.
        store: where finished shards lie; ``None`` for nowhere.
        progress: show a progress bar.

    Returns:
        What ``read`` gives, one value per row; NaN for rows that cannot be read.

    Raises:
        RowError: if no row has a token.
    """
    lengths = np.asarray([len(sequence) for sequence in sequences], dtype=np.int64)
    if not lengths.any():
        raise RowError(f"{name} pass: none of the {len(lengths)} rows has a text that a classifier could read.")
    plan = make_plan(lengths, max_tokens_per_batch, padded=True)
    check = FirstCheck(model, name, lengths > 0)
    with classifier_reader(model) as ready, state or nullcontext():

        def read_batch(rows: Indices) -> Arrays:
            arrays = read(ready, [sequences[row] for row in rows])
            check(rows, arrays)
            return arrays

        halving = Halving(read_batch, lengths)
        values = run_shards(name, plan, halving.read, len(lengths), store=store, progress=progress)
    blank_non_finite(name, values, lengths > 0)
    return values
