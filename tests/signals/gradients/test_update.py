"""Adam's update against torch's own step, and the published numbers of LESS."""

import numpy as np
import pytest
import torch

from hf_select.signals.gradients.update import AdamUpdate, Moments

GOLDEN_MEAN, GOLDEN_SQUARE = [0.037, 0.022, -0.041], [0.004775, 0.0099, 0.012975]


def updated(gradient, mean, square, betas=(0.9, 0.95), form="outside", bias_correction=True):
    mean, square, values = (torch.tensor(numbers, dtype=torch.float64) for numbers in (mean, square, [gradient]))
    update = AdamUpdate({"p": Moments(mean, square, 2, betas, 1e-8)}, eps=form, bias_correction=bias_correction)
    return update("p", values, lambda whole: whole)[0]


def test_golden_update_of_adam_after_clipping():
    """Two steps, then the gradient (2, -1, 3) clipped to norm 1."""
    gradient = (np.array([2.0, -1.0, 3.0]) / (np.sqrt(14) + 1e-6)).tolist()
    found = updated(gradient, GOLDEN_MEAN, GOLDEN_SQUARE)
    np.testing.assert_allclose(found, [0.881205, -0.084731, 0.286003], atol=5e-7)


def test_golden_gamma_of_less():
    less = {"betas": (0.9, 0.999), "form": "inside", "bias_correction": False}
    found = updated([2.0, -1.0, 3.0], GOLDEN_MEAN, GOLDEN_SQUARE, **less)
    np.testing.assert_allclose(found, [2.491203, -0.768525, 1.775352], atol=5e-7)


def test_golden_of_a_tiny_gradient():
    """Eps inside the root damps it 94 times."""
    inside, outside = (
        updated([1e-5], [0.0], [1e-12], betas=(0.9, 0.999), form=form, bias_correction=False)
        for form in ("inside", "outside")
    )
    assert float(inside / outside) == pytest.approx(0.010583, abs=5e-7)


@pytest.mark.parametrize("n_steps", [0, 1, 5])
def test_the_update_is_torchs_own_step(n_steps):
    generator = torch.Generator().manual_seed(0)
    parameter = torch.nn.Parameter(torch.randn(4, 3, generator=generator, dtype=torch.float64))
    optimiser = torch.optim.AdamW([parameter], lr=1e-2, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)
    for _ in range(n_steps):
        parameter.grad = torch.randn(4, 3, generator=generator, dtype=torch.float64)
        optimiser.step()
    zeros = torch.zeros_like(parameter)
    state = optimiser.state.get(parameter, {"exp_avg": zeros, "exp_avg_sq": zeros})
    moments = Moments(state["exp_avg"].clone(), state["exp_avg_sq"].clone(), n_steps, (0.8, 0.95), 1e-6)
    gradient = torch.randn(1, 4, 3, generator=generator, dtype=torch.float64)
    update = AdamUpdate({"p": moments})("p", gradient, lambda whole: whole)[0]
    before = parameter.detach().clone()
    parameter.grad = gradient[0].clone()
    optimiser.step()
    torch.testing.assert_close(parameter.detach(), before * (1 - 1e-2 * 0.1) - 1e-2 * update, rtol=1e-12, atol=1e-14)


def test_a_part_of_a_parameter_has_its_part_of_the_state():
    generator = torch.Generator().manual_seed(1)
    mean, square = torch.randn(5, 2, generator=generator), torch.rand(5, 2, generator=generator)
    update = AdamUpdate({"p": Moments(mean, square, 3, (0.9, 0.999), 1e-8)})
    values = torch.randn(1, 5, 2, generator=generator)
    whole = update("p", values, lambda whole: whole)
    part = update("p", values[:, 1:3], lambda whole: whole[1:3])
    torch.testing.assert_close(part, whole[:, 1:3])
