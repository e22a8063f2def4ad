"""The perturbed pass: a classifier reads each row in several wordings that mean the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from hf_select.errors import ConfigError
from hf_select.signals.classifier import read_classes
from hf_select.signals.keys import Signal, Values
from hf_select.signals.rewording import reword
from hf_select.signals.source import Source
from hf_select.signals.text import row_text


def perturbed_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Read signals of ``perturbed_probabilities``; variant 0 is the row itself.

    Args:
        wanted: which of them.
        source: rows, models and seed.

    Returns:
        ``(N, S, C)`` float32; NaN for a row without text.

    Raises:
        ConfigError: if fewer than 2 variants are asked for.
    """
    texts = row_text(source.rows).tolist()
    values: Values = {}
    for signal in wanted:
        n_variants = signal.parameters["n_variants"]
        if n_variants < 2:
            raise ConfigError(f"n_variants={n_variants}: one wording says nothing about agreement; take at least 2.")
        probabilities = [
            read_classes(
                source,
                [reword(text, variant, source.options.seed) for text in texts],
                name=f"perturbed ({variant + 1} of {n_variants})",
                tells=variant == 0,
            )["probabilities"]
            for variant in range(n_variants)
        ]
        values[signal] = np.stack(probabilities, axis=1)
    return values
