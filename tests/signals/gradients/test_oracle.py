"""The oracle against torch itself: the model copied, its optimiser's own step taken, the loss written out."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hf_select.signals.gradients.capture import Capture
from hf_select.signals.gradients.engine import GradientEngine, gradient_engine
from hf_select.signals.gradients.loss import LossBatch
from hf_select.signals.gradients.one_step import OneStep, OneStepInfluence
from hf_select.signals.gradients.optimizer_state import live_state
from hf_select.signals.gradients.oracle import Oracle
from hf_select.signals.gradients.span import BatchShape, Spans
from hf_select.signals.gradients.step import make_step
from hf_select.signals.gradients.validation import Validation
from hf_select.signals.layout import Layout

OPTIMISERS = {
    "sgd": (torch.optim.SGD, {}, 3),
    "momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}, 3),
    "warm adamw": (torch.optim.AdamW, {"betas": (0.9, 0.95), "weight_decay": 0.1}, 3),
    "fresh adamw": (torch.optim.AdamW, {"weight_decay": 0.1}, 0),
}


def trained(model, name, rate=1e-3):
    """An optimiser after some clipped steps on made-up rows."""
    kind, settings, n_steps = OPTIMISERS[name]
    optimiser = kind(model.parameters(), lr=rate, **settings)
    generator = torch.Generator().manual_seed(1)
    for _ in range(n_steps):
        ids = torch.randint(2, 300, (4, 12), generator=generator)
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    return optimiser


def torchs_own(loss, reference, optimiser, row, max_norm):
    """Losses of the reference rows before less after, on a copy."""
    model, own = copy.deepcopy((loss.model, optimiser))
    model.eval()

    def loss_of(segments, place):
        context, target = segments[place]
        ids = torch.from_numpy(np.concatenate([context, target]).astype(np.int64))[None]
        logits = model(input_ids=ids, use_cache=False).logits[0, len(context) - 1 : -1]
        return F.cross_entropy(logits, ids[0, len(context) :])

    def losses():
        with torch.no_grad():
            return np.array([float(loss_of(reference.segments, place)) for place in range(len(reference.segments))])

    before = losses()
    for parameter in model.parameters():  # a row that does not use a parameter has gradient 0
        parameter.grad = torch.zeros_like(parameter)
    loss_of(loss.segments, row).backward()
    if max_norm is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    own.step()
    return before - losses()


@pytest.mark.parametrize("max_norm", [None, 0.5])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_step_is_torchs_own(name, max_norm, make_model, response_loss, some_segments):
    model = make_model("gpt2").double()
    optimiser = trained(model, name)
    loss, reference = response_loss(model), response_loss(model, some_segments[1:4])
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    with gradient_engine(loss) as engine:
        step = make_step(live_state(optimiser, engine.parameters), engine.parameters, None)
        oracle = Oracle(engine, loss, step, Validation({"one": reference}, {"one": reference}, 100), max_norm)
        found = [oracle.drops(row)[0] for row in (0, 4)]
        means = oracle.read(np.array([0, 4]))
    for drops, row in zip(found, (0, 4), strict=True):
        expected = torchs_own(loss, reference, optimiser, row, max_norm)
        assert np.abs(expected).min() > 1e-6
        np.testing.assert_allclose(drops, expected, atol=1e-12)
    np.testing.assert_allclose(means[:, 0], [drops.mean() for drops in found])
    assert all(torch.equal(kept, parameter) for kept, parameter in zip(weights, model.parameters(), strict=True))


class Quadratic:
    """``0.5 (x . theta - y)^2`` of each row."""

    layout = Layout.PADDED
    identity: dict = {}  # noqa: RUF012

    def __init__(self, model, inputs, targets):
        self.model, self.inputs, self.targets = model, torch.as_tensor(inputs), torch.as_tensor(targets)
        self.lengths = np.ones(len(inputs), dtype=np.int64)

    def probe(self):
        return Quadratic(self.model, [[1.0, 0.0, 2.0], [0.5, 1.0, -1.0]], [1.0, 2.0])

    def batch(self, rows):
        inputs, targets = self.inputs[rows].double(), self.targets[rows].double()
        shape = BatchShape(Spans((1,) * len(rows)))
        return LossBatch(shape, lambda: 0.5 * (self.model(inputs[:, None])[:, 0, 0] - targets) ** 2)


def test_golden_of_a_quadratic():
    """Oracle -0.02973950419311, first order -0.02522508526993; they differ by eta^2/2 g'Hg and nothing else."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(8, 3)), rng.normal(size=8)
    model = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.2, -0.1, 0.4]], dtype=torch.float64))
    validation = Quadratic(model, inputs, targets)
    row = Quadratic(model, [[1.0, 2.0, -1.0]], [0.5])
    parameters = dict(model.named_parameters())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    models = SimpleNamespace(companions=SimpleNamespace(optimizer=optimiser))
    source = SimpleNamespace(models=models, options=SimpleNamespace(max_tokens_per_batch=100))
    engine = GradientEngine(row, parameters, Capture(model, parameters))
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    values = {
        name: OneStepInfluence(
            OneStep(name, None, None), engine, row, Validation({"v": validation}, {"v": validation}, 100), source, None
        ).read(np.array([0]))[0, 0]
        for name in ("oracle", "exact", "linear", "plain")
    }
    assert values["oracle"] == pytest.approx(-0.02973950419311, abs=1e-14)
    assert values["exact"] == values["linear"] == pytest.approx(-0.02522508526993, abs=1e-14)
    assert values["plain"] == pytest.approx(-0.02522508526993 / 0.05, abs=1e-12)
    gradient = np.array([1.0, 2.0, -1.0]) * (np.array([1.0, 2.0, -1.0]) @ [0.2, -0.1, 0.4] - 0.5)
    curvature = 0.5 * 0.05**2 * gradient @ (inputs.T @ inputs / 8) @ gradient
    assert values["oracle"] - values["exact"] == pytest.approx(-curvature, abs=1e-14)


def test_a_loss_in_float32_would_lose_what_one_step_changes(make_model, response_loss, some_segments):
    """At learning rate 1e-6 the change is about the rounding of a float32 loss, whatever becomes of the logits."""
    model = make_model("llama")
    optimiser = trained(model, "sgd", 1e-6)
    loss = response_loss(model)
    drops = {}
    for dtype in (torch.float32, torch.float64):
        reference = response_loss(model, some_segments)
        exact = replace(reference, dtype=dtype)
        with gradient_engine(loss) as engine:
            step = make_step(live_state(optimiser, engine.parameters), engine.parameters, None)
            oracle = Oracle(engine, loss, step, Validation({"v": reference}, {"v": exact}, 200), 1.0, in_float64=False)
            drops[dtype] = oracle.drops(1)[0]
    spacing = np.spacing(np.float32(5.0))
    assert np.allclose(drops[torch.float32] / spacing * 8 % 1, 0)  # multiples of a float32's spacing
    assert not np.allclose(drops[torch.float64] / spacing * 8 % 1, 0)


def small_drops(model, response_loss, some_segments):
    """What a step of 1e-6 does to each reference row: by both oracles, and by where the float32 weights really went.

    To first order, which is wrong by the square of the rate, 1e-12.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss = response_loss(model)
    reference = replace(loss, dtype=torch.float64)
    with gradient_engine(loss) as engine:
        step = make_step(live_state(torch.optim.SGD(trainable, lr=1e-6), engine.parameters), engine.parameters, None)
        validation = Validation({"v": loss}, {"v": reference}, 200)
        found = [
            Oracle(engine, loss, step, validation, 1.0, in_float64=in_float64).drops(4)[0]
            for in_float64 in (True, False)
        ]
        gradient = engine.plain_gradient(loss, 4)
        norm = torch.stack([part.norm() for part in gradient.values()]).norm()
        assert norm > 1
        gone = {
            name: (weights - step.moved(name, weights, gradient[name] / norm)).detach().double()
            for name, weights in engine.parameters.items()
        }
        expected = [
            sum(float((gone[name] * part).sum()) for name, part in engine.plain_gradient(loss, row).items())
            for row in range(len(some_segments))
        ]
    return (*found, np.asarray(expected))


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize("name", ["llama", "qwen2", "gpt2", "gpt_neox", "lora"])
def test_the_losses_are_read_without_rounding(name, make_model, make_lora, response_loss, some_segments):
    model = make_lora() if name == "lora" else make_model(name)
    found, rounded, expected = small_drops(model, response_loss, some_segments)
    assert np.ptp(expected) > 3e-7
    assert np.abs(found - expected).max() < 1e-4 * np.ptp(expected)
    assert np.abs(rounded - expected).max() > 1e-2 * np.ptp(expected)


def test_the_losses_are_those_of_a_model_in_float64(make_model, response_loss, some_segments):
    """GPT-2 narrows nothing, so ``.double()`` is a second way to the same numbers."""
    model = make_model("gpt2")
    loss = response_loss(model)
    reference = replace(loss, dtype=torch.float64)
    with gradient_engine(loss) as engine:
        step = make_step(live_state(torch.optim.SGD(model.parameters(), lr=1e-6), engine.parameters),
                         engine.parameters, None)  # fmt: skip
        drops = Oracle(engine, loss, step, Validation({"v": loss}, {"v": reference}, 200), None).drops(4)[0]
        gradient = engine.plain_gradient(loss, 4)
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for name, weights in moved.named_parameters():
            weights.copy_(step.moved(name, weights, gradient[name]))
    losses = []
    for wide in (copy.deepcopy(model).double(), moved.double()):
        with gradient_engine(replace(reference, model=wide)) as engine:
            losses.append(engine.losses(engine.loss, np.arange(len(some_segments))))
    np.testing.assert_allclose(drops, losses[0] - losses[1], atol=1e-12)
