"""Input that cannot be used ends before long work, with an error that names the remedy."""

import json

import pytest

from tests.recipes.dsbox_case import load_recipe, make_inputs


@pytest.fixture(scope="module")
def recipe():
    return load_recipe()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"), 80)


@pytest.fixture
def refused(recipe, inputs, tmp_path, capsys, monkeypatch):
    """Run the recipe on something bad; give what it says. Nothing may be trained for that."""

    def run(*words):
        monkeypatch.setattr("transformers.Trainer.train", lambda *_, **__: pytest.fail("long work began"))
        assert recipe.main([*inputs, "--output_dir", str(tmp_path / "run"), *words]) == 2
        return capsys.readouterr().err

    return run


BAD_WORDS = {
    "unknown method": (["--methods", "k_meens"], "UnknownNameError: Unknown method 'k_meens'. Did you mean 'k_means'"),
    "unknown argument": (["--budget", "1%"], "Unknown argument 'budget'. Did you mean 'budgets'"),
    "no method": (["--methods", ","], "names no method"),
    "push": (["--push_to_hub", "True"], "ConfigError: push_to_hub: this recipe trains many models"),
    "budget 0": (["--budgets", "0"], "BudgetError: budget=0"),
    "budget above 100 %": (["--budgets", "140%"], "budget='140%' is not a fraction in (0, 1]"),
    "budget above what is left": (["--budgets", "100%"], "are left to pick"),
    "budget above the pool": (["--budgets", "1000"], "above the pool of"),
    "budget in tokens": (["--budgets", "2k tokens"], "compared at equal rows"),
    "bad seed": (["--seeds", "x"], "ConfigError: seeds='x'"),
    "unknown task": (["--task", "regression"], "Unknown task 'regression'"),
    "no pool": (["--test_fraction", "0.6", "--validation_fraction", "0.4"], "leave no pool"),
    "seed fraction 0": (["--seed_fraction", "0"], "seed_fraction=0.0"),
    "unknown group column": (["--group_column", "functoin"], "No column 'functoin' to group by"),
    "unknown column": (["--columns", "prompt=cod,label=label"], "No column 'cod'"),
    "no response to learn": (["--task", "causal_lm", "--benchmarks", ""], "Give --task classification"),
    "adapters for a classifier": (["--use_peft"], "use_peft serves --task causal_lm"),
    "no such dataset": (["--dataset_name", "no/such/set.jsonl"], "cannot be loaded"),
    "no such test set": (["--test_dataset_name", "no/such/set.jsonl"], "cannot be loaded"),
    "no such model": (["--model_name_or_path", "no/such/model"], "No tokenizer can be loaded from 'no/such/model'"),
    "no such config": (["--config", "absent.yaml"], "there is no such file"),
    "the demo's model for other rows": (["--model_name_or_path", "demo"], "name an encoder for your rows"),
}


@pytest.mark.parametrize("case", BAD_WORDS)
def test_bad_words(refused, case):
    words, message = BAD_WORDS[case]
    assert message in refused(*words)


def test_weights_spread_over_processes_are_refused(refused, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert "launch it with --config_file recipes/accelerate/ddp.yaml" in refused()


def test_rows_without_labels_are_refused(refused, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p{row}", "completion": "c"}) + "\n" for row in range(9)))
    said = refused("--dataset_name", str(path), "--columns", "prompt=prompt,response=completion")
    assert "needs a text and a label" in said
    assert "--columns prompt=TEXT,label=LABEL" in said


def test_a_folder_that_holds_a_run_is_left_alone(refused, tmp_path):
    (tmp_path / "run" / "stages").mkdir(parents=True)
    (tmp_path / "run" / "config.json").write_text("{}")
    assert "Go on with it by --resume, delete it by --overwrite_output_dir" in refused()
    assert "was run with other settings" in refused("--resume")


def test_help_helps(recipe, capsys):
    with pytest.raises(SystemExit) as ended:
        recipe.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "accelerate launch recipes/dsbox.py" in text
    assert all(word in text for word in ("--methods", "--budgets", "--seeds", "--resume", "--seed_fraction"))
