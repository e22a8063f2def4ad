"""Run by test_sigterm.py: scoring that takes its time, as a command or inside a training.

python tests/faults/told_to_stop.py command|training FOLDER

Every batch is noted in FOLDER/log and takes a quarter of a second from the third one on.
"""

import sys
import time
from pathlib import Path

from killed_runs import loaded, make_inputs

from hf_select.signals import shards


def slow_down(log: Path) -> None:
    timed = shards._Meter.timed

    def slow(meter, read_batch, rows, bar):
        with log.open("ab", buffering=0) as file:
            file.write(b"batch\n")
        if len(log.read_bytes().splitlines()) > 2:
            time.sleep(0.25)
        return timed(meter, read_batch, rows, bar)

    shards._Meter.timed = slow


def command(folder: Path) -> None:
    from hf_select.cli import main

    words = (
        f"select --dataset_name {folder / 'rows.jsonl'} --model_name_or_path {folder / 'model'} --method ifd "
        f"--budget 20 --max_tokens_per_batch 128 --cache_dir {folder / 'cache'} --output_dir {folder / 'out'}"
    )
    sys.exit(main(words.split()))


def training(folder: Path) -> None:
    """A training whose second selection is slow, under the ``Trainer``'s own handling of SIGTERM."""
    import transformers
    from datasets import Dataset
    from transformers import Trainer, TrainingArguments

    from hf_select.callbacks import SelectionCallback

    transformers.utils.logging.set_verbosity_info()
    model, tokenizer = loaded(folder)
    rows = Dataset.from_list([{"input_ids": [5 + n % 7] * 60, "labels": [5 + n % 7] * 60} for n in range(40)])
    arguments = TrainingArguments(
        str(folder / "out"), per_device_train_batch_size=2, max_steps=6, save_steps=1, report_to=[], use_cpu=True,
        enable_jit_checkpoint=True,
    )  # fmt: skip
    chosen = SelectionCallback("loss", 20, every=2, max_tokens_per_batch=120, cache_dir=folder / "cache")
    Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer, callbacks=[chosen]).train()


if __name__ == "__main__":
    place = Path(sys.argv[2])
    make_inputs(place)
    slow_down(place / "log")
    {"command": command, "training": training}[sys.argv[1]](place)
