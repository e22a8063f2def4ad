"""The embedding pass: one unit vector per row, from a sentence-transformers model or from TF-IDF without any model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import RowError
from hf_select.signals.forward import unit_rows
from hf_select.signals.identity import embedder_identity, texts_hash
from hf_select.signals.keys import EMBEDDING, Indices, Signal, Values
from hf_select.signals.models import TFIDF
from hf_select.signals.plan import make_plan
from hf_select.signals.shards import run_shards
from hf_select.signals.source import Embed, Source
from hf_select.signals.store import Arrays

_N_COMPONENTS = 256
_MAX_TERMS = 2**16
_MAX_CHARACTERS_PER_BATCH = 2**16
_TERM = r"(?u)\w+|[^\w\s]"  # words and single signs: code is made of both


def embedding_signals(wanted: Collection[Signal[Any]], source: Source) -> Values:
    """Embed the chosen part of every row, as it stands in the dataset (without the template).

    Args:
        wanted: ``EMBEDDING``, or nothing.
        source: rows and embedder.

    Returns:
        ``(N, D)`` float32 unit vectors; NaN for a row without that part.
    """
    if EMBEDDING not in wanted:
        return {}
    texts = embedded_texts(source)
    if isinstance(source.models.given_embedder, str) and source.models.given_embedder == TFIDF:
        return {EMBEDDING: tfidf_embedding(texts)}
    return {EMBEDDING: _sentence_embedding(texts, source)}


def tfidf_embedding(texts: Sequence[str], n_components: int = _N_COMPONENTS) -> NDArray[np.float32]:
    """Latent semantic analysis: TF-IDF over words and signs, reduced by a truncated SVD.

    Deterministic and quick, needs no model; each vector depends on all texts.

    Args:
        texts: ``N`` texts.
        n_components: dimensions at most; fewer where there are fewer terms.

    Returns:
        ``(N, D)`` float32 unit vectors; NaN for a text without any term.

    Raises:
        RowError: if no text has a term.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(text.strip() for text in texts):
        raise RowError(f"None of the {len(texts)} texts has a word to embed.")
    vectorizer = TfidfVectorizer(token_pattern=_TERM, sublinear_tf=True, max_features=_MAX_TERMS, dtype=np.float64)
    weights = vectorizer.fit_transform(texts)
    if min(weights.shape) > n_components:
        vectors = TruncatedSVD(n_components, random_state=0).fit_transform(weights)
    else:
        vectors = weights.toarray()
    return unit_rows(vectors)


def embedded_texts(source: Source) -> list[str]:
    """The part of each row that is embedded.

    Args:
        source: rows, and which part.

    Returns:
        ``N`` texts, empty where a row has no such part.
    """
    join: dict[Embed, Any] = {
        "prompt": lambda row: row.prompt,
        "response": lambda row: row.response,
        "both": lambda row: "\n".join(filter(None, (row.prompt, row.response))),
    }
    return [join[source.embed](row) for row in source.rows]


def _sentence_embedding(texts: Sequence[str], source: Source) -> NDArray[np.float32]:
    """Vectors of a sentence-transformers model, whose ``max_seq_length`` and training flags are restored."""
    embedder = source.models.embedder
    found, modes = embedder.max_seq_length, [(module, module.training) for module in embedder.modules()]
    try:
        if source.options.max_seq_length is not None:
            embedder.max_seq_length = source.options.max_seq_length
        identity = embedder_identity(embedder) if source.options.cache_dir is not False else {}
        store = source.store("embedding", texts=texts_hash(texts), embedder=identity)

        def read_batch(rows: Indices) -> Arrays:
            batch = [texts[row] for row in rows]
            return {"embedding": np.asarray(embedder.encode(batch, show_progress_bar=False), dtype=np.float32)}

        plan = make_plan(np.asarray([max(1, len(text)) for text in texts]), _MAX_CHARACTERS_PER_BATCH)
        arrays = run_shards("embedding", plan, read_batch, len(texts), store=store, progress=source.options.progress)
    finally:
        embedder.max_seq_length = found
        for module, training in modes:
            module.training = training
    vectors = unit_rows(arrays["embedding"])
    vectors[[not text for text in texts]] = np.nan  # the vector of an empty text says nothing about a row
    return vectors
