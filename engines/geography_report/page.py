"""The report as one HTML page.

In: the report, its tables and figures. Out: ``report.html``, one file that names nothing outside
itself. Called by ``__main__``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape

from engines.geography_report.report import Report
from engines.geography_report.tables import Tables
from engines.geography_report.text import (
    READING,
    attribution,
    counted,
    findings,
    headline,
    left_out,
)
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.page import document, folded, items, picture
from engines.shared.reporting.sources import ran

BROAD = "body{max-width:74rem}"
"""The tables of scores have more columns than a page of text has room for."""


def page(report: Report, tables: Tables, raw: Tables, figures: Sequence[Figure]) -> str:
    """``report.html``."""
    parts = [
        f'<p class="lead">{escape(headline(report))}</p><p>{escape(counted(report))}</p>',
        f"<ul>{items(findings(report))}</ul>",
    ]
    parts += [picture(figure, figure.caption) for figure in figures]
    parts += [f"<h2>{escape(heading)}</h2>{table.html()}" for heading, table in tables.items()]
    scores = [f"<h3>{escape(heading)}</h3>{table.html()}" for heading, table in raw.items()]
    parts.append(folded("Every score beside its constant", *scores))
    parts.append(folded("How to read this", *(f"<p>{escape(text)}</p>" for text in READING)))
    parts += [folded(name, f"<ul>{items(texts)}</ul>") for name, texts in left_out(report).items()]
    parts.append(sources(report))
    parts.append(f'<p class="read">{escape(attribution(report))}</p>')
    return document("World maps in small language models", parts, BROAD, about(report))


def about(report: Report) -> list[str]:
    """What was run: experiment, date, models, tasks."""
    tasks = dict.fromkeys(one.task for one in report.bases)
    return [
        *ran(report.inputs.sources.files),
        f"{len(report.inputs.models)} models",
        f"tasks {', '.join(tasks)}" if tasks else "",
    ]


def sources(report: Report) -> str:
    """The files that were read, below the folder that they share."""
    files = report.inputs.sources.files
    root = os.path.commonpath([path.parent for path in files]) if files else ""
    listed = items(path.relative_to(root) for path in files)
    return folded("Sources", f"<p>Below {escape(root)}</p><ol>{listed}</ol>") if files else ""
