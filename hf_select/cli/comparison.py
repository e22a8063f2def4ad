"""Selections of several methods, budgets and seeds on one reading, and their overlaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from hf_select.cli.reading import Reading
from hf_select.overlap import Overlap, overlap
from hf_select.selection import Selection

RECORD_FILE = "compare.json"


@dataclass(frozen=True)
class Comparison:
    """Selections by budget, method and seed.

    Attributes:
        reading: the signals that all of them were picked from.
        seeds: the seeds.
        selections: the selections by (budget, method, seed), the budget as text.
    """

    reading: Reading
    seeds: tuple[int, ...]
    selections: Mapping[tuple[str, str, int], Selection]

    @classmethod
    def of(cls, reading: Reading, seeds: Sequence[int]) -> Comparison:
        """Pick rows by every method of the inputs under every budget with every seed.

        Args:
            reading: the signals.
            seeds: the seeds.

        Returns:
            The comparison.
        """
        inputs = reading.inputs
        todo = list(product(inputs.budgets, inputs.methods.items(), seeds))
        shown = inputs.extraction.options.progress
        selections = {
            (str(budget), name, seed): reading.select(method, budget, seed)
            for budget, (name, method), seed in tqdm(todo, desc="picks", unit="selection", disable=not shown)
        }
        return cls(reading, tuple(seeds), selections)

    @property
    def budgets(self) -> list[str]:
        """The budgets as text."""
        return [str(budget) for budget in self.reading.inputs.budgets]

    @property
    def methods(self) -> list[str]:
        """Names of the methods."""
        return list(self.reading.inputs.methods)

    def overlaps(self) -> dict[str, list[Overlap]]:
        """For every budget what the methods have in common, one entry per seed."""
        n_candidates = self.reading.inputs.n_candidates
        return {
            budget: [
                overlap({name: self.selections[budget, name, seed] for name in self.methods}, n_candidates=n_candidates)
                for seed in self.seeds
            ]
            for budget in self.budgets
        }

    def agreement(self, budget: str, method: str) -> float:
        """What the picks of one method with different seeds have in common.

        Args:
            budget: the budget as text.
            method: name of the method.

        Returns:
            Mean share over all pairs of seeds; NaN for one seed.
        """
        picks = {str(seed): self.selections[budget, method, seed] for seed in self.seeds}
        shares = overlap(picks).fraction[np.triu_indices(len(picks), 1)]
        return float(shares.mean()) if len(shares) else float("nan")

    def record(self, warned: Sequence[str]) -> dict[str, Any]:
        """Everything as plain data.

        Args:
            warned: what was warned of.

        Returns:
            The record.
        """
        inputs = self.reading.inputs
        return {
            "dataset": inputs.name,
            "n_rows": inputs.n_rows,
            "n_candidates": inputs.n_candidates,
            "methods": {name: method.config() for name, method in inputs.methods.items()},
            "budgets": self.budgets,
            "seeds": list(self.seeds),
            "seconds": {step: round(spent, 3) for step, spent in self.reading.seconds.items()},
            "selections": [
                {
                    "budget": budget,
                    "method": name,
                    "seed": seed,
                    "n_picked": len(selection),
                    "excluded": selection.provenance["excluded"],
                    "seconds": selection.provenance["seconds"],
                    "folder": place(budget, name, seed),
                }
                for (budget, name, seed), selection in self.selections.items()
            ],
            "overlaps": [
                {"budget": budget, "seed": seed, **pair}
                for budget, found in self.overlaps().items()
                for seed, counted in zip(self.seeds, found, strict=True)
                for pair in counted.pairs()
            ],
            "warnings": list(warned),
        }


def place(budget: str, method: str, seed: int) -> str:
    """Folder of one selection below the output folder.

    Args:
        budget: the budget as text.
        method: name of the method.
        seed: the seed.

    Returns:
        A relative path without characters that shells or links take for their own.
    """
    return f"selections/{budget.replace('%', 'pct').replace('/', '_of_').replace(' ', '-')}/{method}/seed-{seed}"
