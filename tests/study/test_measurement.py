"""pass@1 over tasks and seeds, and means over tasks."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hf_select.evaluation.pass_at_k import wilson
from hf_select.evaluation.result import Sample
from hf_select.evaluation.task.score import score_samples
from hf_select.study import measurement
from hf_select.study.measurement import clean_measures, mean_loss, measure_study, pass_at_1, values_of
from hf_select.study.reference import Reference
from hf_select.study.setting import StudySetting


def entry(value, n_problems):
    return {"value": value, "interval": [0.0, 1.0], "n_problems": n_problems}


def test_pass_at_1_counts_the_problems_of_all_tasks_and_seeds():
    metrics = [{"a": entry(0.5, 10), "b": entry(0.1, 30), "sql": entry(1.0, 5)}, {"a": entry(0.3, 10), "b": None}]
    value, interval = pass_at_1(metrics, ["a", "b"])
    assert value == pytest.approx(11 / 50)
    assert interval == list(wilson(11, 50))


def test_what_was_not_measured_is_not_known():
    assert pass_at_1([{"a": None}], ["a"]) == (None, None)
    assert pass_at_1([{"a": entry(0.5, 10)}], []) == (None, None)
    assert values_of({"a": None, "b": entry(0.25, 4)}) == {"a": None, "b": 0.25}
    assert mean_loss({"a": 1.0, "b": None, "c": 3.0}) == 2.0
    assert mean_loss({"a": None}) is None


class Task:
    """Five problems: the first two are solved, the last cannot be asked here."""

    name, metric, language, unmeasured = "t", "pass@1", "python", ""

    def measure(self, *_, **__):
        statuses = ["passed", "passed", "failed", "failed", "refused"]
        return score_samples(
            [Sample(f"t/{n}", "", "", status, "", status == "passed", False) for n, status in enumerate(statuses)],
            "pass@1",
        )


def setting_of(**more):
    """A setting whose base run trained on row 0 of the pool."""
    asked = SimpleNamespace(allow_code_eval=True, max_new_tokens=8, evaluation_batch_size=1, max_problems=None)
    arguments = SimpleNamespace(executes_code=True, evaluation=asked)
    fields = dict.fromkeys(("run", "seed", "pool", "tokenizer", "schedule"))
    split = SimpleNamespace(base=np.array([0]))
    references = {"t": Reference(Task(), [], 0)}
    return StudySetting(**fields, arguments=arguments, references=references, split=split, **more)


def test_pass_at_1_without_what_base_run_and_arm_were_shown(monkeypatch):
    monkeypatch.setattr(measurement, "_loss", lambda *_: 1.0)
    leaks = [[0, "t", "t/0", "words"], [2, "t", "t/1", "words"], [4, "t", "t/4", "words"]]
    setting = setting_of(leaks=leaks, leak_benchmarks=["t"])
    found = [
        measure_study(torch.nn.Identity(), setting, np.array(rows))["metric"]["t"] for rows in ([], [1], [2], [2, 4])
    ]
    assert {entry["value"] for entry in found} == {0.5}
    assert [entry["n_leaked_problems"] for entry in found] == [1, 1, 2, 2]  # one that cannot be asked does not count
    assert [entry["n_uncontaminated"] for entry in found] == [3, 3, 2, 2]
    assert [entry["pass_at_1_uncontaminated"] for entry in found] == [pytest.approx(1 / 3)] * 2 + [0.0] * 2
    assert "n_leaked_problems" not in measure_study(torch.nn.Identity(), setting_of(), np.array([2]))["metric"]["t"]


def test_clean_measures_count_the_problems_of_all_tasks():
    clean = {"n_leaked_problems": 2, "n_uncontaminated": 3, "pass_at_1_uncontaminated": 1 / 3}
    gone = {"n_leaked_problems": 4, "n_uncontaminated": 0, "pass_at_1_uncontaminated": None}
    other = {"n_leaked_problems": 0, "n_uncontaminated": 1, "pass_at_1_uncontaminated": 1.0}
    found = clean_measures({"a": clean, "b": gone, "c": other, "demo": entry(0.9, 9), "sql": None})
    assert found == {"n_leaked_problems": 6, "n_uncontaminated": 4, "pass_at_1_uncontaminated": pytest.approx(0.5)}
    assert clean_measures({"b": gone})["pass_at_1_uncontaminated"] is None
    assert set(clean_measures({"demo": entry(0.9, 9)}).values()) == {None}
