"""The files of one selection as they lie in a dataset repository; nothing else is ever uploaded.

data/<config>/train-00000-of-00001.parquet     the rows
selections/<config>/scores.parquet             row id and score of every pick, best first
selections/<config>/selection.json             how the picks were made
selections/<config>/plots/*.png, *.json        the pictures with their data, where there are any
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hf_select.errors import ColumnError, ConfigError, unknown_name
from hf_select.hub.name import SCORES_SUFFIX
from hf_select.hub.secret import check_file, check_text
from hf_select.selection import SCORES_FILE, SELECTION_FILE, Selection

if TYPE_CHECKING:
    from datasets import Dataset

What = Literal["subset", "scored"]
_WHATS = ("subset", "scored")
_SCORE, _SELECTED = "score", "selected"
_SHARD_BYTES = 500_000_000
_ROW_GROUP = 1000
_PNG = b"\x89PNG\r\n\x1a\n"
_PICTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.(?:png|json)")
_MAX_PICTURE_BYTES = 20_000_000


def rows_of(selection: Selection, dataset: Dataset, what: What) -> Dataset:
    """The rows that are pushed.

    Args:
        selection: the selection.
        dataset: what it was made from.
        what: ``"subset"``: the picked rows in selection order, as they are; ``"scored"``: all rows with the columns
            ``score`` (empty for rows that were not picked) and ``selected``.

    Returns:
        The rows.

    Raises:
        UnknownNameError: if ``what`` is neither.
        ColumnError: if the dataset has a column of such a name already.
    """
    if what not in _WHATS:
        raise unknown_name("what", what, _WHATS)
    subset = selection.apply(dataset)
    if what == "subset":
        return subset
    if taken := sorted({_SCORE, _SELECTED} & set(dataset.column_names)):
        raise ColumnError(
            f"what='scored' adds the columns {_SCORE!r} and {_SELECTED!r}, and the dataset has {taken} already; rename "
            f"it by dataset.rename_column({taken[0]!r}, ...)."
        )
    import pyarrow as pa
    from datasets import Dataset, concatenate_datasets

    mask = selection.mask()
    scores = np.zeros(selection.n_rows)
    scores[selection.indices] = selection.scores
    columns = pa.table({_SCORE: pa.array(scores, mask=~mask), _SELECTED: pa.array(mask)})
    return concatenate_datasets([dataset, Dataset(columns)], axis=1)


def write_content(
    folder: Path, config_name: str, selection: Selection, rows: Dataset, plots: Path | None, secrets: Mapping[str, str]
) -> dict[str, Path]:
    """Write the files of a selection, and look for secrets in all that is text.

    Args:
        folder: an empty folder.
        config_name: name of the configuration.
        selection: the selection.
        rows: as ``rows_of`` gives them.
        plots: folder of its pictures; ``None`` for none.
        secrets: as ``own_secrets`` gives them.

    Returns:
        The files by path in the repository.
    """
    files: dict[str, Path] = {}
    n_bytes = rows.data.nbytes * len(rows) / max(1, rows.data.num_rows)
    n_shards = max(1, min(len(rows), math.ceil(n_bytes / _SHARD_BYTES)))
    for shard in range(n_shards):
        path = f"{data_folder(config_name)}train-{shard:05d}-of-{n_shards:05d}.parquet"
        files[path] = folder / f"{shard:05d}.parquet"
        part = rows.shard(n_shards, shard, contiguous=True)
        part.to_parquet(str(files[path]), batch_size=_ROW_GROUP)
    saved = selection.save(folder / "selection")
    for name in (SELECTION_FILE, SCORES_FILE):
        files[selection_folder(config_name) + name] = saved / name
    for picture in pictures_in(plots):
        files[f"{selection_folder(config_name)}plots/{picture.name}"] = picture
    for path, local in files.items():
        if local.suffix == ".json":
            check_text(path, local.read_text(encoding="utf-8"), secrets)
        elif local.suffix == ".png":
            check_file(path, local, secrets)
    return files


def pictures_in(plots: Path | None) -> list[Path]:
    """The pictures of a folder and their data; any other file stays where it is.

    Args:
        plots: the folder; ``None`` for none.

    Returns:
        PNG files, and the JSON file of the same name behind each.

    Raises:
        ConfigError: if the folder is not there, or a picture is none.
    """
    if plots is None:
        return []
    if not plots.is_dir():
        raise ConfigError(f"plots={str(plots)!r}: there is no such folder. Give the folder of the pictures, or none.")
    found = []
    for picture in sorted(plots.glob("*.png")):
        for path in (picture, picture.with_suffix(".json")):
            if path is not picture and not path.exists() and not path.is_symlink():
                continue
            if path.is_symlink() or not _PICTURE.fullmatch(path.name) or path.stat().st_size > _MAX_PICTURE_BYTES:
                raise ConfigError(
                    f"plots: {path.name!r} is not uploaded: it must be a file of its own (no link), named by letters, "
                    f"digits, '-' and '_', below {_MAX_PICTURE_BYTES // 10**6} MB. Take it out of {plots.name!r}."
                )
            found.append(path)
        with picture.open("rb") as file:
            if file.read(len(_PNG)) != _PNG:
                raise ConfigError(f"plots: {picture.name!r} is no PNG picture; take it out of {plots.name!r}.")
    return found


def captions(files: Mapping[str, Path]) -> dict[str, str]:
    """The captions of the pictures among files: what their data says, else their names.

    Args:
        files: local files by path in the repository.

    Returns:
        The captions by path in the repository.
    """
    found = {}
    for path, local in files.items():
        if local.suffix == ".png":
            data = local.with_suffix(".json")
            content: Any = json.loads(data.read_text(encoding="utf-8")) if data.is_file() else {}
            told = content.get("caption") if isinstance(content, Mapping) else None
            found[path] = str(told or local.stem)
    return found


def configs_of(config_name: str, there: Any) -> list[dict[str, Any]]:
    """The entries of a selection in the metadata: its rows, and its scores.

    Args:
        config_name: name of the configuration.
        there: the entries on the Hub; ``None`` where there are none.

    Returns:
        The two entries; the first selection of a repository is what ``load_dataset`` gives without a name.

    Raises:
        ConfigError: if one of these names is somebody else's.
    """
    rows = {"split": "train", "path": data_folder(config_name) + "train-*.parquet"}
    scores = {"split": "train", "path": selection_folder(config_name) + SCORES_FILE}
    ours: list[dict[str, Any]] = [
        {"config_name": config_name, "data_files": [rows]},
        {"config_name": config_name + SCORES_SUFFIX, "data_files": [scores]},
    ]
    named = {entry.get("config_name"): entry for entry in there or () if isinstance(entry, Mapping)}
    for entry in ours:
        old = named.get(entry["config_name"])
        if old is not None and old.get("data_files") != entry["data_files"]:
            raise ConfigError(
                f"The repository has a configuration {entry['config_name']!r} that hf_select did not write; give "
                f"another config_name."
            )
    if not named or named.get(config_name, {}).get("default"):
        ours[0]["default"] = True
    return ours


def outdated(config_name: str, there: Mapping[str, str], files: Mapping[str, Path]) -> list[str]:
    """Files of an earlier push of the same configuration that this one has no more.

    Args:
        config_name: name of the configuration.
        there: files on the Hub.
        files: files of this push.

    Returns:
        Their paths.
    """
    data, selection = re.escape(data_folder(config_name)), re.escape(selection_folder(config_name))
    ours = re.compile(rf"{data}train-\d{{5}}-of-\d{{5}}\.parquet|{selection}plots/{_PICTURE.pattern}")
    return sorted(path for path in there if ours.fullmatch(path) and path not in files)


def data_folder(config_name: str) -> str:
    """Where the rows of a configuration lie."""
    return f"data/{config_name}/"


def selection_folder(config_name: str) -> str:
    """Where the record of a configuration lies."""
    return f"selections/{config_name}/"
