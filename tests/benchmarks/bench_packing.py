"""What packing gains: tokens through the update per second, packed against padded to the longest
answer of a micro-batch.

    make bench-packing

Answers of very different lengths, as reasoning gives them, through the same Qwen2 (forward and
backward, no optimizer), one thread. Both ways get micro-batches of the same budget of tokens;
padded, the padding counts against it. Only real tokens are counted.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from engines.ppo.update.batch import Rollout, micro_batches
from engines.ppo.update.policy import Policy
from tests.benchmarks.bench_pcgrad import make_policy

BUDGET, PROMPT, LONGEST, ROWS, TURNS = 1024, 32, 224, 48, 4
"""Tokens of a micro-batch, of a prompt, of the longest answer; answers; measured turns after one
that is not counted."""


def make_rollouts(draw: random.Random) -> list[Rollout]:
    """Answers whose lengths are spread like a log-normal with the median at an eighth of the
    longest."""

    def rollout() -> Rollout:
        length = max(4, min(LONGEST, round(LONGEST / 8 * draw.lognormvariate(0, 0.9))))
        prompt, response = ([draw.randrange(4096) for _ in range(n)] for n in (PROMPT, length))
        return Rollout(tuple(prompt), tuple(response), (-8.0,) * length, (1.0,) * length, 1.0)

    return sorted((rollout() for _ in range(ROWS)), key=len, reverse=True)


def packed(policy: Policy, rows: Sequence[Rollout]) -> None:
    """The engine's way."""
    for batch in micro_batches(rows, BUDGET):
        policy.logprobs(policy.scorer, batch, 1.0).sum().backward()


def padded_batches(rows: Sequence[Rollout]) -> Iterator[list[Rollout]]:
    """Neighbours in ``rows``, as many as fit when all are as long as the longest."""
    part: list[Rollout] = []
    for row in rows:
        if part and max(len(row), *map(len, part)) * (len(part) + 1) > BUDGET:
            yield part
            part = []
        part.append(row)
    yield part


def padded(policy: Policy, rows: Sequence[Rollout]) -> None:
    """The usual way: a rectangle with a mask, and the head on all of its positions that predict an
    answer."""
    policy.model.set_attn_implementation("sdpa")
    for part in padded_batches(rows):
        length = max(map(len, part))
        ids = torch.tensor(
            [[*row.prompt, *row.response, *[0] * (length - len(row))] for row in part]
        )
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in part])
        logits = policy.model(input_ids=ids, attention_mask=mask).logits[:, PROMPT - 1 : -1]
        chosen = logits.log_softmax(-1).gather(-1, ids[:, PROMPT:, None])[..., 0]
        (chosen * mask[:, PROMPT:]).sum().backward()
    policy.model.set_attn_implementation("packed")


def least_seconds(
    work: Callable[[Policy, Sequence[Rollout]], None], policy: Policy, rows: Sequence[Rollout]
) -> float:
    """CPU seconds of the fastest turn."""
    taken = []
    for _ in range(TURNS + 1):
        policy.optimizer.zero_grad(set_to_none=True)
        started = time.process_time()
        work(policy, rows)
        taken.append(time.process_time() - started)
    return min(taken[1:])


def main() -> int:
    """Print one table: rows in random order, as they are sampled, and sorted by length, as the
    engine orders them."""
    torch.set_num_threads(1)
    policy = make_policy("off")
    rows = make_rollouts(random.Random(0))
    mixed = random.Random(1).sample(rows, len(rows))
    tokens = sum(map(len, rows))
    print(
        f"{len(rows)} answers, {tokens:,} tokens, "
        f"{sum(parameter.numel() for parameter in policy.parameters):,} parameters"
    )
    ways = (
        ("padded, in the order of sampling", padded, mixed),
        ("padded, sorted by length", padded, rows),
        ("packed", packed, rows),
    )
    found = {name: tokens / least_seconds(work, policy, order) for name, work, order in ways}
    print("| | tokens per CPU second | ratio |\n| --- | --- | --- |")
    for name, rate in found.items():
        print(f"| {name} | {rate:,.0f} | {rate / found['padded, in the order of sampling']:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
