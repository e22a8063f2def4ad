import numpy as np

from hf_select.methods import make
from hf_select.signals.keys import RESPONSE_NLL
from hf_select.signals.table import Signals


def test_the_hardest_rows_come_first():
    signals = Signals({RESPONSE_NLL: np.array([0.5, 2.0, np.nan, 1.0, 2.0], dtype=np.float32)})
    indices, scores = make("loss").pick(signals, 4, np.random.default_rng(0))
    assert indices.tolist() == [1, 4, 3, 0]
    assert scores.tolist() == [2.0, 2.0, 1.0, 0.5]
