"""A pool of any size, shaped like rows of code: texts, and every signal that the measured methods read.

It is written once, in record batches, as an Arrow file that is mapped into memory, so that no part of the benchmark
holds it as Python objects. The losses, lengths and vectors are drawn, not read by a model: what is measured is
selecting. One row in 200 is a copy of an earlier one.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from hf_select.methods import METHODS, make
from hf_select.signals.keys import ANSWER_ALONE_NLL, EMBEDDING, RESPONSE_NLL, ROW_TEXT, TEXT_LENGTH, Signal

ROWS_PER_BATCH = 20_000
N_REFERENCE = 200
_COPIES = 200
_N_TASKS = 3
_N_GROUPS = 256
_WORDS = [*keyword.kwlist, *dir(builtins), *"()[]:=+-*/<>,.012", "\n", "\n   ", "\n       "]


def build(folder: Path, n_rows: int, n_dims: int, seed: int, methods: list[str]) -> tuple[Path, Path]:
    """Write the pool and its reference rows, unless they are there.

    Args:
        folder: where they lie.
        n_rows: rows of the pool.
        n_dims: width of the embedding.
        seed: of everything that is drawn.
        methods: names of the methods whose signals it is to hold.

    Returns:
        The two Arrow files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    needs = sorted({need for name in methods for need in make(name).needs}, key=lambda signal: signal.name)
    files = []
    for name, n, draw in (("pool", n_rows, seed), ("reference", N_REFERENCE, seed + 1)):
        path = folder / f"{name}-{n}-{n_dims}-{seed}-{len(needs)}.arrow"
        if not path.exists():
            _write(path, n, _batches(n, n_dims, draw, seed, needs))
        files.append(path)
    return files[0], files[1]


def row_wise() -> list[str]:
    """The methods that judge every row alone."""
    from hf_select.methods import Scorer

    return sorted(name for name, method in METHODS.items() if issubclass(method, Scorer))


def _write(path: Path, n_rows: int, batches: Iterator[pa.RecordBatch]) -> None:
    part = path.with_suffix(".part")
    with pa.OSFile(str(part), "wb") as file, tqdm(total=n_rows, desc=f"Writing {path.name}", unit="row") as bar:
        first = next(batches)
        with pa.ipc.new_stream(file, first.schema) as stream:
            for batch in (first, *batches):
                stream.write_batch(batch)
                bar.update(batch.num_rows)
    part.replace(path)


def _batches(n_rows: int, n_dims: int, draw: int, seed: int, needs: list[Signal[Any]]) -> Iterator[pa.RecordBatch]:
    """The pool, some rows at a time; every batch is drawn from its own generator."""
    shared = np.random.default_rng(seed)
    centres = shared.normal(size=(_N_GROUPS, n_dims)).astype(np.float32)
    names = [f"{a}_{b}" for a in ("get", "set", "parse", "load", "x", "row", "n", "is") for b in range(500)]
    for start in range(0, n_rows, ROWS_PER_BATCH):
        n = min(ROWS_PER_BATCH, n_rows - start)
        rng = np.random.default_rng([draw, start])
        source = np.arange(n)
        copies = rng.random(n) < 1 / _COPIES
        source[copies] = rng.integers(0, n, size=int(copies.sum()))
        texts = _texts(n, rng, names)
        drawn = {signal: _values(signal, n, n_dims, centres, rng, texts) for signal in needs}
        columns = {signal.column: _column(values[source]) for signal, values in drawn.items()}
        yield pa.record_batch(columns)


def _texts(n: int, rng: np.random.Generator, names: list[str]) -> np.ndarray:
    """Rows of words and identifiers: lengths are log-normal, identifiers follow Zipf's law."""
    lengths = np.clip(rng.lognormal(4.0, 0.6, size=n), 5, 600).astype(np.int64)
    total = int(lengths.sum())
    words = np.asarray(_WORDS, dtype=object)[rng.integers(0, len(_WORDS), size=total)]
    is_name = rng.random(total) < 0.4
    words[is_name] = np.asarray(names, dtype=object)[np.minimum(rng.zipf(1.3, size=int(is_name.sum())), len(names)) - 1]
    stops = np.cumsum(lengths)
    return np.asarray(
        [" ".join(words[stop - length : stop]) for stop, length in zip(stops, lengths, strict=True)], dtype=object
    )


def _values(
    signal: Signal[Any], n: int, n_dims: int, centres: np.ndarray, rng: np.random.Generator, texts: np.ndarray
) -> np.ndarray:
    if signal == ROW_TEXT:
        return texts
    if signal == TEXT_LENGTH:
        return np.asarray([len(text) for text in texts], dtype=np.int64)
    if signal == EMBEDDING:
        vectors = centres[rng.integers(0, len(centres), size=n)] + rng.normal(size=(n, n_dims)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    if signal == RESPONSE_NLL:
        return rng.gamma(4.0, 0.25, size=n).astype(np.float32)
    if signal == ANSWER_ALONE_NLL:
        return rng.gamma(8.0, 0.25, size=n).astype(np.float32)
    if signal.shape == "(N, D)":
        return rng.normal(size=(n, _N_TASKS)).astype(np.float32)
    return rng.random(n).astype(np.float32)


def _column(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])
