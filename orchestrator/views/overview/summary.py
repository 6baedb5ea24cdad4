"""What `orch status` prints: the run in two lines, its table, and what failed or waits.

In: a run, its records, and the screen. Out: lines of text. Called by `orch status`, `orch launch
--watch` and `orch wait`. The parts lie beside: jobs.py or stages.py make the table, causes.py what
stands below it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set

from rich.text import Text

from jobs.spec import Replaced
from orchestrator.runs.record import ACTIVE, FAILED, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.inventory import inventory, inventory_lines
from orchestrator.views.overview.causes import (
    advice_line,
    failed_lines,
    lines_of,
)
from orchestrator.views.overview.jobs import job_columns
from orchestrator.views.overview.metrics import newest_metrics
from orchestrator.views.overview.signs import counts_text
from orchestrator.views.overview.stages import by_stage, stage_columns
from orchestrator.views.status import clock, elapsed, gpu_hours_so_far, stalled_jobs, waits_its_turn
from orchestrator.views.tables.drawing import Screen, drawn_lines, sentence
from orchestrator.views.tables.folding import counted

WHOLE_JOBS = 100
"""A run of more jobs has a line for each stage, whatever the screen; and no file is read for each
of its jobs."""
ROUND_THE_TABLE = 6
"""Lines of a terminal that the table does not have: heading, notes, the next prompt."""


def status_lines(
    run: Run,
    records: Sequence[Record],
    trouble: str,
    now: float,
    screen: Screen,
    every: bool = False,
) -> list[Text]:
    """The whole text.

    Args:
        trouble: Why the scheduler could not be asked; empty: it could.
        every: A line for each job, however many there are.
    """
    stalled = stalled_jobs(run, records, now)
    lines = [*header(run, records, trouble, now, stalled, screen), *known_of(run, records, screen)]
    if not records:
        return lines
    metrics = newest_metrics(run, records) if len(records) <= WHOLE_JOBS else {}
    is_folded = not every and is_large(records, screen)
    if is_folded:
        columns = stage_columns(run, records, now, stalled, metrics)
    else:
        columns = job_columns(run, records, now, metrics)
    lines += [Text(), *drawn_lines(columns, screen)]
    lines += failed_lines(run, records, screen)
    if is_folded:
        lines += lines_of("Waiting", run, records, screen)
    lines += lines_of("Not run", run, records, screen)
    lines += lines_of("Skipped", run, records, screen)
    lines += advice_line(records, screen)
    if is_folded:
        lines += [Text(), Text("each job: --all", style="dim")]
    return lines


def is_large(records: Sequence[Record], screen: Screen) -> bool:
    """Whether there are more jobs than lines, and folding them helps."""
    if len(records) > WHOLE_JOBS:
        return True
    room = None if screen.height is None else screen.height - ROUND_THE_TABLE
    return room is not None and len(records) > room and len(by_stage(records)) < len(records)


def header(
    run: Run,
    records: Sequence[Record],
    trouble: str,
    now: float,
    stalled: Set[str],
    screen: Screen,
) -> Iterator[Text]:
    """Run and cluster; counts, how many are stalled, and cost so far; what is old, and why."""
    name = Text.assemble((run.name, "bold"), f"  on {run.profile.name or run.profile.kind}")
    yield name
    counts = Counter(record.state for record in records)
    text = counts_text(counts) or "no jobs yet"
    if stalled:
        text += f", {len(stalled)} stalled"
    line = sentence(f"{text}; {', '.join(spent_words(run, records, now))}", screen)
    is_wrong = stalled or any(SHOUTS & counts.keys())
    if is_wrong:
        # The first words are what is wrong: states are counted in that order.
        line[0].stylize("bold red", 0, len(text.partition(",")[0]))
    yield from line
    if run.origin is not None:
        yield from sentence(str(run.origin), screen, style="bold yellow")
    if trouble:
        # What has failed stays failed, so the age of that fact does not matter.
        seen = [record.seen for record in records if record.seen and record.state not in FAILED]
        age = clock(now - min(seen, default=now))
        told = f"could not ask: {trouble}; what is shown is up to {age} old"
        yield from sentence(told, screen, style="bold red")


SHOUTS = FAILED - {JobState.CANCELLED}


def spent_words(run: Run, records: Sequence[Record], now: float) -> Iterator[str]:
    """Time from start to end, or the time of day of a run that goes on; time of all jobs together,
    GPU-hours."""
    begun = [record for record in records if record.started and not waits_its_turn(run, record)]
    seconds = {record.name: elapsed(record, now) or 0.0 for record in begun}
    first = min((record.started or now for record in begun), default=None)
    last = max((record.ended or now for record in begun), default=now)
    if first is not None and not any(record.state in ACTIVE for record in records):
        yield f"{clock(last - first)} from start to end"
    yield f"{clock(sum(seconds.values()))} of job time"
    gpu_hours = gpu_hours_so_far(run, records, seconds)
    if gpu_hours:
        yield f"{gpu_hours:.2f} GPU-hours"
    if any(record.state in ACTIVE for record in records):
        yield f"at {time.strftime('%H:%M:%S')}"


def known_of(run: Run, records: Sequence[Record], screen: Screen) -> Iterator[Text]:
    """What there is of the models, and which jobs take the place of others."""
    for line in inventory_lines(inventory(run, records)):
        yield from sentence(line, screen)
    reasons: dict[str, list[Replaced]] = {}
    for one in run.plan.replaced:
        reasons.setdefault(one.reason, []).append(one)
    for reason, replaced in reasons.items():
        more = len(replaced) - 1
        also = f" (and {counted(more, 'job')} after it)" if more else ""
        told = f"{replaced[0].by} replaces {replaced[0].job}{also}: {reason}"
        yield from sentence(told, screen)
