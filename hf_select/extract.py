"""The first verb: read the signals that methods need, each pass once, into columns of the dataset.

dataset -> rows -> text pass, embedding pass, forward pass, answer-alone pass -> signal_<name> columns
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import ConfigError, RowError
from hf_select.rows import RowFormat
from hf_select.signals.embedding import embedded_texts, embedding_signals
from hf_select.signals.forward import Values, answer_alone_signals, forward_signals
from hf_select.signals.identity import array_hash, key_of
from hf_select.signals.keys import (
    ANSWER_ALONE_NLL,
    EMBEDDING,
    HIDDEN_STATE,
    RESPONSE_NLL,
    RESPONSE_TOKENS,
    ROW_TOKENS,
    TEXT_LENGTH,
    Pass,
    Signal,
    answer_alone_nll,
)
from hf_select.signals.models import Models
from hf_select.signals.plan import MAX_TOKENS_PER_BATCH
from hf_select.signals.source import Embed, Options, Source
from hf_select.signals.store import CacheDir
from hf_select.signals.text import row_tokens, text_length
from hf_select.templates import Template

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset


def extract(
    dataset: Dataset,
    needs: Iterable[Signal[Any]],
    *,
    model: Any = None,
    tokenizer: Any = None,
    embedder: Any = None,
    columns: Mapping[str, str] | None = None,
    template: str | Template | None = None,
    max_length: int | None = None,
    max_tokens_per_batch: int = MAX_TOKENS_PER_BATCH,
    embed: Embed | None = None,
    max_seq_length: int | None = None,
    score_eos: bool = False,
    revision: str | None = None,
    cache_dir: CacheDir = None,
    progress: bool = True,
) -> Dataset:
    """Add one column per signal.

    A signal column that is already there is kept if nothing is given to read it anew (no ``model`` for the model
    passes, no ``embedder`` for ``EMBEDDING``, neither tokenizer nor model for the text pass): it is then taken on your
    word. Otherwise it is replaced, so that no column of another model or of edited rows is used by mistake; the store
    in ``cache_dir`` makes that free where nothing has changed.

    Args:
        dataset: the dataset, one split.
        needs: the signals, for example ``method.needs``.
        model: the causal language model of the model passes: a Hub id, a path or an object (PEFT and DDP wrappers too).
            A name is loaded in the checkpoint's dtype to this process's device; remote code is never run.
        tokenizer: its tokenizer; a model given by name brings its own.
        embedder: a sentence-transformers model (name, path or object), ``"tfidf"``, or ``None`` to pool the states of
            ``model``.
        columns: which column is the ``prompt``, ``response``, ``context``, ``label`` or ``messages``.
        template: wording of the prompt: a name, a text with ``{prompt}``, or a ``Template``. By default
            ``"question"``; ``"chat"`` for conversations with a chat template; ``"plain"`` for plain text.
        max_length: tokens of a row at most, by default what the model was made for. Responses are cut to fit, prompts
            never; both are counted and told.
        max_tokens_per_batch: tokens of one forward pass. Halved batch by batch where memory does not suffice.
        embed: what to embed: ``"prompt"`` (the default), ``"response"`` (the default of plain text) or ``"both"``.
        max_seq_length: tokens after which a sentence-transformers model cuts a text; its own by default.
        score_eos: end each response with the end-of-sequence token and score that too.
        revision: revision of a model that is given by Hub id.
        cache_dir: where finished shards lie, so that a killed run continues: ``None`` for
            ``HF_HOME/hf_select/signals``, ``False`` for nowhere.
        progress: show progress bars on the main process.

    Returns:
        The dataset with the columns ``signal_<name>``; all others unchanged.

    Example:
        ``extract(dataset, {RESPONSE_NLL, ANSWER_ALONE_NLL}, model="gpt2")``
    """
    options = Options(template, max_length, max_tokens_per_batch, embed, max_seq_length, score_eos, cache_dir, progress)
    models = Models(model, tokenizer, embedder, revision)
    return extract_with_source(dataset, needs, models, columns, options)[0]


def extract_with_source(
    dataset: Dataset,
    needs: Iterable[Signal[Any]],
    models: Models,
    columns: Mapping[str, str] | None,
    options: Options,
) -> tuple[Dataset, Source | None]:
    """``extract``, which also returns what the signals were read from.

    Args:
        dataset: the dataset, one split.
        needs: the signals.
        models: model, tokenizer and embedder.
        columns: as in ``extract``.
        options: the other options of ``extract``.

    Returns:
        The dataset with its columns, and the source; ``None`` if all columns were there.
    """
    check_dataset(dataset)
    # in the order of their names: the order of a set differs between processes, and all must run the same passes
    wanted = [
        signal
        for signal in sorted(set(needs), key=lambda signal: signal.name)
        if signal.column not in dataset.column_names or _is_given(signal, models)
    ]
    for signal in wanted:
        _require(signal, models)
    if not wanted:
        return dataset, None
    row_format = RowFormat.detect(dataset, columns)
    source = Source(row_format.read(dataset), row_format, models, options)
    _check_rows(wanted, source)
    return with_columns(dataset, read_signals(wanted, source)), source


def read_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Run the passes that the wanted signals need, each once.

    Args:
        wanted: the signals.
        source: what they are read from.

    Returns:
        Their arrays, one value per row.
    """
    values: Values = {}
    for read_in, run in _PASSES.items():
        if now := [signal for signal in wanted if _pass_of(signal, source.models) is read_in]:
            values |= run(now, source)
    return values


def with_columns(dataset: Dataset, values: Values) -> Dataset:
    """The dataset with one column per signal; the fingerprint depends on the values alone.

    Args:
        dataset: the dataset.
        values: ``(N,)`` or ``(N, D)`` array of each signal.

    Returns:
        The dataset with the columns added, or replaced.
    """
    import datasets

    there = [signal.column for signal in values if signal.column in dataset.column_names]
    dataset = dataset.remove_columns(there) if there else dataset
    for signal, array in values.items():
        fingerprint = key_of([dataset._fingerprint, signal.column, array_hash(array)])[:16]
        column = _arrow(array)
        dataset = dataset.add_column(
            signal.column,
            column,
            new_fingerprint=fingerprint,
            feature=datasets.Features.from_arrow_schema(_schema(column))["column"],
        )
    return dataset


def check_dataset(dataset: Any) -> None:
    """Refuse what is not one finite, non-empty split.

    Args:
        dataset: what came.

    Raises:
        RowError: if it is something else than a ``datasets.Dataset`` with rows.
    """
    import datasets

    if isinstance(dataset, datasets.DatasetDict | datasets.IterableDatasetDict):
        splits = ", ".join(repr(str(split)) for split in dataset)
        raise RowError(f"A dataset with splits came ({splits}); give one of them, for example dataset['train'].")
    if isinstance(dataset, datasets.IterableDataset):
        raise RowError(
            "A streamed dataset came; row ids and budgets need all rows. Load it without streaming, or make it a "
            "Dataset with Dataset.from_generator."
        )
    if not isinstance(dataset, datasets.Dataset):
        raise RowError(f"A datasets.Dataset was expected and {type(dataset).__name__} came; see Dataset.from_list.")
    if len(dataset) == 0:
        raise RowError("The dataset has no rows. Check the split, and the filters and gates before it.")


def _text_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    values: Values = {}
    if TEXT_LENGTH in wanted:
        values[TEXT_LENGTH] = text_length(source.rows)
    if ROW_TOKENS in wanted:
        values[ROW_TOKENS] = row_tokens(source.encoded, source.options.max_length)
    return values


_KNOWN: tuple[Signal[Any], ...] = (
    TEXT_LENGTH, ROW_TOKENS, EMBEDDING, RESPONSE_NLL, RESPONSE_TOKENS, HIDDEN_STATE, ANSWER_ALONE_NLL
)  # fmt: skip
_PASSES: dict[Pass, Callable[[Collection[Signal[Any]], Source], Values]] = {
    Pass.TEXT: _text_signals,
    Pass.EMBEDDING: embedding_signals,
    Pass.FORWARD: forward_signals,
    Pass.ANSWER_ALONE: answer_alone_signals,
}


def _pass_of(signal: Signal[Any], models: Models) -> Pass:
    """Without an embedder the model's own states are the embedding, and they are pooled in the forward pass."""
    return Pass.FORWARD if signal == EMBEDDING and models.given_embedder is None else signal.read_in


def _is_given(signal: Signal[Any], models: Models) -> bool:
    """Whether there is something to read a signal anew that has a column already."""
    if signal == EMBEDDING:
        return models.given_embedder is not None
    if signal.read_in is Pass.TEXT:
        return models.given_model is not None or models.given_tokenizer is not None
    return models.given_model is not None


def _require(signal: Signal[Any], models: Models) -> None:
    """Refuse a signal for which nothing was given, before anything is loaded."""
    if signal not in _KNOWN and signal != answer_alone_nll(signal.option):
        raise ConfigError(f"extract cannot read signal {signal.name!r}; it reads {', '.join(s.name for s in _KNOWN)}.")
    missing = None
    if _pass_of(signal, models) in (Pass.FORWARD, Pass.ANSWER_ALONE):
        if models.given_model is None:
            missing = "model= (a Hub id, a path or an object)"
        elif not models.has_tokenizer:
            missing = "tokenizer= (the model came as an object)"
        if missing and signal == EMBEDDING:
            missing = f"embedder= (a sentence-transformers model, or 'tfidf' for none), or {missing}"
    elif signal == ROW_TOKENS and not models.has_tokenizer:
        missing = "tokenizer="
    if missing:
        raise ConfigError(f"Signal {signal.name!r} is read in the {signal.read_in.value} pass: give {missing}.")


def _check_rows(wanted: Collection[Signal[Any]], source: Source) -> None:
    """Refuse a dataset in which no row has what is to be read, before the passes."""
    form, n_rows = source.row_format.form, len(source.rows)
    scores = any(signal == RESPONSE_NLL or signal.read_in is Pass.ANSWER_ALONE for signal in wanted)
    if scores and not any(row.response for row in source.rows):
        raise RowError(f"None of the {n_rows} rows has a response (form {form!r}); name its column with columns=.")
    if EMBEDDING in wanted and not any(embedded_texts(source)):
        raise ConfigError(
            f"None of the {n_rows} rows has a {source.embed} to embed (form {form!r}); give another embed= of "
            f"'prompt', 'response' and 'both'."
        )
    if scores and not source.encoded.n_scored.any():
        raise RowError(
            f"None of the {n_rows} responses has a token that can be scored: the prompts alone fill "
            f"max_length={source.max_length}. Raise it, or take a shorter template."
        )


def _arrow(array: NDArray[Any]) -> pa.Array:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return flat if array.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, array.shape[1])


def _schema(column: pa.Array) -> pa.Schema:
    import pyarrow as pa

    return pa.schema({"column": column.type})
