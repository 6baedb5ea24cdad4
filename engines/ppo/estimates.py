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
from dataclasses import dataclass, replace
from pathlib import Path

from engines.contract.checkpoints import CheckpointSource
from engines.contract.config import ConfigError
from engines.ppo.config import KEEP_STATES, Config
from engines.ppo.memory import Machine, least_cache, memory_plan, sums
from engines.ppo.model_size import ModelSize, adapter_parameters, model_folder, model_size
from engines.ppo.watchdogs import memory
from engines.shared.data.contamination import data_files

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
class Work:
    """Tokens that pass through the trainer, at most, and what they cost."""

    tokens: float
    flop: float
    hours: float | None
    """Of the updates alone, without generation; None for a device whose peak is not known."""


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
    # Gradient checkpointing, the default on a GPU, computes every forward pass twice: 2 more.
    per_token = 8 if machine.gpus else 6
    if config.estimator == "gae":
        # The critic's update costs what the policy's does; its values before the update, one
        # forward.
        per_token += per_token + 2
    flop = per_token * parameters * tokens
    # Whole words of "NVIDIA A100-SXM4-80GB": as a substring, H200 would be found in GH200 too.
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
    # Without steps_per_epoch an epoch is a pass over the data, which an earlier job of the run may
    # still have to write.
    if not gpus or not parameters or config.steps_per_epoch is None:
        return None
    tasks = len(data_files(config.data, "train"))
    each = "" if tasks else " for every task (the training data are not there yet)"
    steps = config.epochs * config.steps_per_epoch
    samples = steps * max(tasks, 1) * config.prompts_per_task * config.samples_per_prompt
    tokens = samples * (config.max_prompt_tokens + config.max_response_tokens)
    # The login node does not know which GPU Slurm will give, so the hours are those of an A100.
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
    # Rounded up: the last epoch has a checkpoint whatever its number.
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
        # The critic's weights lie with its two moments: it has no model folder of its own.
        state += 12 * size.parameters
    return (4 * models * size.parameters + optimizers * state) / 1e9


def named_parameters(model: str | CheckpointSource) -> int | None:
    """Parameters by a model's name, such as ``Qwen2.5-7B``, where its files are not here; None if
    the name does not tell."""
    # The number before the B: 7 of "Qwen2.5-7B", 0.5 of "Qwen2.5-0.5B-Instruct". "Mixtral-8x7B"
    # does not match: the size of a mixture of experts cannot be read from its name.
    found = re.search(r"(?<![\w.])(\d+(?:\.\d+)?)B\b", model) if isinstance(model, str) else None
    return round(float(found[1]) * 1e9) if found else None


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
    # 1. vLLM's share: the largest one that lets the training fit, in steps of a hundredth, and
    # never so small that vLLM's own weights (2 bytes a parameter) and a useful cache have no room.
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
    # 2. The micro-batch: smaller passes, the same gradient.
    if (tokens := smaller_batch(config, size, tasks, machine)) is not None:
        return f"set micro_batch_tokens to {tokens} (now {config.micro_batch_tokens})"
    # 3. Memory that is given back or emptied between uses, at the price of copies in every step.
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
    # On a GPU the activations are not in host memory, so a smaller micro-batch would not help.
    if machine.gpus == 0 and (tokens := smaller_batch(config, size, tasks, machine)) is not None:
        return f"set micro_batch_tokens to {tokens} (now {config.micro_batch_tokens})"
    # Slurm's --mem counts in units of 1024: 2**30 bytes, where the plan's table has 10**9.
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
    # Free space alone would refuse a continued run: the checkpoints that it has written already are
    # part of what it is said to need.
    written = sum(
        path.stat().st_size for path in out.rglob("*") if path.is_file() and not path.is_symlink()
    )
    machine = Machine(
        0,
        "",
        None,
        # Slurm limits a job by its control group, often to far less than the node has.
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
    # A number ("0") or a UUID ("GPU-3f2a..."); nvidia-smi -i takes both.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    # Not torch.cuda: the driver process has no torch, and a CUDA context of its own would take GPU
    # memory from the ranks.
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
        # nvidia-smi counts in MiB.
        (rows[0][0], int(rows[0][1]) * 2.0**20)
        if answer.returncode == 0 and rows
        else ("the GPU", None)
    )
