"""The contract of a method: signals in, picks out. The only place in the library that sorts rows by score.

A method is a frozen dataclass whose fields are its whole configuration. It never runs a model and never sees text:
it declares the signals it needs, and ``extract`` reads them once for all methods.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hf_select.errors import BudgetError, InvalidScoresError
from hf_select.signals.keys import Indices, Mask, Signal, Task
from hf_select.signals.table import Signals

__all__ = [
    "Exclusions", "Family", "Method", "Picks", "Scorer", "Scores", "Task", "Want", "top_k",
]  # fmt: skip

Scores: TypeAlias = NDArray[np.float64]
Exclusions: TypeAlias = Mapping[str, Mask]


class Family(str, Enum):
    """What a method looks at."""

    UNCERTAINTY = "uncertainty"
    REPRESENTATIVENESS = "representativeness"
    QUALITY = "quality"
    MIXED = "mixed"


class Picks(NamedTuple):
    """What a method picked.

    Attributes:
        indices: ``(k,)`` row ids, best first, distinct.
        scores: ``(k,)`` what ranked each pick; higher = picked earlier.
    """

    indices: Indices
    scores: Scores


class Want(NamedTuple):
    """What a method must still be told before it can pick.

    Attributes:
        signals: which signals.
        rows: ``(m,)`` row ids they are to be read for, ascending; the others stay NaN.
    """

    signals: frozenset[Signal[Any]]
    rows: Indices


class Method(ABC):
    """A way to pick rows. Subclasses are frozen dataclasses that implement ``needs`` and ``choose``.

    Class attributes: ``name`` is the registry key, ``ordered`` says that the first ``j`` picks for ``k`` are the picks
    for ``j`` (only then a token budget has a meaning), ``tasks`` for which kinds of model the method is sound and
    ``unsuited`` why it is not for the others, with the nearest alternative. A method whose signals differ between the
    kinds has a field ``task``.
    """

    name: ClassVar[str]
    family: ClassVar[Family]
    citation: ClassVar[str]
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)
    unsuited: ClassVar[Mapping[Task, str]] = {}
    ordered: ClassVar[bool] = True

    @property
    @abstractmethod
    def needs(self) -> frozenset[Signal[Any]]:
        """Signals that the method reads."""

    @property
    def reference_needs(self) -> frozenset[Signal[Any]]:
        """Signals of the reference rows that the method reads (``signals.reference``)."""
        return frozenset()

    @property
    def needs_reference(self) -> bool:
        """Whether the method aims at a reference set, in its signals or in a pass that reads them."""
        return bool(self.reference_needs)

    @property
    def needs_at_first(self) -> frozenset[Signal[Any]]:
        """Signals that are read for all candidates and labelled rows; ``wants`` asks for the rest of ``needs``."""
        return self.needs

    def wants(self, signals: Signals, k: int, rng: np.random.Generator) -> Want | None:  # noqa: ARG002
        """What must be read next, given what is there already; asked again until the answer is ``None``.

        Args:
            signals: what was read so far, ``needs_at_first`` at least.
            k: how many rows will be picked.
            rng: in the state that ``pick`` will be given.

        Returns:
            Signals and the rows they are needed for; ``None`` if nothing is missing.
        """
        return None

    @abstractmethod
    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:
        """Pick ``k`` of the eligible ``rows``.

        Args:
            signals: the declared signals of all rows of the dataset.
            rows: ``(M,)`` eligible row ids, ascending, ``M >= k``.
            k: how many to pick, at least 1.
            rng: the only source of randomness.

        Returns:
            The picks, as row ids of the dataset.
        """

    def exclusions(self, signals: Signals) -> Exclusions:  # noqa: ARG002 (the default excludes nothing)
        """Rows the method itself may not pick: ``(N,)`` bool masks by reason."""
        return {}

    def eligible(self, signals: Signals) -> Indices:
        """Row ids that may be picked, ascending: candidates less labelled rows and the method's own exclusions."""
        keep = np.ones(signals.n_rows, dtype=bool) if signals.candidates is None else signals.candidates.copy()
        if signals.labelled is not None:
            keep &= ~signals.labelled
        for mask in self.exclusions(signals.only(self.needs, self.reference_needs)).values():
            keep &= ~mask
        return np.flatnonzero(keep).astype(np.int64)

    def pick(self, signals: Signals, k: int, rng: np.random.Generator) -> Picks:
        """Pick ``k`` rows.

        Args:
            signals: signals of all rows of the dataset; only those in ``needs`` reach the method.
            k: how many rows to pick.
            rng: source of randomness; global random state stays untouched.

        Returns:
            Distinct row ids in selection order with their scores; fewer than ``k`` (with a warning that gives both
            numbers) if fewer rows are eligible.

        Raises:
            BudgetError: if ``k`` is below 1 or above the number of rows.
        """
        if not 1 <= k <= signals.n_rows:
            raise BudgetError(
                f"Asked {self.name!r} for {k} rows of {signals.n_rows}; give a number in 1..{signals.n_rows}."
            )
        rows = self.eligible(signals)
        if k > len(rows):
            warnings.warn(
                f"{self.name}: {k} rows were asked for and only {len(rows)} are eligible; all of those are taken.",
                stacklevel=2,
            )
        if len(rows) == 0:
            return Picks(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))
        return self.choose(signals.only(self.needs, self.reference_needs), rows, min(k, len(rows)), rng)

    def config(self) -> dict[str, Any]:
        """Name and fields as plain data; ``make(**method.config())`` is the same method."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]  # every method is a dataclass


class Scorer(Method):
    """A method that judges every row alone; subclasses implement ``score``."""

    @abstractmethod
    def score(self, signals: Signals) -> Scores:
        """Score every row.

        Args:
            signals: the declared signals.

        Returns:
            ``(N,)`` scores, higher = kept first; NaN where a row has none.
        """

    def exclusions(self, signals: Signals) -> Exclusions:
        """Rows without a finite score."""
        return {"no finite score": ~np.isfinite(self.score(signals))}

    def choose(self, signals: Signals, rows: Indices, k: int, rng: np.random.Generator) -> Picks:  # noqa: ARG002
        """The ``k`` eligible rows with the highest score; ties go to the lower row id."""
        return top_k(self.score(signals), rows, k)


def top_k(scores: Scores, rows: Indices, k: int) -> Picks:
    """Rank rows by score, best first; ties go to the lower row id.

    Args:
        scores: ``(N,)`` scores of all rows, higher = earlier.
        rows: ``(M,)`` row ids to rank, ascending.
        k: how many to keep, at most ``M``.

    Returns:
        The first ``k`` of them.

    Raises:
        InvalidScoresError: if a row to rank has no finite score.
    """
    ranked = np.asarray(scores, dtype=np.float64)[rows]
    if not np.isfinite(ranked).all():
        bad = rows[~np.isfinite(ranked)]
        raise InvalidScoresError(
            f"{len(bad)} rows have no finite score (first: {bad[:5].tolist()}); exclude them before ranking."
        )
    order = np.argsort(-ranked, kind="stable")[:k]
    return Picks(rows[order], ranked[order])
