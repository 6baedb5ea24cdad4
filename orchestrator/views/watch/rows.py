"""Which jobs `orch watch` shows, in which order, and what stands in their lines.

In: records, a filter, the end of a log. Out: cells and lines of text. Pure, but for the progress of
running jobs. Called by app.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import JustifyMethod
from rich.text import Text

from orchestrator.runs.record import ACTIVE, FAILED, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.overview.jobs import job_columns
from orchestrator.views.overview.signs import SIGNS
from orchestrator.views.status import clock
from orchestrator.views.tables.columns import Kind
from orchestrator.views.tables.layout import fitted

MOST_LINES = 500
"""Lines of the table; a filter brings the others up."""
LEAST_WIDTH = 10
"""Columns that a line of a log is given on the narrowest screen."""
STATES: Mapping[str, frozenset[JobState]] = {
    "all": frozenset(JobState),
    "active": ACTIVE | {JobState.UNKNOWN},
    "failed": FAILED,
    "waiting": frozenset({JobState.WAITING, JobState.PENDING}),
    "done": frozenset({JobState.COMPLETED, JobState.SKIPPED}),
}
"""Groups of states by name, in the order that the key s goes through."""
URGENCY = {
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


@dataclass(frozen=True)
class Filter:
    """Which jobs a person wants to see."""

    states: str = "all"
    """A name of STATES."""
    text: str = ""
    """Part of a job's name or of its reason."""

    def fits(self, record: Record) -> bool:
        """Whether a job is wanted."""
        if record.state not in STATES[self.states]:
            return False
        text = self.text.casefold()
        return text in record.name.casefold() or text in record.reason.casefold()


def chosen(records: Sequence[Record], wanted: Filter) -> list[Record]:
    """The jobs that fit, in plan order; of too many those that matter now."""
    fitting = [record for record in records if wanted.fits(record)]
    if len(fitting) <= MOST_LINES:
        return fitting
    # States that URGENCY does not name are failures: 0, with what runs. Sorting is stable, so jobs
    # of like urgency stay in plan order.
    fitting.sort(key=lambda record: URGENCY.get(record.state, 0))
    return fitting[:MOST_LINES]


def by_metric(
    records: Sequence[Record], metrics: Mapping[str, Mapping[str, float]], name: str, falls: bool
) -> list[Record]:
    """The jobs in the order of a metric, those without a value last; ``falls``: from the greatest
    to the least."""
    known = [one for one in records if name in metrics.get(one.name, {})]
    known.sort(key=lambda one: metrics[one.name][name], reverse=falls)
    return known + [one for one in records if name not in metrics.get(one.name, {})]


@dataclass(frozen=True)
class Jobs:
    """The table of jobs as it fits."""

    heads: tuple[tuple[str, int, bool], ...]
    """The lines of each column's heading, its width, and whether its cells stand on the right."""
    rows: dict[str, tuple[Text, ...]]
    """By job its cells."""
    notes: str
    """What is said once for all of them."""


def table_of(
    run: Run,
    records: Sequence[Record],
    now: float,
    metrics: Mapping[str, Mapping[str, float]],
    width: int,
    first: str = "",
) -> Jobs:
    """The jobs as cells: what tells them apart is never cut, and the rest has what room is left;
    ``first``: the metric that is shown as long as one is."""
    table = fitted(job_columns(run, records, now, metrics, alone=True, first=first), width)
    lines = max((len(one.heading) for one in table.columns), default=1)
    heads = []
    for one in table.columns:
        # A heading of one line stands on the last of two, over its cells.
        name = "\n" * (lines - len(one.heading)) + "\n".join(one.heading)
        heads.append((name, one.width, one.kind is Kind.NUMBER))
    rows = {}
    for number, record in enumerate(records):
        cells = []
        for column in table.columns:
            side: JustifyMethod = "right" if column.kind is Kind.NUMBER else "left"
            cells.append(Text(column.cells[number], style=column.style(number), justify=side))
        rows[record.name] = tuple(cells)
    said = [f"all: {', '.join(table.said)}"] if table.said else []
    return Jobs(tuple(heads), rows, "; ".join([*said, *table.notes]))


def heading(
    run: Run, records: Sequence[Record], trouble: str, age: float, shown: int, wanted: Filter
) -> Text:
    """Run, counts, how old this is, and which filters hold.

    Args:
        trouble: why the scheduler could not be asked, if so.
        age: of the last answer, in seconds.
        shown: how many jobs are in the table.
    """
    line = Text.assemble((run.name, "bold"), f" on {run.profile.name or run.profile.kind}  ")
    counts = Counter(record.state for record in records)
    for state, looks in SIGNS.items():
        if counts[state]:
            line.append(f"{counts[state]:,} {looks.word}  ", style=looks.colour)
    if trouble:
        line.append(f"could not ask: {trouble}; ", style="bold red")
    # Where the line is broken, this stays together.
    line.append(f"{clock(age)} old".replace(" ", "\N{NO-BREAK SPACE}"), style="dim")
    if wanted != Filter() or shown < len(records):
        line.append(f"\n{shown} of {len(records)} jobs shown", style="bold yellow")
        line.append(filter_text(wanted, shown), style="yellow")
    return line


def filter_text(wanted: Filter, shown: int) -> str:
    """Why not all jobs are shown."""
    words = ""
    if wanted.states != "all":
        words += f", {wanted.states}"
    if wanted.text:
        words += f", with '{wanted.text}'"
    if shown == MOST_LINES:
        words += f"; at most {MOST_LINES} at once, / narrows"
    return words


def log_text(lines: Sequence[str], width: int) -> Text:
    """Lines of a log, each on one line of the screen: of a progress bar its newest state, colours
    as colours, no other control code."""
    cut = []
    for line in lines:
        # A progress bar overwrites its line, as in "10%\r20%\r30%\r": the last part is what a
        # terminal shows.
        newest = line.rstrip("\r").rpartition("\r")[2]
        text = Text.from_ansi(newest.expandtabs(), end="")
        text.truncate(max(width, LEAST_WIDTH), overflow="ellipsis")
        cut.append(text)
    return Text("\n").join(cut)
