"""The cost of a training, measured in a real ``Trainer``."""

import pytest
import torch
from transformers import Trainer, TrainingArguments

from hf_select.callbacks import EfficiencyCallback
from hf_select.demo import build_model, train_tokenizer
from hf_select.training import DynamicPackCollator, PaddingCollator, packed_attention


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["return a + b"] * 4, 260)


def run(tokenizer, collator, tmp_path, **settings):
    model = build_model(tokenizer, hidden=16, layers=1, heads=2)
    rows = [{"input_ids": list(range(2, 2 + n)), "labels": list(range(2, 2 + n))} for n in (3, 9, 5, 17)]
    args = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=4, max_steps=3, report_to="none", save_strategy="no",
        use_cpu=True, dataloader_pin_memory=False, remove_unused_columns=False, disable_tqdm=True, **settings,
    )  # fmt: skip
    callback = EfficiencyCallback(collator.stats)
    with packed_attention(model):
        trainer = Trainer(model, args, train_dataset=rows, data_collator=collator, callbacks=[callback])
        trainer.train()
    return callback, trainer.state.log_history


def test_tokens_padding_and_memory_are_measured_and_logged(tokenizer, tmp_path):
    callback, history = run(tokenizer, DynamicPackCollator(tokenizer, 17), tmp_path)
    assert callback.stats.n_tokens == 3 * (3 + 9 + 5 + 17)
    assert callback.figures()["padding_fraction"] == 0  # 17 and 9 + 5 + 3
    assert callback.figures()["tokens_per_second"] > 0
    assert callback.peak_memory_bytes > 1e6
    assert (
        not torch.cuda.is_available() or callback.peak_memory_bytes < torch.cuda.get_device_properties(0).total_memory
    )
    assert [entry for entry in history if "tokens_per_second" in entry] == [
        {"step": 3, "epoch": 3.0, **callback.figures()}
    ]


def test_padding_is_counted(tokenizer, tmp_path):
    collator = PaddingCollator(tokenizer, 17, padding="max_length")
    run_stats = collator.stats
    collator([{"input_ids": [2, 3], "labels": [2, 3]}, {"input_ids": [2] * 17, "labels": [2] * 17}])
    assert run_stats.padding_fraction == pytest.approx(15 / 34)


def test_without_stats_there_are_seconds_and_memory_alone():
    assert set(EfficiencyCallback().figures()) == {"training_seconds", "peak_memory_bytes"}
