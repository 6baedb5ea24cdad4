"""The report as one HTML page.

In: the report, its tables and figures. Out: ``report.html``, one file that names nothing outside
itself. Called by ``__main__``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape

from engines.fsm_report.answers import NOT_DECIDED, Answer
from engines.fsm_report.report import Report
from engines.fsm_report.tables import Tables
from engines.fsm_report.text import READING, headline, left_out
from engines.shared.reporting.figures import GREEN, GREY, ORANGE, Figure
from engines.shared.reporting.page import document, items, picture

BROAD = "body{max-width:80rem}p,ul,figcaption{max-width:62rem}"
"""The table of scores has more columns than a page of text has room for."""
COLOURS = {"yes": GREEN, "no": ORANGE, NOT_DECIDED: GREY}


def page(report: Report, tables: Tables, figures: Sequence[Figure]) -> str:
    """``report.html``."""
    answers = "".join(answer_item(answer) for answer in report.answers)
    parts = [f'<p class="lead">{escape(headline(report))}</p><ul>{answers}</ul>']
    for heading, table in tables.items():
        parts.append(f"<h2>{heading}</h2>{table.html()}")
    parts += [f"<p>{escape(READING)}</p>", "<h2>Figures</h2>"]
    parts.append("".join(picture(figure, figure.caption) for figure in figures))
    lists = ""
    for heading, texts in left_out(report).items():
        lists += f"<h2>{heading}</h2><ul>{items(texts)}</ul>"
    parts += [lists, sources(report)]
    asked = report.config.model_dump_json(indent=1, exclude={"inputs"})
    parts.append(
        f"<details><summary>Questions and thresholds</summary><pre>{escape(asked)}</pre></details>"
    )
    return document("Finite-state machines in context", parts, BROAD)


def answer_item(answer: Answer) -> str:
    """One question with its answer, as an item of a list."""
    return (
        f'<li>{escape(answer.question.ask)} <b style="color:{COLOURS[answer.verdict]}">'
        f"{escape(answer.verdict)}</b>: {escape(answer.text)}.</li>"
    )


def sources(report: Report) -> str:
    """The files that were read, below the folder that they share."""
    files = report.inputs.sources.files
    root = os.path.commonpath([path.parent for path in files]) if files else ""
    listed = items(path.relative_to(root) for path in files)
    return f"<h2>Sources</h2><p>Below {escape(root)}</p><ol>{listed}</ol>"
