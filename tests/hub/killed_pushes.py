"""Run by test_kill.py: pushes, each in a process of its own that may be killed.

python tests/hub/killed_pushes.py FOLDER

Reads a push a line, ``{"what": "subset", "version": 0, "crash_at": "hub.due:1"}``; tells the process id when it begins
and its exit status, negative for a signal, when it has ended. Everything is imported once.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet  # noqa: F401  # imported late otherwise, by every child anew
from datasets import Dataset, disable_progress_bars

from hf_select.crash_point import VARIABLE
from hf_select.hub import push_model
from hf_select.selection import Selection

NAME, SOURCE = "me/kept", "me/source"
CARD = "---\nlibrary_name: transformers\ntags: [hf_select]\n---\n\n# Model {version}\n\nProse.\n"


def make_model(folder: Path, version: int) -> Path:
    """A folder that can be pushed as a model; two versions differ in weights, settings and card."""
    folder = folder / f"model-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights %d" % version)
    (folder / "config.json").write_text(json.dumps({"version": version}))
    (folder / "README.md").write_text(CARD.format(version=version))
    return folder


def push(folder: Path, what: str, version: int) -> None:
    """Push one of two versions of a selection or a model."""
    if what == "model":
        push_model(folder / f"model-{version}", NAME)
        return
    rows = Dataset.from_dict(
        {"prompt": [f"task {i}" for i in range(10)], "completion": [f"def f{i}()" for i in range(10)]}
    )
    indices = [[7, 2, 9, 0], [1, 3]][version]
    provenance = {"method": {"name": "cdas"}, "budget": "40%", "seed": version}
    selection = Selection(np.array(indices), np.linspace(0.9, 0.1, len(indices)), 10, provenance)
    selection.push_to_hub(NAME, rows, ["a", "b"][version], what=what, source_dataset=SOURCE)


def main(folder: Path) -> None:
    disable_progress_bars()
    for version in (0, 1):
        make_model(folder, version)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            if asked["crash_at"]:
                os.environ[VARIABLE] = asked["crash_at"]
            status = 99
            try:
                push(folder, asked["what"], asked["version"])
                status = 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
