import pytest

from hf_select.errors import CodeExecutionError, ConfigError, SandboxUnavailableError
from hf_select.evaluation.sandbox import Sandbox, Verdict


@pytest.fixture(scope="module")
def metric():
    from hf_select.evaluation.metric import PassAtK

    return PassAtK()


ADD = ["def add(a, b):\n    return a + b", "def add(a, b):\n    return a - b"]


def test_the_convention_of_code_eval(metric, monkeypatch):
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    shares, results = metric.compute(
        predictions=[ADD, [*ADD, "def add(:"]],
        references=["assert add(2, 3) == 5", "def check(f):\n    assert f(1, 1) == 2\ncheck(add)"],
        k=[1, 2, 3],
    )
    assert shares == pytest.approx({"pass@1": (1 / 2 + 1 / 3) / 2, "pass@2": (1 + 2 / 3) / 2})
    assert sorted(results) == [0, 1]
    assert results[0][0] == (0, {"task_id": 0, "passed": True, "result": "passed", "completion_id": 0})
    assert results[1][2][1]["result"].startswith("failed: SyntaxError")
    assert [told["passed"] for _, told in results[1]] == [True, False, False]


def test_nothing_runs_without_consent(metric, monkeypatch):
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    with pytest.raises(CodeExecutionError, match="HF_ALLOW_CODE_EVAL"):
        metric.compute(predictions=[ADD], references=["assert add(2, 3) == 5"])


def test_a_task_without_candidates_is_an_error(metric, monkeypatch):
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    with pytest.raises(ConfigError, match="one has none"):
        metric.compute(predictions=[ADD, []], references=["assert add(2, 3) == 5", "assert add(0, 0) == 0"])


def test_a_failure_of_the_sandbox_is_no_share(metric, monkeypatch):
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    lost = Verdict(False, "infra_error", "the worker ended", "process", 0.0, False)
    monkeypatch.setattr(Sandbox, "check_many", lambda self, programs, progress: [lost for _ in programs])
    with pytest.raises(SandboxUnavailableError, match="2 of 2 programs have no verdict"):
        metric.compute(predictions=[ADD], references=["assert add(2, 3) == 5"], k=[1])
