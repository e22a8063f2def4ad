"""How segments lie in the model's input: one flat row without padding, or padded rows with a mask.

segments    a a a | b b
packed      input_ids [a a a b b]   position_ids [0 1 2 0 1]   cu_seq_lens [0 3 5]
restarted   the same without cu_seq_lens: the model itself reads the segments off the positions
padded      input_ids [a a a]       attention_mask [1 1 1]
                      [b b .]                      [1 1 0]
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import torch

from hf_select.signals.plan import TokenIds


class Layout(str, Enum):
    """The ways to put segments into one forward pass, best first."""

    PACKED = "packed"
    RESTARTED = "restarted"
    PADDED = "padded"


class Inputs(NamedTuple):
    """What one forward pass is given.

    Attributes:
        kwargs: keyword arguments of the model.
        starts: where each segment begins in the flattened ``(rows * length)`` tokens.
    """

    kwargs: dict[str, Any]
    starts: list[int]


def lay_out(sequences: Sequence[TokenIds], layout: Layout, device: torch.device) -> Inputs:
    """Put token sequences into the input of one forward pass.

    Args:
        sequences: token ids of each segment, none of them empty.
        layout: where they go.
        device: where the tensors go.

    Returns:
        The inputs.
    """
    lengths = [len(sequence) for sequence in sequences]
    if layout is Layout.PADDED:
        longest = max(lengths)
        ids = np.zeros((len(sequences), longest), dtype=np.int64)
        mask = np.zeros((len(sequences), longest), dtype=np.int64)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        kwargs = {
            "input_ids": torch.from_numpy(ids).to(device),
            "attention_mask": torch.from_numpy(mask).to(device),
            "use_cache": False,
        }
        return Inputs(kwargs, [row * longest for row in range(len(sequences))])
    flat = np.concatenate(sequences).astype(np.int64)
    positions = np.concatenate([np.arange(length) for length in lengths])
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    kwargs = {
        "input_ids": torch.from_numpy(flat).to(device)[None],
        "position_ids": torch.from_numpy(positions).to(device)[None],
        "use_cache": False,
    }
    if layout is Layout.PACKED:
        cu_seq_lens = torch.from_numpy(bounds.astype(np.int32)).to(device)
        kwargs |= {
            "cu_seq_lens_q": cu_seq_lens,
            "cu_seq_lens_k": cu_seq_lens,
            "max_length_q": max(lengths),
            "max_length_k": max(lengths),
        }
    return Inputs(kwargs, bounds[:-1].tolist())
