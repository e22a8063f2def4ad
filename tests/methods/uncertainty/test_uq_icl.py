import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.uncertainty.uq_icl import UQICL
from hf_select.signals.keys import demonstrated_mutual_information, demonstrated_probabilities
from hf_select.signals.table import Signals


def normalised(masses):
    return np.asarray(masses, dtype=float) / np.sum(masses, axis=-1, keepdims=True)


def test_golden_of_two_sets_and_two_labels():
    rows = [normalised([[9, 1], [1, 9]]), normalised([[9, 1], [0.1, 0.1]])]
    method = UQICL(task="classification", n_sets=2)
    signals = Signals({demonstrated_probabilities(2, 4): np.array(rows)})
    np.testing.assert_allclose(method.score(signals), [0.368064, 0.101749], atol=5e-7)


def test_the_uncertainty_is_never_negative():
    masses = np.random.default_rng(0).gamma(0.2, size=(500, 4, 3)) + 1e-7
    score = UQICL(task="classification").score(Signals({demonstrated_probabilities(4, 4): normalised(masses)}))
    assert score.min() >= 0.0
    assert score.max() <= np.log(3)


def test_responses_are_ranked_by_their_tokens():
    method = UQICL(n_sets=6, n_demonstrations=2)
    assert method.needs == {demonstrated_mutual_information(6, 2)}
    signals = Signals({demonstrated_mutual_information(6, 2): np.array([0.1, 0.3, 0.2])})
    assert method.pick(signals, 2, np.random.default_rng(0)).indices.tolist() == [1, 2]


@pytest.mark.parametrize("fields", [{"n_sets": 1}, {"n_demonstrations": 0}])
def test_too_few_demonstrations_are_refused(fields):
    ((field, value),) = fields.items()
    with pytest.raises(ConfigError, match=f"^{field}={value} is not a whole number"):
        UQICL(**fields)
