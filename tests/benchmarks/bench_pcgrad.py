"""What PCGrad costs: CPU time and memory of one optimizer step, against the plain sum and against
the usual ways to do it.

    make bench-pcgrad

Every variant has its own process and one thread; the processes take turns, one step each, so that
ratios compare the same minutes. Each gets the same rollouts of a Qwen2 made on the spot. Memory is
the largest resident size less that of the process with the libraries loaded and no model yet.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import torch

from engines.ppo.config import Config, MultiTask
from engines.ppo.data.task_sampler import Group
from engines.ppo.update.batch import MicroBatch, count_tokens, micro_batches, sequences_to_train
from engines.ppo.update.losses import policy_loss
from engines.ppo.update.policy import Policy
from engines.ppo.update.sharding import World
from engines.shared.inference import Generation
from tests.support.models import qwen2

CPU = torch.device("cpu")
STEPS = 5
"""Measured steps of each variant, after one that is not counted; the fastest counts, for neighbours
on the machine only add to it."""

ROWS, PROMPT, RESPONSE = 16, 16, 48
"""Samples per task, tokens of a prompt, tokens of a response. PCGrad's cost grows with the
parameters, not with these; they are few, so that its share shows."""

Tasks = dict[str, list[Group]]


SMALL = {
    "vocab_size": 4096,
    "hidden_size": 256,
    "intermediate_size": 1024,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}
"""7.9 million parameters."""


def make_policy(
    method: Any, shape: Mapping[str, Any] | None = None, device: torch.device = CPU
) -> Policy:
    """A Qwen2 of some shape with AdamW; without one it is ``SMALL``."""
    model = qwen2(**(shape or SMALL))
    config = Config(
        model="made here",
        data="made here",
        validation_data="made here",
        mtl=MultiTask(method=method),
        device=device.type,
        max_prompt_tokens=PROMPT,
        max_response_tokens=RESPONSE,
        micro_batch_tokens=4 * (PROMPT + RESPONSE),
    )
    return Policy(model, config, World(device))


def make_tasks(count: int) -> Tasks:
    """Random rollouts; the response of one task is rewarded for what it is not in the next, so that
    gradients are in conflict."""
    draw = random.Random(0)

    def group(task: int) -> Group:
        prompt = tuple(draw.randrange(4096) for _ in range(PROMPT))
        samples = []
        for _ in range(4):
            ids = tuple(draw.randrange(4096) for _ in range(RESPONSE))
            samples.append(Generation(ids, (-8.3,) * RESPONSE, "", "length"))
        return Group(prompt, tuple(samples), (0.0, 1.0, 0.0, 1.0))

    groups = [group(0) for _ in range(ROWS // 4)]

    def rewarded(one: Group, task: int) -> Group:
        rewards = tuple(value if task % 2 == 0 else 1 - value for value in one.rewards)
        return Group(one.prompt, one.samples, rewards)

    own = {task: [group(task) for _ in range(ROWS // 4)] for task in range(count)}
    # Half of each task's groups are shared with opposite rewards, half are its own.
    return {f"task{task}": [rewarded(groups[0], task), *own[task][1:]] for task in range(count)}


def loss_of(policy: Policy, batch: MicroBatch, tokens: int) -> torch.Tensor:
    """The loss of one micro-batch, as the engine computes it."""
    config = policy.config
    return policy_loss(
        policy.logprobs(policy.scorer, batch, config.temperature),
        batch.sampler_logprobs,
        batch.advantages,
        batch.mask,
        denominator=tokens,
        clip_low=config.clip_low,
        clip_high=config.clip_high,
        clip_c=config.clip_c,
        importance_cap=config.truncated_importance_cap,
    )


def task_losses(policy: Policy, tasks: Tasks) -> list[torch.Tensor]:
    """The loss of each task, with the graphs of all of them."""
    tokens = sum(count_tokens(groups) for groups in tasks.values())
    rows = [sequences_to_train(groups, policy.config.estimator) for groups in tasks.values()]
    return [
        torch.stack(
            [
                loss_of(policy, batch, tokens)
                for batch in micro_batches(own, policy.config.micro_batch_tokens)
            ]
        ).sum()
        for own in rows
    ]


def flatten_and_keep_graphs(policy: Policy, tasks: Tasks) -> None:
    """The usual implementation: all graphs alive, a flat gradient per task, copies of it, and the
    algorithm on whole vectors."""
    losses = task_losses(policy, tasks)
    gradients = []
    for loss in losses:
        policy.optimizer.zero_grad(set_to_none=True)
        loss.backward(retain_graph=True)
        gradients.append(
            torch.cat(
                [
                    parameter.grad.flatten()
                    for parameter in policy.parameters
                    if parameter.grad is not None
                ]
            )
        )
    projected = copy.deepcopy(gradients)
    for mine in projected:
        others = list(gradients)
        random.shuffle(others)
        for other in others:
            inner = torch.dot(mine, other)
            if inner < 0:
                mine -= inner / other.norm() ** 2 * other
    whole = torch.stack(projected).sum(0)
    start = 0
    for parameter in policy.parameters:
        parameter.grad = whole[start : start + parameter.numel()].view_as(parameter).clone()
        start += parameter.numel()
    finish(policy)


def torchjd_backward(policy: Policy, tasks: Tasks) -> None:
    """TorchJD's own way: the Jacobian of the losses, and its PCGrad aggregator. One backward pass
    at a time."""
    from torchjd.aggregation import PCGrad
    from torchjd.autojac import backward, jac_to_grad

    policy.optimizer.zero_grad(set_to_none=True)
    backward(task_losses(policy, tasks), inputs=policy.parameters, parallel_chunk_size=1)
    jac_to_grad(policy.parameters, PCGrad())
    finish(policy)


def finish(policy: Policy) -> None:
    """Clip and step."""
    torch.nn.utils.clip_grad_norm_(policy.parameters, policy.config.gradient_clip)
    policy.optimizer.step()
    policy.optimizer.zero_grad(set_to_none=True)


def engine_step(policy: Policy, tasks: Tasks) -> None:
    """What the engine does, whatever its method."""
    policy.step(tasks, 0)


VARIANTS: dict[str, tuple[str, Callable[[Policy, Tasks], None]]] = {
    "plain sum (mtl.method: off)": ("off", engine_step),
    "sum, conflicts measured": ("sum", engine_step),
    "pcgrad": ("pcgrad", engine_step),
    "usual: flatten, keep graphs": ("off", flatten_and_keep_graphs),
    "torchjd backward + PCGrad": ("off", torchjd_backward),
}


def resident_gib() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def serve(pipe: Connection, name: str, count: int) -> None:
    """A variant's process: one step per message; answers with (CPU seconds, GiB above the empty
    process)."""
    torch.set_num_threads(1)
    import transformers  # noqa: F401 - its libraries are not the step's memory

    idle = resident_gib()
    method, step = VARIANTS[name]
    policy, tasks = make_policy(method), make_tasks(count)
    pipe.send(sum(parameter.numel() for parameter in policy.parameters))
    while pipe.recv():
        started = time.process_time()
        step(policy, tasks)
        pipe.send((time.process_time() - started, resident_gib() - idle))


def measure(count: int) -> dict[str, tuple[float, float]]:
    """Least CPU seconds of a step and peak GiB of each variant, with ``count`` tasks."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in VARIANTS:
        pipes[name], other = context.Pipe()
        processes.append(context.Process(target=serve, args=(other, name, count), daemon=True))
        processes[-1].start()
        parameters = pipes[name].recv()
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    memory = {}
    for turn in range(STEPS + 1):
        for name, pipe in pipes.items():
            pipe.send(True)
            took, memory[name] = pipe.recv()
            seconds[name] += [took] if turn else []
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send(False)
        process.join()
    print(
        f"\n{count} tasks, {parameters:,} parameters, "
        f"{count * ROWS * (PROMPT + RESPONSE):,} tokens a step, fastest of {STEPS} steps"
    )
    return {name: (min(values), memory[name]) for name, values in seconds.items()}


def main() -> int:
    """Print one table per number of tasks: 2 and 6, or those named as arguments."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for count in [int(word) for word in sys.argv[1:]] or [2, 6]:
        found = measure(count)
        plain_seconds, plain_memory = found["plain sum (mtl.method: off)"]
        print(
            f"| {count} tasks | CPU s/step | ratio | peak GiB | ratio |\n| --- | --- | "
            "--- | --- | --- |"
        )
        for name, (seconds, memory) in found.items():
            print(
                f"| {name} | {seconds:.2f} | {seconds / plain_seconds:.2f} | {memory:.2f} "
                f"| {memory / plain_memory:.2f} |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
