"""The evolution as one HTML page.

In: the report, its tables and figures. Out: ``report.html``, one file that names nothing outside
itself. Called by ``__main__``.
"""

from __future__ import annotations

from html import escape

from engines.analysis.evolution.report import Report
from engines.analysis.evolution.stopping import RULES
from engines.analysis.evolution.tables import Tables
from engines.analysis.evolution.text import READING, detectable_line, sentence
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.page import document, folded, items, picture
from engines.shared.reporting.sources import ran


def page(report: Report, tables: Tables, figures: list[Figure]) -> str:
    """``report.html``."""
    sources = report.inputs.sources
    domains, answers = (
        picture(figure, f"{figure.caption} {sources.label(figure.source)}") for figure in figures
    )
    parts = [
        f'<p class="lead">{escape(sentence(report, training))}</p>' for training in report.series
    ]
    parts.append(domains)
    parts += ["<h2>Where to stop</h2>", tables.stopping.html()]
    if tables.seeds is not None:
        parts += ["<h2>Means over seeds</h2>", tables.seeds.html()]
    parts += ["<h2>How the models answer</h2>", answers]
    parts.append(folded("How to read this", f"<p>{escape(READING)}</p>"))
    parts.append(folded("Alarms, and what raises one", *alarms(report, tables)))
    parts.append(folded("Each checkpoint", tables.checkpoints.html()))
    parts.append(folded("Domains", tables.domains.html()))
    missing = items(report.inputs.missing) or "<li>nothing</li>"
    parts.append(folded("Missing or unequal", f"<ul>{missing}</ul>"))
    parts.append(folded("Sources", f"<ol>{items(sources.files)}</ol>"))
    return document("Checkpoints over training", parts, about=about(report))


def about(report: Report) -> list[str]:
    """What was scored: experiment, date, tasks, steps, trainings."""
    steps = sorted({step for training in report.series for step in training.steps})
    count, tasks = len(report.series), len(report.inputs.tasks)
    return [
        *ran(report.inputs.sources.files),
        f"{count} training{'' if count == 1 else 's'}",
        f"{tasks} task{'' if tasks == 1 else 's'}",
        f"steps {steps[0]:,} to {steps[-1]:,}",
    ]


def alarms(report: Report, tables: Tables) -> list[str]:
    """The rules, and what each training was held against."""
    parts = [f"<ul>{rules()}</ul>"]
    for training in report.series:
        checks = tables.checks_of.get(training.name)
        if checks is not None:
            heading = f"<h3>{escape(training.label)}</h3>"
            parts.append(heading + checks.without("training").html())
    parts.append(f"<p>{escape(''.join(detectable_line(report)))}</p>")
    return parts


def rules() -> str:
    """What each rule says, as items of a list."""
    return "".join(
        f"<li><b>{escape(name)}</b>: {escape(rule)}</li>" for name, rule in RULES.items()
    )
