"""What `orch status` shows: one table, every fact with its source and age."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.runs.record import FAILED, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.pace import (
    STALLED_SECONDS,
    WARNING_SECONDS,
    Pace,
    last_line,
    last_progress,
    pace,
    silent_since,
)

FRESH_SECONDS = 10.0
"""A fact of now needs no age beside it; the heading says when the table was made."""
WHOLE_JOBS = 100
"""A run of more jobs has a line for like jobs together."""
COLOURS = {
    JobState.COMPLETED: "green",
    JobState.RUNNING: "cyan",
    JobState.COMPLETING: "cyan",
    JobState.PENDING: "yellow",
    JobState.SUSPENDED: "yellow",
    JobState.WAITING: "dim",
    JobState.SKIPPED: "dim",
    JobState.UNKNOWN: "magenta",
}


def progress_of(run: Run, record: Record, now: float) -> Pace:
    """How far a running job is and how fast it goes; nothing of one that does not run."""
    if record.state not in (JobState.RUNNING, JobState.COMPLETING, JobState.SUSPENDED):
        return Pace()
    job = run.by_name[record.name]
    found = pace(
        last_progress(run.folder / record.folder / "out"),
        record.started,
        60 * (record.minutes or job.resources.minutes),
        now,
    )
    if record.state is not JobState.RUNNING:
        return replace(found, stalled_seconds=None)
    if found.step is None and job.engine is not None:
        found = replace(found, stalled_seconds=silent_since(run.log(record), record.started, now))
    if found.step is None and job.engine is None:
        found = replace(found, log_line=last_line(run.log(record)))
    return found


def stalled_jobs(run: Run, records: Sequence[Record], now: float) -> set[str]:
    """Names of running jobs that do not get on. Of most one look at the age of a file is enough."""
    found = set()
    for record in (one for one in records if one.state is JobState.RUNNING):
        path = f"{run.folder}/{record.folder}/out/progress.jsonl"
        written = os.stat(path).st_mtime if os.path.exists(path) else record.started or now  # noqa: PTH110, PTH116  # thousands of jobs
        if (
            now - written > STALLED_SECONDS
            and progress_of(run, record, now).stalled_seconds is not None
        ):
            found.add(record.name)
    return found


def status_rows(run: Run, records: Sequence[Record], now: float) -> list[dict[str, Any]]:
    """One row per job, with plain JSON values."""
    return [row(run, record, now) for record in records]


def elapsed(record: Record, now: float) -> float | None:
    """How long a job has run, in seconds; None if it has not, or nobody knows until when."""
    ended = (
        record.ended
        if record.ended is not None
        else (now if record.state is JobState.RUNNING else None)
    )
    return ended - record.started if record.started and ended else None


def row(run: Run, record: Record, now: float) -> dict[str, Any]:
    """Everything that is known of one job."""
    job = run.by_name[record.name]
    resources = job.resources
    return {
        "job": record.name,
        "stage": record.stage,
        "id": record.job_id,
        "state": str(record.state),
        "source": record.source,
        "age_seconds": max(0.0, now - record.seen) if record.seen else None,
        "reason": record.reason,
        "attempt": record.attempt,
        "restarts": record.restarts,
        "elapsed_seconds": elapsed(record, now),
        "submitted": record.submitted,
        "started": record.started,
        "ended": record.ended,
        "exit_code": record.exit_code,
        "host": record.host,
        "gpus": resources.gpus * resources.nodes,
        "cpus": resources.cpus * resources.nodes,
        "limit_seconds": 60 * (record.minutes or resources.minutes),
        "log": str(run.log(record)) if record.attempt else None,
        "engine": job.engine,
        "expected_start": record.expected_start if record.state is JobState.PENDING else None,
        **progress_of(run, record, now).to_dict(),
    }


def clock(seconds: float | None) -> str:
    """Seconds for people: 42 s, 3:07, 12:03:44."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def state_text(values: dict[str, Any]) -> Text:
    """The state in its colour, with its source and the age of a fact that may have changed
    since."""
    state = JobState(values["state"])
    colour = COLOURS.get(state, "red" if state in FAILED else "")
    text = Text(values["state"], style=colour)
    if values["stalled_seconds"] is not None:
        text.append(f" stalled {clock(values['stalled_seconds'])}", style="bold red")
    if state is not JobState.WAITING:
        age = values["age_seconds"]
        fresh = state in FAILED or state is JobState.COMPLETED or age is None or age < FRESH_SECONDS
        text.append(f" ({values['source']}{'' if fresh else f', {clock(age)} ago'})", style="dim")
    return text


def progress_text(values: dict[str, Any], now: float) -> str:
    """``train 12/30, validation reward 0.41, ends in 2:10``, the last line of a command, or when a
    waiting job is expected to start."""
    if values["expected_start"] is not None and values["expected_start"] > now:
        waits = f"{values['reason']}, " if values["reason"] else ""
        return f"{waits}starts in {clock(values['expected_start'] - now)} (Slurm's estimate)"
    if values["phase"] is None:
        return ""
    if values["step"] is None:
        return values["log_line"] or str(values["phase"])
    parts = [f"{values['phase']} {values['step']}/{values['total']}"]
    parts += [
        f"{key.removesuffix('_mean').replace('_', ' ')} {value:.3g}"
        for key, value in values["metrics"].items()
    ]
    if values["requeues_expected"]:
        parts.append(over_limit_text(values))
    elif values["expected_end"] is not None and values["expected_end"] > now:
        parts.append(f"ends in {clock(values['expected_end'] - now)}")
    return ", ".join(parts)


def over_limit_text(values: dict[str, Any]) -> str:
    """What a job that does not fit into its time limit will see of it."""
    needs, (needed, limit) = "", (values["needed_seconds"], values["limit_seconds"])
    if needed:  # a job is warned before its limit: one that needs hardly less does not fit either
        warned = "" if needed > limit else f" less {clock(min(WARNING_SECONDS, limit / 2))} to save"
        needs = f"needs {clock(needed)}, limit {clock(limit)}{warned}: "
    if values["engine"] is None:
        return f"{needs}its time limit comes first"
    times = values["requeues_expected"]
    return f"{needs}will requeue {'once' if times == 1 else f'{times} times'}"


def header(
    run: Run, records: Sequence[Record], trouble: str, now: float, stalled: Set[str] = frozenset()
) -> Text:
    """Run, cluster, counts, cost so far; how many are stalled; and what is old, and why."""
    counts = Counter(record.state for record in records)
    lasted = {record.name: elapsed(record, now) or 0.0 for record in records if record.started}
    resources = {name: run.by_name[name].resources for name in lasted}
    tokens = {record.name: record.allocation or record.name for record in records}
    share = Counter(tokens[name] for name in lasted)
    gpu_hours = (
        sum(
            seconds * resources[name].gpus * resources[name].nodes / share[tokens[name]]
            for name, seconds in lasted.items()
        )
        / 3600
    )
    text = Text.assemble(
        (run.name, "bold"),
        f" on {run.profile.name or run.profile.kind}: ",
        ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "no jobs yet",
    )
    if stalled:
        text.append(f", {len(stalled)} stalled", style="bold red")
    text.append(
        f"; {clock(sum(lasted.values()))} of job time, at {time.strftime('%H:%M:%S')}"
        + (f", {gpu_hours:.2f} GPU-hours" if gpu_hours else "")
    )
    if trouble:
        oldest = min(
            (record.seen for record in records if record.seen and record.state not in FAILED),
            default=now,
        )
        text.append(
            f"\ncould not ask: {trouble}; what is shown is up to {clock(now - oldest)} old",
            style="bold red",
        )
    return text


def render(
    run: Run, records: Sequence[Record], trouble: str, now: float, width: int, every: bool = False
) -> RenderableType:
    """The table; on a narrow terminal the stage and the id give way. Of a large run like jobs share
    a line, unless ``every``."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    columns = ["stage", "job", "id", "state", "elapsed", "progress, or why"]
    if width < 120:
        columns.remove("stage")
    if width < 96:
        columns.remove("id")
    for name in columns:
        right = name == "elapsed"
        table.add_column(
            name,
            overflow="fold",
            no_wrap=right or name in ("id", "stage"),
            justify="right" if right else "left",
        )
    stalled = stalled_jobs(run, records, now)
    for like in folded(records, every, stalled):
        values = row(run, like[0], now)
        told = values["reason"] if len(like) > 1 else progress_text(values, now) or values["reason"]
        counts = (("attempt", values["attempt"], 2), ("restart", values["restarts"], 1))
        times = [f"{word} {count}" for word, count, told_from in counts if count >= told_from]
        attempt = f" [{', '.join(times)}]" if times else ""
        style = "red" if JobState(values["state"]) in FAILED else ""
        cells = {
            "stage": values["stage"],
            "job": values["job"] + attempt,
            "id": values["id"] or "",
            "state": state_text(values),
            "elapsed": clock(values["elapsed_seconds"]),
            "progress, or why": Text(told, style=style),
        }
        if len(like) > 1:
            cells |= {
                "job": f"{len(like)} jobs, {like[0].name} to {like[-1].name}{attempt}",
                "id": "",
                "elapsed": "",
            }
        table.add_row(
            *[
                Text(cell) if isinstance(cell, str) else cell
                for cell in (cells[name] for name in columns)
            ]
        )
    return Group(header(run, records, trouble, now, stalled), table)


def folded(
    records: Sequence[Record], every: bool, stalled: Set[str] = frozenset()
) -> list[list[Record]]:
    """What goes on each line: one job, or the jobs of a large run that are of one stage, in one
    state, for one reason."""
    if every or len(records) <= WHOLE_JOBS:
        return [[record] for record in records]
    lines: dict[object, list[Record]] = {}
    for record in records:
        key = (
            record.stage,
            record.state,
            record.source,
            record.reason,
            record.attempt,
            record.restarts,
            record.name in stalled,
        )
        lines.setdefault(key, []).append(record)
    return list(lines.values())


def document(run: Run, records: Sequence[Record], trouble: str) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "run": run.name,
        "folder": str(run.folder),
        "cluster": run.profile.name or run.profile.kind,
        "trouble": trouble,
        "jobs": status_rows(run, records, time.time()),
    }
