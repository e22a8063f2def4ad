import numpy as np

from hf_select.methods import make
from hf_select.signals.table import Signals


def test_every_row_is_as_likely_to_come_first():
    signals = Signals({}, n_rows=4)
    first = [make("random").pick(signals, 1, np.random.default_rng(seed)).indices[0] for seed in range(2000)]
    counts = np.bincount(first, minlength=4)
    assert counts.sum() == 2000
    assert (np.abs(counts - 500) < 100).all()  # five standard deviations


def test_the_score_is_the_share_not_drawn_before():
    scores = make("random").pick(Signals({}, n_rows=5), 3, np.random.default_rng(0)).scores
    np.testing.assert_allclose(scores, [1.0, 0.8, 0.6])
