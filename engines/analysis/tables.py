"""The report's tables, each made once and written out by the text, the Markdown and the page.

In: the report. Out: ``Tables``. Called by ``__main__``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from engines.analysis.comparison import MACRO, Line
from engines.analysis.expected import Expected
from engines.analysis.load import Behaviour, JobCost, Task
from engines.analysis.report import Report
from engines.contract.results import Cost
from engines.shared.reporting.sources import labels
from engines.shared.reporting.statistics import Interval
from engines.shared.reporting.tables import Table
from engines.shared.reporting.text import percent, points, probability

COMPARISON = [
    "domain",
    "n",
    "baseline",
    "treatment",
    "difference [95 %]",
    "p adjusted",
    "detectable",
    "source",
]
EXPECTED = [
    "domain",
    "best specialist",
    "n",
    "expected",
    "actual",
    "actual minus expected [95 %]",
    "p adjusted",
]
COSTS = [
    "job",
    "host",
    "CPUs",
    "GPUs",
    "GB",
    "hours",
    "CPU-hours",
    "GPU-hours",
    "attempts",
    "requeues",
    "source",
]
OUT_OF_TIME = "programs out of time"
DIRECTIONS = ("gained", "lost", "both right", "neither")


@dataclass(frozen=True)
class Tables:
    """The tables of one report; None where there is nothing to show."""

    comparison: Table
    behaviour: Table
    expected: Table | None
    flips: Table | None
    costs: Table


def make_tables(report: Report) -> Tables:
    """Render every table of the report."""
    return Tables(
        comparison_table(report),
        behaviour_table(report),
        expected_table(report.expected) if report.expected else None,
        flips_table(report) if report.flips.counts else None,
        costs_table(report),
    )


def comparison_table(report: Report) -> Table:
    """The main table: both arms, domain by domain."""
    source = report.inputs.sources.label("scores")
    rows, kinds = [], []
    for line in report.lines:
        rows.append([*comparison_row(line), source])
        if line.task:
            kinds.append("task")
        else:
            kinds.append("macro" if line.name == MACRO else "")
    return Table(COMPARISON, rows, kinds)


def comparison_row(line: Line) -> list[str]:
    """One line of the comparison, without its sources."""
    # "57 of 60" where some problems have no score in both arms.
    n = str(line.n) if line.n == line.total else f"{line.n} of {line.total}"
    # A line has all three intervals or a reason why it has none.
    if line.missing or not (line.baseline and line.treatment and line.difference):
        return [line.name, n, "missing", "missing", line.missing, "", ""]
    return [
        line.name,
        n,
        percent(line.baseline.value),
        percent(line.treatment.value),
        points(line.difference),
        probability(line.adjusted),
        "unknown" if line.detectable is None else percent(line.detectable),
    ]


def behaviour_table(report: Report) -> Table:
    """How long each arm answers, and how often it is cut or says nothing: a score can hide both."""
    head = [
        "arm",
        report.config.metric,
        "samples",
        "tokens per answer",
        "cut at the limit",
        "no answer",
        *([OUT_OF_TIME] if shows_out_of_time(report) else []),
        "source",
    ]
    source = report.inputs.sources.label("scores")
    names, macro, rows = report.config.compare, report.macro, []
    for arm, score in ((names.baseline, macro.baseline), (names.treatment, macro.treatment)):
        tasks = report.inputs.behaviour[arm]
        # An arm without a finished evaluation has no row.
        if tasks:
            row = behaviour_row(arm, score, tasks)
            if shows_out_of_time(report):
                row.append(str(out_of_time(tasks)))
            rows.append([*row, source])
    return Table(head, rows)


def behaviour_row(arm: str, score: Interval | None, tasks: dict[Task, Behaviour]) -> list[str]:
    """One arm, without its sources."""
    tokens, cut, no_answer = mean_behaviour(tasks)
    return [
        arm,
        "missing" if score is None else percent(score.value),
        str(sum(part.samples for part in tasks.values())),
        f"{tokens:.1f}",
        f"{percent(cut)} %",
        f"{percent(no_answer)} %",
    ]


def out_of_time(tasks: dict[Task, Behaviour]) -> int:
    """How many samples are programs that ran out of time; they count as wrong."""
    return sum(part.out_of_time for part in tasks.values())


def shows_out_of_time(report: Report) -> bool:
    """Whether there is one in either arm: most evaluations run no program."""
    return any(out_of_time(tasks) for tasks in report.inputs.behaviour.values())


def mean_behaviour(tasks: dict[Task, Behaviour]) -> tuple[float, float, float]:
    """Tokens per answer, share cut at the limit, share without an answer: means over a domain's
    tasks, then over domains, as the score beside them is."""
    tokens, cut, no_answer = {}, {}, {}
    for task, part in tasks.items():
        tokens[task] = part.tokens / part.samples
        cut[task] = part.cut / part.samples
        no_answer[task] = part.no_answer / part.samples
    return macro_mean(tokens), macro_mean(cut), macro_mean(no_answer)


def macro_mean(values: dict[Task, float]) -> float:
    """Mean over domains of the mean over a domain's tasks."""
    domains: dict[str, list[float]] = {}
    for (domain, _), value in values.items():
        domains.setdefault(domain, []).append(value)
    return fmean(fmean(tasks) for tasks in domains.values())


def expected_table(lines: Sequence[Expected]) -> Table:
    """What the best specialist of each domain reaches, and what the treatment does."""
    rows = [
        [
            line.domain,
            line.specialist,
            str(line.n),
            percent(line.expected.value),
            percent(line.actual.value),
            points(line.gain),
            probability(line.adjusted),
        ]
        for line in lines
    ]
    return Table(EXPECTED, rows)


def flips_table(report: Report) -> Table:
    """Samples that changed from wrong to right, from right to wrong, or not at all, per domain."""
    flips, names = report.flips, report.config.compare
    head = [
        "samples right in",
        f"{names.treatment} only",
        f"{names.baseline} only",
        "both",
        "neither",
        "source",
    ]
    source = report.inputs.sources.label("scores")
    rows = []
    for domain, count in sorted(flips.counts.items()):
        rows.append([domain, *(str(count[direction]) for direction in DIRECTIONS), source])
    totals = [str(flips.total(direction)) for direction in DIRECTIONS]
    kinds = [""] * len(rows) + ["sum"]
    return Table(head, [*rows, ["all", *totals, source]], kinds)


def costs_table(report: Report) -> Table:
    """One row per job, then the sum."""
    costs = report.inputs.costs
    rows = [cost_row(cost) for cost in costs]
    kinds = [""] * len(rows) + ["sum"]
    sources = report.inputs.sources.label("costs")
    known = [cost.cost for cost in costs]
    in_sum = ["sum", "", "", "", "", *hours_of(known), *starts_of(known), sources]
    return Table(COSTS, [*rows, in_sum], kinds)


def cost_row(line: JobCost) -> list[str]:
    """One job: what it asked for, where it ran, what it took."""
    cost = line.cost
    if cost is None or line.source is None:
        return [line.job, *["unknown"] * (len(COSTS) - 2), ""]
    asked = (cost.cpus, cost.gpus, cost.memory_gb)
    return [
        line.job,
        ", ".join(cost.hosts) or "unknown",
        *("unknown" if value is None else str(value) for value in asked),
        *hours_of([cost]),
        *starts_of([cost]),
        labels([line.source]),
    ]


def hours_of(costs: Sequence[Cost | None]) -> list[str]:
    """Hours, CPU-hours and GPU-hours in sum."""
    known = [cost for cost in costs if cost is not None]
    unknown_jobs = len(known) < len(costs)
    unknown_starts = any(cost.unknown for cost in known)
    # Who asked for no GPU has used none, however long a start without an exit record went on.
    unknown_starts_with_gpus = any(cost.unknown and cost.gpus != 0 for cost in known)
    return [
        total(sum(cost.seconds for cost in known) / 3600, 3, unknown_jobs or unknown_starts),
        total(sum(cost.cpu_hours for cost in known), 3, unknown_jobs or unknown_starts),
        total(sum(cost.gpu_hours for cost in known), 3, unknown_jobs or unknown_starts_with_gpus),
    ]


def starts_of(costs: Sequence[Cost | None]) -> list[str]:
    """Attempts and requeues in sum."""
    known = [cost for cost in costs if cost is not None]
    unknown_jobs = len(known) < len(costs)
    return [
        total(sum(cost.attempts for cost in known), 0, unknown_jobs),
        total(sum(cost.requeues for cost in known), 0, unknown_jobs),
    ]


def total(value: float, digits: int, lower_bound: bool) -> str:
    """A sum. A lower bound is marked as one, and one that adds up to nothing is unknown, not 0."""
    if not lower_bound:
        return f"{value:.{digits}f}"
    return f"\u2265 {value:.{digits}f}" if value > 0 else "unknown"
