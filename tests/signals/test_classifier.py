"""The classifier pass: what transformers says of each text alone, whatever the batch, the order and the memory."""

import logging

import numpy as np
import pytest
import torch

from hf_select.errors import ModelError, RowError
from hf_select.rows import Row, RowFormat
from hf_select.signals.classifier import classifier_signals
from hf_select.signals.classifier_reader import ClassifierReader
from hf_select.signals.keys import (
    CLASS_PROBABILITIES,
    EMBEDDING,
    EXPECTED_GRADIENT_LENGTH,
    PENULTIMATE_STATE,
)
from hf_select.signals.models import Models
from hf_select.signals.source import Options, Source

ALL = (CLASS_PROBABILITIES, PENULTIMATE_STATE, EXPECTED_GRADIENT_LENGTH, EMBEDDING)
FAMILIES = ("roberta", "bert", "distilbert", "gpt2", "llama", "qwen2")
LAST_LAYER = {"roberta": "classifier.out_proj", "bert": "classifier", "distilbert": "classifier"}


def source(rows, model, tokenizer, **options) -> Source:
    options = {"progress": False, "cache_dir": False, **options}
    return Source(rows, RowFormat("classification"), Models(model, tokenizer), Options(**options))


@pytest.fixture(scope="module")
def texts() -> list[Row]:
    """30 texts of uneven lengths; text 4 is empty, text 11 has white space alone."""
    rng = np.random.default_rng(2)
    words = ["def", "return", "if", "else", "for", "in", "range", "list", "sum", "add", "x", "y", "z", "\n"]
    rows = [Row(" ".join(rng.choice(words, rng.integers(1, 16))), "", int(rng.integers(3))) for _ in range(30)]
    rows[4], rows[11] = Row("", ""), Row(" \n", "")
    return rows


def one_by_one(model, tokenizer, rows, last_layer):
    """Probabilities and states as transformers gives them for a batch of one, without padding."""
    inputs = []
    handle = model.get_submodule(last_layer).register_forward_hook(lambda layer, args, output: inputs.append(args[0]))
    probabilities, states = [], []
    for row in rows:
        with torch.no_grad():
            ids = torch.tensor([tokenizer(row.prompt)["input_ids"]])
            logits = model(input_ids=ids).logits[0]
        probabilities.append(logits.softmax(-1).numpy())
        states.append(inputs[-1][0].numpy() if inputs[-1].ndim == 2 else inputs[-1][0, -1].numpy())
    handle.remove()
    return np.stack(probabilities), np.stack(states)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_read_as_transformers_reads_it(family, make_classifier, tokenizer, texts) -> None:
    model = make_classifier(family)
    found = classifier_signals(ALL, source(texts, model, tokenizer, max_tokens_per_batch=90))
    there = [row_id for row_id, row in enumerate(texts) if row.prompt.strip()]
    last_layer = LAST_LAYER.get(family, "score")
    probabilities, states = one_by_one(model, tokenizer, [texts[row] for row in there], last_layer)
    assert len(there) == 28
    np.testing.assert_allclose(found[CLASS_PROBABILITIES][there], probabilities, atol=1e-5)
    np.testing.assert_allclose(found[PENULTIMATE_STATE][there], states, atol=2e-5)
    unit = states / np.linalg.norm(states, axis=1, keepdims=True)
    np.testing.assert_allclose(found[EMBEDDING][there], unit, atol=1e-5)
    assert np.ptp(probabilities, axis=0).max() > 0.1  # rows differ
    for signal in ALL:
        assert np.isnan(found[signal][[4, 11]]).all()
        assert np.isfinite(found[signal][there]).all()


@pytest.mark.parametrize("family", ["roberta", "llama"])
def test_the_gradient_length_is_that_of_autograd(family, make_classifier, tokenizer, texts) -> None:
    model = make_classifier(family)
    found = classifier_signals([EXPECTED_GRADIENT_LENGTH], source(texts[:3], model, tokenizer))
    layer = model.get_submodule(LAST_LAYER.get(family, "score"))
    for row, value in zip(texts[:3], found[EXPECTED_GRADIENT_LENGTH], strict=True):
        log_p = model(input_ids=torch.tensor([tokenizer(row.prompt)["input_ids"]])).logits[0].log_softmax(-1)
        expected = 0.0
        for label in range(3):
            gradient = torch.autograd.grad(-log_p[label], list(layer.parameters()), retain_graph=True)
            expected += float(log_p[label].detach().exp() * torch.cat([part.flatten() for part in gradient]).norm())
        assert value == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("max_tokens", [1, 60, 10_000])
def test_neither_batch_nor_order_matters(max_tokens, make_classifier, tokenizer, texts) -> None:
    model = make_classifier("bert")
    whole = classifier_signals(ALL, source(texts, model, tokenizer))
    order = np.random.default_rng(0).permutation(len(texts))
    shuffled = source([texts[row] for row in order], model, tokenizer, max_tokens_per_batch=max_tokens)
    found = classifier_signals(ALL, shuffled)
    for signal in ALL:
        np.testing.assert_allclose(found[signal], whole[signal][order], atol=2e-5)


def test_a_value_does_not_depend_on_what_else_was_asked(make_classifier, tokenizer, texts) -> None:
    model = make_classifier("gpt2")
    beside = classifier_signals(ALL, source(texts, model, tokenizer))
    for signal in ALL:
        alone = classifier_signals([signal], source(texts, model, tokenizer))
        assert set(alone) == {signal}
        assert alone[signal].tobytes() == beside[signal].tobytes()


def test_a_sigmoid_head_has_two_classes(make_classifier, tokenizer, texts) -> None:
    model = make_classifier("bert", num_labels=1)
    found = classifier_signals(ALL, source(texts[:3], model, tokenizer))
    p = found[CLASS_PROBABILITIES]
    with torch.no_grad():
        logit = model(input_ids=torch.tensor([tokenizer(texts[0].prompt)["input_ids"]])).logits
    assert p.shape == (3, 2)
    assert p[0, 1] == pytest.approx(float(logit.sigmoid()), abs=1e-6)
    norms = np.sqrt(np.square(found[PENULTIMATE_STATE]).sum(1) + 1)
    np.testing.assert_allclose(found[EXPECTED_GRADIENT_LENGTH], 2 * p[:, 0] * p[:, 1] * norms, rtol=1e-5)


@pytest.mark.parametrize("family", ["roberta", "llama"])
def test_long_texts_are_cut_counted_and_told(family, make_classifier, tokenizer, caplog) -> None:
    long = "add x y z " * 80
    rows = [Row(long, ""), Row("add", ""), Row(long + "other end", "")]
    model = make_classifier(family)
    limit = 129 if family == "roberta" else 130  # RoBERTa leaves out the positions up to that of its padding token
    with caplog.at_level(logging.WARNING, "hf_select"):
        found = classifier_signals([CLASS_PROBABILITIES], source(rows, model, tokenizer))[CLASS_PROBABILITIES]
    assert f"2 of 3 texts are longer than max_length={limit} tokens" in caplog.text
    assert found[0].tolist() == pytest.approx(found[2].tolist())
    ids = torch.tensor([tokenizer(long)["input_ids"][:limit]])
    with torch.no_grad():
        assert found[0].tolist() == pytest.approx(model(input_ids=ids).logits[0].softmax(-1).tolist(), abs=1e-5)


def test_a_row_is_its_prompt_and_its_response(make_classifier, tokenizer) -> None:
    model = make_classifier()
    rows = [Row("add x", "return y"), Row("add x\nreturn y", ""), Row("", "add x\nreturn y")]
    found = classifier_signals([CLASS_PROBABILITIES], source(rows, model, tokenizer))[CLASS_PROBABILITIES]
    np.testing.assert_allclose(found[1:], found[[0, 0]], rtol=1e-6)


def test_the_model_comes_back_as_it_was(make_classifier, tokenizer, texts) -> None:
    model = make_classifier("llama")
    model.train()
    model.model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()
    classifier_signals(ALL, source(texts, model, tokenizer))
    assert [module.training for module in model.modules()] == modes
    assert model.config.use_cache is True
    assert model.config.problem_type is None
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not any(layer._forward_hooks for layer in model.modules())


def test_a_batch_that_does_not_fit_is_halved(make_classifier, tokenizer, texts, monkeypatch, caplog) -> None:
    model = make_classifier()
    expected = classifier_signals(ALL, source(texts, model, tokenizer))
    read, sizes = ClassifierReader.read, []

    def with_little_memory(self, batch, **kwargs):
        sizes.append(len(batch))
        if len(batch) > 3:
            raise MemoryError
        return read(self, batch, **kwargs)

    monkeypatch.setattr(ClassifierReader, "read", with_little_memory)
    monkeypatch.setattr("hf_select.signals.memory.gc.collect", lambda: 0)
    with caplog.at_level(logging.WARNING, "hf_select"):
        found = classifier_signals(ALL, source(texts, model, tokenizer))
    assert max(sizes) > 3 >= min(sizes)
    assert caplog.text.count("read in halves") == 1
    for signal in ALL:
        np.testing.assert_allclose(found[signal], expected[signal], atol=2e-5)


def test_finished_shards_are_read_from_the_store(make_classifier, tokenizer, texts, tmp_path, monkeypatch) -> None:
    model = make_classifier()
    first = classifier_signals(ALL, source(texts, model, tokenizer, cache_dir=tmp_path))
    monkeypatch.setattr(ClassifierReader, "outputs", lambda *_: pytest.fail("a text was read again"))
    again = classifier_signals(ALL, source(texts, model, tokenizer, cache_dir=tmp_path))
    assert all(again[signal].tobytes() == first[signal].tobytes() for signal in ALL)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("change", ["weights", "tokenizer", "row", "max_length", "batch", "states"])
def test_another_input_is_never_taken_from_the_store(change, make_classifier, tokenizer, texts, tmp_path) -> None:
    import copy

    model, wanted = make_classifier(), [CLASS_PROBABILITIES]
    classifier_signals(wanted, source(texts, model, tokenizer, cache_dir=tmp_path))
    options = {"max_length": {"max_length": 127}, "batch": {"max_tokens_per_batch": 50}}
    if change == "weights":
        with torch.no_grad():
            model.classifier.out_proj.bias[0] += 0.1
    if change == "tokenizer":
        tokenizer = copy.deepcopy(tokenizer)
        tokenizer.add_tokens(["<new>"])
    if change == "row":
        texts = [Row("another", ""), *texts[1:]]
    if change == "states":
        wanted = [PENULTIMATE_STATE]
    classifier_signals(wanted, source(texts, model, tokenizer, cache_dir=tmp_path, **options.get(change, {})))
    assert len(list(tmp_path.iterdir())) == 2


def test_what_cannot_be_read_is_refused(make_classifier, make_model, tokenizer, texts) -> None:
    def refusal(model, rows=texts) -> str:
        with pytest.raises((ModelError, RowError)) as caught:
            classifier_signals([CLASS_PROBABILITIES], source(rows, model, tokenizer))
        return str(caught.value)

    assert "has no padding token" in refusal(make_classifier("llama", pad_token_id=None))
    assert "was made for regression" in refusal(make_classifier(num_labels=1, problem_type="regression"))
    assert "multi_label_classification" in refusal(make_classifier(problem_type="multi_label_classification"))
    assert "give a model of AutoModelForSequenceClassification" in refusal(make_model("llama"))
    assert "sequence classifier of transformers" in refusal(torch.nn.Linear(2, 2))
    assert "none of the 2 rows has a text" in refusal(make_classifier(), [Row("", ""), Row(" ", "")])
    broken = make_classifier("bert")
    with torch.no_grad():
        broken.classifier.weight.fill_(float("nan"))
    assert "no finite probabilities for any of the first" in refusal(broken)


def test_one_row_of_nan_stays_nan_and_is_counted(make_classifier, tokenizer, caplog) -> None:
    model = make_classifier("bert")
    rows = [Row("add x", ""), Row("return Ω", ""), Row("sum y", "")]
    poison = next(iter(set(tokenizer("Ω")["input_ids"]) - set(tokenizer("add x return sum y")["input_ids"])))
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[poison] = float("nan")
    with caplog.at_level(logging.WARNING, "hf_select"):
        found = classifier_signals(ALL, source(rows, model, tokenizer))
    assert "classifier pass: 1 rows have no finite probabilities" in caplog.text
    for signal in (CLASS_PROBABILITIES, EXPECTED_GRADIENT_LENGTH, EMBEDDING):
        assert np.isnan(found[signal].reshape(3, -1)).any(1).tolist() == [False, True, False]


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft reads the old name
def test_a_classifier_with_adapters(make_classifier, tokenizer, texts) -> None:
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(TaskType.SEQ_CLS, r=2, target_modules=["query"], init_lora_weights=False)
    base = make_classifier()
    plain = classifier_signals(ALL, source(texts, base, tokenizer))
    model = get_peft_model(base, config)
    with torch.no_grad():
        model.base_model.model.classifier.modules_to_save["default"].out_proj.bias += 1.0
    found = classifier_signals(ALL, source(texts, model, tokenizer))
    probabilities, states = one_by_one(
        model, tokenizer, texts[:3], "base_model.model.classifier.modules_to_save.default.out_proj"
    )
    np.testing.assert_allclose(found[CLASS_PROBABILITIES][:3], probabilities, atol=1e-5)
    np.testing.assert_allclose(found[PENULTIMATE_STATE][:3], states, atol=1e-5)
    assert np.nanmax(np.abs(found[PENULTIMATE_STATE] - plain[PENULTIMATE_STATE])) > 1e-3


def test_half_precision(make_classifier, tokenizer, texts) -> None:
    model = make_classifier("bert")
    exact = classifier_signals(ALL, source(texts, model, tokenizer))
    found = classifier_signals(ALL, source(texts, model.bfloat16(), tokenizer))
    assert found[CLASS_PROBABILITIES].dtype == found[PENULTIMATE_STATE].dtype == np.float32
    np.testing.assert_allclose(found[CLASS_PROBABILITIES], exact[CLASS_PROBABILITIES], atol=0.05)
    np.testing.assert_allclose(np.nansum(found[CLASS_PROBABILITIES], axis=1)[:3], 1, atol=1e-6)


@pytest.mark.data
@pytest.mark.slow
def test_a_real_classifier_of_vulnerabilities(shared_data) -> None:
    """CodeBERT distilled on Devign: it knows its training data better than chance."""
    import gzip
    import json

    name = str(shared_data / "weights" / "compressor-3MB-codebert-devign" / "hf")
    with gzip.open(shared_data / "small" / "devign_1500.jsonl.gz", "rt") as lines:
        raw = [json.loads(line) for line in lines][::12]
    rows = [Row(" ".join(row["func"].split()), "", int(row["target"])) for row in raw]
    reads = Source(
        rows, RowFormat("classification"), Models(name), Options(max_length=400, cache_dir=False, progress=False)
    )
    assert reads.models.n_positions == 512
    found = classifier_signals(ALL, reads)
    labels = np.asarray([row.label for row in rows])
    assert np.mean(found[CLASS_PROBABILITIES].argmax(1) == labels) > 0.55
    assert found[PENULTIMATE_STATE].shape == (125, 96)
    assert np.isfinite(found[EXPECTED_GRADIENT_LENGTH]).all()
