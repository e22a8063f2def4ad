"""Dropout with masks that all rows share: sample ``k`` is one and the same model, whatever it reads.

Plain dropout draws anew for every row, so the joint information of two rows means nothing (BatchBALD needs it). Here
the model stays in evaluation mode, and a hook on every dropout layer multiplies its output by a mask over the features
(the last dimension), the same at all positions of all rows. A mask is a function of seed, sample, name of the layer and
width alone: values depend neither on the batch nor on the order nor on the number of processes, and no global random
state is touched.

Dropout of attention probabilities stays off: its last dimension is the positions of one batch, and most models apply it
inside their attention kernel, where no layer is called.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import torch
import xxhash
from torch.utils.hooks import RemovableHandle

_OF_ATTENTION = re.compile(r"(attn|attention)(_probs?)?_drop(out)?")
_QUERIES = frozenset({"q", "query", "query_proj", "q_proj", "q_lin", "query_key_value"})


def dropout_layers(model: torch.nn.Module) -> dict[str, torch.nn.Dropout]:
    """The dropout layers that may act on features: those with ``p`` above 0 that are not for attention probabilities.

    Args:
        model: any model.

    Returns:
        The layers by name.
    """
    found = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, torch.nn.Dropout) or layer.p <= 0:
            continue
        parent, _, own = name.rpartition(".")
        beside = {child for child, _ in model.get_submodule(parent).named_children()}
        if not (_OF_ATTENTION.fullmatch(own) or (own == "dropout" and beside & _QUERIES)):
            found[name] = layer
    return found


class SharedMasks(AbstractContextManager[None]):
    """One sample of dropout masks; a model reads under it inside ``with``, any number of times.

    Args:
        model: the model, in evaluation mode while it is read.
        seed: of all samples.
        sample: number of the sample.
    """

    def __init__(self, model: torch.nn.Module, seed: int, sample: int) -> None:
        self._layers = dropout_layers(model)
        self._seed, self._sample = seed, sample
        self._masks: dict[tuple[str, int], torch.Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> None:
        """Put the hooks on."""
        for name, layer in self._layers.items():
            self._handles.append(layer.register_forward_hook(partial(self._drop, name)))

    def __exit__(self, *_: object) -> None:
        """Take the hooks off."""
        while self._handles:
            self._handles.pop().remove()

    def _drop(self, name: str, layer: torch.nn.Dropout, _: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        if output.ndim > 3:  # (rows, heads, positions, positions): attention probabilities
            return output
        key = name, output.shape[-1]
        if key not in self._masks:
            mask = dropout_mask(self._seed, self._sample, *key, layer.p)
            self._masks[key] = mask.to(output.device, output.dtype)
        return output * self._masks[key]


def dropout_mask(seed: int, sample: int, name: str, width: int, p: float) -> torch.Tensor:
    """The mask of one layer in one sample.

    Args:
        seed: of all samples.
        sample: number of the sample.
        name: name of the layer.
        width: features.
        p: share of the features that is dropped, in expectation.

    Returns:
        ``(width,)`` float32: 0, or ``1 / (1 - p)``.
    """
    key = xxhash.xxh3_128_intdigest(f"{seed} {sample} {name} {width}".encode())
    is_kept = np.random.default_rng(key).random(width) >= p
    return torch.from_numpy((is_kept / max(1 - p, 1e-12)).astype(np.float32))
