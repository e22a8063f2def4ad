"""Input that cannot be used ends before long work, with an error that names the remedy."""

import json
import re

import pytest

from hf_select.demo import build_pool
from tests.recipes.conftest import SMALL


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    build_pool(0, n_rows=20, n_test=2).train.select_columns(["prompt", "completion"]).to_json(str(path))
    return path


@pytest.fixture
def refused(codeact, tmp_path, capsys, monkeypatch):
    """Run the recipe on something bad; give what it says. No model may be loaded for that."""

    def run(*words):
        monkeypatch.setattr("hf_select.experiment.train.train", lambda *_, **__: pytest.fail("long work began"))
        assert codeact.main([*SMALL, "--output_dir", str(tmp_path / "run"), *words]) == 2
        return capsys.readouterr().err

    return run


BAD_WORDS = {
    "unknown method": (["--arms", "cdsa:40%"], "UnknownNameError: Unknown method 'cdsa'. Did you mean 'cdas'"),
    "unknown argument": (["--learning_rat", "1"], "Unknown argument 'learning_rat'. Did you mean 'learning_rate'"),
    "budget 0": (["--arms", "random:0"], "BudgetError: budget=0"),
    "budget above the pool": (["--arms", "random:201"], "above the pool of 200 rows"),
    "budget above 100 %": (["--arms", "random:140%"], "budget='140%' is not a fraction in (0, 1]"),
    "no arm": (["--arms", ","], "names no arm"),
    "bad seed": (["--seeds", "x"], "ConfigError: seeds='x'"),
    "unknown template": (["--template", "alpacca"], "Unknown template 'alpacca'. Did you mean 'alpaca'"),
    "no chat template": (["--template", "chat"], "needs a tokenizer with a chat template"),
    "unknown benchmark": (["--benchmarks", "humanevall"], "humaneval"),
    "short max_length": (["--max_length", "8"], "--drop_long_prompts"),
    "no such config": (["--config", "absent.yaml"], "there is no such file"),
}


@pytest.mark.parametrize("case", BAD_WORDS)
def test_bad_words(refused, case):
    words, message = BAD_WORDS[case]
    assert message in refused(*words)


def test_columns_that_are_missing(refused, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"a": "x", "b": "y"}) + "\n")
    said = refused("--dataset_name", str(path), "--benchmarks", "humaneval")
    assert "columns ['a', 'b']" in said
    assert "columns={'prompt'" in said
    said = refused("--dataset_name", str(path), "--benchmarks", "humaneval", "--columns", "prompt=a,response=c")
    assert "No column 'c'; the dataset has ['a', 'b']" in said


def test_a_dataset_without_rows(refused, rows, tmp_path):
    from datasets import Dataset

    Dataset.from_dict({"prompt": [], "completion": []}).to_parquet(str(tmp_path / "empty.parquet"))
    said = refused("--dataset_name", str(tmp_path / "empty.parquet"), "--benchmarks", "humaneval")
    assert "empty.parquet' (split 'train') cannot be loaded" in said
    assert "exists and has rows" in said


def test_a_dataset_and_a_model_that_are_not_there(refused, rows):
    assert "dataset_name='no/such/set.jsonl' (split 'train') cannot be loaded" in refused(
        "--dataset_name", "no/such/set.jsonl", "--benchmarks", "humaneval"
    )
    assert "No model can be loaded from 'no/such/model'" in refused("--model_name_or_path", "no/such/model")


def test_a_folder_that_holds_a_run(refused, tmp_path):
    (tmp_path / "run" / "stages").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    assert "Go on with it by --resume, delete it by --overwrite_output_dir" in refused()


def test_a_disk_without_space(refused, monkeypatch):
    monkeypatch.setattr("hf_select.files.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1})())
    assert "DiskSpaceError" in refused()


def test_a_loss_that_is_not_a_number(codeact, tmp_path, capsys):
    words = [*SMALL, "--arms", "random:40%", "--learning_rate", "1e30", "--max_grad_norm", "0", "--logging_steps", "1"]
    assert codeact.main([*words, "--output_dir", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert re.search("ModelError: (loss|grad_norm) is (nan|inf) at step", said)
    assert "Lower the learning rate" in said
    assert not list((tmp_path / "run" / "models").rglob("model.safetensors"))


def test_a_tokenizer_of_another_model(refused, rows, tmp_path, codeact):
    from hf_select.demo import build_model, train_tokenizer

    large, small = train_tokenizer(["a b c d e f g"] * 9, 300), train_tokenizer(["a"], 258)
    build_model(small, 0).save_pretrained(tmp_path / "model")
    large.add_tokens([f"<extra_{number}>" for number in range(60)])
    large.save_pretrained(tmp_path / "tokenizer")
    said = refused(
        *("--dataset_name", str(rows), "--benchmarks", "humaneval", "--model_name_or_path", str(tmp_path / "model")),
        *("--tokenizer_name", str(tmp_path / "tokenizer"), "--arms", "full"),
    )
    assert "ids and the model embeds 258" in said


def test_help_helps(codeact, capsys):
    with pytest.raises(SystemExit) as ended:
        codeact.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "--arms" in text
    assert "accelerate launch recipes/codeact.py" in text
