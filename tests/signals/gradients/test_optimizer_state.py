"""The optimiser's state by name: live and saved are the same."""

from types import SimpleNamespace

import pytest
import torch

from hf_select.errors import ConfigError
from hf_select.signals.gradients.optimizer_state import live_state, stored_state
from hf_select.signals.gradients.step import make_step

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


def trained(model):
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("run", ["lora_run", "whole_run"])
def test_what_was_saved_is_what_lives(run, request):
    trainer, folders = request.getfixturevalue(run)
    parameters = trained(trainer.model)
    live = live_state(trainer.optimizer, parameters)
    stored = stored_state(folders[1], trainer.model, parameters)
    assert live.keys() == stored.keys() == parameters.keys()
    assert trainer.optimizer.optimizer is not trainer.optimizer  # the wrapper of accelerate was taken off
    steps = [make_step(known, parameters, 1e-3) for known in (live, stored)]
    for name in parameters:
        for key in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(live[name].state[key], stored[name].state[key]), name
        moved = [step.moved(name, parameters[name].detach()) for step in steps]
        assert torch.equal(*moved)
    if run == "whole_run":
        assert steps[0].decays == steps[1].decays
        assert {steps[0].decays[name] for name in ("transformer.wte.weight", "transformer.ln_f.weight")} == {0.0, 0.1}


def test_a_saved_state_of_sgd_is_read(tmp_path):
    model = torch.nn.Linear(2, 1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    torch.save(optimiser.state_dict(), tmp_path / "optimizer.pt")
    known = stored_state(tmp_path, model, trained(model))
    assert not known["weight"].is_adam
    assert torch.equal(known["weight"].state["momentum_buffer"], torch.ones(1, 2))


def test_a_parameter_that_never_had_a_gradient_is_as_new():
    model = torch.nn.Linear(2, 1)
    optimiser = torch.optim.AdamW(model.parameters())
    assert live_state(optimiser, trained(model))["bias"].state == {}


def test_strangers_are_refused(tmp_path):
    model = torch.nn.Linear(2, 1)
    with pytest.raises(ConfigError, match=r"step of Adagrad is not known.*'sgd'"):
        live_state(torch.optim.Adagrad(model.parameters()), trained(model))
    with pytest.raises(ConfigError, match="step of SimpleNamespace"):
        live_state(SimpleNamespace(param_groups=[]), trained(model))
    other = torch.optim.SGD(torch.nn.Linear(2, 1).parameters())
    with pytest.raises(ConfigError, match=r"does not train 2 of the 2 parameters.*'weight'.*requires_grad_"):
        live_state(other, trained(model))
    for kind in (torch.optim.RAdam, torch.optim.NAdam, torch.optim.Rprop):
        torch.save(kind(model.parameters()).state_dict(), tmp_path / "optimizer.pt")
        with pytest.raises(ConfigError, match="neither of SGD nor of Adam"):
            stored_state(tmp_path, model, trained(model))
