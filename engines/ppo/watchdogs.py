"""What ends a run with one clear line before it wastes days: disagreement, silence, full memory, a
hang. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from engines.contract.config import ConfigError
from engines.shared.scoring.verdict import Verdict

PROBABILITY_GAP = 0.01
"""Mean difference of a token's probability between trainer and sampler above which the sampler
computes something else."""

SILENT_SAMPLES = 512
"""Fewest samples of one task without any reward that prove something: the chance of a reward is
then below 0.6 % (95 % sure)."""

MEMORY_SHARE = 0.95
"""Share of the memory limit above which the next allocation may be answered by the kernel's
killer."""


def check_probabilities(metrics: Mapping[str, float], step: int) -> None:
    """RuntimeError if trainer and sampler disagree about the rollouts of ``step`` (from 0); NaN is
    disagreement, too."""
    gap = metrics.get("probability_difference_mean")
    if gap is not None and not gap <= PROBABILITY_GAP:
        raise RuntimeError(
            f"step {step + 1}: trainer and sampler give a token probabilities that differ "
            f"by {gap:.3g} on average (at "
            f"most {PROBABILITY_GAP:g} is rounding): rewards would train another policy "
            "than the one that answered; "
            "check the versions of vLLM and transformers, and its attention backend"
        )


def check_sandbox(verdicts: Sequence[Verdict]) -> None:
    """RuntimeError if the sandbox did not start: every program would fail like this one, and
    rewards of 0 for all must not be trained on."""
    broken = [verdict for verdict in verdicts if verdict.status == "sandbox_error"]
    if broken:
        raise RuntimeError(f"the sandbox for scoring does not work here: {broken[0].detail}")


def check_judged(tasks: Mapping[str, Sequence[Any]], verdicts: Sequence[Sequence[Verdict]]) -> None:
    """ConfigError if not one answer of some task could be judged: all of its rewards would be 0,
    and the training would end well.

    ``verdicts`` come problem by problem, in the order of ``tasks``.
    """
    of_problems = iter(verdicts)
    for task, problems in tasks.items():
        own = [verdict for _ in problems for verdict in next(of_problems)]
        if own and all(verdict.value is None for verdict in own):
            raise ConfigError(
                f"{task}: none of its {len(own)} validation answers could be judged, so there is "
                f"nothing to learn from; {own[0].status}: {own[0].detail}; fix the scorer, or "
                "raise scoring_seconds where it needs longer"
            )


def check_rewards(
    lines: Sequence[Mapping[str, Any]], steps_per_epoch: int, samples_per_step: int
) -> None:
    """RuntimeError if some task got no reward at all for a whole epoch and for ``SILENT_SAMPLES``
    samples, whichever is longer.

    ``lines`` are those of ``progress.jsonl``, ``samples_per_step`` counts one task's.
    """
    steps = max(steps_per_epoch, math.ceil(SILENT_SAMPLES / samples_per_step))
    last = [line["metrics"] for line in lines if line["phase"] == "train"][-steps:]
    if len(last) < steps:
        return
    names = [name for name in last[-1] if name.startswith("train_reward/")]
    silent = [
        name.removeprefix("train_reward/")
        for name in names
        if all(metrics.get(name) == 0.0 for metrics in last)
    ]
    if silent:
        raise RuntimeError(
            f"{', '.join(silent)}: no sample of the last {steps} steps "
            f"({steps * samples_per_step} samples of the task) "
            "got a reward, so there is nothing to learn from; check the scorer and the "
            "form of the answers, or take "
            "the task out of data and validation_data"
        )


@dataclass(frozen=True)
class Memory:
    """Memory of the control group that binds first, bytes; page cache, which the kernel gives back,
    is not counted as used."""

    used: int
    limit: int


def memory(
    table: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> Memory | None:
    """The fullest control group that this process lies in (version 1 or 2), or None without a
    limit."""
    found = [
        one for folder in memory_groups(table, root) if (one := read_group(folder)) is not None
    ]
    return max(found, key=lambda one: one.used / one.limit, default=None)


def memory_groups(table: Path, root: Path) -> list[Path]:
    """Folders of the memory control group of this process and of those around it, innermost
    first."""
    found: list[Path] = []
    for line in table.read_text().splitlines() if table.is_file() else []:
        # Version 2: "0::/system.slice/slurmstepd.scope/job_7/step_batch".
        # Version 1: "9:memory:/slurm/uid_1000/job_7/step_batch", one line per controller.
        _, controllers, name = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = root / controllers
        inner = top / name.lstrip("/")
        # In a container the name may be the host's; then only the top is seen, and the top is the
        # container's own.
        found += [
            folder
            # Slurm may set the limit at the job, the step or the task: all levels are looked at.
            for folder in (inner, *inner.parents)
            if folder.is_relative_to(top) and folder.is_dir()
        ]
    return found


def read_group(folder: Path) -> Memory | None:
    """Use and limit of one group; None where it has no limit."""
    for limit_name, used_name, prefix in (
        ("memory.max", "memory.current", ""),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ):
        if not (folder / limit_name).is_file() or not (folder / used_name).is_file():
            continue
        # Version 2 says "max" for no limit, version 1 the largest page-aligned number.
        limit = (folder / limit_name).read_text().strip()
        if limit == "max" or int(limit) >= 1 << 60:
            return None
        counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # Both versions count cached pages of files as used, and reading a model leaves many.
        cache = int(counts[f"{prefix}inactive_file"]) + int(counts[f"{prefix}active_file"])
        return Memory(int((folder / used_name).read_text()) - cache, int(limit))
    return None


def check_memory(found: Memory | None, step: int) -> None:
    """RuntimeError above ``MEMORY_SHARE`` of the limit: a clear end instead of a kill that leaves
    no word."""
    if found is not None and found.used > MEMORY_SHARE * found.limit:
        raise RuntimeError(
            f"step {step + 1}: {found.used / 1e9:.1f} of {found.limit / 1e9:.1f} GB of "
            "memory are in use (more than "
            f"{MEMORY_SHARE:.0%}), the kernel would soon kill the job; ask for more "
            "memory_gb, or lower "
            "micro_batch_tokens or kv_cache_gb"
        )


@dataclass
class Patience:
    """How long to wait for an answer: ``factor`` times the usual time of that kind of work, never
    below ``floor_seconds``.

    ``ceiling_seconds`` bounds it, and is all there is until a kind of work has been seen ``FEWEST``
    times.
    """

    ceiling_seconds: float
    floor_seconds: float = 600.0
    factor: float = 10.0
    seen: dict[str, list[float]] = field(default_factory=dict)

    FEWEST: ClassVar[int] = 3
    KEPT: ClassVar[int] = 50

    def usual(self, work: str) -> float | None:
        """Median seconds of ``work``; None before it has been seen ``FEWEST`` times."""
        times = self.seen.get(work, [])
        return median(times) if len(times) >= self.FEWEST else None

    def seconds(self, work: str) -> float:
        """Longest wait for the next ``work``."""
        usual = self.usual(work)
        return (
            self.ceiling_seconds
            if usual is None
            else min(self.ceiling_seconds, max(self.floor_seconds, self.factor * usual))
        )

    def took(self, work: str, seconds: float) -> None:
        """Remember how long ``work`` took; only the newest ``KEPT`` times count."""
        self.seen[work] = [*self.seen.get(work, []), seconds][-self.KEPT :]


def hangs(work: str, limit_seconds: float, usual_seconds: float | None) -> str:
    """What is said of a trainer whose patience is at its end."""
    usual = f"; it usually takes {usual_seconds:.1f} s" if usual_seconds else ""
    return (
        f"{work} did not answer within {limit_seconds:.0f} s{usual}: the trainer hangs; start it "
        "again to continue (the longest wait is step_timeout_minutes)"
    )
