"""How segments lie in the input: the pictures of the module's docstring."""

import numpy as np
import torch

from hf_select.signals.layout import Layout, lay_out

SEQUENCES = [np.array([7, 8, 9], np.int32), np.array([4, 5], np.int32)]
CPU = torch.device("cpu")


def test_packed() -> None:
    inputs = lay_out(SEQUENCES, Layout.PACKED, CPU)
    assert inputs.starts == [0, 3]
    assert inputs.kwargs["input_ids"].tolist() == [[7, 8, 9, 4, 5]]
    assert inputs.kwargs["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert inputs.kwargs["cu_seq_lens_q"].tolist() == [0, 3, 5]
    assert inputs.kwargs["cu_seq_lens_q"].dtype == torch.int32
    assert inputs.kwargs["max_length_k"] == 3
    assert "attention_mask" not in inputs.kwargs


def test_restarted_is_packed_without_bounds() -> None:
    packed, restarted = (lay_out(SEQUENCES, layout, CPU) for layout in (Layout.PACKED, Layout.RESTARTED))
    assert set(packed.kwargs) - set(restarted.kwargs) == {
        "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"
    }  # fmt: skip
    assert restarted.kwargs["use_cache"] is False


def test_padded() -> None:
    inputs = lay_out(SEQUENCES, Layout.PADDED, CPU)
    assert inputs.starts == [0, 3]
    assert inputs.kwargs["input_ids"].tolist() == [[7, 8, 9], [4, 5, 0]]
    assert inputs.kwargs["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
