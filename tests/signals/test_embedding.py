"""Embeddings: unit vectors from TF-IDF, from a sentence-transformers model and from the model's own states."""

import sys

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, MissingExtraError, RowError
from hf_select.rows import Row, RowFormat
from hf_select.signals.embedding import embedding_signals, tfidf_embedding
from hf_select.signals.forward import forward_signals, unit_rows
from hf_select.signals.keys import EMBEDDING, HIDDEN_STATE
from hf_select.signals.models import Models
from hf_select.signals.source import Options, Source


def source(rows, *, form="completion", models=None, **options) -> Source:
    return Source(rows, RowFormat(form), models or Models(), Options(progress=False, **options))


class Embedder(torch.nn.Module):
    """What the pass asks of a sentence-transformers model."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.max_seq_length = 99
        self.seen = []

    def encode(self, texts, show_progress_bar):
        self.eval()
        self.seen.append((self.max_seq_length, list(texts)))
        return np.asarray([[len(text), 1.0, 2.0] for text in texts])


def test_tfidf_is_deterministic_and_near_for_like_texts() -> None:
    texts = ["def add(a, b): return a + b", "def add(x, y): return x + y", "import os, sys", "  "]
    vectors = tfidf_embedding(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-6)
    assert np.isnan(vectors[3]).all()
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2]
    assert tfidf_embedding(texts).tobytes() == vectors.tobytes()


def test_tfidf_is_reduced_to_its_components() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 90, 12)) for _ in range(60)]
    vectors = tfidf_embedding(texts, n_components=8)
    assert vectors.shape == (60, 8)
    assert tfidf_embedding(texts, n_components=8).tobytes() == vectors.tobytes()
    with pytest.raises(RowError, match="None of the 2 texts"):
        tfidf_embedding(["", " "])


def test_the_embedder_reads_the_part_that_was_asked_for(tmp_path) -> None:
    rows = [Row("aa", "b"), Row("", "bbb"), Row("a" * 9, "")]
    parts = {"prompt": ["a" * 9, "aa", ""], "response": ["bbb", "b", ""], "both": ["a" * 9, "aa\nb", "bbb"]}
    for embed, texts in parts.items():
        embedder = Embedder()
        models = Models(given_embedder=embedder)
        reads = source(rows, models=models, embed=embed, max_seq_length=5, cache_dir=tmp_path)
        found = embedding_signals([EMBEDDING], reads)
        vectors = found[EMBEDDING]
        assert embedder.seen == [(5, texts)]
        assert embedder.max_seq_length == 99
        assert embedder.layer.training
        assert np.isnan(vectors).any(axis=1).sum() == texts.count("")
        np.testing.assert_allclose(np.linalg.norm(vectors[~np.isnan(vectors).any(axis=1)], axis=1), 1, atol=1e-6)


def test_a_finished_embedding_is_not_computed_again(tmp_path) -> None:
    rows, embedder = [Row("aa", "b"), Row("a", "bbb")], Embedder()
    first, second = (
        embedding_signals([EMBEDDING], source(rows, models=Models(given_embedder=embedder), cache_dir=tmp_path))
        for _ in range(2)
    )
    assert len(embedder.seen) == 1
    assert first[EMBEDDING].tobytes() == second[EMBEDDING].tobytes()
    embedding_signals(
        [EMBEDDING], source(rows, models=Models(given_embedder=embedder), cache_dir=tmp_path, max_seq_length=3)
    )
    assert len(embedder.seen) == 2
    embedding_signals([EMBEDDING], source(rows, models=Models(given_embedder=Embedder()), cache_dir=tmp_path))
    assert len(list(tmp_path.iterdir())) == 3  # other weights, another folder


def test_a_real_sentence_transformer() -> None:
    """Built from nothing: a bag of words under mean pooling."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import BoW

    embedder = SentenceTransformer(modules=[BoW(vocab=["def", "add", "return", "x"])], device="cpu")
    rows = [Row("def add", ""), Row("def def add add", ""), Row("return x", "")]
    vectors = embedding_signals([EMBEDDING], source(rows, models=Models(given_embedder=embedder), cache_dir=False))[
        EMBEDDING
    ]
    np.testing.assert_allclose(vectors @ vectors.T, [[1, 1, 0], [1, 1, 0], [0, 0, 1]], atol=1e-6)


def test_plain_text_is_embedded_by_its_text() -> None:
    found = embedding_signals([EMBEDDING], source([Row("", "b")], form="text", models=Models(given_embedder="tfidf")))
    assert found[EMBEDDING].tolist() == [[1.0]]


def test_embedders_that_cannot_be_used_are_refused(monkeypatch) -> None:
    with pytest.raises(ConfigError, match=r"int has no encode"):
        _ = Models(given_embedder=3).embedder
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hf-select\[embeddings\]'"):
        _ = Models(given_embedder="all-mpnet-base-v2").embedder


def test_the_models_own_states(make_model, tokenizer, rows) -> None:
    models = Models(make_model("llama"), tokenizer)
    by_part = {}
    for embed in ("prompt", "response", "both"):
        found = forward_signals([EMBEDDING, HIDDEN_STATE], source(rows, models=models, embed=embed, cache_dir=False))
        by_part[embed] = found[EMBEDDING]
    np.testing.assert_array_equal(by_part["both"], unit_rows(found[HIDDEN_STATE]))
    assert np.isnan(by_part["response"]).all(axis=1).nonzero()[0].tolist() == [7]  # the row without response
    assert not np.allclose(by_part["prompt"], by_part["both"], atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(by_part["prompt"], axis=1), 1, atol=1e-6)


def test_unit_rows() -> None:
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [np.nan, np.nan]])
