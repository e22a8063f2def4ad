"""pass@k during a real ``Trainer`` run: logged, handed to the metrics, and without a trace in the training."""

import pytest
import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments

from hf_select.callbacks import PassAtKCallback
from hf_select.demo import build_model, train_tokenizer
from hf_select.errors import ConfigError
from hf_select.evaluation.problem import Problem
from hf_select.training import DynamicPackCollator, packed_attention

ANSWER = "    return x + 1\n"


@pytest.fixture(scope="module")
def problem():
    return Problem(
        task_id="Tiny/0",
        prompt="def increment(x):\n",
        entry_point="increment",
        canonical_solution=ANSWER,
        tests=("def check(candidate):\n    assert candidate(1) == 2\n", "check(increment)"),
    )


@pytest.fixture(scope="module")
def tokenizer(problem):
    return train_tokenizer([problem.prompt + ANSWER] * 4, 260)


def train(tokenizer, problem, folder, callbacks, **settings):
    model = build_model(tokenizer, hidden=32, layers=1, heads=2)
    prompt, answer = tokenizer(problem.prompt).input_ids, [*tokenizer(ANSWER).input_ids, tokenizer.eos_token_id]
    row = {"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}
    args = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=2, max_steps=60, learning_rate=1e-2, report_to="none",
        use_cpu=True, dataloader_pin_memory=False, remove_unused_columns=False, disable_tqdm=True, logging_steps=20,
        save_strategy="no", **settings,
    )  # fmt: skip
    rows = Dataset.from_list([row] * 4)
    with packed_attention(model):
        trainer = Trainer(
            model, args, train_dataset=rows, eval_dataset=rows, data_collator=DynamicPackCollator(tokenizer, 128),
            processing_class=tokenizer, callbacks=callbacks,
        )  # fmt: skip
        trainer.train()
        metrics = trainer.evaluate() if settings else {}
    return trainer, metrics


def test_a_model_that_learns_the_answer_goes_from_0_to_1_and_trains_as_without(tokenizer, problem, sandbox, tmp_path):
    callback = PassAtKCallback([problem], every=30, sandbox=sandbox, max_new_tokens=24)
    trainer, _ = train(tokenizer, problem, tmp_path / "with", [callback])
    assert [entry["step"] for entry in callback.results] == [30, 60]
    assert callback.results[-1]["pass@1"] == 1.0
    assert callback.results[-1]["counts"] == {"passed": 1}
    logged = [entry for entry in trainer.state.log_history if "eval_pass@1" in entry]
    assert [entry["step"] for entry in logged] == [30, 60]
    plain, _ = train(tokenizer, problem, tmp_path / "without", [])
    for one, other in zip(trainer.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_with_every_evaluation_it_is_one_of_the_metrics(tokenizer, problem, sandbox, tmp_path):
    callback = PassAtKCallback([problem], sandbox=sandbox, max_new_tokens=24)
    _, metrics = train(tokenizer, problem, tmp_path, [callback], eval_strategy="steps", eval_steps=30)
    assert metrics["eval_pass@1"] == 1.0
    assert [entry["step"] for entry in callback.results] == [30, 60, 60]


def test_without_the_users_word_or_with_a_wrong_number_nothing_starts(problem, monkeypatch):
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL", raising=False)
    with pytest.raises(ConfigError, match="needs your word"):
        PassAtKCallback([problem])
    with pytest.raises(ConfigError, match=r"^every=0"):
        PassAtKCallback([problem], every=0, allow_code_eval=True)
