"""Two processes: the same picks, one voice, one output folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hf_select.selection import Selection

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = (
    *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m", "hf_select.cli"),
)


def launch(*words):
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    settings = {"env": environment, "cwd": ROOT, "capture_output": True, "text": True, "timeout": 300}
    finished = subprocess.run([*LAUNCH, *map(str, words)], check=False, **settings)
    if finished.returncode and "Signal 6" in finished.stderr:
        print("gloo aborted at exit (rare, and none of this library's doing); launched once more")
        finished = subprocess.run([*LAUNCH, *map(str, words), "--overwrite"], check=False, **settings)
    return finished


@pytest.mark.slow
def test_two_processes_pick_what_one_picks(compare, rows, model, tmp_path):
    words = (
        *("--methods", "cdas,loss,random", "--set", "cdas.n_clusters=3", "--set", "cdas.max_ifd=none"),
        *("--budgets", "10%,20%", "--model_name_or_path", model, "--json"),
        *("--max_tokens_per_batch", "512"),
    )
    alone = json.loads(compare(*words)[0])
    two = ("--output_dir", tmp_path / "two", "--cache_dir", tmp_path / "cache_of_two", "--dataset_name", rows)
    finished = launch("compare", *two, *words)
    assert finished.returncode == 0, finished.stderr[-3000:]
    told = json.loads(finished.stdout)  # and nothing else came from either process
    assert "on 2 processes" in finished.stderr
    assert len(told["selections"]) == 6
    for one, other in zip(alone["selections"], told["selections"], strict=True):
        first = Selection.load(tmp_path / "out" / one["folder"])
        second = Selection.load(tmp_path / "two" / other["folder"])
        assert first.indices.tolist() == second.indices.tolist()
        np.testing.assert_allclose(first.scores, second.scores, rtol=1e-5)  # other threads, other last bits


@pytest.mark.slow
def test_bad_input_is_told_once(rows, tmp_path):
    words = ("--dataset_name", rows, "--method", "ifd", "--budget", "5", "--output_dir", tmp_path / "out")
    finished = launch("select", *words)
    assert finished.returncode != 0
    assert finished.stderr.count("ConfigError: 'ifd' needs 'signal_answer_alone_nll'") == 1
    assert finished.stdout == ""
