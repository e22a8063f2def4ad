"""What the callbacks measure reaches the trackers themselves: TensorBoard's event files and trackio's database."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations.integration_utils import TensorBoardCallback

from hf_select.callbacks import EfficiencyCallback, SelectionCallback
from hf_select.callbacks.tracker import report
from hf_select.demo import build_model
from hf_select.training import PaddingCollator
from tests.callbacks import test_selection as case

ROOT = Path(__file__).resolve().parents[2]
SELECTION = {f"selection_{name}" for name in ("n_rows", "replaced_fraction", "overlap", "seconds", "score_median")}
EFFICIENCY = {"training_seconds", "peak_memory_bytes", "padding_fraction", "tokens_per_second"}
STEPS = 7
tokenizer, rows = case.tokenizer, case.rows  # fixtures


class InEvaluation(TrainerCallback):
    """Logs within the evaluation, as PassAtKCallback does, which needs a sandbox."""

    def on_evaluate(self, args, state, control, **kwargs):
        report({"eval_pass@1": 0.5}, args, state, control)


def train(tokenizer, rows, folder, *callbacks, resume=None, **settings):
    model = build_model(tokenizer, hidden=16, layers=1, heads=2)
    given = {"max_steps": STEPS, "logging_steps": 3, "save_strategy": "no", "report_to": "tensorboard", **settings}
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=2, use_cpu=True, dataloader_pin_memory=False,
        remove_unused_columns=False, disable_tqdm=True, learning_rate=1e-2, **given,
    )  # fmt: skip
    collator = PaddingCollator(tokenizer, 24)
    trainer = Trainer(
        model, args, train_dataset=rows, eval_dataset=rows, data_collator=collator, processing_class=tokenizer,
        callbacks=[EfficiencyCallback(collator.stats), *callbacks],
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def events(folder):
    """Steps and values of every scalar, and steps of every histogram, in all event files below a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    scalars, histograms = {}, {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        read = EventAccumulator(str(path), size_guidance={"scalars": 0, "histograms": 0}).Reload()
        for tag in read.Tags()["scalars"]:
            scalars.setdefault(tag, []).extend((event.step, event.value) for event in read.Scalars(tag))
        for tag in read.Tags()["histograms"]:
            histograms.setdefault(tag, []).extend((event.step, event.histogram_value) for event in read.Histograms(tag))
    return scalars, histograms


def test_tensorboard_gets_every_figure_once_at_its_step(tokenizer, rows, tmp_path):
    callback = SelectionCallback("loss", "40%", every=3, first=0)
    trainer = train(tokenizer, rows, tmp_path, callback, InEvaluation(), eval_strategy="steps", eval_steps=6)
    scalars, histograms = events(tmp_path)
    assert {f"train/{name}" for name in SELECTION | EFFICIENCY} <= set(scalars)
    for name in SELECTION:
        logged = [(entry["step"], entry[name]) for entry in trainer.state.log_history if name in entry]
        assert [step for step, _ in logged] == [0, 3, 6]
        np.testing.assert_allclose(scalars[f"train/{name}"], logged, rtol=1e-6)
    for name in EFFICIENCY:
        assert [step for step, _ in scalars[f"train/{name}"]] == [STEPS]
    assert scalars["eval/pass@1"] == [(6, 0.5), (7, 0.5)]
    assert [step for step, _ in scalars["train/loss"]] == [3, 6]  # what was due is logged all the same, and once
    [(name, found)] = histograms.items()
    assert name == "train/selection_scores"
    assert [(step, value.num) for step, value in found] == [(0, 9), (3, 9), (6, 9)]  # 40 % of 24 rows
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == 1  # none opened again after the end


def test_a_tracker_behind_ours_is_served_too_and_losses_are_logged_as_without(tokenizer, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a TensorBoardCallback that is called before it was opened writes into ./runs
    plain = train(tokenizer, rows, tmp_path / "plain", report_to="none")
    callback = SelectionCallback("loss", "100%", every=2, first=0)
    trainer = train(tokenizer, rows, tmp_path / "behind", callback, TensorBoardCallback(), report_to="none")
    scalars, _ = events(tmp_path / "behind")
    assert [step for step, _ in scalars["train/selection_overlap"]] == [0, 2, 4, 6]
    assert not (tmp_path / "runs").exists()
    losses = [[entry for entry in run.state.log_history if "loss" in entry] for run in (plain, trainer)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == 2


def test_a_resumed_run_logs_only_what_is_new(tokenizer, rows, tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 4}
    stop = case.Stop(4)
    train(tokenizer, rows, tmp_path, SelectionCallback("loss", "40%", every=2), stop, **settings)
    before, _ = events(tmp_path)
    assert [step for step, _ in before["train/selection_overlap"]] == [2, 4]
    resumed = train(
        tokenizer, rows, tmp_path, SelectionCallback("loss", "40%", every=2), resume=str(tmp_path / "checkpoint-4"),
        **settings,
    )  # fmt: skip
    scalars, _ = events(tmp_path)
    assert sorted(step for step, _ in scalars["train/selection_overlap"]) == [2, 4, 6]
    assert [entry["step"] for entry in resumed.state.log_history if "selection_overlap" in entry] == [2, 4, 6]


def test_outside_of_a_trainer_the_history_alone_is_written(tmp_path):
    args, state = TrainingArguments(output_dir=str(tmp_path), use_cpu=True), TrainerState(global_step=7, epoch=0.5)
    report({"eval_pass@1": 1.0}, args, state, TrainerControl())
    assert state.log_history == [{"eval_pass@1": 1.0, "epoch": 0.5, "step": 7}]


TRACKIO_RUN = """
import json
import sys
from pathlib import Path
from trackio.sqlite_storage import SQLiteStorage
from tests.callbacks.test_tracker import train
from tests.callbacks import test_selection as case
from hf_select.callbacks import SelectionCallback
from hf_select.demo import train_tokenizer
tokenizer = train_tokenizer(["return a + b"] * 4, 260)
rows = case.make_rows()
callback = SelectionCallback("loss", "40%", every=3, first=0)
train(tokenizer, rows, Path(sys.argv[1]), callback, report_to="trackio", project="tiny", run_name="one")
print("LOGS", json.dumps(SQLiteStorage.get_logs("tiny", "one")))
print("RUNS", json.dumps(SQLiteStorage.get_runs("tiny")))
"""


@pytest.mark.slow
def test_trackio_gets_every_figure_once_at_its_step_and_the_histograms(tmp_path):
    """In a process of its own: trackio reads its folder from the environment when it is imported, and uses threads."""
    environment = {**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}
    environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", TRACKIO_RUN, str(tmp_path / "run")], env=environment, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line.startswith(("LOGS ", "RUNS ")))
    logs = json.loads(told["LOGS"])
    for name, steps in [("train/selection_overlap", [0, 3, 6]), ("train/loss", [3, 6]),
                        ("train/tokens_per_second", [STEPS]), ("train/selection_scores", [0, 3, 6])]:  # fmt: skip
        assert [entry["train/global_step"] for entry in logs if name in entry] == steps, name
    kinds = {entry["train/selection_scores"]["_type"] for entry in logs if "train/selection_scores" in entry}
    assert kinds == {"trackio.histogram"}
    assert len(json.loads(told["RUNS"])) == 1  # none opened again after the end
