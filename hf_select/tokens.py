"""Rows as token ids: prompt and response tokenised apart and joined, truncated on the response side only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

from hf_select.errors import ModelError, PackingError
from hf_select.rows import Row
from hf_select.templates import Template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100  # label that the loss skips


class TokenizedRow(NamedTuple):
    """One row as token ids.

    Attributes:
        prompt_ids: the worded prompt, with the special tokens the tokenizer puts first.
        response_ids: the response; empty if the prompt alone fills ``max_length``.
        n_truncated: response tokens that were cut off.
    """

    prompt_ids: list[int]
    response_ids: list[int]
    n_truncated: int


class Features(TypedDict):
    """What a collator takes: one row with its prompt masked out of the loss."""

    input_ids: list[int]
    labels: list[int]
    row_id: int


def tokenize(
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    template: Template,
    *,
    max_length: int | None,
    add_eos: bool = False,
    on_long_prompt: Literal["mark", "error"] = "mark",
) -> list[TokenizedRow]:
    """Tokenise rows as prompt ids + response ids, so that no token spans the border.

    Args:
        rows: ``N`` rows.
        tokenizer: the model's tokenizer.
        template: wording of the prompt.
        max_length: longest row in tokens; ``None`` for no limit. The response is cut to fit, the prompt never.
        add_eos: end each response with the end-of-sequence token (for training).
        on_long_prompt: a row whose prompt alone fills ``max_length`` keeps no response token (``"mark"``) or stops
            with its row id (``"error"``).

    Returns:
        ``N`` tokenised rows, in order.

    Raises:
        PackingError: if ``on_long_prompt="error"`` and a prompt leaves no room for a response.
        ModelError: if ``add_eos`` and the tokenizer has no end-of-sequence token.
    """
    if not rows:
        return []
    if add_eos and tokenizer.eos_token_id is None:
        raise ModelError("The tokenizer has no end-of-sequence token to end a response with; set tokenizer.eos_token.")
    tokenized = []
    for row_id, (prompt, response) in enumerate(_ids(rows, tokenizer, template)):
        full = response + ([int(tokenizer.eos_token_id)] if add_eos else [])
        room = len(full) if max_length is None else max(0, max_length - len(prompt))
        if room == 0 and full and on_long_prompt == "error":
            raise PackingError(
                f"Row {row_id}: its prompt alone has {len(prompt)} tokens and fills max_length={max_length}, so "
                f"nothing of its response is left. Raise max_length or drop the row."
            )
        tokenized.append(TokenizedRow(prompt, full[:room], max(0, len(full) - room)))
    return tokenized


def _ids(
    rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, template: Template
) -> Iterator[tuple[list[int], list[int]]]:
    """Prompt and response of each row as ids: those it came with, else those of its worded prompt and its response."""
    if rows[0].ids is not None:
        yield from ((list(row.ids[0]), list(row.ids[1])) for row in rows if row.ids is not None)
        return
    prompts = [template.prompt(row, tokenizer) for row in rows]
    prompt_ids = tokenizer(prompts, add_special_tokens=not template.has_special_tokens, verbose=False)["input_ids"]
    response_ids = tokenizer([row.response for row in rows], add_special_tokens=False, verbose=False)["input_ids"]
    for worded, response in zip(prompt_ids, response_ids, strict=True):
        yield _without_final_eos(list(worded), tokenizer), list(response)


def context_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token that stands for "nothing before": beginning of sequence, else end of sequence, else none."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    return None


def features(tokenized: Sequence[TokenizedRow], row_ids: Sequence[int] | None = None) -> list[Features]:
    """Tokenised rows as a collator takes them: labels are the response, the prompt is ignored.

    Args:
        tokenized: ``N`` tokenised rows.
        row_ids: ``(N,)`` row ids for messages; positions by default.

    Returns:
        One dict per row with ``input_ids``, ``labels`` and ``row_id``.
    """
    ids = range(len(tokenized)) if row_ids is None else row_ids
    return [
        Features(
            input_ids=row.prompt_ids + row.response_ids,
            labels=[IGNORED] * len(row.prompt_ids) + row.response_ids,
            row_id=int(row_id),
        )
        for row_id, row in zip(ids, tokenized, strict=True)
    ]


def _without_final_eos(prompt: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Some tokenizers end every text with EOS; between prompt and response it would end the row."""
    ends = len(prompt) > 1 and prompt[-1] == tokenizer.eos_token_id and tokenizer.eos_token_id != tokenizer.bos_token_id
    return prompt[:-1] if ends and getattr(tokenizer, "add_eos_token", False) else prompt
