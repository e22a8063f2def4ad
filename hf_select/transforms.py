"""The verbs as callables for ``datasets``: ``dataset.map(SignalTransform(...), batched=True)`` and friends.

``datasets`` keys its cache by a pickle of the callable. What these classes put into it is plain configuration and
hashes of weights and tokenizer, so that the same transform is found again in another process, and a changed model,
tokenizer, template or field is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from hf_select.errors import ConfigError, MissingSignalError, RowError
from hf_select.extract import read_signals
from hf_select.methods import Method, Scorer, make
from hf_select.rows import RowFormat
from hf_select.selection import Selection
from hf_select.signals.embedding import TFIDF
from hf_select.signals.identity import model_identity, tokenizer_hash, weights_hash
from hf_select.signals.keys import Signal, Signals
from hf_select.signals.source import Options, Source, library_version
from hf_select.templates import Template

Batch = Mapping[str, Sequence[Any]]


class SignalTransform:
    """Adds signal columns: ``dataset.map(SignalTransform({RESPONSE_NLL}, model="gpt2"), batched=True)``.

    A row's value does not depend on its batch beyond rounding. For several processes (``num_proc``) give names or
    paths; a model in memory cannot travel.

    Args:
        signals: the signals to read.
        model: see ``extract``.
        tokenizer: see ``extract``.
        embedder: see ``extract``; ``"tfidf"`` looks at all rows at once and cannot be used here.
        columns: see ``extract``.
        **options: the other options of ``extract``; nothing is stored, ``datasets`` does that.

    Raises:
        ConfigError: if the embedder looks at all rows at once.
    """

    def __init__(
        self,
        signals: Iterable[Signal[Any]],
        *,
        model: Any = None,
        tokenizer: Any = None,
        embedder: Any = None,
        columns: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        if isinstance(embedder, str) and embedder == TFIDF:
            raise ConfigError("embedder='tfidf' looks at all rows at once; use extract(dataset, needs, ...) instead.")
        self._signals = sorted(signals, key=lambda signal: signal.name)
        self._columns = None if columns is None else dict(columns)
        self._options = Options(**{"progress": False, **options, "cache_dir": False})
        self._given: dict[str, Any] = {"model": model, "tokenizer": tokenizer, "embedder": embedder}
        self._hashes: dict[str, Any] | None = None
        self._source: Source | None = None

    def __call__(self, batch: Batch) -> dict[str, list[Any]]:
        """The signal columns of one batch.

        Args:
            batch: columns of some rows, as ``map(batched=True)`` gives them.

        Returns:
            The new columns.

        Raises:
            ConfigError: if a model in memory was left behind in another process.
        """
        left = [name for name, given in self._given.items() if isinstance(given, _LeftBehind)]
        if left:
            raise ConfigError(
                f"The {left[0]} of this transform was an object in another process and did not travel here. Pass a name "
                f"or path, or map without num_proc."
            )
        row_format = RowFormat.detect(list(batch), self._columns)
        source = self._source_of(row_format.read(batch), row_format)
        values = read_signals(self._signals, source)
        return {signal.column: list(values[signal]) for signal in self._signals}

    def _source_of(self, rows: list[Any], row_format: RowFormat) -> Source:
        """A source of these rows; model and tokenizer are those of the first batch, loaded once."""
        if self._source is None:
            given = self._given
            self._source = Source(
                rows, row_format, given["model"], given["tokenizer"], given["embedder"], self._options
            )
            return self._source
        loaded = self._source
        source = replace(loaded, rows=rows, row_format=row_format)
        for name in ("model", "tokenizer"):
            if name in loaded.__dict__:
                source.__dict__[name] = loaded.__dict__[name]
        return source

    def __getstate__(self) -> dict[str, Any]:
        """Plain configuration, with hashes in the place of weights."""
        given = {
            name: str(value) if isinstance(value, str | Path) else None if value is None else _LeftBehind()
            for name, value in self._given.items()
        }
        options = asdict(self._options)
        if isinstance(self._options.template, Template):
            options["template"] = ["template", self._options.template.name, self._options.template.text]
        return {
            "library": library_version(),
            "signals": [(s.name, s.shape, s.unit, s.read_in.value, s.option) for s in self._signals],
            "columns": None if self._columns is None else sorted(self._columns.items()),
            "options": sorted(options.items(), key=lambda item: item[0]),
            "given": sorted(given.items(), key=lambda item: item[0]),
            "hashes": sorted(self._identity().items()),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        from hf_select.signals.keys import Pass

        options = dict(state["options"])
        if isinstance(options["template"], list):
            options["template"] = Template(*options["template"][1:])
        self._signals = [Signal(*parts, Pass(read_in), option) for *parts, read_in, option in state["signals"]]
        self._columns = None if state["columns"] is None else dict(state["columns"])
        self._options = Options(**options)
        self._given = dict(state["given"])
        self._hashes = dict(state["hashes"])
        self._source = None

    def _identity(self) -> dict[str, Any]:
        """Hashes of model, tokenizer and embedder; what is given by name is loaded for it, once."""
        if self._hashes is None:
            source = self._source_of([], RowFormat("completion"))
            self._hashes = {}
            if self._given["model"] is not None:
                self._hashes["model"] = sorted((key, str(value)) for key, value in model_identity(source.model).items())
            if self._given["tokenizer"] is not None or isinstance(self._given["model"], str | Path):
                self._hashes["tokenizer"] = tokenizer_hash(source.tokenizer)
            if self._given["embedder"] is not None and not isinstance(self._given["embedder"], str | Path):
                self._hashes["embedder"] = weights_hash(self._given["embedder"])
        return self._hashes


class _LeftBehind:
    """Stands for an object in memory that was not pickled; its hash was."""


class ScoreTransform:
    """Adds the score of a row-wise method: ``dataset.map(ScoreTransform("ifd"), batched=True)``.

    Reads the signal columns of the batch and adds ``score_<method>``, higher = kept first, NaN without a score.

    Args:
        method: a ``Scorer``, or the name of one with its defaults.

    Raises:
        ConfigError: if the method judges rows together, so that a batch does not decide its scores.
    """

    def __init__(self, method: Method | str) -> None:
        method = make(method) if isinstance(method, str) else method
        if not isinstance(method, Scorer):
            raise ConfigError(
                f"{method.name!r} judges rows together, so a batch alone does not decide its scores. Use "
                f"select(dataset, {method.name!r}, budget) and dataset.filter(KeepTransform(selection), with_indices=True)."
            )
        self._method = method

    def __call__(self, batch: Batch) -> dict[str, list[float]]:
        """The score column of one batch.

        Args:
            batch: columns of some rows with the signal columns, as ``map(batched=True)`` gives them.

        Returns:
            ``score_<method>``.

        Raises:
            MissingSignalError: if a signal column is not there.
        """
        missing = sorted(signal.column for signal in self._method.needs if signal.column not in batch)
        if missing:
            raise MissingSignalError(
                f"{self._method.name!r} reads the columns {missing}, which are not there; run extract or map a "
                f"SignalTransform first."
            )
        signals = Signals({signal: np.asarray(batch[signal.column]) for signal in self._method.needs})
        return {f"score_{self._method.name}": self._method.score(signals).tolist()}

    def __getstate__(self) -> dict[str, Any]:
        """The method's name and fields."""
        return {"library": library_version(), "method": sorted(self._method.config().items())}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(make(**dict(state["method"])))  # type: ignore[misc]  # the state is the argument


class KeepTransform:
    """Keeps picked rows: ``dataset.filter(KeepTransform(selection), with_indices=True)``, batched or not.

    Rows stay in dataset order; ``selection.apply(dataset)`` gives selection order.

    Args:
        selection: the selection; it must have been made from the dataset that is filtered.
    """

    def __init__(self, selection: Selection) -> None:
        self._mask = selection.mask()

    def __call__(self, rows: Any, row_ids: int | Collection[int]) -> bool | list[bool]:
        """Whether rows were picked.

        Args:
            rows: the row, or the columns of a batch; not read.
            row_ids: row id, or the row ids of the batch.

        Returns:
            One bool per row id.

        Raises:
            RowError: if a row id lies outside the dataset that was selected from.
        """
        ids = np.atleast_1d(np.asarray(row_ids))
        if len(ids) and (ids.max() >= len(self._mask) or ids.min() < 0):
            raise RowError(
                f"Row id {ids.max()} is outside the {len(self._mask)} rows that were selected from; filter the dataset "
                f"that the selection was made from."
            )
        kept = self._mask[ids].tolist()
        return bool(kept[0]) if np.ndim(row_ids) == 0 else [bool(keep) for keep in kept]  # type: ignore[arg-type]

    def __getstate__(self) -> dict[str, Any]:
        """Row count and picked row ids as bytes."""
        return {"n_rows": len(self._mask), "picked": np.flatnonzero(self._mask).astype(np.int64).tobytes()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._mask = np.zeros(state["n_rows"], dtype=bool)
        self._mask[np.frombuffer(state["picked"], dtype=np.int64)] = True
