import json

import pytest

from hf_select.errors import SandboxUnavailableError
from hf_select.evaluation.pass_at_k import Estimate
from hf_select.evaluation.result import EvaluationResult, Sample, count_statuses
from hf_select.evaluation.sandbox import Containment, Verdict

SAMPLES = [
    Sample.of("A/0", "text", "program", Verdict(True, "passed", "", "process", 0.1, True)),
    Sample.of("A/1", "\ud800", "\ud800", Verdict(False, "timeout", "late", "process", 3.0, False)),
    Sample.of("A/2", "text", "program", None),
]


CONTAINMENT = Containment("namespaces", ["namespaces", "limits"], None, 1000, {"full": "landlock: not there"})


def result(**fields):
    values = {
        "pass_at_k": {1: Estimate(0.5, 0.25, 0.75)},
        "n_problems": 2,
        "n_samples": 1,
        "counts": {"passed": 1, "timeout": 1},
        "n_in_process": 1,
        "containment": CONTAINMENT,
        "generation_seconds": 2.0,
        "execution_seconds": 1.0,
        "message": "",
        "samples": SAMPLES,
    }
    return EvaluationResult(**(values | fields))


def test_a_sample_without_verdict_was_not_run():
    assert SAMPLES[2].status == "not_run"
    assert SAMPLES[2].passed is None
    assert count_statuses(SAMPLES) == {"passed": 1, "timeout": 1, "not_run": 1}


def test_a_result_tells_what_it_knows():
    assert result().pass_at_1 == 0.5
    assert result().pass_at_1_interval == (0.25, 0.75)
    assert str(result()) == ("pass@1 50.0% [25.0%, 75.0%] on 2 problems (1 passed, 1 timeout, 1 judged in process)")
    unknown = result(pass_at_k={}, message="Nothing was executed.", n_in_process=0)
    assert unknown.pass_at_1 is None
    assert unknown.pass_at_1_interval is None
    assert str(unknown).startswith("pass@k not known on 2 problems")
    assert str(unknown).endswith(". Nothing was executed.")


def test_the_summary_is_plain_data():
    summary = json.loads(json.dumps(result().summary()))
    assert summary["pass_at_1_interval"] == [0.25, 0.75]
    assert summary["pass_at_k"] == {"1": {"value": 0.5, "low": 0.25, "high": 0.75}}
    assert summary["sandbox_level"] == "namespaces"
    assert summary["sandbox"] == {
        "level": "namespaces",
        "layers": ["namespaces", "limits"],
        "landlock_version": None,
        "user": 1000,
        "why_not_stronger": {"full": "landlock: not there"},
    }
    assert result(containment=None).summary()["sandbox"] is None
    assert "samples" not in summary


def test_a_result_without_all_verdicts_ends_a_run():
    result().require_verdicts()
    lost = result(counts={"passed": 1, "infra_error": 1}, message="1 of 2 programs have no verdict")
    with pytest.raises(SandboxUnavailableError, match="1 of 2 programs have no verdict"):
        lost.require_verdicts()


def test_the_summary_lies_beside_the_samples(tmp_path):
    result().save_samples(tmp_path / "samples.jsonl")
    beside = json.loads((tmp_path / "samples.summary.json").read_text())
    assert beside == json.loads(json.dumps(result().summary()))


def test_samples_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = result().save_samples(tmp_path / "samples.jsonl")
    rows = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert [row["task_id"] for row in rows] == ["A/0", "A/1", "A/2"]
    assert rows[0] == {
        "task_id": "A/0",
        "completion": "text",
        "program": "program",
        "status": "passed",
        "detail": "",
        "passed": True,
        "in_process": True,
    }
    assert rows[1]["completion"] == "\ud800"
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("hf_select.files.os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        result(samples=SAMPLES[:1]).save_samples(path)
    assert path.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "samples.summary.json"]
