import numpy as np
import pytest

from hf_select.errors import ConfigError
from hf_select.methods.quality.length import Length
from hf_select.signals.keys import TEXT_LENGTH
from hf_select.signals.table import Signals

SIGNALS = Signals({TEXT_LENGTH: np.array([7, 0, 12, 7])})


def pick(prefer):
    return Length(prefer=prefer).pick(SIGNALS, 4, np.random.default_rng(0))


def test_long_or_short_comes_first_and_equal_lengths_by_row_id():
    assert pick("long").indices.tolist() == [2, 0, 3, 1]
    assert pick("short").indices.tolist() == [1, 0, 3, 2]


def test_the_score_is_the_length_with_the_sign_of_the_preference():
    assert pick("long").scores.tolist() == [12, 7, 7, 0]
    assert pick("short").scores.tolist() == [0, -7, -7, -12]


def test_other_preferences_are_refused():
    with pytest.raises(ConfigError, match="prefer='medium' is not known"):
        Length(prefer="medium")
