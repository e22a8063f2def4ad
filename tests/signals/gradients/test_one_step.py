"""The engines of DIScore against the formula written out with autograd, and against the oracle."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_select.rows import Row
from hf_select.signals.gradients.loss import make_loss
from hf_select.signals.gradients.one_step import OneStep, one_step_values
from hf_select.signals.gradients.optimizer_state import live_state
from hf_select.signals.gradients.parameter import scored_parameters
from hf_select.signals.gradients.step import make_step
from tests.signals.gradients import step_case as case

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

pool, reference, make_source = case.pool, case.reference, case.make_source  # fixtures
finite, warm = case.finite, case.warm

EXACT = OneStep("exact", None, 0.5)


def written_out(source, asked, looped_gradients):
    """``rate <gradient of the task, U(g) - U(0)>`` for rows that have a loss, one gradient after the other."""
    loss = make_loss(source)
    parameters = scored_parameters(loss.model)
    step = make_step(live_state(source.models.companions.optimizer, parameters), parameters, asked.learning_rate)
    scored = [row for row, length in zip(source.rows, loss.lengths, strict=True) if length]
    gradients = looped_gradients(make_loss(replace(source, rows=scored)), list(parameters))
    tasks = [looped_gradients(make_loss(replace(source, rows=rows)), list(parameters)) for rows in
             source.reference.values()]  # fmt: skip
    values = np.zeros((len(scored), len(tasks)))
    for row, gradient in enumerate(gradients):
        norm = torch.stack([part.double().norm() for part in gradient.values()]).norm()
        scale = 1.0 if asked.max_norm is None else min(1.0, asked.max_norm / (float(norm) + 1e-6))
        for task, of_task in enumerate(tasks):
            for name, part in gradient.items():
                mean = torch.stack([one[name].double() for one in of_task]).mean(0)
                weights = parameters[name].detach().double()
                change = step.moved(name, weights) - step.moved(name, weights, part.double() * scale)
                values[row, task] += float((mean * change).sum())
    return values


MODELS = {
    "gpt2 in float64": ("gpt2", {}),
    "tied llama": ("llama", {"tie_word_embeddings": True}),
    "llama with biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "bloom, padded": ("bloom", {}),
}


@pytest.mark.parametrize("kind", ["sgd", "adamw", "fresh"])
@pytest.mark.parametrize("name", MODELS)
def test_the_exact_engine_is_the_formula_up_to_a_constant(name, kind, make_source, make_model, looped_gradients):
    family, fields = MODELS[name]
    model = make_model(family, **fields)
    model = model.double() if "float64" in name else model
    source = make_source(model, warm(model, kind))
    found = finite(one_step_values(EXACT, source))
    expected = written_out(source, EXACT, looped_gradients)
    assert found.shape == expected.shape == (9, 2)
    centred, true = found - found.mean(0), expected - expected.mean(0)
    assert np.abs(centred - true).max() < (1e-7 if "float64" in name else 3e-3) * np.abs(true).max()


@pytest.mark.parametrize("kind", ["sgd", "adamw", "fresh"])
def test_with_the_constant_it_is_the_oracle_to_second_order(kind, make_source, make_model):
    """|oracle - engine| / rate^2 is the same at two rates; the anchor leaves a smaller error of the same order."""
    model = make_model("gpt2").double()
    source = make_source(model, warm(model, kind))
    errors = {}
    for rate in (1e-5, 1e-6):
        oracle = finite(one_step_values(OneStep("oracle", rate, 1.0), source))
        assert np.abs(oracle).min() > 1e-10
        for engine in ("exact", "anchored"):
            engine_values = finite(one_step_values(OneStep(engine, rate, 1.0), source))
            errors[engine, rate] = np.abs(oracle - engine_values) / rate**2
    for engine in ("exact", "anchored"):
        large = errors[engine, 1e-5] > np.quantile(errors[engine, 1e-5], 0.3)  # near 0 the next order shows
        assert large.sum() >= 10
        np.testing.assert_allclose(errors[engine, 1e-6][large], errors[engine, 1e-5][large], rtol=0.2)


def test_the_linear_engine_is_the_slope_at_zero(make_source, make_model):
    """Of gradients that are small beside the running means, and of SGD always."""
    model = make_model("gpt2").double()
    optimiser = warm(model)
    for state in optimiser.state.values():
        state["exp_avg_sq"].fill_(1e-4)
    source = make_source(model, optimiser)
    differences = []
    for norm in (1e-4, 10.0):
        linear, exact = (finite(one_step_values(OneStep(engine, None, norm), source)) for engine in ("linear", "exact"))
        differences.append(np.abs(linear - exact).max(axis=0) / np.ptp(exact, axis=0))
    assert (differences[0] < 1e-4).all()
    assert (differences[1] > 1e-2).all()
    source = make_source(model, warm(model, "sgd"))
    linear, exact = (one_step_values(OneStep(engine, None, 1.0), source) for engine in ("linear", "exact"))
    np.testing.assert_array_equal(linear, exact)


def test_plain_is_the_product_of_gradients(make_source, make_model, looped_gradients, flat):
    source = make_source(make_model("llama"))
    found = finite(one_step_values(OneStep("plain", None, 1.0), source))
    loss = make_loss(replace(source, rows=[row for row in source.rows if row.response]))
    names = list(scored_parameters(loss.model))
    rows = flat(looped_gradients(loss, names))
    tasks = [flat(looped_gradients(make_loss(replace(source, rows=part)), names)).mean(0) for part in
             source.reference.values()]  # fmt: skip
    np.testing.assert_allclose(found, (rows @ torch.stack(tasks).T).numpy(), rtol=1e-4, atol=1e-5)


def test_a_row_that_is_the_reference_helps_itself(make_source, make_model, pool):
    model = make_model("llama")
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-6)
    source = make_source(model, optimiser, reference={"one": [pool[3]]})
    plain = one_step_values(OneStep("plain", None, None), source)[:, 0]
    exact = one_step_values(OneStep("exact", None, None), source)[:, 0]
    assert plain[3] > 0
    np.testing.assert_allclose(finite(exact[:, None])[:, 0], 1e-6 * plain[np.isfinite(plain)], rtol=1e-3, atol=1e-9)
    unit = one_step_values(OneStep("exact", 1.0, 1e-3), source)[:, 0]  # all clipped to one norm: cosines
    assert np.nanargmax(unit) == 3


def test_nothing_depends_on_batches_or_order_and_copies_are_equal(make_source, make_model, pool):
    model = make_model("llama")
    optimiser = warm(model)
    for engine in ("exact", "linear", "oracle"):
        asked = OneStep(engine, None, 1.0)
        found = one_step_values(asked, make_source(model, optimiser))
        turned = make_source(model, optimiser, rows=[*pool[::-1], pool[0]], max_tokens_per_batch=70)
        again = one_step_values(asked, turned)
        scale = np.nanmax(np.abs(found))
        np.testing.assert_allclose(again[:10][::-1], found, rtol=1e-3, atol=1e-4 * scale)
        np.testing.assert_allclose(again[10], again[9], rtol=1e-3, atol=1e-4 * scale)


def test_adapters_and_classifiers(make_source, make_lora, make_classifier, looped_gradients, rows):
    model = make_lora()
    source = make_source(model, warm(model))
    found, true = finite(one_step_values(EXACT, source)), written_out(source, EXACT, looped_gradients)
    np.testing.assert_allclose(found - found.mean(0), true - true.mean(0), rtol=1e-3, atol=1e-3 * np.abs(true).max())
    model = make_classifier("roberta")
    labelled = [row._replace(response="", label=place % 3) for place, row in enumerate(rows[:6])]
    labelled[4] = labelled[4]._replace(label=None)
    reference = {"all": [rows[8]._replace(response="", label=1), rows[9]._replace(response="", label=0)]}
    source = make_source(model, warm(model), rows=labelled, reference=reference)
    found, true = finite(one_step_values(EXACT, source)), written_out(source, EXACT, looped_gradients)
    assert found.shape == (5, 1)
    np.testing.assert_allclose(found - found.mean(0), true - true.mean(0), rtol=1e-2, atol=3e-3 * np.abs(true).max())
    oracle = finite(one_step_values(replace(EXACT, engine="oracle", learning_rate=1e-5), source))
    exact = finite(one_step_values(replace(EXACT, learning_rate=1e-5), source))
    np.testing.assert_allclose(exact, oracle, rtol=0.02, atol=0.02 * np.abs(oracle).max())


def test_a_token_that_was_never_trained_does_not_blow_up(make_source, make_model, tokenizer):
    """Its embedding has no running mean of squares: a frozen denominator would be eps alone."""
    model = make_model("llama", tie_word_embeddings=False)
    optimiser = warm(model)
    embedded = optimiser.state[model.model.embed_tokens.weight]["exp_avg_sq"]
    unseen = int((embedded.sum(1) == 0).nonzero()[-1])
    assert unseen >= 300
    rng = np.random.default_rng(0)
    ids = [rng.integers(2, 300, 12).tolist() for _ in range(8)]
    ids[2][1] = ids[5][1] = unseen
    as_rows = [Row("", "", ids=(row[:3], row[3:])) for row in ids]
    source = make_source(model, optimiser, rows=as_rows, reference={"v": [as_rows[5], as_rows[0]]})
    linear, exact = (one_step_values(OneStep(engine, 1e-4, 1.0), source)[:, 0] for engine in ("linear", "exact"))
    differences = np.abs(linear - exact)
    assert differences[2] < 3 * np.delete(differences, 2).max()
    assert np.abs(linear).max() < 10 * np.abs(exact).max()
