"""What a training takes, before it starts: memory by item, tokens, hours, disk. Plain arithmetic;
no torch here.

It counts what this engine does: float32 weights, gradients and AdamW moments, cut over the GPUs or
resting in host memory, passes in bfloat16 and gradient checkpointing on a GPU, the tasks' gradients
in host memory, and vLLM beside the trainer, asleep during the update if ``sampler_sleeps``.
"""

from __future__ import annotations

import csv
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import ConfigError
from engines.ppo.config import KEEP_STATES, Config
from engines.ppo.model_size import ModelSize, adapter_parameters, model_folder, model_size
from engines.ppo.watchdogs import memory
from engines.shared.data.contamination import data_files

LOGIT_ROWS = 2048
"""Response positions per chunk of logits: with a vocabulary of 152k one chunk is 1.2 GB in
float32."""

GPU_OVERHEAD_BYTES = 5e9
"""CUDA contexts, CUDA graphs, fragmentation: 4 to 6 GB are usual."""

HOST_OVERHEAD_BYTES = 2.5e9
"""Ray, the driver, the libraries of the training process, the scoring workers."""

LEAST_CACHE_SEQUENCES = 8
"""Sequences of full length that vLLM's cache must hold for generation to be of any use."""

PEAK_FLOPS = {
    "A100": 312e12,
    "H100": 989e12,
    "H200": 989e12,
    "GH200": 989e12,
    "L40S": 362e12,
    "A40": 150e12,
}
"""Dense bfloat16 FLOP/s by a word of the GPU's name, from the makers' data sheets."""

UTILISATION = 0.35
"""Assumed share of the peak that training reaches; 0.3 to 0.5 is usual on one node."""


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
    "generation": " (asleep in the update)",
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


@dataclass(frozen=True)
class Work:
    """Tokens that pass through the trainer, at most, and what they cost."""

    tokens: float
    flop: float
    hours: float | None
    """Of the updates alone, without generation; None for a device whose peak is not known."""


def memory_plan(config: Config, size: ModelSize, tasks: int, machine: Machine) -> list[Item]:
    """Every item of memory, for a training of ``tasks`` tasks."""
    count, share = float(size.parameters), 1 / max(machine.gpus, 1)
    on_gpu = machine.gpus > 0
    trained = count if config.lora is None else float(adapter_parameters(size, config.lora.rank))
    kind, held = (
        ("bfloat16", 2 * count) if on_gpu and config.lora is not None else ("float32", 4 * count)
    )
    # On the CPU the gradients of all tasks are kept as they are; the last of them is the one being
    # computed.
    copies = tasks if config.mtl.method != "off" and not on_gpu else 1
    state: list[tuple[str, float, Phase]] = [
        (f"weights, {kind}", held, "always"),
        ("AdamW moments, float32", 8 * trained, "always"),
        (
            f"gradients of {copies} tasks, float32" if copies > 1 else "gradients, float32",
            4 * trained * copies,
            "update",
        ),
        ("sum of the tasks' gradients, float32", 4 * trained, "update"),
    ]
    if config.lora is not None:
        state.append(("adapters, float32", 4 * trained, "always"))
    elif config.kl_coefficient > 0:
        state.append(("first model for the divergence, float32", 4 * count, "always"))
    if config.estimator == "gae":
        state += [
            ("critic and its AdamW moments, float32", 12 * count, "always"),
            ("critic's gradients, float32", 4 * count, "update"),
        ]
    there = on_gpu and not config.offload
    items = [
        Item(name, value * share if there else 0.0, 0.0 if there else value, when)
        for name, value, when in state
    ]
    if on_gpu:
        if config.lora is None or config.ranks > 1 or config.offload:
            items.append(
                Item("bfloat16 copies of the weights in a pass", gathered_bytes(config, size), 0.0)
            )
        items.append(Item(f"model while it is read, {kind}", 0.0, held * machine.gpus, "start"))
        if config.mtl.method != "off":
            items.append(
                Item(f"gradients of {tasks} tasks, bfloat16", 0.0, 2 * trained * tasks, "update")
            )
    return [
        *items,
        *working_memory(config, size, on_gpu),
        *sampler_memory(config, size, machine),
        Item(
            "programs, libraries, fragmentation",
            GPU_OVERHEAD_BYTES if on_gpu else 0.0,
            HOST_OVERHEAD_BYTES,
        ),
    ]


def gathered_bytes(config: Config, size: ModelSize) -> float:
    """bfloat16 weights on a GPU during a pass: all of them, or where they are cut, the embeddings,
    the head and two layers."""
    if config.ranks == 1 and not config.offload:
        return 2.0 * size.parameters
    outside = min(2 * size.vocabulary * size.hidden, size.parameters)
    return 2.0 * (outside + 2 * (size.parameters - outside) / size.layers)


def working_memory(config: Config, size: ModelSize, on_gpu: bool) -> list[Item]:
    """Activations of one micro-batch and one chunk of logits."""
    tokens = config.micro_batch_tokens
    wide = (
        12 * size.hidden + 4 * size.intermediate
    )  # elements that one layer keeps per token for its backward pass
    logits = (
        4.0 * min(LOGIT_ROWS, tokens) * size.vocabulary * 4
    )  # logits, by temperature, and the gradients of both
    if on_gpu:
        kept = tokens * checkpoint_bytes(size)
        layer = (
            tokens * wide * 2 * 2.0
        )  # bfloat16; values and gradients of the layer that is being recomputed
        values = [("inputs of the layers, float32", kept), ("one layer, recomputed", layer)]
    else:
        longest = (
            config.max_prompt_tokens + config.max_response_tokens
        )  # a row of the attention mask
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
    """vLLM: its weights and the rest of its share. It is awake during the update, too."""
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
        return parts.pop("always") + max(parts.values())

    listed = list(items)
    return most([(item.when, item.gpu) for item in listed]), most(
        [(item.when, item.host) for item in listed]
    )


def work(
    config: Config, size: ModelSize, machine: Machine, steps: int, tasks: int, prompt_tokens: float
) -> Work:
    """The updates of ``steps`` steps, if every answer is as long as it may be and every sample has
    a gradient.

    8 FLOP per parameter and token on a GPU (2 forward, 4 backward, 2 recomputed), 6 on the CPU,
    which recomputes nothing. ``prompt_tokens`` is the mean length of a prompt.
    """
    samples = steps * tasks * config.prompts_per_task * config.samples_per_prompt
    return work_of_tokens(
        config, samples * (prompt_tokens + config.max_response_tokens), size.parameters, machine
    )


def work_of_tokens(config: Config, tokens: float, parameters: int, machine: Machine) -> Work:
    """What training on ``tokens`` tokens costs. A critic costs as much again, and a pass for its
    values."""
    per_token = 8 if machine.gpus else 6
    if config.estimator == "gae":
        per_token += per_token + 2
    flop = per_token * parameters * tokens
    peaks = [
        peak
        for word, peak in PEAK_FLOPS.items()
        if word in machine.gpu_name.replace("-", " ").split()
    ]
    hours = (
        flop / (peaks[0] * UTILISATION * machine.gpus) / 3600 if peaks and machine.gpus else None
    )
    return Work(tokens, flop, hours)


def estimate(config: Config, gpus: int, minutes: int) -> str | None:
    """Tokens, FLOP and hours on A100s of a training, at most, and how often a limit of ``minutes``
    interrupts it; None if not known."""
    folder = model_folder(config.model)
    size = model_size(folder) if folder is not None else None
    parameters = size.parameters if size is not None else named_parameters(config.model)
    if not gpus or not parameters or config.steps_per_epoch is None:
        return None
    tasks = len(data_files(config.data, "train"))
    each = "" if tasks else " for every task (the training data are not there yet)"
    steps = config.epochs * config.steps_per_epoch
    samples = steps * max(tasks, 1) * config.prompts_per_task * config.samples_per_prompt
    tokens = samples * (config.max_prompt_tokens + config.max_response_tokens)
    costs = work_of_tokens(config, tokens, parameters, Machine(gpus, "A100", None, 0.0, 0.0))
    assert costs.hours is not None
    started = (
        f"; with a time limit of {minutes / 60:g} h it is started "
        f"{math.ceil(costs.hours * 60 / minutes)} times or more"
    )
    return (
        f"at most {steps:,} steps, {tokens:.2g} tokens, {costs.flop:.2g} FLOP, "
        f"{costs.hours:,.0f} hours of updates on {gpus} A100 at "
        f"{UTILISATION:.0%} of their peak{each}; generation comes on "
        f"top{started if costs.hours * 60 > minutes else ''}"
    )


def disk_gb(config: Config) -> float | None:
    """Disk that the checkpoints take at most, GB; None while the model is not there or of an
    unknown kind."""
    folder = model_folder(config.model)
    size = model_size(folder) if folder is not None else None
    return checkpoints_gb(config, size) if size is not None else None


def checkpoints_gb(config: Config, size: ModelSize) -> float:
    """Disk that the checkpoints of a model of this size take at most, GB."""
    made = -(-config.epochs // config.checkpoint_every_epochs)
    # The last one is written while a state to continue from and all that is kept of the others
    # still lie there. The newest and the best one always stay.
    models = min(max(config.keep_checkpoints, 2), made - 1) + 2
    optimizers = min(KEEP_STATES, made - 1) + 2
    # float32; AdamW keeps two moments, and adapters lie beside them.
    state = 8 * size.parameters
    if config.lora is not None:
        state = 12 * adapter_parameters(size, config.lora.rank)
    if config.estimator == "gae":
        state += 12 * size.parameters
    return (4 * models * size.parameters + optimizers * state) / 1e9


def named_parameters(model: str | CheckpointSource) -> int | None:
    """Parameters by a model's name, such as ``Qwen2.5-7B``, where its files are not here; None if
    the name does not tell."""
    found = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)B\b", model) if isinstance(model, str) else None
    return round(float(found[1]) * 1e9) if found else None


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


def refuse(
    config: Config, size: ModelSize, tasks: int, machine: Machine, needed_disk: float
) -> None:
    """ConfigError with the setting to change if memory of the GPU, of the host, or the disk does
    not suffice."""
    gpu, host = sums(memory_plan(config, size, tasks, machine))
    if machine.gpus and machine.gpu_bytes is not None and gpu > machine.gpu_bytes:
        raise ConfigError(
            f"GPU memory: the training needs {gpu / 1e9:.1f} GB, {machine.gpu_name} has "
            f"{machine.gpu_bytes / 1e9:.1f}: "
            f"{gpu_remedy(config, size, tasks, machine)}"
        )
    if host > machine.host_bytes:
        raise ConfigError(
            f"host memory: the training needs {host / 1e9:.1f} GB, this job may use "
            f"{machine.host_bytes / 1e9:.1f}: "
            f"{host_remedy(config, size, tasks, machine, host)}"
        )
    if needed_disk > machine.disk_bytes:
        raise ConfigError(
            f"disk: the checkpoints take up to {needed_disk / 1e9:.1f} GB, there are "
            f"{machine.disk_bytes / 1e9:.1f} GB at "
            f"--out: lower keep_checkpoints ({config.keep_checkpoints}), or write to a larger disk"
        )


def gpu_remedy(config: Config, size: ModelSize, tasks: int, machine: Machine) -> str:
    """The smallest change that makes the training fit the GPU: vLLM's share, the micro-batch, host
    memory, else a smaller model."""
    least = (2.0 * size.parameters + least_cache(config, size)) / (machine.gpu_bytes or 1.0)
    for fraction in [
        step / 100
        for step in range(int(config.gpu_memory_fraction * 100) - 1, 0, -1)
        if step / 100 >= least
    ]:
        if fits_gpu(
            config.model_copy(update={"gpu_memory_fraction": fraction}), size, tasks, machine
        ):
            return f"set gpu_memory_fraction to {fraction:g} (now {config.gpu_memory_fraction:g})"
    if (tokens := smaller_batch(config, size, tasks, machine)) is not None:
        return f"set micro_batch_tokens to {tokens} (now {config.micro_batch_tokens})"
    asleep = config.model_copy(update={"sampler_sleeps": True})
    if not config.sampler_sleeps and fits_gpu(asleep, size, tasks, machine):
        return "set sampler_sleeps to true (vLLM then leaves the GPU to the update)"
    resting = config.model_copy(update={"offload": True})
    if not config.offload and fits_gpu(resting, size, tasks, machine):
        return (
            "set offload to true (it takes "
            f"{sums(memory_plan(resting, size, tasks, machine))[1] / 1e9:.0f} GB of host memory)"
        )
    return (
        f"model of {size.parameters / 1e9:.1f} billion parameters is too large for one "
        "GPU of this size, take a smaller one, or a "
        "larger GPU"
    )


def host_remedy(
    config: Config, size: ModelSize, tasks: int, machine: Machine, needed: float
) -> str:
    """What to change when the host's memory is too small: the micro-batch on the CPU if that
    suffices, else the job's memory."""
    if machine.gpus == 0 and (tokens := smaller_batch(config, size, tasks, machine)) is not None:
        return f"set micro_batch_tokens to {tokens} (now {config.micro_batch_tokens})"
    return f"ask for resources.memory_gb {int(needed / 2**30) + 1} or more"


def smaller_batch(config: Config, size: ModelSize, tasks: int, machine: Machine) -> int | None:
    """The largest halving of ``micro_batch_tokens`` that fits and still holds the longest sequence;
    None if there is none."""
    longest, tokens = (
        config.max_prompt_tokens + config.max_response_tokens,
        config.micro_batch_tokens // 2,
    )
    while tokens >= longest:
        changed = config.model_copy(update={"micro_batch_tokens": tokens})
        if (
            fits_gpu(changed, size, tasks, machine)
            and sums(memory_plan(changed, size, tasks, machine))[1] <= machine.host_bytes
        ):
            return tokens
        tokens //= 2
    return None


def fits_gpu(config: Config, size: ModelSize, tasks: int, machine: Machine) -> bool:
    """Whether one GPU holds its part; a GPU whose size is not known holds all."""
    return (
        not machine.gpus
        or machine.gpu_bytes is None
        or sums(memory_plan(config, size, tasks, machine))[0] <= machine.gpu_bytes
    )


def look_at(out: Path, gpus: int) -> Machine:
    """The machine as this process sees it; ``gpus`` is how many of them it will use."""
    physical = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    group = memory()
    written = sum(
        path.stat().st_size for path in out.rglob("*") if path.is_file() and not path.is_symlink()
    )
    machine = Machine(
        0,
        "",
        None,
        min(physical, group.limit) if group else physical,
        shutil.disk_usage(out).free + written,
    )
    if gpus == 0:
        return machine
    name, size = first_gpu()
    return replace(machine, gpus=gpus, gpu_name=name, gpu_bytes=size)


def first_gpu() -> tuple[str, float | None]:
    """Name and bytes of the first GPU this process may use, as the driver's own tool tells; None
    where it does not."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    program = shutil.which("nvidia-smi")
    if program is None:
        return "the GPU", None
    chosen = ["-i", visible] if visible else []
    answer = subprocess.run(
        [program, *chosen, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    rows = [
        row
        for row in csv.reader(answer.stdout.splitlines(), skipinitialspace=True)
        if len(row) == 2 and row[1].isdigit()
    ]
    return (
        (rows[0][0], int(rows[0][1]) * 2.0**20)
        if answer.returncode == 0 and rows
        else ("the GPU", None)
    )
