"""Adam's state by name, read from what the Trainer wrote."""

import pytest
import torch

from hf_select.errors import ConfigError
from hf_select.signals.gradients.optimizer import optimizer_hash, read_moments

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


def trained(model):
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("run", ["lora_run", "whole_run"])
def test_every_parameter_gets_its_own_state(run, request):
    """The Trainer puts biases and normalisations into a group of their own, so the file's order is not the model's."""
    trainer, folders = request.getfixturevalue(run)
    parameters = trained(trainer.model)
    groups = trainer.optimizer.param_groups
    in_order = [id(parameter) for group in groups for parameter in group["params"]]
    if run == "whole_run":
        assert in_order != [id(parameter) for parameter in parameters.values()]
    moments = read_moments(folders[1], trainer.model, parameters)
    assert moments.keys() == parameters.keys()
    for name, parameter in parameters.items():
        state = trainer.optimizer.state[parameter]
        assert torch.equal(moments[name].mean, state["exp_avg"]), name
        assert torch.equal(moments[name].square, state["exp_avg_sq"]), name
        assert moments[name][2:] == (6, (0.9, 0.999), 1e-8)


def write(folder, stored):
    folder.mkdir(exist_ok=True)
    torch.save(stored, folder / "optimizer.pt")
    return folder


@pytest.fixture
def small():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 1))
    return model, dict(model.named_parameters())


def adam(parameters, n_steps=2):
    optimiser = torch.optim.Adam(parameters, lr=0.0)
    for _ in range(n_steps):
        for group in optimiser.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.full_like(parameter, float(parameter.numel()))
        optimiser.step()
    return optimiser


def sizes(moments):
    """What ``adam`` gave as gradient: two steps leave 0.19 of it in the mean."""
    return {name: round(float(known.mean.mean()) / 0.19) for name, known in moments.items()}


def test_one_group_is_in_the_order_of_the_model(small, tmp_path):
    model, parameters = small
    moments = read_moments(write(tmp_path / "c", adam(model.parameters()).state_dict()), model, parameters)
    assert sizes(moments) == {name: parameter.numel() for name, parameter in parameters.items()}


def test_groups_with_names_go_by_their_names(small, tmp_path):
    model, parameters = small
    backwards = list(parameters.items())[::-1]
    folder = write(tmp_path / "c", adam([{"params": backwards[:1]}, {"params": backwards[1:]}]).state_dict())
    assert sizes(read_moments(folder, model, parameters)) == {
        name: parameter.numel() for name, parameter in parameters.items()
    }


def test_a_parameter_that_never_had_a_gradient_is_as_new(small, tmp_path):
    model, parameters = small
    stored = adam(model.parameters()).state_dict()
    del stored["state"][3]
    moments = read_moments(write(tmp_path / "c", stored), model, parameters)
    fresh = moments["1.bias"]
    assert fresh.n_steps == 0
    assert not fresh.mean.any()
    assert not fresh.square.any()


def test_states_that_do_not_fit_are_refused(small, tmp_path):
    model, parameters = small
    with pytest.raises(ConfigError, match=r"optimizer\.pt.*save_only_model=False"):
        read_moments(tmp_path, model, parameters)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with pytest.raises(ConfigError, match="without betas"):
        read_moments(write(tmp_path / "a", sgd.state_dict()), model, parameters)
    fewer = adam(list(parameters.values())[:4])
    with pytest.raises(ConfigError, match=r"groups of \[4\] parameters.*6 trainable"):
        read_moments(write(tmp_path / "b", fewer.state_dict()), model, parameters)
    other = adam([*list(parameters.values())[1:], parameters["0.weight"]])
    with pytest.raises(ConfigError, match=r"shape \(3,\) for '0.weight' of shape \(3, 2\)"):
        read_moments(write(tmp_path / "c", other.state_dict()), model, parameters)
    with pytest.raises(ConfigError, match="no step of any parameter"):
        read_moments(write(tmp_path / "d", adam(model.parameters(), n_steps=0).state_dict()), model, parameters)
    stored = adam(model.parameters()).state_dict()
    stored["state"] = {place: {"state1": torch.zeros(1)} for place in stored["state"]}
    with pytest.raises(ConfigError, match="not of Adam"):
        read_moments(write(tmp_path / "e", stored), model, parameters)


def test_the_hash_follows_the_file(small, tmp_path):
    model, _ = small
    folder = write(tmp_path / "a", adam(model.parameters()).state_dict())
    first = optimizer_hash(folder)
    assert optimizer_hash(folder) == first
    assert optimizer_hash(write(folder, adam(model.parameters(), n_steps=3).state_dict())) != first
