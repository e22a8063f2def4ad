"""Mutual information of next token and member, against whole distributions of transformers itself."""

import itertools

import numpy as np
import pytest
import torch

from hf_select.errors import ConfigError, ModelError
from hf_select.rows import Row, RowFormat
from hf_select.signals import token_information
from hf_select.signals.dropout import SharedMasks
from hf_select.signals.keys import token_mutual_information
from hf_select.signals.models import Companions, Models
from hf_select.signals.plan import Segment
from hf_select.signals.source import Options, Source
from hf_select.signals.statistic import mutual_information
from hf_select.signals.stochastic import stochastic_signals
from hf_select.signals.token_information import target_pieces


def source(rows, model, tokenizer, ensemble=(), **options) -> Source:
    options = {"progress": False, "cache_dir": False, "template": "plain", **options}
    models = Models(model, tokenizer, companions=Companions(ensemble=tuple(ensemble)))
    return Source(rows, RowFormat("completion"), models, Options(**options))


def read(n_samples, *given, **options) -> np.ndarray:
    signal = token_mutual_information(n_samples)
    return stochastic_signals([signal], source(*given, **options))[signal]


def expected(model, states, reads) -> list[float]:
    """The definition, one row at a time in float64, with every distribution at once."""
    found = []
    for context, target in reads.encoded.conditional():
        if not len(target):
            found.append(np.nan)
            continue
        ids = torch.tensor(np.concatenate([context, target])[None].astype(np.int64))
        members = []
        for state in states:
            with state, torch.no_grad():
                logits = model(input_ids=ids, use_cache=False).logits[0, len(context) - 1 : -1]
            members.append(logits.double().softmax(-1))
        p = torch.stack(members)
        information = torch.special.entr(p.mean(0)).sum(-1) - torch.special.entr(p).sum(-1).mean(0)
        found.append(float(information.mean()))
    return found


def test_golden_information() -> None:
    """Token 1: members that exclude one another; token 2: members that agree on nothing being known."""
    one = torch.tensor([[1.0, 0.0], [0.5, 0.5]]).log()
    two = torch.tensor([[0.0, 1.0], [0.5, 0.5]]).log()
    found = mutual_information([lambda: one, lambda: two])
    assert found.tolist() == pytest.approx([0.693147, 0.0], abs=1e-6)
    assert float(found.mean()) == pytest.approx(0.346574, abs=1e-6)


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_information_of_text(family, make_model, tokenizer, rows) -> None:
    """GPT-2 with its own dropout; Gemma 2, which caps its logits and so computes them itself, with a layer put in."""
    model = make_model(family).eval()
    if family == "gemma2":
        for layer in model.model.layers:
            layer.mlp = torch.nn.Sequential(layer.mlp, torch.nn.Dropout(0.2)).eval()
    reads = source(rows, model, tokenizer, seed=4)
    assert reads.models.way.applies_head == (family == "gpt2")
    found = read(3, rows, model, tokenizer, seed=4)
    wanted = expected(model, [SharedMasks(model, 4, sample) for sample in range(3)], reads)
    assert np.isnan(found).nonzero()[0].tolist() == [7]
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    assert np.nanmin(found) > 0.01
    assert np.nanmax(found) <= np.log(3)


@pytest.mark.parametrize("max_tokens", [1, 80])
def test_neither_batch_nor_order_matters(max_tokens, make_model, tokenizer, rows) -> None:
    model = make_model("gpt2")
    whole = read(2, rows, model, tokenizer)
    order = np.random.default_rng(0).permutation(len(rows))
    found = read(2, [rows[row] for row in order], model, tokenizer, max_tokens_per_batch=max_tokens)
    np.testing.assert_allclose(found, whole[order], atol=2e-6)


def test_logits_of_all_members_never_exist_at_once(make_model, tokenizer, rows, monkeypatch) -> None:
    model = make_model("gemma2")
    for layer in model.model.layers:
        layer.mlp = torch.nn.Sequential(layer.mlp, torch.nn.Dropout(0.2))
    whole = read(2, rows, model, tokenizer)
    sizes = []
    monkeypatch.setattr(token_information, "_MAX_LOGIT_BYTES", 2 * 320 * 4 * 5)
    plain = token_information.target_pieces
    monkeypatch.setattr(token_information, "target_pieces", lambda s, n: sizes.append(n) or plain(s, n))
    np.testing.assert_allclose(read(2, rows, model, tokenizer), whole, atol=2e-6)
    assert set(sizes) == {5}


@pytest.mark.parametrize("max_targets", [1, 3, 7, 100])
def test_pieces_hold_every_target_once_after_what_comes_before_it(max_targets) -> None:
    ids = np.arange(100, dtype=np.int32)
    segments = [Segment(ids[:2], ids[2:7]), Segment(ids[10:11], ids[11:11]), Segment(ids[20:23], ids[23:35])]
    groups = list(target_pieces(segments, max_targets))
    sizes = [sum(len(piece.segment.target) for piece in group) for group in groups]
    assert sum(sizes) == 17
    assert all(size == max_targets for size in sizes[:-1])
    for row, segment in enumerate(segments):
        pieces = [piece.segment for group in groups for piece in group if piece.row == row]
        assert list(itertools.chain(*(piece.target.tolist() for piece in pieces))) == segment.target.tolist()
        for piece in pieces:
            whole = np.concatenate(piece).tolist()
            assert whole == np.concatenate(segment).tolist()[: len(whole)]


def test_members_of_an_ensemble(make_model, tokenizer, rows, tmp_path) -> None:
    from contextlib import nullcontext

    first, second = make_model("llama", seed=1).eval(), make_model("llama", seed=2).eval()
    reads = source(rows, first, tokenizer)
    found = read(2, rows, make_model("llama"), tokenizer, [first, second], cache_dir=tmp_path)
    one, two = (
        [p.double().log_softmax(-1).exp() for p in _logits(model, nullcontext(), reads)] for model in (first, second)
    )
    wanted = [
        float((torch.special.entr((a + b) / 2) - (torch.special.entr(a) + torch.special.entr(b)) / 2).sum(-1).mean())
        for a, b in zip(one, two, strict=True)
    ]
    np.testing.assert_allclose(found[~np.isnan(found)], wanted, atol=2e-6)
    again = read(2, rows, make_model("llama"), tokenizer, [first, second], cache_dir=tmp_path)
    assert again.tobytes() == found.tobytes()
    with pytest.raises(ConfigError, match="make the method with n_samples=2"):
        read(3, rows, first, tokenizer, [first, second])
    with pytest.raises(ModelError, match="differ by at most"):
        read(2, rows, first, tokenizer, [second, second])


def _logits(model, state, reads):
    for context, target in reads.encoded.conditional():
        if len(target):
            ids = torch.tensor(np.concatenate([context, target])[None].astype(np.int64))
            with state, torch.no_grad():
                yield model(input_ids=ids, use_cache=False).logits[0, len(context) - 1 : -1]


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft reads the old name
def test_adapters_of_the_head_too(make_model, tokenizer, rows) -> None:
    """The head is applied later than the body, and then too as the member whose turn it is."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj", "lm_head"], lora_dropout=0.3, init_lora_weights=False)
    model = get_peft_model(make_model("llama", tie_word_embeddings=False), config, adapter_name="one").eval()
    found = read(2, rows, model, tokenizer)
    wanted = expected(model, [SharedMasks(model, 0, sample) for sample in range(2)], source(rows, model, tokenizer))
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    model.add_adapter("two", config)
    pair = read(2, rows, model, tokenizer, ["one", "two"])
    members = []
    for name in ("one", "two"):
        model.set_adapter(name)
        model.eval()
        members.append(
            [p.double().softmax(-1) for p in _logits(model, torch.no_grad(), source(rows, model, tokenizer))]
        )
    wanted = [
        float((torch.special.entr((a + b) / 2) - (torch.special.entr(a) + torch.special.entr(b)) / 2).sum(-1).mean())
        for a, b in zip(*members, strict=True)
    ]
    np.testing.assert_allclose(pair[~np.isnan(pair)], wanted, atol=2e-6)


def test_a_model_without_dropout_is_refused(make_model, tokenizer, rows) -> None:
    with pytest.raises(ModelError, match="LlamaForCausalLM has no dropout of hidden states"):
        read(2, rows, make_model("llama"), tokenizer)
    idle = make_model("llama")
    idle.never_called = torch.nn.Dropout(0.5)
    with pytest.raises(ModelError, match=r"differ by at most 0\.0e\+00"):
        read(2, rows, idle, tokenizer)


def test_rows_without_response_have_none_and_cost_nothing(make_model, tokenizer, monkeypatch) -> None:
    monkeypatch.setattr(token_information, "run_reader", None)
    found = read(2, [Row("a", ""), Row("b", "")], make_model("gpt2"), tokenizer)
    assert np.isnan(found).tolist() == [True, True]


def test_the_store_knows_the_samples(make_model, tokenizer, rows, tmp_path) -> None:
    model = make_model("gpt2")
    first = read(2, rows, model, tokenizer, cache_dir=tmp_path)
    assert read(2, rows, model, tokenizer, cache_dir=tmp_path).tobytes() == first.tobytes()
    assert len(list(tmp_path.iterdir())) == 1
    read(2, rows, model, tokenizer, cache_dir=tmp_path, seed=1)
    read(3, rows, model, tokenizer, cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
