"""Re-selection under ``accelerate launch`` with two processes: exact, resumable, and the same on both ranks."""

import json
from pathlib import Path

import pytest

from tests.launching import launch

PROGRAM = Path(__file__).with_name("two_processes.py")


@pytest.mark.slow
def test_two_processes_select_alike_and_resume_exactly(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    files = [path.with_suffix(f".{rank}.json") for rank in (0, 1)]
    done = launch(PROGRAM, [str(path)])
    if not all(file.is_file() for file in files):
        print("gloo aborted or hung (rare, and none of this library's doing); launched once more")
        done = launch(PROGRAM, [str(path)])
    assert all(file.is_file() for file in files), done.stderr[-3000:]
    first, second = (json.loads(file.read_text()) for file in files)
    for name in first:
        assert first[name]["weights"] == second[name]["weights"]
        assert first[name]["replaced"] == second[name]["replaced"]
    assert first["kept"]["weights"] == first["plain"]["weights"]
    assert first["kept"]["losses"] == first["plain"]["losses"]
    assert first["resumed"]["weights"] == first["whole"]["weights"] != first["plain"]["weights"]
    assert first["resumed"]["losses"] == first["whole"]["losses"]
    assert first["stopped"]["left"] == "checkpoint-4"
    assert first["stopped"]["weights"] == first["whole"]["weights"]
    assert first["stopped"]["steps"] == first["whole"]["steps"]
    assert first["whole"]["steps"] == [2, 4, 6, 8, 10]
