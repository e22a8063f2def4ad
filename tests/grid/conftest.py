"""Arguments, rows and a small encoder for the parts of a comparison."""

from pathlib import Path

import pytest

from hf_select.grid.arguments import parse_grid_arguments

DEMO_CONFIG = Path(__file__).resolve().parents[2] / "recipes" / "configs" / "dsbox_demo.yaml"


def parse(*words):
    """Arguments as the recipe reads them."""
    return parse_grid_arguments(list(words), description="", default_config=DEMO_CONFIG)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """Folder of a small encoder with its tokenizer, not trained."""
    from hf_select.demo.encoder import build_encoder, train_encoder_tokenizer
    from hf_select.demo.planted_bug import draw_corpus

    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = train_encoder_tokenizer(draw_corpus(0, 80, apart_from=[]))
    build_encoder(tokenizer, hidden=16, layers=2, heads=2).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory):
    """A file of 160 labelled rows, two of each function."""
    from hf_select.demo.planted_bug import build_planted_bugs

    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    build_planted_bugs(1, 160).to_json(str(path))
    return path
