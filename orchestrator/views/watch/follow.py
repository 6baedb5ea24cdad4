"""A run followed live without a full screen: the table drawn anew, or a line per change.

In: a run. Out: what is printed, and the exit code of the command. Called by `orch launch --watch`,
`orch status --watch`, and by `orch watch` where there is no terminal.
"""

from __future__ import annotations

import time

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.lifecycle.refresh import look
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.overview.summary import status_lines
from orchestrator.views.status import clock
from orchestrator.views.tables.drawing import screen_of
from orchestrator.views.watch.ending import over, pause_of

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def watch_run(run: Run) -> int:
    """Show the run until it is over. Returns 0 if every job completed or was skipped, else 1;
    Ctrl-C leaves the run alone: 130."""
    pause = pause_of(run)
    console = Console()
    try:
        records = live(run, console, pause) if console.is_terminal else lines(run, pause)
    except KeyboardInterrupt:
        print(f"\nthe run continues: orch status {run.name}")
        return INTERRUPTED
    succeeded = all(record.state in (JobState.COMPLETED, JobState.SKIPPED) for record in records)
    return 0 if succeeded and (run.folder / "jobs").exists() else 1


def live(run: Run, console: Console, pause: float) -> list[Record]:
    """The table, drawn anew."""
    # Redrawn when there is an answer, not several times a second by rich.
    with Live(console=console, auto_refresh=False) as view:
        while True:
            records, trouble = look(run, pause)
            now = run.now()
            lines = status_lines(run, records, trouble, now, screen_of(console))
            view.update(Text("\n").join(lines), refresh=True)
            if over(run, records) or run.origin is not None:
                return records
            time.sleep(pause)


def lines(run: Run, pause: float) -> list[Record]:
    """One line per change, where there is no terminal."""
    shown: dict[str, JobState] = {}
    while True:
        records, trouble = look(run, pause)
        if trouble:
            print(f"could not ask: {trouble}", flush=True)
        for record in records:
            if shown.get(record.name) != record.state:
                shown[record.name] = record.state
                print(change_line(record), flush=True)
        if over(run, records) or run.origin is not None:
            return records
        time.sleep(pause)


def change_line(record: Record) -> str:
    """When, which job, its new state, how long it took, why."""
    words = [time.strftime("%H:%M:%S"), record.name, str(record.state)]
    if record.started and record.ended:
        words.append(clock(record.ended - record.started))
    if record.reason:
        words.append(record.reason)
    return " ".join(words)
