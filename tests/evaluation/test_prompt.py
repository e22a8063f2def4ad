import pytest

from hf_select.errors import ModelError, UnknownNameError
from hf_select.evaluation.problem import Problem
from hf_select.evaluation.prompt import STYLES, get_style, question

MBPP = Problem("Mbpp/1", '"""\nHalve it.\nassert half(2) == 1\n"""\n', "half", "", (), description="Halve it.")


class Chatty:
    chat_template = "yes"

    def apply_chat_template(self, messages, tokenize, add_generation_prompt):
        assert not tokenize
        assert add_generation_prompt
        return f"<user>{messages[0]['content']}<assistant>"


class Plain:
    chat_template = None


def test_completion_gives_the_prompt_as_it_is(increment):
    assert get_style("completion").prompt(increment, Plain()) == increment.prompt
    assert not get_style("completion").has_special_tokens


def test_the_question_depends_on_what_the_problem_has(increment):
    assert question(increment) == (
        "Please complete the following Python function in a markdown style code block:\n```python\n"
        'from typing import List\n\n\ndef increment(x):\n    """Add one."""\n```'
    )
    assert question(MBPP) == (
        "Please write the Python function in a markdown style code block that comply with the following "
        "instruction.\nHalve it."
    )


def test_chat_and_codeact_use_the_chat_template(increment):
    assert get_style("chat").prompt(MBPP, Chatty()) == f"<user>{question(MBPP)}<assistant>"
    assert get_style("codeact").prompt(MBPP, Chatty()) == f"<user>{question(MBPP)}<assistant>```python\n"
    assert get_style("chat").has_special_tokens
    assert get_style("codeact").has_special_tokens


@pytest.mark.parametrize("name", ["chat", "codeact"])
def test_a_tokenizer_without_chat_template_is_an_error_with_remedies(increment, name):
    with pytest.raises(ModelError, match=rf"style='{name}' needs .* style='completion' for a base model"):
        get_style(name).prompt(increment, Plain())


def test_the_template_of_the_training_is_a_style():
    style = get_style("instruction")
    assert style.prompt(MBPP, Plain()) == f"### Instruction:\n{question(MBPP)}\n### Response:\n"
    assert not style.has_special_tokens


def test_an_unknown_style_names_those_that_exist():
    with pytest.raises(UnknownNameError, match="Did you mean 'completion'"):
        get_style("complete")
    assert {"completion", "chat", "codeact", "instruction", "alpaca"} <= STYLES.keys()


def test_stop_strings_fit_what_is_asked_for(increment):
    completion = get_style("completion")
    assert "\ndef " in completion.stop([increment])
    # the function itself is still to be written, perhaps behind an import or a helper
    assert "\ndef " not in completion.stop([MBPP])
    assert '\n"""' in completion.stop([MBPP])
    assert "\ndef " not in completion.stop([increment, MBPP])
    assert "\n```" in get_style("codeact").stop([increment])
    assert all("\ndef " not in style.stop([MBPP]) for style in STYLES.values())
