"""A problem with a verifiable answer: what is asked, and what the answer is judged by.

In: source, prompt and ground truth. Out: a ``Problem`` with its id, the key that finds it in other
    files, and its prompt as token ids. Everything that trains, evaluates, scores or prepares data
    passes these on; ``problem_files.py`` reads and writes them.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One problem and what its answer is judged by."""

    item_id: str
    """Hash of source, prompt and ground truth: the same problem in two files has the same id."""
    data_source: str
    domain: str
    """The part of ``data_source`` before the two underscores, such as ``math``."""
    prompt: tuple[dict[str, str], ...]
    """Chat messages with role and content."""
    ability: str
    apply_chat_template: bool
    ground_truth: Any
    extra_info: dict[str, Any] = field(default_factory=dict)
    scorer: str | None = None
    """Who judges it, where a task names a scorer; None: the scorer of its data source."""


def make_problem(
    data_source: str,
    prompt: Sequence[dict[str, str]],
    ground_truth: Any,
    *,
    ability: str = "",
    apply_chat_template: bool = True,
    extra_info: dict[str, Any] | None = None,
) -> Problem:
    """A problem with its id and domain filled in."""
    messages = tuple(
        {"role": str(message["role"]), "content": str(message["content"])} for message in prompt
    )
    # default=str: a ground truth may hold what JSON has
    # no form for, such as a date of a parquet file.
    key = json.dumps([data_source, messages, ground_truth], sort_keys=True, default=str)
    return Problem(
        # 64 bits: that two of a million problems share an id has a chance of 3 in 100 million.
        item_id=hashlib.sha256(key.encode()).hexdigest()[:16],
        data_source=data_source,
        domain=data_source.partition("__")[0],
        prompt=messages,
        ability=ability,
        apply_chat_template=apply_chat_template,
        ground_truth=ground_truth,
        extra_info=extra_info or {},
    )


def user(content: str) -> list[dict[str, str]]:
    """A prompt of one user message."""
    return [{"role": "user", "content": content}]


def content_key(problem: Problem) -> str:
    """Hash of what is asked, whoever asks it and in which file: messages but the system's, without
    regard to case and white space.

    Problems that differ in more than that, such as a reworded one, have different keys.
    """
    words = " ".join(asked(problem).casefold().split())
    return hashlib.sha256(words.encode()).hexdigest()


def asked(problem: Problem) -> str:
    """What is asked: the text of all messages but the system's."""
    text = " ".join(message["content"] for message in problem.prompt if message["role"] != "system")
    # A letter with an accent may be written as one character or as two: NFC makes them one.
    return unicodedata.normalize("NFC", text)


def prompt_token_ids(problem: Problem, tokenizer: Any) -> list[int]:
    """The prompt as token ids: through the chat template, or the last message as plain text.

    A beginning-of-text token comes once: from the template if there is one, else from the tokenizer
    unless the text brings it.
    """
    if problem.apply_chat_template and tokenizer.chat_template is not None:
        text = tokenizer.apply_chat_template(
            list(problem.prompt), add_generation_prompt=True, tokenize=False
        )
        # The template has written the special tokens already.
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    text = problem.prompt[-1]["content"]
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    # The tokenizer may add more special tokens than the first, such as one at the end, which must
    # not stand between prompt and response.
    first = tokenizer(text)["input_ids"][:1]
    adds_beginning = tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id]
    if adds_beginning and ids[:1] != first:
        return [*first, *ids]
    return ids
