"""The stochastic pass: the same rows under several dropout masks, adapters or checkpoints.

By default the samples are dropout masks, shared by all rows (see ``dropout``); ``companions.ensemble`` puts models or
adapters in their place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hf_select.errors import TaskError
from hf_select.signals.classifier import classifier_store
from hf_select.signals.classifier_encoding import encode_texts
from hf_select.signals.classifier_engine import run_classifier
from hf_select.signals.classifier_reader import ClassifierReader, classifier_reader
from hf_select.signals.keys import Floats, Signal, Task, Values, stochastic_probabilities
from hf_select.signals.member import Member, check_difference, check_members, member_of
from hf_select.signals.plan import TokenIds
from hf_select.signals.source import Source
from hf_select.signals.text import row_text
from hf_select.signals.token_information import read_token_information

_N_COMPARED = 8  # rows, the longest ones, on which two members are compared


def stochastic_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``stochastic_probabilities`` and ``token_mutual_information``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        ``(N, S, C)`` float32 of a classifier, ``(N,)`` float64 of a language model; NaN for rows that cannot be read.

    Raises:
        TaskError: if a signal belongs to the other kind of model.
    """
    values: Values = {}
    for signal in wanted:
        n_samples = signal.parameters["n_samples"]
        of_classes = signal == stochastic_probabilities(n_samples)
        if of_classes != (source.models.task is Task.CLASSIFICATION):
            raise TaskError(
                f"Signal {signal.name!r} is not read from a {source.models.task.value} model; make the method with "
                f"task={source.models.task.value!r}."
            )
        check_members(source, n_samples)
        read = _class_probabilities if of_classes else read_token_information
        values[signal] = read(source, n_samples)
    return values


def _class_probabilities(source: Source, n_samples: int) -> NDArray[np.float32]:
    """``(N, S, C)``: one pass per member, each with a store of its own, so that more samples later build on fewer."""
    texts = row_text(source.rows).tolist()
    sequences = encode_texts(texts, source.models.tokenizer, source.max_length)
    first_two = [member_of(source, sample) for sample in (0, 1)]
    compared = sorted(filter(len, sequences), key=len, reverse=True)[:_N_COMPARED]
    if compared:
        check_difference(*(_logits(member, compared) for member in first_two))
    samples: list[Floats] = []
    for sample in range(n_samples):
        member = first_two.pop(0) if first_two else member_of(source, sample)
        identity = {} if source.options.cache_dir is False else member.models.model_identity
        found = run_classifier(
            f"stochastic ({sample + 1} of {n_samples})",
            member.models.model,
            sequences,
            partial(ClassifierReader.read, states=False),
            state=member.state,
            max_tokens_per_batch=source.options.max_tokens_per_batch,
            store=classifier_store(source, texts, identity, states=False, **member.identity),
            progress=source.options.progress,
        )
        samples.append(found["probabilities"])
    return np.stack(samples, axis=1)


def _logits(member: Member, sequences: Sequence[TokenIds]) -> torch.Tensor:
    with classifier_reader(member.models.model) as ready, member.state:
        return torch.cat([ready.outputs(ready.inputs([sequence])).logits for sequence in sequences])
