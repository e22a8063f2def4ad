"""Run by test_ranks.py: one selection over several processes (gloo), some of them killed or told to stop.

python tests/faults/ranks.py FOLDER <launches.json >results.json

A launch is ``{"n": processes, "cache": name of the store}`` and may hold ``{"crash": {rank: "name:n"}}``, or
``{"sigterm": rank}``: that process is told to stop at its fifth batch. Every process is forked from this one, which
has imported everything and knows no process group.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import torch
from killed_runs import MAX_TOKENS, batches, found, loaded, make_inputs

from hf_select.crash_point import VARIABLE
from hf_select.select import select
from hf_select.signals import shards

N_SECONDS = 60  # that a process may take to notice that another one is gone


def work(inputs: Path, folder: Path, log: Path, *, stops_itself: bool) -> None:
    """What every process does."""
    from datasets import Dataset

    timed, n_read = shards._Meter.timed, []

    def noted(meter, read_batch, rows, bar):
        with log.open("ab", buffering=0) as file:
            file.write(f"{meter._name} {rows[0]}\n".encode())
        n_read.append(len(rows))
        if stops_itself and len(n_read) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        if len(n_read) >= 5 and (folder / "slow").exists():
            time.sleep(0.3)  # so that the others have work left when one is told to stop
        return timed(meter, read_batch, rows, bar)

    shards._Meter.timed = noted
    model, tokenizer = loaded(inputs)
    rows = Dataset.from_list([json.loads(line) for line in (inputs / "rows.jsonl").read_text().splitlines()])
    options = {"max_tokens_per_batch": MAX_TOKENS, "cache_dir": folder / "cache", "progress": False}
    selection = select(rows, "ifd", 20, model=model, tokenizer=tokenizer, **options)
    state = shards.processes()
    if state.is_main_process:
        selection.save(folder / "out")
    state.wait_for_everyone()
    state.destroy_process_group()


def launch(inputs: Path, folder: Path, launched: dict, number: int) -> list[int]:
    """The exit status of every process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(launched["n"]):
        child = os.fork()
        if child == 0:
            group = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": launched["n"], "LOCAL_WORLD_SIZE": launched["n"]}
            if launched["n"] > 1:
                os.environ.update({name: str(value) for name, value in group.items()})
                os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true")
            if at := launched.get("crash", {}).get(str(rank)):
                os.environ[VARIABLE] = at
            status = 99
            try:
                sys.stderr = (folder / f"said-{number}-{rank}.txt").open("w")
                log = folder / f"log-{number}-{rank}"
                work(inputs, folder, log, stops_itself=launched.get("sigterm") == rank)
                status = 0
            except SystemExit as ended:
                status = ended.code
            except Exception as error:  # noqa: BLE001 (told to the test, with the status)
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                status = 1
            finally:
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    return [waited(child) for child in children]


def waited(child: int) -> int:
    """The exit status of a process; 124 where it did not end in time."""
    for _ in range(N_SECONDS * 10):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 124


def drive(folder: Path, launches: list[dict]) -> list[dict]:
    torch.set_num_threads(1)
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    make_inputs(inputs)
    loaded(inputs)
    results = []
    for number, launched in enumerate(launches):
        place = folder / launched["cache"]
        place.mkdir(exist_ok=True)
        (place / "slow").unlink(missing_ok=True)
        if "sigterm" in launched:
            (place / "slow").touch()
        began = time.perf_counter()
        status = launch(inputs, place, launched, number)
        seconds = time.perf_counter() - began
        manifests = [str(path) for path in place.rglob("manifest.json")]
        said = [(place / f"said-{number}-{rank}.txt").read_text() for rank in range(launched["n"])]
        read = [batches(place / f"log-{number}-{rank}") for rank in range(launched["n"])]
        results.append(
            {"status": status, "manifests": manifests, "said": said, "batches": read, "seconds": seconds}
            | {"found": found(place)}
        )
    return results


if __name__ == "__main__":
    sys.stdout.write(json.dumps(drive(Path(sys.argv[1]), json.loads(sys.stdin.read()))))
