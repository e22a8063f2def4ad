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
from datasets import Dataset
from hf_select.errors import HfSelectError
from hf_select.select import select
from hf_select.selection import Selection

rows = Dataset.from_list([{"prompt": f"größer als {n}? 你好", "completion": "é" * (1 + n % 7)} for n in range(12)])
folder = Path(sys.argv[1])
for cache in (folder / "cache", None):
    try:
        selection = select(rows, "core_set", 4, embedder="tfidf", cache_dir=cache, progress=False)
        selection = Selection(selection.indices, selection.scores, 12, {"note": "größer 你好"})
        found = Selection.load(selection.save(folder / "out"))
        print(found.indices.tolist(), ascii(found.provenance["note"]))
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
def test_another_locale_and_no_working_folder(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    strange = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Pacific/Kiritimati"}
    said = select_in(tmp_path / "a", f"cd {gone}", f"rmdir {gone}", HF_HOME=str(tmp_path / "home"), **strange)
    assert said == select_in(tmp_path / "b", "true", HF_HOME=str(tmp_path / "home"))
    assert len(said) == 2
    assert all(line.endswith(ascii("größer 你好")) for line in said)


@pytest.mark.slow
def test_folders_that_cannot_be_written(tmp_path):
    if shutil.which("unshare") is None or subprocess.run([*IN_NAMESPACE, "true"], check=False).returncode:
        pytest.skip("this machine gives no user namespaces")
    folder = tmp_path / "fixed"
    folder.mkdir()
    said = select_in(folder, f"mount -t tmpfs -o ro none {folder}", HF_HOME=str(folder))
    assert len(said) == 2
    for line in said:
        assert line.startswith(f"ConfigError Cannot write to {folder}/")
        assert "Give another cache_dir, or cache_dir=False for no store." in line
