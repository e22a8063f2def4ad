"""The verbs as callables for ``datasets``: ``dataset.map(SignalTransform(...), batched=True)`` and friends.

``datasets`` keys its cache by a pickle of the callable. What these classes put into it is plain configuration and
hashes of weights and tokenizer, so that the same transform is found again in another process, and a changed model,
tokenizer, template or field is not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_select import __version__
from hf_select.errors import ConfigError, MissingSignalError, RowError
from hf_select.methods import Method, Scorer, make
from hf_select.rows import RowFormat
from hf_select.selection import Selection
from hf_select.signals.identity import embedder_identity, key_of, model_identity, tokenizer_hash
from hf_select.signals.keys import Pass, Signal
from hf_select.signals.models import TFIDF, Models
from hf_select.signals.passes import read_signals
from hf_select.signals.source import Options, Source
from hf_select.signals.table import Signals

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
        revision: see ``extract``.
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
        revision: str | None = None,
        columns: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        if isinstance(embedder, str) and embedder == TFIDF:
            raise ConfigError("embedder='tfidf' looks at all rows at once; use extract(dataset, needs, ...) instead.")
        self._signals = sorted(signals, key=lambda signal: signal.name)
        self._columns = None if columns is None else dict(columns)
        self._options = Options.of({"progress": False, **options, "cache_dir": False})
        self._models = Models(model, tokenizer, embedder, revision)
        self._left_behind: list[str] = []
        self._hashes: list[tuple[str, Any]] = []

    def __call__(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """The signal columns of one batch.

        Args:
            batch: columns of some rows, as ``map(batched=True)`` gives them.

        Returns:
            The new columns.

        Raises:
            ConfigError: if a model in memory was left behind in another process.
        """
        if self._left_behind:
            raise ConfigError(
                f"The {' and the '.join(self._left_behind)} of this transform were objects in another process and did "
                f"not travel here. Pass names or paths, or map without num_proc."
            )
        row_format = RowFormat.detect(list(batch), self._columns)
        values = read_signals(self._signals, Source(row_format.read(batch), row_format, self._models, self._options))
        return {signal.column: values[signal] for signal in self._signals}

    def __getstate__(self) -> dict[str, Any]:
        """Plain configuration, with hashes in the place of weights."""
        models = self._models
        given = {"model": models.given_model, "tokenizer": models.given_tokenizer, "embedder": models.given_embedder}
        named = {name: str(value) for name, value in given.items() if isinstance(value, str | Path)}
        objects = {name for name, value in given.items() if value is not None and name not in named}
        return {
            "library": __version__,
            "signals": [(s.name, s.shape, s.unit, s.read_in.value, s.option) for s in self._signals],
            "columns": None if self._columns is None else sorted(self._columns.items()),
            "options": sorted(vars(self._options).items()),
            "named": sorted(named.items()),
            "revision": models.revision,
            "left_behind": sorted({*objects, *self._left_behind}),
            "hashes": self._hashes if self._left_behind else _hashes(models),
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        named = dict(state["named"])
        self._signals = [
            Signal(name, shape, unit, Pass(read_in), option) for name, shape, unit, read_in, option in state["signals"]
        ]
        self._columns = None if state["columns"] is None else dict(state["columns"])
        self._options = Options(**dict(state["options"]))
        self._models = Models(named.get("model"), named.get("tokenizer"), named.get("embedder"), state["revision"])
        self._left_behind = list(state["left_behind"])
        self._hashes = state["hashes"]


def _hashes(models: Models) -> list[tuple[str, Any]]:
    """Hashes of what decides the values; what is given by name is loaded for them."""
    hashes: dict[str, Any] = {}
    if models.given_model is not None:
        hashes["model"] = sorted((name, str(value)) for name, value in model_identity(models.model).items())
    if models.has_tokenizer:
        hashes["tokenizer"] = tokenizer_hash(models.tokenizer)
    if models.given_embedder is not None:
        hashes["embedder"] = key_of(embedder_identity(models.embedder))
    return sorted(hashes.items())


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
                f"select(dataset, {method.name!r}, budget) and filter(KeepTransform(selection), with_indices=True)."
            )
        self._method = method

    def __call__(self, batch: Batch) -> dict[str, list[float]]:
        """The score column of one batch.

        Args:
            batch: columns of some rows with the signal columns, as ``map(batched=True)`` gives them.

        Returns:
            ``score_<method>``.

        Raises:
            ConfigError: if one row came in place of a batch.
            MissingSignalError: if a signal column is not there.
        """
        if any(np.ndim(values) == 0 for values in batch.values()):
            raise ConfigError("ScoreTransform reads the columns of a batch: dataset.map(..., batched=True).")
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
        return {"library": __version__, "method": sorted(self._method.config().items())}

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

    def __call__(self, rows: Any, row_ids: int | Collection[int] | None = None) -> bool | list[bool]:  # noqa: ARG002 (datasets' form)
        """Whether rows were picked.

        Args:
            rows: the row, or the columns of a batch; not read.
            row_ids: row id, or the row ids of the batch.

        Returns:
            One bool per row id.

        Raises:
            ConfigError: if no row id came.
            RowError: if a row id lies outside the dataset that was selected from.
        """
        if row_ids is None:
            raise ConfigError("KeepTransform picks by row id and none came: dataset.filter(..., with_indices=True).")
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
