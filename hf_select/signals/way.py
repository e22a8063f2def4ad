"""In which way a model is read: the cheapest of those that give the model's own losses.

A model can be read packed or padded, with its head applied only where a loss is read or inside its own forward pass,
and with blocks of its last layer at the tokens that are read or at all of them. A way is taken only after
``check_packing`` found that segments do not see one another, and after it reproduced the losses of the plain model on
two short segments. So a model that leaks, or that scales or caps its logits, is read in the next way and never wrongly.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hf_select.errors import ModelError, PackingError
from hf_select.signals.last_layer import last_blocks
from hf_select.signals.layout import Layout
from hf_select.signals.plan import Segment
from hf_select.signals.reader import Way, bare_model, forward_parameters, inner_model, reader

logger = logging.getLogger("hf_select")

TOLERANCE = {torch.float64: 1e-9, torch.float32: 2e-5, torch.float16: 1e-2, torch.bfloat16: 2e-2}
"""How far losses of two ways to read a model may lie apart, by dtype."""

_PLAIN = Way(Layout.PADDED, applies_head=False)  # right by construction, whatever its rounding


def find_way(model: torch.nn.Module) -> Way:
    """The cheapest way to read a model that reproduces its own losses.

    Args:
        model: a causal language model of transformers, bare or wrapped (PEFT, DDP); its state is restored.

    Returns:
        The way; padded batches through the model's own forward pass if nothing else is right.
    """
    bare = bare_model(model)
    probe = _probe_segments(bare)
    with reader(bare, _PLAIN):
        expected = _plain_losses(bare, probe)
    way = next((way for way in _ways(bare) if _is_right(bare, way, probe, expected)), _PLAIN)
    if way.layout is Layout.PADDED:
        logger.warning("%s cannot be packed; it is read in padded batches, which is slower.", type(bare).__name__)
    if not way.applies_head:
        logger.info("%s does more to its logits than its head; its own forward computes them.", type(bare).__name__)
    return way


def _ways(model: torch.nn.Module) -> list[Way]:
    """The ways that are open to a model, cheapest first."""
    inner = inner_model(model)
    has_head = inner.base_model is not inner and inner.get_output_embeddings() is not None
    layouts = list(Layout) if "position_ids" in forward_parameters(model) else [Layout.PADDED]
    parts = [(True, True), (True, False), (False, False)] if has_head else [(False, False)]
    if has_head and not last_blocks(inner.base_model):
        parts.pop(0)
    return [Way(layout, *part) for layout in layouts for part in parts]


def _is_right(model: torch.nn.Module, way: Way, probe: Sequence[Segment], expected: NDArray[Any]) -> bool:
    """Whether a way keeps segments apart and gives the expected losses."""
    from hf_select.training.packing_check import check_packing

    tolerance = TOLERANCE.get(next(model.parameters()).dtype, 2e-2)
    try:
        with reader(model, way) as ready:
            if way.layout is not Layout.PADDED:
                check_packing(model)
            found = ready.read(probe, nll=True)["nll"]
    except (PackingError, TypeError) as reason:  # TypeError: a forward without the keyword arguments of packing
        logger.debug("%s cannot be read %s: %s", type(model).__name__, way.layout.value, reason)
        return False
    return bool(np.allclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True))


def _probe_segments(model: torch.nn.Module) -> list[Segment]:
    n_ids = int(inner_model(model).get_input_embeddings().weight.shape[0])
    ids = np.asarray([(7919 * position + 11) % n_ids for position in range(17)], dtype=np.int32)
    return [Segment(ids[:3], ids[3:9]), Segment(ids[9:10], ids[10:])]


def _plain_losses(model: torch.nn.Module, segments: Sequence[Segment]) -> NDArray[Any]:
    """Mean loss of each segment when the model reads it alone and does everything itself."""
    means = []
    device = next(model.parameters()).device
    for segment in segments:
        ids = torch.from_numpy(np.concatenate(segment).astype(np.int64)).to(device)
        logits = model(input_ids=ids[None], use_cache=False).logits[0]
        if len(logits) != len(ids):
            raise ModelError(
                f"{type(model).__name__} reads {len(logits)} tokens where {len(ids)} were given: it adds tokens of its "
                f"own (prompt or prefix tuning). Merge the adapter, or give a model with LoRA or without an adapter."
            )
        first = len(segment.context) - 1
        losses = F.cross_entropy(logits[first:-1].float(), ids[first + 1 :].to(logits.device), reduction="mean")
        means.append(float(losses))
    return np.asarray(means)
