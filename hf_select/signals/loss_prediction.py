"""The loss-prediction pass: a trained head says how large the loss of each row would be."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Any

from hf_select.errors import ConfigError
from hf_select.signals.classifier import classifier_store
from hf_select.signals.classifier_encoding import encode_texts
from hf_select.signals.classifier_engine import run_classifier
from hf_select.signals.classifier_reader import ClassifierReader
from hf_select.signals.identity import weights_hash
from hf_select.signals.keys import PREDICTED_LOSS, Signal, Values
from hf_select.signals.loss_head import LossHead
from hf_select.signals.loss_head_training import train_loss_head
from hf_select.signals.plan import TokenIds
from hf_select.signals.source import Source
from hf_select.signals.store import Arrays
from hf_select.signals.text import row_text


def loss_prediction_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read ``PREDICTED_LOSS`` with the head of the companions, else with one that learns on the labelled rows.

    Args:
        wanted: ``PREDICTED_LOSS``, or nothing.
        source: rows and models.

    Returns:
        ``(N,)`` float32; NaN for a row without text.
    """
    if PREDICTED_LOSS not in wanted:
        return {}
    models, options = source.models, source.options
    head = copy.deepcopy(_loss_head(source))
    texts = row_text(source.rows).tolist()

    def read(reader: ClassifierReader, sequences: Sequence[TokenIds]) -> Arrays:
        inputs = reader.inputs(sequences)
        outputs = reader.outputs(inputs, output_hidden_states=True)
        pooled = head.pool(outputs.hidden_states, inputs["attention_mask"])
        return {"predicted_loss": head.to(reader.device)(pooled.to(reader.device)).cpu().numpy()}

    identity = {} if options.cache_dir is False else models.model_identity
    found = run_classifier(
        "loss prediction",
        models.model,
        encode_texts(texts, models.tokenizer, source.max_length),
        read,
        max_tokens_per_batch=options.max_tokens_per_batch,
        store=classifier_store(source, texts, identity, loss_head=weights_hash(head), taps=head.taps),
        progress=options.progress,
    )
    return {PREDICTED_LOSS: found["predicted_loss"]}


def _loss_head(source: Source) -> LossHead:
    """The head that was given, else one trained on the labelled rows.

    Args:
        source: companions, model and labelled rows.

    Returns:
        The head.

    Raises:
        ConfigError: if there is neither a head nor a labelled row, or if what was given is no head.
    """
    given, options = source.models.companions.loss_head, source.options
    if given is None and not source.labelled:
        raise ConfigError(
            "Signal 'predicted_loss' needs a head that has learned on labelled rows: give companions.loss_head (from "
            "train_loss_head), or labelled= (a mask or row ids) to train one now."
        )
    if given is None:
        return train_loss_head(
            source.models.model,
            source.models.tokenizer,
            source.labelled,
            max_length=source.max_length,
            max_tokens_per_batch=options.max_tokens_per_batch,
            seed=options.seed,
            progress=options.progress,
        )
    if not isinstance(given, LossHead):
        raise ConfigError(
            f"companions.loss_head={type(given).__name__} is no LossHead; train one with train_loss_head."
        )
    return given
