"""The folder of a run: finished stages are files, and a run that was cut off goes on behind the last of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_select.errors import StaleStateError
from hf_select.experiment.process import on_main_process
from hf_select.files import write_json

CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        folder: where everything of the run lies.
    """

    folder: Path

    @classmethod
    def open(cls, folder: str | Path, config: Mapping[str, Any], *, resume: bool, overwrite: bool) -> Run:
        """Open the folder of a run, new or to be continued.

        Args:
            folder: the folder; made if absent.
            config: every setting that the results depend on; arms and seeds stay out, so that they can be added.
            resume: go on with the run that lies there.
            overwrite: delete the run that lies there.

        Returns:
            The run.

        Raises:
            StaleStateError: if a run lies there and neither was asked for, or it has other settings.
        """
        path = Path(folder)
        plain = json.loads(json.dumps(config, default=str))
        found: dict[str, Any] | None = on_main_process(lambda: _begun(path))
        if found is not None and not resume and not overwrite:
            raise StaleStateError(
                f"{path} already holds a run. Go on with it by --resume, delete it by --overwrite_output_dir, or give "
                f"another --output_dir."
            )
        if found is not None and resume:
            changed = sorted(key for key in {*found, *plain} if found.get(key) != plain.get(key))
            if changed:
                told = "; ".join(f"{key}: {found.get(key)!r} then, {plain.get(key)!r} now" for key in changed)
                raise StaleStateError(
                    f"{path} was run with other settings ({told}). Restore them or give another folder."
                )
        on_main_process(lambda: _prepare(path, plain, wipe=found is not None and not resume))
        return cls(path)

    def stage(self, name: str, compute: Callable[[], Any]) -> Any:
        """The result of one stage: read if it is finished, else computed and written.

        Args:
            name: path of the stage below ``stages/``, without suffix.
            compute: gives the result as plain data, after its other files are written; called on every process.

        Returns:
            The result, the same on every process.
        """
        record = self.folder / "stages" / f"{name}.json"
        found = on_main_process(lambda: _read(record))
        if found is not None:
            return found["result"]
        result = compute()
        on_main_process(lambda: str(write_json(record, {"stage": name, "result": result})))
        return on_main_process(lambda: (_read(record) or {})["result"])


def _begun(folder: Path) -> dict[str, Any] | None:
    """Settings of the run in a folder; ``None`` where none has finished a stage (bad input ends before the first)."""
    return _read(folder / CONFIG_FILE) if (folder / "stages").is_dir() else None


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _prepare(path: Path, config: dict[str, Any], *, wipe: bool) -> None:
    if wipe:
        shutil.rmtree(path)
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / CONFIG_FILE, config)
