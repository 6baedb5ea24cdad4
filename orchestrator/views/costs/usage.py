"""What jobs used of the CPUs, memory, GPUs and time they asked for, and what to ask for next time.
Pure, but for the one call of sacct."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.clusters.slurm.queries import job_usage
from orchestrator.runs.run import Run
from orchestrator.views.costs.hours import Start

SHORT_SECONDS = 60.0
"""Jobs shorter than this say nothing about what the next ones need."""
ROOM = 1.25
"""What is asked for next time: this much more than was used at most."""
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, kw_only=True)
class Used:
    """What the jobs of one stage used of what they had; None: nobody measured it."""

    stage: str
    starts: int
    """How many starts of a minute and more it is taken over."""
    cpus: int
    cpus_busy: float | None
    """CPUs busy on average over each start, the highest of them; a lower bound where a process
    outlived its parents."""
    memory_gb: int
    memory_peak_gb: float | None
    memory_of: str
    """``job``, or ``largest process``: then the peak is a lower bound."""
    gpus: int
    gpu_percent: float | None
    """Share of time that the GPUs were busy, mean over starts."""
    minutes: int
    longest_minutes: float
    """Of starts that came to their end with results."""
    advice: tuple[str, ...]


def from_sacct(text: str) -> dict[str, dict[str, Any]]:
    """CPU seconds and peak memory by job id, from ``sacct -P --format=JobID,TotalCPU,MaxRSS``: its
    steps belong to their job."""
    found: dict[str, dict[str, Any]] = {}
    for line in text.splitlines():
        name, cpu, memory = line.split("|")
        job = found.setdefault(name.partition(".")[0], {})
        if (seconds := cpu_seconds(cpu)) is not None and seconds > 0:
            job["cpu_seconds"] = max(job.get("cpu_seconds", 0.0), seconds)
        if (size := re.fullmatch(r"([\d.]+)([KMGT]?)", memory)) and float(size[1]) > 0:
            job["memory_gb"] = max(
                job.get("memory_gb", 0.0), float(size[1]) * UNITS[size[2]] / 2**30
            )
            job["memory_of"] = "job"
    return {name: values for name, values in found.items() if values}


def cpu_seconds(text: str) -> float | None:
    """Slurm's ``[days-][hours:]minutes:seconds`` in seconds; None if it is empty."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):([\d.]+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def ask_sacct(starts: Sequence[Start]) -> dict[str, dict[str, Any]]:
    """What accounting measured of these jobs, by job id; one call. Empty if it cannot be asked: the
    nodes' own measure stays."""
    heads = sorted(
        {start.job_id.partition("_")[0] for start in starts if start.job_id[:1].isdigit()}
    )
    text = job_usage(heads) if heads else None
    return {} if text is None else from_sacct(text)


def with_accounting(
    starts: Sequence[Start], measured: Mapping[str, Mapping[str, Any]]
) -> list[Start]:
    """Starts with what accounting says in place of what the node measured. A job id that was
    started more than once keeps the node's."""
    counts: dict[str, int] = {}
    for start in starts:
        counts[start.job_id] = counts.get(start.job_id, 0) + 1
    return [
        replace(start, usage={**start.usage, **measured[start.job_id]})
        if start.job_id in measured and counts[start.job_id] == 1
        else start
        for start in starts
    ]


def used(run: Run, starts: Sequence[Start]) -> list[Used]:
    """One line per stage that had a start of a minute and more."""
    by_stage: dict[str, list[Start]] = {}
    for start in starts:
        if start.seconds >= SHORT_SECONDS and start.outcome != "running":
            by_stage.setdefault(run.by_name[start.job].stage, []).append(start)
    return [of_stage(stage, mine) for stage, mine in by_stage.items()]


def of_stage(stage: str, starts: Sequence[Start]) -> Used:
    """What the starts of one stage used."""
    asked = starts[-1].resources
    busy = [
        start.usage["cpu_seconds"] / start.seconds
        for start in starts
        if "cpu_seconds" in start.usage
    ]
    peaks = [start.usage["memory_gb"] for start in starts if "memory_gb" in start.usage]
    gpu = [start.usage["gpu_percent"] for start in starts if "gpu_percent" in start.usage]
    whole = all(start.usage.get("memory_of") == "job" for start in starts)
    seen = Used(
        stage=stage,
        starts=len(starts),
        cpus=asked.cpus,
        cpus_busy=max(busy, default=None),
        memory_gb=asked.memory_gb,
        memory_peak_gb=max(peaks, default=None),
        memory_of="job" if whole else "largest process",
        gpus=asked.gpus,
        gpu_percent=sum(gpu) / len(gpu) if gpu else None,
        minutes=asked.minutes,
        longest_minutes=max(
            (start.seconds for start in starts if start.outcome == "results"), default=0.0
        )
        / 60,
        advice=(),
    )
    return replace(seen, advice=tuple(advice(seen)))


def advice(seen: Used) -> list[str]:
    """What to ask for next time, in the words of an experiment file; nothing where the request was
    right or nobody measured."""
    lines = []
    key = f"{seen.stage}.resources"
    if seen.cpus_busy is not None and seen.cpus > 1 and seen.cpus_busy < seen.cpus / 2:
        enough = max(1, math.ceil(seen.cpus_busy * ROOM))
        lines.append(
            f"{key}.cpus={enough} is enough: at most {seen.cpus_busy:.1f} of {seen.cpus} were busy"
        )
    if seen.memory_peak_gb is not None:
        least = max(1, math.ceil(seen.memory_peak_gb * ROOM))
        if seen.memory_peak_gb > 0.9 * seen.memory_gb:
            lines.append(
                f"{key}.memory_gb={max(least, seen.memory_gb + 1)}: "
                f"{seen.memory_peak_gb:.1f} of {seen.memory_gb} GB were used, "
                "which is close to the limit"
            )
        elif seen.memory_of == "job" and least < seen.memory_gb / 2:
            lines.append(
                f"{key}.memory_gb={least} is enough: at most {seen.memory_peak_gb:.1f} of "
                f"{seen.memory_gb} GB were used"
            )
    if seen.gpu_percent is not None and seen.gpu_percent < 30:
        lines.append(
            f"{seen.stage}: its GPUs were busy {seen.gpu_percent:.0f} % of the time; "
            "fewer GPUs, larger batches, or more CPUs to "
            "feed them"
        )
    if 0 < seen.longest_minutes < seen.minutes / 3 and seen.minutes >= 60:
        lines.append(
            f"{key}.minutes={max(10, math.ceil(seen.longest_minutes * 1.5))} is enough "
            f"(it took {seen.longest_minutes:.0f} of "
            f"{seen.minutes}): shorter jobs start earlier"
        )
    elif seen.longest_minutes > 0.9 * seen.minutes:
        lines.append(
            f"{key}.minutes={math.ceil(seen.longest_minutes * ROOM)}: it took "
            f"{seen.longest_minutes:.0f} of {seen.minutes} "
            "minutes"
        )
    return lines
