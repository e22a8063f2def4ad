"""A ``Trainer`` for small sets: every process trains on all rows, so that any number of processes ends alike."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch.utils.data import DataLoader, RandomSampler
from transformers import Trainer

from hf_select.errors import ConfigError


def refuse_sharding() -> None:
    """Refuse processes that share the weights of a model (FSDP), where each is to hold all of them.

    Raises:
        ConfigError: if they were launched like that.
    """
    if os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true":
        raise ConfigError(
            "Here every process trains a whole model, and FSDP spreads one over all; launch it with --config_file "
            "recipes/accelerate/ddp.yaml."
        )


class ReplicatedTrainer(Trainer):
    """Trains on the same batches in every process.

    The stock ``Trainer`` deals the rows out to the processes, so that two of them draw other dropout masks and end with
    other weights than one. What judges the rows of a pool must not depend on how many processes were launched. Here
    each process reads every batch; the average of equal gradients is that gradient, and the processes stay equal.

    Meant for warm-up sets of some per cent of a pool, where sharing the work would save little.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        refuse_sharding()
        super().__init__(*args, **kwargs)
        # Scaling by the number of processes is for batches that were dealt out.
        self.args.average_tokens_across_devices = False

    def get_train_dataloader(self) -> DataLoader[Any]:
        """All rows in an order drawn from the seed, not dealt out."""
        dataset: Any = self.train_dataset
        generator = torch.Generator().manual_seed(self.args.seed)
        return DataLoader(
            dataset,
            batch_size=self.args.per_device_train_batch_size,
            sampler=RandomSampler(dataset, generator=generator),
            collate_fn=self.data_collator,
        )
