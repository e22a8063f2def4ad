"""The output folder: nothing in it changes before everything is written."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hf_select.crash_point import crash_point
from hf_select.errors import ConfigError

_UNFINISHED = ".unfinished"
_WHOLE, _MOVING = ".whole.", ".moving."  # and the name of the record
_OURS = (
    "selection.json", "scores.parquet", "subset.parquet", "subset.jsonl", "report.md", "report.html", "plots",
    "compare.json", "overlap.json", "overlap.png", "overlap.csv", "selections",
)  # fmt: skip


@dataclass(frozen=True)
class Output:
    """A folder that a command fills in one go.

    Files are written below ``.unfinished`` in it and moved up at the end, the record last, so that a run that was cut
    off leaves nothing that looks like a result. One that is killed while it moves them is ended by the next command::

        .unfinished  ──>  .whole.<record>  ──>  .moving.<record>  ──>  the folder
        files are written, old results are removed, new ones are moved up

    Attributes:
        folder: where the results go.
        overwrite: replace the results of a command that lie there; any other file stays.
    """

    folder: Path
    overwrite: bool = False

    def check(self) -> None:
        """Refuse a folder that cannot be filled, before long work; end what a killed command left to be moved.

        Raises:
            ConfigError: if it is a file, holds something and ``overwrite`` was not given, or cannot be written.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"--output_dir {self.folder} is a file; give a folder.")
        parent = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise ConfigError(f"--output_dir {self.folder} cannot be written ({parent}); give another folder.")
        if os.environ.get("RANK", "0") == "0":  # the one process that writes
            self._put_in_place()
        there = sorted(path.name for path in self.folder.iterdir()) if self.folder.is_dir() else []
        there = [name for name in there if name != _UNFINISHED]
        if there and not self.overwrite:
            raise ConfigError(
                f"--output_dir {self.folder} is not empty (it holds {', '.join(there[:3])}"
                f"{' ...' if len(there) > 3 else ''}). Give another folder, or --overwrite to replace results there."
            )

    @contextlib.contextmanager
    def filled(self, *, last: str) -> Iterator[Path]:
        """Write the results.

        Args:
            last: name of the record, which is moved into place last.

        Yields:
            Path: the folder to write to.
        """
        staging = self.folder / _UNFINISHED
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            yield staging
            crash_point("output.staged")
            staging.replace(self.folder / f"{_WHOLE}{last}")
            crash_point("output.whole")
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        self._put_in_place()

    def _put_in_place(self) -> None:
        """Replace the old results by those that are whole; goes on where a killed command was."""
        for whole in self.folder.glob(f"{_WHOLE}*"):
            last = whole.name.removeprefix(_WHOLE)
            for name in (last, *_OURS):
                _remove(self.folder / name)
            whole.replace(self.folder / f"{_MOVING}{last}")
        for moving in self.folder.glob(f"{_MOVING}*"):
            last = moving.name.removeprefix(_MOVING)
            for path in sorted(moving.iterdir(), key=lambda path: path.name == last):
                crash_point("output.moving")
                path.replace(self.folder / path.name)
            moving.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
