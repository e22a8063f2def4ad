import math
import warnings

import numpy as np
import pytest

from hf_select.errors import BudgetError, ConfigError
from hf_select.methods.base import Task
from hf_select.methods.uncertainty.bald import BALD
from hf_select.methods.uncertainty.batch_bald import BatchBALD
from hf_select.signals.keys import stochastic_probabilities
from hf_select.signals.table import Signals

FIRST_CLASS = {"A": [1, 1, 0, 0], "B": [1, 1, 0, 0], "C": [1, 0, 1, 0], "D": [0.5] * 4, "E": [0.9, 0.9, 0.1, 0.1]}
GOLDEN = np.array([[[p, 1 - p] for p in row] for row in FIRST_CLASS.values()], dtype=float)


def pick(probabilities, k, seed=0, **fields):
    signals = Signals({stochastic_probabilities(20): np.asarray(probabilities)})
    return BatchBALD(**fields).pick(signals, k, np.random.default_rng(seed))


def test_golden_batch_and_what_fills_it_up():
    with pytest.warns(UserWarning, match=r"after 2 picks no row adds more than 1e-06 nats \(4 samples .* ln 4 = 1.386"):
        indices, scores = pick(GOLDEN, 5)
    assert ["ABCDE"[row] for row in indices] == ["A", "C", "B", "E", "D"]
    np.testing.assert_allclose(scores, [0.693147, 0.693147, 0.693147, 0.368064, 0.0], atol=5e-7)
    bald = BALD(task="classification").pick(
        Signals({stochastic_probabilities(20): GOLDEN}), 3, np.random.default_rng(0)
    )
    assert ["ABCDE"[row] for row in bald.indices] == ["A", "B", "C"]


def test_says_nothing_where_the_samples_suffice():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pick(GOLDEN, 2).indices.tolist() == [0, 2]


def test_warns_where_the_samples_cannot_tell_what_the_picks_could():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(2), size=(50, 4))
    alone = BALD(task="classification").score(Signals({stochastic_probabilities(20): probabilities}))
    with pytest.warns(UserWarning, match="at most ln 4 = 1.386 nats, and the 9 picks would tell") as caught:
        indices, scores = pick(probabilities, 9)
    assert len(caught) == 1
    assert f"{alone[indices].sum():.3f} one by one" in str(caught[0].message)
    assert (scores > 1e-6).all()
    assert scores.sum() <= math.log(4)


def test_two_samples_are_allowed():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), size=(9, 2))
    with pytest.warns(UserWarning, match="ln 2 = 0.693"):
        assert len(set(pick(probabilities, 9).indices.tolist())) == 9
    with pytest.raises(ConfigError, match=r"^n_samples=1 is not a whole number of at least 2"):
        BatchBALD(n_samples=1)


def test_samples_that_agree_leave_the_order_of_the_rows():
    with pytest.warns(UserWarning, match="after 0 picks"):
        indices, scores = pick(np.full((6, 5, 2), 0.5), 4)
    assert indices.tolist() == [0, 1, 2, 3]
    assert scores.tolist() == [0.0] * 4


def test_more_than_the_largest_batch_is_refused_before_it_costs_anything():
    with pytest.raises(BudgetError, match=r"asked for 4 rows and max_batch is 3.*fallback='power_bald'"):
        pick(GOLDEN, 4, max_batch=3)


def test_power_bald_draws_by_a_power_of_the_mutual_information():
    """After A the twin of A, E and D are left, with .693147, .368064 and 0 nats."""
    probabilities = GOLDEN[[0, 1, 4, 3]]
    for beta, share in ((1.0, 0.693147 / (0.693147 + 0.368064)), (2.0, 0.693147**2 / (0.693147**2 + 0.368064**2))):
        drawn = [
            pick(probabilities, 4, seed, max_batch=1, fallback="power_bald", beta=beta).indices.tolist()
            for seed in range(1000)
        ]
        assert {order[0] for order in drawn} == {0}
        assert {order[3] for order in drawn} == {3}
        assert np.mean([order[1] == 1 for order in drawn]) == pytest.approx(share, abs=4 * math.sqrt(0.25 / 1000))


def test_power_bald_takes_over_at_the_largest_batch():
    probabilities = np.random.default_rng(3).dirichlet(np.ones(2), size=(40, 6))
    alone = BALD(task="classification").score(Signals({stochastic_probabilities(20): probabilities}))
    indices, scores = pick(probabilities, 20, max_batch=2, fallback="power_bald")
    assert scores[2:].tolist() == alone[indices[2:]].tolist()
    assert scores[1] < alone[indices[1]]


def test_power_bald_takes_over_where_nothing_is_left_to_tell_and_was_asked_for():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        orders = {tuple(pick(GOLDEN, 4, seed, fallback="power_bald").indices.tolist()) for seed in range(60)}
    assert {order[:2] for order in orders} == {(0, 2)}
    assert {order[2:] for order in orders} == {(1, 4), (4, 1)}


def test_the_power_belongs_to_power_bald():
    with pytest.raises(ConfigError, match=r"^beta=2.0 is the power of fallback='power_bald'"):
        BatchBALD(beta=2.0)
    with pytest.raises(ConfigError, match=r"^fallback='bald' is not known; give one of None, 'power_bald'"):
        BatchBALD(fallback="bald")


def test_a_smaller_batch_is_a_prefix_of_a_larger_one_in_every_phase():
    probabilities = np.random.default_rng(3).dirichlet(np.ones(2), size=(60, 6))
    fields = {"n_configurations": 30, "max_batch": 12, "fallback": "power_bald"}
    longest = pick(probabilities, 40, **fields)
    for k in (1, 4, 8, 12, 13, 39):
        shorter = pick(probabilities, k, **fields)
        assert shorter.indices.tolist() == longest.indices[:k].tolist()
        assert shorter.scores.tolist() == longest.scores[:k].tolist()


def test_a_sigmoid_head_is_two_classes():
    with pytest.warns(UserWarning, match="after 2 picks"):
        assert pick(GOLDEN[..., 1:], 5).indices.tolist() == [0, 2, 1, 4, 3]


def test_rows_that_a_sample_says_nothing_finite_about_are_left_out():
    probabilities = GOLDEN.copy()
    probabilities[0, 3, 1] = np.nan
    signals = Signals({stochastic_probabilities(20): probabilities})
    assert BatchBALD().exclusions(signals)["no finite probabilities"].tolist() == [True] + [False] * 4
    assert pick(probabilities, 2).indices.tolist() == [1, 2]


def test_is_for_classifiers_and_names_what_serves_the_others():
    assert BatchBALD.tasks == {Task.CLASSIFICATION}
    assert "'bald' with task='causal_lm'" in BatchBALD.unsuited[Task.CAUSAL_LM]
    assert BatchBALD().needs == BALD(task="classification").needs
