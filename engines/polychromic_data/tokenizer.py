"""A tokenizer of whole words with a chat template, made without a download.

In: the template of the prompts. Out: a transformers tokenizer that saves and loads like any other.
``base_model.py`` calls it.

It is a byte-level BPE, as Qwen2's, and not a table of words: ``AutoTokenizer`` reads the tokenizer
of any Qwen2 folder as one, whatever its ``tokenizer_config.json`` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engines.shared.replies.description import Template
from engines.shared.replies.grammar import all_words, first_words
from engines.shared.tiny_models.model import MAX_POSITIONS

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
THINK = ("<think>", "</think>")
ROLES = ("user", "assistant", "system")
BLANK = "\u0120"
"""How a byte-level BPE writes a blank."""

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Where Qwen2 cuts a text before it looks for merges."""

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + ' ' + message['content'] + '<|im_end|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant' }}
{%- if enable_thinking is defined and not enable_thinking -%}
{{ '<think></think>' }}
{%- endif -%}
{%- endif -%}
"""
"""Turns as Qwen3 writes them, with an empty think block where thinking is off, but without the line
ends: they would be a third of a short prompt."""


def make_tokenizer(template: Template) -> Any:
    """One token per word of the grammar and of the template, and one per byte of anything else."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    words = [*all_words(), *template.filled("").split()]
    # Merges of words after a blank come first. They begin with it, so none of them can take a piece
    # out of the middle of another word. Of the others the longest come first: else "hey" would be
    # taken out of "they".
    begins = sorted({*first_words(), *ROLES}, key=lambda word: (-len(word), word))
    merges = chains([*(BLANK + word for word in words), *begins])
    symbols = [PAD, START, END, *THINK, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    symbols += [left + right for left, right in merges]
    vocabulary = {symbol: number for number, symbol in enumerate(symbols)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    # As in Qwen3 the think marks are tokens that a decoded text keeps.
    tokenizer.add_tokens([AddedToken(mark, special=False) for mark in THINK])
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=[START],
        model_max_length=MAX_POSITIONS,
    )
    made.chat_template = CHAT_TEMPLATE
    return made


def chains(words: Iterable[str]) -> list[tuple[str, str]]:
    """Merges that put each word together from the left, letter by letter."""
    merges: dict[tuple[str, str], None] = {}
    for word in words:
        for end in range(1, len(word)):
            merges[word[:end], word[end]] = None
    return list(merges)
