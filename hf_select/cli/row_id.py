"""Row ids out of a file: the candidates and the labelled rows that a command line names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hf_select.errors import ConfigError
from hf_select.extraction import row_mask
from hf_select.selection import Selection
from hf_select.signals.keys import Mask

_FORMS = (
    "Give a folder of an earlier selection, a .parquet file with the column row_id, a .json list of row ids, or a .txt "
    "file with one row id a line"
)
_SUFFIXES = (".parquet", ".json", ".txt")


def check_row_file(path: Path | None, name: str) -> None:
    """Refuse a file of row ids that is not there, or in no known form, before long work.

    Args:
        path: the file or folder; ``None`` for none.
        name: the argument.

    Raises:
        ConfigError: if it cannot be read.
    """
    if path is None or path.is_dir():
        return
    if not path.is_file():
        raise ConfigError(f"--{name} {path}: there is no such file. {_FORMS}.")
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"--{name} {path} is none of {', '.join(_SUFFIXES)}. {_FORMS}.")


def read_row_mask(path: Path | None, n_rows: int, name: str) -> Mask | None:
    """Read row ids.

    Args:
        path: the file or folder; ``None`` for none.
        n_rows: rows of the dataset.
        name: the argument.

    Returns:
        ``(N,)`` bool, or ``None``.

    Raises:
        ConfigError: if the content is no list of row ids, or belongs to a dataset of another size.
    """
    if path is None:
        return None
    if not path.is_dir():
        return row_mask(_ids_in(path, name), n_rows, name)
    selection = Selection.load(path)
    if selection.n_rows != n_rows:
        raise ConfigError(
            f"--{name} {path} was selected from {selection.n_rows} rows and the dataset has {n_rows}: its row ids "
            f"would point at other rows. Give a selection from this dataset."
        )
    return selection.mask()


def _ids_in(path: Path, name: str) -> list[Any]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            return list(pq.read_table(path, columns=["row_id"])["row_id"].to_pylist())
        text = path.read_text(encoding="utf-8")
        ids = json.loads(text) if path.suffix == ".json" else [int(line) for line in text.split()]
    except (ValueError, KeyError, OSError) as error:
        raise ConfigError(f"--{name} {path} holds no row ids: {error}. {_FORMS}.") from error
    if not isinstance(ids, list) or not all(isinstance(row, int) and not isinstance(row, bool) for row in ids):
        raise ConfigError(f"--{name} {path} holds no list of row ids. {_FORMS}.")
    return ids
