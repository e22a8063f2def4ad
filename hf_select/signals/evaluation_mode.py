"""A model as it is read: in evaluation mode, without gradients and without a cache, and afterwards as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def evaluation_mode(model: torch.nn.Module, config: Any) -> Iterator[None]:
    """Evaluate a model inside, and restore the training flag of every module and ``config.use_cache`` afterwards.

    Args:
        model: the model, out of its parallel wrapper.
        config: the configuration of the model of transformers inside it.

    Yields:
        None: the model is changed in place. Global random state is not touched.
    """
    modes = [(module, module.training) for module in model.modules()]
    use_cache = getattr(config, "use_cache", None)
    try:
        model.eval()
        if use_cache is not None:
            config.use_cache = False
        with torch.inference_mode():
            yield
    finally:
        if use_cache is not None:
            config.use_cache = use_cache
        for module, training in modes:
            module.training = training
