"""A tiny model that knows every reply of the grammar.

In: the config, and the prompts that it must not see. Out: the checkpoint ``base``. ``making.py``
calls it where the rows are generated.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import torch

from engines.contract import checkpoints
from engines.contract.program import Stop
from engines.contract.progress import Progress
from engines.polychromic_data.config import Config, Generate
from engines.polychromic_data.tokenizer import make_tokenizer
from engines.shared.replies.description import PROMPT
from engines.shared.replies.grammar import Prompt, draw_prompt, draw_reply
from engines.shared.replies.prompts import chat_text, end_token_id, prompt_token_ids
from engines.shared.tiny_models.model import make_model
from engines.shared.tiny_models.supervised import (
    Example,
    Schedule,
    padded,
    probe_logprobs,
    train,
)

BASE = "base"
"""Name of the checkpoint."""


def source_of_examples(
    config: Config, tokenizer: Any, forbidden: set[str]
) -> Callable[[int], list[Example]]:
    """A source of so many prompts with uniform replies; prompts in ``forbidden`` never come."""
    random = Random(f"{config.seed}/base")
    end = end_token_id(tokenizer)
    # Rendered once: the template takes longer than all else that a step does to its texts.
    frame = chat_text(tokenizer, [{"role": "user", "content": config.template.text}], True)

    def draw(number: int) -> list[Example]:
        prompts = [allowed(random, forbidden) for _ in range(number)]
        replies = [draw_reply(random, prompt.topic, narrow=False) for prompt in prompts]
        framed = [frame.replace(PROMPT, prompt.text) for prompt in prompts]
        prompt_ids = tokenizer(framed, add_special_tokens=False)["input_ids"]
        reply_ids = tokenizer(replies, add_special_tokens=False)["input_ids"]
        return [
            (prompt, [*reply, end]) for prompt, reply in zip(prompt_ids, reply_ids, strict=True)
        ]

    return draw


def allowed(random: Random, forbidden: set[str]) -> Prompt:
    """A prompt that is not held out."""
    while True:
        prompt = draw_prompt(random)
        if prompt.text not in forbidden:
            return prompt


def make_base(config: Config, sizes: Generate, out: Path, forbidden: set[str], stop: Stop) -> None:
    """Train the base model on uniform replies and save it."""
    torch.manual_seed(config.seed)
    tokenizer = make_tokenizer(config.template)
    model = make_model(sizes, tokenizer)
    draw = source_of_examples(config, tokenizer, forbidden)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        return padded(draw(sizes.base_batch), tokenizer.pad_token_id)

    schedule = Schedule(sizes.base_steps, sizes.base_learning_rate)
    loss = train(model, batch, schedule, Progress(out), stop)

    def write(folder: Path) -> None:
        model.save_pretrained(folder / "model", safe_serialization=True)
        tokenizer.save_pretrained(folder / "model")

    # Any fixed text would do: whoever loads the model only has to give the same numbers for it.
    probe = prompt_token_ids(tokenizer, allowed(Random(0), set()).text, config.template)
    description = checkpoints.Description(
        name=BASE,
        step=0,
        epoch=0,
        metrics={"loss": loss},
        probe={"token_ids": probe, "logprobs": probe_logprobs(model, probe)},
    )
    checkpoints.save(out, description, write)
