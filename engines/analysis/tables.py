"""The report's tables as rows of text, the same for plain text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from engines.analysis.comparison import Line
from engines.analysis.load import labels
from engines.analysis.report import Report
from engines.contract.cost import COST_FILE, Cost
from engines.shared.reporting.statistics import Interval

HEAD = ["domain", "n", "baseline", "treatment", "difference [95 %]", "p adjusted", "detectable"]
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


def apart(interval: Interval) -> str:
    """A difference in percentage points."""
    return f"{100 * interval.value:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def probability(value: float | None) -> str:
    """A p-value, never rounded to zero."""
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def equals(value: float) -> str:
    """A p-value in a sentence."""
    return probability(value) if value < 0.001 else f"= {probability(value)}"


def problems(line: Line) -> str:
    """How many problems are compared: ``60``, or ``58 of 60``."""
    return str(line.n) if line.n == line.total else f"{line.n} of {line.total}"


def cells(line: Line) -> list[str]:
    """One table row; a task is set in below its domain."""
    name, n = f"- {line.name}" if line.task else line.name, problems(line)
    if line.missing or not (line.baseline and line.treatment and line.difference):
        return [name, n, "missing", "missing", line.missing, "", ""]
    detectable = "unknown" if line.detectable is None else f"{100 * line.detectable:.1f}"
    return [
        name,
        n,
        f"{100 * line.baseline.value:.1f}",
        f"{100 * line.treatment.value:.1f}",
        apart(line.difference),
        probability(line.adjusted),
        detectable,
    ]


def scores_from(report: Report) -> str:
    """Numbers of the files that the scores come from."""
    return labels(report.found.uses.get("scores", []))


def comparison_rows(report: Report) -> list[list[str]]:
    """The main table, each row with its sources; its column names are HEAD and "source"."""
    return [[*cells(line), scores_from(report)] for line in report.lines]


def behaviour_head(report: Report) -> list[str]:
    """Column names of ``behaviour``."""
    return [
        "arm",
        report.config.metric,
        "samples",
        "tokens per answer",
        "cut at the limit",
        "no answer",
        "source",
    ]


def behaviour(report: Report) -> list[list[str]]:
    """How long each arm answers, and how often it is cut or says nothing: a score can hide both.
    Means over tasks, then domains."""
    rows, macro = [], report.lines[-1]
    for arm, score in zip(report.found.behaviour, (macro.baseline, macro.treatment), strict=True):
        sums = report.found.behaviour[arm]
        if not sums:
            continue
        tokens, cut, silent = (
            macro_mean({task: getattr(part, name) / part.samples for task, part in sums.items()})
            for name in ("tokens", "cut", "no_answer")
        )
        rows.append(
            [
                arm,
                "missing" if score is None else f"{100 * score.value:.1f}",
                str(sum(part.samples for part in sums.values())),
                f"{tokens:.1f}",
                f"{100 * cut:.1f} %",
                f"{100 * silent:.1f} %",
                scores_from(report),
            ]
        )
    return rows


def macro_mean(values: dict[tuple[str, str], float]) -> float:
    """Mean over domains of the mean over a domain's tasks; keys are (domain, task)."""
    return fmean(
        fmean(value for (domain, _), value in values.items() if domain == name)
        for name in {domain for domain, _ in values}
    )


def cost_rows(report: Report) -> list[list[str]]:
    """One row per job, then the sum."""
    found = report.found
    paths = {source.job: Path(source.folder) / COST_FILE for source in report.config.inputs}
    rows = []
    for job, cost in found.costs:
        if cost is None:
            rows.append([job, *["unknown"] * (len(COSTS) - 2), ""])
            continue
        rows.append(
            [
                job,
                ", ".join(cost.hosts) or "unknown",
                said(cost.cpus),
                said(cost.gpus),
                said(cost.memory_gb),
                *hours_of([cost]),
                str(cost.attempts),
                str(cost.requeues),
                labels([found.source("costs", paths[job])]),
            ]
        )
    costs = [cost for _, cost in found.costs]
    sources = labels(found.uses.get("costs", []))
    return [*rows, ["sum", "", "", "", "", *hours_of(costs), *starts_of(costs), sources]]


def flip_rows(report: Report) -> list[list[str]]:
    """Samples that changed from wrong to right, from right to wrong, or not at all, per domain."""
    flips, names = report.flips, ("gained", "lost", "both right", "neither")
    source = scores_from(report)
    rows = [
        [domain, *[str(count[name]) for name in names], source]
        for domain, count in sorted(flips.counts.items())
    ]
    return [*rows, ["all", *[str(flips.total(name)) for name in names], source]] if rows else []


def flip_head(report: Report) -> list[str]:
    """Column names of ``flip_rows``."""
    names = report.config.compare
    return [
        "samples right in",
        f"{names.treatment} only",
        f"{names.baseline} only",
        "both",
        "neither",
        "source",
    ]


def expected_rows(report: Report) -> list[list[str]]:
    """What the best specialist of each domain reaches, and what the treatment does."""
    return [
        [
            line.domain,
            line.specialist,
            str(line.n),
            f"{100 * line.expected.value:.1f}",
            f"{100 * line.actual.value:.1f}",
            apart(line.gain),
            probability(line.adjusted),
        ]
        for line in report.expected
    ]


def said(value: int | None) -> str:
    """A whole number, or that it is unknown."""
    return "unknown" if value is None else str(value)


def total(value: float, digits: int, lower_bound: bool) -> str:
    """A sum. A lower bound is marked as one, and one that adds up to nothing is unknown, not 0."""
    if not lower_bound:
        return f"{value:.{digits}f}"
    return f"\u2265 {value:.{digits}f}" if value > 0 else "unknown"


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
