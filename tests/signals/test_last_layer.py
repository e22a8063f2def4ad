"""Blocks of the last layer run where losses are read, and give what they gave everywhere."""

import numpy as np
import pytest
import torch

from hf_select.signals.last_layer import last_blocks, read_only_at
from hf_select.signals.layout import Layout
from hf_select.signals.reader import Way, reader

# family -> blocks of the last layer that are known
N_BLOCKS = {"llama": 2, "qwen2": 2, "gpt2": 1, "gpt_neox": 1}


def readable(segments):
    return [segment for segment in segments if segment.n_tokens]


def tokens_read_by(blocks):
    """How many tokens each block was given, in the order of the calls."""
    seen = []
    for block in blocks:
        block.register_forward_hook(lambda _, given, __: seen.append(given[0].shape[:-1].numel()))
    return seen


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("family", N_BLOCKS)
def test_losses_are_the_same_and_fewer_tokens_are_read(family, layout, make_model, segments, plain_nll) -> None:
    model = make_model(family)
    some = readable(segments)
    blocks = last_blocks(model.base_model)
    assert len(blocks) == N_BLOCKS[family]
    with reader(model, Way(layout, applies_head=True, spares_last=True)) as ready:
        seen = tokens_read_by(blocks)
        found = ready.read(some, nll=True)["nll"]
    assert seen == [sum(len(segment.target) for segment in some)] * len(blocks)
    np.testing.assert_allclose(found, plain_nll(model, some), atol=1e-5)


def test_states_are_whole_where_they_are_asked_for(make_model, segments) -> None:
    model, some = make_model("llama"), readable(segments)
    found = []
    for spares in (False, True):
        with reader(model, Way(Layout.PACKED, applies_head=True, spares_last=spares)) as ready:
            found.append(ready.read(some, nll=True, pools=("row", "prompt")))
    for name in ("nll", "row", "prompt"):
        np.testing.assert_array_equal(found[0][name], found[1][name])


def test_the_model_is_left_as_it_was_after_an_error_too(make_model) -> None:
    model = make_model("llama").eval()
    blocks = last_blocks(model.base_model)
    ids = torch.arange(2, 12)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        with pytest.raises(IndexError), read_only_at(torch.tensor([50]), ids.shape, blocks):
            model(input_ids=ids)
        assert torch.equal(model(input_ids=ids).logits, before)
        with read_only_at(torch.tensor([3, 7]), ids.shape, blocks):
            some = model(input_ids=ids).logits
    torch.testing.assert_close(some[0, [3, 7]], before[0, [3, 7]])
    assert not torch.allclose(some[0, [2, 8]], before[0, [2, 8]], atol=1e-3)


class Pair(torch.nn.Module):
    """A feed-forward block that gives more than a state, as a mixture of experts may."""

    def forward(self, states):
        return states, states.sum()


def test_a_block_of_another_kind_is_told(make_model) -> None:
    model = make_model("llama")
    model.model.layers[-1].mlp = Pair()
    ids = torch.arange(4)[None]
    where = read_only_at(torch.tensor([1]), ids.shape, last_blocks(model.model))
    with torch.no_grad(), where, pytest.raises(TypeError, match="gives something else than one state for each token"):
        model(input_ids=ids)


def test_layers_that_are_not_known_are_left_alone() -> None:
    assert last_blocks(torch.nn.Linear(2, 2)) == []
