"""The prompt of a training is that of an evaluation, and labels are the reply alone."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.contract.config import ConfigError
from engines.shared.replies.description import Template
from engines.shared.replies.prompts import end_token_id, prompt_token_ids, reply_token_ids
from tests.support.models import byte_tokenizer

THINKS = """\
{%- for m in messages -%}
{{ '<|im_start|>' + m['role'] + '\\n' }}
{%- if m['role'] == 'assistant' and loop.last %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif -%}
{{ m['content'] + '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\\n' }}
{%- if enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif -%}
{%- endif -%}"""
"""Where thinking is off both write an empty block: before a reply to come, and before a given
one."""


def chat_tokenizer(template: str | None) -> Any:
    from tokenizers import AddedToken

    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(
        [AddedToken(mark, special=True) for mark in ("<|im_start|>", "<|im_end|>")]
    )
    tokenizer.add_tokens([AddedToken(mark, special=False) for mark in ("<think>", "</think>")])
    tokenizer.chat_template = template
    return tokenizer


@settings(max_examples=60, deadline=None)
@given(prompt=st.text(), reply=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_prompt_and_reply_are_the_whole_chat_without_its_last_line_end(
    prompt: str, reply: str
) -> None:
    prompt = prompt.encode(errors="ignore").decode()
    tokenizer = chat_tokenizer(THINKS)
    template = Template(text="Reply to {braces}:\n\n{prompt}\n")
    turns = [
        {"role": "user", "content": template.filled(prompt)},
        {"role": "assistant", "content": reply.strip()},
    ]
    whole = tokenizer.apply_chat_template(turns, tokenize=False, enable_thinking=False)
    asked = prompt_token_ids(tokenizer, prompt, template)
    answered = reply_token_ids(tokenizer, reply)
    assert asked + answered == tokenizer(whole.removesuffix("\n"))["input_ids"]
    # Labels hold the reply and its end; the empty think block is asked, not learned.
    assert tokenizer.decode(answered) == reply.strip() + "<|im_end|>"
    assert tokenizer.decode(asked).endswith("<think>\n\n</think>\n\n")


def test_the_end_of_a_turn_is_what_the_template_writes() -> None:
    tokenizer = chat_tokenizer(THINKS)
    # The end of text is another token, as in many base models.
    assert tokenizer.eos_token == "<eos>"
    assert tokenizer.convert_ids_to_tokens(end_token_id(tokenizer)) == "<|im_end|>"
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    assert end_token_id(tokenizer) == tokenizer.eos_token_id


def test_without_a_chat_template_the_message_is_the_prompt() -> None:
    tokenizer = chat_tokenizer(None)
    ids = prompt_token_ids(tokenizer, "so {x}", Template(text="[{prompt}]"))
    assert tokenizer.decode(ids) == "[so {x}]"
    assert reply_token_ids(tokenizer, "a")[-1] == tokenizer.eos_token_id
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match="no token that ends a turn"):
        end_token_id(tokenizer)


@pytest.mark.parametrize("text", ["", "{tweet}", "{prompt} {prompt}"])
def test_a_template_has_one_place(text: str) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        Template(text=text)
