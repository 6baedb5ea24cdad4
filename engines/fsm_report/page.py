"""The report as one HTML page.

In: the report, its tables and figures. Out: ``report.html``, one file that names nothing outside
itself. Called by ``__main__``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape

from engines.fsm_report.answers import NOT_DECIDED, Answer
from engines.fsm_report.load import axes_of
from engines.fsm_report.report import Report
from engines.fsm_report.tables import Tables
from engines.fsm_report.text import READING, headline, left_out
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.page import document, folded, items, picture
from engines.shared.reporting.sources import ran

BROAD = "body{max-width:74rem}"
"""The table of scores has more columns than a page of text has room for."""
COLOURS = {"yes": "var(--ok)", "no": "var(--bad)", NOT_DECIDED: "var(--none)"}


def page(report: Report, tables: Tables, figures: Sequence[Figure]) -> str:
    """``report.html``."""
    answers = "".join(answer_item(answer) for answer in report.answers)
    parts = [f'<p class="lead">{escape(headline(report))}</p><ul>{answers}</ul>']
    parts += [picture(figure, figure.caption) for figure in figures]
    for heading, table in tables.items():
        parts.append(f"<h2>{heading}</h2>{table.html()}")
    parts.append(folded("How to read this", f"<p>{escape(READING)}</p>"))
    parts += [folded(name, f"<ul>{items(texts)}</ul>") for name, texts in left_out(report).items()]
    asked = report.config.model_dump_json(indent=1, exclude={"inputs"})
    parts.append(folded("Questions and thresholds", f"<pre>{escape(asked)}</pre>"))
    parts.append(sources(report))
    return document("Finite-state machines in context", parts, BROAD, about(report))


def about(report: Report) -> list[str]:
    """What was run: experiment, date, models, kinds of machines, trainings."""
    groups = report.inputs.of("fsm")
    kinds = dict.fromkeys(group.kind_of_machines for group in groups)
    models = dict.fromkeys(filter(None, (axes_of(group.name).get("model") for group in groups)))
    trainings = sum(len(group.finished) for group in groups)
    return [
        *ran(report.inputs.sources.files),
        ", ".join(models),
        f"machines {', '.join(kinds)}" if kinds else "",
        f"{trainings} trainings",
    ]


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
    return folded("Sources", f"<p>Below {escape(root)}</p><ol>{listed}</ol>") if files else ""
