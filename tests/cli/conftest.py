"""A small model and a file of rows on disk, and the command line run inside this process."""

import json

import pytest

from hf_select.cli import main
from hf_select.demo import build_model, build_pool, train_tokenizer

N_ROWS = 60


@pytest.fixture(scope="session")
def rows(tmp_path_factory):
    """60 rows of prompt and completion."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    pool = build_pool(0, n_rows=N_ROWS, n_test=2).train
    lines = [json.dumps({"prompt": row["prompt"], "completion": row["completion"]}) for row in pool]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory, rows):
    """A random Llama with its tokenizer, small enough to score the rows in a blink."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer([rows.read_text(encoding="utf-8")], 300)
    tokenizer.save_pretrained(folder)
    build_model(tokenizer, 0, hidden=16, heads=2, layers=1, max_length=512).save_pretrained(folder)
    return folder


@pytest.fixture
def run(capsys):
    """Run the command line; give exit status, standard output and standard error."""

    def run_main(*words):
        status = main([str(word) for word in words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run_main


@pytest.fixture
def select(run, rows, tmp_path):
    """``hf-select select`` on the rows into ``tmp_path / "out"``; must succeed unless told otherwise."""

    def run_select(*words, status=0):
        found, out, err = run(
            *("select", "--dataset_name", rows, "--output_dir", tmp_path / "out"),
            *("--cache_dir", tmp_path / "cache"),
            *words,
        )
        assert found == status, err
        return out, err

    return run_select


@pytest.fixture
def compare(run, rows, tmp_path):
    """``hf-select compare`` on the rows into ``tmp_path / "out"``; must succeed unless told otherwise."""

    def run_compare(*words, status=0):
        found, out, err = run(
            *("compare", "--dataset_name", rows, "--output_dir", tmp_path / "out"),
            *("--cache_dir", tmp_path / "cache"),
            *words,
        )
        assert found == status, err
        return out, err

    return run_compare
