"""Hooks that turn one backward pass into the gradients of each parameter for each sample.

The weights' own gradients are off; the output of the first layer that is watched becomes a leaf, so autograd computes
gradients of activations alone, and only above that layer. A parameter's gradient is handed on as soon as the last use
of it came back, and freed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from hf_select.signals.gradients.factor import Factors, TouchedRows
from hf_select.signals.gradients.gradient import ParameterGradient
from hf_select.signals.gradients.layer import Call, Part, Rule, rule_of
from hf_select.signals.gradients.span import BatchShape

Sink = Callable[[ParameterGradient], None]


class Capture:
    """Hooks on the layers that hold given parameters.

    Attributes:
        hooked: names of the parameters that a hooked layer holds.
        strays: names of parameters whose layer saw tokens that could not be told apart by sample.
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, nn.Parameter]) -> None:
        """Register the hooks; they do nothing outside of ``reading``.

        Args:
            model: the model.
            parameters: parameters of the model by name.
        """
        self.hooked: set[str] = set()
        self.strays: set[str] = set()
        self._shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
        self._handles: list[Any] = []
        self._batch: BatchShape | None = None
        self._sink: Sink | None = None
        self._pending: Counter[str] = Counter()
        self._found: dict[str, ParameterGradient] = {}
        names = {id(parameter): name for name, parameter in parameters.items()}
        for module in model.modules():
            held = {
                local: names[id(parameter)]
                for local, parameter in module.named_parameters(recurse=False)
                if id(parameter) in names
            }
            rule = rule_of(module) if held else None
            if rule is not None:
                self._watch(module, rule, held)

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()

    @contextmanager
    def reading(self, batch: BatchShape, sink: Sink) -> Iterator[None]:
        """Watch one forward and backward pass.

        Args:
            batch: the samples of the batch.
            sink: called with the gradients of each parameter that the pass uses.

        Yields:
            None: the pass is run inside.
        """
        self._batch, self._sink = batch, sink
        try:
            yield
            for name in list(self._found):  # one use of the parameter did not take part in the loss
                self._hand_on(name)
        finally:
            self._batch = self._sink = None
            self._pending.clear()
            self._found.clear()

    def _watch(self, module: nn.Module, rule: Rule, held: dict[str, str]) -> None:
        self.hooked |= set(held.values())
        if isinstance(module, nn.Embedding):
            self._handles.append(module.register_forward_pre_hook(self._before_embedding))
        after = partial(self._after, rule, held)
        self._handles.append(module.register_forward_hook(after, with_kwargs=True))

    def _before_embedding(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Positions are often looked up once for all rows of a batch; each row needs a gradient of its own."""
        if self._batch is None or not args:
            return None
        ids, n_samples = args[0], self._batch.n_samples
        is_shared = ids.numel() * n_samples == self._batch.tokens.n_flat and n_samples > 1
        return (ids.reshape(1, -1).expand(n_samples, -1), *args[1:]) if is_shared else None

    def _after(
        self, rule: Rule, held: dict[str, str], module: nn.Module, args: Any, kwargs: Any, output: torch.Tensor
    ) -> torch.Tensor | None:
        if self._batch is None:
            return None
        axis = self._batch.spans_of(output.shape[:-1])
        if axis is None:
            self.strays |= set(held.values())
            return None
        inputs = args[0] if args else next(iter(kwargs.values()))
        watched = output if output.requires_grad else output.detach().requires_grad_()
        self._pending.update(held.values())
        watched.register_hook(partial(self._received, rule, held, Call(module, inputs.detach(), *axis)))
        return watched

    def _received(self, rule: Rule, held: dict[str, str], call: Call, gradient: torch.Tensor) -> None:
        parts = rule(call, gradient)
        for local, name in held.items():
            found = self._gradient(name, parts[local], call.spans.n_samples)
            self._found[name] = self._found[name].plus(found) if name in self._found else found
            self._pending[name] -= 1
            if not self._pending[name]:
                self._hand_on(name)

    def _gradient(self, name: str, part: Part, n_samples: int) -> ParameterGradient:
        shape = self._shapes[name]
        if isinstance(part, Factors):
            return ParameterGradient(name, shape, n_samples, factors=part)
        if isinstance(part, TouchedRows):
            return ParameterGradient(name, shape, n_samples, touched=part)
        return ParameterGradient(name, shape, n_samples, vector=part)

    def _hand_on(self, name: str) -> None:
        assert self._sink is not None
        self._sink(self._found.pop(name))
