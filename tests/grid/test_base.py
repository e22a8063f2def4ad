"""The model before any training: fresh copies by seed, and a draft half its size."""

import pytest
import torch

from hf_select.errors import ConfigError, ModelError
from hf_select.experiment.run import Run
from hf_select.grid.base import halved, load_base
from hf_select.grid.data import load_data
from tests.grid.conftest import parse


@pytest.fixture(scope="module")
def base(encoder, rows_file, tmp_path_factory):
    arguments = parse("--model_name_or_path", str(encoder), "--dataset_name", str(rows_file))
    run = Run.open(tmp_path_factory.mktemp("run"), {}, resume=False, overwrite=True)
    return load_base(run, arguments, load_data(arguments))


def head(model):
    return model.classifier.out_proj.weight


def test_the_seed_draws_the_head_and_nothing_else(base):
    first, again, other = base.fresh(0), base.fresh(0), base.fresh(1)
    assert torch.equal(head(first), head(again))
    assert not torch.equal(head(first), head(other))
    assert torch.equal(first.get_input_embeddings().weight, other.get_input_embeddings().weight)
    assert first.config.num_labels == 2


def test_global_randomness_is_left_alone(base):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    base.fresh(0)
    base.draft(0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_draft_is_half_as_deep_and_wide_and_reads_the_same_texts(base):
    draft, model = base.draft(0), base.fresh(0)
    assert (draft.config.num_hidden_layers, draft.config.hidden_size) == (1, 8)
    assert draft.num_parameters() < model.num_parameters() / 2
    batch = base.tokenizer(["def f(xs):\n    return xs\n"], return_tensors="pt")
    assert draft(**batch).logits.shape == model(**batch).logits.shape == (1, 2)
    assert torch.equal(head(draft), head(base.draft(0)))


def test_grouped_query_attention_is_halved_too():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
        vocab_size=50, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    small = halved(config)
    assert (small.hidden_size, small.num_hidden_layers, small.num_key_value_heads, small.head_dim) == (16, 2, 1, 8)
    assert LlamaForCausalLM(small)(torch.tensor([[1, 2]])).logits.shape == (1, 2, 50)
    assert config.hidden_size == 32


def test_a_form_that_cannot_be_halved_is_refused():
    from transformers import RobertaConfig

    with pytest.raises(ConfigError, match="--draft_model_name_or_path"):
        halved(RobertaConfig(num_attention_heads=3, hidden_size=9))


def test_models_that_do_not_fit_are_refused(tmp_path, encoder, rows_file):
    run = Run.open(tmp_path, {}, resume=False, overwrite=True)
    for words, error, message in (
        (("--model_name_or_path", "no/such"), ModelError, "No tokenizer can be loaded from 'no/such'"),
        (("--model_name_or_path", str(encoder), "--use_peft"), ConfigError, "use_peft serves --task causal_lm"),
        ((), ModelError, "name an encoder for your rows"),
    ):
        arguments = parse("--dataset_name", str(rows_file), *words)
        with pytest.raises(error, match=message):
            load_base(run, arguments, load_data(arguments))
