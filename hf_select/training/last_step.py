"""A training that is resumed from its last step does none more."""

from __future__ import annotations

from typing import Any

from torch.utils.data import SequentialSampler
from transformers import TrainerState


def end_at_last_step(state: TrainerState, train_dataloader: Any) -> bool:
    """Leave the dataloader without a row where all steps are done, before the ``Trainer`` begins to read it.

    The ``Trainer`` looks behind a step whether it was the last one, so that it trains one more when it is resumed from
    a checkpoint of the last step in the middle of an epoch. Without a batch it goes on to the end of the epoch, with
    evaluation and checkpoint where these are due, and ends.

    Args:
        state: where the training stands.
        train_dataloader: the ``Trainer``'s.

    Returns:
        Whether it was left so; a dataloader without a sampler (of a stream) cannot be.
    """
    from accelerate.data_loader import get_sampler

    is_over = state.global_step >= state.max_steps
    if not is_over or get_sampler(train_dataloader) is None:
        return False
    train_dataloader.set_sampler(SequentialSampler(()))
    return True
