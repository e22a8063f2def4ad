"""A whole study of very few rows: what it writes, that it resumes, that its processes agree."""

import shutil

import numpy as np
import pytest

from hf_select.selection import Selection
from tests.launching import REPLICATED, SHARDED
from tests.recipes.discore_case import RECIPE, load_recipe, make_corpus, measures, picks, results_of
from tests.recipes.two_processes import finish

ARMS = ["random", "static", "dynamic", "full"]


@pytest.fixture(scope="module")
def recipe():
    return load_recipe()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Files of two languages that no parser is asked about, and one of Python that does not parse."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "python.jsonl").write_text('{"content": "def f(x:\\n    return x\\n"}\n')
    return (*make_corpus(folder), "--arms", ",".join(ARMS), "--gates", "parses,duplicates")


@pytest.fixture(scope="module")
def reference(recipe, inputs, tmp_path_factory):
    """A study that nothing interrupted."""
    folder = tmp_path_factory.mktemp("reference") / "run"
    assert recipe.main([*inputs, "--output_dir", str(folder)]) == 0
    return folder


def test_everything_a_report_reads_is_there(reference):
    results = results_of(reference)
    promised = {
        *("recipe", "command", "created", "versions", "config", "dataset", "tasks", "seeds", "arms", "calibration"),
        *("n_reselections", "training", "loss_and_metric", "halves", "between_checkpoints", "between_tasks"),
        *("extremes", "by_language", "other_scores", "predictor", "ledgers", "losses", "left_out"),
    }
    assert promised <= set(results)
    assert "NaN" not in (reference / "results.json").read_text()
    assert set(results["dataset"]["languages"]) == {"c", "sql"}
    assert [arm["name"] for arm in results["arms"]] == ARMS
    steps = [entry["step"] for entry in results["training"][0]["checkpoints"]]
    assert steps == results["between_checkpoints"]["steps"] == [3, 7, 10]
    assert [entry["phase"] for entry in results["training"][0]["checkpoints"]] == ["stable", "stable", "decay"]
    assert results["training"][0]["checkpoints"][0]["learning_rate"] == 1e-3
    assert results["start_step"] == 7
    assert len(results["extremes"]) == 6
    assert {entry["language"] for entry in results["by_language"]} == {"c", "sql"}
    assert {entry["name"] for entry in results["other_scores"]} == {"perplexity", "length"}
    assert "llm_score" in results["left_out"]
    assert results["calibration"]["n_rows"] == 8
    assert results["calibration"]["engine"] == "exact"
    assert results["predictor"]["engine_spearman"] == results["calibration"]["spearman"]
    assert "needs your word" in results["left_out"]["metric of humaneval"]
    assert results["tasks"][0]["reference_is_test"] is True
    assert (results["gates"], results["gates_not_checked"]) == ({"does not parse": 1}, {"parses": 80})
    assert results["dataset"]["n_before_gates"] == 81
    assert results["leakage"] == {}
    assert "| does not parse | 1 | 1.2 |" in (reference / "report.md").read_text()
    assert not list(reference.rglob("training_args.bin"))


def test_all_arms_train_equally_long_on_equally_many_rows(reference):
    results = results_of(reference)
    n_candidates = results["dataset"]["n_held_out"]
    for arm in results["arms"]:
        assert arm["rows"] == (n_candidates if arm["name"] == "full" else n_candidates // 4)
        assert arm["validation_loss"] == pytest.approx(arm["validation_loss_by_task"]["humaneval"])
    curves = {curve["arm"]: curve["steps"] for curve in results["losses"]}
    assert all(steps == list(range(1, 7)) for steps in curves.values())
    assert len(curves) == 4
    by_name = {arm["name"]: arm for arm in results["arms"]}
    assert by_name["dynamic"]["selection_seconds"] > by_name["random"]["selection_seconds"]


def test_the_dynamic_arm_begins_where_the_static_one_does(reference):
    """The same weights and the same optimiser: one read from the checkpoint, the other loaded into the Trainer."""
    results = results_of(reference)
    [ledger] = results["ledgers"]
    assert [entry["step"] for entry in ledger["selections"]] == [0, 3]
    assert results["n_reselections"] == 2
    static = Selection.load(reference / "selections" / "static" / "seed-0")
    quantiles = np.quantile(static.scores, [0.05, 0.25, 0.5, 0.75, 0.95]).round(6)
    np.testing.assert_allclose(ledger["selections"][0]["score_quantiles"], quantiles, atol=2e-6)


def test_halves_start_from_the_checkpoint_and_are_measured_on_the_way(reference):
    results = results_of(reference)
    assert [entry["half"] for entry in results["halves"]] == ["top", "bottom", "random"]
    at_start = results["training"][0]["checkpoints"][1]["validation_loss"]["humaneval"]
    for entry in results["halves"]:
        assert entry["steps"] == [0, 2, 3]
        assert entry["validation_loss"]["humaneval"][0] == at_start
        assert len(set(entry["mean_validation_loss"])) == 3
        assert entry["pass_at_1"] is None


def test_the_optimiser_of_the_checkpoint_goes_on(recipe, reference, inputs, monkeypatch, tmp_path):
    """An arm's first step is the 8th of AdamW, not its first, at the stable learning rate."""
    from transformers import Trainer

    seen = []
    step_of = Trainer.training_step

    def training_step(self, *args, **kwargs):
        state = next(iter(self.optimizer.state.values()))
        seen.append((int(state["step"]), self.optimizer.param_groups[0]["lr"]))
        return step_of(self, *args, **kwargs)

    folder = tmp_path / "run"
    shutil.copytree(reference, folder)
    [record] = (folder / "stages").glob("arms*/random/seed-0.json")
    record.unlink()
    monkeypatch.setattr(Trainer, "training_step", training_step)
    assert recipe.main([*inputs, "--output_dir", str(folder), "--resume"]) == 0
    assert [step for step, _ in seen] == [7, 8, 9, 10, 11, 12]
    assert [rate for _, rate in seen][:4] == [1e-3] * 4
    assert seen[-1][1] < 1e-3
    assert measures(folder) == measures(reference)


def test_a_finished_run_is_read_and_not_repeated(recipe, reference, inputs, monkeypatch, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(reference, folder)
    monkeypatch.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("a finished stage was repeated"))
    monkeypatch.setattr("hf_select.study.score.extract", lambda *_, **__: pytest.fail("rows were scored again"))
    monkeypatch.setattr("hf_select.study.gating.gate_rows", lambda *_, **__: pytest.fail("rows were gated again"))
    monkeypatch.setattr("hf_select.study.gating.find_leaks", lambda *_, **__: pytest.fail("leaks were sought again"))
    assert recipe.main([*inputs, "--output_dir", str(folder), "--resume"]) == 0
    assert measures(folder) == measures(reference)


def _end_behind(folder, n_stages):
    """Leave the first stages of a run alone, as a kill behind the last of them would; the name of that one."""
    records = sorted((folder / "stages").rglob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    for record in records[n_stages:]:
        record.unlink()
    (folder / "results.json").unlink()
    return records[n_stages - 1].relative_to(folder / "stages").parts[0] if n_stages else "nothing"


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75])
def test_a_run_that_was_cut_off_anywhere_finds_the_same(recipe, reference, inputs, tmp_path, share):
    folder = tmp_path / "run"
    shutil.copytree(reference, folder)
    n_stages = len(list((folder / "stages").rglob("*.json")))
    assert n_stages > 15
    _end_behind(folder, int(share * n_stages))
    if share == 0.0:  # within the base run, while its second checkpoint was being written
        base = folder / "base" / "seed-0"
        shutil.rmtree(base / "checkpoint-10")
        (base / "checkpoint-7" / "trainer_state.json").unlink()
    assert recipe.main([*inputs, "--output_dir", str(folder), "--resume"]) == 0
    assert measures(folder) == measures(reference)
    assert picks(folder) == picks(reference)


@pytest.mark.slow
def test_a_second_seed_leaves_the_first_as_it_was(recipe, reference, inputs, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(reference, folder)
    more = ("--seeds", "0,1", "--arms", "random,static", "--other_scores", "loss,zip")
    assert recipe.main([*inputs, *more, "--output_dir", str(folder), "--resume"]) == 0
    one, two = results_of(reference), results_of(folder)
    assert two["seeds"] == [0, 1]
    for before, after in zip(one["arms"], two["arms"], strict=False):
        assert after["per_seed"][0]["validation_loss"] == before["per_seed"][0]["validation_loss"]
        assert after["per_seed"][1]["validation_loss"] != before["per_seed"][0]["validation_loss"]
    assert len(two["training"]) == 2
    assert len(two["halves"]) == 6
    assert [entry["name"] for entry in two["other_scores"]] == ["loss"]
    assert "looks at the whole pool" in two["left_out"]["zip"]


@pytest.mark.slow
def test_the_demo_is_measured_by_pass_at_1(recipe, inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    words = ("--dataset_name", "demo", "--tasks", "demo", "--demo_rows", "120", "--demo_test_problems", "6")
    small = ("--max_new_tokens", "8", "--max_length", "128", "--arms", "random", "--n_calibration", "0")
    folder = tmp_path / "run"
    assert recipe.main([*inputs, *words, *small, "--predictor", "false", "--output_dir", str(folder)]) == 0
    results = results_of(folder)
    [arm] = results["arms"]
    assert 0 <= arm["pass_at_1"] <= 1
    assert arm["pass_at_1_interval"][0] <= arm["pass_at_1"] <= arm["pass_at_1_interval"][1]
    assert all(len(entry["pass_at_1"]) == 3 for entry in results["halves"])
    assert results["tasks"][0]["reference_is_test"] is False
    assert set(results["dataset"]["languages"]) == {"ok", "wrong", "duplicate", "trivial"}
    assert results["calibration"] is None
    assert "predictor" in results["left_out"]


@pytest.mark.slow
def test_a_leaked_problem_is_told_and_pass_at_1_given_without_it(recipe, inputs, leaky_rows, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    words = (*inputs, "--dataset_name", str(leaky_rows), "--max_length", "128", "--arms", "random,full", "--no_gates")
    small = ("--max_new_tokens", "4", "--half_steps", "2", "--n_calibration", "0", "--predictor", "false")
    assert recipe.main([*words, *small, "--output_dir", str(tmp_path / "run")]) == 0
    results = results_of(tmp_path / "run")
    assert results["gates"] == {}
    assert results["leakage"] == {"humaneval": {"n_rows": 1, "n_problems": 1, "checks": {"words": 1}}}
    full = {arm["name"]: arm for arm in results["arms"]}["full"]
    assert (full["n_leaked_problems"], full["n_uncontaminated"], full["pass_at_1_uncontaminated"]) == (1, 3, 0.0)
    assert full["per_seed"][0]["benchmarks"]["humaneval"]["n_leaked_problems"] == 1
    assert [len(half["pass_at_1_uncontaminated"]) for half in results["halves"]] == [3, 3, 3]
    assert "| full | humaneval | 1 | 3 | 0.000 | 0.000 |" in (tmp_path / "run" / "report.md").read_text()
    gated = [word for word in words if word != "--no_gates"]
    assert recipe.main([*gated, *small, "--gates", "leakage", "--output_dir", str(tmp_path / "gated")]) == 0
    results = results_of(tmp_path / "gated")
    assert (results["gates"], results["leakage"]) == ({"leaks humaneval (words)": 1}, {})
    assert {arm["n_leaked_problems"] for arm in results["arms"]} == {0}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_pick_what_one_picks(reference, inputs, tmp_path):
    finish(RECIPE, inputs, tmp_path / "two", REPLICATED)
    assert picks(tmp_path / "two") == picks(reference)
    assert set(picks(reference)) == {"random", "static", "dynamic"}
    for part in ("gates", "gates_not_checked", "dataset"):
        assert results_of(tmp_path / "two")[part] == results_of(reference)[part]
    assert losses(tmp_path / "two") == pytest.approx(losses(reference), rel=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_that_share_the_weights_go_the_whole_way(reference, inputs, tmp_path):
    finish(RECIPE, inputs, tmp_path / "two", SHARDED)
    assert picks(tmp_path / "two") == picks(reference)
    assert losses(tmp_path / "two") == pytest.approx(losses(reference), rel=1e-3)


def losses(folder):
    """The validation loss of every arm."""
    return [arm["validation_loss"] for arm in results_of(folder)["arms"]]
