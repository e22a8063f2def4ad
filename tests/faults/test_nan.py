"""No row without a finite score is ever picked, and a broken model is told at once (F12)."""

import logging

import numpy as np
import pytest
import torch

from hf_select.errors import InvalidScoresError, ModelError
from hf_select.select import select


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_model_stops_in_the_first_batch(value, score, model, tmp_path):
    with torch.no_grad():
        model.model.norm.weight.fill_(value)
    with pytest.raises(ModelError, match=r"no finite loss for any of the first \d+ rows \(row ids \[\d+") as stopped:
        score(tmp_path)
    assert "NaN or infinity" in str(stopped.value)
    assert list(tmp_path.rglob("shard-*")) == []  # nothing of it was stored


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_row_that_breaks_is_counted_and_never_picked(value, rows, tokenizer, score, tmp_path, caplog):
    """One embedding is broken, and one row reads it; it stands where a NaN or infinity would sort first or last."""
    from hf_select.demo import build_model

    broken = build_model(tokenizer, 0, hidden=16, heads=2, layers=1, max_length=512)
    broken.lm_head.weight = torch.nn.Parameter(broken.lm_head.weight.detach().clone())  # untied: it breaks inputs alone
    broken.config.tie_word_embeddings = False
    mark = "\x7f"  # a token that no other row has
    (token,) = tokenizer(mark, add_special_tokens=False)["input_ids"]
    poisoned = rows.map(lambda row, n: {"prompt": mark + row["prompt"]} if n == 23 else {}, with_indices=True)
    with torch.no_grad():
        broken.model.embed_tokens.weight[token] = value
    for method in ("loss", "perplexity", "ifd"):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "hf_select"):
            selection, _ = score(tmp_path, poisoned, broken, method)
        assert 23 not in selection.indices
        assert np.isfinite(selection.scores).all()
        reasons = {
            reason: n for reason, n in selection.provenance["excluded"].items() if reason.startswith("no finite")
        }
        assert list(reasons.values()) == [1]
        assert "1 rows have no finite" in caplog.text
        assert "(first: [23])" in caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_column_with_one_bad_value(value, rows):
    """Signals that were read before, by whomever."""
    losses = np.linspace(1, 2, len(rows))
    losses[[5, 9]] = value
    dataset = rows.add_column("signal_response_nll", losses)
    selection = select(dataset, "loss", 38)
    assert not {5, 9} & set(selection.indices.tolist())
    assert list(selection.provenance["excluded"].values()) == [2]
    with pytest.raises(InvalidScoresError, match=r"2 rows: no finite.*\(first: \[5, 9\]\)"):
        select(dataset, "loss", 38, on_invalid="error")
