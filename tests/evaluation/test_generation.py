import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from hf_select.errors import ConfigError, ModelError
from hf_select.evaluation.generation import generate

N_POSITIONS = 48
PROMPTS = ["a", "def f(x):", "abc abc abc", "x", "return 1 + 1"]


@pytest.fixture(scope="module")
def tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=backend)
    made.add_special_tokens({"eos_token": "<eos>"})
    return made


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 7,  # padded vocabulary
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=N_POSITIONS,
        initializer_range=0.4,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def complete(model, tokenizer, prompts=PROMPTS, **options):
    return generate(model, tokenizer, prompts, **({"max_new_tokens": 12, "progress": False} | options))


def one_by_one(model, tokenizer, prompt, n):
    """Greedy decoding by the definition, without batch, padding or cache."""
    ids = tokenizer(prompt)["input_ids"]
    new = []
    with torch.no_grad():
        while len(new) < n:
            logits = model(torch.tensor([ids + new]), use_cache=False).logits[0, -1, : len(tokenizer)]
            new.append(int(logits.argmax()))
            if new[-1] == tokenizer.eos_token_id:
                break
    return tokenizer.decode(new, skip_special_tokens=True)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_greedy_is_greedy_whatever_the_batch(model, tokenizer, batch_size):
    model.eval()
    expected = [[one_by_one(model, tokenizer, prompt, 12)] for prompt in PROMPTS]
    assert complete(model, tokenizer, batch_size=batch_size) == expected
    assert len({text for (text,) in expected}) > 1


def test_absolute_positions_too(tokenizer):
    torch.manual_seed(1)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=N_POSITIONS,
        initializer_range=0.4,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    gpt = GPT2LMHeadModel(config).eval()
    assert complete(gpt, tokenizer) == [[one_by_one(gpt, tokenizer, prompt, 12)] for prompt in PROMPTS]


def test_samples_depend_on_prompt_number_and_seed_alone(model, tokenizer):
    options = {"n_samples": 3, "temperature": 1.0, "top_p": 0.95}
    together = complete(model, tokenizer, batch_size=15, **options)
    assert complete(model, tokenizer, batch_size=4, **options) == together
    assert complete(model, tokenizer, PROMPTS[:2], batch_size=1, **options) == together[:2]
    assert complete(model, tokenizer, seed=1, **options) != together
    assert [len(texts) for texts in together] == [3] * 5
    assert all(len(set(texts)) == 3 for texts in together)


def test_texts_end_before_the_stop_string(model, tokenizer):
    (whole,) = complete(model, tokenizer, ["a"])[0]
    stop = whole[4:6]
    (text,) = complete(model, tokenizer, ["a"], stop=[stop, "never in there"])[0]
    assert text == whole[: whole.index(stop)]


def test_generation_ends_early_when_every_row_has_stopped(model, tokenizer, monkeypatch):
    (whole,) = complete(model, tokenizer, ["a"], max_new_tokens=40)[0]
    calls = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs))
    complete(model, tokenizer, ["a"], max_new_tokens=40, stop=[whole[3]])
    assert len(calls) <= 4


def test_the_model_is_left_as_it_was(model, tokenizer):
    model.train()
    model.model.layers[0].eval()
    model.config.use_cache = False
    modes = [module.training for module in model.modules()]
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    own = model.generation_config.to_dict()
    pad, side = tokenizer.pad_token_id, tokenizer.padding_side
    complete(model, tokenizer, n_samples=2, temperature=0.7)
    assert [module.training for module in model.modules()] == modes
    assert model.config.use_cache is False
    assert model.generation_config.to_dict() == own
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert np.random.get_state()[1].tolist() == numpy_state  # noqa: NPY002
    assert (tokenizer.pad_token_id, tokenizer.padding_side) == (pad, side)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_models_own_sampling_defaults_do_not_leak_in(model, tokenizer):
    expected = complete(model, tokenizer)
    model.generation_config.update(do_sample=True, temperature=3.0, top_k=2, top_p=0.1, repetition_penalty=9.0)
    assert complete(model, tokenizer) == expected


def test_memory_running_out_halves_the_batch(model, tokenizer, monkeypatch):
    expected = complete(model, tokenizer)
    sizes = []
    own = model.generate

    def limited(input_ids, **options):
        sizes.append(len(input_ids))
        if len(input_ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")
        return own(input_ids=input_ids, **options)

    monkeypatch.setattr(model, "generate", limited)
    assert complete(model, tokenizer) == expected
    assert sizes == [5, 3, 2, 1, 2]

    def broken(input_ids, **options):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(model, "generate", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        complete(model, tokenizer)


def test_a_row_ends_where_the_positions_of_the_model_end(model, tokenizer):
    long, fits = "x" * N_POSITIONS, "x" * (N_POSITIONS - 3)
    with pytest.warns(UserWarning, match=r"1 prompts \(first: 0\) fill all 48 positions"):
        texts = complete(model, tokenizer, [long, fits, "a"])
    assert texts[0] == [""]
    n_new = len(tokenizer(texts[1][0])["input_ids"]) if texts[1][0] else 0
    assert n_new <= 3
    assert texts[2] == complete(model, tokenizer, ["a"])[0]


class ShareOfTwo:
    """The part of an accelerator that is used, for one of two processes."""

    num_processes = 2

    def __init__(self, rank):
        self.process_index = rank

    def unwrap_model(self, model):
        return model


def test_two_processes_make_what_one_makes(model, tokenizer, monkeypatch):
    options = {"n_samples": 2, "temperature": 1.0, "batch_size": 3}
    expected = complete(model, tokenizer, **options)
    shares = []

    def remember(share):
        shares.append(share)
        return share

    monkeypatch.setattr("accelerate.utils.gather_object", remember)
    for rank in (0, 1):
        complete(model, tokenizer, accelerator=ShareOfTwo(rank), **options)
    assert [len(share) for share in shares] == [6, 4]
    gathered = dict(shares[0] + shares[1])
    assert [[gathered[prompt, sample] for sample in range(2)] for prompt in range(5)] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"max_new_tokens": 0}, "max_new_tokens=0"),
        ({"temperature": -1.0}, "temperature=-1"),
        ({"top_p": 0.0}, "top_p=0"),
        ({"n_samples": 2}, "would all be equal"),
    ],
)
def test_refusals(model, tokenizer, options, message):
    with pytest.raises(ConfigError, match=message):
        complete(model, tokenizer, **options)


def test_an_empty_prompt_is_an_error_and_no_prompt_is_nothing(model, tokenizer):
    with pytest.raises(ModelError, match="Prompt 1 has no token"):
        complete(model, tokenizer, ["a", ""])
    assert complete(model, tokenizer, []) == []
