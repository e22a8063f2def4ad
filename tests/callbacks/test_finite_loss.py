"""A training whose loss is not a number is stopped."""

import pytest
from transformers import TrainerState, TrainingArguments

from hf_select.callbacks import FiniteLossCallback
from hf_select.errors import ModelError


@pytest.mark.parametrize("logs", [{"loss": float("nan")}, {"grad_norm": float("inf")}, {"train_loss": float("-inf")}])
def test_a_number_that_is_none_stops(logs, tmp_path):
    args, state = (
        TrainingArguments(output_dir=str(tmp_path), learning_rate=0.5, use_cpu=True),
        TrainerState(global_step=7),
    )
    with pytest.raises(ModelError, match=r"is (nan|inf|-inf) at step 7 \(learning_rate=0.5\)"):
        FiniteLossCallback().on_log(args, state, None, logs)


def test_other_logs_pass(tmp_path):
    args, state = TrainingArguments(output_dir=str(tmp_path), use_cpu=True), TrainerState(global_step=7)
    FiniteLossCallback().on_log(args, state, None, {"loss": 1.5, "epoch": 0.1, "note": "nan"})
    FiniteLossCallback().on_log(args, state, None, None)
