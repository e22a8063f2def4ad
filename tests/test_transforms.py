"""The verbs inside ``datasets``: same values, stable fingerprints, and refusals instead of wrong columns."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import dill
import numpy as np
import pytest
import torch
from datasets import Dataset
from datasets.fingerprint import Hasher

from hf_select.columns import with_columns
from hf_select.demo.model import build_model, train_tokenizer
from hf_select.errors import ConfigError, MissingSignalError, RowError
from hf_select.extract import extract
from hf_select.methods import make
from hf_select.selection import Selection
from hf_select.signals.keys import ANSWER_ALONE_NLL, EMBEDDING, RESPONSE_NLL, TEXT_LENGTH
from hf_select.signals.table import Signals
from hf_select.transforms import KeepTransform, ScoreTransform, SignalTransform


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["def add(a, b): return a + b"], 300)


@pytest.fixture(scope="module")
def model(tokenizer):
    return build_model(tokenizer, hidden=32, max_length=128)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    rows = [{"prompt": f"add {n}", "completion": f"return {n} + x" * (n % 3)} for n in range(12)]
    return Dataset.from_list(rows)


def test_signals_by_map_are_those_of_extract(dataset, model, tokenizer) -> None:
    needs = [RESPONSE_NLL, EMBEDDING, TEXT_LENGTH]
    mapped = dataset.map(SignalTransform(needs, model=model, tokenizer=tokenizer), batched=True, batch_size=5)
    extracted = extract(dataset, needs, model=model, tokenizer=tokenizer, cache_dir=False, progress=False)
    found, expected = (Signals.from_dataset(columns, needs) for columns in (mapped, extracted))
    for signal in needs:
        np.testing.assert_allclose(found[signal], expected[signal], atol=1e-5)


def test_a_batch_without_any_response_is_no_error(dataset, model, tokenizer) -> None:
    transform = SignalTransform([RESPONSE_NLL], model=model, tokenizer=tokenizer)
    mapped = dataset.map(transform, batched=True, batch_size=1)
    assert np.isnan(mapped["signal_response_nll"][:]).nonzero()[0].tolist() == [0, 3, 6, 9]


def test_scores_by_map(dataset) -> None:
    given, alone = np.array([1.0, 2.0, np.nan]), np.array([2.0, 1.0, 1.0])
    scored = with_columns(dataset.select(range(3)), {RESPONSE_NLL: given, ANSWER_ALONE_NLL: alone})
    mapped = scored.map(ScoreTransform("ifd"), batched=True)
    np.testing.assert_allclose(mapped["score_ifd"][:], [-1.0, 1.0, np.nan])
    with pytest.raises(ConfigError, match="'cdas' judges rows together"):
        ScoreTransform("cdas")
    with pytest.raises(MissingSignalError, match="signal_answer_alone_nll"):
        ScoreTransform("ifd")({"signal_response_nll": [1.0]})


def test_picked_rows_by_filter(dataset) -> None:
    keep = KeepTransform(Selection(np.array([7, 2]), np.array([1.0, 0.5]), len(dataset)))
    assert dataset.filter(keep, with_indices=True)["prompt"][:] == ["add 2", "add 7"]
    assert dataset.filter(keep, with_indices=True, batched=True, batch_size=5)["prompt"][:] == ["add 2", "add 7"]
    assert keep({}, 2) is True
    assert keep({}, [0, 2]) == [False, True]
    with pytest.raises(RowError, match="outside the 12 rows"):
        keep({}, 12)


def test_what_needs_all_rows_is_refused() -> None:
    with pytest.raises(ConfigError, match="looks at all rows at once"):
        SignalTransform([EMBEDDING], embedder="tfidf")


def test_fingerprints_follow_every_input(model, tokenizer) -> None:
    def fingerprint(**changes) -> str:
        given = {"signals": [RESPONSE_NLL, TEXT_LENGTH], "model": model, "tokenizer": tokenizer, **changes}
        return Hasher.hash(SignalTransform(given.pop("signals"), **given))

    base = fingerprint()
    assert fingerprint(signals=[TEXT_LENGTH, RESPONSE_NLL]) == base
    assert fingerprint(model=copy.deepcopy(model)) == base
    other_model, other_tokenizer = copy.deepcopy(model), copy.deepcopy(tokenizer)
    with torch.no_grad():
        other_model.model.norm.weight[0] += 0.5
    other_tokenizer.add_tokens(["<new>"])
    changes = [
        {"model": other_model}, {"model": build_model(other_tokenizer, hidden=32), "tokenizer": other_tokenizer},
        {"template": "plain"}, {"max_length": 64}, {"signals": [RESPONSE_NLL]}, {"columns": {"prompt": "p"}},
        {"score_eos": True},
    ]  # fmt: skip
    assert len({base, *(fingerprint(**change) for change in changes)}) == len(changes) + 1


def test_a_changed_weight_is_seen_by_a_transform_that_was_used(model, tokenizer, dataset) -> None:
    trained = copy.deepcopy(model)
    transform = SignalTransform([RESPONSE_NLL], model=trained, tokenizer=tokenizer)
    before = Hasher.hash(transform)
    transform(dataset[:])
    assert Hasher.hash(transform) == before
    with torch.no_grad():
        trained.model.norm.weight[0] += 0.5
    assert Hasher.hash(transform) != before


def test_methods_and_selections_have_fingerprints() -> None:
    assert Hasher.hash(ScoreTransform("ifd")) == Hasher.hash(ScoreTransform(make("ifd")))
    assert Hasher.hash(ScoreTransform("ifd")) != Hasher.hash(ScoreTransform(make("ifd", max_ifd=0.9)))
    picks = [Selection(np.array(rows), np.zeros(len(rows)), 9) for rows in ([1, 2], [2, 1], [1, 3])]
    hashes = [Hasher.hash(KeepTransform(selection)) for selection in picks]
    assert hashes[0] == hashes[1] != hashes[2]


def test_an_object_does_not_travel_but_a_path_does(model, tokenizer, dataset, tmp_path) -> None:
    travelled = dill.loads(dill.dumps(SignalTransform([RESPONSE_NLL], model=model, tokenizer=tokenizer)))
    with pytest.raises(ConfigError, match="model and the tokenizer of this transform were objects in another process"):
        travelled(dataset[:])
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    by_path = SignalTransform([RESPONSE_NLL], model=tmp_path, template="plain")
    arrived = dill.loads(dill.dumps(by_path))
    expected = by_path(dataset[:])["signal_response_nll"]
    assert arrived(dataset[:])["signal_response_nll"].tobytes() == expected.tobytes()
    assert Hasher.hash(arrived) == Hasher.hash(by_path)
    kept = dill.loads(dill.dumps(KeepTransform(Selection(np.array([1]), np.zeros(1), 3))))
    assert kept({}, [0, 1, 2]) == [False, True, False]
    assert dill.loads(dill.dumps(ScoreTransform("loss")))({"signal_response_nll": [2.0]}) == {"score_loss": [2.0]}


CACHED = """
import sys
import numpy as np
from datasets import load_from_disk
from hf_select.selection import Selection
from hf_select.signals.keys import RESPONSE_NLL, TEXT_LENGTH
from hf_select.transforms import KeepTransform, ScoreTransform, SignalTransform

folder = sys.argv[1]
dataset = load_from_disk(f"{folder}/rows")
mapped = dataset.map(SignalTransform({RESPONSE_NLL, TEXT_LENGTH}, model=f"{folder}/model"), batched=True)
scored = mapped.map(ScoreTransform("loss"), batched=True)
kept = scored.filter(KeepTransform(Selection(np.array([4, 1]), np.zeros(2), len(dataset))), with_indices=True)
print(mapped._fingerprint, scored._fingerprint, kept._fingerprint)
print(*sorted(file["filename"] for step in (mapped, scored, kept) for file in step.cache_files))
"""


@pytest.mark.slow
def test_another_process_finds_the_cached_result(model, tokenizer, dataset, tmp_path) -> None:
    dataset.save_to_disk(str(tmp_path / "rows"))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    outputs, listings = [], []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-c", CACHED, str(tmp_path)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        outputs.append(done.stdout)
        listings.append({path: path.stat().st_mtime_ns for path in (tmp_path / "rows").glob("cache-*")})
    assert outputs[0] == outputs[1]
    assert listings[0] == listings[1]  # nothing was written the second time
    assert len(listings[0]) == 3
