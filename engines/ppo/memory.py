"""The memory plan of a training: every item on the GPUs and on the host, before anything is loaded.

A config, the size of its model and the machine go in, bytes by item come out. The training prints
the plan, and ``engines/ppo/estimates.py`` refuses what cannot fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from engines.ppo.config import Config
from engines.ppo.model_size import ModelSize, adapter_parameters
from engines.shared.language_model.settings import LOGIT_ROWS, SAMPLED_ROWS

GPU_OVERHEAD_BYTES = 5e9
"""CUDA contexts, CUDA graphs, fragmentation: 4 to 6 GB are usual."""


HOST_OVERHEAD_BYTES = 2.5e9
"""Ray, the driver, the libraries of the training process, the scoring workers."""


LEAST_CACHE_SEQUENCES = 8
"""Sequences of full length that vLLM's cache must hold for generation to be of any use."""


@dataclass(frozen=True)
class Machine:
    """What there is. None: not known."""

    gpus: int
    """GPUs that share the trained state: one per rank, or none."""
    gpu_name: str
    gpu_bytes: float | None
    """Memory of one GPU."""
    host_bytes: float
    disk_bytes: float
    """Free where the run writes, with what it has written there already."""


Phase = Literal["always", "start", "generation", "update"]


NOTES: dict[Phase, str] = {
    "always": "",
    "start": " (at the start only)",
    "generation": " (not in the update)",
    "update": "",
}


@dataclass(frozen=True)
class Item:
    """Bytes on each GPU and on the host. What is there only in one phase never meets what is there
    only in another."""

    name: str
    gpu: float
    host: float
    when: Phase = "always"


def memory_plan(config: Config, size: ModelSize, tasks: int, machine: Machine) -> list[Item]:
    """Every item of memory, for a training of ``tasks`` tasks."""
    on_gpu = machine.gpus > 0
    # FSDP2 cuts the trained state evenly over the GPUs; without it, it rests whole on the host.
    share = 1 / max(machine.gpus, 1)
    rests_on_gpu = on_gpu and not config.offload
    items = []
    for name, value, when in trained_state(config, size, tasks, on_gpu):
        gpu = value * share if rests_on_gpu else 0.0
        host = 0.0 if rests_on_gpu else value
        items.append(Item(name, gpu, host, when))
    if on_gpu:
        items += passing_on_gpu(config, size, tasks, machine)
    overhead = GPU_OVERHEAD_BYTES if on_gpu else 0.0
    return [
        *items,
        *working_memory(config, size, on_gpu),
        *sampler_memory(config, size, machine),
        Item("programs, libraries, fragmentation", overhead, HOST_OVERHEAD_BYTES),
    ]


def trained_parameters(config: Config, size: ModelSize) -> float:
    """Parameters that have a gradient: the model's, or the adapters'."""
    if config.lora is None:
        return float(size.parameters)
    return float(adapter_parameters(size, config.lora.rank))


def weights_held(config: Config, size: ModelSize, on_gpu: bool) -> tuple[str, float]:
    """In which type the model's weights rest, and their bytes: only frozen ones may be rounded."""
    if on_gpu and config.lora is not None:
        return "bfloat16", 2.0 * size.parameters
    return "float32", 4.0 * size.parameters


def trained_state(
    config: Config, size: ModelSize, tasks: int, on_gpu: bool
) -> list[tuple[str, float, Phase]]:
    """What rests between steps, and the gradients: name, bytes over all GPUs together, phase."""
    count, trained = float(size.parameters), trained_parameters(config, size)
    kind, held = weights_held(config, size, on_gpu)
    # On the CPU the gradients of all tasks are kept as they are; the last of them is the one being
    # computed.
    copies = tasks if config.mtl.method != "off" and not on_gpu else 1
    gradients = f"gradients of {copies} tasks, float32" if copies > 1 else "gradients, float32"
    state: list[tuple[str, float, Phase]] = [
        (f"weights, {kind}", held, "always"),
        ("AdamW moments, float32", 8 * trained, "always"),
        (gradients, 4 * trained * copies, "update"),
        ("sum of the tasks' gradients, float32", 4 * trained, "update"),
    ]
    if config.lora is not None:
        state.append(("adapters, float32", 4 * trained, "always"))
    # With adapters the frozen model itself is the reference: no second copy then.
    elif config.kl_coefficient > 0:
        state.append(("first model for the divergence, float32", 4 * count, "always"))
    if config.estimator == "gae":
        state += [
            ("critic and its AdamW moments, float32", 12 * count, "always"),
            ("critic's gradients, float32", 4 * count, "update"),
        ]
    return state


def passing_on_gpu(config: Config, size: ModelSize, tasks: int, machine: Machine) -> list[Item]:
    """What a training on GPUs needs besides: gathered weights, the read, the tasks' gradients."""
    kind, held = weights_held(config, size, on_gpu=True)
    items = []
    # Not so for adapters on one GPU: the frozen weights are in bfloat16 there already.
    if config.lora is None or config.ranks > 1 or config.offload:
        gathered = gathered_bytes(config, size)
        items.append(Item("bfloat16 copies of the weights in a pass", gathered, 0.0))
    # Every rank reads the whole model into host memory before it keeps its shard.
    items.append(Item(f"model while it is read, {kind}", 0.0, held * machine.gpus, "start"))
    if config.mtl.method != "off":
        kept = 2 * trained_parameters(config, size) * tasks
        items.append(Item(f"gradients of {tasks} tasks, bfloat16", 0.0, kept, "update"))
    return items


def gathered_bytes(config: Config, size: ModelSize) -> float:
    """bfloat16 weights on a GPU during a pass: all of them, or where they are cut, the embeddings,
    the head and two layers."""
    if config.ranks == 1 and not config.offload:
        return 2.0 * size.parameters
    # FSDP2 gathers one layer while the pass is in another. What lies outside of the layers stays
    # gathered (`World.shard`). The minimum is for small models whose embedding is tied to the head.
    outside = min(2 * size.vocabulary * size.hidden, size.parameters)
    return 2.0 * (outside + 2 * (size.parameters - outside) / size.layers)


def working_memory(config: Config, size: ModelSize, on_gpu: bool) -> list[Item]:
    """Activations of one micro-batch and one chunk of logits."""
    tokens = config.micro_batch_tokens
    # Elements that one layer keeps per token for its backward pass.
    wide = 12 * size.hidden + 4 * size.intermediate
    # The logits, the same divided by the temperature, and the gradients of both: four, in float32.
    logits = 4.0 * min(LOGIT_ROWS, tokens) * size.vocabulary * 4
    if on_gpu:
        kept = tokens * checkpoint_bytes(size)
        # Values and gradients, in bfloat16, of the one layer that is being recomputed.
        layer = tokens * wide * 2 * 2.0
        values = [("inputs of the layers, float32", kept), ("one layer, recomputed", layer)]
    else:
        # The length of a row of the attention mask.
        longest = config.max_prompt_tokens + config.max_response_tokens
        values = [("activations, float32", tokens * size.layers * (wide + longest) * 4.0)]
    return [
        Item(name, value if on_gpu else 0.0, 0.0 if on_gpu else value, "update")
        for name, value in [*values, ("chunk of logits, float32", logits)]
    ]


def checkpoint_bytes(size: ModelSize, width: int = 4) -> int:
    """What gradient checkpointing keeps per token: the input of every layer, ``width`` bytes per
    element.

    4, because autocast leaves the residual stream in float32: the embedding is not one of the
    operations that it casts.
    """
    return size.layers * size.hidden * width


def sampler_memory(config: Config, size: ModelSize, machine: Machine) -> list[Item]:
    """vLLM: its weights and the rest of its share. It is awake during the update, too. The trained
    model as its own sampler: keys and values of the samples that it draws together."""
    if not config.samples_with_vllm(machine.gpus > 0):
        longest = config.max_prompt_tokens + config.max_response_tokens
        # In float32, twice what the size counts with.
        row = 2.0 * size.cache_bytes_per_token * longest
        cache = min(row * SAMPLED_ROWS, config.kv_cache_gb * 2.0**30)
        cache = max(cache, row * config.samples_per_prompt)
        gpu, host = (cache, 0.0) if machine.gpus else (0.0, cache)
        return [Item("keys and values of samples", gpu, host, "generation")]
    if machine.gpus == 0:
        return [
            Item("vLLM weights, float32", 0.0, 4.0 * size.parameters * config.ranks),
            Item("vLLM key-value cache", 0.0, config.kv_cache_gb * 2.0**30 * config.ranks),
        ]
    weights = 2.0 * size.parameters
    share = config.gpu_memory_fraction * (machine.gpu_bytes or 0.0)
    when: Phase = "generation" if config.sampler_sleeps else "always"
    return [
        Item("vLLM weights, bfloat16", weights, 0.0, when),
        Item(
            "vLLM key-value cache and buffers",
            # Never less than a cache of some use, however small vLLM's share is set.
            max(share - weights, least_cache(config, size)),
            0.0,
            when,
        ),
    ]


def least_cache(config: Config, size: ModelSize) -> float:
    """Bytes of the smallest cache worth having."""
    longest = config.max_prompt_tokens + config.max_response_tokens
    return float(size.cache_bytes_per_token * longest * LEAST_CACHE_SEQUENCES)


def sums(items: Iterable[Item]) -> tuple[float, float]:
    """Bytes needed at once on each GPU and on the host."""

    def most(values: Sequence[tuple[Phase, float]]) -> float:
        parts = {when: sum(value for own, value in values if own == when) for when in NOTES}
        # Phases follow one another: only the largest of them adds to what is always there.
        return parts.pop("always") + max(parts.values())

    listed = list(items)
    return most([(item.when, item.gpu) for item in listed]), most(
        [(item.when, item.host) for item in listed]
    )


def table(items: Sequence[Item], machine: Machine, needed_disk: float) -> str:
    """The memory plan to read: one line per item, GB = 10^9 bytes."""
    gpu, host = sums(items)
    lines = [
        f"{'memory plan, GB':<46}{'GPU':>8}{'host':>8}",
        *(
            f"  {item.name + NOTES[item.when]:<44}{item.gpu / 1e9:8.1f}{item.host / 1e9:8.1f}"
            for item in items
        ),
    ]
    there = (
        f"{machine.gpu_bytes / 1e9:8.1f}"
        if machine.gpu_bytes
        else f"{'?' if machine.gpus else '-':>8}"
    )
    return "\n".join(
        [
            *lines,
            f"  {'needed at once':<44}{gpu / 1e9:8.1f}{host / 1e9:8.1f}",
            f"  {'there is':<44}{there}{machine.host_bytes / 1e9:8.1f}",
            f"disk for checkpoints: {needed_disk / 1e9:.1f} GB at most, there are "
            f"{machine.disk_bytes / 1e9:.1f} GB",
        ]
    )
