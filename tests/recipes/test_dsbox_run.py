"""A whole comparison on a very small pool: what it writes, that it resumes, that its processes agree."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from tests.launching import REPLICATED
from tests.recipes.dsbox_case import RECIPE, ROOT, load_recipe, make_inputs, measures, picks, results_of
from tests.recipes.two_processes import finish

GRID = ("--methods", "entropy,bm25", "--seeds", "0,1")


@pytest.fixture(scope="module")
def recipe():
    return load_recipe()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def reference(recipe, inputs, tmp_path_factory):
    """A run of two methods beside random, one budget, two seeds, that nothing interrupted."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert recipe.main([*inputs, *GRID, "--output_dir", str(folder)]) == 0
    return folder


def test_everything_a_user_is_promised_is_there(reference):
    results = results_of(reference)
    assert [arm["name"] for arm in results["arms"]] == ["full", "random:10%", "entropy:10%", "bm25:10%"]
    promised = {
        *("name", "rows", "tokens", "selection_seconds", "training_seconds", "padding_fraction", "peak_memory_bytes"),
        *("validation_loss", "pass_at_1", "seeds", "accuracy", "f1"),
    }
    for arm in results["arms"]:
        assert promised <= set(arm)
        assert arm["seeds"] == [0, 1]
        assert 0 <= arm["accuracy"] <= 1
    assert len(results["cells"]) == 8
    assert pq.read_table(reference / "cells.parquet").num_rows == 8
    assert len(list((reference / "stages" / "cells").rglob("seed-*.json"))) == 8
    report = (reference / "report.md").read_text()
    assert "## Accuracy" in report
    assert "## F1" in report
    assert "2 seeds: too few to tell a difference" in report
    assert {path.name for path in (reference / "plots").glob("*.png")} == {
        "accuracy.png", "cost.png", "f1.png", "overlap.png",
    }  # fmt: skip
    assert not list(reference.rglob("training_args.bin"))
    assert not list((reference / "models").rglob("*.safetensors"))


def test_every_cell_trains_on_the_labelled_rows_and_its_picks(reference):
    pools = []
    for cell in results_of(reference)["cells"]:
        assert cell["rows"] == cell["n_picked"] + cell["n_labelled"]
        assert cell["n_picked"] == cell["n_asked"]
        if cell["method"] == "full":
            pools.append(cell["rows"])
        else:
            assert cell["n_asked"] == pools[-1] // 10  # a share of the pool, its labelled rows counted
            assert cell["selection_seconds"] > 0
    assert len(pools) == 2


def test_no_test_row_and_no_labelled_row_is_ever_picked(reference, inputs):
    from hf_select.grid.arguments import parse_grid_arguments
    from hf_select.grid.data import load_data
    from hf_select.grid.setting import make_split

    arguments = parse_grid_arguments([*inputs, *GRID], description="", default_config=RECIPE)
    data = load_data(arguments)
    n_checked = 0
    for place, rows in picks(reference).items():
        split = make_split(arguments, data, int(place.rpartition("-")[2]))
        kept = {"test": split.test, "validation": split.validation, "labelled": split.pool[split.labelled]}
        texts = {name: {data.texts[row] for row in ids} for name, ids in kept.items()}
        functions = {data.groups[row] for row in split.test}
        picked = [int(split.pool[row]) for row in rows]
        for name in kept:
            assert not {data.texts[row] for row in picked} & texts[name], (place, name)
        assert not {data.groups[row] for row in picked} & functions
        n_checked += 1
    assert n_checked == 6


def test_a_finished_run_is_read_and_methods_can_be_added(recipe, reference, inputs, monkeypatch, tmp_path):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(reference, folder)
    with monkeypatch.context() as patched:
        patched.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("a finished cell was trained"))
        assert recipe.main([*inputs, *GRID, "--output_dir", str(folder), "--resume"]) == 0
    assert measures(folder) == measures(reference)
    more = ("--methods", "entropy,bm25,k_means", "--seeds", "0,1")
    assert recipe.main([*inputs, *more, "--output_dir", str(folder), "--resume"]) == 0
    assert [cell for cell in measures(folder) if cell["method"] != "k_means"] == measures(reference)
    assert len(measures(folder)) == 10


def test_a_cell_that_was_cut_off_is_done_again_and_no_other(recipe, reference, inputs, tmp_path, monkeypatch):
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(reference, folder)
    cut = folder / "stages" / "cells" / "entropy-10pct" / "seed-1.json"
    cut.unlink()
    torn = folder / "models" / "entropy-10pct" / "seed-1" / "checkpoint-1"
    torn.mkdir(parents=True)
    (torn / "model.safetensors").write_text("torn")
    kept = {path: path.stat().st_mtime_ns for path in (folder / "stages").rglob("*.json")}
    assert recipe.main([*inputs, *GRID, "--output_dir", str(folder), "--resume"]) == 0
    assert cut.is_file()
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    assert measures(folder) == measures(reference)
    assert not torn.exists()


def test_a_method_that_cannot_run_is_told_and_the_others_go_on(recipe, inputs, tmp_path):
    from transformers import AutoModelForMaskedLM

    name = inputs[inputs.index("--model_name_or_path") + 1]
    model = AutoModelForMaskedLM.from_pretrained(name)
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.0
    model.save_pretrained(tmp_path / "still")
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(name).save_pretrained(tmp_path / "still")
    words = ("--model_name_or_path", str(tmp_path / "still"), "--methods", "bald,margin,ifd,uq_icl")
    assert recipe.main([*inputs, *words, "--output_dir", str(tmp_path / "run")]) == 0
    results = results_of(tmp_path / "run")
    assert set(results["left_out"]) == {"ifd", "uq_icl"}
    errors = {cell["method"]: cell["error"] for cell in results["cells"] if "error" in cell}
    assert list(errors) == ["bald"]
    assert "dropout" in errors["bald"]
    assert {arm["method"] for arm in results["arms"]} == {"full", "random", "margin"}
    report = (tmp_path / "run" / "report.md").read_text()
    assert "bald at 10%, seed 0" in report
    assert "--language_model_name_or_path" in report


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_run_goes_on_and_ends_like_one_that_was_not(recipe, reference, inputs, tmp_path):
    words = [*inputs, *GRID, "--output_dir", str(tmp_path / "run")]
    process = subprocess.Popen([sys.executable, str(RECIPE), *words], cwd=ROOT, start_new_session=True)
    record = tmp_path / "run" / "stages" / "cells" / "random-10pct" / "seed-0.json"
    deadline = time.monotonic() + 300
    while not record.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, "the run ended before the cell it was to be killed behind"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "stages").rglob("*.json")}
    assert recipe.main([*words, "--resume"]) == 0
    assert all(path.stat().st_mtime_ns == written for path, written in finished.items())
    assert measures(tmp_path / "run") == measures(reference)
    assert picks(tmp_path / "run") == picks(reference)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_pick_what_one_picks(recipe, inputs, tmp_path):
    words = [*inputs, "--methods", "entropy,bald,less,staff,learning_loss,badge,bm25", "--no_full_arm"]
    assert recipe.main([*words, "--output_dir", str(tmp_path / "one")]) == 0
    finish(RECIPE, words, tmp_path / "two", REPLICATED)
    assert picks(tmp_path / "two") == picks(tmp_path / "one")
    assert len(picks(tmp_path / "two")) == 8


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:cdas. .* rows were asked for")  # the pool is that small
def test_the_generation_task_goes_the_whole_way(recipe, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    config = ROOT / "recipes" / "configs" / "dsbox_generation_demo.yaml"
    words = [
        *("--config", str(config), "--demo_rows", "150", "--demo_test_problems", "6", "--methods", "loss,zip,badge"),
        *("--num_train_epochs", "1", "--warm_up_epochs", "1", "--max_new_tokens", "4", "--num_threads", "1"),
        *("--no_full_arm", "--output_dir", str(tmp_path / "run")),
    ]
    assert recipe.main(words) == 0
    results = results_of(tmp_path / "run")
    assert results["measures"] == ["pass_at_1", "validation_loss"]
    assert all("error" not in cell for cell in results["cells"])
    assert all(cell["pass_at_1"] is None for cell in results["cells"])
    assert all(0 < cell["validation_loss"] < 20 for cell in results["cells"])
    assert "pass@1 was not measured" in (tmp_path / "run" / "report.md").read_text()
    before = {cell["method"]: cell["validation_loss"] for cell in results["cells"]}
    assert recipe.main([*words, "--resume", "--allow_code_eval"]) == 0
    executed = results_of(tmp_path / "run")["cells"]
    assert all(cell["pass_at_1"] is not None for cell in executed)
    assert {cell["method"]: cell["validation_loss"] for cell in executed} == pytest.approx(before)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_generation_task_tells_a_leaked_problem(recipe, leaky_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    words = [
        *("--task", "causal_lm", "--model_name_or_path", "demo", "--dataset_name", str(leaky_rows), "--seeds", "0"),
        *("--template", "plain", "--max_length", "400", "--methods", "random,length", "--budgets", "20%"),
        *("--validation_fraction", "0.02", "--benchmarks", "humaneval", "--max_problems", "4"),
        *("--num_train_epochs", "1", "--warm_up_epochs", "1", "--max_new_tokens", "2", "--num_threads", "1"),
    ]
    assert recipe.main([*words, "--output_dir", str(tmp_path / "run")]) == 0
    results = results_of(tmp_path / "run")
    assert results["leakage"] == {"humaneval": {"n_rows": 1, "n_problems": 1, "checks": {"words": 1}}}
    cells = {cell["method"]: cell for cell in results["cells"]}
    assert all("error" not in cell for cell in cells.values())
    for name in ("full", "length"):  # the leaked rows are the longest
        assert (cells[name]["n_leaked_problems"], cells[name]["n_uncontaminated"]) == (1, 3)
        assert cells[name]["benchmarks"]["humaneval"]["pass_at_1_uncontaminated"] == 0.0
    arms = {arm["name"]: arm for arm in results["arms"]}
    assert arms["length:20%"]["n_leaked_problems"] == 1
    assert "| full | humaneval | 1 | 3 | 0.000 | 0.000 |" in (tmp_path / "run" / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_compares_all_twenty_methods(recipe, tmp_path, monkeypatch):
    """The offline default with less of everything: what it measures means nothing, that it runs does."""
    from hf_select.demo import encoder

    monkeypatch.setattr(encoder.pretrain_encoder, "__kwdefaults__", {"seed": 0, "steps": (2, 2)})
    monkeypatch.setattr("hf_select.grid.base.N_CORPUS", 100)
    small = ("--demo_rows", "200", "--num_train_epochs", "1", "--warm_up_epochs", "1", "--num_threads", "1")
    assert recipe.main([*small, "--output_dir", str(tmp_path / "run")]) == 0
    results = results_of(tmp_path / "run")
    assert [cell for cell in results["cells"] if "error" in cell] == []
    assert len(results["cells"]) == 21
    assert json.loads((tmp_path / "run" / "plots" / "overlap.json").read_text())["data"]["budgets"]
