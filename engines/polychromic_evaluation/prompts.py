"""The prompts that every model answers: each text once, with all of its references.

In: the data folder and the base's tokenizer. Out: prompts as token ids, in one order for all
models. Called once.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.polychromic_evaluation.config import Config
from engines.shared.model_shapes import fixed_positions
from engines.shared.replies.prompts import end_token_id, prompt_token_ids, reply_token_ids
from engines.shared.replies.rows import Reply, read_manifest, read_split


@dataclass(frozen=True)
class Prompt:
    """One text to answer."""

    row: Reply
    """The first row of this text."""
    references: tuple[str, ...]
    """What was answered to it."""
    token_ids: tuple[int, ...]
    reference_ids: tuple[tuple[int, ...], ...]
    """The references as token ids, with the end of the turn."""

    @property
    def id(self) -> str:
        """Of its first row."""
        return self.row.id


@dataclass(frozen=True)
class Prompts:
    """All of them."""

    all: tuple[Prompt, ...]
    too_long: int
    """Left out: with its reply or a reference it is longer than the model has positions."""
    end_token: int
    longest: int
    """Tokens of the longest prompt with what follows it."""

    def __len__(self) -> int:
        return len(self.all)


def read_prompts(config: Config, base: Path) -> Prompts:
    """The prompts of the split. ConfigError if none fits into the model."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    # It would warn of long prompts, which are counted here and never sent.
    tokenizer.model_max_length = sys.maxsize
    template = read_manifest(config.data).template
    rows: dict[str, list[Reply]] = {}
    for row in read_split(config.data, config.split):
        rows.setdefault(row.prompt, []).append(row)
    positions = fixed_positions(base)
    fitting: list[Prompt] = []
    longest = too_long = 0
    for of_one in list(rows.values())[: config.prompts]:
        ids = tuple(prompt_token_ids(tokenizer, of_one[0].prompt, template))
        prompt = make_prompt(of_one, ids, tokenizer)
        reply = max(config.max_new_tokens, *map(len, prompt.reference_ids))
        # vLLM samples one token more where it scores a text.
        length = len(ids) + reply + 1
        if positions is not None and length > positions:
            too_long += 1
            continue
        longest = max(longest, length)
        fitting.append(prompt)
    if not fitting:
        raise ConfigError(
            f"{config.data}: no prompt of '{config.split}' fits into the {positions} positions of "
            f"{base} with {config.max_new_tokens} new tokens; lower max_new_tokens"
        )
    return Prompts(tuple(fitting), too_long, end_token_id(tokenizer), longest)


def make_prompt(rows: list[Reply], token_ids: tuple[int, ...], tokenizer: Any) -> Prompt:
    """A prompt from the rows that share it."""
    references = tuple(dict.fromkeys(row.reply for row in rows))
    reference_ids = tuple(tuple(reply_token_ids(tokenizer, reply)) for reply in references)
    return Prompt(rows[0], references, token_ids, reference_ids)
