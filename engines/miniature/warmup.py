"""Supervised warm-up of the tiny model, and how right it is afterwards.

In: the fresh model, and the prompts that it must not see. Out: the trained model, and its accuracy
by domain. ``__main__.py`` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import torch

from engines.contract.program import Stop
from engines.contract.progress import Progress
from engines.miniature.config import Config
from engines.shared.data.miniature import GENERATORS, warm_up_texts
from engines.shared.data.problems import Problem, prompt_token_ids
from engines.shared.scoring.registry import score
from engines.shared.tiny_models.supervised import Schedule, padded, train

# A token is a byte: the longest answer, such as x+3, takes three of them and the end.
ANSWER_TOKENS = 8


def warm_up(
    model: Any, tokenizer: Any, config: Config, forbidden: set[str], progress: Progress, stop: Stop
) -> float:
    """Train on the answers of drawn texts; returns the last loss in nats per token."""
    random = Random(f"{config.seed}/warm-up")
    draws = [warm_up_texts(domain, forbidden, config.habit_share, random) for domain in GENERATORS]

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        examples = []
        for number in range(config.warmup_batch):
            # Domains take turns, so that every batch holds each of them about equally often.
            prompt, answer = draws[number % len(draws)]()
            prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            answer_ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
            examples.append((prompt_ids, [*answer_ids, tokenizer.eos_token_id]))
        return padded(examples, tokenizer.pad_token_id)

    schedule = Schedule(config.warmup_steps, config.warmup_learning_rate)
    return train(model, batch, schedule, progress, stop)


def accuracies(model: Any, tokenizer: Any, problems: Sequence[Problem]) -> list[float]:
    """Verdicts on greedy answers, one problem at a time: what the trainer's own framework says,
    without vLLM."""
    model.eval()
    values = []
    for problem in problems:
        # A batch of prompts of several lengths would have to be padded on the left.
        ids = torch.tensor([prompt_token_ids(problem, tokenizer)])
        output = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=ANSWER_TOKENS, do_sample=False
        )
        answer = tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True)
        verdict = score(problem, answer)
        values.append(float(verdict.value or 0.0))
    return values
