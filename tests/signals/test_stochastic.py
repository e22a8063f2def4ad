"""The stochastic pass of a classifier: shared masks, adapters and checkpoints, and models that are not stochastic."""

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, ModelError, TaskError
from hf_select.rows import Row, RowFormat
from hf_select.signals.classifier import classifier_signals
from hf_select.signals.classifier_reader import ClassifierReader
from hf_select.signals.dropout import SharedMasks
from hf_select.signals.keys import CLASS_PROBABILITIES, stochastic_probabilities, token_mutual_information
from hf_select.signals.models import Companions, Models
from hf_select.signals.source import Options, Source
from hf_select.signals.stochastic import stochastic_signals


@pytest.fixture(scope="module")
def texts() -> list[Row]:
    """16 texts of uneven lengths; text 4 is empty."""
    rng = np.random.default_rng(2)
    words = ["def", "return", "if", "else", "for", "in", "range", "list", "sum", "add", "x", "y", "z"]
    rows = [Row(" ".join(rng.choice(words, rng.integers(1, 16))), "") for _ in range(16)]
    rows[4] = Row("", "")
    return rows


def source(rows, model, tokenizer, ensemble=(), **options) -> Source:
    options = {"progress": False, "cache_dir": False, **options}
    models = Models(model, tokenizer, companions=Companions(ensemble=tuple(ensemble)))
    return Source(rows, RowFormat("classification"), models, Options(**options))


def read(n_samples, *given, **options) -> np.ndarray:
    signal = stochastic_probabilities(n_samples)
    return stochastic_signals([signal], source(*given, **options))[signal]


@pytest.mark.parametrize("family", ["roberta", "gpt2"])
def test_each_sample_is_one_model(family, make_classifier, tokenizer, texts) -> None:
    """Sample k gives what the model gives under the masks of sample k, one text at a time and without padding."""
    model = make_classifier(family)
    found = read(3, texts, model, tokenizer, seed=5)
    assert found.shape == (16, 3, 3)
    assert np.isnan(found).all((1, 2)).nonzero()[0].tolist() == [4]
    for sample in range(3):
        with SharedMasks(model, 5, sample), torch.no_grad():
            for row in (0, 9):
                logits = model(input_ids=torch.tensor([tokenizer(texts[row].prompt)["input_ids"]])).logits[0]
                assert found[row, sample].tolist() == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)
    assert np.nanmax(found.std(1)) > 0.01
    assert np.nanmax(np.abs(found - read(3, texts, model, tokenizer, seed=6))) > 0.01


@pytest.mark.parametrize("max_tokens", [1, 70])
def test_neither_batch_nor_order_nor_number_of_samples_matters(max_tokens, make_classifier, tokenizer, texts) -> None:
    model = make_classifier()
    whole = read(4, texts, model, tokenizer)
    order = np.random.default_rng(0).permutation(16)
    torch.manual_seed(max_tokens)  # the global random state has no say
    found = read(2, [texts[row] for row in order], model, tokenizer, max_tokens_per_batch=max_tokens)
    np.testing.assert_allclose(found, whole[order, :2], atol=2e-5)


def test_an_eager_attention_gives_the_same(make_classifier, tokenizer, texts) -> None:
    """Its dropout of probabilities is left off, as it is inside the kernels of the other one."""
    found = read(3, texts, make_classifier("bert"), tokenizer)
    eager = read(3, texts, make_classifier("bert", attn_implementation="eager"), tokenizer)
    np.testing.assert_allclose(found, eager, atol=2e-5)


def test_the_model_comes_back_as_it_was(make_classifier, tokenizer, texts) -> None:
    model = make_classifier()
    model.train()
    before = torch.get_rng_state()
    read(2, texts, model, tokenizer)
    assert all(module.training for module in model.modules())
    assert not any(layer._forward_hooks for layer in model.modules())
    assert torch.equal(torch.get_rng_state(), before)


def test_more_samples_build_on_fewer(make_classifier, tokenizer, texts, tmp_path, monkeypatch) -> None:
    model = make_classifier()
    two = read(2, texts, model, tokenizer, cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    n_read = []
    plain = ClassifierReader.read
    monkeypatch.setattr(ClassifierReader, "read", lambda self, s, **kw: n_read.append(len(s)) or plain(self, s, **kw))
    three = read(3, texts, model, tokenizer, cache_dir=tmp_path)
    assert sum(n_read) == 15
    assert three[:, :2].tobytes() == two.tobytes()
    read(3, texts, model, tokenizer, cache_dir=tmp_path, seed=1)
    assert sum(n_read) == 15 * 4


def test_nothing_stochastic_is_refused(make_classifier, tokenizer, texts) -> None:
    remedies = "companions.ensemble .* lora_dropout .* uq_icl"
    with pytest.raises(ModelError, match=f"no dropout of hidden states with p above 0.*{remedies}"):
        read(2, texts, make_classifier(hidden_dropout_prob=0.0), tokenizer)
    with pytest.raises(ModelError, match="LlamaForSequenceClassification has no dropout"):
        read(2, texts, make_classifier("llama"), tokenizer)
    idle = make_classifier("llama")
    idle.never_called = torch.nn.Dropout(0.5)
    with pytest.raises(ModelError, match=f"differ by at most 0.0e\\+00 in every logit of the first 8.*{remedies}"):
        read(2, texts, idle, tokenizer)
    with pytest.raises(ConfigError, match="n_samples=1: one sample"):
        read(1, texts, make_classifier(), tokenizer)


def test_a_signal_of_the_other_kind_of_model_is_refused(make_classifier, make_model, tokenizer, texts) -> None:
    with pytest.raises(TaskError, match="task='classification'"):
        stochastic_signals([token_mutual_information(2)], source(texts, make_classifier(), tokenizer))
    with pytest.raises(TaskError, match="task='causal_lm'"):
        stochastic_signals([stochastic_probabilities(2)], source(texts, make_model("gpt2"), tokenizer))


def test_models_as_an_ensemble(make_classifier, tokenizer, texts, tmp_path) -> None:
    first, second = make_classifier(seed=1), make_classifier("llama", seed=2)
    second.save_pretrained(tmp_path / "second")
    main = make_classifier(seed=3)
    found = read(2, texts, main, tokenizer, [first, str(tmp_path / "second")], cache_dir=tmp_path / "store")
    for sample, model in enumerate([first, second]):
        expected = classifier_signals([CLASS_PROBABILITIES], source(texts, model, tokenizer))[CLASS_PROBABILITIES]
        np.testing.assert_allclose(found[:, sample], expected, atol=1e-6)
    with pytest.raises(ConfigError, match="has 2 members and n_samples=5; make the method with n_samples=2"):
        read(5, texts, main, tokenizer, [first, second])
    with pytest.raises(ModelError, match="differ by at most"):
        read(2, texts, main, tokenizer, [first, first])


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft reads the old name
def test_adapters_as_an_ensemble(make_classifier, tokenizer, texts, tmp_path) -> None:
    from peft import LoraConfig, TaskType, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(TaskType.SEQ_CLS, r=2, target_modules=["query"], init_lora_weights=False)
    model = get_peft_model(make_classifier(), config, adapter_name="one")
    model.add_adapter("two", config)
    trainable = [parameter.requires_grad for parameter in model.parameters()]
    found = read(2, texts, model, tokenizer, ["one", "two"], cache_dir=tmp_path)
    assert model.active_adapters == ["one"]
    assert [parameter.requires_grad for parameter in model.parameters()] == trainable
    assert np.nanmax(np.abs(found[:, 0] - found[:, 1])) > 1e-3
    for sample, name in enumerate(["one", "two"]):
        model.set_adapter(name)
        expected = classifier_signals([CLASS_PROBABILITIES], source(texts, model, tokenizer))[CLASS_PROBABILITIES]
        np.testing.assert_allclose(found[:, sample], expected, atol=1e-6)
    stored = read(2, texts, model, tokenizer, ["two", "one"], cache_dir=tmp_path)
    np.testing.assert_allclose(stored, found[:, ::-1], atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_dropout_of_an_adapter_makes_any_model_stochastic(make_classifier, tokenizer, texts) -> None:
    from peft import LoraConfig, TaskType, get_peft_model

    config = LoraConfig(
        TaskType.SEQ_CLS, r=4, lora_dropout=0.4, target_modules=["q_proj", "v_proj"], init_lora_weights=False
    )
    found = read(3, texts, get_peft_model(make_classifier("llama"), config), tokenizer)
    assert np.nanmax(found.std(1)) > 1e-3
