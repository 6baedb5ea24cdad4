"""The report as one HTML page.

In: the report, its tables and figures. Out: ``report.html``, one file that names nothing outside
itself. Called by ``__main__``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape

from engines.polychromic_report.replies import Shown, Told, shown_prompts
from engines.polychromic_report.report import Report
from engines.polychromic_report.tables import Tables
from engines.polychromic_report.text import READING, counted, findings, headline, left_out
from engines.shared.reporting.figures import Figure
from engines.shared.reporting.page import document, folded, items, picture
from engines.shared.reporting.sources import ran

STYLE = (
    "body{max-width:74rem}"
    ".arms{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));gap:1rem}"
    ".arms h4{margin:.2rem 0;font-size:.85rem}.arms ol{margin:0;padding-left:1.2rem}"
    ".invalid{opacity:.55;text-decoration:line-through}"
)


def page(report: Report, tables: Tables, figures: Sequence[Figure]) -> str:
    """``report.html``: the conclusion, quality against diversity, then all the rest."""
    parts = [f'<p class="lead">{escape(headline(report))}</p><p>{escape(counted(report))}</p>']
    # The first picture shows at once what the conclusion is about.
    parts += [picture(figure, figure.caption) for figure in figures[:1]]
    if found := findings(report):
        parts.append(f"<ul>{items(found)}</ul>")
    parts += [f"<h2>{escape(heading)}</h2>{table.html()}" for heading, table in tables.items()]
    parts += [picture(figure, figure.caption) for figure in figures[1:]]
    parts += side_by_side(shown_prompts(report))
    parts.append(folded("How to read this", *(f"<p>{escape(text)}</p>" for text in READING)))
    parts += [folded(name, f"<ul>{items(texts)}</ul>") for name, texts in left_out(report).items()]
    parts.append(sources(report))
    return document("Diversity-aware fine-tuning", parts, STYLE, about(report))


def about(report: Report) -> list[str]:
    """What was run: experiment, date, model, steps, arms and seeds."""
    trainings = report.inputs.trainings
    steps = {one.curve[-1]["step"] for one in trainings if one.curve}
    seeds = {one.seed for one in trainings}
    return [
        *ran(report.inputs.sources.files),
        f"{len(report.arms)} arms",
        f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}",
        f"{max(steps):,} steps" if len(steps) == 1 else "",
    ]


def side_by_side(shown: Sequence[Shown]) -> list[str]:
    """The replies of every arm to a few prompts."""
    if not shown:
        return []
    parts = [
        f"<h2>{len(shown)} prompts side by side</h2>",
        '<p class="read">One model of each arm, of the same seed. Struck through: what the checker '
        "of the data refuses.</p>",
    ]
    for one in shown:
        columns = "".join(column(label, replies) for label, replies in one.by_arm.items())
        arms = f'<div class="arms">{columns}</div>'
        parts.append(f"<article><p>{escape(one.prompt)}</p>{arms}</article>")
    return parts


def column(label: str, replies: Sequence[Told]) -> str:
    """The replies of one arm."""
    listed = ""
    for reply in replies:
        kind = "" if reply.valid else " class=invalid"
        listed += f"<li{kind}>{escape(reply.text) or '(empty)'}</li>"
    return f"<div><h4>{escape(label)}</h4><ol>{listed}</ol></div>"


def sources(report: Report) -> str:
    """The files that were read, below the folder that they share."""
    files = report.inputs.sources.files
    root = os.path.commonpath([path.parent for path in files]) if files else ""
    listed = items(path.relative_to(root) for path in files)
    return folded("Sources", f"<p>Below {escape(root)}</p><ol>{listed}</ol>") if files else ""
