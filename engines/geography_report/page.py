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
from engines.shared.reporting.page import document, items, picture

BROAD = "body{max-width:80rem}p,ul,figcaption{max-width:62rem}"
"""The tables of scores have more columns than a page of text has room for."""


def page(report: Report, tables: Tables, raw: Tables, figures: Sequence[Figure]) -> str:
    """``report.html``."""
    parts = [
        f'<p class="lead">{escape(headline(report))}</p><p>{escape(counted(report))}</p>',
        f"<ul>{items(findings(report))}</ul>",
    ]
    parts += [f"<h2>{escape(heading)}</h2>{table.html()}" for heading, table in tables.items()]
    if figures:
        parts.append("<h2>Figures</h2>")
        parts += [picture(figure, figure.caption) for figure in figures]
    parts.append("<h2>Every score beside its constant</h2>")
    for heading, table in raw.items():
        parts.append(f"<details><summary>{escape(heading)}</summary>{table.html()}</details>")
    parts.append("<h2>How to read this</h2>")
    parts += [f"<p>{escape(text)}</p>" for text in READING]
    for heading, texts in left_out(report).items():
        parts.append(f"<h2>{heading}</h2><ul>{items(texts)}</ul>")
    parts.append(f"<p>{escape(attribution(report))}</p>")
    parts.append(sources(report))
    return document("World maps in small language models", parts, BROAD)


def sources(report: Report) -> str:
    """The files that were read, below the folder that they share."""
    files = report.inputs.sources.files
    root = os.path.commonpath([path.parent for path in files]) if files else ""
    listed = items(path.relative_to(root) for path in files)
    return (
        f"<details><summary>Sources</summary><p>Below {escape(root)}</p><ol>{listed}</ol></details>"
    )
