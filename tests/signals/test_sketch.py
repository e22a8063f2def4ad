"""The sketch of the head's gradient: what it is made of, the same everywhere, right on average."""

import numpy as np
import torch

from hf_select.signals import sketch
from hf_select.signals.predictions import Positions
from hf_select.signals.sketch import N_DIMS, RANK, mean_outer_product, signs, sketched_factors

CPU = torch.device("cpu")

# the first signs of the first two rows of seed 1: they must never change, or stored sketches mean something else
SIGNS = ["++++++++--+--+++", "-++--++----+-+-+"]


def response(n_tokens: int, n_vocabulary: int, n_dims: int, seed: int) -> Positions:
    generator = torch.Generator().manual_seed(seed)
    log_probs = torch.log_softmax(2 * torch.randn(n_tokens, n_vocabulary, generator=generator), dim=-1)
    states = torch.randn(n_tokens, n_dims, generator=generator)
    return Positions(log_probs, torch.zeros(n_tokens, dtype=torch.int64), states)


def gradient(positions: Positions) -> np.ndarray:
    """The whole (V, D) gradient at the most likely tokens, mean over the positions."""
    errors = positions.log_probs.exp().numpy().copy()
    errors[np.arange(len(errors)), errors.argmax(axis=1)] -= 1
    return errors.T @ positions.states.numpy() / len(errors)


def sketched(positions: Positions) -> np.ndarray:
    return mean_outer_product(sketched_factors(positions).double().numpy())


def test_the_sketch_is_the_projected_gradient() -> None:
    positions = response(5, 40, 12, seed=0)
    of_tokens, of_states = signs(40, sketch._ERROR_SEED, CPU).numpy(), signs(12, sketch._STATE_SEED, CPU).numpy()
    expected = of_tokens.T @ gradient(positions) @ of_states
    found = sketched(positions)
    assert found.shape == (N_DIMS,) == (32 * 32,)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.reshape(RANK, RANK), expected, atol=1e-6)


def test_inner_products_are_right_on_average(monkeypatch) -> None:
    """Unbiased: over 400 draws of the signs the mean is within four standard errors, for two pairs of responses."""
    ours, theirs = response(4, 30, 10, seed=1), response(6, 30, 10, seed=2)
    products = {(0, 0): [], (0, 1): []}
    for draw in range(400):
        monkeypatch.setattr(sketch, "_ERROR_SEED", 10_000 + draw)
        monkeypatch.setattr(sketch, "_STATE_SEED", 20_000 + draw)
        found = [sketched(ours).astype(np.float64), sketched(theirs).astype(np.float64)]
        for pair, values in products.items():
            values.append(found[pair[0]] @ found[pair[1]])
    exact = [gradient(ours), gradient(theirs)]
    for (first, second), values in products.items():
        error = np.std(values) / np.sqrt(len(values))
        assert abs(np.mean(values) - (exact[first] * exact[second]).sum()) < 4 * error
    assert np.std(products[0, 0]) < 0.3 * (exact[0] ** 2).sum()  # and 1024 numbers are enough to be near each time


def test_signs_are_the_same_everywhere() -> None:
    matrix = signs(5, 1, CPU).numpy()
    assert matrix.shape == (5, RANK)
    assert set(np.unique(matrix)) == {np.float32(-1 / np.sqrt(np.float32(32))), np.float32(1 / np.sqrt(np.float32(32)))}
    found = ["".join("+-"[int(sign < 0)] for sign in row[:16]) for row in matrix[:2]]
    assert found == SIGNS
    np.testing.assert_array_equal(signs(3, 1, CPU).numpy(), matrix[:3])
    assert (signs(5, 2, CPU).numpy() != matrix).any()
