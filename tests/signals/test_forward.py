"""The model passes: golden losses on text, the prefix, the store and what is refused."""

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, ModelError
from hf_select.rows import Row, RowFormat
from hf_select.signals.engine import Reader
from hf_select.signals.forward import answer_alone_signals, forward_signals
from hf_select.signals.keys import (
    ANSWER_ALONE_NLL,
    GRADIENT_SKETCH,
    MAX_TOKEN_ENTROPY,
    MIN_TOKEN_MARGIN,
    RESPONSE_NLL,
    RESPONSE_TOKENS,
    TOKEN_ENTROPY,
    TOKEN_MARGIN,
    TOP_TOKEN_NLL,
    WEIGHTED_STATE,
    answer_alone_nll,
)
from hf_select.signals.models import Models
from hf_select.signals.source import Options, Source

STATISTICS = [TOKEN_ENTROPY, MAX_TOKEN_ENTROPY, TOP_TOKEN_NLL, TOKEN_MARGIN, MIN_TOKEN_MARGIN, GRADIENT_SKETCH]


@pytest.fixture(scope="module")
def models(make_model, tokenizer) -> Models:
    return Models(make_model("llama"), tokenizer)


def source(rows, models, **options) -> Source:
    return Source(rows, RowFormat("completion"), models, Options(**{"progress": False, "cache_dir": False, **options}))


def loss(model, context: list[int], target: list[int]) -> float:
    ids = torch.tensor([context + target])
    labels = torch.tensor([[-100] * len(context) + target])
    with torch.no_grad():
        return float(model(input_ids=ids, labels=labels, use_cache=False).loss)


def test_losses_of_text(models, rows, tokenizer) -> None:
    reader = source(rows, models, template="Q: {prompt} A:", max_length=60)
    found = forward_signals([RESPONSE_NLL, RESPONSE_TOKENS], reader)
    prefix = answer_alone_nll("### Response:")
    alone = answer_alone_signals(
        [ANSWER_ALONE_NLL, prefix], source(rows, models, template="Q: {prompt} A:", max_length=45)
    )
    assert np.isnan(found[RESPONSE_NLL]).nonzero()[0].tolist() == [7]
    n_compared = 0
    for row_id, row in enumerate(rows):
        prompt, response = tokenizer(f"Q: {row.prompt} A:").input_ids, tokenizer(row.response).input_ids
        if not response:
            continue
        kept = response[: 60 - len(prompt)]
        assert found[RESPONSE_TOKENS][row_id] == len(kept)
        assert found[RESPONSE_NLL][row_id] == pytest.approx(loss(models.model, prompt, kept), abs=1e-5)
        kept = response[: max(0, 45 - len(prompt))]
        if not kept:
            assert np.isnan(alone[ANSWER_ALONE_NLL][row_id])
            continue
        n_compared += 1
        before = {ANSWER_ALONE_NLL: [tokenizer.eos_token_id], prefix: tokenizer("### Response:").input_ids}
        for signal, context in before.items():
            assert alone[signal][row_id] == pytest.approx(loss(models.model, context, kept), abs=1e-5)
    assert n_compared >= 15


def test_a_prompt_that_fills_max_length_has_no_loss(models, tokenizer) -> None:
    rows = [Row("add " * 60, "x"), Row("add", "x y")]
    found = forward_signals([RESPONSE_NLL], source(rows, models, max_length=30))[RESPONSE_NLL]
    assert np.isnan(found).tolist() == [True, False]


def test_the_models_own_limit_holds_by_default(make_model, tokenizer) -> None:
    gpt2 = Models(make_model("gpt2"), tokenizer)  # learned positions: one token more would fail
    found = source([Row("", "x y " * 200), Row("add " * 300, "x")], gpt2, template="plain")
    assert found.max_length == 128
    losses = forward_signals([RESPONSE_NLL], found)[RESPONSE_NLL]
    assert np.isnan(losses).tolist() == [False, True]
    assert found.encoded.n_scored.tolist() == [127, 0]


def test_a_value_does_not_depend_on_what_else_was_asked(models, rows) -> None:
    from hf_select.signals.keys import EMBEDDING, HIDDEN_STATE

    alone = forward_signals([RESPONSE_NLL], source(rows, models))
    beside = forward_signals([*STATISTICS, RESPONSE_NLL, EMBEDDING, HIDDEN_STATE], source(rows, models))
    only = forward_signals([EMBEDDING], source(rows, models))
    assert alone[RESPONSE_NLL].tobytes() == beside[RESPONSE_NLL].tobytes()
    assert only[EMBEDDING].tobytes() == beside[EMBEDDING].tobytes()


def test_token_statistics_states_and_sketches_come_with_the_losses(models, rows, tokenizer, monkeypatch) -> None:
    wanted = [*STATISTICS, RESPONSE_NLL, WEIGHTED_STATE]
    n_read = []
    read = Reader.read
    monkeypatch.setattr(Reader, "read", lambda self, batch, **kw: n_read.append(len(batch)) or read(self, batch, **kw))
    models.way  # noqa: B018 (finding it reads a probe)
    n_read.clear()
    found = forward_signals(wanted, source(rows, models, template="Q: {prompt} A:"))
    assert sum(n_read) == len(rows)  # one run for all of them
    assert {signal: found[signal].shape[1:] for signal in (WEIGHTED_STATE, GRADIENT_SKETCH)} == {
        WEIGHTED_STATE: (32,), GRADIENT_SKETCH: (1024,),
    }  # fmt: skip
    for row_id, row in enumerate(rows):
        prompt, response = tokenizer(f"Q: {row.prompt} A:").input_ids, tokenizer(row.response).input_ids
        if not response:
            assert all(np.isnan(found[signal][row_id]).all() for signal in STATISTICS)
            continue
        with torch.no_grad():
            logits = models.model(input_ids=torch.tensor([prompt + response]), use_cache=False).logits[0]
        probabilities = logits[len(prompt) - 1 : -1].softmax(-1)[:, : len(tokenizer)]
        first, second = probabilities.topk(2, dim=-1).values.unbind(-1)
        assert found[TOP_TOKEN_NLL][row_id] == pytest.approx(float(-first.log().mean()), abs=1e-5)
        assert found[TOKEN_MARGIN][row_id] == pytest.approx(float((first - second).mean()), abs=1e-5)
        assert found[MIN_TOKEN_MARGIN][row_id] == pytest.approx(float((first - second).min()), abs=1e-5)
    assert (found[TOKEN_ENTROPY] <= found[MAX_TOKEN_ENTROPY])[np.isfinite(found[TOKEN_ENTROPY])].all()


def test_finished_passes_are_read_from_the_store(models, rows, tmp_path, monkeypatch) -> None:
    first = forward_signals([RESPONSE_NLL], source(rows, models, cache_dir=tmp_path))
    n_read = []
    read = Reader.read
    monkeypatch.setattr(Reader, "read", lambda self, batch, **kw: n_read.append(len(batch)) or read(self, batch, **kw))
    again = forward_signals([RESPONSE_NLL], source(rows, models, cache_dir=tmp_path))
    assert n_read == []
    assert again[RESPONSE_NLL].tobytes() == first[RESPONSE_NLL].tobytes()


@pytest.mark.parametrize("change", ["weights", "tokenizer", "template", "row", "max_length", "eos", "batch"])
def test_another_input_is_never_taken_from_the_store(change, make_model, tokenizer, rows, tmp_path) -> None:
    import copy

    model = make_model("llama")
    forward_signals([RESPONSE_NLL], source(rows, Models(model, tokenizer), cache_dir=tmp_path))
    options = {"max_length": {"max_length": 127}, "eos": {"score_eos": True}, "batch": {"max_tokens_per_batch": 50}}
    options["template"] = {"template": "alpaca"}
    if change == "weights":
        with torch.no_grad():
            model.model.norm.weight[0] += 0.1
    if change == "tokenizer":
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.add_tokens(["<new>"])
    if change == "row":
        rows = [Row("another", "row"), *rows[1:]]
    forward_signals(
        [RESPONSE_NLL], source(rows, Models(model, tokenizer), cache_dir=tmp_path, **options.get(change, {}))
    )
    assert len(list(tmp_path.iterdir())) == 2


def test_a_prefix_longer_than_a_prompt_is_refused_where_it_does_not_fit(models) -> None:
    reader = source([Row("a", "x y " * 200)], models, template="plain")
    with pytest.raises(ConfigError, match=r"Lower max_length by \d+"):
        answer_alone_signals([answer_alone_nll("### Response: " * 3)], reader)


def test_rows_without_any_response_have_no_loss_and_cost_nothing(models, monkeypatch) -> None:
    monkeypatch.setattr("hf_select.signals.engine.reader", None)
    found = forward_signals([RESPONSE_NLL], source([Row("a", ""), Row("b", "")], models))
    assert np.isnan(found[RESPONSE_NLL]).tolist() == [True, True]


def test_a_tokenizer_of_another_model_is_refused(make_model, tokenizer) -> None:
    small = Models(make_model("llama", vocab_size=100), tokenizer)
    with pytest.raises(ModelError, match="The tokenizer has 300 ids and the model embeds 100"):
        forward_signals([RESPONSE_NLL], source([Row("a", "b")], small))


def test_models_by_name(make_model, tokenizer, rows, tmp_path) -> None:
    model = make_model("llama")
    model.save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    named = Models(str(tmp_path / "m"))
    assert named.has_tokenizer
    by_name = forward_signals([RESPONSE_NLL], source(rows, named))[RESPONSE_NLL]
    by_object = forward_signals([RESPONSE_NLL], source(rows, Models(model, tokenizer)))[RESPONSE_NLL]
    assert by_name.tobytes() == by_object.tobytes()
    assert named.provenance()["model"]["name_or_path"] == str(tmp_path / "m")
    model.bfloat16().save_pretrained(tmp_path / "half")
    assert Models(str(tmp_path / "half"), tokenizer).model.dtype == torch.bfloat16
    with pytest.raises(ConfigError, match="give tokenizer="):
        _ = Models(model).tokenizer
