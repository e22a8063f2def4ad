"""Which checkpoint to go on from: the newest one that was written to its end and has not been damaged since.

The ``Trainer`` writes into the final folder file by file, so a run that was killed while it saved leaves a folder that
``get_last_checkpoint`` takes for the newest checkpoint and that cannot be loaded.
"""

from __future__ import annotations

import json
import logging
import os
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hf_select.errors import CorruptStateError
from hf_select.training.seal import is_sealed, unsealed

logger = logging.getLogger("hf_select")

STATE_FILE = "trainer_state.json"
_UNFINISHED = "checkpoint-is-incomplete.txt"  # what enable_jit_checkpoint leaves while it writes
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_WEIGHTS = re.compile(
    r"(.+/)?adapter_model\.(safetensors|bin)"
    r"|(model|pytorch_model)\.(safetensors|bin)(\.index\.json)?"
    r"|pytorch_model_fsdp\.bin|pytorch_model_fsdp_\d+/\.metadata"
)
_OPTIMIZER = re.compile(r"optimizer\.(pt|bin)|optimizer_\d+/\.metadata")
_RANDOM_STATE = re.compile(r"rng_state(_\d+)?\.pth")


def last_whole_checkpoint(output_dir: str | os.PathLike[str]) -> Path | None:
    """The newest checkpoint of a ``Trainer`` from which the training can go on exactly; says which ones it skipped.

    Nothing is loaded and nothing removed: headers and lengths of the weights, directories of the files of torch, all
    JSON, and the hash of what a ``SelectionCallback`` wrote. A byte that changed within a tensor is not noticed.

    Args:
        output_dir: the ``output_dir`` of the ``Trainer``; need not exist.

    Returns:
        The checkpoint for ``train(resume_from_checkpoint=...)``; ``None`` if there is none, or none that is whole.
    """
    folder = Path(output_dir)
    numbered = [
        (int(found[1]), path)
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (found := _CHECKPOINT.fullmatch(path.name)) and path.is_dir()
    ]
    for _, path in sorted(numbered, reverse=True):
        damage = damage_of(path)
        if damage is None:
            return path
        logger.warning("Skipped %s: %s.", path, damage)
    if numbered:
        logger.warning("None of the %d checkpoints in %s is whole: the training starts anew.", len(numbered), folder)
    return None


def damage_of(checkpoint: Path) -> str | None:
    """Why a training cannot go on from a checkpoint.

    Args:
        checkpoint: a folder ``checkpoint-N``.

    Returns:
        What is missing or cut off, as a clause; ``None`` if nothing is.
    """
    paths = [path for path in sorted(checkpoint.rglob("*")) if path.is_file()]
    names = [path.relative_to(checkpoint).as_posix() for path in paths]
    if _UNFINISHED in names:
        return f"{_UNFINISHED} lies in it"
    if (missing := _missing(names)) is not None:
        return missing
    for name, path in zip(names, paths, strict=True):
        reader = _READERS.get(path.suffix)
        try:
            if reader is not None:
                reader(path)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            return f"{name} is cut off or damaged ({error})"
    return _state_damage(checkpoint)


def _missing(names: Iterable[str]) -> str | None:
    """What a checkpoint must have and has not."""
    deepspeed = "latest" in names  # names the folder that has both weights and optimiser
    for what, found in (
        ("weights", deepspeed or any(map(_WEIGHTS.fullmatch, names))),
        ("state of the optimiser", deepspeed or any(map(_OPTIMIZER.fullmatch, names))),
        ("scheduler.pt", "scheduler.pt" in names),
        ("random state", any(map(_RANDOM_STATE.fullmatch, names))),
        (STATE_FILE, STATE_FILE in names),
    ):
        if not found:
            return f"it has no {what}"
    matches = (_RANDOM_STATE.fullmatch(name) for name in names)
    ranks = sorted(int(match[1][1:]) for match in matches if match and match[1])
    if ranks != list(range(len(ranks))):
        return f"it has the random states of processes {ranks} alone"
    return None


def _state_damage(checkpoint: Path) -> str | None:
    """What is wrong with the state of the ``Trainer``, and with a selection in it."""
    state, step = _read_json(checkpoint / STATE_FILE), int(checkpoint.name.rpartition("-")[2])
    if not isinstance(state, dict) or state.get("global_step") != step:
        return f"{STATE_FILE} is not of step {step}"
    kept = state.get("stateful_callbacks")
    for name, saved in (kept if isinstance(kept, dict) else {}).items():
        if name != "SelectionCallback" and not is_sealed(saved):
            continue
        try:
            unsealed(name, saved, STATE_FILE)  # of an earlier step where the run went on without the callback
        except CorruptStateError as error:
            return str(error).partition(". ")[0]
    return None


def _read_json(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    if path.name.endswith(".index.json"):
        weights = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(weights, dict):
            raise ValueError("it names no file")
        for name in sorted(set(weights.values())):
            if not (path.parent / name).is_file():
                raise ValueError(f"{name}, which it names, is not there")
    return content


def _read_safetensors(path: Path) -> None:
    """Check the header, and that the file is as long as it says."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _read_zip(path: Path) -> None:
    """Check the directory at the end, which a file that was cut off has lost."""
    with zipfile.ZipFile(path) as archive:
        if not archive.namelist():
            raise ValueError("it is empty")


_READERS: dict[str, Callable[[Path], object]] = {
    ".json": _read_json,
    ".safetensors": _read_safetensors,
    ".bin": _read_zip,
    ".pt": _read_zip,
    ".pth": _read_zip,
}
