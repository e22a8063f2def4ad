"""Equal inputs have equal identities in every process; another input has another."""

import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from hf_select.errors import ModelError
from hf_select.signals.identity import (
    key_of,
    model_identity,
    model_origin,
    segments_hash,
    texts_hash,
    tokenizer_hash,
    weights_hash,
)
from hf_select.signals.plan import Segment


def test_weights(make_model) -> None:
    model, same, other = make_model("llama"), make_model("llama"), make_model("llama", seed=1)
    assert weights_hash(model) == weights_hash(same) != weights_hash(other)
    with torch.no_grad():
        same.model.norm.weight[0] += 1e-7
    assert weights_hash(model) != weights_hash(same)
    assert weights_hash(copy.deepcopy(model).bfloat16()) != weights_hash(model)
    rounded = make_model("llama")
    rounded.model.rotary_emb.inv_freq += 1e-3  # no checkpoint holds this buffer
    assert weights_hash(rounded) != weights_hash(model)
    with torch.device("meta"):
        empty = torch.nn.Linear(2, 2)
    with pytest.raises(ModelError, match="not whole in this process"):
        weights_hash(empty)
    for name, mark in (("weight", "ds_id"), ("_fsdp_wrapped_module", None)):  # DeepSpeed ZeRO-3, FSDP1
        spread = torch.nn.Module()
        spread.register_parameter(name, torch.nn.Parameter(torch.ones(2)))
        if mark:
            setattr(spread.weight, mark, 0)
        with pytest.raises(ModelError, match="fsdp_version: 2"):
            weights_hash(spread)


def test_a_model_is_its_weights_and_configuration_but_not_its_name(make_model) -> None:
    model, other = make_model("llama"), make_model("llama")
    other.config._name_or_path, other.config._commit_hash = "somebody/model", "abc"
    other.config.use_cache = not model.config.use_cache
    assert model_identity(model) == model_identity(other)
    assert model_origin(other) == {"name_or_path": "somebody/model", "revision": "abc"}
    other.config.rms_norm_eps = 0.1
    assert model_identity(model) != model_identity(other)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_an_adapter_that_is_off_is_another_model(make_model) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(make_model("llama"), LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    on = model_identity(model)
    with model.disable_adapter():
        assert model_identity(model) != on
    assert model_identity(model) == on


def test_tokenizers(tokenizer) -> None:
    found = tokenizer_hash(tokenizer)
    same = copy.deepcopy(tokenizer)
    same(["a b", "c"], padding=True, truncation=True, max_length=2)
    assert tokenizer_hash(same) == found
    for change in (lambda t: t.add_tokens(["<new>"]), lambda t: setattr(t, "chat_template", "x"),
                   lambda t: setattr(t, "eos_token", "<pad>")):  # fmt: skip
        changed = copy.deepcopy(tokenizer)
        change(changed)
        assert tokenizer_hash(changed) != found


def test_borders_count() -> None:
    ids = np.arange(4, dtype=np.int32)
    assert segments_hash([Segment(ids[:1], ids[1:])]) != segments_hash([Segment(ids[:2], ids[2:])])
    assert texts_hash(["ab", "c"]) != texts_hash(["a", "bc"])
    assert texts_hash(["\ud800"]) != texts_hash([""])
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 1, "b": 3})


def test_another_process_finds_the_same_hashes(tokenizer) -> None:
    program = (
        "from hf_select.demo.model import train_tokenizer\n"
        "from hf_select.signals.identity import key_of, tokenizer_hash\n"
        "texts = ['def add(a, b):\\n    return a + b\\n', 'Write a function that adds two numbers.']\n"
        "print(tokenizer_hash(train_tokenizer(texts, 300)), key_of({'x': [1, 'é']}))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == [tokenizer_hash(tokenizer), key_of({"x": [1, "é"]})]
