"""The demonstrations pass: a language model reads each row after several sets of labelled rows.

demonstrated_probabilities          text Label: 1 | text Label: 0 | text Label:     -> how likely each label is
demonstrated_mutual_information     prompt response | prompt response | prompt      -> how likely its response is
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from hf_select.errors import ConfigError, TaskError
from hf_select.signals.demonstrated_information import read_demonstrated_information
from hf_select.signals.keys import Signal, Task, Values
from hf_select.signals.label_probability import read_label_probabilities
from hf_select.signals.source import Source


def demonstration_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``demonstrated_probabilities`` and ``demonstrated_mutual_information``.

    Args:
        wanted: which of them.
        source: rows and models; ``labelled`` rows to draw demonstrations from.

    Returns:
        Their arrays.

    Raises:
        ConfigError: if there are no labelled rows or no language model, or a number cannot be used.
        TaskError: if responses are to be scored by a classifier.
    """
    values: Values = {}
    for signal in wanted:
        _check(signal, source)
        if signal.name.startswith("demonstrated_probabilities"):
            values[signal] = read_label_probabilities(_with_language_model(source), **signal.parameters)
        elif source.models.task is Task.CLASSIFICATION:
            raise TaskError(
                f"Signal {signal.name!r} is read of responses, and the model is a classifier; give a causal language "
                f"model, or make the method with task='classification'."
            )
        else:
            values[signal] = read_demonstrated_information(source, **signal.parameters)
    return values


def _check(signal: Signal[Any], source: Source) -> None:
    n_sets, n_demonstrations = signal.parameters["n_sets"], signal.parameters["n_demonstrations"]
    if n_sets < 2 or n_demonstrations < 1:
        raise ConfigError(
            f"n_sets={n_sets} must be at least 2 (one set cannot disagree with itself) and "
            f"n_demonstrations={n_demonstrations} at least 1."
        )
    if not source.labelled:
        raise ConfigError(
            f"Signal {signal.name!r} draws its demonstrations from labelled rows, and there are none: give labelled= "
            f"(a mask or row ids)."
        )


def _with_language_model(source: Source) -> Source:
    """The source with the model that answers: the companion, or the model itself where it writes text."""
    if source.models.companions.language_model is not None:
        options = replace(source.options, max_length=None)  # that is the classifier's; the companion has its own limit
        return replace(source, models=source.models.language, options=options)
    if source.models.task is Task.CAUSAL_LM:
        return source
    raise ConfigError(
        "Demonstrations are answered by a language model, and the model is a classifier: give "
        "companions={'language_model': ...} (a Hub id, a path, or (model, tokenizer))."
    )
