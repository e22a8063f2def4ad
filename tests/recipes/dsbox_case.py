"""``recipes/dsbox.py`` as a module, and the smallest comparison that goes the whole way."""

import importlib.util
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "dsbox.py"
SMALL = (
    *("--num_train_epochs", "1", "--warm_up_epochs", "1", "--learning_rate", "1e-3", "--num_threads", "1"),
    *("--seed_fraction", "0.1", "--max_length", "64", "--logging_steps", "1", "--budgets", "10%", "--seeds", "0"),
)


def load_recipe() -> Any:
    """The recipe, imported from its file as ``accelerate launch`` would run it."""
    spec = importlib.util.spec_from_file_location("dsbox", RECIPE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_inputs(folder: Path, n_rows: int = 120) -> tuple[str, ...]:
    """Words that name a file of labelled rows and a small encoder, both made in the folder."""
    from hf_select.demo.encoder import build_encoder, train_encoder_tokenizer
    from hf_select.demo.planted_bug import build_planted_bugs, draw_corpus

    rows, encoder = folder / "rows.jsonl", folder / "encoder"
    build_planted_bugs(1, n_rows).to_json(str(rows))
    tokenizer = train_encoder_tokenizer(draw_corpus(0, 80, apart_from=[]))
    build_encoder(tokenizer, hidden=16, layers=2, heads=2).save_pretrained(encoder)
    tokenizer.save_pretrained(encoder)
    words = ("--dataset_name", str(rows), "--columns", "prompt=code,label=label", "--group_column", "function")
    return (*words, "--model_name_or_path", str(encoder), *SMALL)


def results_of(folder: Path) -> dict[str, Any]:
    """The content of ``results.json``."""
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def measures(folder: Path) -> list[dict[str, Any]]:
    """What every cell measured, without times and memory."""
    kept = ("method", "budget", "seed", "rows", "steps", "n_picked", "accuracy", "f1", "validation_loss")
    return [{name: cell[name] for name in kept} for cell in results_of(folder)["cells"] if "error" not in cell]


def picks(folder: Path) -> dict[str, list[int]]:
    """Row ids of every selection of a run, by cell."""
    from hf_select.selection import Selection

    found = sorted((folder / "selections").glob("*/seed-*"))
    return {str(path.relative_to(folder / "selections")): Selection.load(path).indices.tolist() for path in found}
