"""The whole chain on a very small pool: what it writes, that it resumes, that its processes agree."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from hf_select.evaluation.sandbox import LEVELS
from tests.launching import REPLICATED, SHARDED
from tests.recipes.conftest import ARMS, RECIPE, ROOT, SMALL, measures, picks
from tests.recipes.two_processes import finish

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:cdas. .* rows were asked for"),  # the pool is that small
]

WORDS = (*SMALL, *ARMS)


@pytest.fixture(scope="module")
def reference(codeact, tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert codeact.main([*WORDS, "--output_dir", str(folder), "--allow_code_eval"]) == 0
    return folder


def test_everything_a_user_is_promised_is_there(reference):
    results = json.loads((reference / "results.json").read_text())
    names = [arm["name"] for arm in results["arms"]]
    assert names == ["full", "random:40%", "gates+random:30%", "gates+cdas:30%"]
    promised = {
        *("name", "rows", "tokens", "selection_seconds", "training_seconds", "padding_fraction", "peak_memory_bytes"),
        *("validation_loss", "pass_at_1", "pass_at_1_interval", "seeds"),
    }
    for arm in results["arms"]:
        assert promised <= set(arm)
        assert all(arm[name] is not None for name in promised)
        assert (reference / "models").glob("*/seed-0/model.safetensors")
    assert results["arms"][0]["rows"] == 200
    assert results["arms"][1]["rows"] == 80
    assert results["sandbox_level"] in LEVELS
    assert results["gates"]["duplicate"] > 0
    report = (reference / "report.md").read_text()
    assert all(name in report for name in names)
    assert len(list((reference / "plots").glob("*.png"))) >= 8
    card = (reference / "models" / "gates-cdas-30pct" / "seed-0" / "README.md").read_text()
    assert card.startswith("---\n")
    assert not list(reference.rglob("training_args.bin"))
    samples = (reference / "samples" / "full" / "seed-0" / "demo.jsonl").read_text().splitlines()
    assert len(samples) == 12


def test_gated_arms_hold_no_wrong_row_and_no_duplicate(reference):
    from hf_select.demo import build_pool

    pool = build_pool(0, n_rows=200, n_test=12)
    origins, texts = list(pool.train["origin"]), list(pool.train["prompt"])
    chosen = picks(reference)["selections/gates-cdas-30pct/seed-0"]
    assert chosen
    assert "wrong" not in {origins[row] for row in chosen}
    assert len({texts[row] for row in chosen}) == len(chosen)


def test_without_the_user_s_word_nothing_runs_and_resume_adds_it(codeact, reference, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    words = [*SMALL, "--arms", "random:40%", "--output_dir", str(tmp_path / "run")]
    assert codeact.main(words) == 0
    assert "--allow_code_eval --resume" in capsys.readouterr().out
    [arm] = measures(tmp_path / "run")
    assert arm["pass_at_1"] is None
    weights = tmp_path / "run" / "models" / "random-40pct" / "seed-0" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    assert codeact.main([*words, "--allow_code_eval", "--resume"]) == 0
    assert weights.stat().st_mtime_ns == written
    assert measures(tmp_path / "run") == [arm for arm in measures(reference) if arm["name"] == "random:40%"]


@pytest.mark.parametrize("stage", ["gates/seed-0", "scorer/seed-0", "training/random-40pct/seed-0"])
def test_a_killed_run_goes_on_and_ends_like_one_that_was_not(codeact, reference, tmp_path, stage):
    words = [*WORDS, "--output_dir", str(tmp_path / "run"), "--allow_code_eval"]
    process = subprocess.Popen([sys.executable, str(RECIPE), *words], cwd=ROOT, start_new_session=True)
    record = tmp_path / "run" / "stages" / f"{stage}.json"
    deadline = time.monotonic() + 300
    while not record.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, "the run ended before the stage it was to be killed behind"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "results.json").exists()
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "stages").rglob("*.json")}
    assert codeact.main([*words, "--resume"]) == 0
    assert all(path.stat().st_mtime_ns == written for path, written in finished.items())
    assert measures(tmp_path / "run") == measures(reference)
    assert picks(tmp_path / "run") == picks(reference)


def arms(folder):
    """The arms of a finished run."""
    return json.loads((folder / "results.json").read_text())["arms"]


def test_two_processes_select_what_one_selects_also_with_sharded_weights(codeact, tmp_path):
    from hf_select.demo import build_model, build_pool, train_tokenizer

    pool = build_pool(3, n_rows=150, n_test=4)
    pool.train.select_columns(["prompt", "completion"]).to_json(str(tmp_path / "rows.jsonl"))
    tokenizer = train_tokenizer(list(pool.train["prompt"]), 300)
    build_model(tokenizer, 3).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    words = [
        *("--dataset_name", str(tmp_path / "rows.jsonl"), "--model_name_or_path", str(tmp_path / "model")),
        *("--arms", "cdas:40%,ifd:20%", "--benchmarks", "humaneval", "--max_problems", "2", "--max_new_tokens", "2"),
        *("--max_length", "128", "--template", "plain", "--max_steps", "2", "--max_tokens_per_batch", "512"),
    ]
    assert codeact.main([*words, "--output_dir", str(tmp_path / "one"), "--num_threads", "1"]) == 0
    for how in (REPLICATED, SHARDED):
        finish(RECIPE, [*words, "--num_threads", "1"], tmp_path / how, how)
        assert picks(tmp_path / how) == picks(tmp_path / "one")
        assert len(picks(tmp_path / how)) == 4
    for sharded_arm, arm in zip(arms(tmp_path / SHARDED), arms(tmp_path / REPLICATED), strict=True):
        assert sharded_arm["validation_loss"] == pytest.approx(arm["validation_loss"], rel=1e-5)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")  # peft asks for it
@pytest.mark.parametrize("padding", ["longest", "max_length"])
def test_adapters_and_plain_padding_go_the_whole_way(codeact, tmp_path, padding):
    words = [*SMALL, "--arms", "random:40%", "--use_peft", "--padding", padding, "--output_dir", str(tmp_path / "run")]
    assert codeact.main(words) == 0
    [arm] = measures(tmp_path / "run")
    assert 0 < arm["validation_loss"] < 20
    assert arm["padding_fraction"] > 0.1
    saved = tmp_path / "run" / "models" / "random-40pct" / "seed-0"
    assert (saved / "adapter_model.safetensors").is_file()
    assert not (saved / "model.safetensors").exists()


def test_equal_steps_give_every_arm_the_steps_of_all_rows(codeact, tmp_path):
    words = [*SMALL, "--arms", "full,random:40%", "--equal_steps", "--output_dir", str(tmp_path / "run")]
    assert codeact.main(words) == 0
    full, random = measures(tmp_path / "run")
    assert random["rows"] == 80
    assert abs(random["steps"] - full["steps"]) <= 1
