"""kill -9 at every write of a selection, and at random times: the next run goes on, and nobody can tell (F8, F10)."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from hf_select.crash_point import CRASH_POINTS
from tests.callbacks.test_selection_killed import AT_RESELECTION
from tests.hub.test_kill import AT_CRASH_POINT as AT_PUSH

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("killed_runs.py")
AT_VERB = (
    *("file.written:1", "file.written:20", "file.flushed:2", "file.flushed:33", "file.renamed:1", "file.renamed:31"),
    *("shard.computed:1", "shard.computed:17", "shard.stored:1", "shard.stored:32", "manifest.due:1", "manifest.due:2"),
    *("manifest.stored:1", "picks.made:1", "selection.half_saved:1", "selection.recorded:1", "selection.saved:1"),
    *(
        "file.flushed:35",
        "file.written:36",
        "file.flushed:37",
    ),  # the three files of the selection, behind 34 of the store
)
AT_COMMAND = ("report.due:1", "output.staged:1", "output.whole:1", "output.moving:1", "output.moving:2")


def drive(folder: Path, kills: list[dict], *, by_command: bool = False) -> dict:
    """Every kill and the run behind it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    kills = [{**kill, "by_command": by_command} for kill in kills]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)],
        input=json.dumps(kills), env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(driven: dict, result: dict) -> None:
    """What must hold behind every kill."""
    whole, found, kill = driven["whole"], result["found"], result["kill"]
    assert result["again"] == 0, result["said"][-2000:]
    assert found["picks"] == whole["picks"], kill  # row ids and scores, bit by bit
    assert found["shards"] == whole["shards"], kill  # the signals of every row
    assert found["orphans"] == [], kill
    assert [name for name in found["files"] if name.startswith("out")] == [
        name for name in whole["files"] if name.startswith("out")
    ]
    # at most the shard that was being worked on is computed again
    killed, again = result["batches"]
    assert len(killed) + len(again) - len(driven["batches"]) <= driven["n_batches_of_a_shard"], kill
    assert set(killed) | set(again) == set(driven["batches"])


def test_every_crash_point_has_its_kill():
    kills = (*AT_VERB, *AT_COMMAND, *AT_PUSH, *AT_RESELECTION)  # the tests beside each assert that it was killed there
    assert {kill.partition(":")[0] for kill in kills} == set(CRASH_POINTS)


@pytest.mark.slow
def test_a_selection_goes_on_behind_a_kill_at_every_crash_point(tmp_path):
    driven = drive(tmp_path / "runs", [{"crash_at": kill, "over_another": n % 2} for n, kill in enumerate(AT_VERB)])
    assert len(driven["results"]) == len(AT_VERB) == 20
    n_left = 0
    for result in driven["results"]:
        assert result["status"] == -9, result["kill"]
        n_left += bool(result["left"]["orphans"])
        check(driven, result)
        if result["kill"]["over_another"]:  # the selection that was there before, or the new one
            assert len(result["left"]["picks"][0]) in (7, 20)
    assert n_left >= 5  # the sweep had something to do


@pytest.mark.slow
def test_a_command_goes_on_behind_a_kill_at_every_crash_point(tmp_path):
    driven = drive(tmp_path / "runs", [{"crash_at": kill} for kill in AT_COMMAND], by_command=True)
    assert len(driven["results"]) == len(AT_COMMAND)
    for result in driven["results"]:
        assert result["status"] == -9, result["kill"]
        assert "holds no finished selection" in result["left"]["picks"]
        check(driven, result)


@pytest.mark.slow
def test_a_selection_goes_on_behind_a_kill_at_any_time(tmp_path):
    drawn = random.Random(20)
    driven = drive(tmp_path / "runs", [{"signal_after": drawn.uniform(0, 1.1), "over_another": 0} for _ in range(20)])
    assert len(driven["results"]) == 20
    for result in driven["results"]:
        assert result["status"] in (-9, 0)  # 0: it was done before
        check(driven, result)
    assert sum(result["status"] == -9 for result in driven["results"]) >= 5
