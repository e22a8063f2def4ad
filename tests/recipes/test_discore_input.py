"""Input that cannot be used ends before long work, with an error that names the remedy."""

import pytest

from tests.recipes.discore_case import load_recipe, make_corpus


@pytest.fixture(scope="module")
def recipe():
    return load_recipe()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"), 12)


@pytest.fixture
def refused(recipe, inputs, tmp_path, capsys, monkeypatch):
    """Run the recipe on something bad; give what it says. Nothing may be trained for that."""

    def run(*words):
        monkeypatch.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("long work began"))
        assert recipe.main([*inputs, "--output_dir", str(tmp_path / "run"), *words]) == 2
        return capsys.readouterr().err

    return run


BAD_WORDS = {
    "unknown argument": (["--n_score", "9"], "Unknown argument 'n_score'. Did you mean 'n_scored'"),
    "unknown task": (["--tasks", "humanevil"], "'humanevil'. Did you mean 'humaneval'"),
    "no task": (["--tasks", ","], "must name one task at least"),
    "no such file of a task": (["--tasks", "mbpp=no/such/file.jsonl"], "no/such/file.jsonl"),
    "the demo's task for other rows": (["--tasks", "demo"], "tasks=demo belongs to dataset_name=demo"),
    "unknown arm": (["--arms", "statik"], "Unknown arm 'statik'. Did you mean 'static'"),
    "unknown score": (["--other_scores", "perplexy"], "Unknown method 'perplexy'. Did you mean 'perplexity'"),
    "unknown gate": (["--gates", "duplicates,parse"], "Unknown gate 'parse'. Did you mean 'parses'"),
    "tests of files that have none": (
        ["--gates", "runs", "--allow_code_eval"],
        "have no column 'entry_point' but ['text'",
    ),
    "leaks of the demo": (
        ["--dataset_name", "demo", "--demo_rows", "200", "--tasks", "demo", "--gates", "leakage"],
        "gates=leakage looks for problems of --tasks, and there is none that rows could leak",
    ),
    "bad seed": (["--seeds", "x"], "ConfigError: seeds='x'"),
    "push": (["--push_to_hub", "True"], "ConfigError: push_to_hub: this recipe trains many models"),
    "budget 0": (["--budget", "0"], "BudgetError: budget=0"),
    "budget above 100 %": (["--budget", "140%"], "budget='140%' is not a fraction in (0, 1]"),
    "budget above the candidates": (["--budget", "100000"], "above"),
    "a budget of all that is scored": (["--budget", "25%", "--pool_fraction", "0.25"], "would choose nothing"),
    "budget in tokens": (["--budget", "2k tokens"], "compared at equal rows"),
    "more scored than there are": (["--n_scored", "5000"], "n_scored=5000 rows are to be scored"),
    "too few scored": (["--n_scored", "3"], "n_scored=3 must be at least 8"),
    "no candidates": (["--candidate_fraction", "0"], "candidate_fraction=0.0"),
    "one checkpoint": (["--n_checkpoints", "1"], "n_checkpoints=1 must be at least 2"),
    "more checkpoints than steps": (["--n_checkpoints", "11"], "11 checkpoints in 10 steps"),
    "no stable phase": (["--warmup_steps", "7"], "at the stable learning rate"),
    "start that is no checkpoint": (["--start_step", "4"], "start_step=4 is no checkpoint"),
    "another schedule": (["--lr_scheduler_type", "cosine"], "which only 'warmup_stable_decay' has"),
    "no step": (["--max_steps", "0"], "A training of 0 steps is none"),
    "too few rows to calibrate": (["--n_calibration", "4"], "n_calibration=4 must be 0 or at least 8"),
    "every 0": (["--every", "0"], "every=0 must be at least 1"),
    "rate of the score": (["--score_learning_rate", "-1"], "score_learning_rate=-1.0 must be above 0"),
    "adapters": (["--use_peft"], "a study trains all weights"),
    "half precision": (["--dtype", "bfloat16"], "what one step changes is lost in half precision"),
    "another configuration of a model": (["--model_name_or_path", "m"], "has its own"),
    "no such model": (["--model_name_or_path", "no/such", "--config_overrides", ""], "No tokenizer can be loaded"),
    "no value of the configuration": (["--config_overrides", "hidden"], "'hidden' has no value"),
    "short rows": (["--max_length", "8"], "max_length=8 must be at least 16"),
    "no such dataset": (["--dataset_name", "no/such/set.jsonl"], "cannot be loaded"),
    "no such config": (["--config", "absent.yaml"], "there is no such file"),
}


@pytest.mark.parametrize("case", BAD_WORDS)
def test_bad_words(refused, case):
    words, message = BAD_WORDS[case]
    assert message in refused(*words)


def test_a_machine_without_usable_python_files_is_told(refused, monkeypatch):
    monkeypatch.setattr("hf_select.study.corpus.installed_files", lambda *_: [])
    assert "dataset_name='installed' gave no text" in refused("--dataset_name", "installed")


def test_a_folder_without_text_is_told(refused, tmp_path):
    (tmp_path / "c.jsonl").write_text('{"content": "   "}\n')
    assert "gave no text" in refused("--dataset_name", str(tmp_path))


def test_a_folder_with_another_run_is_not_overwritten(refused, tmp_path):
    (tmp_path / "run" / "stages").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    assert "already holds a run" in refused()
    assert "was run with other settings" in refused("--resume")
