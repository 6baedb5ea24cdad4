"""Resources used against resources requested, per stage, and what to request next time.

In: the starts of a run's jobs (starts.py), and on Slurm what accounting measured of them. Out: a
``Used`` per stage. Pure, but for ``ask_sacct``. Called by ``spent`` in tables.py.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.clusters.slurm.queries import job_usage
from orchestrator.runs.run import Run
from orchestrator.views.costs.starts import Start

SHORT_SECONDS = 60.0
"""Jobs shorter than this say nothing about what the next ones need."""
ROOM = 1.25
"""What is advised is this much more than was used at most."""
TIGHT = 0.9
"""Whoever used more than this part of what was requested is advised to request more."""
IDLE_GPU_PERCENT = 30
"""GPUs that were busy for less of the time are worth a line."""
SHORTER_MINUTES = 60
"""Time limits below this are not worth shortening."""
SHORTER_ROOM, SHORTEST_MINUTES = 1.5, 10
"""A shorter time limit: this much more than was used, and not below this."""
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


LINE = re.compile(r"(\d+(?:_\d+)?)(\.\w+)?\|([\d:.-]*)\|([\d.]*[KMGT]?)(?:\|(.*))?")
"""``7_3.batch|01:00.500|2097152K|batch``: job, step, CPU time, memory, name."""


def from_sacct(text: str, experiment: str = "") -> dict[str, dict[str, Any]]:
    """CPU seconds and peak memory by job id, from ``sacct -P --format=JobID,TotalCPU,MaxRSS,
    JobName``. The lines of a job's steps belong to the job; the largest value counts.

    Args:
        experiment: what the names of its jobs begin with; what ran under the same id and is called
            otherwise is left out.
    """
    jobs: dict[str, dict[str, Any]] = {}
    ours = True
    for line in text.splitlines():
        # "7|01:00.500|", "7.batch|01:00.500|2097152K", "7.extern|00:00|0": memory is measured per
        # step, so the line of the job itself has none.
        match = LINE.fullmatch(line.strip())
        if match is None:
            continue  # the rest of a stranger's name, or a line of another program
        job_id, step, cpu, memory, name = match.groups()
        if step is None:
            # An id may have been given out again; its steps come behind the job itself.
            ours = not experiment or (name or "").startswith(f"{experiment}.")
        if not ours:
            continue
        job = jobs.setdefault(job_id, {})
        seconds = cpu_seconds(cpu)
        # No time at all is what sacct says where nothing was measured ("9|00:00:00|"); the node's
        # own number is better than that.
        if seconds:
            job["cpu_seconds"] = max(job.get("cpu_seconds", 0.0), seconds)
        size = re.fullmatch(r"([\d.]+)([KMGT]?)", memory)
        if size is not None and float(size[1]) > 0:
            gigabytes = float(size[1]) * UNITS[size[2]] / 2**30
            job["memory_gb"] = max(job.get("memory_gb", 0.0), gigabytes)
            job["memory_of"] = "job"
    return {job_id: measured for job_id, measured in jobs.items() if measured}


def cpu_seconds(text: str) -> float | None:
    """Slurm's ``[days-][hours:]minutes:seconds`` in seconds; None if it is empty."""
    # "1-02:03:04", "02:03:04", and of less than an hour "03:04.500".
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):([\d.]+)", text)
    if match is None:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def ask_sacct(run: Run, starts: Sequence[Start]) -> dict[str, dict[str, Any]]:
    """What accounting measured of these jobs of a run, by job id; one call. Empty if it cannot be
    asked: the nodes' own measure stays."""
    # "7_3" -> "7": asked for an array, sacct answers for all of its elements. A pack member that
    # orch ended before it started has the id "orch", which sacct does not know.
    heads = sorted(
        {start.job_id.partition("_")[0] for start in starts if start.job_id[:1].isdigit()}
    )
    text = job_usage(heads, run.profile.cluster) if heads else None
    return {} if text is None else from_sacct(text, run.plan.experiment)


def with_accounting(
    starts: Sequence[Start], measured: Mapping[str, Mapping[str, Any]]
) -> list[Start]:
    """Starts with what accounting says in place of what the node measured. A job id that was
    started more than once keeps the node's: accounting has one number for all its starts."""
    # The members of a pack share one id, just as the starts of a requeued job do.
    counts = Counter(start.job_id for start in starts)
    found = []
    for start in starts:
        if start.job_id in measured and counts[start.job_id] == 1:
            start = replace(start, usage={**start.usage, **measured[start.job_id]})
        found.append(start)
    return found


def used(run: Run, starts: Sequence[Start]) -> list[Used]:
    """One line per stage that had a start of a minute and more."""
    by_stage: dict[str, list[Start]] = {}
    for start in starts:
        # What a running job uses is not final: its peak may still come.
        if start.seconds >= SHORT_SECONDS and start.outcome != "running":
            by_stage.setdefault(run.by_name[start.job].stage, []).append(start)
    return [of_stage(stage, members) for stage, members in by_stage.items()]


def of_stage(stage: str, starts: Sequence[Start]) -> Used:
    """What the starts of one stage used, with the advice that follows from it."""
    # A retry may have raised memory or time; the last start stands for the stage.
    requested = starts[-1].resources
    cpus_busy = [
        start.usage["cpu_seconds"] / start.seconds
        for start in starts
        if "cpu_seconds" in start.usage
    ]
    memory = [start.usage["memory_gb"] for start in starts if "memory_gb" in start.usage]
    gpu = [start.usage["gpu_percent"] for start in starts if "gpu_percent" in start.usage]
    # One start that was measured by its largest process alone makes the peak a lower bound.
    whole = all(start.usage.get("memory_of") == "job" for start in starts)
    # How long a start lasted that died does not tell how long the work takes.
    completed = [start.seconds for start in starts if start.outcome == "results"]
    # Every job of the stage has to fit into the request, so CPUs, memory and time are maxima. GPUs
    # that idle are a matter of all jobs, so theirs is a mean.
    found = Used(
        stage=stage,
        starts=len(starts),
        cpus=requested.cpus,
        cpus_busy=max(cpus_busy, default=None),
        memory_gb=requested.memory_gb,
        memory_peak_gb=max(memory, default=None),
        memory_of="job" if whole else "largest process",
        gpus=requested.gpus,
        gpu_percent=sum(gpu) / len(gpu) if gpu else None,
        minutes=requested.minutes,
        longest_minutes=max(completed, default=0.0) / 60,
        advice=(),
    )
    return replace(found, advice=tuple(advice(found)))


def advice(seen: Used) -> list[str]:
    """What to request next time, in the words of an experiment file; nothing where the request was
    right or nobody measured."""
    return [*cpu_advice(seen), *memory_advice(seen), *gpu_advice(seen), *time_advice(seen)]


def cpu_advice(seen: Used) -> Iterator[str]:
    """Fewer CPUs, where half of them were idle."""
    if seen.cpus_busy is not None and seen.cpus > 1 and seen.cpus_busy < seen.cpus / 2:
        enough = max(1, math.ceil(seen.cpus_busy * ROOM))
        yield (
            f"{seen.stage}.resources.cpus={enough} is enough: at most {seen.cpus_busy:.1f} of "
            f"{seen.cpus} were busy"
        )


def memory_advice(seen: Used) -> Iterator[str]:
    """More memory, where it was close to the limit; less, where half of it was not used. A bound
    from below, of the largest process alone, does not say that less is enough."""
    if seen.memory_peak_gb is None:
        return
    key = f"{seen.stage}.resources.memory_gb"
    peak = f"{seen.memory_peak_gb:.1f} of {seen.memory_gb} GB were used"
    enough = max(1, math.ceil(seen.memory_peak_gb * ROOM))
    if seen.memory_peak_gb > TIGHT * seen.memory_gb:
        more = max(enough, seen.memory_gb + 1)
        yield f"{key}={more}: {peak}, which is close to the limit"
    elif seen.memory_of == "job" and enough < seen.memory_gb / 2:
        yield f"{key}={enough} is enough: at most {peak}"


def gpu_advice(seen: Used) -> Iterator[str]:
    """What to do about GPUs that were idle most of the time."""
    if seen.gpu_percent is not None and seen.gpu_percent < IDLE_GPU_PERCENT:
        yield (
            f"{seen.stage}: its GPUs were busy {seen.gpu_percent:.0f} % of the time; "
            "fewer GPUs, larger batches, or more CPUs to feed them"
        )


def time_advice(seen: Used) -> Iterator[str]:
    """A longer time limit, where it was close; a shorter one, where a third of it was enough."""
    key = f"{seen.stage}.resources.minutes"
    took = seen.longest_minutes
    # 0: no start has completed, so how long the work takes is not known.
    if 0 < took < seen.minutes / 3 and seen.minutes >= SHORTER_MINUTES:
        enough = max(SHORTEST_MINUTES, math.ceil(took * SHORTER_ROOM))
        yield (
            f"{key}={enough} is enough (it took {took:.0f} of {seen.minutes}): "
            "shorter jobs start earlier"
        )
    elif took > TIGHT * seen.minutes:
        yield f"{key}={math.ceil(took * ROOM)}: it took {took:.0f} of {seen.minutes} minutes"
