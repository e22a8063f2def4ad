"""Kill a training at random times, resume it, again and again, and compare with one that nobody disturbed.

    python -m benchmarks.soak.soak --minutes 60

A cycle is one training of ``--steps`` steps: it runs in a process of its own, is killed (SIGKILL) after a random time,
goes on from its newest whole checkpoint, is killed again, until it reaches its end. Then weights, losses, ledger and
the rows of every batch are compared with the uninterrupted training, and the next cycle begins. The cycle that is under
way when the time is over is left alone to its end, and compared too.
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path

from benchmarks.soak.training import OUTCOME_FILE, Settings, equal, forked, outcome, train
from hf_select.training.resume import damage_of

HERE = Path(__file__).resolve().parent
PACKAGES = ("torch", "transformers", "accelerate", "datasets", "safetensors", "numpy")
PATIENCE = 10  # kills in a row without a new checkpoint, before the training is left alone for twice as long
POLL_SECONDS = 0.002


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--method", choices=("discore", "loss"), default="discore")
    parser.add_argument("--steps", type=int, default=60, help="of one training")
    parser.add_argument("--seed", type=int, default=0, help="of the training, and of the times of the kills")
    parser.add_argument("--output", type=Path, default=HERE / "soak.json")
    return parser.parse_args()


def main() -> int:
    asked = parse()
    settings = Settings(method=asked.method, steps=asked.steps, seed=asked.seed)
    times = random.Random(asked.seed)
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="hf_select_soak_"))
    whole, whole_seconds = uninterrupted(scratch / "whole", settings)
    print(f"An uninterrupted training takes {whole_seconds:.1f} s.", flush=True)
    cycles = []
    while not cycles or time.monotonic() - began < 60 * asked.minutes:
        folder = scratch / f"cycle-{len(cycles)}"
        cycle_began = time.monotonic()
        found = cycle(folder, settings, times, whole_seconds, began + 60 * asked.minutes)
        if not found["kills"]:  # the machine was busier before: kills that come too late try nothing
            whole_seconds = min(whole_seconds, time.monotonic() - cycle_began)
        cycles.append({**found, "equal": equal(outcome(folder), whole)})
        told = cycles[-1]
        print(f"Cycle {len(cycles)}: {told['kills']} kills, torn {told['torn']}, equal {told['equal']}", flush=True)
        if all(told["equal"].values()):
            shutil.rmtree(folder)  # what differs is left to be looked at
        write(asked, settings, cycles, (time.monotonic() - began) / 60)
    is_equal = all(all(found["equal"].values()) for found in cycles)
    n_kills = sum(found["kills"] for found in cycles)
    print(f"{len(cycles)} trainings, {n_kills} kills: {'equal' if is_equal else 'NOT EQUAL'}")
    if is_equal:
        shutil.rmtree(scratch)
    return 0 if is_equal else 1


def uninterrupted(folder: Path, settings: Settings) -> tuple[dict, float]:
    began = time.monotonic()
    _, status = os.waitpid(forked(partial(train, folder, settings), folder), 0)
    if status:
        sys.exit(f"The uninterrupted training failed:\n{(folder / 'said.txt').read_text()}")
    return outcome(folder), time.monotonic() - began


def cycle(folder: Path, settings: Settings, times: random.Random, whole_seconds: float, end: float) -> dict:
    """One training under kills, to its end."""
    kills, resumes, fruitless, newest, torn, known = 0, 0, 0, 0, Counter(), set()
    longest = whole_seconds / 2
    while not (folder / OUTCOME_FILE).is_file():
        delay = times.uniform(0, longest) if time.monotonic() < end else None
        resumes += any(folder.glob("checkpoint-*"))
        process = forked(partial(train, folder, settings), folder)
        status = killed_after(process, delay)
        if status not in (0, -signal.SIGKILL):
            sys.exit(f"A resumed training failed:\n{(folder / 'said.txt').read_text()}")
        kills += status != 0
        checkpoints = {int(path.name.split("-")[1]): damage_of(path) for path in folder.glob("checkpoint-*")}
        damaged = {(step, damage.partition(" (")[0]) for step, damage in checkpoints.items() if damage}
        torn.update(damage for _, damage in damaged - known)  # one that lies there since an earlier kill counts once
        known = damaged
        reached = max((step for step, damage in checkpoints.items() if damage is None), default=0)
        fruitless = fruitless + 1 if reached <= newest else 0
        longest *= 2 if fruitless and fruitless % PATIENCE == 0 else 1
        newest = max(newest, reached)
    return {"kills": kills, "resumes": resumes, "torn": dict(torn.most_common())}


def killed_after(process: int, delay: float | None) -> int:
    """The exit status of a child that is killed after so many seconds, if it has not ended by then."""
    until = None if delay is None else time.monotonic() + delay
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if until is not None and time.monotonic() > until:
            os.kill(process, signal.SIGKILL)
            until = None
        time.sleep(POLL_SECONDS)


def write(asked: argparse.Namespace, settings: Settings, cycles: list[dict], minutes: float) -> None:
    torn: Counter[str] = sum((Counter(found["torn"]) for found in cycles), Counter())
    record = {
        "command": " ".join(["python", "-m", "benchmarks.soak.soak", *sys.argv[1:]]),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, one thread",
        "settings": vars(settings),
        "minutes": round(minutes, 1),
        "trainings": len(cycles),
        "kills": sum(found["kills"] for found in cycles),
        "resumes": sum(found["resumes"] for found in cycles),
        "torn_checkpoints": sum(torn.values()),
        "torn": dict(torn.most_common()),
        "equal": all(all(found["equal"].values()) for found in cycles),
        "cycles": cycles,
    }
    asked.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
