"""Learning loss: the predicted loss ranks, in classification alone."""

import numpy as np
import pytest

from hf_select.errors import TaskError
from hf_select.methods import make_for
from hf_select.methods.base import Task
from hf_select.methods.quality.learning_loss import LearningLoss
from hf_select.signals.keys import PREDICTED_LOSS
from hf_select.signals.table import Signals


def test_the_largest_predicted_loss_comes_first() -> None:
    signals = Signals({PREDICTED_LOSS: np.array([0.2, -3.0, np.nan, 1.5, 0.2], dtype=np.float32)})
    assert LearningLoss().eligible(signals).tolist() == [0, 1, 3, 4]
    indices, scores = LearningLoss().pick(signals, 4, np.random.default_rng(0))
    assert indices.tolist() == [3, 0, 4, 1]
    assert scores[0] == 1.5


def test_where_labels_are_there_it_sends_to_the_loss_itself() -> None:
    assert make_for("learning_loss", Task.CLASSIFICATION) == LearningLoss()
    with pytest.raises(TaskError, match=r"'learning_loss' does not serve causal_lm models: .* take 'loss'"):
        make_for("learning_loss", Task.CAUSAL_LM)
