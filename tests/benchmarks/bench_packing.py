"""What packing gains: tokens through the update per second, packed against padded to the longest
answer of a micro-batch; and what it gains besides that a prompt is run once for all of its answers.

    make bench-packing

Answers of very different lengths, as reasoning gives them, through the same Qwen2 (forward and
backward, no optimizer), one thread. Both ways get micro-batches of the same budget of tokens;
padded, the padding counts against it. Only real tokens are counted. Then the model of the preset
`smoke` of mtl-comparison with groups of eight answers to a prompt, both ways taking turns: passes
forward and backward of one task, and the whole update of the preset (six tasks, PCGrad, AdamW).
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import torch

from engines.ppo.config import Config, MultiTask
from engines.ppo.data.task_sampler import Group
from engines.ppo.update.batch import Rollout, micro_batches, sequences_to_train
from engines.ppo.update.policy import Policy
from engines.ppo.update.sharding import World
from engines.shared.inference import Generation
from tests.benchmarks.bench_pcgrad import make_policy
from tests.support.models import qwen2

BUDGET, PROMPT, LONGEST, ROWS, TURNS = 1024, 32, 224, 48, 4
"""Tokens of a micro-batch, of a prompt, of the longest answer; answers; measured turns after one
that is not counted."""


SHAPES = (("13.6 / 2.4", 8), ("60 / 57", 12), ("200 / 400", 2))
"""Mean tokens of a prompt / of an answer, and groups."""
SAMPLES, VOCABULARY = 8, 258


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


def small_policy(sharing: bool) -> Policy:
    """The model of the preset, 0.5 million parameters; without ``sharing`` each answer has its
    prompt run again."""
    model = qwen2(
        vocab_size=VOCABULARY,
        hidden_size=96,
        intermediate_size=384,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=3,
        tie_word_embeddings=False,
    )
    config = Config(
        model="made here",
        data="made here",
        validation_data="made here",
        mtl=MultiTask(method="pcgrad"),
        device="cpu",
        max_prompt_tokens=400,
        max_response_tokens=800,
        micro_batch_tokens=8192,
    )
    policy = Policy(model, config, World(torch.device("cpu")))
    policy.scorer.sharing = policy.shared = sharing
    return policy


def make_groups(draw: random.Random, shape: str, count: int) -> list[Group]:
    """Random tokens; every second answer is right."""
    prompt, answer = map(float, shape.split(" / "))

    def ids(mean: float) -> tuple[int, ...]:
        # Of 2.4 tokens on average there are 1 to 4; longer ones are spread by a sixth.
        if mean < 5:
            length = draw.choices((1, 2, 3, 4), (1, 5, 3, 1))[0]
        else:
            length = max(4, round(draw.gauss(mean, mean / 6)))
        return tuple(draw.randrange(VOCABULARY) for _ in range(length))

    def group() -> Group:
        answers = [ids(answer) for _ in range(SAMPLES)]
        samples = [Generation(one, (-4.6,) * len(one), "", "stop") for one in answers]
        return Group(ids(prompt), tuple(samples), tuple(float(k % 2) for k in range(SAMPLES)))

    return [group() for _ in range(count)]


def passes(policy: Policy, groups: Sequence[Group]) -> None:
    """Forward and backward over the micro-batches of one task."""
    rows = sequences_to_train(groups, "grpo", shared=policy.shared)
    for batch in micro_batches(rows, policy.config.micro_batch_tokens, policy.shared):
        policy.logprobs(policy.scorer, batch, 1.0).sum().backward()
    policy.optimizer.zero_grad(set_to_none=True)


def in_turns(work: Callable[[Policy], None]) -> tuple[float, float]:
    """CPU seconds of the fastest turn, each answer with its prompt and a prompt once."""
    policies = {sharing: small_policy(sharing) for sharing in (False, True)}
    taken: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(2 * TURNS + 1):
        # Turn by turn, so that both have the same neighbours on the machine.
        for sharing, policy in policies.items():
            started = time.process_time()
            work(policy)
            taken[sharing].append(time.process_time() - started)
    return min(taken[False][1:]), min(taken[True][1:])


def print_shared() -> None:
    """The second table."""
    draw = random.Random(2)
    print(
        "\n| prompt / answer, mean tokens | groups | prompt with each answer, CPU s | "
        "prompt once, CPU s | ratio |\n| --- | --- | --- | --- | --- |"
    )
    for shape, count in SHAPES:
        groups = make_groups(draw, shape, count)
        apart, once = in_turns(lambda policy, own=groups: passes(policy, own))  # type: ignore[misc]
        print(f"| {shape}, passes | {count} | {apart:.3f} | {once:.3f} | {apart / once:.2f} |")
    shape, count = SHAPES[0]
    tasks = {f"task{number}": make_groups(draw, shape, count) for number in range(6)}
    apart, once = in_turns(lambda policy: (policy.step(tasks, 0), None)[1])
    print(f"| {shape}, update | {6 * count} | {apart:.3f} | {once:.3f} | {apart / once:.2f} |")


def main() -> int:
    """Print two tables. The first has rows in random order, as they are sampled, and sorted by
    length, as the engine orders them."""
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
    print_shared()
    return 0


if __name__ == "__main__":
    sys.exit(main())
