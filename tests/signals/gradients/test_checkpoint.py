"""Checkpoints: their weights come in and go out again, and their learning rates make them count."""

import json

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError
from hf_select.signals.gradients.checkpoint import learning_rate_weights, opened
from hf_select.signals.gradients.parameter import scored_parameters
from hf_select.signals.keys import Task
from hf_select.signals.models import Models

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


def checkpoint(folder, step, rates):
    folder.mkdir()
    logs = [{"step": place + 1, "learning_rate": rate} for place, rate in enumerate(rates)]
    state = {"global_step": step, "log_history": [*logs, {"step": step, "eval_loss": 1.0}]}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    return folder


def test_weights_are_the_mean_learning_rate_since_the_checkpoint_before(tmp_path):
    rates = [4e-5, 2e-5, 1e-5, 1e-5]
    first, second = checkpoint(tmp_path / "a", 2, rates[:2]), checkpoint(tmp_path / "b", 4, rates)
    np.testing.assert_allclose(learning_rate_weights([first, second]), [0.75, 0.25])
    np.testing.assert_allclose(learning_rate_weights([second, first]), [0.25, 0.75])
    assert learning_rate_weights([tmp_path / "one needs no log"]).tolist() == [1.0]


def test_weights_of_less_in_its_own_run(tmp_path):
    """The mean learning rates that the published scripts write down sum to 1."""
    published = [1.6877e-05, 1.2859e-05, 7.7030e-06, 2.5616e-06]
    folders = [checkpoint(tmp_path / str(epoch), epoch + 1, published[: epoch + 1]) for epoch in range(4)]
    np.testing.assert_allclose(learning_rate_weights(folders), np.asarray(published) / sum(published))


def test_checkpoints_that_cannot_be_weighted_are_refused(tmp_path):
    good = checkpoint(tmp_path / "a", 2, [1e-5, 1e-5])
    with pytest.raises(ConfigError, match="different steps"):
        learning_rate_weights([good, checkpoint(tmp_path / "b", 2, [1e-5])])
    with pytest.raises(ConfigError, match=r"from step 3 to 4.*logging_steps of at most 2"):
        learning_rate_weights([good, checkpoint(tmp_path / "c", 4, [1e-5, 1e-5])])
    with pytest.raises(ConfigError, match="are 0"):
        learning_rate_weights([checkpoint(tmp_path / "d", 1, [0.0]), checkpoint(tmp_path / "e", 2, [0.0, 0.0])])
    (tmp_path / "f").mkdir()
    with pytest.raises(ConfigError, match=r"trainer_state\.json"):
        learning_rate_weights([good, tmp_path / "f"])


def snapshot(model):
    return (
        {name: parameter.detach().clone() for name, parameter in model.named_parameters()},
        {name: parameter.requires_grad for name, parameter in model.named_parameters()},
        {name: (type(module), module.training) for name, module in model.named_modules()},
    )


def check_unchanged(model, before):
    now = snapshot(model)
    assert now[1:] == before[1:]
    assert now[0].keys() == before[0].keys()
    assert all(torch.equal(now[0][name], before[0][name]) for name in now[0])


def test_an_adapter_comes_into_a_plain_model_and_goes(lora_run, make_model, tokenizer):
    trainer, folders = lora_run
    model = make_model("llama").train()
    model.lm_head.weight.requires_grad_(False)
    before = snapshot(model)
    trained = {name: p for name, p in trainer.model.named_parameters() if p.requires_grad}
    for _ in range(2):  # a second time without a warning that an adapter was left behind
        with opened(folders[1], Models(model, tokenizer)) as models:
            found = scored_parameters(models.model)
            assert list(found) == list(trained)
            assert all(torch.equal(found[name], trained[name]) for name in found)
            assert models.task is Task.CAUSAL_LM
        check_unchanged(model, before)
    assert not hasattr(model, "peft_config")


def test_an_adapter_comes_beside_the_models_own_and_goes(lora_run, make_lora, tokenizer):
    trainer, folders = lora_run
    model = make_lora()
    before = snapshot(model)
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    with opened(folders[1], Models(model, tokenizer)) as models:
        found = scored_parameters(models.model)
        assert len(found) == len(trained) == 8
        assert not any(".default." in name for name in found)
        assert all(torch.equal(one, other) for one, other in zip(found.values(), trained, strict=True))
        assert not any(p.requires_grad for name, p in models.model.named_parameters() if name not in found)
    check_unchanged(model, before)
    assert model.active_adapter == "default"


def test_whole_weights_are_loaded_beside_the_model(whole_run, make_model, tokenizer):
    trainer, folders = whole_run
    model = make_model("gpt2")
    model.transformer.wpe.weight.requires_grad_(False)
    before = snapshot(model)
    with opened(folders[1], Models(model, tokenizer)) as models:
        assert models.model is not model
        for name, parameter in trainer.model.named_parameters():
            assert torch.equal(models.model.get_parameter(name), parameter)
        assert "transformer.wpe.weight" not in scored_parameters(models.model)
    check_unchanged(model, before)


def test_a_folder_without_weights_is_refused(tmp_path, make_model, tokenizer):
    models = Models(make_model("gpt2"), tokenizer)
    with pytest.raises(ConfigError, match=r"neither adapter_config\.json nor config\.json"), opened(tmp_path, models):
        pass
