"""Logs, reports and the list of runs: what a person reads of a run beside its status.

In: a run, or the folder of all runs. Out: printed text, or a table. Called by the commands `orch
logs`, `orch list` and `orch report`.
"""

from __future__ import annotations

import codecs
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from orchestrator.errors import RunError
from orchestrator.lifecycle.refresh import look, refresh
from orchestrator.node.light.standard import opened
from orchestrator.runs.documents.reading import content_of
from orchestrator.runs.lookup import all_runs, one_job, open_run
from orchestrator.runs.record import ACTIVE, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.moments import ago
from orchestrator.views.overview.signs import counts_text
from orchestrator.views.tables.columns import Column, Kind
from orchestrator.views.tables.drawing import Screen, drawn_lines
from orchestrator.views.watch.ending import pause_of

PIECE_BYTES = 1 << 20
"""So much of a log is in memory at once."""
FOLLOWING_SECONDS = 5.0
"""How old the state of a job may be whose log is followed."""
NEWS_SECONDS = 60.0
"""How old a state may be that is listed without its age: `orch list` asks no scheduler."""
REPORTS = ("analysis", "fsm_report", "geography_report", "polychromic_report")
"""Engines that leave report.txt and report.html."""
GROWING = ("analysis.evolution", "analysis.measured")
"""Those of an evolution."""


def record_of(run: Run, name: str, records: list[Record]) -> Record:
    """The record of the one job that a person means."""
    job = one_job(run, name)
    return next(record for record in records if record.name == job.name)


def print_log(run: Run, name: str, follow: bool) -> None:
    """Print a job's newest log; with ``follow`` until the job is no longer active."""
    records, _ = refresh(run)
    record = record_of(run, name, records)
    if record.reused:
        raise RunError(f"{record.name} has run elsewhere; its log: orch logs {record.reused}")
    path = run.log(record)
    # With --follow an active job is waited for: its log appears when it starts.
    if not path.exists() and not (follow and record.state in ACTIVE):
        reason = f": {record.reason}" if record.reason else ""
        raise RunError(f"{record.name} is {record.state} and has no log yet{reason}")
    # A character that is half written, or half read, waits here for its other half.
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    position = 0
    while True:
        position = copy_from(path, position, decoder)
        if not follow or record.state not in ACTIVE or run.origin is not None:
            # Once more, for what was written while the first part was printed.
            copy_from(path, position, decoder)
            sys.stdout.write(decoder.decode(b"", final=True))
            return
        time.sleep(1.0)
        records, _ = look(run, min(pause_of(run), FOLLOWING_SECONDS))
        record = record_of(run, name, records)


def copy_from(path: Path, position: int, decoder: codecs.IncrementalDecoder) -> int:
    """Print what a file holds after ``position``, piece by piece: a log may be larger than the
    memory. Returns the new end."""
    if not path.exists():
        return position
    # As bytes: a position in bytes can be sought.
    with opened(path) as file:
        file.seek(position)
        while piece := file.read(PIECE_BYTES):
            sys.stdout.write(decoder.decode(piece))
        sys.stdout.flush()
        return file.tell()


def runs_table(root: Path, screen: Screen) -> list[Text]:
    """All runs with their counts, as they were last seen."""
    rows = []
    for folder in all_runs(root):
        # Only state files are read: asking a scheduler about every run that ever was would take
        # many calls.
        run = open_run(folder)
        records = run.load()
        counts = Counter(record.state for record in records)
        copied = "" if run.origin is None else " (a copy)"
        where = f"{run.profile.name or run.profile.kind}{copied}"
        now = time.time()
        told = counts_text(counts) + seen_text(records, now)
        rows.append((run.name, where, ago(run.created, now), told))
    if not rows:
        raise RunError(
            f"{root}: no run here yet; launch one: orch launch EXPERIMENT (or set "
            "ORCH_RUNS to where your runs are)"
        )
    names, places, ages, counted = zip(*rows, strict=True)
    columns = [
        Column(name="run", kind=Kind.KEY, cells=names),
        Column(name="cluster", kind=Kind.TEXT, cells=places, priority=5),
        Column(name="launched", kind=Kind.NUMBER, cells=ages, priority=4),
        Column(name="jobs", kind=Kind.PROSE, cells=counted, priority=1, floor=20),
    ]
    return drawn_lines(columns, screen)


def seen_text(records: Sequence[Record], now: float) -> str:
    """Since when nobody has asked about jobs that may have gone on since; empty while that is
    news."""
    seen = max((one.seen for one in records if one.state in ACTIVE), default=0.0)
    return f"; seen {ago(seen, now)}" if seen and now - seen > NEWS_SECONDS else ""


def reports(run: Run, records: Sequence[Record]) -> list[dict[str, str]]:
    """Of each of the run's analysis jobs: job, the text of report.txt, and where the page is
    (``html``). RunError says what is missing."""
    made = [record for record in records if run.by_name[record.name].engine in REPORTS]
    # An evolution writes a report at every growth; the newest one shows all that the others do.
    made += [record for record in records if run.by_name[record.name].engine in GROWING][-1:]
    if not made:
        raise RunError(
            f"{run.name} has no stage with an engine that writes reports ({', '.join(REPORTS)}); "
            f"its numbers: orch results {run.name}, as a page: orch page {run.name}"
        )
    told = []
    for record in made:
        out = run.out_folder(record)
        if record.state is not JobState.COMPLETED:
            unfinished = []
            for one in records:
                if one.state not in (JobState.COMPLETED, JobState.SKIPPED):
                    unfinished.append(f"{one.name} {one.state}")
            raise RunError(f"{run.name} has no report yet; not done: {', '.join(unfinished[:8])}")
        text = content_of(out / "report.txt").decode(errors="replace")
        told.append({"job": record.name, "text": text, "html": str(out / "report.html")})
    return told
