"""The generation pass: it equals the plain way, row by row, whatever the batches, the order and the store."""

import copy
import logging

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, ModelError, UnknownNameError
from hf_select.rows import Row, RowFormat
from hf_select.signals import generation
from hf_select.signals.agreement import agreement, edit_similarity
from hf_select.signals.continuation import Prompt, continue_prompts
from hf_select.signals.generation import generation_signals
from hf_select.signals.gradient_length import head_gradient_lengths
from hf_select.signals.keys import generation_agreement, sampled_gradient_length
from hf_select.signals.models import Models
from hf_select.signals.plan import Segment
from hf_select.signals.reader import reader
from hf_select.signals.rewording import reword
from hf_select.signals.source import Options, Source

AGREEMENT = generation_agreement(3, "edit", "all")
GRADIENT = sampled_gradient_length(2)


@pytest.fixture(autouse=True)
def no_collection(monkeypatch) -> None:
    """A full garbage collection takes a third of a second here and frees nothing that a test needs."""
    monkeypatch.setattr("hf_select.signals.memory.gc.collect", lambda: 0)


@pytest.fixture(scope="module")
def models(make_model, tokenizer) -> Models:
    return Models(make_model("llama").eval(), tokenizer)


@pytest.fixture(scope="module")
def some(rows) -> list[Row]:
    """Eight rows; row 7 has no response, which changes nothing about what the model answers."""
    return rows[:8]


def source(rows, models, **options) -> Source:
    plain = {"progress": False, "cache_dir": False, "max_new_tokens": 6, "template": "Q: {prompt} A:"}
    return Source(rows, RowFormat("completion"), models, Options(**{**plain, **options}))


def greedy(model, ids: list[int], n_tokens: int) -> list[int]:
    written: list[int] = []
    while len(written) < n_tokens and written[-1:] != [1]:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids + written]), use_cache=False).logits[0, -1]
        written.append(int(logits[:300].argmax()))
    return written


@pytest.fixture(scope="module")
def expected(some, models, tokenizer) -> np.ndarray:
    """Agreement the plain way: one prompt at a time, one token at a time."""
    values = []
    for row in some:
        worded = [f"Q: {reword(row.prompt, variant, 0)} A:" for variant in range(3)]
        answers = [greedy(models.model, tokenizer(text).input_ids, 6) for text in worded]
        texts = [tokenizer.decode(ids, skip_special_tokens=True) for ids in answers]
        values.append(agreement(texts, edit_similarity, "all"))
    return np.asarray(values)


@pytest.mark.parametrize("max_tokens", [1, 300, 10_000])
def test_agreement_is_that_of_answers_written_one_by_one(some, models, expected, max_tokens) -> None:
    found = generation_signals([AGREEMENT], source(some, models, max_tokens_per_batch=max_tokens))[AGREEMENT]
    np.testing.assert_allclose(found, expected)
    assert len(np.unique(found)) > 3
    assert (found < 1).all()


@pytest.mark.parametrize("signal", [AGREEMENT, GRADIENT])
def test_the_order_of_rows_changes_nothing(some, models, signal) -> None:
    whole = generation_signals([signal], source(some, models))[signal]
    order = [5, 2, 7, 0, 5]
    found = generation_signals([signal], source([some[row] for row in order], models, max_tokens_per_batch=100))[signal]
    np.testing.assert_allclose(found, whole[order], rtol=1e-5)


def test_a_model_that_does_not_look_at_its_prompt_agrees_with_itself(make_model, tokenizer, some) -> None:
    deaf = make_model("llama").eval()
    with torch.no_grad():
        for layer in deaf.model.layers:
            layer.self_attn.o_proj.weight.zero_()
    found = generation_signals([AGREEMENT], source(some, Models(deaf, tokenizer)))[AGREEMENT]
    assert found.tolist() == [1.0] * len(some)  # every worded prompt ends in the same token


def test_the_last_turn_of_a_conversation_is_reworded(make_model, tokenizer, monkeypatch) -> None:
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}bot:"
    turns = ({"role": "user", "content": "def"}, {"role": "assistant", "content": "x"},
             {"role": "user", "content": "add two numbers"})  # fmt: skip
    row = Row("\n".join(turn["content"] for turn in turns), "y", None, turns)
    asked = []
    write = continue_prompts
    monkeypatch.setattr(generation, "continue_prompts", lambda m, t, batch: asked.extend(batch) or write(m, t, batch))
    generation_signals([AGREEMENT], source([row], Models(make_model("llama"), tokenizer), template="chat"))
    assert [tokenizer.decode(prompt.ids) for prompt in asked] == [
        f"user: def\nassistant: x\nuser: {reword('add two numbers', variant, 0)}\nbot:" for variant in range(3)
    ]


def test_sampled_gradients_are_those_of_the_samples(some, models, tokenizer) -> None:
    found = generation_signals([GRADIENT], source(some, models))[GRADIENT]
    expected = []
    for row in some:
        ids = np.asarray(tokenizer(f"Q: {row.prompt} A:").input_ids, dtype=np.int32)
        prompts = [Prompt(ids, 6, (0, generation._number(ids), sample)) for sample in range(2)]
        answers = [continue_prompts(models.model, tokenizer, [one], temperature=1.0)[0] for one in prompts]
        assert answers[0].tolist() != answers[1].tolist()
        with reader(models.model, models.way) as ready:
            expected.append(head_gradient_lengths(ready, [Segment(ids, answer) for answer in answers]).mean())
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_sample_that_ends_at_once_has_the_gradient_of_its_end(make_model, tokenizer, some) -> None:
    """A model that always ends the text, surely: an answer of one token, and nothing to learn from it."""
    silent = make_model("llama", tie_word_embeddings=False).eval()
    silent.lm_head = torch.nn.Linear(32, 320, bias=True)
    with torch.no_grad():
        silent.lm_head.bias[1] = 100.0
    found = generation_signals([AGREEMENT, GRADIENT], source(some, Models(silent, tokenizer)))
    np.testing.assert_allclose(found[GRADIENT], 0, atol=1e-4)
    assert found[AGREEMENT].tolist() == [1.0] * len(some)  # of empty texts


def test_rows_without_prompt_or_room_are_nan_and_told(models, some, caplog) -> None:
    given = [some[0], Row("", "x"), Row("x y " * 60, "x"), some[1]]
    with caplog.at_level(logging.WARNING, "hf_select"):
        found = generation_signals([AGREEMENT, GRADIENT], source(given, models, max_length=100))
    for values in found.values():
        assert np.isnan(values).tolist() == [False, True, True, False]
    assert "1 of 4 rows have no prompt that could be answered" in caplog.text
    assert "1 of 4 prompts leave no room for an answer in max_length=100" in caplog.text
    nothing = generation_signals([AGREEMENT], source([Row("", "x")], models))
    assert np.isnan(nothing[AGREEMENT]).tolist() == [True]


def test_answers_end_where_the_models_positions_end(make_model, tokenizer, monkeypatch) -> None:
    gpt2 = Models(make_model("gpt2").eval(), tokenizer)  # learned positions: one token more would fail
    row = Row("x y " * 10, "y")
    asked = []
    write = continue_prompts
    monkeypatch.setattr(generation, "continue_prompts", lambda m, t, batch: asked.extend(batch) or write(m, t, batch))
    found = generation_signals([AGREEMENT], source([row], gpt2, template="plain", max_new_tokens=120))[AGREEMENT]
    assert np.isfinite(found).all()
    n_new = {prompt.max_new_tokens for prompt in asked}
    assert n_new == {128 - max(len(prompt.ids) for prompt in asked)}  # the same for all wordings
    assert 0 < n_new.pop() < 120


def test_finished_passes_are_read_from_the_store(models, some, tmp_path, monkeypatch) -> None:
    wanted = [AGREEMENT, GRADIENT]
    first = generation_signals(wanted, source(some, models, cache_dir=tmp_path))
    assert len(list(tmp_path.iterdir())) == 2
    with monkeypatch.context() as patch:
        patch.setattr(generation, "continue_prompts", None)
        again = generation_signals(wanted, source(some, models, cache_dir=tmp_path))
    assert [again[signal].tobytes() for signal in wanted] == [first[signal].tobytes() for signal in wanted]
    for other in ({"seed": 1}, {"max_new_tokens": 5}, {"template": "plain"}):
        generation_signals([GRADIENT], source(some, models, cache_dir=tmp_path, **other))
    generation_signals([generation_agreement(3, "edit", "first")], source(some, models, cache_dir=tmp_path))
    generation_signals([sampled_gradient_length(1)], source(some, models, cache_dir=tmp_path))
    assert len(list(tmp_path.iterdir())) == 7


@pytest.mark.parametrize("signal", [AGREEMENT, GRADIENT])
def test_a_batch_that_does_not_fit_is_halved(models, some, monkeypatch, caplog, signal) -> None:
    whole = generation_signals([signal], source(some, models))[signal]
    sizes = []

    def with_little_memory(model, tokenizer, batch, **kwargs):
        sizes.append(len(batch))
        if len(batch) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return continue_prompts(model, tokenizer, batch, **kwargs)

    monkeypatch.setattr(generation, "continue_prompts", with_little_memory)
    with caplog.at_level(logging.WARNING, "hf_select"):
        found = generation_signals([signal], source(some, models))[signal]
    np.testing.assert_allclose(found, whole, rtol=1e-5)
    assert max(sizes) > 6 >= min(sizes)
    assert caplog.text.count("read in halves") == 1


def test_a_model_of_nan_stops_in_the_first_batch(make_model, tokenizer, some) -> None:
    broken = make_model("llama")
    models = Models(broken, tokenizer)
    models.way  # noqa: B018 (found while the model was whole)
    with torch.no_grad():
        broken.lm_head.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="no finite gradient"):
        generation_signals([GRADIENT], source(some, models))


@pytest.mark.parametrize(
    ("signal", "error", "message"),
    [
        (generation_agreement(1, "edit", "all"), ConfigError, "n_variants=1 has no two answers"),
        (generation_agreement(2, "bleu", "all"), UnknownNameError, "Unknown similarity 'bleu'"),
        (generation_agreement(2, "edit", "last"), UnknownNameError, "Unknown pairs 'last'"),
        (sampled_gradient_length(0), ConfigError, "n_samples=0"),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_is_written(models, some, monkeypatch, signal, error, message):
    monkeypatch.setattr(generation, "continue_prompts", None)
    with pytest.raises(error, match=message):
        generation_signals([signal], source(some, models))


@pytest.mark.data
def test_a_real_model_agrees_with_itself_on_what_it_knows(shared_data) -> None:
    """stories260K, whose tokenizer puts a token before every text: what generates is the model's own ``generate``."""
    models = Models(str(shared_data / "weights" / "stories260K" / "hf"))
    stories = ["Once upon a time, there was a little girl named Lily.", "One day, a big dog saw a ball."]
    given = source([Row(story, "") for story in stories], models, template="plain", max_new_tokens=12)
    found = generation_signals([AGREEMENT, GRADIENT], given)
    values = []
    for story in stories:
        ids = [models.tokenizer(reword(story, variant, 0), return_tensors="pt").input_ids for variant in range(3)]
        written = [models.model.generate(one, max_new_tokens=12, do_sample=False)[0, one.shape[1] :] for one in ids]
        values.append(agreement(models.tokenizer.batch_decode(written, skip_special_tokens=True), edit_similarity))
    np.testing.assert_allclose(found[AGREEMENT], values)
    assert (found[GRADIENT] > 0).all()
