"""Planted copies of HumanEval and MBPP: what the leakage gate promises to find, and to leave alone."""

from itertools import islice

import pytest

from hf_select.evaluation.benchmark import load_benchmark
from hf_select.gates import LeakageGate

pytest.importorskip("benchmarks.gates.leakage", reason="the benchmarks are not beside the tests")
from benchmarks.diversity.corpus import functions
from benchmarks.gates.leakage import SURFACE, recall


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.data
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")  # of installed functions
def test_planted_copies_are_found_and_installed_functions_are_not(shared_data):
    benchmarks = {
        "humaneval": load_benchmark("humaneval"),
        "mbpp": load_benchmark("mbpp", shared_data / "mbpp/mbpp.jsonl.gz"),
    }
    problems = [(name, problem) for name, found in benchmarks.items() for problem in found]
    assert len(problems) == 664
    gate = LeakageGate(benchmarks)
    found = {edit: counts["found"] for edit, counts in recall(gate, problems).items()}
    assert {name: found[name] for name in SURFACE} == dict.fromkeys(SURFACE, 664)
    assert found["no docstring, no comments"] >= 638
    assert found["renamed"] >= 541
    texts = list(islice(functions(), 6000))
    assert len(texts) == 6000
    verdicts = gate.judge({"prompt": [""] * len(texts), "completion": texts})
    assert sum(reason is not None and reason != "" for reason in verdicts) <= 1
