"""The members of an ensemble: dropout masks of one model, adapters of one model, or models of their own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch

from hf_select.errors import ConfigError, ModelError
from hf_select.signals.dropout import SharedMasks, dropout_layers
from hf_select.signals.models import Models
from hf_select.signals.source import Source

LEAST_DIFFERENCE = 1e-4
"""Two members whose logits all differ by less than this are one and the same; kernels alone differ by less."""

_REMEDIES = (
    "Give companions.ensemble (fine-tuned models, or names of the model's adapters), a LoRA adapter with lora_dropout "
    "above 0, or a model with dropout of hidden states; for a language model uq_icl varies demonstrations instead."
)


class Member(NamedTuple):
    """One member of an ensemble.

    Attributes:
        models: its model, with the tokenizer of all members.
        state: what the model is put into to be this member; can be entered again and again.
        identity: what makes it this member, besides its model, as plain data.
    """

    models: Models
    state: AbstractContextManager[None]
    identity: dict[str, Any]


def member_of(source: Source, sample: int) -> Member:
    """A member by its number; a model given by name is loaded when the member's model is first asked for.

    Args:
        source: model, companions and seed.
        sample: its number, from 0.

    Returns:
        The member.
    """
    models, ensemble = source.models, source.models.companions.ensemble
    if not ensemble:
        seed = source.options.seed
        return Member(models, SharedMasks(_bare(models.model), seed, sample), {"seed": seed, "sample": sample})
    given = ensemble[sample]
    if isinstance(given, str) and given in adapters_of(models.model):
        return Member(models, ActiveAdapter(_bare(models.model), given), {"adapter": given})
    return Member(Models(given, models.tokenizer, given_task=models.task), nullcontext(), {})


def check_members(source: Source, n_samples: int) -> None:
    """Refuse an ensemble that has not the number of members asked for, or a model without anything stochastic.

    Args:
        source: model and companions.
        n_samples: members asked for.

    Raises:
        ConfigError: if there are fewer than 2 samples, or if the ensemble has another number of members.
        ModelError: if there is neither an ensemble nor dropout of hidden states.
    """
    ensemble = source.models.companions.ensemble
    if n_samples < 2:
        raise ConfigError(f"n_samples={n_samples}: one sample says nothing about disagreement; take at least 2.")
    if ensemble and len(ensemble) != n_samples:
        raise ConfigError(
            f"companions.ensemble has {len(ensemble)} members and n_samples={n_samples}; make the method with "
            f"n_samples={len(ensemble)}."
        )
    if not ensemble and not dropout_layers(_bare(source.models.model)):
        raise ModelError(
            f"{type(source.models.model).__name__} has no dropout of hidden states with p above 0, so all samples "
            f"would be equal (dropout of attention probabilities is left off). {_REMEDIES}"
        )


def check_difference(first: torch.Tensor, second: torch.Tensor) -> None:
    """Refuse members that say the same.

    Args:
        first: ``(n, C)`` logits of one member.
        second: the same of another one.

    Raises:
        ModelError: if no logit differs by ``LEAST_DIFFERENCE``.
    """
    difference = float((first.double() - second.double()).abs().max())
    if difference < LEAST_DIFFERENCE:
        raise ModelError(
            f"Two samples differ by at most {difference:.1e} in every logit of the first {len(first)} rows or tokens: "
            f"nothing that is stochastic acts on them. {_REMEDIES}"
        )


class ActiveAdapter(AbstractContextManager[None]):
    """One adapter of a model is on inside ``with``, any number of times; then those that were on before.

    Args:
        model: a model with adapters (PEFT, or ``add_adapter`` of transformers).
        name: name of the adapter.
    """

    def __init__(self, model: torch.nn.Module, name: str) -> None:
        self._model: Any = getattr(model, "base_model", model) if hasattr(model, "get_base_model") else model
        self._name = name
        self._before: list[str] = []
        self._trainable: list[tuple[torch.nn.Parameter, bool]] = []

    def __enter__(self) -> None:
        """Switch the adapter on."""
        active = self._model.active_adapters
        self._before = list(active() if callable(active) else active)
        self._trainable = [(parameter, parameter.requires_grad) for parameter in self._model.parameters()]
        self._model.set_adapter([self._name])

    def __exit__(self, *_: object) -> None:
        """Switch back; ``set_adapter`` also changes what is trainable."""
        self._model.set_adapter(self._before)
        for parameter, requires_grad in self._trainable:
            parameter.requires_grad_(requires_grad)


def adapters_of(model: torch.nn.Module) -> Mapping[str, Any]:
    """The adapters of a model by name; none for a model without."""
    found: Mapping[str, Any] = getattr(_bare(model), "peft_config", {})
    return found


def _bare(model: torch.nn.Module) -> torch.nn.Module:
    from accelerate.utils import extract_model_from_parallel

    bare: torch.nn.Module = extract_model_from_parallel(model, keep_torch_compile=False)
    return bare
