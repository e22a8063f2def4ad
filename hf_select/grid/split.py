"""How the rows of one seed are divided: test, validation, pool, and the few rows of the pool that are labelled before.

    dataset   t t t | v v | p p p p p p p p p p p        row ids of the dataset
                            . x . . . . x . . . .        x = labelled before (row ids of the pool)

What belongs together (a function and its faulty twin, the files of a project, equal texts) is never divided.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from hf_select.budget import Budget
from hf_select.errors import ConfigError
from hf_select.signals.keys import Indices, Mask

_MIN_SEED_ROWS = 8  # where rows have no classes


@dataclass(frozen=True)
class Split:
    """The parts of a dataset for one seed.

    Attributes:
        test: row ids of the dataset; empty where test rows were given.
        validation: row ids of the dataset.
        pool: row ids of the dataset that methods pick from, ascending: row ``i`` of the pool is row ``pool[i]``.
        labelled: ``(len(pool),)`` bool, rows of the pool that are labelled before any method picks.
        n_dropped: rows left out of pool and validation because a test or validation row has the same text.
    """

    test: Indices
    validation: Indices
    pool: Indices
    labelled: Mask
    n_dropped: int


@dataclass(frozen=True)
class Shares:
    """How much goes where.

    Attributes:
        test: share of the rows, 0 where test rows were given.
        validation: share of the rows.
        labelled: share of the pool.
        min_labelled_per_class: rows of each class at least.
    """

    test: float
    validation: float
    labelled: float
    min_labelled_per_class: int

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing.

        Raises:
            ConfigError: if a share is not in [0, 1), one that must be above 0 is 0, or test and validation take all.
        """
        for name, value, least in (("test", self.test, False), ("validation", self.validation, True)):
            if not 0 <= value < 1 or (least and value == 0):
                raise ConfigError(f"{name}_fraction={value!r} is not a share above 0 and below 1; give one.")
        if not 0 < self.labelled < 1:
            raise ConfigError(f"seed_fraction={self.labelled!r} is not a share above 0 and below 1; give one.")
        if self.test + self.validation >= 1:
            raise ConfigError(
                f"test_fraction={self.test} and validation_fraction={self.validation} leave no pool; lower them."
            )
        if self.min_labelled_per_class < 1:
            raise ConfigError(f"min_seed_rows_per_class={self.min_labelled_per_class} must be at least 1.")


def split_rows(
    texts: Sequence[str],
    groups: Sequence[Hashable],
    labels: Sequence[int] | None,
    shares: Shares,
    rng: np.random.Generator,
    *,
    test_texts: Sequence[str] = (),
) -> Split:
    """Divide the rows of a dataset.

    Args:
        texts: ``N`` texts; no text of the pool is one of validation or test.
        groups: ``N`` keys; rows of one key stay on one side.
        labels: ``N`` classes; ``None`` where rows have none.
        shares: how much goes where.
        rng: the only source of randomness.
        test_texts: texts of test rows that were given.

    Returns:
        The parts.

    Raises:
        ConfigError: if there are too few rows or groups to fill every part, or a part lacks a class.
    """
    numbers = _numbers(groups)
    order = rng.permutation(int(numbers.max()) + 1 if len(numbers) else 0)
    sizes = np.bincount(numbers, minlength=len(order))[order]
    n_before = np.cumsum(sizes) - sizes
    n_test = round(shares.test * len(texts))
    n_held_out = n_test + max(1, round(shares.validation * len(texts)))
    part_of_group = np.select([n_before < n_test, n_before < n_held_out], [1, 2], 0)
    part = part_of_group[np.argsort(order)][numbers]

    test, validation, pool = (np.flatnonzero(part == number) for number in (1, 2, 0))
    seen = {*test_texts, *(texts[row] for row in test.tolist())}
    kept_validation = _without(validation, texts, seen)
    kept_pool = _without(pool, texts, seen | {texts[row] for row in kept_validation.tolist()})
    n_dropped = len(validation) + len(pool) - len(kept_validation) - len(kept_pool)
    _check_parts({"test": test, "validation": kept_validation, "pool": kept_pool}, labels, shares)
    labelled = _draw_labelled(kept_pool, labels, shares, rng)
    return Split(test, kept_validation, kept_pool, labelled, n_dropped)


def _numbers(groups: Sequence[Hashable]) -> Indices:
    """The groups numbered in the order in which they first occur."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(group, len(known)) for group in groups], dtype=np.int64)


def _without(rows: Indices, texts: Sequence[str], seen: set[str]) -> Indices:
    return np.array([row for row in rows.tolist() if texts[row] not in seen], dtype=np.int64)


def _check_parts(parts: dict[str, Indices], labels: Sequence[int] | None, shares: Shares) -> None:
    """Every part has rows, and rows of two classes where rows have classes."""
    for name, rows in parts.items():
        if name == "test" and shares.test == 0:
            continue
        if len(rows) == 0:
            sizes = {part: len(rows) for part, rows in parts.items()}
            raise ConfigError(
                f"The {name} split has no rows ({sizes}): there are too few rows, or too few groups of rows that "
                f"belong together. Give more rows, other fractions or another --group_column."
            )
        classes = {labels[row] for row in rows} if labels is not None else {0, 1}
        if len(classes) < 2:
            raise ConfigError(
                f"All {len(rows)} rows of the {name} split are of class {classes.pop()}, so nothing can be told apart. "
                f"Give more rows, another fraction or another seed."
            )


def _draw_labelled(pool: Indices, labels: Sequence[int] | None, shares: Shares, rng: np.random.Generator) -> Mask:
    """Random rows of the pool, and further ones of each class that is short of them."""
    order = rng.permutation(len(pool))
    n_drawn = Budget.fraction(shares.labelled).n_rows(len(pool))
    if labels is None:
        n_drawn = min(max(n_drawn, _MIN_SEED_ROWS), len(pool))
    mask = np.zeros(len(pool), dtype=bool)
    mask[order[:n_drawn]] = True
    if labels is not None:
        classes = np.array([labels[row] for row in pool])
        for label in np.unique(classes):
            of_class = order[classes[order] == label]
            mask[of_class[: shares.min_labelled_per_class]] = True
    if mask.all():
        raise ConfigError(
            f"All {len(pool)} rows of the pool would be labelled before, so there is nothing to pick. Give more rows, "
            f"a lower --seed_fraction or fewer --min_seed_rows_per_class."
        )
    return mask
