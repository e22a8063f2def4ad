"""Our step against torch's own, number by number, and the two goldens."""

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError
from hf_select.signals.gradients.optimizer_state import Known, live_state
from hf_select.signals.gradients.step import make_step

OPTIMISERS = {
    "sgd": (torch.optim.SGD, {}),
    "sgd with decay": (torch.optim.SGD, {"weight_decay": 0.1}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    "dampened": (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.3}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1}),
    "adam": (torch.optim.Adam, {"betas": (0.8, 0.95)}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.1, "eps": 1e-6}),
    "adamw, fused": (torch.optim.AdamW, {"weight_decay": 0.1, "fused": True}),
}


def trained(name, n_steps, **fields):
    """Two parameters in groups of their own, after some steps."""
    kind, settings = OPTIMISERS[name]
    generator = torch.Generator().manual_seed(0)
    parameters = {
        name: torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for name, shape in (("a", (4, 3)), ("b", (5,)))
    }
    groups = [{"params": [parameters["b"]], "lr": 3e-3}, {"params": [parameters["a"]]}]
    optimiser = kind(groups, lr=1e-2, **{**settings, **fields})
    for _ in range(n_steps):
        for parameter in parameters.values():
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        optimiser.step()
    gradients = {
        name: torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        for name, parameter in parameters.items()
    }
    return parameters, optimiser, gradients


def step_of(parameters, optimiser, learning_rate=None):
    return make_step(live_state(optimiser, parameters), parameters, learning_rate)


@pytest.mark.parametrize("n_steps", [0, 1, 5])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_step_is_torchs_own(name, n_steps):
    parameters, optimiser, gradients = trained(name, n_steps)
    step = step_of(parameters, optimiser)
    moved = {name: step.moved(name, parameter.detach(), gradients[name]) for name, parameter in parameters.items()}
    assert step.is_linear is ("adam" not in name)
    for key, parameter in parameters.items():
        parameter.grad = gradients[key].clone()
    optimiser.step()
    for key, parameter in parameters.items():
        torch.testing.assert_close(moved[key], parameter.detach(), rtol=1e-12, atol=1e-14)


def test_a_given_learning_rate_takes_the_place_of_all():
    parameters, optimiser, gradients = trained("adamw", 3)
    step = step_of(parameters, optimiser, 1e-4)
    for group in optimiser.param_groups:
        group["lr"] = 1e-4
    assert step.rates == {"a": 1e-4, "b": 1e-4}
    moved = [at.moved("a", parameters["a"], gradients["a"]) for at in (step, step_of(parameters, optimiser))]
    assert torch.equal(*moved)


def test_golden_of_a_step_of_adamw():
    """m, v after (.3, -.2, .1) and (.1, .4, -.5); g = (2, -1, 3) clipped to 1; the linear part J g."""
    parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    optimiser = torch.optim.AdamW([parameter], lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    for gradient in ([0.3, -0.2, 0.1], [0.1, 0.4, -0.5]):
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimiser.step()
    step = step_of({"p": parameter}, optimiser)
    moments = step.update.moments["p"]
    np.testing.assert_allclose(moments.mean, [0.037, 0.022, -0.041], atol=1e-12)
    np.testing.assert_allclose(moments.square, [0.004775, 0.0099, 0.012975], atol=1e-12)
    clipped = torch.tensor([2.0, -1.0, 3.0], dtype=torch.float64) / (np.sqrt(14) + 1e-6)
    update = step.update("p", clipped[None], lambda whole: whole)[0]
    np.testing.assert_allclose(update, [0.881205, -0.084731, 0.286003], atol=5e-7)
    slopes = step.linearised({"p": torch.ones(1, 3, dtype=torch.float64)})["p"][0] / 1e-2
    np.testing.assert_allclose(slopes * clipped, [1.105976, -0.384048, 1.006399], atol=5e-7)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_linear_part_is_the_slope_at_zero(name):
    parameters, optimiser, gradients = trained(name, 4)
    step = step_of(parameters, optimiser)
    direction = {name: gradient[None] for name, gradient in gradients.items()}
    for key, parameter in parameters.items():
        tiny = 1e-6 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        change = step.moved(key, parameter.detach()) - step.moved(key, parameter.detach(), tiny)
        expected = float((change * gradients[key]).sum())
        found = float((step.linearised(direction)[key][0] * tiny).sum())
        assert found == pytest.approx(expected, rel=1e-4)


def test_a_denominator_that_was_never_fed_does_not_vanish():
    """Half the embedding was never touched: its slope is at most ten times that of the median of what was."""
    parameter = torch.nn.Parameter(torch.zeros(6, 1))
    square = torch.tensor([[0.0], [0.0], [0.0], [0.0], [1e-4], [4e-4]])
    settings = torch.optim.AdamW([parameter]).param_groups[0]
    known = Known(settings, {"exp_avg": torch.zeros(6, 1), "exp_avg_sq": square, "step": torch.tensor(5000.0)})
    step = make_step({"p": known}, {"p": parameter}, 1.0)
    slopes = step.linearised({"p": torch.ones(1, 6, 1)})["p"].flatten()
    assert slopes[:4].unique().numel() == 1
    assert float(slopes[0] / slopes[4]) == pytest.approx(10, rel=1e-3)
    untouched = Known(settings, {**known.state, "exp_avg_sq": torch.zeros(6, 1)})
    none = make_step({"p": untouched}, {"p": parameter}, 1.0)
    assert none.linearised({"p": torch.ones(1, 6, 1)})["p"].tolist() == torch.zeros(1, 6, 1).tolist()


def test_what_is_not_followed_is_refused():
    parameters, optimiser, _ = trained("adamw", 0)
    with pytest.raises(ConfigError, match=r"engine='linear'.*no step yet"):
        step_of(parameters, optimiser).linearised({})
    for fields, said in (
        ({"amsgrad": True}, "amsgrad"),
        ({"maximize": True}, "maximize"),
        ({"weight_decay": 0.1}, "weight_decay of Adam"),
    ):
        parameters, optimiser, _ = trained("adam", 2, **fields)
        with pytest.raises(ConfigError, match=said):
            step_of(parameters, optimiser)
    parameters, optimiser, _ = trained("sgd", 1)
    for group in optimiser.param_groups:
        group["lr"] = 0.0
    with pytest.raises(ConfigError, match=r"learning rate is 0.*learning_rate="):
        step_of(parameters, optimiser)
    parameters, optimiser, _ = trained("adamw", 1)
    optimiser.state[parameters["a"]]["exp_avg"] = torch.zeros(2, 2)
    with pytest.raises(ConfigError, match=r"'a', of shape \(4, 3\).*another parameter"):
        step_of(parameters, optimiser)
