"""The pass of DIScore: what it leaves behind, where the optimiser comes from, what is stored and what is refused."""

import copy
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, ModelError, RowError
from hf_select.rows import Row
from hf_select.signals.gradients.anchor import spread_over_lengths
from hf_select.signals.gradients.engine import GradientEngine
from hf_select.signals.gradients.one_step import OneStep, one_step_values
from hf_select.signals.keys import one_step_influence
from hf_select.signals.passes import read_signals
from hf_select.signals.table import Signals
from tests.signals.gradients import step_case as case

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

pool, reference, make_source = case.pool, case.reference, case.make_source  # fixtures
finite, warm = case.finite, case.warm

EXACT = OneStep("exact", None, 0.5)
ENGINES = ("linear", "exact", "anchored", "curved_16", "plain", "oracle", "oracle_float32")


def everything(model, optimiser):
    """All that scoring could leave behind."""
    return {
        "weights": [parameter.detach().clone() for parameter in model.parameters()],
        "gradients": [parameter.grad for parameter in model.parameters()],
        "flags": [parameter.requires_grad for parameter in model.parameters()],
        "modes": [module.training for module in model.modules()],
        "state": copy.deepcopy(optimiser.state_dict()),
        "random": torch.get_rng_state(),
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
    }


def assert_equal(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_equal(first, second)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fails", [False, True])
def test_model_and_optimiser_come_back_bit_by_bit(engine, fails, make_source, make_model, monkeypatch):
    model = make_model("llama", attention_dropout=0.5)
    optimiser = warm(model)
    model.train()
    before = everything(model, optimiser)
    if fails:
        read, calls = GradientEngine.losses, []

        def breaks(self, loss, rows):
            calls.append(rows)
            if len(calls) > 3:
                raise KeyboardInterrupt
            return read(self, loss, rows)

        monkeypatch.setattr(GradientEngine, "losses", breaks)
        with pytest.raises(KeyboardInterrupt) if engine != "plain" else pytest.MonkeyPatch.context():
            one_step_values(OneStep(engine, None, 1.0), make_source(model, optimiser, max_tokens_per_batch=40))
        assert (len(calls) > 3) is (engine != "plain")
    else:
        one_step_values(OneStep(engine, None, 1.0), make_source(model, optimiser))
    assert_equal(everything(model, optimiser), before)


def test_a_checkpoint_is_what_the_optimiser_was(lora_run, make_source, make_model):
    trainer, folders = lora_run
    asked = OneStep("exact", 1e-3, 1.0)
    live = one_step_values(asked, make_source(trainer.model, trainer.optimizer))
    stored = one_step_values(asked, make_source(make_model("llama"), folders=folders))
    np.testing.assert_allclose(stored, live, rtol=1e-5, atol=1e-9)
    assert np.isfinite(live).all(axis=1).sum() == 9
    with pytest.raises(ConfigError, match="learning rate is 0"):
        one_step_values(OneStep("exact", None, 1.0), make_source(make_model("llama"), folders=folders))
    earlier = one_step_values(OneStep("exact", None, 1.0), make_source(make_model("llama"), folders=folders[:1]))
    assert np.nanmax(np.abs(earlier)) > 0


def test_several_checkpoints_stand_side_by_side(lora_run, make_source, make_model):
    _, folders = lora_run
    asked = OneStep("exact", 1e-3, 1.0, 2)
    both = one_step_values(asked, make_source(make_model("llama"), folders=folders))
    alone = [
        one_step_values(replace(asked, n_checkpoints=1), make_source(make_model("llama"), folders=[folder]))
        for folder in folders
    ]
    np.testing.assert_array_equal(both, np.concatenate(alone, axis=1))
    assert np.nanmax(np.abs(both[:, :2] - both[:, 2:])) > 0
    with pytest.raises(ConfigError, match="1 checkpoints were given and 2 are compared"):
        one_step_values(asked, make_source(make_model("llama"), folders=folders[:1]))
    signal = one_step_influence("exact", 1e-3, 1.0, 2)
    assert signal.column.endswith("_n_checkpoints_2")
    assert read_signals([signal], make_source(make_model("llama"), folders=folders))[signal].shape == (10, 4)


def test_a_checkpoint_is_stored_and_a_live_optimiser_is_not(lora_run, make_source, make_model, tmp_path, monkeypatch):
    runs, read = [], GradientEngine.read
    monkeypatch.setattr(GradientEngine, "read", lambda *args, **options: runs.append(1) or read(*args, **options))
    model = make_model("llama")

    def values(asked, **options):
        runs.clear()
        return one_step_values(asked, make_source(model, folders=lora_run[1], cache_dir=tmp_path, **options))

    asked = OneStep("exact", 1e-3, 1.0)
    first = values(asked)
    assert runs
    np.testing.assert_array_equal(values(asked), first)
    assert not runs
    for changed in (replace(asked, engine="linear"), replace(asked, learning_rate=1e-4), replace(asked, max_norm=None)):
        values(changed)
        assert runs, changed
    for _ in range(2):
        runs.clear()
        one_step_values(asked, make_source(lora_run[0].model, lora_run[0].optimizer, cache_dir=tmp_path))
        assert runs


def test_half_precision_is_scored_and_never_stepped(make_source, make_model):
    model = make_model("llama")
    optimiser = warm(model)
    half = copy.deepcopy(model).bfloat16()
    of_half = torch.optim.AdamW(half.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    for old, new in zip(model.parameters(), half.parameters(), strict=True):
        of_half.state[new] = optimiser.state[old]
    expected = finite(one_step_values(OneStep("exact", None, 1.0), make_source(model, optimiser)))
    found = finite(one_step_values(OneStep("exact", None, 1.0), make_source(half, of_half)))
    assert np.corrcoef(found[:, 0], expected[:, 0])[0, 1] > 0.99
    assert np.abs(found - expected).max() < 0.3 * np.abs(expected).max()  # the constant too, to first order
    for engine in ("oracle", "anchored"):
        with pytest.raises(ModelError, match=rf"engine='{engine}'.*bfloat16.*dtype='float32'"):
            one_step_values(OneStep(engine, None, 1.0), make_source(half, of_half))


def test_what_cannot_be_is_refused(make_source, make_model, reference):
    model = make_model("llama")
    optimiser = warm(model)
    with pytest.raises(ConfigError, match=r"companions=\{'optimizer'.*'checkpoints'.*engine='plain'"):
        one_step_values(EXACT, make_source(model))
    with pytest.raises(ConfigError, match="reference="):
        one_step_values(EXACT, make_source(model, optimiser, reference={}))
    with pytest.raises(RowError, match="reference rows of task 'empty'"):
        one_step_values(EXACT, make_source(model, optimiser, reference={**reference, "empty": [Row("a", "")]}))
    with pytest.raises(ConfigError, match="engine='jvp'"):
        one_step_values(replace(EXACT, engine="jvp"), make_source(model, optimiser))
    with pytest.raises(ConfigError, match="does not train"):
        one_step_values(EXACT, make_source(model, warm(make_model("llama", seed=1))))


def test_rows_of_all_lengths():
    lengths = np.array([5, 0, 1, 9, 3, 0, 7])
    assert spread_over_lengths(lengths, 3).tolist() == [0, 2, 3]
    assert spread_over_lengths(lengths, 100).tolist() == [0, 2, 3, 4, 6]
    assert spread_over_lengths(lengths[[0, 1]], 1).tolist() == [0]


def test_a_batch_that_does_not_fit_is_halved(make_source, make_model, monkeypatch, caplog):
    model = make_model("llama")
    source = make_source(model, warm(model))
    expected, read = one_step_values(EXACT, source), GradientEngine.read

    def with_little_memory(self, loss, rows, reductions, **options):
        if len(rows) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return read(self, loss, rows, reductions, **options)

    monkeypatch.setattr(GradientEngine, "read", with_little_memory)
    with caplog.at_level(logging.WARNING, "hf_select"):
        np.testing.assert_allclose(one_step_values(EXACT, source), expected, rtol=1e-3, atol=1e-6)
    assert caplog.text.count("read in halves") == 1


def test_the_pass_yields_the_signal(make_source, make_model):
    model = make_model("llama")
    source = make_source(model, warm(model))
    signal = one_step_influence("linear", 1e-3, None)
    values = read_signals([signal], source)
    np.testing.assert_array_equal(values[signal], one_step_values(OneStep("linear", 1e-3, None), source))
    assert Signals(values)[signal].shape == (10, 2)


def test_values_of_a_whole_model_are_stored_and_read_again(make_source, make_model, tmp_path, monkeypatch):
    """Not of an adapter alone: inside the engine no parameter requires a gradient, and still they have their names."""
    model, asked = make_model("llama"), OneStep("plain", None, None)
    first = one_step_values(asked, make_source(model, cache_dir=tmp_path))
    monkeypatch.setattr(GradientEngine, "read", None)
    np.testing.assert_array_equal(one_step_values(asked, make_source(model, cache_dir=tmp_path)), first)
