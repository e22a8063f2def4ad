"""The recipe as a module, and the smallest run that goes the whole way."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "codeact.py"
SMALL = (
    *("--demo_rows", "200", "--demo_test_problems", "12", "--num_train_epochs", "1", "--scorer_warmup_epochs", "1"),
    *("--benchmarks", "demo", "--max_new_tokens", "8", "--logging_steps", "2", "--num_threads", "1"),
)
ARMS = ("--arms", "full,random:40%,gates+random:30%,gates+cdas:30%")


@pytest.fixture(scope="session")
def leaky_rows(tmp_path_factory):
    """A file of 64 rows with a prompt; the longest hold one of four drawn and one of the first four of HumanEval."""
    from hf_select.evaluation.benchmark import load_humaneval
    from hf_select.evaluation.task import load_coding_task

    drawn = load_coding_task("humaneval", max_problems=4).measurement.problems
    rows = [(f"Add {number}.", f"def f(x):\n    return x + {number}\n") for number in range(62)]
    first = load_humaneval()[:4]
    assert not {problem.task_id for problem in drawn} & {problem.task_id for problem in first}
    rows += [("Do it.", drawn[0].solution), ("Do that.", first[0].solution)]
    path = tmp_path_factory.mktemp("leaky") / "rows.jsonl"
    lines = [json.dumps({"prompt": prompt, "completion": text}) for prompt, text in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def codeact():
    """``recipes/codeact.py``, imported from its file as ``accelerate launch`` would run it."""
    spec = importlib.util.spec_from_file_location("codeact", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measures(folder):
    """What a run measured, without times and memory."""
    results = json.loads((Path(folder) / "results.json").read_text())
    kept = ("name", "rows", "tokens", "steps", "validation_loss", "pass_at_1", "pass_at_1_interval", "padding_fraction")
    return [{name: arm[name] for name in kept} for arm in results["arms"]]


def picks(folder):
    """Row ids of every selection of a run, by arm."""
    from hf_select.selection import Selection

    found = sorted((Path(folder) / "selections").glob("*/seed-*"))
    return {str(path.relative_to(folder)): Selection.load(path).indices.tolist() for path in found}
