import numpy as np

from hf_select.methods import make
from hf_select.methods.quality.perplexity import Perplexity
from hf_select.signals.keys import RESPONSE_NLL
from hf_select.signals.table import Signals

SIGNALS = Signals({RESPONSE_NLL: np.array([0.5, 2.0, 0.0, 1e4])})


def pick(prefer, k):
    return make("perplexity", prefer=prefer).pick(SIGNALS, k, np.random.default_rng(0)).indices.tolist()


def test_low_or_high_comes_first_even_where_the_number_overflows():
    assert pick("low", 4) == [2, 0, 1, 3]
    assert pick("high", 4) == [3, 1, 0, 2]


def test_the_number_itself_is_reported():
    np.testing.assert_allclose(Perplexity().perplexity(SIGNALS), [np.exp(0.5), np.exp(2), 1.0, np.inf])
