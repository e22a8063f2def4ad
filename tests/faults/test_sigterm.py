"""SIGTERM while scoring: exit status 143 behind the batch, finished shards kept, handlers of others called (F16)."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hf_select.training import last_whole_checkpoint

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("told_to_stop.py")


def stopped(kind: str, folder: Path, n_batches: int) -> tuple[int, str, int]:
    """Exit status, standard error, and batches that were begun behind the signal, which comes at the given batch."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen([sys.executable, str(SCRIPT), kind, str(folder)], env=environment, stderr=said)
        while process.poll() is None and n_read(folder) < n_batches:
            time.sleep(0.02)
        before, began = n_read(folder), time.perf_counter()
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=60)
    print(f"{kind}: SIGTERM to exit {time.perf_counter() - began:.2f} s")
    return status, (folder / "said.txt").read_text(), n_read(folder) - before


def n_read(folder: Path) -> int:
    log = folder / "log"
    return len(log.read_bytes().splitlines()) if log.exists() else 0


@pytest.mark.slow
def test_a_command_is_stopped_while_it_scores(tmp_path):
    status, said, n_more = stopped("command", tmp_path, 6)
    assert status == 143, said
    assert n_more <= 1
    assert "the same command goes on behind them" in said
    assert str(tmp_path / "cache") in said
    assert "Traceback" not in said
    assert 1 <= len(list((tmp_path / "cache").rglob("shard-*.safetensors"))) <= 3
    assert list(tmp_path.rglob("*.hf_select.tmp")) == []
    assert list(tmp_path.rglob("manifest.json")) == []
    assert not (tmp_path / "out" / "selection.json").exists()


@pytest.mark.slow
def test_a_training_is_stopped_while_it_selects(tmp_path):
    """The ``Trainer``'s own handler was told as well; the step is saved, and the finished shards are there."""
    status, said, n_more = stopped("training", tmp_path, 6)
    assert status == 143, said
    assert n_more <= 1
    assert "Stopped by SIGTERM in the forward pass." in said
    assert "SIGTERM received, will request JIT checkpoint" in said
    assert 1 <= len(list((tmp_path / "cache").rglob("shard-*.safetensors"))) <= 6
    assert last_whole_checkpoint(tmp_path / "out") == tmp_path / "out" / "checkpoint-2"  # selected anew at step 2
