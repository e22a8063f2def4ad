"""LESS: the best-served reference task decides."""

import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.quality.less import LESS
from hf_select.signals.keys import Pass, is_known, less_influence
from hf_select.signals.table import Signals

COSINES = np.array([[0.1, 0.9], [0.8, 0.2], [-0.5, -0.4], [0.7, 0.7], [0.3, 0.9]], dtype=np.float32)


def test_the_score_is_the_largest_cosine_over_the_tasks() -> None:
    signals = Signals({less_influence(): COSINES})
    np.testing.assert_array_equal(LESS().score(signals), COSINES.max(axis=1).astype(np.float64))
    indices, scores = LESS().pick(signals, 5, np.random.default_rng(0))
    assert indices.tolist() == [0, 4, 1, 3, 2]  # ties go to the lower row id
    assert scores[-1] == np.float32(-0.4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("task", [0, 1])
def test_a_row_without_a_finite_cosine_to_one_task_is_not_eligible(bad, task) -> None:
    cosines = COSINES.copy()
    cosines[3, task] = bad
    signals = Signals({less_influence(): cosines})
    assert LESS().eligible(signals).tolist() == [0, 1, 2, 4]


def test_every_field_names_another_signal_and_the_pass_knows_them_all() -> None:
    methods = [
        LESS(update, aggregation, eps, bias_correction)
        for update in ("adam", "sgd")
        for aggregation in ("mean_of_cosines", "cosine_of_mean")
        for eps in ("inside", "outside")
        for bias_correction in (False, True)
    ]
    signals = [method.influence for method in methods]
    assert len(set(signals)) == len({signal.column for signal in signals}) == 16
    assert all(is_known(signal) and signal.read_in is Pass.GRADIENTS for signal in signals)
    assert LESS("sgd", bias_correction=True).influence.parameters == {
        "update": "sgd", "aggregation": "mean_of_cosines", "eps": "inside", "bias_correction": True,
    }  # fmt: skip


def test_it_aims_at_a_reference_set_although_it_reads_no_signal_of_it() -> None:
    assert LESS().needs_reference
    assert LESS().reference_needs == frozenset()


@pytest.mark.parametrize(
    "fields", [{"update": "adamw"}, {"aggregation": "max"}, {"eps": 1e-8}, {"bias_correction": "yes"}]
)
def test_unknown_values_are_refused_by_name(fields) -> None:
    [name] = fields
    with pytest.raises(ConfigError, match=f"^{name}="):
        LESS(**fields)
