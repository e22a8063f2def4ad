"""Whose token is it."""

import torch

from hf_select.signals.gradients.span import BatchShape, Spans


def test_spans_of_one_length_are_a_view():
    flat = torch.arange(12.0).reshape(6, 2)
    rows = Spans((3, 3)).by_sample(flat)
    assert rows.shape == (2, 3, 2)
    assert rows.data_ptr() == flat.data_ptr()


def test_spans_are_filled_up_with_zeros_even_beside_numbers_that_are_not():
    flat = torch.tensor([[float("nan")], [1.0], [2.0], [3.0]])
    rows = Spans((1, 3)).by_sample(flat)
    assert torch.isnan(rows[0, 0])
    assert rows[0, 1:].tolist() == [[0.0], [0.0]]
    assert rows[1].tolist() == [[1.0], [2.0], [3.0]]


def test_each_position_has_its_sample():
    assert Spans((2, 1, 3)).sample_of(torch.device("cpu")).tolist() == [0, 0, 1, 2, 2, 2]


def test_a_tensor_is_told_by_its_leading_dimensions():
    tokens, targets = Spans((4, 4)), Spans((1, 2))
    shape = BatchShape(tokens, (targets,))
    assert shape.spans_of((2, 4)) == (tokens, 2)
    assert shape.spans_of((8,)) == (tokens, 1)
    assert shape.spans_of((2, 4, 5)) == (tokens, 2)  # heads come after the tokens
    assert shape.spans_of((3,)) == (targets, 1)
    assert shape.spans_of((1, 3)) == (targets, 2)
    assert shape.spans_of((5,)) is None


def test_what_a_batch_of_one_sample_sees_is_its_own():
    assert BatchShape(Spans((4,))).spans_of((2, 3)) == (Spans((6,)), 2)
