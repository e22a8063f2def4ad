"""Statistics of a response's tokens: worked values, the end of the vocabulary, laws of the mutual information."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hf_select.signals.predictions import Positions, Predictions
from hf_select.signals.statistic import STATISTICS, entropy, mutual_information, summarise


def predictions(distributions, target_ids=None, **fields) -> Predictions:
    """Predictions of one segment whose distributions are given."""
    logits = torch.tensor(distributions, dtype=torch.float64).log()
    target_ids = torch.zeros(len(logits), dtype=torch.int64) if target_ids is None else torch.tensor(target_ids)
    return Predictions(logits, None, logits.shape[1], target_ids, [len(logits)], **fields)


def test_two_tokens_by_hand() -> None:
    """G-TOK: probabilities (.9, .1) and (.6, .4); the target is the most likely token."""
    names = ["nll", "mean_entropy", "max_entropy", "top_nll", "mean_margin", "min_margin"]
    found = summarise(predictions([[0.9, 0.1], [0.6, 0.4]]), names)
    expected = {
        "nll": 0.616186 / 2,
        "mean_entropy": 0.499047,
        "max_entropy": 0.673012,
        "top_nll": 0.616186 / 2,
        "mean_margin": 0.5,
        "min_margin": 0.2,
    }
    assert list(found) == names
    for name, value in expected.items():
        assert found[name].tolist() == [pytest.approx(value, abs=1e-6)]
    assert 1 - math.exp(-found["top_nll"][0]) == pytest.approx(0.265153, abs=1e-6)  # normalised least confidence


def test_a_token_without_probability_adds_nothing() -> None:
    found = summarise(predictions([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]), ["mean_entropy", "mean_margin", "top_nll"])
    assert found["mean_entropy"][0] == pytest.approx(math.log(2) / 2)
    assert found["mean_margin"][0] == pytest.approx(0.5)
    assert found["top_nll"][0] == pytest.approx(math.log(2) / 2)


def test_padding_of_the_vocabulary_is_never_the_most_likely_token() -> None:
    found = summarise(predictions([[0.3, 0.1, 0.6]], n_ids=2), ["top_nll", "mean_margin", "mean_entropy"])
    assert found["top_nll"][0] == pytest.approx(-math.log(0.3), abs=1e-6)
    assert found["mean_margin"][0] == pytest.approx(0.2, abs=1e-6)
    assert found["mean_entropy"][0] == pytest.approx(-sum(p * math.log(p) for p in (0.3, 0.1, 0.6)), abs=1e-6)


def test_of_equally_likely_tokens_the_first_is_taken() -> None:
    positions = Positions(torch.tensor([[0.2, 0.4, 0.4]]).log(), torch.zeros(1, dtype=torch.int64))
    assert positions.top[1].tolist() == [1]


def test_a_segment_without_target_has_no_statistic() -> None:
    empty = Predictions(torch.zeros(1, 4), None, 4, torch.zeros(1, dtype=torch.int64), [0, 1, 0], torch.zeros(1, 8))
    found = summarise(empty, list(STATISTICS))
    assert len(found) == 7
    for name, values in found.items():
        assert values.shape == (3, *STATISTICS[name].shape)
        assert np.isnan(values[[0, 2]]).all()
        assert np.isfinite(values[1]).all()


def information(distributions) -> np.ndarray:
    """Mutual information where ``distributions`` are (L, c, V)."""
    readings = [torch.tensor(one, dtype=torch.float64).log() for one in distributions]
    return mutual_information([lambda one=one: one for one in readings]).numpy()


# samples of (p(0), p(1)) -> mutual information
BALD = {
    "a": ([(0.51, 0.49), (0.49, 0.51)] * 2, 0.000200),
    "b": ([(0.99, 0.01), (0.55, 0.45)] * 2, 0.167206),
    "c": ([(1.0, 0.0), (0.0, 1.0)] * 2, 0.693147),
    "d": ([(0.5, 0.5)] * 4, 0.0),
    "uq_icl": ([(0.9, 0.1), (0.1, 0.9)], 0.368064),
    "uq_icl, unequal masses": ([(0.9, 0.1), (0.5, 0.5)], 0.101749),
}


@pytest.mark.parametrize("name", BALD)
def test_information_by_hand(name) -> None:
    samples, expected = BALD[name]
    assert information([[sample] for sample in samples])[0] == pytest.approx(expected, abs=1e-6)


def test_information_of_a_sequence_by_hand() -> None:
    """Token BALD: one token on which two readings are sure of different things, one on which both are unsure."""
    found = information([[(1.0, 0.0), (0.5, 0.5)], [(0.0, 1.0), (0.5, 0.5)]])
    assert found.mean() == pytest.approx(0.346574, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (3, 4, 5), elements=st.floats(-20, 20)), st.randoms())
def test_laws_of_the_information(logits, random) -> None:
    distributions = torch.softmax(torch.tensor(logits), dim=-1).numpy()
    found = information(distributions)
    assert (found >= 0).all()
    assert (found <= min(math.log(3), math.log(5)) + 1e-9).all()
    whole = distributions.mean(axis=0)
    assert (found <= -(whole * np.log(np.maximum(whole, 1e-300))).sum(axis=-1) + 1e-9).all()
    order = random.sample(range(3), 3)
    np.testing.assert_allclose(information(distributions[order]), found, atol=1e-9)
    np.testing.assert_allclose(information(distributions[[0, 0, 0]]), 0, atol=1e-9)


def test_information_in_single_precision() -> None:
    logits = torch.randn(4, 6, 5000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = information(logits.softmax(-1).numpy())
    readings = [one.float().log_softmax(-1) for one in logits]
    found = mutual_information([lambda one=one: one for one in readings])
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), exact, atol=2e-6)


def test_entropy_needs_no_epsilon() -> None:
    log_probs = torch.tensor([[0.0, -torch.inf], [-math.log(2), -math.log(2)]])
    assert entropy(log_probs.exp(), log_probs).tolist() == [0.0, pytest.approx(math.log(2))]
