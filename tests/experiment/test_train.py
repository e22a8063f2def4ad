"""The mean loss of a training that was cut off counts the steps before the cut."""

import pytest

from hf_select.experiment.train import _mean_loss


def test_the_mean_loss_is_over_all_steps() -> None:
    # three steps at 6, then two at 1: the process that ends the run knows of the last two alone
    assert _mean_loss([[3, 6.0], [5, 1.0]], of_this_call=0.4) == pytest.approx(4.0)
    assert _mean_loss([], of_this_call=2.5) == 2.5
