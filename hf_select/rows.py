"""Any dataset row, read as prompt and response.

Known forms, found by their column names (a mapping may be given instead):

==================  ==============================================  =======================================
form                columns                                         read as
==================  ==============================================  =======================================
``messages``        ``messages`` or ``conversations``               last assistant turn = response
``completion``      ``prompt`` + ``completion`` (or ``response``)   as they are
``alpaca``          ``instruction`` (+ ``input``) + ``output``      instruction and input, joined by a blank line
``classification``  ``text`` or ``code`` or ``func`` + ``label``    text = prompt, label = class
``text``            ``text`` or ``content``                         empty prompt, text = response
``tokens``          ``input_ids`` + ``labels``                      ids with label -100 = prompt, the rest = response
==================  ==============================================  =======================================
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hf_select.errors import ColumnError, ConfigError, RowError, did_you_mean

if TYPE_CHECKING:
    from datasets import Dataset

Form = Literal["messages", "completion", "alpaca", "classification", "text", "tokens"]
Message = Mapping[str, str]

_FORMS = (
    "'messages'; 'prompt' + 'completion'; 'instruction' (+ 'input') + 'output'; 'text' or 'code' + 'label'; 'text' or "
    "'content'; 'input_ids' + 'labels'. Or name the columns: columns={'prompt': ..., 'response': ...}"
)
_IGNORED = -100  # label of a token that the loss skips
_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant"}


class Row(NamedTuple):
    """One row of a dataset.

    Attributes:
        prompt: what the model is given; empty for plain text.
        response: what it is to learn; empty if the row has none.
        label: the class, for classification.
        messages: the turns before the response, where the row came as a conversation.
        ids: prompt and response as token ids, where the row came tokenised; its texts are empty then.
    """

    prompt: str
    response: str
    label: int | None = None
    messages: tuple[Message, ...] | None = None
    ids: tuple[Sequence[int], Sequence[int]] | None = None

    @property
    def content(self) -> Hashable:
        """What two copies of one row have in common."""
        return (self.prompt, self.response, self.label, self.ids and tuple(map(tuple, self.ids)))


@dataclass(frozen=True)
class RowFormat:
    """Which columns of a dataset hold what.

    Attributes:
        form: the kind of row.
        prompt: column of the prompt, the instruction or the conversation.
        response: column of the response.
        context: column that is appended to the prompt (alpaca's ``input``).
        label: column of the class.
    """

    form: Form
    prompt: str | None = None
    response: str | None = None
    context: str | None = None
    label: str | None = None

    @classmethod
    def detect(cls, dataset: Dataset | Sequence[str], columns: Mapping[str, str] | None = None) -> RowFormat:
        """Find the form of a dataset from its column names.

        Args:
            dataset: the dataset, or its column names.
            columns: which column is the ``prompt``, ``response``, ``context``, ``label`` or ``messages``; only these
                are used when given.

        Returns:
            The format.

        Raises:
            ConfigError: if ``columns`` is no mapping.
            RowError: if the columns fit no known form.
        """
        names = [str(name) for name in (dataset if isinstance(dataset, list | tuple) else dataset.column_names)]  # type: ignore[union-attr]
        if columns is not None and not isinstance(columns, Mapping):
            raise ConfigError(f"columns={columns!r} is not a mapping; give columns={{'prompt': ..., 'response': ...}}.")
        if columns:
            return _from_mapping(columns, names)
        for conversation in ("messages", "conversations"):
            if conversation in names:
                return cls("messages", prompt=conversation)
        if "prompt" in names:
            for response in ("completion", "response"):
                if response in names:
                    return cls("completion", prompt="prompt", response=response)
        if "instruction" in names:
            for response in ("output", "response", "completion"):
                if response in names:
                    return cls("alpaca", "instruction", response, context="input" if "input" in names else None)
        text = next((name for name in ("text", "code", "func", "content") if name in names), None)
        label = next((name for name in ("label", "labels", "target") if name in names), None)
        if text and label:
            return cls("classification", prompt=text, label=label)
        if text in ("text", "content"):
            return cls("text", response=text)
        if {"input_ids", "labels"} <= set(names):
            return cls("tokens", prompt="input_ids", response="labels")
        raise RowError(f"Cannot tell prompt from response in columns {names}. Known forms: {_FORMS}.")

    @property
    def columns(self) -> list[str]:
        """The columns that are read."""
        return [name for name in (self.prompt, self.context, self.response, self.label) if name is not None]

    def read(self, batch: Dataset | Mapping[str, Sequence[Any]]) -> list[Row]:
        """Read rows.

        Args:
            batch: a dataset, or a dict of lists as ``datasets.map(batched=True)`` gives it.

        Returns:
            The rows, in order.

        Raises:
            ColumnError: if a column of the format is not there.
            RowError: if a value is not text (``None``, bytes, a number, text that is no Unicode): count, first row ids
                and what to do.
        """
        there = list(batch.column_names if hasattr(batch, "column_names") else batch)
        missing = [name for name in self.columns if name not in there]
        if missing:
            raise _no_column(missing[0], there)
        if self.form == "tokens":
            pairs = zip(batch["input_ids"], batch["labels"], strict=True)
            return [_from_tokens(ids, labels, row_id) for row_id, (ids, labels) in enumerate(pairs)]
        if self.form == "messages":
            return [_from_messages(turns, row_id) for row_id, turns in enumerate(batch[self.prompt or ""])]
        prompts, responses = _texts(batch, self.prompt), _texts(batch, self.response)
        n_rows = len(prompts or responses)
        if self.context:
            contexts = _texts(batch, self.context, nullable=True)
            prompts = [
                f"{prompt}\n\n{more}" if more else prompt for prompt, more in zip(prompts, contexts, strict=True)
            ]
        labels: Sequence[int | None] = _labels(batch, self.label) if self.label else [None] * n_rows
        columns = (prompts or [""] * n_rows, responses or [""] * n_rows, labels)
        return [Row(prompt, response, label) for prompt, response, label in zip(*columns, strict=True)]


def _from_mapping(columns: Mapping[str, str], names: list[str]) -> RowFormat:
    known = {"prompt", "response", "context", "label", "messages"}
    if unknown := sorted(set(columns) - known):
        raise ConfigError(f"columns has unknown keys {unknown}; the keys are {sorted(known)}.")
    if missing := [column for column in columns.values() if column not in names]:
        raise _no_column(missing[0], names)
    if "messages" in columns:
        return RowFormat("messages", prompt=columns["messages"])
    if "label" in columns and "prompt" in columns:
        return RowFormat("classification", prompt=columns["prompt"], label=columns["label"])
    if "response" not in columns:
        raise ConfigError(f"columns={dict(columns)} names no response; give 'response' (with 'prompt'), or 'messages'.")
    if "prompt" not in columns:
        return RowFormat("text", response=columns["response"])
    if "context" in columns:
        return RowFormat("alpaca", columns["prompt"], columns["response"], context=columns["context"])
    return RowFormat("completion", columns["prompt"], columns["response"])


def _no_column(name: object, there: Iterable[str]) -> ColumnError:
    near = did_you_mean(name, there)
    return ColumnError(f"No column {name!r}; the dataset has {there}. {near}Give columns={{'prompt': ..., ...}}.")


def _texts(batch: Any, column: str | None, *, nullable: bool = False) -> list[str]:
    if column is None:
        return []
    try:
        values = list(batch[column])
    except UnicodeDecodeError as error:  # an Arrow column whose bytes somebody else called text
        raise _no_text(
            column, f"bytes that are not UTF-8 ({error.reason}: 0x{error.object[error.start]:02x})"
        ) from error
    if nullable:
        values = ["" if value is None else value for value in values]
    wrong = [(row_id, type(value).__name__) for row_id, value in enumerate(values) if not isinstance(value, str)]
    if wrong:
        raise RowError(
            f"{len(wrong)} rows of column {column!r} are not text (first: {wrong[:5]}). Drop them with dataset.filter, "
            f"or decode them, before selecting."
        )
    if lone := [row_id for row_id, value in enumerate(values) if not _is_unicode(value)]:
        raise _no_text(column, f"halves of surrogate pairs in {len(lone)} rows (first: {lone[:5]})")
    return values


def _no_text(column: str, found: str) -> RowError:
    return RowError(
        f"Column {column!r} holds {found}, which no tokenizer can read. Decode the file with errors='replace', or drop "
        f"those rows."
    )


def _is_unicode(text: str) -> bool:
    """Whether a text can be written: half of a surrogate pair, as torn JSON escapes leave it, cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _labels(batch: Any, column: str) -> list[int]:
    values = list(batch[column])
    wrong = [(row_id, value) for row_id, value in enumerate(values) if not isinstance(value, int)]
    if wrong:
        raise RowError(
            f"{len(wrong)} labels of column {column!r} are not whole numbers (first: {wrong[:5]}). Number the classes, "
            f"for example by dataset.class_encode_column({column!r})."
        )
    return [int(value) for value in values]


def _from_messages(turns: object, row_id: int) -> Row:
    if not isinstance(turns, Sequence) or isinstance(turns, str) or not turns:
        raise RowError(f"Row {row_id}: a conversation is a list of messages, not {type(turns).__name__}.")
    messages = []
    for turn in turns:
        if not isinstance(turn, Mapping):
            raise RowError(f"Row {row_id}: a message is a mapping with 'role' and 'content', not {turn!r:.40}.")
        role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if not isinstance(role, str) or not isinstance(content, str):
            kinds = {name: type(value).__name__ for name, value in turn.items()}
            raise RowError(f"Row {row_id}: a message needs the texts 'role' and 'content', but has {kinds}.")
        if not _is_unicode(content):
            raise RowError(f"Row {row_id}: a message holds half of a surrogate pair; decode it with errors='replace'.")
        messages.append({"role": _ROLES.get(role, role), "content": content})
    if messages[-1]["role"] != "assistant":
        raise RowError(f"Row {row_id}: the last message is the {messages[-1]['role']}'s; the response must come last.")
    before = tuple(messages[:-1])
    return Row("\n".join(message["content"] for message in before), messages[-1]["content"], None, before)


def _from_tokens(ids: Sequence[int] | None, labels: Sequence[int] | None, row_id: int) -> Row:
    if ids is None or labels is None:
        raise RowError(f"Row {row_id}: its input_ids or labels are missing (None); drop the row with dataset.filter.")
    if len(ids) != len(labels):
        raise RowError(f"Row {row_id}: {len(ids)} input_ids and {len(labels)} labels; one label per token is needed.")
    start = next((place for place, label in enumerate(labels) if label != _IGNORED), len(labels))
    if _IGNORED in labels[start:]:
        raise RowError(
            f"Row {row_id}: label {_IGNORED} comes after the response began, so the row holds several responses or is "
            f"packed. Give the rows before they were packed, one response each."
        )
    return Row("", "", ids=(ids[:start], ids[start:]))
