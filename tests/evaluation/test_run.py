import dataclasses
import json
import os
import socket
import subprocess
import sys

import pytest

from hf_select.errors import ConfigError, SandboxUnavailableError
from hf_select.evaluation import run
from hf_select.evaluation.prompt import get_style
from hf_select.evaluation.run import evaluate_model
from hf_select.evaluation.sandbox import LEVELS, Verdict


@pytest.fixture
def problems(increment):
    return [dataclasses.replace(increment, task_id=f"Tiny/{number}") for number in range(4)]


ANSWERS = {
    0: ["    return x + 1\n", "    return x\n"],
    1: ["    return x\n\nprint(increment(3))\n", "    return 1 + x\n"],
    2: ["    import os\n    os._exit(0)\n", "    return x\n"],
    3: ["```python\ndef increment(x):\n    return x - -1\n```", "    return x + 1.0\n"],
}


@pytest.fixture
def answers(monkeypatch):
    """A model that answers from a table; what it was asked for is remembered."""
    asked = {}

    def generate(model, tokenizer, prompts, *, n_samples, **options):
        asked.update(options, prompts=prompts, n_samples=n_samples)
        return [ANSWERS[number][:n_samples] for number in range(len(prompts))]

    monkeypatch.setattr(run, "generate", generate)
    return asked


def evaluate(problems, **options):
    return evaluate_model(None, None, problems, **({"progress": False} | options))


def test_one_sample(problems, answers, sandbox, tmp_path):
    path = tmp_path / "out" / "samples.jsonl"
    result = evaluate(problems, sandbox=sandbox, samples_path=path)
    assert result.pass_at_1 == 0.5
    assert result.pass_at_1_interval == pytest.approx((0.150039, 0.849961), abs=1e-6)
    assert result.counts == {"passed": 2, "failed": 1, "crashed": 1}
    assert (result.n_problems, result.n_samples, result.n_in_process) == (4, 1, 0)
    assert result.sandbox_level in LEVELS
    assert result.message == ""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(row["task_id"], row["status"], row["passed"]) for row in rows] == [
        ("Tiny/0", "passed", True),
        ("Tiny/1", "failed", False),
        ("Tiny/2", "crashed", False),
        ("Tiny/3", "passed", True),
    ]
    assert rows[1]["completion"] == ANSWERS[1][0]
    assert "print" not in rows[1]["program"]
    assert rows[3]["program"].startswith("from typing import List\ndef increment")


def test_several_samples(problems, answers, sandbox):
    result = evaluate(problems, sandbox=sandbox, n_samples=2, k=(2, 1), temperature=0.8)
    assert {k: estimate.value for k, estimate in result.pass_at_k.items()} == {1: 0.5, 2: 0.75}
    assert [sample.task_id for sample in result.samples[:3]] == ["Tiny/0", "Tiny/0", "Tiny/1"]


def test_the_style_decides_prompts_and_stops(problems, answers, sandbox):
    evaluate(problems, sandbox=sandbox)
    assert answers["prompts"] == [problem.prompt for problem in problems]
    assert answers["stop"] == get_style("completion").stop(problems)
    assert answers["add_special_tokens"]
    evaluate(problems, sandbox=sandbox, style="instruction", max_new_tokens=7, seed=3)
    assert answers["prompts"][0].startswith("### Instruction:\nPlease complete")
    assert (answers["max_new_tokens"], answers["seed"]) == (7, 3)


def test_without_consent_everything_but_the_execution_is_done(problems, answers, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    result = evaluate(problems, samples_path=tmp_path / "samples.jsonl")
    assert result.pass_at_1 is None
    assert result.pass_at_k == {}
    assert result.counts == {"not_run": 4}
    assert result.sandbox_level is None
    assert "HF_ALLOW_CODE_EVAL=1" in result.message
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [row["passed"] for row in rows] == [None] * 4
    assert all(row["program"] for row in rows)


def test_the_environment_is_consent_enough(problems, answers, monkeypatch):
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    assert evaluate(problems, n_workers=1).pass_at_1 == 0.5


def test_a_failure_of_the_sandbox_is_no_failure_of_the_model(problems, answers, sandbox, monkeypatch):
    check_many = sandbox.check_many

    def one_lost(programs, progress):
        lost = Verdict(False, "infra_error", "the worker ended", "process", 0.0, False)
        return [lost, *check_many(programs[1:], progress=progress)]

    monkeypatch.setattr(sandbox, "check_many", one_lost)
    result = evaluate(problems, sandbox=sandbox)
    assert result.pass_at_1 is None
    assert "1 of 4 programs have no verdict" in result.message
    assert "pass@k not known" in str(result)
    with pytest.raises(SandboxUnavailableError, match="1 of 4 programs have no verdict"):
        result.require_verdicts()


def test_a_level_that_does_not_hold_is_told_before_anything_is_generated(problems, monkeypatch):
    def refuse(level):
        raise SandboxUnavailableError(f"no {level}")

    monkeypatch.setattr(run, "choose_level", refuse)
    monkeypatch.setattr(run, "generate", lambda *arguments, **options: pytest.fail("it was generated"))
    with pytest.raises(SandboxUnavailableError, match="no full"):
        evaluate(problems, sandbox_level="full", allow_code_eval=True)


def test_judged_in_process_is_counted(problems, answers, sandbox):
    problems[0] = dataclasses.replace(problems[0], in_process=True)
    result = evaluate(problems, sandbox=sandbox)
    assert result.n_in_process == 1
    assert result.pass_at_1 == 0.5


class Share:
    num_processes = 2

    def __init__(self, rank):
        self.process_index = rank
        self.is_main_process = rank == 0


def test_two_processes_execute_a_share_each(problems, answers, sandbox, monkeypatch, tmp_path):
    shares = []
    alone = evaluate(problems, sandbox=sandbox)
    executed = []
    check_many = sandbox.check_many
    monkeypatch.setattr(
        sandbox, "check_many", lambda programs, progress: executed.append(len(programs)) or check_many(programs, False)
    )

    def gather(share):
        shares.append(share)
        everything = [*shares[0], *(shares[1] if len(shares) > 1 else [])]
        return everything if len(shares) > 1 else [*share, *[(index, share[0][1]) for index in (1, 3)]]

    monkeypatch.setattr("accelerate.utils.gather_object", gather)
    for rank in (0, 1):
        result = evaluate(problems, sandbox=sandbox, accelerator=Share(rank), samples_path=tmp_path / f"{rank}.jsonl")
    assert executed == [2, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.jsonl", "0.summary.json"]
    assert [sample.status for sample in result.samples] == [sample.status for sample in alone.samples]
    assert result.pass_at_1 == alone.pass_at_1


@pytest.mark.parametrize("k", [(), (0,), (2,)])
def test_k_must_fit_the_samples(problems, answers, sandbox, k):
    with pytest.raises(ConfigError, match="every k needs"):
        evaluate(problems, sandbox=sandbox, k=k)


def test_no_problem_is_an_error(answers, sandbox):
    with pytest.raises(ConfigError, match="at least one problem"):
        evaluate([], sandbox=sandbox)


TWO_PROCESSES = """
import sys
import torch
from accelerate import Accelerator
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from hf_select.evaluation import evaluate_model, load_humaneval

accelerator = Accelerator(cpu=True)
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
backend = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
backend.decoder = decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="!")
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=256, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
    num_attention_heads=2, initializer_range=0.4, bos_token_id=None, eos_token_id=None, pad_token_id=None))
problems = sorted(load_humaneval(), key=lambda problem: len(problem.prompt))[:7]
result = evaluate_model(model, tokenizer, problems, n_samples=2, temperature=1.0, max_new_tokens=8, batch_size=3,
    allow_code_eval=True, n_workers=1, accelerator=accelerator, progress=False,
    samples_path=f"{sys.argv[1]}/{accelerator.num_processes}.jsonl")
assert len(result.samples) == 14
accelerator.end_training()
"""


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_real_processes_write_what_one_writes(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(_free_port())]
    for launcher in ([], torchrun):
        command = [sys.executable, *launcher, str(script), str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=150)
        assert done.returncode == 0, done.stderr[-2000:]
    one, two = (tmp_path / f"{n}.jsonl" for n in (1, 2))
    assert one.read_text() == two.read_text()
    assert len(one.read_text().splitlines()) == 14
