"""The loss-prediction pass: a given head, or one that learns on the labelled rows."""

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, ModelError
from hf_select.rows import Row, RowFormat
from hf_select.signals.keys import PREDICTED_LOSS
from hf_select.signals.loss_head import LossHead
from hf_select.signals.loss_head_training import train_loss_head
from hf_select.signals.loss_prediction import loss_prediction_signals
from hf_select.signals.models import Companions, Models
from hf_select.signals.source import Options, Source


@pytest.fixture(scope="module")
def texts() -> list[Row]:
    """14 labelled rows; row 5 has no text."""
    words = ["def", "return", "if", "add", "x", "y", "z"]
    rows = [Row(" ".join(words[n % 7 :] * (1 + n % 3)), "", n % 3) for n in range(14)]
    rows[5] = Row("", "", 0)
    return rows


def source(rows, model, tokenizer, head=None, labelled=(), **options) -> Source:
    models = Models(model, tokenizer, companions=Companions(loss_head=head))
    options = Options(**{"progress": False, "cache_dir": False, **options})
    return Source(rows, RowFormat("classification"), models, options, list(labelled))


def read(*given, **options) -> np.ndarray:
    return loss_prediction_signals([PREDICTED_LOSS], source(*given, **options))[PREDICTED_LOSS]


@pytest.mark.parametrize("max_tokens", [1, 40, 4096])
def test_every_row_gets_what_the_head_says_of_it_alone(max_tokens, make_classifier, tokenizer, texts) -> None:
    model = make_classifier()
    head = LossHead.for_model(model, seed=3)
    found = read(texts, model, tokenizer, head, max_tokens_per_batch=max_tokens)
    assert np.isnan(found).nonzero()[0].tolist() == [5]
    for row in (0, 3, 13):
        ids = torch.tensor([tokenizer(texts[row].prompt)["input_ids"]])
        with torch.no_grad():
            states = model(input_ids=ids, output_hidden_states=True).hidden_states
            assert found[row] == pytest.approx(float(head(head.pool(states, torch.ones_like(ids)))), abs=1e-5)


def test_without_a_head_one_learns_on_the_labelled_rows(make_classifier, tokenizer, texts) -> None:
    model = make_classifier()
    found = read(texts, model, tokenizer, labelled=texts[:8], seed=2)
    head = train_loss_head(model, tokenizer, texts[:8], seed=2)
    np.testing.assert_allclose(found, read(texts, model, tokenizer, head), atol=1e-6)
    given = LossHead.for_model(model)  # a given head goes first
    np.testing.assert_array_equal(read(texts, model, tokenizer, given, texts[:8]), read(texts, model, tokenizer, given))


def test_what_is_missing_is_named(make_classifier, tokenizer, texts) -> None:
    with pytest.raises(ConfigError, match=r"companions\.loss_head .* or labelled="):
        read(texts, make_classifier(), tokenizer)
    with pytest.raises(ConfigError, match="loss_head=Linear is no LossHead"):
        read(texts, make_classifier(), tokenizer, torch.nn.Linear(2, 1))
    with pytest.raises(ModelError, match="train a head for this model"):
        read(texts, make_classifier(), tokenizer, LossHead(16, 2))
    assert loss_prediction_signals([], source(texts, make_classifier(), tokenizer)) == {}


def test_the_store_knows_the_head(make_classifier, tokenizer, texts, tmp_path) -> None:
    model = make_classifier()
    heads = [LossHead.for_model(model, seed=seed) for seed in (0, 1)]
    first, other = (read(texts, model, tokenizer, head, cache_dir=tmp_path) for head in heads)
    assert read(texts, model, tokenizer, heads[0], cache_dir=tmp_path).tobytes() == first.tobytes()
    assert len(list(tmp_path.iterdir())) == 2
    assert np.nanmax(np.abs(first - other)) > 1e-4
