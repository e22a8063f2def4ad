"""Rules of layers that the engine's tests do not reach: reuse, padding tokens, unknown kinds."""

import torch
from torch import nn
from transformers.models.opt.modeling_opt import OPTLearnedPositionalEmbedding
from transformers.pytorch_utils import Conv1D

from hf_select.signals.gradients.capture import Capture
from hf_select.signals.gradients.layer import rule_of
from hf_select.signals.gradients.span import BatchShape, Spans

N, T, D, V = 3, 4, 6, 11


class Reused(nn.Module):
    """An embedding with a padding token, a layer that is called twice, and a head that is tied to the embedding."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, D, padding_idx=2)
        self.twice = nn.Linear(D, D)
        self.once = Conv1D(D, D)
        self.idle = nn.Linear(D, D)
        self.head = nn.Linear(D, V, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids):
        states = self.twice(torch.tanh(self.twice(self.embed(ids))))
        self.idle(states)  # does not take part in the result
        return self.head(torch.tanh(self.once(states))).square().mean((1, 2))


def test_reused_weights_are_summed_and_padding_is_not_learned():
    torch.manual_seed(0)
    model = Reused().double()
    ids = torch.randint(0, V, (N, T))
    ids[0, 1] = ids[2, 3] = 2
    named = dict(model.named_parameters())
    truth = [torch.autograd.grad(model(ids)[row], list(named.values()), allow_unused=True) for row in range(N)]
    for parameter in named.values():
        parameter.requires_grad_(False)
    capture, found = Capture(model, named), {}
    with capture.reading(BatchShape(Spans((T,) * N)), lambda gradient: found.update({gradient.name: gradient})):
        model(ids).sum().backward()
    capture.close()
    assert sorted(found) == ["embed.weight", "once.bias", "once.weight", "twice.bias", "twice.weight"]
    assert capture.strays == set()
    for row in range(N):
        for name, true in zip(named, truth[row], strict=True):
            if true is None:
                assert name.startswith("idle")
                continue
            whole = torch.zeros_like(true)
            for block in found[name].blocks(max_bytes=100):
                mine = block.samples == row
                whole[block.rows] += block.values[mine].sum(0)
            torch.testing.assert_close(whole, true, rtol=1e-9, atol=1e-12)


def test_a_layer_that_mixes_rows_is_noticed():
    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, D)

        def forward(self, states):
            return self.linear(states.sum(0)[:3])

    model = Mixing().requires_grad_(False)
    capture = Capture(model, dict(model.named_parameters()))
    states = torch.randn(2, T, D, requires_grad=True)
    with capture.reading(BatchShape(Spans((T, T))), lambda gradient: None):
        model(states).sum().backward()
    assert capture.strays == {"linear.weight", "linear.bias"}
    capture.close()


def test_hooks_do_nothing_outside():
    layer = nn.Linear(2, 2)
    capture = Capture(layer, dict(layer.named_parameters()))
    assert capture.hooked == {"weight", "bias"}
    assert layer(torch.ones(1, 2)).grad_fn is not None
    capture.close()
    assert not layer._forward_hooks


def test_layers_of_an_unknown_kind_have_no_rule():
    assert rule_of(nn.Conv1d(2, 2, 1)) is None
    assert rule_of(nn.BatchNorm1d(2)) is None  # not a row's own: it has a bias and looks across rows
    assert rule_of(OPTLearnedPositionalEmbedding(4, 2)) is None  # what it reads is not what it looks up
    assert rule_of(nn.LayerNorm(2)) is not None
    assert rule_of(nn.RMSNorm(2, eps=1e-6)) is not None
