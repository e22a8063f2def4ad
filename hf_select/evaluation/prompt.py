"""How a problem is put to a model: as the start of a program, as a question, or in the wording of CodeACT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hf_select.errors import ModelError, unknown_name
from hf_select.evaluation.problem import Problem
from hf_select.evaluation.source import definitions, parse
from hf_select.rows import Row
from hf_select.templates import TEMPLATES, Template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_BELOW_A_SOLUTION = ("\nif __name__", "\ndef main(", "\nprint(", "\nassert")
_AFTER_A_FUNCTION = ("\ndef ", "\nclass ", "\nimport ", "\nfrom ")
_NEXT_TASK = ('\n"""',)
_OPEN_BLOCK = "```python\n"


@dataclass(frozen=True)
class PromptStyle:
    """A way to put problems to a model.

    Attributes:
        name: its name in ``STYLES``.
        template: the wording around the question; ``None`` gives the problem's prompt as it is.
        opens_block: the prompt ends with an opened code block, which the completion fills.
    """

    name: str
    template: Template | None = None
    opens_block: bool = False

    def prompt(self, problem: Problem, tokenizer: PreTrainedTokenizerBase) -> str:
        """Word a problem.

        Args:
            problem: the problem.
            tokenizer: gives the chat template.

        Returns:
            The text that the model continues.

        Raises:
            ModelError: if the style is the chat template and the tokenizer has none.
        """
        if self.template is None:
            return problem.prompt
        if self.template.name == "chat" and not getattr(tokenizer, "chat_template", None):
            raise ModelError(
                f"style={self.name!r} needs a tokenizer with a chat template, and this one has none. Give the template "
                f"that the model was trained with ({', '.join(sorted(set(STYLES) - {'chat', 'codeact'}))}), "
                "style='completion' for a base model, or set tokenizer.chat_template."
            )
        text = self.template.prompt(Row(prompt=question(problem), response=""), tokenizer)
        return text + _OPEN_BLOCK if self.opens_block else text

    def stop(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """Strings at which the completions of these problems end.

        Args:
            problems: all problems of one run.

        Returns:
            The strings. A model that continues an opened function stops where the next definition would begin; one
            that has to write the function itself must not.
        """
        if self.opens_block:
            return (*_BELOW_A_SOLUTION, "\n```")
        if self.template is not None:
            return _BELOW_A_SOLUTION
        if all(_opens_function(problem) for problem in problems):
            return (*_BELOW_A_SOLUTION, *_AFTER_A_FUNCTION)
        return (*_BELOW_A_SOLUTION, *_NEXT_TASK)

    @property
    def has_special_tokens(self) -> bool:
        """Whether the prompt already contains the tokenizer's special tokens, so that none must be added."""
        return self.template is not None and self.template.has_special_tokens


def question(problem: Problem) -> str:
    """The problem as a request, in the wording of CodeACT.

    Args:
        problem: the problem.

    Returns:
        For a task in words, a request to write the function; for the start of a function, one to complete it.

    Source: CodeACT, ``benchmark``; its misspelt "foolowing" is written right here.
    """
    if problem.description:
        return (
            "Please write the Python function in a markdown style code block that comply with the following "
            f"instruction.\n{problem.description}"
        )
    return (
        "Please complete the following Python function in a markdown style code block:\n"
        f"```python\n{problem.prompt.strip()}\n```"
    )


def _opens_function(problem: Problem) -> bool:
    start = problem.prompt if parse(problem.prompt) is not None else f"{problem.prompt}    pass\n"
    return problem.entry_point in definitions(start)


STYLES: dict[str, PromptStyle] = {
    "completion": PromptStyle("completion"),
    "chat": PromptStyle("chat", TEMPLATES["chat"]),
    "codeact": PromptStyle("codeact", TEMPLATES["chat"], opens_block=True),
} | {name: PromptStyle(name, template) for name, template in TEMPLATES.items() if name not in ("chat", "plain")}
"""Every style by name: ``completion`` (the prompt as it is, for base models), ``chat`` (the question in the tokenizer's
chat template), ``codeact`` (the same with the code block opened, as CodeACT evaluates), and the question in each
template that a model may have been trained with."""


def get_style(name: str) -> PromptStyle:
    """Find a style.

    Args:
        name: a key of ``STYLES``.

    Returns:
        The style.

    Raises:
        UnknownNameError: if there is no such style.
    """
    if name not in STYLES:
        raise unknown_name("prompt style", name, STYLES)
    return STYLES[name]
