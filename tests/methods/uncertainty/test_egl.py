import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.uncertainty.egl import EGL
from hf_select.signals.keys import EXPECTED_GRADIENT_LENGTH, sampled_gradient_length
from hf_select.signals.table import Signals


def test_ranks_by_the_norm_that_the_kind_of_model_has():
    values = np.array([1.328157, 3.855817, np.nan, 1.454923])
    for method, signal in (
        (EGL(task="classification"), EXPECTED_GRADIENT_LENGTH),
        (EGL(), sampled_gradient_length(4)),
        (EGL(n_samples=9), sampled_gradient_length(9)),
    ):
        assert method.needs == {signal}
        signals = Signals({signal: values})
        picks = method.pick(signals, 3, np.random.default_rng(0))
        assert picks.indices.tolist() == [1, 3, 0]
        assert picks.scores.tolist() == [3.855817, 1.454923, 1.328157]


def test_at_least_one_response_is_sampled():
    with pytest.raises(ConfigError, match=r"^n_samples=0 is not a whole number of at least 1"):
        EGL(n_samples=0)
