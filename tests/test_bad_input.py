"""Input that cannot be used: every case is told in one line of ours, before a model is loaded and a file is written.

One table: what is done, the error of ours, the builtin that users catch, and words the message must hold (the offending
value, the allowed ones, what to do).
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

from hf_select import KeepTransform, ScoreTransform, Selection, SignalTransform, extract, make, select, warm_up
from hf_select.errors import (
    BudgetError,
    ColumnError,
    ConfigError,
    HfSelectError,
    InvalidScoresError,
    MissingSignalError,
    ModelError,
    RowError,
    StaleStateError,
    TaskError,
    UnknownNameError,
)
from hf_select.signals.keys import EMBEDDING, TEXT_LENGTH

N_ROWS = 12
LONGEST_MESSAGE = 500


def pairs(n_rows: int = N_ROWS, **columns: Any) -> Dataset:
    """Rows with the two losses that ``ifd`` reads."""
    given: dict[str, Any] = {
        "prompt": [f"task {i}" for i in range(n_rows)],
        "completion": [f"return {i}" for i in range(n_rows)],
        "signal_response_nll": np.linspace(0.1, 1.0, n_rows).tolist(),
        "signal_answer_alone_nll": [2.0] * n_rows,
    }
    return Dataset.from_dict({**given, **columns})


@dataclass
class Place:
    """What the cases are done with: rows, a model on disk whose weights must stay there, and an empty folder."""

    model: Path
    strange: Path
    output: Path
    wide_tokenizer: Any
    padding: Any
    no_padding: Any
    rows: Dataset = field(default_factory=pairs)

    def pick(self, method: Any = "ifd", budget: Any = 3, dataset: Any = None, **options: Any) -> Selection:
        options = {"cache_dir": self.output / "store", "progress": False, **options}
        return select(self.rows if dataset is None else dataset, method, budget, **options)

    def read(self, dataset: Any) -> Dataset:
        return extract(dataset, {TEXT_LENGTH}, cache_dir=self.output / "store", progress=False)


def conversation(*turns: Any) -> Dataset:
    return Dataset.from_dict({"messages": [list(turns)]})


def not_utf8() -> Dataset:
    """A column of texts, as some other program wrote it, with bytes in it that are none."""
    offsets = pa.py_buffer(np.array([0, 2, 4], dtype=np.int32).tobytes())
    texts = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"ab\xff\xfe"))
    return Dataset(pa.table({"prompt": ["a", "b"], "completion": texts}))


def classes(*labels: Any) -> Dataset:
    return Dataset.from_dict({"text": ["int f();"] * len(labels), "label": list(labels)})


def mapped(batch: dict[str, list[Any]]) -> Any:
    """One batch, as ``map`` hands it out."""
    return SignalTransform({TEXT_LENGTH})(batch)


class Case(NamedTuple):
    do: Callable[[Place], object]
    error: type[HfSelectError]
    builtin: type[Exception]
    words: tuple[str, ...]


BUDGETS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "0": (0, ("budget=0", "at least 1", "rows (5000")),
    "negative": (-5, ("budget=-5", "at least 1")),
    "above 1": (1.5, ("budget=1.5", "(0, 1]", '"40%"')),
    "zero share": (0.0, ("budget=0.0", "(0, 1]")),
    "140 %": ("140%", ("budget='140%'", "(0, 1]")),
    "NaN": (float("nan"), ("budget=nan", "give rows")),
    "infinite": (float("inf"), ("budget=inf", "give rows")),
    "true": (True, ("budget=True", "give rows")),
    "none": (None, ("budget=None", "give rows")),
    "a list": ([3], ("budget=[3]", "give rows")),
    "a word": ("many", ("budget='many'", "give rows")),
    "30, not 0.3": (30, ("budget=30 rows", "pool of 12 rows", "or a fraction")),
}

CASES: dict[str, Case] = {
    **{
        f"budget: {name}": Case(lambda p, budget=budget: p.pick(budget=budget), BudgetError, ValueError, words)
        for name, (budget, words) in BUDGETS.items()
    },
    "budget: tokens of an unordered method": Case(
        lambda p: p.pick("k_means", "5k tokens"), BudgetError, ValueError, ("'k_means'", "5000 tokens", "Give rows")
    ),
    # what is no dataset
    "dataset: nothing": Case(lambda p: p.read(None), RowError, ValueError, ("NoneType", "Dataset.from_list")),
    "dataset: a list": Case(lambda p: p.pick(dataset=[{}]), RowError, ValueError, ("list came", "Dataset.from_list")),
    "dataset: splits": Case(
        lambda p: p.pick(dataset=DatasetDict(train=p.rows)), RowError, ValueError, ("'train'", "dataset['train']")
    ),
    "dataset: streamed": Case(
        lambda p: p.pick(dataset=p.rows.to_iterable_dataset()), RowError, ValueError, ("streamed", "without streaming")
    ),
    "dataset: streamed splits": Case(
        lambda p: p.pick(dataset=IterableDatasetDict(train=IterableDataset.from_generator(lambda: iter([{"a": 1}])))),
        RowError, ValueError, ("'train'", "dataset['train']"),
    ),
    "dataset: no rows": Case(
        lambda p: p.pick(dataset=p.rows.select([])), RowError, ValueError, ("no rows", "filters and gates")
    ),
    # columns
    "column: misspelt": Case(
        lambda p: p.pick("length", columns={"prompt": "prompt", "response": "completoin"}),
        ColumnError, KeyError, ("'completoin'", "'prompt', 'completion'", "Did you mean 'completion'", "columns={"),
    ),
    "column: none": Case(
        lambda p: p.pick("length", columns={"prompt": None, "response": "completion"}),
        ColumnError, KeyError, ("No column None", "'completion'"),
    ),
    "column: of no known form": Case(
        lambda p: p.read(Dataset.from_dict({"a": ["x"], "b": ["y"]})),
        RowError, ValueError, ("['a', 'b']", "'instruction'", "columns={"),
    ),
    "column: a role that is none": Case(
        lambda p: p.pick("length", columns={"reply": "completion"}),
        ConfigError, ValueError, ("['reply']", "'response'"),
    ),
    "column: a word for the mapping": Case(
        lambda p: p.pick("length", columns="prompt"), ConfigError, ValueError, ("columns='prompt'", "'response': ...")
    ),
    "column: no response": Case(
        lambda p: p.pick("length", columns={"prompt": "prompt"}), ConfigError, ValueError, ("no response", "'messages'")
    ),
    # rows
    "row: None": Case(
        lambda p: p.read(pairs(3, completion=["a", None, None])),
        RowError, ValueError, ("2 rows of column 'completion'", "(1, 'NoneType')", "dataset.filter"),
    ),
    "row: bytes": Case(
        lambda p: p.read(pairs(2, completion=[b"a", b"\xff\xfe"])),
        RowError, ValueError, ("2 rows of column 'completion'", "(0, 'bytes')", "decode"),
    ),
    "row: numbers": Case(
        lambda p: p.read(pairs(2, prompt=[1, 2])), RowError, ValueError, ("column 'prompt'", "(0, 'int')")
    ),
    "row: mixed types": Case(
        lambda p: mapped({"prompt": ["a", "b", "c"], "completion": ["x", 7, 1.5]}),
        RowError, ValueError, ("2 rows of column 'completion'", "(1, 'int'), (2, 'float')"),
    ),
    "row: half of a surrogate pair": Case(
        lambda p: mapped({"prompt": ["a", "b"], "completion": ["x", "\ud800"]}),
        RowError, ValueError, ("'completion'", "1 rows (first: [1])", "errors='replace'"),
    ),
    "row: bytes called text": Case(
        lambda p: p.read(not_utf8()), RowError, ValueError, ("'completion'", "not UTF-8", "0xff", "errors='replace'")
    ),
    "row: no conversation": Case(
        lambda p: mapped({"messages": [None]}), RowError, ValueError, ("Row 0", "list of messages", "NoneType")
    ),
    "row: messages of text": Case(
        lambda p: p.read(conversation("hello")), RowError, ValueError, ("Row 0", "'role' and 'content'", "'hello'")
    ),
    "row: a message without content": Case(
        lambda p: p.read(conversation({"role": "user", "content": None}, {"role": "assistant", "content": "x"})),
        RowError, ValueError, ("Row 0", "'content': 'NoneType'"),
    ),
    "row: a message of half a surrogate pair": Case(
        lambda p: mapped({"messages": [[{"role": "assistant", "content": "\udc00"}]]}),
        RowError, ValueError, ("Row 0", "surrogate", "errors='replace'"),
    ),
    "row: no answer": Case(
        lambda p: p.read(conversation({"role": "user", "content": "x"})),
        RowError, ValueError, ("Row 0", "the user's", "response must come last"),
    ),
    "row: ids that are missing": Case(
        lambda p: p.read(Dataset.from_dict({"input_ids": [[1], None], "labels": [[1], None]})),
        RowError, ValueError, ("Row 1", "None", "dataset.filter"),
    ),
    "row: several responses": Case(
        lambda p: p.read(Dataset.from_dict({"input_ids": [[1, 2, 3]], "labels": [[1, -100, 3]]})),
        RowError, ValueError, ("Row 0", "-100", "before they were packed"),
    ),
    "row: ids where text is read": Case(
        lambda p: p.read(Dataset.from_dict({"input_ids": [[1, 2]], "labels": [[-100, 2]]})),
        RowError, ValueError, ("token ids", "'text_length'", "give the rows before that"),
    ),
    "row: every response empty": Case(
        lambda p: p.pick(dataset=pairs(completion=[""] * N_ROWS), model=p.model),
        RowError, ValueError, ("None of the 12 rows has a response", "columns="),
    ),
    "row: every prompt too long": Case(
        lambda p: p.pick(model=p.model, max_length=2), RowError, ValueError, ("None of the 12", "max_length=2", "Raise")
    ),
    "label: words": Case(
        lambda p: p.read(classes("bug", "fine")), RowError, ValueError, ("2 labels", "'bug'", "class_encode_column")
    ),
    "label: missing": Case(
        lambda p: p.read(classes(1, None)), RowError, ValueError, ("1 labels", "(1, None)", "class_encode_column")
    ),
    "label: a share": Case(lambda p: p.read(classes(0.5)), RowError, ValueError, ("(0, 0.5)", "whole numbers")),
    # the pool
    "pool: no candidates": Case(
        lambda p: p.pick(candidates=[]), BudgetError, ValueError, ("pool is empty", "the gates")
    ),
    "pool: ids beyond the rows": Case(
        lambda p: p.pick(candidates=[0, 12]), RowError, ValueError, ("candidates", "0..11", "[12]")
    ),
    "pool: shares for ids": Case(
        lambda p: p.pick(candidates=[0.5]), RowError, ValueError, ("float64", "bool mask or a list of row ids")
    ),
    "pool: a mask of another length": Case(
        lambda p: p.pick(candidates=np.ones(5, dtype=bool)), RowError, ValueError, ("(5,)", "12 rows")
    ),
    "pool: ids below 0": Case(lambda p: p.pick(labelled=[-1]), RowError, ValueError, ("labelled", "0..11", "[-1]")),
    "pool: all in use already": Case(
        lambda p: p.pick(labelled=list(range(N_ROWS))),
        InvalidScoresError, ValueError, ("'ifd'", "none of the 12 rows", "labelled"),
    ),
    "pool: one class": Case(
        lambda p: warm_up(p.model, classes(0, 0), output_dir=p.output, tokenizer=p.padding),
        RowError, ValueError, ("All 2 rows have the label 0", "n_labels="),
    ),
    # scores
    "scores: all NaN": Case(
        lambda p: p.pick("loss", dataset=pairs(signal_response_nll=[float("nan")] * N_ROWS)),
        InvalidScoresError, ValueError, ("none of the 12 rows", "no finite score: 12", "NaN weights"),
    ),
    "scores: one NaN": Case(
        lambda p: p.pick(
            "loss", on_invalid="error", dataset=pairs(signal_response_nll=[float("nan")] + [0.5] * (N_ROWS - 1))
        ),
        InvalidScoresError, ValueError, ("1 rows", "first: [0]", "on_invalid='exclude'"),
    ),
    "scores: one infinite": Case(
        lambda p: p.pick(
            "loss", on_invalid="error", dataset=pairs(signal_response_nll=[0.5] * (N_ROWS - 1) + [float("inf")])
        ),
        InvalidScoresError, ValueError, ("1 rows", "first: [11]", "on_invalid='exclude'"),
    ),
    "scores: a column of words": Case(
        lambda p: p.pick("loss", dataset=pairs(signal_response_nll=["x"] * N_ROWS)),
        RowError, ValueError, ("'signal_response_nll'", "(N,) nats", "Remove the column"),
    ),
    "scores: a column of lists": Case(
        lambda p: p.pick("loss", dataset=pairs(signal_response_nll=[[0.1, 0.2]] * N_ROWS)),
        RowError, ValueError, ("'signal_response_nll'", "(12, 2)", "Remove the column"),
    ),
    "scores: an embedding of numbers": Case(
        lambda p: p.pick("core_set", dataset=pairs(signal_embedding=[0.5] * N_ROWS)),
        RowError, ValueError, ("'signal_embedding'", "(N, D)", "Remove the column"),
    ),
    "scores: embeddings of two widths": Case(
        lambda p: p.pick("core_set", dataset=pairs(2, signal_embedding=[[0.5], [0.5, 0.5]]), budget=1),
        RowError, ValueError, ("'signal_embedding'", "lists of one length", "{1, 2}"),
    ),
    # models
    "model: none": Case(
        lambda p: p.pick("perplexity", dataset=p.rows.remove_columns("signal_response_nll")),
        ConfigError, ValueError, ("'response_nll'", "model="),
    ),
    "model: no such": Case(
        lambda p: p.pick(model="no/such-model"), ModelError, ValueError, ("'no/such-model'", "Hub id", "folder")
    ),
    "model: no such tokenizer": Case(
        lambda p: p.pick("length", "5 tokens", tokenizer="no/such-one"),
        ModelError, ValueError, ("tokenizer 'no/such-one'", "Hub id"),
    ),
    "model: code of its own": Case(
        lambda p: p.pick(model=p.strange), ModelError, ValueError, ("auto_map", "never runs", "give the object")
    ),
    "model: another tokenizer": Case(
        lambda p: p.pick(model=p.model, tokenizer=p.wide_tokenizer),
        ModelError, ValueError, ("ids and the model embeds", "model's own tokenizer", "resize"),
    ),
    "model: no chat template": Case(
        lambda p: p.pick(model=p.model, template="chat"),
        ModelError, ValueError, ("chat template", "question", "tokenizer.chat_template"),
    ),
    "model: no padding token": Case(
        lambda p: warm_up(p.model, classes(0, 1), output_dir=p.output, tokenizer=p.no_padding),
        ModelError, ValueError, ("no pad token", "tokenizer.pad_token"),
    ),
    "model: of the other kind": Case(
        lambda p: p.pick(make("ifd"), model=p.model, task="classification"),
        TaskError, ValueError, ("answer_alone", "classification models do not have", "other kind of model"),
    ),
    "model: an embedder that embeds nothing": Case(
        lambda p: extract(p.rows, {EMBEDDING}, embedder=5, cache_dir=False),
        ConfigError, ValueError, ("embedder=int", "encode()", "'tfidf'"),
    ),
    "model: no embedder": Case(
        lambda p: p.pick("core_set"), ConfigError, ValueError, ("'embedding'", "embedder=", "'tfidf'")
    ),
    # stored state
    "state: of other rows": Case(
        lambda p: p.pick().apply(pairs(N_ROWS - 1)),
        StaleStateError, ValueError, ("12 rows", "dataset has 11", "select again"),
    ),
    "state: none": Case(
        lambda p: Selection.load(p.output / "none"), StaleStateError, ValueError, ("no finished", "select again")
    ),
    "state: row ids twice": Case(
        lambda p: Selection(np.array([1, 1]), np.ones(2), N_ROWS), RowError, ValueError, ("twice", "once")
    ),
    "state: row ids beyond the rows": Case(
        lambda p: Selection(np.array([12]), np.ones(1), N_ROWS), RowError, ValueError, ("[12]", "12 rows")
    ),
    # names and options
    "name: a method": Case(
        lambda p: p.pick("idf"), UnknownNameError, KeyError, ("'idf'", "Did you mean 'ifd'", "Available: ", "cdas")
    ),
    "name: no method": Case(lambda p: p.pick(5), ConfigError, ValueError, ("method=5", "make('cdas')")),
    "name: the class of a method": Case(
        lambda p: p.pick(type(make("ifd"))), ConfigError, ValueError, ("IFD", "not a method", "make('cdas')")
    ),
    "name: a field": Case(
        lambda p: make("ifd", max_idf=1), ConfigError, ValueError, ("'max_idf'", "Did you mean 'max_ifd'")
    ),
    "name: the value of a field": Case(
        lambda p: make("ifd", max_ifd=-1), ConfigError, ValueError, ("max_ifd=-1", "above 0")
    ),
    "name: an option": Case(
        lambda p: p.pick(max_lenght=5), ConfigError, ValueError, ("'max_lenght'", "Did you mean 'max_length'")
    ),
    "name: an option of a transform": Case(
        lambda p: SignalTransform({TEXT_LENGTH}, max_lenght=5),
        ConfigError, ValueError, ("'max_lenght'", "Did you mean 'max_length'"),
    ),
    "name: a task": Case(
        lambda p: p.pick(task="causal"), ConfigError, ValueError, ("'causal'", "causal_lm, classification")
    ),
    "name: a companion": Case(
        lambda p: p.pick(companions={"draft": "x"}), ConfigError, ValueError, ("'draft'", "Did you mean 'draft_model'")
    ),
    "name: companions of no form": Case(
        lambda p: p.pick(companions="gpt2"), ConfigError, ValueError, ("companions='gpt2'", "{'draft_model': ...}")
    ),
    "name: a template": Case(
        lambda p: p.pick(template="alpacca"), UnknownNameError, KeyError, ("'alpacca'", "Did you mean 'alpaca'")
    ),
    "name: a template with two places": Case(
        lambda p: p.pick(template="{prompt}{prompt}"), ConfigError, ValueError, ("more than once", "keep one")
    ),
    "name: a template that is no text": Case(
        lambda p: p.pick(template=5), ConfigError, ValueError, ("template=5", "question")
    ),
    "name: a signal": Case(
        lambda p: extract(p.rows, ["response_nll"], model=p.model),
        ConfigError, ValueError, ("'response_nll'", "method.needs", "hf_select.signals.keys"),
    ),
    "option: max_length=0": Case(lambda p: p.pick(max_length=0), ConfigError, ValueError, ("max_length=0", "least 1")),
    "option: max_length=10.5": Case(lambda p: p.pick(max_length=10.5), ConfigError, ValueError, ("max_length=10.5",)),
    "option: seed=-1": Case(lambda p: p.pick(seed=-1), ConfigError, ValueError, ("seed=-1", "at least 0")),
    "option: embed": Case(lambda p: p.pick(embed="all"), ConfigError, ValueError, ("embed='all'", "'prompt'")),
    "option: on_invalid": Case(
        lambda p: p.pick(on_invalid="drop"), ConfigError, ValueError, ("on_invalid='drop'", "'exclude' or 'error'")
    ),
    # reference rows
    "reference: none": Case(lambda p: p.pick("bm25"), ConfigError, ValueError, ("'bm25'", "reference=")),
    "reference: texts": Case(
        lambda p: p.pick("bm25", reference=["a"]), RowError, ValueError, ("list came", "Dataset.from_list")
    ),
    "reference: no rows": Case(
        lambda p: p.pick("bm25", reference=p.rows.select([])), RowError, ValueError, ("no rows", "Check the split")
    ),
    # callables of datasets
    "map: a set method": Case(
        lambda p: ScoreTransform("core_set"), ConfigError, ValueError, ("'core_set'", "judges rows together", "select(")
    ),
    "map: no signals": Case(
        lambda p: p.rows.remove_columns("signal_response_nll").map(ScoreTransform("ifd"), batched=True),
        MissingSignalError, KeyError, ("signal_response_nll", "run extract"),
    ),
    "map: row by row": Case(
        lambda p: p.rows.map(ScoreTransform("ifd")), ConfigError, ValueError, ("ScoreTransform", "batched=True")
    ),
    "map: an embedder of all rows": Case(
        lambda p: SignalTransform({EMBEDDING}, embedder="tfidf"), ConfigError, ValueError, ("'tfidf'", "extract(")
    ),
    "filter: no row ids": Case(
        lambda p: p.rows.filter(KeepTransform(p.pick())), ConfigError, ValueError, ("row id", "with_indices=True")
    ),
    "filter: other rows": Case(
        lambda p: pairs(30).filter(KeepTransform(p.pick()), with_indices=True),
        RowError, ValueError, ("12 rows that were selected from", "filter the dataset"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A small model, and the configuration of one that brings its own code."""
    from hf_select.demo import build_model, train_tokenizer

    folder = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer(["def f(): return 1"], 300)
    tokenizer.save_pretrained(folder / "model")
    build_model(tokenizer, 0, hidden=16, heads=2, layers=1, max_length=64).save_pretrained(folder / "model")
    (folder / "strange").mkdir()
    auto_map = {"AutoConfig": "strange.Config", "AutoModelForCausalLM": "strange.Model"}
    (folder / "strange" / "config.json").write_text(json.dumps({"model_type": "strange", "auto_map": auto_map}))
    (folder / "strange" / "strange.py").write_text("raise SystemExit('code of a repository was run')")
    return folder


@pytest.fixture
def place(folders, tmp_path, monkeypatch):
    """Everything at hand, in an empty folder; weights that are loaded fail the test."""
    from transformers import AutoTokenizer, PreTrainedModel

    tokenizers = [AutoTokenizer.from_pretrained(folders / "model", local_files_only=True) for _ in range(3)]
    tokenizers[0].add_tokens([f"<new {i}>" for i in range(100)])
    tokenizers[1].pad_token = tokenizers[1].eos_token
    tokenizers[2].pad_token = None
    monkeypatch.setattr(PreTrainedModel, "from_pretrained", lambda *_, **__: pytest.fail("a model was loaded"))
    monkeypatch.chdir(tmp_path)
    return Place(folders / "model", folders / "strange", tmp_path / "output", *tokenizers)


def test_the_catalogue_is_whole():
    assert len(CASES) >= 80
    assert {name.split(":")[0] for name in CASES} >= {"budget", "dataset", "row", "label", "pool", "scores", "model"}
    assert len({case.error for case in CASES.values()}) >= 10


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_told_before_anything_is_loaded_or_written(place, name, monkeypatch):
    case = CASES[name]
    with pytest.raises(HfSelectError) as refused:
        case.do(place)
    message = str(refused.value)
    assert type(refused.value) is case.error
    assert isinstance(refused.value, case.builtin)
    assert [words for words in case.words if words not in message] == [], message
    assert "\n" not in message
    assert len(message) <= LONGEST_MESSAGE
    assert [path for path in Path.cwd().rglob("*") if path.is_file()] == []


@pytest.fixture
def told(caplog, monkeypatch):
    """What the library logs."""
    monkeypatch.setattr(logging.getLogger("hf_select"), "propagate", True)
    return caplog


def test_a_row_without_a_score_is_never_picked_and_counted(place, told):
    for value in (float("nan"), float("inf"), float("-inf")):
        rows = pairs(signal_response_nll=[0.5, value] + [0.5] * (N_ROWS - 2))
        selection = place.pick("loss", N_ROWS - 1, dataset=rows)
        assert 1 not in selection.indices
        assert selection.provenance["excluded"] == {"no finite score": 1}
    assert "1 rows are not eligible: no finite score (first: [1])" in told.text


@pytest.mark.parametrize("method", ["loss", "ifd", "perplexity", "length"])
def test_equal_scores_go_to_the_lower_row_id(place, method):
    rows = pairs(completion=["same"] * N_ROWS, prompt=["same"] * N_ROWS, signal_response_nll=[0.5] * N_ROWS)
    assert place.pick(method, 4, dataset=rows).indices.tolist() == [0, 1, 2, 3]


def test_copies_are_reported_and_the_lower_row_id_goes_first(place, told):
    rows = Dataset.from_dict({"prompt": ["a", "b", "a", "c", "a"], "completion": ["xx", "y", "xx", "z", "xx"]})
    selection = place.pick("length", 3, dataset=rows)
    assert selection.indices.tolist() == [0, 2, 4]
    assert selection.provenance["read_with"]["n_copies"] == 2
    assert told.text.count("2 of 5 rows are copies of earlier ones (first: [2, 4])") == 1
    assert "DuplicateGate" in told.text


@pytest.mark.parametrize("method", ["k_means", "core_set"])
def test_one_point_for_all_rows_is_still_a_pool(place, method):
    rows = pairs(signal_embedding=[[0.6, 0.8]] * N_ROWS)
    assert len(set(place.pick(method, 5, dataset=rows).indices.tolist())) == 5


def test_one_cluster_leaves_the_quality_alone_and_says_so(place):
    rows = pairs(signal_embedding=[[0.6, 0.8]] * N_ROWS)
    with pytest.warns(UserWarning, match="only 1 embeddings differ; 1 clusters are made"):
        selection = place.pick("cdas", 5, dataset=rows)
    assert selection.indices.tolist() == place.pick("ifd", 5, dataset=rows).indices.tolist()


def test_one_empty_response_is_left_out_and_said(place, told):
    rows = pairs(signal_response_nll=[float("nan")] + [0.5] * (N_ROWS - 1), completion=[""] + ["x"] * (N_ROWS - 1))
    assert 0 not in place.pick("ifd", N_ROWS - 1, dataset=rows).indices
    assert "1 rows are not eligible" in told.text
