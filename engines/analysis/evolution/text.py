"""The evolution in words: a sentence per training, and the whole as plain text and as Markdown.

In: the report and its tables. Out: text, the plain one of at most 100 columns. Called by
``__main__``; the page and ``results.json`` say the same sentences.
"""

from __future__ import annotations

from collections.abc import Sequence

from engines.analysis.evolution.load import Series
from engines.analysis.evolution.report import Report
from engines.analysis.evolution.stopping import RULES, Stopping
from engines.analysis.evolution.tables import Tables, detectable, score
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.text import bullets, markdown_bullets, paragraph, points

READING = (
    "How to read this: scores are per cent, differences percentage points. Half of each task's "
    "problems, drawn by hash, choose a checkpoint; the other half report it: a score that chose is "
    "too high. 'optimism' is by how much, for the best checkpoint. 'gained' and 'lost' are samples "
    "that turned right or wrong since the checkpoint above. 'cut' ended at the token limit. "
    "Intervals cover the choice of problems, not the variance of training."
)


def sentence(report: Report, series: Series) -> str:
    """Where one training should have stopped, and what went wrong."""
    alarms = alarms_of(report, series)
    stop = report.stops[series.name]
    if isinstance(stop, str):
        return f"{series.label}: no stopping point: {stop}; {alarms}."
    chosen = series.points[stop.chosen]
    where = f"stop at {chosen.name} (step {chosen.scored.step})"
    # Step 0 is the model that the training began with: nothing later is clearly better.
    if chosen.scored.step == 0:
        where = f"no checkpoint is shown to be better than {series.points[0].name}"
    return (
        f"{series.label}: {where}: {score(stop.reported)} on the problems that did not choose "
        f"it; {last_against(stop)}{plateau(stop, series)}; {alarms}."
    )


def last_against(stop: Stopping) -> str:
    """What the problems that did not choose say of the last checkpoint, where they are sure; ""
    where they are not."""
    if stop.to_last is None or stop.to_last.low <= 0 <= stop.to_last.high:
        return ""
    if stop.to_last.low > 0:
        return (
            f"but on the same problems the last checkpoint is better by {points(stop.to_last)} "
            "points, which speaks against stopping there; "
        )
    return f"there the last checkpoint is worse by {points(stop.to_last)} points; "


def alarms_of(report: Report, series: Series) -> str:
    """The alarms of one training."""
    raised = [check for check in report.alarms if check.series == series.name]
    if not raised:
        return "no alarm"
    return f"alarms: {'; '.join(f'{check.domain} ({check.finding})' for check in raised)}"


def plateau(stop: Stopping, series: Series) -> str:
    """The checkpoints that are as good as the best one."""
    first, last = stop.plateau
    if last > first:
        ending = ", the last" if last == series.last else ""
        return f"plateau from step {series.steps[first]} to {series.steps[last]}{ending}"
    if stop.best == series.last:
        return "no plateau: the last is the best"
    return "no plateau"


def detectable_line(report: Report) -> list[str]:
    """The difference between first and last checkpoint that so many problems could find; nothing
    if no training has two checkpoints."""
    trainings = []
    for training in report.series:
        domains = [
            f"{check.domain} {detectable(check)}"
            for check in report.checks
            if check.series == training.name and check.rule == "forgetting"
        ]
        if domains:
            trainings.append(f"{training.label}: {', '.join(domains)}")
    if not trainings:
        return []
    return [
        "Detectable with 80 % power, first against last checkpoint, points: "
        f"{'; '.join(trainings)}."
    ]


def plain(report: Report, tables: Tables) -> str:
    """``report.txt``: what `orch report` prints."""
    parts = [paragraph(sentence(report, training), "  ") for training in report.series]
    if tables.seeds is not None:
        parts.append(tables.seeds.plain())
    parts += [tables.stopping.without("best").plain(), tables.checkpoints.plain()]
    if tables.alarms is not None:
        parts.append(tables.alarms.without("from", "to", "n", "verdict").plain())
    lines = [f"{name}: {rule}" for name, rule in RULES.items()]
    lines += [*detectable_line(report), READING]
    parts += [paragraph(line) for line in lines]
    if report.inputs.missing:
        parts.append(bullets("Missing or unequal:", report.inputs.missing))
    return "\n\n".join(parts) + "\n"


def markdown(report: Report, tables: Tables, figures: Sequence[Figure]) -> str:
    """``report.md``; the figures are linked."""
    sources = report.inputs.sources
    parts = [
        *(f"**{sentence(report, training)}**" for training in report.series),
        tables.stopping.markdown(),
        f"Scores from {sources.label('scores')}.",
        tables.checkpoints.markdown(),
        tables.domains.markdown(),
        markdown_bullets("Rules:", [f"{name}: {rule}" for name, rule in RULES.items()]),
    ]
    if tables.seeds is not None:
        parts.append(tables.seeds.markdown())
    if tables.checks is not None:
        parts.append(tables.checks.markdown())
    for figure in figures:
        caption = f"{figure.caption} {sources.label(figure.source)}"
        parts.append(f"![{figure.caption}](figures/{figure.name}.png)\n\n{caption}")
    parts += [*detectable_line(report), READING]
    if report.inputs.missing:
        parts.append(markdown_bullets("Missing or unequal:", report.inputs.missing))
    files = [f"[{number}] {path}" for number, path in enumerate(sources.files, start=1)]
    parts.append(markdown_bullets("Sources:", files))
    return "\n\n".join(parts) + "\n"
