"""Recipes under ``accelerate launch`` with two processes, whose weights are replicated (DDP) or sharded (FSDP2)."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPLICATED, SHARDED = "replicated", "sharded"


def launch(how: str, recipe: Path, words: Sequence[str], folder: Path) -> None:
    """Run a recipe to its end; once more, resumed, where gloo aborts at exit (rare, none of this library's doing)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if how == REPLICATED:
        options, program = ("--multi_gpu", "--num_machines", "1", "--dynamo_backend", "no"), [recipe]
        environment["ACCELERATE_USE_CPU"] = "true"
    else:
        options = ("--config_file", str(ROOT / "recipes/accelerate/fsdp2.yaml"))
        program = [ROOT / "tests/fsdp2_on_cpu.py", recipe]
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", *options, "--num_processes", "2"),
        *("--mixed_precision", "no", "--main_process_port", "0", *map(str, program)),
        *(*words, "--output_dir", str(folder)),
    ]
    for again in ([], ["--resume"]):
        finished = subprocess.run(
            [*command, *again], env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=700
        )
        if not (finished.returncode and "Signal 6" in finished.stderr):
            break
        print("gloo aborted at exit")
    assert finished.returncode == 0, finished.stderr[-3000:]
