"""Programs under ``accelerate launch`` with two processes, whose weights are replicated (DDP) or sharded (FSDP2)."""

import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

ROOT = Path(__file__).resolve().parents[1]
REPLICATED, SHARDED = "replicated", "sharded"


def launch(
    program: Path, words: Sequence[str], how: str = REPLICATED, *, precision: str = "no", timeout: float = 300.0
) -> subprocess.CompletedProcess[str]:
    """Run a program in two processes on the CPU, with what it says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    if how == REPLICATED:
        environment["ACCELERATE_USE_CPU"] = "true"
        options, programs = "--multi_gpu --num_machines 1 --dynamo_backend no", [program]
    else:
        options = f"--config_file {ROOT}/recipes/accelerate/fsdp2.yaml"
        programs = [ROOT / "tests" / "fsdp2_on_cpu.py", program]
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", *options.split(), "--num_processes", "2"),
        *("--mixed_precision", precision, "--main_process_port", str(port), *map(str, programs), *words),
    ]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


def leave(accelerator: Accelerator, path: Path, found: Any) -> None:
    """Write what a process found beside ``path``, with its rank in the name, and leave with the others.

    What refers to the process group goes before the group does, so the caller deletes its trainer first.
    """
    path.with_suffix(f".{accelerator.process_index}.json").write_text(json.dumps(found))
    gc.collect()
    accelerator.wait_for_everyone()
    accelerator.end_training()
