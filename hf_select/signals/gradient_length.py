"""Norm of the gradient of a response's loss with respect to the output head, without ever forming that gradient.

With ``delta_t`` the predicted probabilities less the token that came, and ``h_t`` what the head is given:

    || sum_t delta_t h_t^T ||^2  =  sum_{t,s} (delta_t . delta_s) (h_t . h_s)  [+ 1 in the last factor for a bias]

A head that does more than its matrix (scaled or capped logits) is taken for its matrix; a constant scale is a constant
factor of every norm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hf_select.signals.keys import Floats
from hf_select.signals.plan import Segment
from hf_select.signals.predictions import Predictions
from hf_select.signals.reader import Reader, inner_model


def head_gradient_lengths(ready: Reader, segments: Sequence[Segment]) -> Floats:
    """Norm of the gradient of each target's loss, summed over its tokens.

    Args:
        ready: the model, ready to be read.
        segments: ``n`` segments, none of them empty.

    Returns:
        ``(n,)`` float64; 0 without target.

    Source:
        Settles and Craven (2008), expected gradient length, for the last layer.
    """
    has_bias = getattr(inner_model(ready.model).get_output_embeddings(), "bias", None) is not None
    predictions = ready.predict(segments, needs_states=True)
    return np.asarray([_length(predictions, part, has_bias=has_bias) for part in predictions.segments])


def _length(predictions: Predictions, part: slice, *, has_bias: bool) -> float:
    blocks = list(predictions.chunks(part.start, part.stop))
    squared = 0.0
    for index, block in enumerate(blocks):
        ours = _factors(predictions, block)
        squared += gram_sum(*ours, *ours, has_bias=has_bias)
        for other in blocks[:index]:
            squared += 2 * gram_sum(*ours, *_factors(predictions, other), has_bias=has_bias)
    return float(np.sqrt(np.maximum(squared, 0.0)))  # np.maximum keeps NaN


def _factors(predictions: Predictions, block: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """``delta_t`` and ``h_t`` of some positions."""
    positions = predictions.read(block)
    assert positions.states is not None
    errors = positions.probabilities.clone()
    errors[torch.arange(len(errors), device=errors.device), positions.target_ids] -= 1
    return errors, positions.states.float()


def gram_sum(
    errors: torch.Tensor,
    states: torch.Tensor,
    other_errors: torch.Tensor,
    other_states: torch.Tensor,
    *,
    has_bias: bool,
) -> float:
    """``sum_{t,s} (delta_t . delta_s) (h_t . h_s [+ 1])`` over the positions of two blocks.

    Args:
        errors: ``(t, V)``.
        states: ``(t, D)``.
        other_errors: ``(s, V)``.
        other_states: ``(s, D)``.
        has_bias: whether the head has one.

    Returns:
        The sum, accumulated in float64.
    """
    of_errors = (errors @ other_errors.T).double()
    of_states = (states @ other_states.T).double() + float(has_bias)
    return float((of_errors.to(of_states.device) * of_states).sum())
