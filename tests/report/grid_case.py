"""The results of a comparison, made by hand."""

from typing import Any


def cell(method: str, budget: str, seed: int, accuracy: float, **more: Any) -> dict[str, Any]:
    return {
        "method": method, "budget": budget, "seed": seed, "accuracy": accuracy, "f1": accuracy - 0.1,
        "n_asked": 10, "n_picked": 10, "rows": 15, "steps": 5, "tokens": 100, "selection_seconds": 2.0,
        "training_seconds": 6.0, "peak_memory_bytes": 10**6, "validation_loss": 0.6, **more,
    }  # fmt: skip


def results(n_seeds: int = 3, budgets: tuple[str, ...] = ("1%", "5%"), **more: Any) -> dict[str, Any]:
    """Random around .60, ``entropy`` clearly above it, ``k_means`` in it; all rows at .90."""
    cells = []
    for seed in range(n_seeds):
        for place, budget in enumerate(budgets):
            noise = 0.01 * (seed - 1) + 0.05 * place
            cells += [
                cell("random", budget, seed, 0.60 + noise, selection_seconds=0.1),
                cell("entropy", budget, seed, 0.75 + noise + 0.001 * seed),
                cell("k_means", budget, seed, 0.60 + noise + 0.004 * (seed % 2 or -1)),
            ]
        cells.append(cell("full", "100%", seed, 0.90, n_picked=95, n_asked=100, rows=100))
    from hf_select.grid.results import arms_of

    return {
        "recipe": "dsbox",
        "command": "accelerate launch recipes/dsbox.py",
        "created": "2026-01-01T00:00:00+00:00",
        "versions": {"hf_select": "0.1.0"},
        "config": {"learning_rate": 5e-5},
        "dataset": {"name": "rows.jsonl", "n_rows": 120, "n_classes": 2, "n_test": 10, "n_pool": 100, "n_labelled": 5},
        "measures": ["accuracy", "f1"],
        "methods": ["random", "entropy", "k_means"],
        "budgets": list(budgets),
        "budget_rows": {budget: (1 + 4 * place) for place, budget in enumerate(budgets)},
        "seeds": list(range(n_seeds)),
        "families": {"random": "representativeness", "entropy": "uncertainty", "k_means": "representativeness"},
        "method_fields": {"entropy": {"name": "entropy"}},
        "left_out": {"ifd": "'ifd' does not serve classification models: no response."},
        "cells": cells,
        "arms": arms_of(cells),
        **more,
    }
