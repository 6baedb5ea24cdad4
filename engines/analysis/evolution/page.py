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
from engines.shared.reporting.page import document, items, picture


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
    if tables.seeds is not None:
        parts += ["<h2>Means over seeds</h2>", tables.seeds.html()]
    parts += ["<h2>Where to stop</h2>", tables.stopping.html(), f"<p>{escape(READING)}</p>"]
    parts += ["<h2>Alarms</h2>", f"<ul>{rules()}</ul>"]
    for training in report.series:
        checks = tables.checks_of.get(training.name)
        heading = f"<h3>{escape(training.label)}</h3>"
        parts.append("" if checks is None else heading + checks.without("training").html())
    parts.append(f"<p>{escape(''.join(detectable_line(report)))}</p>")
    parts += ["<h2>How the models answer</h2>", answers, tables.checkpoints.html()]
    parts += ["<h2>Domains</h2>", tables.domains.html()]
    missing = items(report.inputs.missing) or "<li>nothing</li>"
    parts.append(f"<h2>Missing or uneven</h2><ul>{missing}</ul>")
    parts.append(f"<h2>Sources</h2><ol>{items(sources.files)}</ol>")
    return document("Checkpoints over training", parts)


def rules() -> str:
    """What each rule says, as items of a list."""
    return "".join(
        f"<li><b>{escape(name)}</b>: {escape(rule)}</li>" for name, rule in RULES.items()
    )
