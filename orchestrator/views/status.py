"""What is known of the jobs of a run, every fact with its source and age.

In: a run, its records, and the progress and logs of running jobs. Out: rows of plain values for
programs, and the words for times and progress that the views use. Called by `orch status`, `orch
watch`, `orch why` and the page; overview/ draws what a person sees.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from orchestrator.node.cost import units_held
from orchestrator.runs.layout import OUT
from orchestrator.runs.record import FINAL, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.held import is_held
from orchestrator.views.inventory import inventory
from orchestrator.views.moments import clock as clock
from orchestrator.views.moments import elapsed as elapsed
from orchestrator.views.moments import said_of
from orchestrator.views.pace import (
    STALLED_SECONDS,
    WARNING_SECONDS,
    Pace,
    last_line,
    last_progress,
    pace,
    silent_since,
    worth_showing,
)

FRESH_SECONDS = 10.0
"""A fact of now needs no age beside it; the heading says when the table was made."""
GOING_ON = frozenset({JobState.RUNNING, JobState.COMPLETING, JobState.SUSPENDED})
"""States of a job that may have progress."""
STANDING = Pace().to_dict()
"""What is known of the progress of another; read only."""
WHOLE_JOBS = 100
"""A run of more jobs has a line for like jobs together."""


def progress_of(run: Run, record: Record, now: float) -> Pace:
    """How far a running job is and how fast it goes; nothing of one that does not run."""
    if record.state not in GOING_ON:
        return Pace()
    job = run.by_name[record.name]
    if waits_its_turn(run, record):
        return Pace(phase="waits for its turn in the pack")
    # A retry may have raised the time limit above that of the plan.
    limit_seconds = 60 * (record.minutes or job.resources.minutes)
    lines = last_progress(run.out_folder(record))
    found = pace(lines, record.started, limit_seconds, now)
    if lines:
        named = run.plan.named_metrics(record.stage)
        found = replace(found, metrics=worth_showing(lines[-1], named))
    if record.state is not JobState.RUNNING:
        # A job that is suspended or ends is not expected to get on.
        return replace(found, stalled_seconds=None)
    if found.step is not None:
        return found
    # Without progress, an engine's log tells whether it lives; of a command the last line is the
    # progress.
    log = run.log(record)
    if job.engine is not None:
        return replace(found, stalled_seconds=silent_since(log, record.started, now))
    return replace(found, log_line=last_line(log))


def waits_its_turn(run: Run, record: Record) -> bool:
    """Whether others of its pack run first: its allocation has started, and it has not."""
    taking_turns = record.packed and run.by_name[record.name].at_once is not None
    return taking_turns and record.state is JobState.RUNNING and not run.is_claimed(record)


def stalled_jobs(run: Run, records: Sequence[Record], now: float) -> set[str]:
    """Names of running jobs that do not get on. The age of a file rules most of them out."""
    stalled = set()
    for record in records:
        if record.state is not JobState.RUNNING:
            continue
        # os instead of Path: there may be thousands of jobs.
        path = f"{run.folder}/{record.folder}/{OUT}/progress.jsonl"
        try:
            written = os.stat(path).st_mtime  # noqa: PTH116
        # A job without progress has been silent since it started.
        except FileNotFoundError:
            written = record.started or now
        if now - written <= STALLED_SECONDS:
            continue
        if progress_of(run, record, now).stalled_seconds is not None:
            stalled.add(record.name)
    return stalled


def status_rows(run: Run, records: Sequence[Record], now: float) -> list[dict[str, Any]]:
    """One row per job, with plain JSON values."""
    return [row(run, record, now) for record in records]


def row(run: Run, record: Record, now: float) -> dict[str, Any]:
    """Everything that is known of one job."""
    job = run.by_name[record.name]
    resources = job.resources
    waits = record.state is JobState.PENDING
    return {
        "job": record.name,
        "stage": record.stage,
        "id": record.job_id,
        "state": str(record.state),
        "source": record.source,
        "age_seconds": max(0.0, now - record.seen) if record.seen else None,
        "reason": said_of(record, now),
        "attempt": record.attempt,
        "restarts": record.restarts,
        "elapsed_seconds": None if waits_its_turn(run, record) else elapsed(record, now),
        "submitted": record.submitted,
        "started": record.started,
        "ended": record.ended,
        "exit_code": record.exit_code,
        "host": record.host,
        "gpus": resources.gpus * resources.nodes,
        "cpus": resources.cpus * resources.nodes,
        "limit_seconds": 60 * (record.minutes or resources.minutes),
        "log": run.log_place(record) if record.attempt else None,
        "engine": job.engine,
        "axes": job.axes,
        "reused": record.reused or None,
        "expected_start": None if not waits or is_held(record) else record.expected_start,
        **(progress_of(run, record, now).to_dict() if record.state in GOING_ON else STANDING),
    }


def origin_text(values: Mapping[str, Any]) -> str:
    """The source of a fact, with its age if it may have changed since: ``squeue, 2:10 ago``."""
    state, age = JobState(values["state"]), values["age_seconds"]
    if state is JobState.WAITING:
        return ""  # nothing has been submitted, so no source was asked
    if state in FINAL or age is None or age < FRESH_SECONDS:
        return str(values["source"])
    return f"{values['source']}, {clock(age)} ago"


def progress_text(values: dict[str, Any], now: float) -> str:
    """``train 12/30, validation reward 0.41, ends in 2:10``, the last line of a command, or when a
    waiting job is expected to start."""
    starts = values["expected_start"]
    if starts is not None and starts > now:
        waits = f"{values['reason']}, " if values["reason"] else ""
        return f"{waits}starts in {clock(starts - now)} (Slurm's estimate)"
    if values["phase"] is None:
        return ""
    if values["step"] is None:
        return values["log_line"] or str(values["phase"])
    of_total = "" if values["total"] is None else f"/{values['total']}"
    parts = [f"{values['phase']} {values['step']}{of_total}"]
    for metric, value in values["metrics"].items():
        name = metric.removesuffix("_mean").replace("_", " ")
        parts.append(f"{name} {value:.3g}")
    ends = values["expected_end"]
    if values["requeues_expected"]:
        parts.append(over_limit_text(values))
    elif ends is not None and ends > now:
        parts.append(f"ends in {clock(ends - now)}")
    return ", ".join(parts)


def over_limit_text(values: dict[str, Any]) -> str:
    """What becomes of a job that does not fit into its time limit."""
    needed, limit = values["needed_seconds"], values["limit_seconds"]
    needs = ""
    if needed:
        needs = f"needs {clock(needed)}, limit {clock(limit)}"
        if needed <= limit:
            # A job is warned before its limit: one that needs hardly less does not fit either.
            needs += f" less {clock(min(WARNING_SECONDS, limit / 2))} to save"
        needs += ": "
    # An engine saves at the warning and asks to be requeued. Whether a command does is not known.
    if values["engine"] is None:
        return f"{needs}its time limit comes first"
    times = values["requeues_expected"]
    return f"{needs}will requeue {'once' if times == 1 else f'{times} times'}"


def gpu_hours_so_far(run: Run, records: Sequence[Record], seconds: Mapping[str, float]) -> float:
    """GPU-hours of the newest starts, which took so many seconds: what the records alone say.
    `orch costs` reads every start of every job."""
    allocations = {record.name: record.allocation or record.name for record in records}
    # The members of a pack have one allocation and share its GPUs; a job alone has one of its own.
    sharing = Counter(allocations[name] for name in seconds)
    gpu_seconds = 0.0
    for name, lasted in seconds.items():
        job = run.by_name[name]
        neighbours = job.running_of(sharing[allocations[name]]) - 1
        gpu_seconds += lasted * units_held(job.resources.to_dict(), "gpus", neighbours)
    return gpu_seconds / 3600


def folded(
    records: Sequence[Record], every: bool, stalled: Set[str] = frozenset()
) -> list[list[Record]]:
    """What goes on each line: one job, or the jobs of a large run that are of one stage, in one
    state, for one reason."""
    if every or len(records) <= WHOLE_JOBS:
        return [[record] for record in records]
    lines: dict[object, list[Record]] = {}
    for record in records:
        # All that a line shows, but for progress and times: jobs that share a line look alike.
        shown = (
            record.stage,
            record.state,
            record.source,
            record.reason,
            record.attempt,
            record.restarts,
            record.name in stalled,
        )
        lines.setdefault(shown, []).append(record)
    return list(lines.values())


def document(
    run: Run,
    records: Sequence[Record],
    trouble: str,
    rows: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What `--json` prints; ``rows``: those of the jobs, where they are known already."""
    return {
        "run": run.name,
        "folder": str(run.folder),
        "cluster": run.profile.name or run.profile.kind,
        "trouble": trouble,
        "copy": None if run.origin is None else str(run.origin),
        "inventory": inventory(run, records),
        "replaced": [vars(one) for one in run.plan.replaced],
        "jobs": status_rows(run, records, run.now()) if rows is None else rows,
    }
