"""The warm-up: a model that learned the labelled rows, the same for any number of processes."""

import json
import subprocess

import pytest
import torch
from datasets import Dataset

from hf_select.demo.encoder import build_encoder, train_encoder_tokenizer
from hf_select.errors import ConfigError, ModelError, RowError
from hf_select.training.joint_loss import load_loss_head
from hf_select.training.warm_up_stage import warm_up
from tests.training.two_processes_warm_up import QUICK, launch_words, weights_of


@pytest.fixture(scope="module")
def rows():
    words = ["alpha beta", "gamma delta"]
    return Dataset.from_dict({"text": [f"{words[i % 2]} {i}" for i in range(32)], "label": [i % 2 for i in range(32)]})


@pytest.fixture(scope="module")
def encoder(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = train_encoder_tokenizer(rows["text"])
    build_encoder(tokenizer, hidden=16, layers=2, heads=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_classifier_learns_its_rows_and_is_saved_with_its_tokenizer(encoder, rows, tmp_path):
    before = warm_up(encoder, rows, max_steps=1, output_dir=tmp_path / "one", **QUICK)
    after = warm_up(encoder, rows, output_dir=tmp_path / "many", **{**QUICK, "num_train_epochs": 12})
    assert after.training_loss < before.training_loss
    assert not after.model.training
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "many").eval()
    batch = AutoTokenizer.from_pretrained(tmp_path / "many")(list(rows["text"]), return_tensors="pt", padding=True)
    with torch.no_grad():
        assert (model(**batch).logits.argmax(-1) == torch.tensor(rows["label"])).float().mean() > 0.9
        assert torch.equal(model(**batch).logits, after.model(**batch).logits)


def test_the_seed_decides_everything(encoder, rows):
    first, again, other = (warm_up(encoder, rows, seed=seed, max_steps=3, **QUICK) for seed in (0, 0, 1))
    assert weights_of(first.model) == weights_of(again.model)
    assert weights_of(first.model) != weights_of(other.model)


def test_checkpoints_are_even_and_hold_the_optimiser(encoder, rows, tmp_path):
    done = warm_up(encoder, rows, n_checkpoints=3, output_dir=tmp_path, **QUICK)  # 4 batches x 4 epochs = 16 steps
    assert [folder.name for folder in done.checkpoints] == ["checkpoint-5", "checkpoint-11", "checkpoint-16"]
    for folder in done.checkpoints:
        assert (folder / "optimizer.pt").is_file()
        assert (folder / "config.json").is_file()
        logged = json.loads((folder / "trainer_state.json").read_text())["log_history"]
        assert logged[-1]["learning_rate"] == 3e-3
    from hf_select.signals.gradients.checkpoint import learning_rate_weights

    assert learning_rate_weights(done.checkpoints) == pytest.approx([1 / 3] * 3)


def test_classes_that_the_labelled_rows_lack_can_be_named(encoder, rows):
    assert warm_up(encoder, rows, max_steps=1, **QUICK).model.config.num_labels == 2
    assert warm_up(encoder, rows, n_labels=5, max_steps=1, **QUICK).model.config.num_labels == 5


def test_a_loss_head_is_trained_beside_and_comes_back(encoder, rows, tmp_path):
    done = warm_up(encoder, rows, with_loss_head=True, output_dir=tmp_path, **QUICK)
    plain = warm_up(encoder, rows, **QUICK)
    assert weights_of(done.model) != weights_of(plain.model)  # the head shaped the states before the cut
    head = load_loss_head(tmp_path, done.model)
    assert weights_of(head) == weights_of(done.loss_head)
    assert plain.loss_head is None


def test_a_language_model_learns_answers_with_and_without_their_prompts(tiny_model, tokenizer, monkeypatch):
    rows = Dataset.from_dict({"prompt": ["ab", "cd", "ef"] * 4, "completion": ["x", "y", "z"] * 4})
    seen = []
    monkeypatch.setattr(
        "hf_select.training.lesson.warm_up_features",
        lambda features, words: seen.append(len(features)) or features,
    )
    model = tiny_model()
    done = warm_up(model, rows, tokenizer=_ByteTokenizer.make(), max_length=32, max_steps=2, **QUICK)
    assert done.model is model
    assert seen == [12]
    warm_up(
        model, rows, tokenizer=_ByteTokenizer.make(), max_length=32, max_steps=1, instruction_dropout=False, **QUICK
    )
    assert seen == [12]


class _ByteTokenizer:
    """A trained tokenizer of few tokens, for the tiny language model."""

    @staticmethod
    def make():
        from tokenizers import Tokenizer, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        words = Tokenizer(models.WordLevel({chr(97 + i): i + 2 for i in range(26)} | {"<e>": 1, "<u>": 0}, "<u>"))
        words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<e>", unk_token="<u>", pad_token="<e>")


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")  # peft asks for it
def test_adapters_alone_are_trained_where_they_are_asked_for(tiny_model, tmp_path):
    from peft import LoraConfig

    rows = Dataset.from_dict({"prompt": ["ab", "cd"] * 4, "completion": ["x", "y"] * 4})
    lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    words = _ByteTokenizer.make()
    done = warm_up(
        tiny_model(), rows, tokenizer=words, lora=lora, max_length=32, n_checkpoints=1, output_dir=tmp_path, **QUICK
    )
    assert (tmp_path / "adapter_model.safetensors").is_file()
    assert (done.checkpoints[0] / "adapter_config.json").is_file()
    trained = [name for name, parameter in done.model.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora" in name for name in trained)


def test_what_cannot_be_warmed_up_is_refused(encoder, rows, tmp_path):
    with pytest.raises(ConfigError, match="give output_dir="):
        warm_up(encoder, rows, n_checkpoints=2)
    with pytest.raises(ConfigError, match="warm up twice"):
        warm_up(encoder, rows, n_checkpoints=2, with_loss_head=True, output_dir=tmp_path)
    with pytest.raises(RowError, match="none came"):
        warm_up(encoder, rows.select([]))
    with pytest.raises(ModelError, match="No classifier can be loaded from 'no/such'"):
        warm_up("no/such", rows, tokenizer=encoder)
    with pytest.raises(ModelError, match=r"loss of the warm-up is (nan|inf)"):
        warm_up(encoder, rows, **{**QUICK, "learning_rate": 1e30, "max_grad_norm": 0.0})
    with pytest.raises(RowError, match="no text to classify"):
        warm_up(encoder, Dataset.from_dict({"text": ["a", " "], "label": [0, 1]}))


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(encoder, rows, tmp_path):
    rows.to_json(str(tmp_path / "rows.jsonl"))
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as many as each of two processes has: other numbers change the last bits
    alone = warm_up(encoder, rows, max_steps=6, **QUICK)
    torch.set_num_threads(n_threads)
    words = launch_words([encoder, str(tmp_path / "rows.jsonl"), str(tmp_path / "weights.json")])
    for attempt in range(2):  # gloo aborts at exit, rarely, and none of this library's doing
        done = subprocess.run(words.command, **words.settings, check=False, timeout=200)
        if done.returncode == 0 or "Signal 6" not in done.stderr or attempt:
            break
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "weights.json").read_text())
    assert told == {"n_processes": 2, "weights": weights_of(alone.model)}
