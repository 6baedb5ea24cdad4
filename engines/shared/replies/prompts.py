"""What a model reads and what it must write, as token ids: the same in training and evaluation.

In: a transformers tokenizer, a row's texts, a template. Out: token ids. The prompt ends where the
reply begins: also the empty think block that Qwen3's template writes with thinking off belongs to
it, so labels are the reply's tokens and nothing else.
"""

from __future__ import annotations

from typing import Any

from engines.contract.config import ConfigError
from engines.shared.replies.description import Template

MARK = "reply"
"""Any text of an assistant's turn: only what follows it is looked at."""


def prompt_token_ids(tokenizer: Any, prompt: str, template: Template) -> list[int]:
    """Token ids up to the first of the reply: one user's message through the chat template, with
    thinking off; without a chat template the message as it is."""
    message = template.filled(prompt)
    if tokenizer.chat_template is None:
        return [int(token) for token in tokenizer(message)["input_ids"]]
    text = chat_text(tokenizer, [{"role": "user", "content": message}], True)
    # The template has written the special tokens already.
    return [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


def reply_token_ids(tokenizer: Any, reply: str) -> list[int]:
    """Token ids of a reply and of the end of its turn; these are the labels.

    Apart from the prompt, because a sampler appends to the prompt's tokens too. White space around
    the reply is left out: templates that strip it and those that do not then agree.
    """
    ids = tokenizer(reply.strip(), add_special_tokens=False)["input_ids"]
    return [*(int(token) for token in ids), end_token_id(tokenizer)]


def end_token_id(tokenizer: Any) -> int:
    """The token that ends an assistant's turn: what the chat template writes after it, without a
    template the tokenizer's end of text. Sampling stops there. ConfigError if there is none."""
    if tokenizer.chat_template is None:
        return end_of_text(tokenizer)
    turns = [{"role": "user", "content": "text"}, {"role": "assistant", "content": MARK}]
    _, _, tail = chat_text(tokenizer, turns, False).rpartition(MARK)
    # Of a base model the end of a turn is often a special token without a role.
    added = tokenizer.added_tokens_decoder.items()
    special = {*tokenizer.all_special_ids, *(number for number, token in added if token.special)}
    for token in tokenizer(tail, add_special_tokens=False)["input_ids"]:
        if token in special:
            return int(token)
    # A base model's tokenizer may have a template whose turns end in plain text.
    return end_of_text(tokenizer)


def end_of_text(tokenizer: Any) -> int:
    """The tokenizer's own end."""
    if tokenizer.eos_token_id is None:
        raise ConfigError(
            f"{tokenizer.name_or_path}: its tokenizer has no token that ends a turn; set eos_token "
            "in tokenizer_config.json"
        )
    return int(tokenizer.eos_token_id)


def chat_text(tokenizer: Any, turns: list[dict[str, str]], add_generation_prompt: bool) -> str:
    """The chat as the template writes it. A template that does not know ``enable_thinking`` does
    not look at it."""
    return str(
        tokenizer.apply_chat_template(
            turns,
            add_generation_prompt=add_generation_prompt,
            tokenize=False,
            enable_thinking=False,
        )
    )
