"""How a prompt is worded: named templates, the tokenizer's own chat template, or a text with ``{prompt}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_select.errors import ConfigError, ModelError, unknown_name
from hf_select.rows import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Template:
    """The wording around a prompt; the response follows directly.

    Attributes:
        name: key in ``TEMPLATES``, or ``"custom"``.
        text: wording with the place ``{prompt}``; empty for the tokenizer's chat template.
    """

    name: str
    text: str

    def prompt(self, row: Row, tokenizer: PreTrainedTokenizerBase) -> str:
        """Word one prompt.

        Args:
            row: the row.
            tokenizer: gives the chat template where the template is ``chat``.

        Returns:
            The text before the response.
        """
        if self.name != "chat":
            return self.text.replace("{prompt}", row.prompt)
        self.check(tokenizer)
        turns = row.messages or ({"role": "user", "content": row.prompt},)
        messages = [dict(turn) for turn in turns]
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def check(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Refuse a tokenizer that this wording cannot be written with.

        Args:
            tokenizer: the tokenizer.

        Raises:
            ModelError: if the chat template is asked for and the tokenizer has none.
        """
        if self.name == "chat" and not getattr(tokenizer, "chat_template", None):
            raise ModelError(
                "template='chat' needs a tokenizer with a chat template, and this one has none. Give another template "
                f"({', '.join(sorted(TEMPLATES))}, or a text with {{prompt}}), or set tokenizer.chat_template."
            )

    @property
    def has_special_tokens(self) -> bool:
        """Whether the wording already contains the tokenizer's special tokens (chat templates write their own)."""
        return self.name == "chat"


TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template("plain", "{prompt}"),
        Template("question", "Question:\n{prompt}\n\nAnswer:\n"),
        Template("instruction", "### Instruction:\n{prompt}\n### Response:\n"),
        Template(
            "alpaca",
            "Below is an instruction that describes a task. Write a response that appropriately completes the request."
            "\n\n### Instruction:\n{prompt}\n\n### Response:\n",
        ),
        Template("llama2", "[INST] {prompt} [/INST]"),
        Template("chatml", "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"),
        Template("chat", ""),
    )
}


def get_template(name_or_text: str | Template) -> Template:
    r"""Find a template by name, or make one from a text with ``{prompt}``.

    Args:
        name_or_text: a key of ``TEMPLATES``, a text with ``{prompt}``, or a template.

    Returns:
        The template.

    Raises:
        ConfigError: if it is no text, or a text that names the place more than once.
        UnknownNameError: if it is neither a known name nor a text with the place.

    Example:
        >>> get_template("Q: {prompt}\nA: ").name
        'custom'
    """
    if isinstance(name_or_text, Template):
        return name_or_text
    if not isinstance(name_or_text, str):
        raise ConfigError(
            f"template={name_or_text!r} is no text; give a name ({', '.join(sorted(TEMPLATES))}) or a text."
        )
    if name_or_text in TEMPLATES:
        return TEMPLATES[name_or_text]
    if "{prompt}" not in name_or_text:
        raise unknown_name("template", name_or_text, [*TEMPLATES, "a text with {prompt}"])
    if name_or_text.count("{prompt}") > 1:
        raise ConfigError(f"template={name_or_text!r} has the place {{prompt}} more than once; keep one.")
    return Template("custom", name_or_text)
