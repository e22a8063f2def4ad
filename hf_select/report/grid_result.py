"""The cells of a comparison: methods x budgets x seeds, and how one number is read from them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hf_select.report.result import Arm, Spread
from hf_select.report.significance import Difference, difference, holm

RANDOM, FULL = "random", "full"
LOWER_IS_BETTER = frozenset({"validation_loss"})
NAMES = {"accuracy": "accuracy", "f1": "F1", "pass_at_1": "pass@1", "validation_loss": "validation loss"}


@dataclass(frozen=True)
class Grid:
    """What a comparison measured.

    Attributes:
        cells: one record per method, budget and seed with ``method``, ``budget``, ``seed`` and the measures; a cell
            that failed has an ``error`` instead.
        methods: names of the methods, random among them, in the order to show.
        budgets: budgets as they are written, in the order to show.
        measures: names of the measures that decide, first the one that is drawn.
    """

    cells: Sequence[Mapping[str, Any]]
    methods: Sequence[str]
    budgets: Sequence[str]
    measures: Sequence[str]

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> Grid:
        """The grid of the content of ``results.json``."""
        return cls(results["cells"], results["methods"], results["budgets"], results["measures"])

    @cached_property
    def _records(self) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
        records: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for cell in self.cells:
            records.setdefault((cell["method"], cell["budget"]), []).append(cell)
        return records

    def values(self, method: str, budget: str, measure: str) -> dict[int, float]:
        """Values of a measure by seed; cells that failed or did not measure it have none.

        Args:
            method: name of the method.
            budget: the budget as it is written.
            measure: name of the measure.

        Returns:
            Finite values by seed.
        """
        found = {cell["seed"]: cell.get(measure) for cell in self._records.get((method, budget), ())}
        return {seed: float(value) for seed, value in found.items() if _is_number(value)}  # type: ignore[arg-type]  # checked

    def spread(self, method: str, budget: str, measure: str) -> Spread | None:
        """Mean and standard deviation over the seeds; ``None`` if nothing was measured."""
        values = list(self.values(method, budget, measure).values())
        if not values:
            return None
        return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))

    def full(self, measure: str) -> Spread | None:
        """The measure after training on the whole pool; ``None`` if that was not done."""
        return self.spread(FULL, "100%", measure)

    def differences(self, budget: str, measure: str) -> dict[str, tuple[Difference, float | None]]:
        """Every method against random at one budget.

        Args:
            budget: the budget as it is written.
            measure: name of the measure.

        Returns:
            The difference by method, and its p adjusted (Holm) for the number of methods at this budget.
        """
        random = self.values(RANDOM, budget, measure)
        found = {
            method: known
            for method in self.methods
            if method != RANDOM and (known := difference(self.values(method, budget, measure), random)) is not None
        }
        adjusted = holm({method: known.p_value for method, known in found.items()})
        return {method: (known, adjusted[method]) for method, known in found.items()}

    @property
    def arms(self) -> list[Arm]:
        """Every method and budget with the cells of all seeds, those that failed left out."""
        return [
            Arm(name=method if method == FULL else f"{method}:{budget}", per_seed=done)
            for (method, budget), cells in self._records.items()
            if (done := [cell for cell in cells if not cell.get("error")])
        ]

    @property
    def n_seeds(self) -> int:
        """Number of seeds of the run."""
        return len({cell["seed"] for cell in self.cells})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
