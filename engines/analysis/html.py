"""The report as one self-contained HTML file that follows the reader's light or dark scheme."""

from __future__ import annotations

import platform
from html import escape

from engines.analysis.comparison import MACRO
from engines.analysis.figures import Figure
from engines.analysis.reading import labels
from engines.analysis.report import Report
from engines.analysis.tables import COSTS, HEAD, behaviour, behaviour_head, cells, cost_rows
from engines.analysis.text import headline, notes, spent

STYLE = """:root{color-scheme:light dark;--line:#8884}
body{font:16px/1.55 system-ui,sans-serif;max-width:58rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}
h2{font-size:1.15rem;margin-top:2.2rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}
td,th{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left}
tr.task td{opacity:.75}
tr.task td:first-child{padding-left:1.6rem}
tr.macro td,tr.sum td{font-weight:600}
figure{margin:1.5rem 0}
figure svg{max-width:100%;height:auto}
figcaption,li{font-size:.9rem}
li{overflow-wrap:anywhere}
.lead{font-size:1.15rem}
pre{white-space:pre-wrap;font-size:.8rem}
"""


def rows(head: list[str], body: list[list[str]], kinds: list[str] | None = None) -> str:
    """A table; ``kinds`` are classes of its rows."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    classes = kinds or [""] * len(body)
    lines = [f"<tr{f' class={kind}' if kind else ''}>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>"
             for row, kind in zip(body, classes, strict=True)]
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def comparison(report: Report) -> str:
    """The main table, each row with the numbers of its sources."""
    sources = labels(report.found.uses.get("scores", []))
    body = [[line.name, *cells(line)[1:], sources] for line in report.lines]
    kinds = ["task" if line.task else "macro" if line.name == MACRO else "" for line in report.lines]
    return rows([*HEAD, "source"], body, kinds)


def picture(report: Report, figure: Figure) -> str:
    """A figure, drawn inline, with its sources."""
    caption = f"{figure.caption} {labels(report.found.uses.get(figure.source, []))}"
    return f'<figure role="img" aria-label="{escape(figure.caption)}">{figure.svg}<figcaption>{escape(caption)}</figcaption></figure>'


def page(report: Report, figures: list[Figure]) -> str:
    """``report.html``."""
    import matplotlib as mpl
    import numpy as np

    names = report.config.compare
    title = f"{names.treatment} against {names.baseline}"
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, matplotlib {mpl.__version__}"
    missing = "".join(f"<li>{escape(item)}</li>" for item in report.missing) or "<li>nothing</li>"
    sources = "".join(f"<li>{escape(str(path))}</li>" for path in report.found.files)
    costs = rows(COSTS, cost_rows(report), [""] * len(report.found.costs) + ["sum"])
    return "\n".join([
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(headline(report))}</p>', comparison(report), *(f"<p>{escape(note)}</p>" for note in notes(report)),
        "<h2>How the arms answer</h2>", rows(behaviour_head(report), behaviour(report)),
        "<h2>Figures</h2>", *(picture(report, figure) for figure in figures), "<h2>What ran where</h2>",
        f"<p>{escape(spent(report))}</p>", costs,
        f"<h2>Missing or uneven</h2><ul>{missing}</ul><h2>Sources</h2><ol>{sources}</ol><p>{escape(versions)}</p>",
        f"<pre>{escape(report.config.model_dump_json(indent=1))}</pre></html>"]) + "\n"
