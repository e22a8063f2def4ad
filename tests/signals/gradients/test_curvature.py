"""Eigenpairs of a Hessian against the Hessian written out, and the step they make right to second order."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.gradients.capture import Capture
from hf_select.signals.gradients.curvature import _ritz_pairs, leading_curvature
from hf_select.signals.gradients.direction import reference_directions
from hf_select.signals.gradients.engine import GradientEngine, gradient_engine
from hf_select.signals.gradients.loss import make_loss
from hf_select.signals.gradients.one_step import CURVED, OneStep, OneStepInfluence, one_step_values
from hf_select.signals.gradients.validation import Validation, make_validation
from tests.signals.gradients import step_case as case
from tests.signals.gradients.test_oracle import Quadratic

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

pool, reference, make_source = case.pool, case.reference, case.make_source  # fixtures
finite, warm = case.finite, case.warm


def hessian_of(model, parameters, loss, rows):
    """``(P, P)`` second derivatives of a mean loss, by autograd twice."""
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    from hf_select.training.attention import plain_attention

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), plain_attention(model):
        value = torch.stack([loss.batch(np.asarray([row])).losses()[0] for row in rows]).mean()
        first = torch.autograd.grad(value, list(parameters.values()), create_graph=True)
        flat = torch.cat([part.flatten() for part in first])
        second = [
            torch.cat([part.flatten() for part in torch.autograd.grad(number, list(parameters.values()),
                       retain_graph=True)])
            for number in flat
        ]  # fmt: skip
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    return torch.stack(second).detach()


def test_the_leading_eigenpairs_are_those_of_the_hessian_written_out(make_source, make_model):
    """Of the norms of a GPT-2 in float64, few enough for all second derivatives."""
    model = make_model("gpt2").double()
    source = make_source(model)
    loss, validation = make_loss(source), make_validation(source)
    with gradient_engine(loss, r"ln_") as engine:
        n_parameters = sum(engine.sizes.values())
        assert 40 <= n_parameters <= 500
        gradients = reference_directions(engine, validation.losses, of_units=False, unit=False)
        found = leading_curvature(engine, validation.losses, validation.batches, gradients, 24)
        for task, name in enumerate(validation.losses):
            rows = np.concatenate(validation.batches[name])
            hessian = hessian_of(model, engine.parameters, validation.losses[name], rows)
            true = torch.linalg.eigvalsh(hessian).numpy()
            values = np.sort(found.values[task])
            np.testing.assert_allclose(values[-3:], true[-3:], rtol=1e-4)
            in_order = [found.vectors[name] for name in engine.parameters]
            vectors = torch.cat([part[24 * task : 24 * (task + 1)].flatten(1) for part in in_order], 1)
            np.testing.assert_allclose((vectors @ vectors.T).numpy(), np.eye(24), atol=1e-8)
            best = vectors[int(np.argmax(found.values[task]))]
            np.testing.assert_allclose((hessian @ best).numpy(), (values[-1] * best).numpy(), atol=1e-3 * values[-1])


def test_golden_of_a_quadratic_is_met_with_its_curvature():
    """The oracle's -0.02973950419311: with three numbers to move, sixteen eigenpairs are all there are."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(8, 3)), rng.normal(size=8)
    model = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.2, -0.1, 0.4]], dtype=torch.float64))
    validation, row = Quadratic(model, inputs, targets), Quadratic(model, [[1.0, 2.0, -1.0], [0.3, 0.1, 2.0]], [0.5, 0])
    parameters = dict(model.named_parameters())
    source = SimpleNamespace(
        models=SimpleNamespace(companions=SimpleNamespace(optimizer=torch.optim.SGD(model.parameters(), lr=0.05))),
        options=SimpleNamespace(max_tokens_per_batch=100),
    )
    engine = GradientEngine(row, parameters, Capture(model, parameters))
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    found = OneStepInfluence(
        OneStep("curved_16", None, None), engine, row, Validation({"v": validation}, {"v": validation}, 100), source,
        None,
    ).read(np.array([0, 1]))  # fmt: skip
    assert found[0, 0] == pytest.approx(-0.02973950419311, abs=1e-13)


@pytest.mark.parametrize("kind", ["sgd", "adamw", "fresh"])
def test_curvature_brings_large_steps_nearer_to_the_oracle(kind, make_source, make_model):
    model = make_model("gpt2").double()
    source = make_source(model, warm(model, kind))
    rate = 0.1 if kind == "sgd" else 3e-3
    oracle = finite(one_step_values(OneStep("oracle", rate, 1.0), source))
    errors = {
        engine: float(np.abs(finite(one_step_values(OneStep(engine, rate, 1.0), source)) - oracle).mean())
        for engine in ("exact", "anchored", *CURVED)
    }
    assert errors["curved_16"] < 0.7 * errors["anchored"]
    assert errors["curved_64"] < errors["curved_16"]


def test_a_loss_that_breaks_beside_the_weights_is_told():
    with pytest.raises(ModelError, match="not finite beside the weights"):
        _ritz_pairs(lambda vector: vector * float("nan"), torch.ones(5), 3)


def test_a_mean_gradient_is_the_mean_of_gradients(make_source, make_model):
    loss = make_loss(make_source(make_model("llama")))
    rows = np.flatnonzero(loss.lengths)
    with gradient_engine(loss) as engine:
        found = engine.mean_gradient(loss, [rows[:4], rows[4:]])
        alone = [engine.plain_gradient(loss, row) for row in rows.tolist()]
    assert len(found) > 5
    for name, part in found.items():
        mean = torch.stack([one[name] for one in alone]).mean(0)
        torch.testing.assert_close(part, mean, rtol=1e-3, atol=1e-6)
