"""No working folder, another locale and time zone, folders that cannot be written: it works, or one line says why."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IN_NAMESPACE = ("unshare", "-Urm")
SELECT = """
import sys
from pathlib import Path
import numpy as np
from datasets import Dataset
from hf_select.errors import HfSelectError
from hf_select.select import select
from hf_select.selection import Selection
from hf_select.signals.store import open_store

rows = Dataset.from_list([{"prompt": f"größer als {n}? 你好", "completion": "é" * (1 + n % 7)} for n in range(12)])
folder = Path(sys.argv[1])

def stored(cache):
    store = open_store(cache, {"of": "größer 你好"})
    store.write(0, 1, {"rows": np.arange(3)})
    return store.read(0, 1)["rows"].tolist()

def selected():
    selection = select(rows, "core_set", 4, embedder="tfidf", cache_dir=False, progress=False)
    selection = Selection(selection.indices, selection.scores, 12, {"note": "größer 你好"})
    found = Selection.load(selection.save(folder / "out"))
    return found.indices.tolist(), ascii(found.provenance["note"])

for work in (lambda: stored(folder / "cache"), lambda: stored(None), selected):
    try:
        print(*work())
    except HfSelectError as error:
        print(type(error).__name__, error)
"""


def select_in(folder: Path, *before: str, **environment: str) -> list[str]:
    script = folder.parent / f"{folder.name}.py"
    script.write_text(SELECT, encoding="utf-8")
    command = " && ".join([*before, f"exec {sys.executable} {script} {folder}"])
    words = ("sh", "-c", command)
    done = subprocess.run(
        [*IN_NAMESPACE, *words] if any("mount" in word for word in before) else words,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_another_locale_and_time_zone(tmp_path):
    strange = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Pacific/Kiritimati"}
    said = select_in(tmp_path / "a", HF_HOME=str(tmp_path / "home"), **strange)
    assert said == select_in(tmp_path / "b", HF_HOME=str(tmp_path / "home"))
    assert said[:2] == ["0 1 2"] * 2
    assert len(said) == 3
    assert said[2].endswith(ascii("größer 你好"))


def test_a_working_folder_that_was_removed(tmp_path):
    """One line before torch is loaded, which could not be used there."""
    gone = tmp_path / "gone"
    gone.mkdir()
    words = "select --dataset_name demo --method length --budget 3 --output_dir out"
    done = subprocess.run(
        ["sh", "-c", f"cd {gone} && rmdir {gone} && exec {sys.executable} -m hf_select.cli {words}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = [line for line in done.stderr.splitlines() if "getcwd" not in line]  # what the shell has to say of it
    assert line == "ConfigError: The working folder was removed; change to another one and run the command there."


@pytest.mark.slow
def test_folders_that_cannot_be_written(tmp_path):
    if shutil.which("unshare") is None or subprocess.run([*IN_NAMESPACE, "true"], check=False).returncode:
        pytest.skip("this machine gives no user namespaces")
    folder = tmp_path / "fixed"
    folder.mkdir()
    said = select_in(folder, f"mount -t tmpfs -o ro none {folder}", HF_HOME=str(folder))
    assert len(said) == 3
    advice = "Give another folder, or see that this one may be written."
    for line in said:
        assert line.startswith(f"NotWritableError Cannot write to {folder}/")
        assert "Read-only file system" in line
        assert advice in line
    *stores, selection = said
    assert all(line.endswith("That is cache_dir; cache_dir=False stores nothing.") for line in stores)
    assert f"{folder}/out " in selection
    assert selection.endswith(advice)
