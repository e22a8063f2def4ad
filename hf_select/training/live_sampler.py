"""The order of the rows when the selection changes while the training runs.

The sampler filters the order of the dataloader's own sampler by the rows in use, and repeats it to its old length::

    own order      4 0 3 1 2 5      rows in use 0 1 2 3 4 5, from position 3 on 0 2 5
    this sampler   4 0 3 2 5 0      the order goes on behind row 3, and starts again when it ends

The stream is a function of the own order, the epoch and the events alone, so a resumed run that has the events reads
what the uninterrupted run read. While all rows are in use the stream is the own order, position by position.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping, Sized
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch.utils.data import IterableDataset, Sampler

from hf_select.errors import ConfigError, RowError
from hf_select.signals.keys import Mask


@dataclass(frozen=True)
class Event:
    """A change of the rows in use.

    Attributes:
        epoch: epoch it happened in.
        position: position in the stream of that epoch from which on it holds.
        in_use: ``(N,)`` bool, rows of the dataset that are drawn from then on.
    """

    epoch: int
    position: int
    in_use: Mask

    def packed(self) -> dict[str, Any]:
        """The event as JSON; the rows are one short text however many there are."""
        rows = base64.b85encode(zlib.compress(np.packbits(self.in_use).tobytes(), 9)).decode()
        return {"epoch": self.epoch, "position": self.position, "n_rows": len(self.in_use), "in_use": rows}

    @classmethod
    def unpacked(cls, packed: Mapping[str, Any]) -> Event:
        """The event that ``packed`` wrote.

        Args:
            packed: what it returned.

        Returns:
            The event.
        """
        bits = np.frombuffer(zlib.decompress(base64.b85decode(packed["in_use"])), dtype=np.uint8)
        return cls(packed["epoch"], packed["position"], np.unpackbits(bits, count=packed["n_rows"]).astype(bool))


class LiveSampler(Sampler[int]):
    """Draws the rows in use, in the order of another sampler, as many as that sampler would.

    Args:
        own: the dataloader's own sampler; its length and its order stay.

    Attributes:
        events: changes of the rows in use so far, in order; none means that all rows are in use.
        epoch: epoch of the next iteration.
        position: indices drawn so far in this epoch, those of prefetched batches included.
    """

    def __init__(self, own: Sampler[int]) -> None:
        self.own = own
        self.events: list[Event] = []
        self.epoch = 0
        self.position = 0

    def __len__(self) -> int:
        return len(cast(Sized, self.own))

    def set_epoch(self, epoch: int) -> None:
        """Tell the epoch, to the own sampler too.

        Args:
            epoch: its number, from 0.
        """
        self.epoch = epoch
        own: Any = self.own
        if hasattr(own, "set_epoch"):
            own.set_epoch(epoch)

    def change(self, in_use: Mask, position: int | None = None) -> None:
        """Use other rows from a position on.

        Args:
            in_use: ``(N,)`` bool, the rows to draw.
            position: where in this epoch's stream; by default behind what was drawn already.

        Raises:
            RowError: if no row is in use.
        """
        if not in_use.any():
            raise RowError("No row would be in use; a training needs at least one. Raise the budget.")
        self.events.append(Event(self.epoch, self.position if position is None else position, in_use.copy()))

    def __iter__(self) -> Iterator[int]:
        epoch, length, self.position = self.epoch, len(self), 0
        order = np.fromiter(self.own, dtype=np.int64)
        place, in_use, kept = 0, None, np.ones(len(order), dtype=bool).tolist()
        while self.position < length:
            event = self._event(epoch, self.position)
            if event is not None and event.in_use is not in_use:
                in_use, kept = event.in_use, event.in_use[order].tolist()
                if not any(kept):
                    raise RowError("None of the rows in use is drawn by the own sampler; use rows of its dataset.")
            while not kept[place]:
                place = (place + 1) % len(order)
            self.position += 1
            yield int(order[place])
            place = (place + 1) % len(order)

    def _event(self, epoch: int, position: int) -> Event | None:
        """The last change at or before a position of an epoch."""
        return next(
            (event for event in reversed(self.events) if (event.epoch, event.position) <= (epoch, position)), None
        )


def own_sampler(train_dataloader: Any) -> Any:
    """The sampler of the dataloader.

    Args:
        train_dataloader: the ``Trainer``'s.

    Returns:
        Its sampler.

    Raises:
        ConfigError: if it has none, or another callback took it.
    """
    from accelerate.data_loader import get_sampler

    own = get_sampler(train_dataloader) if hasattr(train_dataloader, "set_sampler") else None
    if own is None or isinstance(train_dataloader.dataset, IterableDataset):
        raise ConfigError(
            "The training dataset is streamed (it has no sampler), so rows cannot be chosen by their number. Give the "
            "Trainer a Dataset instead of an IterableDataset."
        )
    if isinstance(own, LiveSampler):
        raise ConfigError("Two SelectionCallbacks would choose the rows of one training; leave one.")
    return own


def compared(before: Mask, in_use: Mask) -> dict[str, Any]:
    """How a set of rows differs from the one before.

    Args:
        before: ``(N,)`` bool, the rows that were in use.
        in_use: ``(N,)`` bool, those that are.

    Returns:
        ``n_rows`` in use, ``replaced_fraction`` of them that were not, ``overlap`` (Jaccard) of the two sets.
    """
    n_rows, n_common = int(in_use.sum()), int((before & in_use).sum())
    return {
        "n_rows": n_rows,
        "replaced_fraction": round(1 - n_common / n_rows, 6),
        "overlap": round(n_common / int((before | in_use).sum()), 6),
    }
