"""Sets of labelled rows that stand before a row as demonstrations: which ones, and as which tokens.

The sets are shared by all rows, so that what the model says of two rows differs by the rows alone. A row that is
labelled itself is not shown to itself: the next labelled row of that set's order takes its place.

Where not everything fits into the model's context, each demonstration is cut to an equal share of it, and the row to
what they leave, which is at least as much.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hf_select.errors import ConfigError
from hf_select.rows import Row
from hf_select.signals.identity import key_of, segments_hash
from hf_select.signals.plan import Segment, TokenIds
from hf_select.signals.source import Source

logger = logging.getLogger("hf_select")


@dataclass(frozen=True)
class DemonstrationSets:
    """Demonstrations in the order they are shown.

    Attributes:
        texts: the text of each labelled row that is in a set, all different.
        pieces: its tokens as a demonstration, the separator included.
        orders: for each set, those that come into question, in the order they are shown.
        n_demonstrations: how many are shown.
    """

    texts: Sequence[str]
    pieces: Sequence[TokenIds]
    orders: Sequence[Sequence[int]]
    n_demonstrations: int

    def before(self, text: str, number: int) -> TokenIds:
        """The tokens that stand before a row.

        Args:
            text: the row's own text, which is not shown.
            number: number of the set.

        Returns:
            Its demonstrations, one after the other.
        """
        return np.concatenate([self.pieces[shown] for shown in self._shown(text, number)])

    def n_before(self, text: str) -> int:
        """How many tokens stand before a row at most, over all sets.

        Args:
            text: the row's own text.

        Returns:
            Tokens.
        """
        shown = (self._shown(text, number) for number in range(len(self.orders)))
        return max(sum(len(self.pieces[one]) for one in ones) for ones in shown)

    @property
    def max_tokens(self) -> int:
        """Tokens of a set at most, whatever row it stands before."""
        lengths = [sorted(len(self.pieces[one]) for one in order)[-self.n_demonstrations :] for order in self.orders]
        return max(map(sum, lengths))

    @cached_property
    def identity(self) -> str:
        """Hash of what is shown to whom."""
        none = np.empty(0, dtype=np.int32)
        shown = segments_hash([Segment(piece, none) for piece in self.pieces])
        return key_of([list(self.texts), shown, [list(order) for order in self.orders], self.n_demonstrations])

    def _shown(self, text: str, number: int) -> list[int]:
        others = [shown for shown in self.orders[number] if self.texts[shown] != text]
        return others[: self.n_demonstrations]


def row_text(row: Row) -> str:
    """What tells a row from others: its prompt, or its response where it has no prompt.

    Args:
        row: the row.

    Returns:
        The text.
    """
    return row.prompt or row.response


def only_drawn(orders: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """The labelled rows that are in a set, and the sets in terms of them.

    Args:
        orders: for each set, which labelled rows come into question.

    Returns:
        Those that do in any set, ascending, and the orders as positions in them.
    """
    drawn = sorted({row for order in orders for row in order})
    position = {row: new for new, row in enumerate(drawn)}
    return drawn, [[position[row] for row in order] for order in orders]


def split_lead(ids: TokenIds, context: int | None) -> tuple[TokenIds, TokenIds]:
    """The token that stands for "nothing before", which goes before the demonstrations, and the rest.

    Args:
        ids: tokens of a text.
        context: that token; ``None`` for none.

    Returns:
        At most one token, and the others.
    """
    n_lead = int(context is not None and len(ids) > 0 and ids[0] == context)
    return ids[:n_lead], ids[n_lead:]


def distinct_rows(labelled: Sequence[Row], rows: Sequence[Row], n_demonstrations: int) -> list[Row]:
    """Labelled rows of different texts, checked to suffice.

    Args:
        labelled: labelled rows; of equal texts the first counts.
        rows: the rows that they are to be shown before.
        n_demonstrations: how many of them each row needs, itself not counted.

    Returns:
        They, in order.

    Raises:
        ConfigError: if there are too few.
    """
    distinct: dict[str, Row] = {}
    for row in labelled:
        distinct.setdefault(row_text(row), row)
    needed = n_demonstrations + any(row_text(row) in distinct for row in rows)
    if len(distinct) < needed:
        raise ConfigError(
            f"n_demonstrations={n_demonstrations} needs {needed} labelled rows of different texts, so that no row is "
            f"shown to itself, but labelled= names {len(distinct)}. Name more rows, or lower n_demonstrations."
        )
    return list(distinct.values())


def draw_orders(classes: Sequence[int | None], n_sets: int, n_demonstrations: int, seed: int) -> list[list[int]]:
    """For each set the labelled rows that come into question: one more than are shown, classes as even as they go.

    Args:
        classes: class of each labelled row; all ``None`` where there are no classes.
        n_sets: sets ``L``; the first sets do not depend on how many follow.
        n_demonstrations: rows that are shown.
        seed: of the draws.

    Returns:
        ``L`` lists of different labelled rows.
    """
    members: dict[int | None, list[int]] = {}
    for index, label in enumerate(classes):
        members.setdefault(label, []).append(index)
    orders = []
    for number in range(n_sets):
        rng = np.random.default_rng([seed, number])
        waiting = [rng.permutation(rows).tolist() for rows in members.values()]
        order: list[int] = []
        while waiting and len(order) <= n_demonstrations:
            order += [waiting[turn].pop() for turn in rng.permutation(len(waiting))]
            waiting = [rows for rows in waiting if rows]
        orders.append(order[: n_demonstrations + 1])
    return orders


def context_limit(source: Source) -> int | None:
    """Tokens of demonstrations and row together.

    Args:
        source: the language model and the option ``max_length``.

    Returns:
        The smaller of what the model was made for and of ``max_length``; ``None`` for no limit.
    """
    limits = (source.max_length, source.models.n_positions)
    return min((limit for limit in limits if limit is not None), default=None)


def equal_share(limit: int | None, n_fixed: int, n_demonstrations: int) -> int | None:
    """Tokens that each demonstration, and the row at least, may have of its own.

    Args:
        limit: tokens of all together; ``None`` for no limit.
        n_fixed: how many of them are neither a demonstration's nor the row's.
        n_demonstrations: demonstrations before the row.

    Returns:
        The share; ``None`` for no limit.

    Raises:
        ConfigError: if nothing is left for them.
    """
    if limit is None:
        return None
    share = (limit - n_fixed) // (n_demonstrations + 1)
    if share < 1:
        raise ConfigError(
            f"n_demonstrations={n_demonstrations} and the row do not fit into {limit} tokens, even cut to one token "
            f"each. Lower n_demonstrations, raise max_length, or give a language model with more positions."
        )
    return share


def cut(what: str, texts: Sequence[TokenIds], limit: int | None) -> list[TokenIds]:
    """Texts cut at their ends to a number of tokens, and told how many were.

    Args:
        what: what they are, for the message.
        texts: token ids.
        limit: tokens of each at most; ``None`` for no limit.

    Returns:
        The texts.
    """
    n_cut = 0 if limit is None else sum(len(ids) > limit for ids in texts)
    if n_cut:
        logger.warning(
            "demonstrations pass: %d of %d %s are cut to %d tokens to fit into the context of the language model.",
            n_cut, len(texts), what, limit,
        )  # fmt: skip
    return [ids[:limit] for ids in texts]
