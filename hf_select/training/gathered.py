"""A model that FSDP2 shards, and its optimiser, made whole in every process for a while.

Everything happens in place, so adapters, hooks and what refers to the model stay as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def gathered(model: nn.Module, optimizer: Any = None) -> Iterator[None]:
    """Hold all weights in every process; each may run the model by itself meanwhile, without the others.

    The weights have the dtype in which FSDP2 computes (``param_dtype`` of its mixed precision). What is changed in them
    is lost. A model that FSDP2 does not shard is left alone. All processes enter together.

    Args:
        model: the model.
        optimizer: its optimiser, possibly inside the wrapper of ``accelerate``, to gather the state of too.

    Yields:
        None: nothing; model and optimiser are whole in place.
    """
    shards = _shards(model)
    if not shards:
        yield
        return
    sharded = dict(model.named_parameters())
    with ExitStack() as left:
        for shard in shards:
            shard.unshard()
            left.callback(shard.reshard)
        for module in model.modules():
            _silence(module._forward_pre_hooks, left)
            _silence(module._forward_hooks, left)
        if optimizer is not None:
            inner = optimizer.optimizer if hasattr(optimizer, "optimizer") else optimizer
            whole = dict(model.named_parameters())
            _gather_state(inner, {id(part): whole[name] for name, part in sharded.items()}, left)
        yield


def _shards(model: nn.Module) -> list[Any]:
    """The modules that FSDP2 shards, from the root on."""
    if not torch.distributed.is_available():
        return []
    from torch.distributed.fsdp import FSDPModule

    return [module for module in model.modules() if isinstance(module, FSDPModule)]


def _silence(hooks: dict[int, Any], left: ExitStack) -> None:
    """Have FSDP2's hooks, which talk to the other processes, do nothing until ``left`` is left."""
    for number, hook in hooks.items():
        bound = hook
        while not hasattr(bound, "__self__") and hasattr(bound, "__wrapped__"):
            bound = bound.__wrapped__
        if type(getattr(bound, "__self__", None)).__module__.startswith("torch.distributed.fsdp."):
            left.callback(hooks.__setitem__, number, hook)
            hooks[number] = _nothing


def _nothing(*args: Any) -> None:
    """A hook that changes nothing."""


def _gather_state(optimizer: torch.optim.Optimizer, whole: dict[int, nn.Parameter], left: ExitStack) -> None:
    """Have the optimiser train the whole parameters, with whole state, until ``left`` is left."""
    state = optimizer.state
    left.callback(setattr, optimizer, "state", state)
    for group in optimizer.param_groups:
        left.callback(group.__setitem__, "params", group["params"])
        group["params"] = [whole.get(id(part), part) for part in group["params"]]
    optimizer.state = defaultdict(dict)
    for part, known in state.items():
        optimizer.state[whole.get(id(part), part)] = {
            name: value.full_tensor() if hasattr(value, "full_tensor") else value for name, value in known.items()
        }
