"""Input that cannot be used ends at once: exit status 2, one line on the standard error, no pass, no output."""

import json
import sys

import pytest
from datasets import Dataset, DatasetDict

from hf_select.cli.reading import Reading
from hf_select.methods import METHODS
from tests.cli.demanding import ALL, CausalAlone

IFD = ("--method", "ifd", "--budget", "10%")
RANDOM = ("--method", "random", "--budget", "10%")


@pytest.fixture
def refused(run, rows, tmp_path, monkeypatch):
    """Run a command that must be refused before it reads anything; give what it says."""

    def run_refused(command, *words, dataset=rows, output=tmp_path / "out"):
        monkeypatch.setattr(Reading, "of", lambda _: pytest.fail("long work began"))
        status, out, err = run(command, "--dataset_name", dataset, "--output_dir", output, *words)
        said = [line for line in err.splitlines() if "examples/s" not in line and line]
        assert (status, out, len(said)) == (2, "", 1), err
        assert not (tmp_path / "out" / "selection.json").exists()
        return said[0]

    return run_refused


SELECT = {
    "unknown method": (["--method", "cdsa", "--budget", "1%"], "UnknownNameError: Unknown method 'cdsa'. Did you"),
    "unknown argument": ([*RANDOM, "--max_lenght", "5"], "Unknown argument 'max_lenght'. Did you mean 'max_length'"),
    "abbreviated argument": ([*RANDOM, "--max_len", "5"], "Unknown argument 'max_len'. Did you mean 'max_length'"),
    "no method": (["--budget", "1%"], "ConfigError: The following arguments are required: --method. See 'hf-sele"),
    "no budget": (["--method", "random"], "required: --budget"),
    "budget that is none": (["--method", "random", "--budget", "many"], "BudgetError: budget='many' is not a budget"),
    "budget 0": (["--method", "random", "--budget", "0"], "BudgetError: budget=0 is not a whole number"),
    "budget above 100 %": (["--method", "random", "--budget", "140%"], "budget='140%' is not a fraction in (0, 1]"),
    "budget above the rows": (["--method", "random", "--budget", "61"], "budget=61 rows is above the pool of 60 rows"),
    "tokens cannot be cut": (
        ["--method", "core_set", "--budget", "5k tokens", "--embedder", "tfidf", "--candidates", "absent.txt"],
        "ConfigError: --candidates absent.txt: there is no such file",
    ),
    "tokens without order": (
        ["--method", "k_means", "--budget", "5k tokens", "--embedder", "tfidf"],
        "BudgetError: The picks of 'k_means' for fewer rows are not a prefix",
    ),
    "tokens without tokenizer": (
        ["--method", "random", "--budget", "5k tokens"],
        "'random' needs 'signal_row_tokens', which is read in the text pass; give --tokenizer_name or --model",
    ),
    "seed that is none": ([*RANDOM, "--seed", "-1"], "'-1' is not a whole number of at least 0"),
    "unknown field": ([*IFD, "--set", "max_idf=1"], "Unknown field of method 'ifd' 'max_idf'. Did you mean 'max_ifd'"),
    "field of no field": ([*RANDOM, "--set", "a=1"], "'random' has no fields"),
    "field of another form": ([*IFD, "--set", "max_ifd"], "--set 'max_ifd' is not of the form 'field=value', for "),
    "field of another type": ([*IFD, "--set", "max_ifd=high"], "--set max_ifd='high': 'ifd' takes none or a number"),
    "field that cannot be": ([*IFD, "--set", "max_ifd=-1"], "max_ifd=-1.0 is not a finite number above 0"),
    "no model": ([*IFD], "'ifd' needs 'signal_answer_alone_nll', which is read in the answer_alone pass; give --model"),
    "no embedder": (
        ["--method", "core_set", "--budget", "5"],
        "'core_set' needs 'signal_embedding', which is read in the embedding pass; give --embedder (a sentence-trans",
    ),
    "no such model": ([*IFD, "--model_name_or_path", "no/model"], "ModelError: --model_name_or_path no/model cannot"),
    "no such tokenizer": ([*RANDOM, "--tokenizer_name", "no/one"], "ModelError: The tokenizer 'no/one' cannot be"),
    "no such draft model": ([*RANDOM, "--draft_model", "no/model"], "ModelError: --draft_model no/model cannot be"),
    "unknown dtype": ([*RANDOM, "--dtype", "int8"], "ConfigError: Argument --dtype: invalid choice: 'int8'"),
    "unknown task": ([*RANDOM, "--task", "causal"], "ConfigError: Argument --task: invalid choice: 'causal'"),
    "unknown template": ([*RANDOM, "--template", "alpacca"], "Unknown template 'alpacca'. Did you mean 'alpaca'"),
    "max_length 0": ([*RANDOM, "--max_length", "0"], "Argument --max_length: '0' is not a whole number of at least 1"),
    "no such candidates": ([*RANDOM, "--candidates", "absent.txt"], "--candidates absent.txt: there is no such file"),
    "no such checkpoints": ([*RANDOM, "--checkpoints", "absent"], "--checkpoints absent: there is no such folder"),
    "no such reference": ([*RANDOM, "--reference", "a=absent.jsonl"], "--reference absent.jsonl: there is no such"),
    "no such column": ([*RANDOM, "--columns", "prompt=prompt,response=answer"], "ColumnError: No column 'answer'; the"),
    "columns of another form": ([*RANDOM, "--columns", "prompt"], "ConfigError: columns='prompt': 'prompt' names no"),
    "unknown role": ([*RANDOM, "--columns", "prompts=prompt"], "ConfigError: columns has unknown keys ['prompts']"),
    "unknown form of subset": ([*RANDOM, "--save_dataset", "xlsx"], "Argument --save_dataset: invalid choice: 'xlsx'"),
}  # fmt: skip


@pytest.mark.parametrize("case", SELECT)
def test_select(refused, case):
    words, message = SELECT[case]
    assert message in refused("select", *words)


COMPARE = {
    "one method": (["--methods", "random", "--budgets", "1%"], "--methods 'random' names one method"),
    "no method": (["--methods", ",", "--budgets", "1%"], "ConfigError: --methods ',' is empty"),
    "unknown method": (["--methods", "random,lose", "--budgets", "1%"], "Unknown method 'lose'. Did you mean 'loss'"),
    "no budget": (["--methods", "random,loss", "--budgets", ""], "ConfigError: --budgets '' is empty"),
    "one bad budget": (["--methods", "random,loss", "--budgets", "1%,x"], "BudgetError: budget='x' is not a budget"),
    "bad seed": (["--methods", "random,loss", "--budgets", "1%", "--seeds", "0,x"], "--seeds '0,x' is not a list"),
    "field without method": (
        ["--methods", "random,ifd", "--budgets", "1%", "--set", "max_ifd=1"],
        "--set 'max_ifd=1' is not of the form 'method.field=value', for example 'ifd.ratio=perplexity'",
    ),
    "field of a method that is not compared": (
        ["--methods", "random,ifd", "--budgets", "1%", "--set", "cdas.n_clusters=1"],
        "Unknown method in --set 'cdas'. Available: ifd, random",
    ),
    "one method without its model": (["--methods", "random,loss", "--budgets", "1%"], "'loss' needs 'signal_resp"),
}  # fmt: skip


@pytest.mark.parametrize("case", COMPARE)
def test_compare(refused, case):
    words, message = COMPARE[case]
    assert message in refused("compare", *words)


DEMANDING = {
    "aimed": "'aimed' aims at reference rows; give --reference",
    "demonstrated": "'demonstrated' learns from rows in use already; give --labelled",
    "drafted": "'drafted' measures rows on a small model first; give --draft_model",
    "updated": "'updated' aims at reference rows; give --reference",
}


@pytest.mark.parametrize("name", DEMANDING)
def test_what_a_method_must_be_given(refused, monkeypatch, name):
    for method in ALL:
        monkeypatch.setitem(METHODS, method.name, method)
    assert DEMANDING[name] in refused("select", "--method", name, "--budget", "1")


def test_a_method_for_another_kind_of_model(refused, monkeypatch):
    monkeypatch.setitem(METHODS, "causal_alone", CausalAlone)
    said = refused("select", "--method", "causal_alone", "--budget", "1", "--task", "classification")
    assert (
        "TaskError: 'causal_alone' does not serve classification models: they have no response; take 'random'" in said
    )


def test_updates_of_an_optimiser_come_from_checkpoints(refused, rows, monkeypatch):
    for method in ALL:
        monkeypatch.setitem(METHODS, method.name, method)
    said = refused("select", "--method", "updated", "--budget", "1", "--reference", rows)
    assert "'updated' follows the optimiser's own updates; give --checkpoints" in said


def test_commands(run):
    status, out, err = run("selct", "--budget", "1%")
    assert (status, out) == (2, "")
    assert (
        "Unknown command 'selct'. Did you mean 'select'? Available: compare, completion, methods, push, select." in err
    )
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "required: COMMAND. See 'hf-select --help'." in err


def test_datasets_that_are_not_there(refused, rows, tmp_path):
    assert "--dataset_name rows.jsonl: there is no such file" in refused("select", *RANDOM, dataset="rows.jsonl")
    assert "dataset_name='no/such' (split 'train') cannot be loaded" in refused("select", *RANDOM, dataset="no/such")
    (tmp_path / "rows.xlsx").write_text("")
    assert "is none of .json, .jsonl" in refused("select", *RANDOM, dataset=tmp_path / "rows.xlsx")
    (tmp_path / "torn.jsonl").write_text('{"prompt": "a", "compl')
    assert "cannot be loaded" in refused("select", *RANDOM, dataset=tmp_path / "torn.jsonl")


def test_a_split_that_is_not_there(refused, rows, tmp_path):
    DatasetDict({"training": Dataset.from_json(str(rows))}).save_to_disk(str(tmp_path / "saved"))
    said = refused("select", *RANDOM, dataset=tmp_path / "saved")
    assert "'train'. Did you mean 'training'? Available: training. Give --dataset_split." in said


def test_rows_that_cannot_be_read(refused, tmp_path):
    (tmp_path / "other.jsonl").write_text(json.dumps({"a": "x", "b": "y"}) + "\n")
    said = refused("select", *RANDOM, dataset=tmp_path / "other.jsonl")
    assert "RowError: Cannot tell prompt from response in columns ['a', 'b']" in said
    (tmp_path / "null.jsonl").write_text('{"prompt": "x", "completion": "y"}\n{"prompt": "x", "completion": null}\n')
    said = refused("select", *RANDOM, dataset=tmp_path / "null.jsonl")
    assert "1 rows of column 'completion' are not text (first: [(1, 'NoneType')])" in said


def test_rows_without_responses(refused, model, tmp_path):
    (tmp_path / "empty.jsonl").write_text('{"prompt": "x", "completion": ""}\n' * 20)
    said = refused("select", *IFD, "--model_name_or_path", model, dataset=tmp_path / "empty.jsonl")
    assert "RowError: 'ifd' scores responses, and none of the 20 rows has one; name the column with --columns" in said


def test_row_ids_that_do_not_fit(refused, run, rows, tmp_path):
    for name, content, message in (
        ("far.txt", "3\n60\n", "candidates holds row ids outside 0..59: [60]"),
        ("words.txt", "one two", "holds no row ids: invalid literal for int()"),
        ("dict.json", '{"a": 1}', "holds no list of row ids"),
        ("torn.json", "[1, 2", "holds no row ids"),
        ("none.txt", "", "There is no row to pick from: the pool is empty"),
        ("ids.csv", "1", "is none of .parquet, .json, .txt"),
    ):
        (tmp_path / name).write_text(content)
        assert message in refused("select", *RANDOM, "--candidates", tmp_path / name)
    (tmp_path / "less.jsonl").write_text("\n".join(rows.read_text().splitlines()[:50]))
    assert "holds no finished selection" in refused("select", *RANDOM, "--labelled", tmp_path)
    said = refused("select", "--method", "random", "--budget", "1", "--labelled", _selected(run, tmp_path))
    assert "was selected from 50 rows and the dataset has 60: its row ids would point at other rows" in said


def _selected(run, tmp_path):
    """A selection from another dataset."""
    from hf_select.selection import Selection

    return Selection([0, 1], [1.0, 0.5], 50, {}).save(tmp_path / "other")


def test_output_folders_that_cannot_be_filled(refused, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    said = refused("select", *RANDOM, output=tmp_path / "full")
    assert "is not empty (it holds notes.txt). Give another folder, or --overwrite" in said
    (tmp_path / "file").write_text("")
    assert "file is a file; give a folder" in refused("select", *RANDOM, output=tmp_path / "file")
    assert "cannot be written" in refused("select", *RANDOM, output=tmp_path / "file" / "below")


def test_a_package_that_is_missing(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    said = refused("select", "--method", "core_set", "--budget", "5", "--embedder", "all-MiniLM-L6-v2")
    assert "MissingExtraError: --embedder all-MiniLM-L6-v2 needs sentence-transformers" in said
    assert "pip install 'hf-select[embeddings]'" in said


@pytest.mark.slow
def test_an_embedder_that_is_not_there(refused):
    said = refused("select", "--method", "core_set", "--budget", "5", "--embedder", "no/embedder")
    assert "ModelError: The embedder 'no/embedder' cannot be loaded" in said


def test_a_chat_template_that_is_missing(refused, model):
    said = refused("select", *IFD, "--model_name_or_path", model, "--template", "chat")
    assert "ModelError: --template chat needs a tokenizer with a chat template" in said


def test_reference_words_of_another_form(refused, rows):
    assert "--reference '=x' is not of the form" in refused("select", *RANDOM, "--reference", "=x")
    twice = ("--reference", f"a={rows}", "--reference", f"a={rows}")
    assert "names the task 'a' twice" in refused("select", *RANDOM, *twice)
    assert "the embedded pool is no reference set" in refused("select", *RANDOM, "--reference", "demo")


def test_scores_that_are_not_finite_can_stop_a_run(select, model):
    words = (*IFD, "--model_name_or_path", model, "--max_length", "60", "--on_invalid", "error")
    _, err = select(*words, status=1)  # found during the work
    assert "InvalidScoresError: " in err
    assert "on_invalid='exclude'" in err
