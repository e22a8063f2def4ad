"""The engine on a GPU against the engine on the CPU: sums of every kind, and the projection place by place."""

import numpy as np
import pytest
import torch

from hf_select.signals.gradients.engine import gradient_engine
from hf_select.signals.gradients.loss import ResponseLoss
from hf_select.signals.gradients.projection import SparseProjection
from hf_select.signals.gradients.reduction import Dots, SquaredNorm, UpdateDots
from hf_select.signals.gradients.update import AdamUpdate, Moments
from hf_select.signals.gradients.weight import float64_forward
from hf_select.signals.layout import Layout
from hf_select.signals.reader import Way

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def sums_on(device, model, layout, segments):
    model = model.to(device)
    loss = ResponseLoss(model, Way(layout, applies_head=True), segments)
    with gradient_engine(loss) as engine:
        truth = [engine.plain_gradient(loss, row) for row in range(3)]
        directions = {name: torch.stack([row[name] for row in truth]) for name in truth[0]}
        moments = {
            name: Moments(directions[name][0] / 10, directions[name][1].square(), 5, (0.9, 0.99), 1e-3)
            for name in directions
        }
        reductions = [
            SquaredNorm(),
            Dots({name: part[:2] for name, part in directions.items()}),
            Dots(directions),
            UpdateDots(AdamUpdate(moments), directions),
            SparseProjection(1024),
        ]
        return engine.read(loss, np.arange(len(segments)), reductions).sums


@pytest.mark.parametrize("layout", [Layout.PACKED, Layout.PADDED])
@pytest.mark.parametrize("tied", [False, True])
def test_a_gpu_gives_the_sums_of_the_cpu(tied, layout, make_model, some_segments):
    fields = {"tie_word_embeddings": tied, "hidden_size": 64}
    expected = sums_on("cpu", make_model("llama", **fields), layout, some_segments)
    found = sums_on("cuda", make_model("llama", **fields), layout, some_segments)
    assert len(found) == 5
    for of_gpu, of_cpu in zip(found, expected, strict=True):
        scale = np.abs(of_cpu).max(axis=0, keepdims=True).clip(1e-3)
        assert (np.abs(of_gpu - of_cpu) / scale).max() < 2e-3


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["llama", "gpt_neox"])
@torch.no_grad()
def test_a_forward_pass_in_float64_is_that_of_the_cpu(family, attention, make_model):
    ids = torch.arange(2, 26).view(2, 12)
    logits = []
    for device in ("cpu", "cuda"):
        model = make_model(family).eval().to(device)
        model.set_attn_implementation(attention)
        with float64_forward(model):
            logits.append(model(input_ids=ids.to(device), use_cache=False).logits.cpu())
    assert logits[1].dtype == torch.float64
    np.testing.assert_allclose(logits[1], logits[0], atol=1e-10)
