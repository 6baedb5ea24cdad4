"""What `orch status` shows: one table, every fact with its source and age.

In: a run, its records, and the progress and logs of running jobs. Out: a table for people, rows of
plain values for programs, and the words for times, states and progress that the other views use
too. Called by `orch status`, `orch watch`, `orch why` and the page.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jobs.searches import values_text
from jobs.spec import Replaced
from orchestrator.node.cost import units_held
from orchestrator.runs.layout import OUT
from orchestrator.runs.record import FAILED, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.held import is_held
from orchestrator.views.inventory import inventory, inventory_lines
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
)

WITH_STAGE, WITH_ID = 120, 96
"""Narrower terminals have no column for the stage, or for the id."""
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
    if waits_its_turn(run, record):
        return Pace(phase="waits for its turn in the pack")
    # A retry may have raised the time limit above that of the plan.
    limit_seconds = 60 * (record.minutes or job.resources.minutes)
    lines = last_progress(run.out_folder(record))
    found = pace(lines, record.started, limit_seconds, now)
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
        "log": str(run.log(record)) if record.attempt else None,
        "engine": job.engine,
        "axes": job.axes,
        "reused": record.reused or None,
        "expected_start": None if not waits or is_held(record) else record.expected_start,
        **progress_of(run, record, now).to_dict(),
    }


def state_text(values: dict[str, Any]) -> Text:
    """The state in its colour, with its source and the age of a fact that may have changed
    since."""
    state = JobState(values["state"])
    text = Text(values["state"], style=state_colour(state))
    if values["stalled_seconds"] is not None:
        text.append(f" stalled {clock(values['stalled_seconds'])}", style="bold red")
    if state is JobState.WAITING:
        return text  # nothing has been submitted, so no source was asked
    origin = values["source"]
    age = values["age_seconds"]
    is_final = state in FAILED or state is JobState.COMPLETED
    if not is_final and age is not None and age >= FRESH_SECONDS:
        origin += f", {clock(age)} ago"
    text.append(f" ({origin})", style="dim")
    return text


def state_colour(state: JobState) -> str:
    """The colour of a state on a terminal."""
    return "red" if state in FAILED else COLOURS.get(state, "")


def counts_text(counts: Mapping[Any, int]) -> str:
    """``3 COMPLETED, 1 RUNNING``."""
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


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


def header(
    run: Run, records: Sequence[Record], trouble: str, now: float, stalled: Set[str] = frozenset()
) -> Text:
    """Run, cluster, counts, cost so far; how many are stalled; and what is old, and why."""
    counts = Counter(record.state for record in records)
    text = Text.assemble(
        (run.name, "bold"),
        f" on {run.profile.name or run.profile.kind}: ",
        counts_text(counts) or "no jobs yet",
    )
    if stalled:
        text.append(f", {len(stalled)} stalled", style="bold red")
    begun = [record for record in records if record.started and not waits_its_turn(run, record)]
    seconds = {record.name: elapsed(record, now) or 0.0 for record in begun}
    spent = f"; {clock(sum(seconds.values()))} of job time, at {time.strftime('%H:%M:%S')}"
    gpu_hours = gpu_hours_so_far(run, records, seconds)
    if gpu_hours:
        spent += f", {gpu_hours:.2f} GPU-hours"
    text.append(spent)
    if run.origin is not None:
        text.append(f"\n{run.origin}", style="bold yellow")
    if trouble:
        # What has failed stays failed, so the age of that fact does not matter.
        seen = [record.seen for record in records if record.seen and record.state not in FAILED]
        age = clock(now - min(seen, default=now))
        text.append(
            f"\ncould not ask: {trouble}; what is shown is up to {age} old", style="bold red"
        )
    return text


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
        gpu_seconds += lasted * units_held(vars(job.resources), "gpus", neighbours)
    return gpu_seconds / 3600


def render(
    run: Run, records: Sequence[Record], trouble: str, now: float, width: int, every: bool = False
) -> RenderableType:
    """The table; on a narrow terminal the stage and the id give way. Of a large run like jobs share
    a line, unless ``every``."""
    columns = ["job", "state", "elapsed", "progress, or why"]
    if width >= WITH_ID:
        columns.insert(1, "id")
    if width >= WITH_STAGE:
        columns.insert(0, "stage")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(
            name,
            overflow="fold",
            no_wrap=name in ("elapsed", "id", "stage"),
            justify="right" if name == "elapsed" else "left",
        )
    stalled = stalled_jobs(run, records, now)
    for alike in folded(records, every, stalled):
        cells = table_cells(run, alike, now)
        table.add_row(*[cells[name] for name in columns])
    return Group(header(run, records, trouble, now, stalled), *known_of(run, records), table)


def known_of(run: Run, records: Sequence[Record]) -> list[Text]:
    """What there is of the models, and which jobs take the place of others."""
    lines = [Text(line) for line in inventory_lines(inventory(run, records))]
    reasons: dict[str, list[Replaced]] = {}
    for one in run.plan.replaced:
        reasons.setdefault(one.reason, []).append(one)
    for reason, replaced in reasons.items():
        more = len(replaced) - 1
        also = f" (and {more} jobs that follow)" if more else ""
        lines.append(Text(f"{replaced[0].by} replaces {replaced[0].job}{also}: {reason}"))
    return lines


def table_cells(run: Run, alike: Sequence[Record], now: float) -> dict[str, Text]:
    """A line of the table by its columns: one job, or several that are alike."""
    first = alike[0]
    values = row(run, first, now)
    name, job_id = first.name, values["id"] or ""
    lasted = clock(values["elapsed_seconds"])
    words = said_of(first, now, progress_text(values, now))
    if len(alike) > 1:
        name = f"{len(alike)} jobs, {first.name} to {alike[-1].name}"
        job_id = lasted = ""
        # Steps and times differ from job to job, but the reason is the same for all (see
        # ``folded``).
        words = values["reason"]
    again = []
    if first.attempt > 1:
        again.append(f"attempt {first.attempt}")
    if first.restarts:
        again.append(f"restart {first.restarts}")
    if again:
        name += f" [{', '.join(again)}]"
    label = Text(name)
    if len(alike) == 1 and drawn_text(run, first):
        label.append(f" {drawn_text(run, first)}", style="dim")
    return {
        "stage": Text(first.stage),
        "job": label,
        "id": Text(job_id),
        "state": state_text(values),
        "elapsed": Text(lasted),
        "progress, or why": Text(words, style="red" if first.state in FAILED else ""),
    }


def drawn_text(run: Run, record: Record) -> str:
    """``(lr=0.01, width=16)``: what a search has drawn for a job; else nothing."""
    search, axes = run.plan.searches.get(record.stage), run.by_name[record.name].axes
    values = {axis: axes[axis] for axis in search.axes if axis in axes} if search else {}
    return f"({values_text(values)})" if values else ""


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


def document(run: Run, records: Sequence[Record], trouble: str) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "run": run.name,
        "folder": str(run.folder),
        "cluster": run.profile.name or run.profile.kind,
        "trouble": trouble,
        "copy": None if run.origin is None else str(run.origin),
        "inventory": inventory(run, records),
        "replaced": [vars(one) for one in run.plan.replaced],
        "jobs": status_rows(run, records, run.now()),
    }
