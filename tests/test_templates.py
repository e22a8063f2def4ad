"""Templates by name, by text, and the tokenizer's own."""

import pytest

from hf_select.errors import ConfigError, ModelError, UnknownNameError
from hf_select.rows import Row
from hf_select.templates import TEMPLATES, get_template


class WithoutChatTemplate:
    chat_template = None


class WithChatTemplate:
    chat_template = "..."

    def apply_chat_template(self, messages, tokenize, add_generation_prompt):
        assert tokenize is False
        assert add_generation_prompt is True
        return "|".join(f"{turn['role']}={turn['content']}" for turn in messages)


def test_every_named_template_holds_the_prompt_once():
    texts = {name: template.text for name, template in TEMPLATES.items() if name != "chat"}
    assert len(texts) == 6
    assert all(text.count("{prompt}") == 1 for text in texts.values())


def test_braces_of_code_stay_as_they_are():
    row = Row("return {x: {prompt}}", "")
    assert get_template("instruction").prompt(row, None) == "### Instruction:\nreturn {x: {prompt}}\n### Response:\n"


def test_a_text_is_a_template():
    assert get_template("Q: {prompt}\nA: ").prompt(Row("1 + 1?", ""), None) == "Q: 1 + 1?\nA: "


def test_the_chat_template_gets_the_messages_or_the_prompt_as_one():
    chat = get_template("chat")
    turns = ({"role": "system", "content": "s"}, {"role": "user", "content": "u"})
    assert chat.prompt(Row("s\nu", "r", None, turns), WithChatTemplate()) == "system=s|user=u"
    assert chat.prompt(Row("u", "r"), WithChatTemplate()) == "user=u"


def test_a_tokenizer_without_chat_template_is_named_with_the_remedy():
    with pytest.raises(ModelError, match=r"needs a tokenizer with a chat template.*set tokenizer\.chat_template"):
        get_template("chat").prompt(Row("u", "r"), WithoutChatTemplate())


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'alpaca'"):
        get_template("alpacca")


def test_the_place_may_stand_once():
    with pytest.raises(ConfigError, match="more than once"):
        get_template("{prompt} {prompt}")
