"""Supervised warm-up of the tiny model, and how right it is afterwards.

In: the fresh model, and the prompts that it must not see. Out: the trained model, its accuracy by
domain, and the log-probabilities of a probe. ``__main__.py`` calls it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import torch

from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress
from engines.miniature.config import Config
from engines.shared.data.miniature import GENERATORS, warm_up_texts
from engines.shared.data.problems import Problem, prompt_token_ids
from engines.shared.scoring.registry import score

IGNORED = -100
"""Label of a token that has no part in the loss; transformers' own value."""
# A token is a byte: the longest answer, such as x+3, takes three of them and the end.
ANSWER_TOKENS = 8
PROGRESS_EVERY = 25
"""Steps between two lines of progress."""
RISING_STEPS = 20
"""Steps in which the learning rate rises to its peak."""


def batch(
    draws: Sequence[Callable[[], tuple[str, str]]], size: int, tokenizer: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels, both [size, T], padded on the right; only the answer and its end are
    learned."""
    texts: list[tuple[list[int], list[int]]] = []
    for number in range(size):
        # Domains take turns, so that every batch holds each of them about equally often.
        draw = draws[number % len(draws)]
        prompt, answer = draw()
        prompt_ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        answer_ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
        # Labels stand at the places of their own tokens: transformers shifts them by one itself.
        learned = [*answer_ids, tokenizer.eos_token_id]
        texts.append((prompt_ids + learned, [IGNORED] * len(prompt_ids) + learned))
    width = max(len(ids) for ids, _ in texts)
    all_ids, all_labels = [], []
    for ids, labels in texts:
        padding = width - len(ids)
        all_ids.append(ids + [tokenizer.pad_token_id] * padding)
        all_labels.append(labels + [IGNORED] * padding)
    return torch.tensor(all_ids), torch.tensor(all_labels)


def learning_rate(config: Config, step: int) -> float:
    """The learning rate of a step: a linear rise, times a cosine that falls to a tenth."""
    share = step / config.warmup_steps
    rise = min(1.0, step / RISING_STEPS)
    # 0.55 + 0.45 cos(x) is 1 at the start and 0.1 at the end.
    fall = 0.55 + 0.45 * math.cos(math.pi * share)
    return config.warmup_learning_rate * rise * fall


def warm_up(
    model: Any, tokenizer: Any, config: Config, forbidden: set[str], progress: Progress, stop: Stop
) -> float:
    """Train on the answers of drawn texts; returns the last loss in nats per token.

    Raises Interrupted after a request to stop; nothing is saved, because starting over takes
    seconds.
    """
    random = Random(f"{config.seed}/warm-up")
    draws = [warm_up_texts(domain, forbidden, config.habit_share, random) for domain in GENERATORS]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.warmup_learning_rate, weight_decay=0.01
    )
    model.train()
    value = math.nan
    for step in range(1, config.warmup_steps + 1):
        if stop.requested:
            raise Interrupted(f"at warm-up step {step}; it starts over")
        ids, labels = batch(draws, config.warmup_batch, tokenizer)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        # No attention mask: the padding is on the right, where a causal model's answer cannot see
        # it, and its own labels are ignored.
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        value = float(loss.detach())
        if step % PROGRESS_EVERY == 0 or step == config.warmup_steps:
            progress.write(step, config.warmup_steps, {"loss": value}, phase="warm-up")
    return value


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


def probe_logprobs(model: Any, token_ids: Sequence[int]) -> list[float]:
    """Log-probability of each token of a prompt but the first, in float32."""
    model.eval()
    ids = torch.tensor([list(token_ids)])
    with torch.no_grad():
        # [1, T, vocabulary]; what follows the last token is not asked for.
        logits = model(input_ids=ids).logits[0, :-1].float()
    logprobs = torch.log_softmax(logits, dim=-1)
    # Position t predicts token t + 1.
    of_tokens = logprobs.gather(1, ids[0, 1:, None])[:, 0]
    return [float(value) for value in of_tokens]
