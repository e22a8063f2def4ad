"""kill -9 around a re-selection and within a save: the resumed training is the uninterrupted one, bit by bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AT_RESELECTION = tuple(f"reselect.{place}:{n}" for place in ("scored", "swapped", "noted") for n in (1, 3))
TORN = {"weights": "it has no state of the optimiser", "optimizer": "it has no random state",
        "random": "it has no trainer_state.json", "half": "trainer_state.json is cut off or damaged"}  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("no benchmarks beside the tests: the training is that of benchmarks/soak")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed_training.py")), str(folder), *AT_RESELECTION],
        env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_killed_at_every_point_of_a_reselection(found):
    kills = {kill: told for kill, told in found["kills"].items() if kill.startswith("reselect.")}
    assert sorted(kills) == sorted(AT_RESELECTION)
    assert len(kills) == 6
    for kill, told in kills.items():
        assert (told["killed"], told["resumed"]) == (-9, 0), (kill, told)
        assert all(told["equal"].values()), (kill, told)
        assert not any(told["damage"].values()), (kill, told)
        assert bool(told["damage"]) == kill.endswith(":3"), "the first dies before any checkpoint, the third behind two"


@pytest.mark.slow
def test_killed_in_the_middle_of_a_save(found):
    kills = {kill: told for kill, told in found["kills"].items() if not kill.startswith("reselect.")}
    assert len(kills) == 11
    for kill, told in kills.items():
        stage, _, step = kill.partition(":")
        assert (told["killed"], told["resumed"]) == (-9, 0), (kill, told)
        assert all(told["equal"].values()), (kill, told)
        damage = told["damage"].pop(f"checkpoint-{step}")
        assert damage is None if stage == "state" else damage.startswith(TORN[stage]), (kill, told)
        assert not any(told["damage"].values()), (kill, told)
        assert len(told["damage"]) == min(4, int(step) // 2 - 1)  # as many are kept


@pytest.mark.slow
def test_the_training_that_is_compared_selects_and_draws(found):
    """Otherwise equal would say little."""
    whole = found["whole"]
    assert [entry["step"] for entry in whole["ledger"]] == [1, 4, 7, 10]
    assert any(entry["replaced_fraction"] > 0 for entry in whole["ledger"][1:])
    assert list(map(int, whole["rows"])) == list(range(13))  # the last one fetched beforehand
    assert all(len(drawn) == 1 for drawn in whole["rows"].values())
    assert len(whole["losses"]) == 12
