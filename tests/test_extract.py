"""The first verb: columns in row order, checks before anything is loaded, nothing read twice."""

import logging
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import Dataset

from hf_select.columns import check_dataset, with_columns
from hf_select.demo.model import build_model, train_tokenizer
from hf_select.errors import ConfigError, RowError
from hf_select.extract import extract
from hf_select.rows import RowFormat
from hf_select.signals.keys import (
    ANSWER_ALONE_NLL,
    EMBEDDING,
    HIDDEN_STATE,
    RESPONSE_NLL,
    RESPONSE_TOKENS,
    ROW_TOKENS,
    TEXT_LENGTH,
    Pass,
    Signal,
)
from hf_select.signals.table import Signals
from hf_select.templates import get_template
from hf_select.tokens import features, tokenize

ALL = (TEXT_LENGTH, ROW_TOKENS, EMBEDDING, RESPONSE_NLL, RESPONSE_TOKENS, HIDDEN_STATE, ANSWER_ALONE_NLL)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["def add(a, b): return a + b"], 300)


@pytest.fixture(scope="module")
def model(tokenizer):
    return build_model(tokenizer, hidden=32, max_length=128)


@pytest.fixture
def dataset() -> Dataset:
    rows = [
        {"prompt": f"add {n}" * (1 + n % 4), "completion": f"def f(x): return x + {n}\n" * (n % 3)} for n in range(20)
    ]
    return Dataset.from_list(rows)


def quiet(**options):
    return {"cache_dir": False, "progress": False, **options}


def test_every_signal_gets_its_column(dataset, model, tokenizer) -> None:
    extracted = extract(dataset, ALL, model=model, tokenizer=tokenizer, **quiet())
    assert extracted.column_names[:2] == dataset.column_names
    assert set(extracted.column_names[2:]) == {signal.column for signal in ALL}
    signals = Signals.from_dataset(extracted, ALL)
    assert signals[HIDDEN_STATE].shape == signals[EMBEDDING].shape == (20, 32)
    assert signals[RESPONSE_NLL].dtype == np.float64
    no_response = [n for n in range(20) if n % 3 == 0]
    assert np.isnan(signals[RESPONSE_NLL]).nonzero()[0].tolist() == no_response
    assert (signals[RESPONSE_TOKENS] == 0).nonzero()[0].tolist() == no_response
    assert signals[TEXT_LENGTH].tolist() == [len(row["prompt"] + row["completion"]) for row in dataset]
    assert extracted.remove_columns([signal.column for signal in ALL])[:] == dataset[:]


def test_rows_of_a_shuffled_view_keep_their_values(dataset, model, tokenizer) -> None:
    whole = Signals.from_dataset(extract(dataset, ALL, model=model, tokenizer=tokenizer, **quiet()), ALL)
    order = np.random.default_rng(0).permutation(20)[:13]
    view = dataset.select(order)
    part = Signals.from_dataset(extract(view, ALL, model=model, tokenizer=tokenizer, **quiet()), ALL)
    assert len(ALL) == 7
    for signal in ALL:
        np.testing.assert_allclose(part[signal], whole[signal][order], atol=1e-5)


def test_the_fingerprint_depends_on_rows_and_values_alone(dataset, model, tokenizer) -> None:
    first, again = (extract(dataset, [RESPONSE_NLL], model=model, tokenizer=tokenizer, **quiet()) for _ in range(2))
    other = extract(dataset, [RESPONSE_NLL], model=model, tokenizer=tokenizer, **quiet(template="plain"))
    assert first._fingerprint == again._fingerprint != other._fingerprint


def test_a_column_that_is_there_is_kept_only_without_a_model(dataset, model, tokenizer, monkeypatch) -> None:
    planted = with_columns(dataset, {RESPONSE_NLL: np.zeros(20), EMBEDDING: np.ones((20, 2), np.float32)})
    assert extract(planted, [RESPONSE_NLL, EMBEDDING]) is planted
    read = extract(planted, [RESPONSE_NLL, EMBEDDING], model=model, tokenizer=tokenizer, **quiet())
    signals = Signals.from_dataset(read, [RESPONSE_NLL, EMBEDDING])
    assert signals[RESPONSE_NLL][1] > 0
    assert signals[EMBEDDING].tolist() == [[1, 1]] * 20  # no embedder was given, so none replaces it
    again = extract(planted, [EMBEDDING], embedder="tfidf", **quiet())
    assert Signals.from_dataset(again, [EMBEDDING])[EMBEDDING].shape != (20, 2)


@pytest.mark.parametrize(
    ("signal", "given", "message"),
    [
        (RESPONSE_NLL, {}, r"'response_nll' is read in the forward pass: give model="),
        (ANSWER_ALONE_NLL, {"tokenizer": object()}, r"answer_alone pass: give model="),
        (HIDDEN_STATE, {"model": object()}, r"give tokenizer= \(the model came as an object\)"),
        (EMBEDDING, {}, r"embedding pass: give embedder= .* or model="),
        (ROW_TOKENS, {}, r"text pass: give tokenizer="),
        (Signal("odd", "(N,)", "", Pass.TEXT), {}, r"cannot read signal 'odd'; hf_select.signals.keys lists"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_loaded(dataset, signal, given, message) -> None:
    with pytest.raises(ConfigError, match=message):
        extract(dataset, [signal], **given)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda d: datasets.DatasetDict(train=d, test=d), r"splits came \('train', 'test'\)"),
        (lambda d: d.to_iterable_dataset(), "streamed"),
        (lambda d: d.select([]), "no rows"),
        (lambda d: d[:], "dict came"),
    ],
)
def test_what_is_no_split_is_refused(dataset, made, message) -> None:
    with pytest.raises(RowError, match=message):
        extract(made(dataset), [RESPONSE_NLL], model="never/loaded")
    check_dataset(dataset)


@pytest.mark.parametrize(
    "options", [{"max_length": 0}, {"max_length": True}, {"max_tokens_per_batch": 1.5}, {"embed": "question"}]
)
def test_options_are_checked_before_anything_is_loaded(dataset, options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        extract(dataset, [RESPONSE_NLL], model="never/loaded", **options)


def test_rows_without_what_is_read_are_refused(model, tokenizer) -> None:
    def refusal(rows, needs, **options) -> str:
        with pytest.raises((RowError, ConfigError)) as caught:
            extract(Dataset.from_list(rows), needs, model=model, tokenizer=tokenizer, **quiet(**options))
        return str(caught.value)

    classes = [{"text": "x + y", "label": 1}]
    assert "has a response (form 'classification')" in refusal(classes, [RESPONSE_NLL])
    pairs = [{"prompt": "", "completion": "x + y"}]
    assert "has a prompt to embed (form 'completion')" in refusal(pairs, [EMBEDDING])
    assert "fill max_length=3" in refusal(pairs, [ANSWER_ALONE_NLL], max_length=3)


def test_columns_are_named(tokenizer, model) -> None:
    odd = Dataset.from_dict({"q": ["add"], "a": ["x + y"]})
    with pytest.raises(RowError, match="Cannot tell prompt from response"):
        extract(odd, [TEXT_LENGTH])
    named = extract(odd, [TEXT_LENGTH, RESPONSE_NLL], model=model, tokenizer=tokenizer,
                    columns={"prompt": "q", "response": "a"}, **quiet())  # fmt: skip
    assert named["signal_text_length"][:] == [8]


def test_plain_text_is_scored_from_the_context_token(model, tokenizer) -> None:
    text = Dataset.from_dict({"text": ["def add(a, b): return a + b"]})
    signals = Signals.from_dataset(
        extract(text, [RESPONSE_NLL, ANSWER_ALONE_NLL], model=model, tokenizer=tokenizer, **quiet()),
        [RESPONSE_NLL, ANSWER_ALONE_NLL],
    )
    assert signals[RESPONSE_NLL] == pytest.approx(signals[ANSWER_ALONE_NLL], abs=1e-6)


def test_the_cost_is_told(dataset, model, tokenizer, caplog, tmp_path) -> None:
    with caplog.at_level(logging.INFO, "hf_select"):
        extract(dataset, [RESPONSE_NLL], model=model, tokenizer=tokenizer, cache_dir=tmp_path, progress=False)
    assert "forward pass: 20 rows, " in caplog.text
    assert "minutes on 1 processes" in caplog.text


KILLED = """
import os, sys
from pathlib import Path
from datasets import Dataset
from hf_select.demo.model import build_model, train_tokenizer
from hf_select.extract import extract
from hf_select.signals.keys import RESPONSE_NLL
from hf_select.signals.store import Store

stop_after = int(sys.argv[2])
write, written = Store.write, []
def write_and_die(self, shard, n_shards, arrays):
    write(self, shard, n_shards, arrays)
    written.append(shard)
    if len(written) == stop_after:
        os._exit(9)
Store.write = write_and_die
tokenizer = train_tokenizer(["def add(a, b): return a + b"], 300)
model = build_model(tokenizer, hidden=32, max_length=128)
code = "def f(x): return x + {}\\n"
rows = [{"prompt": f"add {n}" * (1 + n % 4), "completion": code.format(n) * (1 + n % 3)} for n in range(60)]
found = extract(Dataset.from_list(rows), [RESPONSE_NLL], model=model, tokenizer=tokenizer, cache_dir=sys.argv[1],
                max_tokens_per_batch=100, progress=False)
print(len(written), bytes(found.with_format("numpy")["signal_response_nll"][:].tobytes()).hex())
"""


@pytest.mark.slow
def test_a_killed_run_continues_where_it_stopped(tmp_path) -> None:
    script = tmp_path / "run.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script)]
    run = {"capture_output": True, "text": True, "cwd": Path(__file__).parents[1], "env": _environment()}
    whole = subprocess.run([*command, str(tmp_path / "whole"), "-1"], **run, check=True)
    n_shards, expected = whole.stdout.split()
    killed = subprocess.run([*command, str(tmp_path / "killed"), "5"], **run, check=False)
    assert killed.returncode == 9
    assert not list((tmp_path / "killed").rglob("manifest.json"))
    (shard, *_) = (tmp_path / "killed").rglob("shard-00002-*")
    shard.write_bytes(shard.read_bytes()[:-1])  # and one of its shards is torn
    resumed = subprocess.run([*command, str(tmp_path / "killed"), "-1"], **run, check=True)
    n_recomputed, found = resumed.stdout.split()
    assert int(n_recomputed) == int(n_shards) - 4
    assert found == expected
    assert len(list((tmp_path / "killed").rglob("manifest.json"))) == 1


def _environment() -> dict[str, str]:
    import os

    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


LAUNCHED = """
import sys
from accelerate import PartialState
from datasets import Dataset
from hf_select.demo.model import build_model, train_tokenizer
from hf_select.extract import extract
from hf_select.signals.keys import ANSWER_ALONE_NLL, HIDDEN_STATE, RESPONSE_NLL
from hf_select.signals.table import Signals
from hf_select.signals.shards import processes

tokenizer = train_tokenizer(["def add(a, b): return a + b"], 300)
model = build_model(tokenizer, hidden=32, max_length=128)
code = "def f(x): return x + {}\\n"
rows = [{"prompt": f"add {n}" * (1 + n % 4), "completion": code.format(n) * (1 + n % 3)} for n in range(51)]
needs = [RESPONSE_NLL, ANSWER_ALONE_NLL, HIDDEN_STATE]
found = extract(Dataset.from_list(rows), needs, model=model, tokenizer=tokenizer, max_tokens_per_batch=300,
                cache_dir=False, progress=False)
signals = Signals.from_dataset(found, needs)
state = processes()
with open(f"{sys.argv[1]}-{state.num_processes}-{state.process_index}", "wb") as file:
    for signal in needs:
        file.write(signals[signal].tobytes())
state.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path) -> None:
    script = tmp_path / "run.py"
    script.write_text(LAUNCHED)
    out = str(tmp_path / "values")
    subprocess.run([sys.executable, str(script), out], cwd=tmp_path, env=_environment(), check=True)
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    launch = [sys.executable, "-m", "accelerate.commands.launch", *options.split(), "--main_process_port", "0"]
    environment = {**_environment(), "ACCELERATE_USE_CPU": "true"}
    for attempt in range(2):  # gloo aborts at exit in about 1 launch of 65
        done = subprocess.run(
            [*launch, str(script), out], cwd=tmp_path, env=environment, check=False, capture_output=True
        )
        if done.returncode == 0:
            break
        print("relaunched", attempt, done.stderr.decode()[-2000:])
    files = sorted(path.name for path in tmp_path.glob("values-*"))
    assert files == ["values-1-0", "values-2-0", "values-2-1"]
    one, *two = ((tmp_path / name).read_bytes() for name in files)
    assert len(one) == 51 * 8 * 2 + 51 * 32 * 4
    assert two == [one, one]


def test_rows_that_came_as_token_ids_are_read_as_their_text_would_be(dataset, model, tokenizer) -> None:
    needs = {RESPONSE_NLL, ANSWER_ALONE_NLL, ROW_TOKENS, EMBEDDING}
    given = {"model": model, "tokenizer": tokenizer, "cache_dir": False, "progress": False}
    expected = extract(dataset, needs, **given)
    rows = tokenize(RowFormat.detect(dataset).read(dataset), tokenizer, get_template("question"), max_length=None)
    tokens = Dataset.from_list([dict(row) for row in features(rows)])
    found = extract(tokens, needs, **given)
    for signal in needs:
        np.testing.assert_allclose(found[signal.column], expected[signal.column], rtol=1e-5, atol=1e-6)
    with pytest.raises(RowError, match="'text_length' is read from text"):
        extract(tokens, {TEXT_LENGTH}, **given)
