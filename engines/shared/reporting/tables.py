"""Tables of reports as plain text, Markdown and HTML, and the style of their pages. Shared by the
engines that write reports."""

from __future__ import annotations

import re
from html import escape

STYLE = """:root{color-scheme:light dark;--line:#8884;--baseline:#0072b2;--treatment:#d55e00}
@media (prefers-color-scheme:dark){:root{--baseline:#56b4e9;--treatment:#f2a154}}
body{font:16px/1.55 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}
h2{font-size:1.15rem;margin-top:2.2rem}
h3{font-size:1rem;margin:1.4rem 0 .3rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.9rem}
td,th{padding:.3rem .45rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
td.words{white-space:normal;min-width:9rem}
th{white-space:normal;vertical-align:bottom}
td:first-child,th:first-child{text-align:left}
.many td,.many th{padding:.25rem .3rem;font-size:.8rem}
tr.task td{opacity:.75}
tr.task td:first-child{padding-left:1.6rem}
tr.macro td,tr.sum td{font-weight:600}
figure{margin:1.5rem 0}
figure svg{max-width:100%;height:auto}
figcaption,li{font-size:.9rem}
li{overflow-wrap:anywhere}
.lead{font-size:1.15rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.8rem;margin:.4rem 0}
article{border-top:1px solid var(--line);padding:.7rem 0}
article pre{background:#8881;padding:.4rem .6rem;border-radius:4px}
.two{display:grid;grid-template-columns:1fr 1fr;gap:1rem;font-size:.9rem}
.two>div{min-width:0}
.read{font-size:.85rem;opacity:.8;margin:.2rem 0}
summary{cursor:pointer;margin:.8rem 0;font-weight:600}
"""
MANY, LONG, TOO_LONG = 9, 100, 115
"""Columns and characters that a line of a table holds on a page of normal width; characters that it
holds when set smaller."""
SENTENCE = 32
"""A cell of more characters is broken into lines."""
INTERVAL = re.compile(r" (?=\[[^\]]*\]$)")


def rows(head: list[str], body: list[list[str]], kinds: list[str] | None = None) -> str:
    """A table; ``kinds`` are classes of its rows. A wide one is set smaller, a wider one has
    intervals below their values."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    classes = kinds or [""] * len(body)
    characters = sum(min(max(map(len, column)), SENTENCE) for column in zip(*body, strict=True))
    between = "<br>" if characters > TOO_LONG else " "
    lines = [
        f"<tr{f' class={kind}' if kind else ''}>"
        + "".join(
            f"<td{' class=words' if len(c) > SENTENCE else ''}>{INTERVAL.sub(between, escape(c))}</td>"
            for c in row
        )
        + "</tr>"
        for row, kind in zip(body, classes, strict=True)
    ]
    size = "wide many" if len(head) > MANY or characters > LONG else "wide"
    return (
        "<div "
        f'class="{size}"><table><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
    )


def table(rows: list[list[str]]) -> str:
    """Aligned columns: first left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    """First column left, the others right."""
    return "\n".join(
        "| " + " | ".join(row) + " |" for row in [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    )
