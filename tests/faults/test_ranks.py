"""Several processes (gloo, CPU): the same bits for any number of them, and one that is lost or stopped (F9, F16)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("ranks.py")


def drive(folder: Path, launches: list[dict]) -> list[dict]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)],
        input=json.dumps(launches), env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_bits(tmp_path):
    """F9; ``HF_SELECT_TEST_PROCESSES=1,2,3,4,8`` for more of them."""
    counts = [int(n) for n in os.environ.get("HF_SELECT_TEST_PROCESSES", "1,2,3,4").split(",")]
    first, *others = drive(tmp_path / "runs", [{"n": n, "cache": f"of-{n}"} for n in counts])
    assert first["status"] == [0]
    assert len(first["found"]["picks"][0]) == 20
    assert len(first["found"]["shards"]) == 32
    for n, other in zip(counts[1:], others, strict=True):
        assert other["status"] == [0] * n, other["said"]
        assert other["found"]["picks"] == first["found"]["picks"]  # row ids and scores
        assert other["found"]["shards"] == first["found"]["shards"]  # every signal of every row
        assert all(of_one for of_one in other["batches"])  # every process had its share


@pytest.mark.slow
def test_a_lost_process_ends_the_run_and_the_next_one_goes_on(tmp_path):
    """One of two killed: the other ends with an error, and nothing says that all shards are there."""
    whole, broken, again = drive(
        tmp_path / "runs",
        [
            {"n": 1, "cache": "whole"},
            {"n": 2, "cache": "torn", "crash": {"1": "shard.stored:3"}},
            {"n": 1, "cache": "torn"},
        ],
    )
    assert broken["status"][1] == -9
    assert broken["status"][0] not in (0, 124), broken["said"]
    assert broken["manifests"] == []
    assert 3 <= len(broken["found"]["shards"]) <= 16
    assert again["status"] == [0]
    assert again["found"] == whole["found"] | {"files": again["found"]["files"]}
    n_lost = sum(map(len, (*broken["batches"], *again["batches"]))) - len(whole["batches"][0])
    assert n_lost <= 3  # at most a shard of each process that was at work


@pytest.mark.slow
def test_all_processes_leave_together_when_one_is_told_to(tmp_path):
    """SIGTERM to one of two: both end with 143 before their shares are done, and the next run goes on."""
    whole, stopped, again = drive(
        tmp_path / "runs",
        [{"n": 1, "cache": "whole"}, {"n": 2, "cache": "torn", "sigterm": 1}, {"n": 1, "cache": "torn"}],
    )
    assert stopped["status"] == [143, 143], stopped["said"]
    assert "Stopped by SIGTERM in the" in stopped["said"][0]
    assert "the same command goes on behind them" in stopped["said"][0]
    assert stopped["said"][1].count("Stopped by SIGTERM") == 0  # the main process speaks
    assert stopped["manifests"] == []
    assert len(stopped["batches"][1]) == 5  # not one batch more
    assert len(stopped["batches"][0]) < len(whole["batches"][0]) / 2
    assert again["found"] == whole["found"] | {"files": again["found"]["files"]}
