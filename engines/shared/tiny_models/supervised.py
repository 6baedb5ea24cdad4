"""Supervised training of a tiny model, and the probe of what it became.

In: a fresh model and a source of (prompt, answer) token ids. Out: the trained model, its last loss,
and log-probabilities that whoever loads it must reproduce. The engines that make a model for tests
and smoke runs call it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from engines.contract.program import Interrupted, Stop
from engines.contract.progress import Progress

IGNORED = -100
"""Label of a token that has no part in the loss; transformers' own value."""
PROGRESS_EVERY = 25
"""Steps between two lines of progress."""
RISING_STEPS = 20
"""Steps in which the learning rate rises to its peak."""

Example = tuple[list[int], list[int]]
"""Token ids of a prompt, and those that are learned after it, their end included."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a model learns."""

    steps: int
    learning_rate: float
    """Peak of AdamW's."""

    def rate(self, step: int) -> float:
        """The learning rate of a step: a linear rise, times a cosine that falls to a tenth."""
        rise = min(1.0, step / RISING_STEPS)
        # 0.55 + 0.45 cos(x) is 1 at the start and 0.1 at the end.
        fall = 0.55 + 0.45 * math.cos(math.pi * step / self.steps)
        return self.learning_rate * rise * fall


def padded(examples: Sequence[Example], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels, both [examples, T], padded on the right; only answers are learned."""
    width = max(len(prompt) + len(learned) for prompt, learned in examples)
    all_ids, all_labels = [], []
    for prompt, learned in examples:
        padding = width - len(prompt) - len(learned)
        all_ids.append(prompt + learned + [pad] * padding)
        # Labels stand at the places of their own tokens: transformers shifts them by one itself.
        all_labels.append([IGNORED] * len(prompt) + learned + [IGNORED] * padding)
    return torch.tensor(all_ids), torch.tensor(all_labels)


def train(
    model: Any,
    batch: Callable[[], tuple[torch.Tensor, torch.Tensor]],
    schedule: Schedule,
    progress: Progress,
    stop: Stop,
) -> float:
    """Train on drawn batches; returns the last loss in nats per token.

    Raises Interrupted after a request to stop; nothing is saved, because starting over takes
    seconds.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, weight_decay=0.01)
    model.train()
    value = math.nan
    for step in range(1, schedule.steps + 1):
        if stop.requested:
            raise Interrupted(f"at warm-up step {step}; it starts over")
        ids, labels = batch()
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        # No attention mask: the padding is on the right, where a causal model's answer cannot see
        # it, and its own labels are ignored.
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        value = float(loss.detach())
        if step % PROGRESS_EVERY == 0 or step == schedule.steps:
            progress.write(step, schedule.steps, {"loss": value}, phase="warm-up")
    return value


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
