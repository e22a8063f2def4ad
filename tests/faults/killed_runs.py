"""Run by test_kill.py: a selection killed in many ways, each time followed by a run that is left alone.

python tests/faults/killed_runs.py FOLDER <kills.json >results.json

A kill is ``{"crash_at": "name:n"}`` or ``{"signal_after": share of the time of a whole run}``.
Everything is imported once; every run is a process forked from there, so that many fit into a minute.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from hf_select.cli import main
from hf_select.crash_point import VARIABLE
from hf_select.demo import build_model, build_pool, train_tokenizer
from hf_select.select import select
from hf_select.selection import Selection
from hf_select.signals import shards

N_ROWS = 60
MAX_TOKENS = 96  # of a batch: either pass has enough batches for all its shards
N_SHARDS = 16  # of a pass over so few rows


def make_inputs(folder: Path) -> None:
    """Rows and a random model, small enough to score them in a blink."""
    pool = build_pool(0, n_rows=N_ROWS, n_test=2).train
    lines = [json.dumps({"prompt": row["prompt"], "completion": row["completion"]}) for row in pool]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    tokenizer = train_tokenizer(["\n".join(lines)], 300)
    tokenizer.save_pretrained(folder / "model")
    build_model(tokenizer, 0, hidden=16, heads=2, layers=1, max_length=512).save_pretrained(folder / "model")


def run(inputs: Path, folder: Path, log: Path, *, by_command: bool) -> int:
    """One run; notes every batch that is computed, in a way that survives a kill."""
    timed = shards._Meter.timed

    def noted(meter, read_batch, rows, bar):
        with log.open("ab", buffering=0) as file:
            file.write(f"{meter._name} {rows[0]}\n".encode())
        return timed(meter, read_batch, rows, bar)

    shards._Meter.timed = noted
    with (folder / "said.txt").open("a") as said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = by_words(inputs, folder) if by_command else by_verb(inputs, folder)
    shards._Meter.timed = timed
    return status


def by_words(inputs: Path, folder: Path) -> int:
    words = (
        f"select --dataset_name {inputs / 'rows.jsonl'} --model_name_or_path {inputs / 'model'} --method ifd "
        f"--budget 20 --max_tokens_per_batch {MAX_TOKENS} --save_dataset jsonl --overwrite "
        f"--cache_dir {folder / 'cache'} --output_dir {folder / 'out'}"
    )
    return main(words.split())


def by_verb(inputs: Path, folder: Path) -> int:
    model, tokenizer = loaded(inputs)
    options = {"max_tokens_per_batch": MAX_TOKENS, "cache_dir": folder / "cache", "progress": False}
    rows = Dataset.from_list([json.loads(line) for line in (inputs / "rows.jsonl").read_text().splitlines()])
    select(rows, "ifd", 20, model=model, tokenizer=tokenizer, **options).save(folder / "out")
    return 0


@functools.cache
def loaded(inputs: Path) -> tuple:
    folder = inputs / "model"
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def forked(inputs: Path, folder: Path, log: Path, kill: dict, whole_s: float) -> int:
    """One run in a process of its own, killed as asked; gives its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        if "crash_at" in kill:
            os.environ[VARIABLE] = kill["crash_at"]
        status = 99
        try:
            status = run(inputs, folder, log, by_command=kill["by_command"])
        finally:
            os._exit(status)
    if "signal_after" in kill:
        time.sleep(kill["signal_after"] * whole_s)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def found(folder: Path) -> dict:
    """What lies in a folder: the selection, the hash of every stored shard, and what is no result."""
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    hashes = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / "cache").rglob("shard-*.safetensors"))
    }
    try:
        selection = Selection.load(folder / "out")
        picks = [selection.indices.tolist(), selection.scores.tolist()]
    except ValueError as error:  # there is none
        picks = str(error)
    orphans = [str(p.relative_to(folder)) for p in folder.rglob(".*") if p.name != ".gitkeep"]
    return {"picks": picks, "files": names, "shards": hashes, "orphans": orphans}


def batches(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def drive(folder: Path, kills: list[dict]) -> dict:
    torch.set_num_threads(1)
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    make_inputs(inputs)
    results = []
    by_command = any(kill["by_command"] for kill in kills)  # all of them or none
    for name in ("first", "whole"):  # the first one imports what is imported late
        (folder / name).mkdir()
        began = time.perf_counter()
        assert run(inputs, folder / name, folder / name / "log", by_command=by_command) == 0
        whole_s = time.perf_counter() - began
    for number, kill in enumerate(kills):
        place = folder / str(number)
        place.mkdir()
        if kill.get("over_another"):
            earlier = Selection.load(folder / "whole" / "out")
            Selection(earlier.indices[:7], earlier.scores[:7], earlier.n_rows).save(place / "out")
        killed = forked(inputs, place, place / "killed.log", kill, whole_s)
        left = found(place)
        again = forked(inputs, place, place / "again.log", {"by_command": by_command}, 0)
        said = (place / "said.txt").read_text()
        of_both = [batches(place / "killed.log"), batches(place / "again.log")]
        results.append(
            {"kill": kill, "status": killed, "left": left, "again": again, "found": found(place), "said": said}
            | {"batches": of_both}
        )
    of_pass = Counter(line.split()[0] for line in batches(folder / "whole" / "log"))
    return {
        "whole": found(folder / "whole"), "batches": batches(folder / "whole" / "log"), "results": results,
        "n_batches_of_a_shard": math.ceil(max(of_pass.values()) / N_SHARDS), "seconds": whole_s,
    }  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(json.dumps(drive(Path(sys.argv[1]), json.loads(sys.stdin.read()))))
