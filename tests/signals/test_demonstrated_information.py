"""Information of responses about the demonstrations before them, against plain forward passes in float64."""

import copy
import logging

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError
from hf_select.rows import Row, RowFormat
from hf_select.signals import predictions
from hf_select.signals.demonstrated_information import read_demonstrated_information
from hf_select.signals.demonstration_set import draw_orders
from hf_select.signals.layout import Layout
from hf_select.signals.models import Models
from hf_select.signals.reader import Reader, Way
from hf_select.signals.source import Options, Source


@pytest.fixture(scope="module")
def some(rows) -> list[Row]:
    """Ten rows, of which row 7 has no response; the first five are labelled."""
    return rows[:10]


@pytest.fixture(scope="module")
def model(make_model):
    return make_model("llama", max_position_embeddings=256).eval()


def source(rows, model, tokenizer, labelled, way=None, **options) -> Source:
    models = Models(model, tokenizer)
    if way is not None:
        models.__dict__["way"] = way
    plain = {"progress": False, "cache_dir": False, "template": "Q: {prompt} A:"}
    return Source(rows, RowFormat("completion"), models, Options(**{**plain, **options}), labelled=labelled)


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(axis=-1)


def plain_information(rows, labelled, model, tokenizer, orders, n_demonstrations) -> np.ndarray:
    """One forward pass per row and set, of text that is put together anew; all distributions at once."""

    def ids(text) -> list[int]:
        return tokenizer(text, add_special_tokens=False).input_ids

    values = []
    for row in rows:
        response, samples = ids(row.response), []
        if not response:
            values.append(np.nan)
            continue
        for order in orders:
            shown = [labelled[one] for one in order if labelled[one].prompt != row.prompt][:n_demonstrations]
            before = [ids(f"Q: {one.prompt} A:") + ids(one.response) + ids("\n\n") for one in shown]
            context = [token for one in before for token in one] + ids(f"Q: {row.prompt} A:")
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([context + response]), use_cache=False).logits[0]
            samples.append(logits[len(context) - 1 : -1].double().softmax(-1).numpy())
        distributions = np.stack(samples)
        values.append((entropy(distributions.mean(axis=0)) - entropy(distributions).mean(axis=0)).mean())
    return np.asarray(values)


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("applies_head", [True, False])
def test_information_is_that_of_plain_forward_passes(layout, applies_head, some, model, tokenizer) -> None:
    given = source(some, model, tokenizer, some[:5], Way(layout, applies_head))
    found = read_demonstrated_information(given, n_sets=3, n_demonstrations=2)
    orders = draw_orders([None] * 5, 3, 2, seed=0)
    expected = plain_information(some, some[:5], model, tokenizer, orders, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.flatnonzero(np.isnan(found)).tolist() == [7]
    assert np.nanmin(found) > 0.001
    assert np.nanmax(found) < np.log(3)


@pytest.mark.parametrize("max_tokens", [1, 200])
def test_neither_batches_nor_the_order_of_rows_count(some, model, tokenizer, max_tokens, monkeypatch) -> None:
    whole = read_demonstrated_information(source(some, model, tokenizer, some[:5]), 2, 2)
    order = [4, 9, 7, 0]
    monkeypatch.setattr(predictions, "_MAX_CPU_POSITIONS", 3)  # chunks that cross the borders of rows
    shuffled = source([some[row] for row in order], model, tokenizer, some[:5], max_tokens_per_batch=max_tokens)
    np.testing.assert_allclose(read_demonstrated_information(shuffled, 2, 2), whole[order], atol=1e-5)


def test_a_model_that_sees_no_demonstrations_learns_nothing_of_them(make_model, tokenizer, some) -> None:
    deaf = make_model("llama", max_position_embeddings=256).eval()
    with torch.no_grad():
        for layer in deaf.model.layers:
            layer.self_attn.o_proj.weight.zero_()
    found = read_demonstrated_information(source(some, deaf, tokenizer, some[:5]), 3, 2)
    np.testing.assert_allclose(np.delete(found, 7), 0, atol=2e-6)


def test_the_token_before_everything_comes_first_and_once(make_model, tokenizer, some, monkeypatch) -> None:
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.bos_token = "<eos>"
    tokenizer.chat_template = "{{ bos_token }}{% for m in messages %}{{ m.content }}|{% endfor %}"
    model = make_model("llama", max_position_embeddings=256).eval()
    read, contexts = Reader.predict, []
    monkeypatch.setattr(
        Reader,
        "predict",
        lambda self, batch, **kw: contexts.extend(s.context for s in batch) or read(self, batch, **kw),
    )
    given = source(some[:4], model, tokenizer, some[4:7], Way(Layout.PACKED, True), template="chat")
    assert np.isfinite(read_demonstrated_information(given, 2, 2)).all()
    assert len(contexts) == 8
    assert all(context[0] == 1 and (context[1:] != 1).all() for context in contexts)


def test_long_rows_are_cut_and_told(make_model, tokenizer, caplog, monkeypatch) -> None:
    model = make_model("gpt2").eval()  # 128 learned positions: one token more would fail
    labelled = [Row("z", " z" * 90), Row("y", " y"), Row("x", " x"), Row("add", " add")]
    rows = [Row("if", " x y" * 60), Row("in", " y z" * 10)]
    read, lengths = Reader.predict, []
    monkeypatch.setattr(
        Reader,
        "predict",
        lambda self, batch, **kw: lengths.extend(s.n_tokens for s in batch) or read(self, batch, **kw),
    )
    with caplog.at_level(logging.WARNING, "hf_select"):
        given = source(rows, model, tokenizer, labelled, Way(Layout.PACKED, True))
        found = read_demonstrated_information(given, 3, 2)
    assert np.isfinite(found).all()
    assert len(lengths) == 6
    assert 100 < max(lengths) <= 128
    assert "1 of 4 demonstrations are cut to 41 tokens" in caplog.text  # a third of what separators leave
    assert "1 of 2 responses are cut to fit" in caplog.text  # the row has what the short demonstrations leave


def test_rows_without_responses(some, model, tokenizer) -> None:
    blank = [row._replace(response="") for row in some]
    found = read_demonstrated_information(source(blank[:2], model, tokenizer, some[:5]), 2, 2)
    assert np.isnan(found).tolist() == [True, True]
    with pytest.raises(ConfigError, match="None of the labelled= rows has a response"):
        read_demonstrated_information(source(some, model, tokenizer, blank[:5]), 2, 2)
