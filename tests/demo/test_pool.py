"""The pool: planted shares, nothing held out leaks, the same on every build."""

import random
from collections import Counter

import pytest

from hf_select.demo import build_pool
from hf_select.errors import ConfigError


@pytest.fixture(scope="module")
def pool():
    return build_pool(seed=3, n_rows=1000, n_test=100, n_validation=60)


def solves(row: dict, completion: str | None = None) -> bool:
    source = f"{row['prompt']}{completion or row['completion']}\n{row['tests']}\ncheck({row['entry_point']})"
    try:
        exec(source, {})
    except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError):
        return False
    return True


def test_the_shares_are_planted_exactly(pool):
    assert Counter(pool.train["origin"]) == {"ok": 450, "wrong": 150, "duplicate": 200, "trivial": 200}
    assert pool.junk_fraction == pytest.approx(0.55)
    assert len(pool.problems) == 100
    assert Counter(pool.validation["origin"]) == {"ok": 60}


def test_columns(pool):
    columns = ["prompt", "completion", "instruction", "tests", "entry_point", "level", "origin", "fault"]
    assert pool.train.column_names == pool.validation.column_names == columns
    assert {tuple(problem) for problem in pool.problems} == {
        ("task_id", "prompt", "entry_point", "canonical_solution", "test")
    }
    assert len({problem["task_id"] for problem in pool.problems}) == 100


def test_rows_pass_their_tests_unless_they_were_planted_wrong(pool):
    verdicts = Counter((row["origin"], solves(row)) for row in pool.train)
    assert verdicts == {("ok", True): 450, ("wrong", False): 150, ("duplicate", True): 200, ("trivial", True): 200}
    assert all(solves(row) for row in pool.validation)
    for problem in pool.problems:
        row = {"prompt": problem["prompt"], "tests": problem["test"], "entry_point": problem["entry_point"]}
        assert solves(row, problem["canonical_solution"])


def test_wrong_rows_are_a_mix_of_faults(pool):
    faults = Counter(row["fault"] for row in pool.train if row["origin"] == "wrong")
    assert set(faults) == {"off_by_one", "flipped_comparison", "swapped_body"}
    assert min(faults.values()) >= 15
    assert {row["fault"] for row in pool.train if row["origin"] != "wrong"} == {""}


def test_duplicates_repeat_correct_rows_to_the_letter(pool):
    def key(row):
        return row["prompt"], row["completion"], row["tests"]

    correct = [key(row) for row in pool.train if row["origin"] == "ok"]
    repeated = Counter(key(row) for row in pool.train if row["origin"] == "duplicate")
    assert len(set(correct)) == len(correct)
    assert set(repeated) <= set(correct)
    assert repeated.most_common(1)[0][1] > 20  # few rows are repeated often


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nothing_held_out_occurs_among_the_training_rows(seed):
    pool = build_pool(seed, n_rows=600, n_test=150, n_validation=100)
    prompts, bodies = set(pool.train["prompt"]), set(pool.train["completion"])
    test_prompts = {problem["prompt"] for problem in pool.problems}
    test_bodies = {problem["canonical_solution"] for problem in pool.problems}
    validation_prompts, validation_bodies = set(pool.validation["prompt"]), set(pool.validation["completion"])
    assert (len(test_bodies), len(validation_bodies)) == (150, 100)
    assert not prompts & (test_prompts | validation_prompts)
    assert not bodies & (test_bodies | validation_bodies)
    assert not test_prompts & validation_prompts
    assert not test_bodies & validation_bodies


def test_the_pool_is_a_function_of_its_arguments_and_leaves_the_global_generator():
    def content(seed):
        pool = build_pool(seed, n_rows=80, n_test=10, n_validation=10)
        return pool.train.to_list(), pool.validation.to_list(), pool.problems

    state = random.getstate()
    assert content(7) == content(7)
    assert content(7) != content(8)
    assert random.getstate() == state


def test_a_pool_without_junk():
    pool = build_pool(0, n_rows=40, wrong=0, duplicate=0, trivial=0, n_test=5, n_validation=5)
    assert set(pool.train["origin"]) == {"ok"}
    assert pool.junk_fraction == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_rows": 0}, "n_rows=0"),
        ({"wrong": -0.1}, "fractions in"),
        ({"trivial": 1.5}, "fractions in"),
        ({"wrong": 0.5, "duplicate": 0.3, "trivial": 0.2}, "leave no correct row"),
        ({"n_test": 0}, "n_test=0"),
        ({"n_validation": 0}, "n_validation=0"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        build_pool(**{"n_rows": 100, "n_test": 5, "n_validation": 5, **arguments})
