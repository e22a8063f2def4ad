"""The arguments of a study's trainings."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import TrainingArguments

from hf_select.study.schedule import Schedule
from hf_select.study.trainer import _settings


@pytest.mark.parametrize(("n_rows", "drops"), [(3, False), (8, True), (10, True)])
def test_every_step_of_an_arm_sees_equally_many_rows(tmp_path, n_rows, drops):
    training = TrainingArguments(output_dir=str(tmp_path), per_device_train_batch_size=8, use_cpu=True)
    setting = SimpleNamespace(arguments=SimpleNamespace(training=training), seed=1)
    settings = _settings(setting, Path(tmp_path), Schedule.of(10, decay_fraction=0.2), n_rows)
    assert settings.dataloader_drop_last is drops
    assert settings.per_device_train_batch_size == 8
    assert not training.dataloader_drop_last
