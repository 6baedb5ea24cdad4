"""Which jobs `orch watch` shows, in which order, and what stands in their lines. Pure, but for the
progress of running jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.text import Text

from orchestrator.runs.record import ACTIVE, FAILED, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.status import COLOURS, clock, progress_text, row

MOST = 500
"""Lines of the table; a filter brings the others up."""
FILTERS: Mapping[str, frozenset[JobState]] = {
    "all": frozenset(JobState),
    "active": ACTIVE | {JobState.UNKNOWN},
    "failed": FAILED,
    "waiting": frozenset({JobState.WAITING, JobState.PENDING}),
    "done": frozenset({JobState.COMPLETED, JobState.SKIPPED}),
}
"""What the key s goes through."""
FIRST = {
    JobState.RUNNING: 0,
    JobState.COMPLETING: 0,
    JobState.SUSPENDED: 0,
    JobState.UNKNOWN: 1,
    JobState.PENDING: 2,
    JobState.WAITING: 3,
    JobState.COMPLETED: 4,
    JobState.SKIPPED: 5,
}
"""Order of a run that is too large to be shown whole: what died comes with what runs."""


def chosen(records: Sequence[Record], states: str, text: str) -> list[Record]:
    """The jobs that fit both filters, in plan order; of too many those that matter now."""
    wanted = text.casefold()
    fitting = [
        one
        for one in records
        if one.state in FILTERS[states]
        and (wanted in one.name.casefold() or wanted in one.reason.casefold())
    ]
    return (
        fitting
        if len(fitting) <= MOST
        else sorted(fitting, key=lambda one: FIRST.get(one.state, 0))[:MOST]
    )


def cells(run: Run, record: Record, now: float) -> tuple[Text, Text, Text, Text]:
    """Job, state, elapsed time, progress or reason."""
    values = row(run, record, now)
    state = "STALLED" if values["stalled_seconds"] is not None else str(record.state)
    colour = (
        "red" if record.state in FAILED or state == "STALLED" else COLOURS.get(record.state, "")
    )
    said = progress_text(values, now) or record.reason
    if state == "STALLED":
        said = f"nothing new for {clock(values['stalled_seconds'])}, {said}"
    again = f" [{record.attempt}]" if record.attempt > 1 else ""
    return (
        Text(record.name + again),
        Text(state, style=colour),
        Text(clock(values["elapsed_seconds"]), justify="right"),
        Text(said, style="red" if record.state in FAILED else ""),
    )


def heading(
    run: Run,
    records: Sequence[Record],
    trouble: str,
    age: float,
    shown: int,
    states: str,
    text: str,
) -> Text:
    """Run, counts, how old this is, and which filters hold."""
    counts = Counter(record.state for record in records)
    line = Text.assemble((run.name, "bold"), f" on {run.profile.name or run.profile.kind}  ")
    for state, count in sorted(counts.items()):
        line.append(
            f"{count} {state}  ", style="red" if state in FAILED else COLOURS.get(state, "")
        )
    if trouble:
        line.append(f"could not ask: {trouble}; ", style="bold red")
    line.append(f"{clock(age)} old", style="dim")
    if states != "all" or text or shown < len(records):
        line.append(f"\n{shown} of {len(records)} jobs shown", style="bold yellow")
        line.append(
            (f", {states}" if states != "all" else "")
            + (f", with '{text}'" if text else "")
            + (f"; at most {MOST} at once, / narrows" if shown == MOST else ""),
            style="yellow",
        )
    return line


def log_text(lines: Sequence[str], width: int) -> Text:
    """Lines of a log, each on one line of the screen: of a progress bar its newest state, colours
    as colours, no other control code."""
    cut = [
        Text.from_ansi(line.rstrip("\r").rpartition("\r")[2].expandtabs(), end="") for line in lines
    ]
    for line in cut:
        line.truncate(max(width, 10), overflow="ellipsis")
    return Text("\n").join(cut)
