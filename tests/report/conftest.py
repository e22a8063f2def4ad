"""Results of an imaginary run, small enough to check by eye."""

import copy

import pytest

FULL = {
    "name": "full",
    "method": "full",
    "budget": None,
    "gated": False,
    "rows": 3000,
    "tokens": 120_000,
    "steps": 752,
    "selection_seconds": 0.0,
    "training_seconds": 34.25,
    "padding_fraction": 0.0725,
    "peak_memory_bytes": 512_400_000,
    "validation_loss": 0.28671,
    "pass_at_1": 0.83,
    "pass_at_1_interval": [0.772, 0.876],
    "n_problems": 200,
    "seeds": [0],
    "per_seed": [],
}
RANDOM = FULL | {
    "name": "random:40%",
    "method": "random",
    "budget": "40%",
    "rows": 1200,
    "tokens": 48_000,
    "steps": 304,
    "selection_seconds": 0.01,
    "training_seconds": 14.0,
    "validation_loss": 0.44,
    "pass_at_1": 0.555,
    "pass_at_1_interval": [0.486, 0.622],
}
GATED = RANDOM | {"name": "gates+random:40%", "gated": True, "pass_at_1": 0.865, "pass_at_1_interval": [0.811, 0.906]}
CDAS = GATED | {
    "name": "gates+cdas:40%",
    "method": "cdas",
    "selection_seconds": 120.4,
    "pass_at_1": 0.88,
    "pass_at_1_interval": [0.828, 0.918],
}


@pytest.fixture
def results():
    """One seed, four arms, everything measured."""
    return copy.deepcopy(
        {
            "recipe": "codeact",
            "command": "accelerate launch recipes/codeact.py",
            "created": "2025-01-01T00:00:00+00:00",
            "versions": {"torch": "2.13.0"},
            "config": {"learning_rate": 0.003},
            "dataset": {"name": "demo", "n_rows": 3000},
            "gates": {"duplicate": 1093, "fails its tests": 450},
            "junk_fraction": 0.55,
            "sandbox_level": "process",
            "arms": [FULL, RANDOM, GATED, CDAS],
        }
    )


@pytest.fixture
def not_executed(results):
    """The same run without consent to execute code."""
    for arm in results["arms"]:
        arm.update(pass_at_1=None, pass_at_1_interval=None, n_problems=0)
    return results | {"sandbox_level": None}


def with_seeds(arm: dict, rates: list[float], **changes) -> dict:
    """An arm with one record per seed."""
    records = [{"seed": seed, "pass_at_1": rate, "n_problems": 200} for seed, rate in enumerate(rates)]
    return {**arm, **changes, "seeds": list(range(len(rates))), "per_seed": records, "n_problems": 200 * len(rates)}
