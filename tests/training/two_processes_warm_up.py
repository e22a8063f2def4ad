"""What ``test_warm_up_stage`` launches as two processes: the same warm-up, its weights written by the main one."""

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"num_train_epochs": 4, "learning_rate": 3e-3, "per_device_train_batch_size": 8}


def weights_of(model: Any) -> str:
    """Hash of all weights, bit by bit."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Launch:
    """A command line with its environment."""

    command: list[str]
    settings: dict[str, Any]


def launch_words(words: list[str]) -> Launch:
    """The launch of this file as two processes on the CPU."""
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
        *(str(Path(__file__)), *words),
    ]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return Launch(command, {"env": environment, "cwd": ROOT, "capture_output": True, "text": True})


def main(encoder: str, rows: str, target: str) -> None:
    import torch
    from accelerate import PartialState
    from datasets import load_dataset

    from hf_select.training.warm_up_stage import warm_up

    torch.set_num_threads(1)
    state = PartialState(cpu=True)
    done = warm_up(encoder, load_dataset("json", data_files=rows, split="train"), max_steps=6, **QUICK)
    if state.is_main_process:
        told = {"n_processes": state.num_processes, "weights": weights_of(done.model)}
        Path(target).write_text(json.dumps(told))
    state.wait_for_everyone()
    state.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
