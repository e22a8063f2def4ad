"""A selection: which rows were picked, with their scores and how they came to be picked; saved, loaded, applied."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_select.crash_point import crash_point
from hf_select.errors import CorruptStateError, RowError, StaleStateError
from hf_select.files import json_text, write_bytes, write_json
from hf_select.methods.base import Scores
from hf_select.signals.keys import Indices, Mask

if TYPE_CHECKING:
    from datasets import Dataset

    from hf_select.hub.push import Push

SELECTION_FILE = "selection.json"
SCORES_FILE = "scores.parquet"
_FORMAT = 2  # 1 had no hashes


@dataclass(frozen=True)
class Selection:
    """Picks with their provenance.

    Attributes:
        indices: ``(k,)`` row ids of the dataset, best first, distinct.
        scores: ``(k,)`` what ranked each pick; higher = picked earlier.
        n_rows: rows of the dataset that was selected from.
        provenance: method, budget, seed, dataset fingerprint, excluded rows by reason, versions, seconds.
    """

    indices: Indices
    scores: Scores
    n_rows: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the picks are distinct rows of the dataset.

        Raises:
            RowError: if they are not.
        """
        indices = np.asarray(self.indices)
        if len(indices) != len(self.scores):
            raise RowError(
                f"A selection has one score per pick, but {len(indices)} picks and {len(self.scores)} scores came."
            )
        outside = indices[(indices < 0) | (indices >= self.n_rows)]
        if len(outside):
            raise RowError(f"Row ids {outside[:5].tolist()} are not in the dataset of {self.n_rows} rows.")
        if len(np.unique(indices)) != len(indices):
            raise RowError("A selection holds each row once, but some row ids came twice.")

    def __len__(self) -> int:
        return len(self.indices)

    def mask(self) -> Mask:
        """``(n_rows,)`` bool, true where the row was picked."""
        mask = np.zeros(self.n_rows, dtype=bool)
        mask[self.indices] = True
        return mask

    def apply(self, dataset: Dataset, *, keep_order: bool = False) -> Dataset:
        """The picked rows of the dataset.

        Args:
            dataset: the dataset that was selected from.
            keep_order: leave the rows in dataset order instead of selection order.

        Returns:
            The subset.

        Raises:
            StaleStateError: if the dataset has another number of rows than the one that was selected from.
        """
        if len(dataset) != self.n_rows:
            raise StaleStateError(
                f"This selection was made from {self.n_rows} rows and the dataset has {len(dataset)}; row ids would "
                f"point at other rows. Apply it to the dataset it was made from, or select again."
            )
        return dataset.select(np.sort(self.indices) if keep_order else self.indices)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``selection.json`` (provenance) and ``scores.parquet`` (row id and score of each pick).

        A run that is killed here leaves the selection that was in the folder before, or this one: the scores are
        written beside, under a name that holds their hash, and the record that names this hash makes them count.

        Args:
            folder: where to; made if absent.

        Returns:
            The folder.

        Raises:
            DiskSpaceError: if the disk is full; the selection that was in the folder before stays.
            NotWritableError: if the folder may not be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        target = Path(folder)
        table = pa.table({"row_id": np.asarray(self.indices, np.int64), "score": np.asarray(self.scores, np.float64)})
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        write_bytes(target / _beside(digest), buffer.getvalue())
        crash_point("selection.half_saved")
        content = {"format": _FORMAT, "n_rows": self.n_rows, "n_picked": len(self), **self.provenance}
        record = {**json.loads(json_text(content)), "scores_sha256": digest}
        write_json(target / SELECTION_FILE, {**record, "sha256": _record_hash(record)})
        crash_point("selection.recorded")
        write_bytes(target / SCORES_FILE, buffer.getvalue())
        for beside in target.glob(_beside("*")):  # also of runs that were killed above
            beside.unlink(missing_ok=True)
        crash_point("selection.saved")
        return target

    def push_to_hub(self, repo_id: str, dataset: Dataset, config_name: str, **options: Any) -> Push:
        """Push the selection as one configuration of a dataset repository, beside whatever is there.

        Args:
            repo_id: ``"owner/name"``; made if it is not there.
            dataset: the dataset that was selected from.
            config_name: name of the configuration: ``load_dataset(repo_id, config_name)``.
            **options: of ``hf_select.hub.push_selection``: ``what``, ``private``, ``source_dataset``, ``license``,
                ``plots``, ``token``, ``revision``, ``commit_message``, ``check_rows``, ``dry_run``.

        Returns:
            What was pushed.
        """
        from hf_select.hub import push_selection

        return push_selection(self, repo_id, dataset, config_name, **options)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Selection:
        """Read what ``save`` wrote.

        Args:
            folder: the folder.

        Returns:
            The selection.

        Raises:
            StaleStateError: if the folder holds no finished selection of this format.
            CorruptStateError: if it was damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        source = Path(folder)
        record = _read_record(source)
        digest = record.pop("scores_sha256")
        found = (path for path in (source / SCORES_FILE, source / _beside(digest)) if path.is_file())
        content = next(
            (data for path in found if hashlib.sha256(data := path.read_bytes()).hexdigest() == digest), None
        )
        if content is None:
            raise CorruptStateError(
                f"{source / SCORES_FILE} is absent, damaged or of another selection (sha256 is not the one that "
                f"{SELECTION_FILE} names); select again."
            )
        table = pq.read_table(pa.BufferReader(content))
        n_rows, _ = int(record.pop("n_rows")), record.pop("n_picked")
        return cls(table["row_id"].to_numpy(), table["score"].to_numpy(), n_rows, record)


def _beside(digest: str) -> str:
    """Name of the scores while the record does not name them yet."""
    return f".scores-{digest}.parquet"


def _record_hash(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode("utf-8")).hexdigest()


def _read_record(folder: Path) -> dict[str, Any]:
    """The record of a selection, as it was written.

    Args:
        folder: of the selection.

    Returns:
        The record without its own hash and its format.

    Raises:
        StaleStateError: if there is none of this format.
        CorruptStateError: if it was damaged.
    """
    path = folder / SELECTION_FILE
    if not path.is_file():
        raise StaleStateError(f"{folder} holds no finished selection ({SELECTION_FILE}); select again.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as reason:  # of the text or of JSON
        raise CorruptStateError(f"{path} is damaged ({reason}); select again.") from reason
    if not isinstance(record, dict) or (record.get("format") != _FORMAT and "sha256" not in record):
        raise StaleStateError(f"{path} has another format than {_FORMAT}; select again.")
    if record.pop("sha256", None) != _record_hash(record):
        raise CorruptStateError(f"{path} is damaged (it does not match its sha256) or was edited; select again.")
    record.pop("format")
    return record
