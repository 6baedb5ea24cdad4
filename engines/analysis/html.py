"""The report as one self-contained HTML file."""

from __future__ import annotations

import base64
import platform
from html import escape
from pathlib import Path

from engines.analysis.comparison import Report
from engines.analysis.text import HEAD, cells, headline, notes

STYLE = """:root{color-scheme:light dark;--line:#8884}
body{font:16px/1.55 system-ui,sans-serif;
max-width:52rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}
h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}
tr.macro td{font-weight:600}
figure{margin:1.5rem 0}
img{max-width:100%;background:#fff;border-radius:6px}
figcaption,li{font-size:.9rem}
.lead{font-size:1.15rem}
pre{white-space:pre-wrap;font-size:.8rem}
"""


def rows(head: list[str], body: list[list[str]]) -> str:
    """A table."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = [f"<tr{' class=macro' if row[0] == 'macro mean' else ''}>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>"
             for row in body]
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def picture(caption: str, path: Path) -> str:
    """A figure, its bytes inline."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}"><figcaption>{escape(caption)}</figcaption></figure>'


def page(report: Report, figures: list[tuple[str, Path]]) -> str:
    """``report.html``."""
    import matplotlib as mpl
    import numpy as np

    names = report.config.compare
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, matplotlib {mpl.__version__}"
    missing = "".join(f"<li>{escape(item)}</li>" for item in report.missing) or "<li>nothing</li>"
    sources = "".join(f"<li>{escape(item)}</li>" for item in report.sources)
    return "\n".join([
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(names.treatment)} against {escape(names.baseline)}</title>',
        f"<style>{STYLE}</style><h1>{escape(names.treatment)} against {escape(names.baseline)}</h1>",
        f'<p class="lead">{escape(headline(report))}</p>', rows(HEAD, [cells(line) for line in report.lines]),
        *(f"<p>{escape(note)}</p>" for note in notes(report)), "<h2>Figures</h2>", *(picture(*figure) for figure in figures),
        "<h2>What ran where</h2>", rows(["job", "host", "seconds", "attempts"], report.costs),
        f"<h2>Missing</h2><ul>{missing}</ul><h2>Provenance</h2><p>{escape(versions)}</p><ul>{sources}</ul>",
        f"<pre>{escape(report.config.model_dump_json(indent=1))}</pre></html>"]) + "\n"
