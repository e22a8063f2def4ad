"""The engine: any batch size, any memory, any row order, the same losses."""

import logging

import numpy as np
import pytest
import torch

from hf_select.errors import ModelError, RowError
from hf_select.signals.engine import Request, run_model
from hf_select.signals.memory import is_out_of_memory
from hf_select.signals.plan import Segment
from hf_select.signals.reader import Reader
from hf_select.signals.statistic import STATISTICS


@pytest.fixture(autouse=True)
def no_collection(monkeypatch) -> None:
    """A full garbage collection takes a third of a second here and frees nothing that a test needs."""
    monkeypatch.setattr("hf_select.signals.memory.gc.collect", lambda: 0)


@pytest.fixture(scope="module")
def model(make_model):
    return make_model("llama")


@pytest.fixture(scope="module")
def expected(model, segments, plain_nll):
    return plain_nll(model, segments)


@pytest.mark.parametrize("max_tokens", [1, 13, 60, 10_000])
def test_losses_do_not_depend_on_the_batch_size(model, segments, expected, max_tokens) -> None:
    found = run_model(model, Request("forward", segments), max_tokens_per_batch=max_tokens)["nll"]
    np.testing.assert_allclose(found, expected, atol=1e-5)  # NaN for the empty segment and the one without target
    assert np.flatnonzero(np.isnan(found)).tolist() == [5, 9]


def test_states_change_nothing_about_losses(model, segments) -> None:
    alone = run_model(model, Request("forward", segments))["nll"]
    beside = run_model(model, Request("forward", segments, pools=("row", "prompt")))
    assert beside["nll"].tobytes() == alone.tobytes()
    states = run_model(model, Request("forward", segments, nll=False, pools=("row",)))
    assert set(states) == {"row"}
    assert states["row"].tobytes() == beside["row"].tobytes()
    assert np.isnan(states["row"]).all(axis=1).nonzero()[0].tolist() == [5]


TOKEN_STATISTICS = tuple(name for name in STATISTICS if name != "nll")


@pytest.mark.parametrize("max_tokens", [1, 13, 10_000])
def test_statistics_depend_neither_on_batches_nor_on_the_order_of_rows(model, segments, max_tokens) -> None:
    whole = run_model(model, Request("forward", segments, statistics=TOKEN_STATISTICS, pools=("weighted",)))
    order = np.random.default_rng(0).permutation(len(segments))
    shuffled = Request("forward", [segments[row] for row in order], statistics=TOKEN_STATISTICS, pools=("weighted",))
    found = run_model(model, shuffled, max_tokens_per_batch=max_tokens)
    assert len(found) == 8
    for name, values in whole.items():
        np.testing.assert_allclose(found[name], values[order], atol=2e-5, err_msg=name)


@pytest.mark.parametrize("name", TOKEN_STATISTICS)
def test_a_statistic_is_the_same_whatever_is_read_beside_it(model, segments, name) -> None:
    alone = run_model(model, Request("forward", segments, nll=False, statistics=(name,)))
    assert set(alone) == {name}
    beside = run_model(model, Request("forward", segments, statistics=TOKEN_STATISTICS, pools=("row", "weighted")))
    assert alone[name].tobytes() == beside[name].tobytes()
    assert np.isnan(alone[name]).reshape(len(segments), -1).all(axis=1).nonzero()[0].tolist() == [5, 9]
    losses = run_model(model, Request("forward", segments))["nll"]
    assert losses.tobytes() == beside["nll"].tobytes()


def test_statistics_of_nothing(model) -> None:
    empty = [Segment(np.empty(0, np.int32), np.empty(0, np.int32))] * 2
    found = run_model(model, Request("forward", empty, nll=False, statistics=("min_margin", "gradient_sketch")))
    assert {name: values.shape for name, values in found.items()} == {"min_margin": (2,), "gradient_sketch": (2, 1024)}
    assert all(np.isnan(values).all() for values in found.values())


def test_a_model_that_ignores_context_gives_the_same_loss_alone(make_model, segments) -> None:
    """A bag of words: logits depend on the last token alone; so after one shared token, the context says nothing."""
    bag = make_model("llama")
    with torch.no_grad():
        for layer in bag.model.layers:
            layer.self_attn.o_proj.weight.zero_()
    start = np.array([1], np.int32)
    after = [Segment(np.concatenate([s.context, start]), s.target) for s in segments if len(s.target)]
    alone = [Segment(start, s.target) for s in segments if len(s.target)]
    log_ifd = run_model(bag, Request("f", after))["nll"] - run_model(bag, Request("a", alone))["nll"]
    np.testing.assert_allclose(log_ifd, 0, atol=2e-6)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_a_batch_that_does_not_fit_is_halved(model, segments, expected, monkeypatch, caplog, error) -> None:
    sizes, read = [], Reader.read

    def with_little_memory(self, batch, **kwargs):
        n_tokens = sum(segment.n_tokens for segment in batch)
        sizes.append(n_tokens)
        if n_tokens > 45:
            raise error
        return read(self, batch, **kwargs)

    with caplog.at_level(logging.WARNING, "hf_select"), monkeypatch.context() as patch:
        patch.setattr(
            "hf_select.signals.engine.reader",
            _without_probe(model, with_little_memory),
        )
        found = run_model(model, Request("forward", segments), max_tokens_per_batch=200)["nll"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert max(sizes) > 45 >= min(sizes)
    assert caplog.text.count("read in halves") == 1


def _without_probe(model, read):
    """A reader whose ``read`` is replaced after it was chosen."""
    from contextlib import contextmanager

    from hf_select.signals.reader import reader

    @contextmanager
    def patched(_, way):
        with reader(model, way) as ready, pytest.MonkeyPatch.context() as patch:
            patch.setattr(Reader, "read", read)
            yield ready

    return patched


def test_a_row_that_never_fits_is_named(model, segments, monkeypatch) -> None:
    def without_memory(self, batch, **kwargs):
        raise MemoryError

    monkeypatch.setattr("hf_select.signals.engine.reader", _without_probe(model, without_memory))
    with pytest.raises(ModelError, match=r"Row \d+ with \d+ tokens does not fit"):
        run_model(model, Request("forward", segments))


def test_other_errors_pass_through(model, segments, monkeypatch) -> None:
    def broken(self, batch, **kwargs):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr("hf_select.signals.engine.reader", _without_probe(model, broken))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        run_model(model, Request("forward", segments))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_a_model_of_nan_stops_in_the_first_batch(make_model, segments) -> None:
    broken = make_model("llama")
    with torch.no_grad():
        broken.model.norm.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"no finite loss for any of the first \d+ rows \(row ids \["):
        run_model(broken, Request("forward", segments))


def test_a_model_of_nan_has_no_statistic_either(make_model, segments) -> None:
    broken = make_model("llama")
    with torch.no_grad():
        broken.model.norm.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="no finite min margin for any"):
        run_model(broken, Request("forward", segments, nll=False, statistics=("min_margin",)))


def test_one_row_of_nan_stays_nan_and_is_counted(make_model, segments, plain_nll, caplog) -> None:
    model = make_model("llama", tie_word_embeddings=False)
    with torch.no_grad():
        model.model.embed_tokens.weight[310] = float("nan")
    poisoned = list(segments)
    poisoned[3] = Segment(np.array([310], np.int32), segments[3].target)
    with caplog.at_level(logging.WARNING, "hf_select"):
        found = run_model(model, Request("forward", poisoned))["nll"]
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 5, 9]
    assert "1 rows have no finite loss (first: [3])" in caplog.text
    np.testing.assert_allclose(np.delete(found, 3), np.delete(plain_nll(model, segments), 3), atol=1e-5)


def test_states_need_a_token(model) -> None:
    empty = [Segment(np.empty(0, np.int32), np.empty(0, np.int32))] * 2
    assert np.isnan(run_model(model, Request("forward", empty))["nll"]).tolist() == [True, True]
    with pytest.raises(RowError, match="none of the 2 rows"):
        run_model(model, Request("forward", empty, pools=("row",)))
