"""The classifier pass: what a sequence classifier says of every row, in one forward.

A row is read as its text: the prompt, and the response where it has one, without a template.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from hf_select.signals.classifier_encoding import encode_texts
from hf_select.signals.classifier_engine import run_classifier
from hf_select.signals.classifier_reader import ClassifierReader
from hf_select.signals.forward import unit_rows
from hf_select.signals.identity import texts_hash
from hf_select.signals.keys import (
    CLASS_PROBABILITIES,
    EMBEDDING,
    EXPECTED_GRADIENT_LENGTH,
    PENULTIMATE_STATE,
    Signal,
    Values,
)
from hf_select.signals.source import Source
from hf_select.signals.store import Arrays, Store
from hf_select.signals.text import row_text


def classifier_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read probabilities, penultimate states, expected gradient lengths and the model's own ``EMBEDDING``.

    Args:
        wanted: which of them.
        source: rows and models.

    Returns:
        Their arrays; NaN for a row without text.
    """
    needs_states = any(signal != CLASS_PROBABILITIES for signal in wanted)
    found = read_classes(source, row_text(source.rows).tolist(), states=needs_states)
    values: Values = {}
    for signal, name in (
        (CLASS_PROBABILITIES, "probabilities"),
        (PENULTIMATE_STATE, "state"),
        (EXPECTED_GRADIENT_LENGTH, "gradient_length"),
    ):
        if signal in wanted:
            values[signal] = found[name]
    if EMBEDDING in wanted:
        values[EMBEDDING] = unit_rows(found["state"])
    return values


def read_classes(
    source: Source, texts: Sequence[str], *, name: str = "classifier", states: bool = False, tells: bool = True
) -> Arrays:
    """Read texts with the classifier; texts that were read before come from the store, whatever asked for them.

    Args:
        source: model and options.
        texts: ``N`` texts.
        name: what the progress bar says.
        states: read also what goes into the last layer.
        tells: warn how many texts are cut.

    Returns:
        As ``ClassifierReader.read``, one value per text.
    """
    models, options = source.models, source.options
    sequences = encode_texts(texts, models.tokenizer, source.max_length, tells=tells)
    identity = {} if options.cache_dir is False else models.model_identity
    return run_classifier(
        name,
        models.model,
        sequences,
        partial(ClassifierReader.read, states=states),
        max_tokens_per_batch=options.max_tokens_per_batch,
        store=classifier_store(source, texts, identity, states=states),
        progress=options.progress,
    )


def classifier_store(source: Source, texts: Sequence[str], model: dict[str, Any], **identity: Any) -> Store | None:
    """The store of texts that a classifier reads.

    Args:
        source: tokenizer and options.
        texts: the texts.
        model: identity of the model.
        **identity: what else the values depend on, as plain data.

    Returns:
        The store, or ``None`` if nothing is to be stored.
    """
    return source.store(
        "classifier",
        model=model,
        tokenizer=source.models.tokenizer_hash,
        max_length=source.max_length,
        max_tokens_per_batch=source.options.max_tokens_per_batch,
        texts=texts_hash(texts),
        **identity,
    )
