"""The last layer of a model, of which only the tokens that are read are worth computing.

Other tokens ask the last layer for a token's key and value alone. What follows at that token, the projection of the
attention's output and the feed-forward block, concerns nobody but the head: so it runs where the head reads, and the
states of all other tokens stay unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

_BLOCKS = ("self_attn.o_proj", "mlp")  # each reads one token at a time
_WORTHWHILE = 0.9  # share of the tokens above which picking them out costs more than it saves


def last_blocks(body: nn.Module) -> list[nn.Module]:
    """The blocks of the last layer that read one token at a time.

    Args:
        body: a model of transformers without its head.

    Returns:
        Those that are known by name, maybe none.
    """
    n_layers = getattr(getattr(body, "config", None), "num_hidden_layers", None)
    stacks = [part for part in body.modules() if isinstance(part, nn.ModuleList) and len(part) == n_layers]
    if len(stacks) != 1:
        return []
    parts = dict(stacks[0][-1].named_modules())
    return [parts[name] for name in _BLOCKS if name in parts]


@contextmanager
def read_only_at(positions: torch.Tensor, shape: torch.Size, blocks: Sequence[nn.Module]) -> Iterator[None]:
    """Run blocks at some tokens alone; their output is zero at the others.

    Args:
        positions: ``(P,)`` int64, places in the flattened tokens of the batch.
        shape: ``(B, L)``, rows of the batch and their length, padding included.
        blocks: the blocks.

    Yields:
        None: forward passes are run inside; one raises TypeError where a block is of another kind.
    """
    if not len(positions) or len(positions) > _WORTHWHILE * shape.numel():
        yield
        return
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block.register_forward_pre_hook(lambda _, given: _picked(given, positions)))
            stack.enter_context(block.register_forward_hook(lambda _, __, output: _put_back(output, positions, shape)))
        yield


def _picked(given: tuple[Any, ...], positions: torch.Tensor) -> tuple[Any, ...]:
    """The input of a block, at the positions: ``(B, L, D)`` -> ``(1, P, D)``."""
    if len(given) != 1 or given[0].ndim != 3:
        raise TypeError("This block reads something else than one state for each token.")
    return (given[0].flatten(0, 1)[positions.to(given[0].device)][None],)


def _put_back(output: torch.Tensor, positions: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """The output of a block, at its place: ``(1, P, D)`` -> ``(B, L, D)``."""
    if not isinstance(output, torch.Tensor):
        raise TypeError("This block gives something else than one state for each token.")
    whole = output.new_zeros(shape.numel(), output.shape[-1])
    whole[positions.to(output.device)] = output[0]
    return whole.view(*shape, -1)
