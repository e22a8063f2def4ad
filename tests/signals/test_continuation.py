"""Continuations: what the model would write step by step, whatever else is in the batch, and it is left as it was."""

import numpy as np
import pytest
import torch

from hf_select.signals.continuation import Prompt, continue_prompts
from hf_select.training import PACKED_ATTENTION, packed_attention

N_IDS = 300  # of the tokenizer; the models embed 320


@pytest.fixture(scope="module")
def prompts() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(2, N_IDS, length).astype(np.int32) for length in (1, 4, 9, 17, 5, 2)]


def greedy(model, ids, max_new_tokens) -> list[int]:
    """One token after the other, without cache, batch or padding."""
    written: list[int] = []
    while len(written) < max_new_tokens and written[-1:] != [1]:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[*ids.tolist(), *written]]), use_cache=False).logits[0, -1]
        written.append(int(logits[:N_IDS].argmax()))
    return written


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_greedy_continuations_are_the_models_own(family, make_model, tokenizer, prompts) -> None:
    model = make_model(family).eval()
    limits = [7, 1, 3, 7, 5, 2]
    batch = [Prompt(ids, limit) for ids, limit in zip(prompts, limits, strict=True)]
    found = continue_prompts(model, tokenizer, batch)
    assert [ids.tolist() for ids in found] == [
        greedy(model, ids, limit) for ids, limit in zip(prompts, limits, strict=True)
    ]
    assert [len(ids) for ids in found] == limits  # none of them ends by itself here


def test_the_token_that_ends_a_text_is_its_last(make_model, tokenizer, prompts) -> None:
    model = make_model("llama").eval()
    second = greedy(model, prompts[2], 3)[1]
    model.generation_config.eos_token_id = [second, 1]  # as if that token ended a text
    found = continue_prompts(model, tokenizer, [Prompt(ids, 6) for ids in prompts])
    assert found[2].tolist() == greedy(model, prompts[2], 2)
    assert all(second not in ids[:-1] for ids in found)
    assert max(len(ids) for ids in found) == 6


def test_draws_depend_on_the_seed_of_a_row_alone(make_model, tokenizer, prompts) -> None:
    model = make_model("llama").eval()
    batch = [Prompt(ids, 6, (5, number)) for number, ids in enumerate(prompts)]
    together = continue_prompts(model, tokenizer, batch, temperature=1.0)
    alone = [continue_prompts(model, tokenizer, [prompt], temperature=1.0)[0] for prompt in batch]
    assert [ids.tolist() for ids in together] == [ids.tolist() for ids in alone]
    others = continue_prompts(model, tokenizer, [one._replace(seed=(6, *one.seed)) for one in batch], temperature=1.0)
    assert [ids.tolist() for ids in together] != [ids.tolist() for ids in others]
    assert all((ids < N_IDS).all() for ids in (*together, *others))  # never padding of the vocabulary


def test_draws_follow_the_models_distribution(make_model, tokenizer) -> None:
    """First tokens of 2000 draws: the empirical distribution is near the model's own."""
    model = make_model("llama").eval()
    ids = np.array([7, 30, 8], np.int32)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor(ids[None].astype(np.int64)), use_cache=False).logits[0, -1]
    probabilities = logits[:N_IDS].softmax(-1).double().numpy()
    drawn = continue_prompts(model, tokenizer, [Prompt(ids, 1, (0, draw)) for draw in range(2000)], temperature=1.0)
    counts = np.bincount([int(one[0]) for one in drawn], minlength=N_IDS)
    likely = probabilities > 0.005
    assert likely.sum() > 20
    deviations = (counts - 2000 * probabilities) / np.sqrt(2000 * probabilities * (1 - probabilities))
    assert np.abs(deviations[likely]).max() < 4.5


def test_the_model_comes_back_as_it_was(make_model, tokenizer, prompts) -> None:
    model = make_model("llama")
    model.train()
    model.model.layers[0].eval()
    model.config.use_cache = False
    modes = [module.training for module in model.modules()]
    random_state = torch.get_rng_state()
    with packed_attention(model):  # in the middle of packed training
        written = continue_prompts(model, tokenizer, [Prompt(prompts[1], 4, (0,))], temperature=1.0)
        assert model.config._attn_implementation == PACKED_ATTENTION
    assert len(written[0]) == 4
    assert [module.training for module in model.modules()] == modes
    assert model.config.use_cache is False
    assert torch.equal(torch.get_rng_state(), random_state)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft reads the old name
def test_a_model_with_adapters_writes_with_them(make_model, tokenizer, prompts) -> None:
    from peft import LoraConfig, get_peft_model

    base = make_model("llama").eval()
    before = [greedy(base, ids, 6) for ids in prompts]
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "o_proj"], init_lora_weights=False)).eval()
    found = continue_prompts(model, tokenizer, [Prompt(ids, 6) for ids in prompts])
    assert [ids.tolist() for ids in found] == [greedy(model, ids, 6) for ids in prompts] != before
