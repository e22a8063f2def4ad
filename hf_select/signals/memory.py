"""What happens when a batch does not fit into memory: it is read in halves, and the plan stays as it is."""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass, field

import numpy as np
import torch

from hf_select.errors import ModelError
from hf_select.signals.keys import Indices, Integers
from hf_select.signals.shards import ReadBatch
from hf_select.signals.store import Arrays

logger = logging.getLogger("hf_select")


@dataclass
class Halving:
    """Reads batches, by halves where memory does not suffice.

    Attributes:
        read_batch: values of a batch of row ids; first dimension = rows of the batch.
        lengths: ``(N,)`` tokens of each row, for the message.
    """

    read_batch: ReadBatch
    lengths: Integers
    was_split: bool = field(default=False, init=False)

    def read(self, rows: Indices) -> Arrays:
        """Values of one batch, whole or put together from its halves.

        Args:
            rows: ``(n,)`` row ids.

        Returns:
            Its arrays.

        Raises:
            ModelError: if a row does not fit into memory even alone.
        """
        try:
            return self.read_batch(rows)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise ModelError(
                    f"Row {rows[0]} with {self.lengths[rows[0]]} tokens does not fit into memory even alone. Lower "
                    f"max_length, or use a smaller dtype."
                ) from error
        # outside of the handler, so that the traceback no longer holds the tensors of the failed batch
        if not self.was_split:
            self.was_split = True
            logger.warning(
                "A batch of %d rows does not fit into memory; such batches are read in halves. A lower "
                "max_tokens_per_batch avoids the lost attempts.",
                len(rows),
            )
        _free_memory()
        halves = [self.read(half) for half in np.array_split(rows, 2)]
        return {name: np.concatenate([half[name] for half in halves]) for name in halves[0]}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on an accelerator or on the CPU.

    Args:
        error: what was raised.

    Returns:
        True for ``torch.OutOfMemoryError``, ``MemoryError`` and the CPU allocator's ``RuntimeError``.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return "can't allocate memory" in said or "not enough memory" in said or "out of memory" in said


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
