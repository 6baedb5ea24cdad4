"""Tables of reports as plain text, Markdown and HTML, and the style of their pages.

In: column names and cells, already text. Out: the table in one of the three forms. Called by the
report engines, and for the page of a run by orchestrator/views/page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
# The blank before an interval that ends a cell: "61.0 [55.2, 66.8]".
INTERVAL = re.compile(r" (?=\[[^\]]*\]$)")


@dataclass(frozen=True)
class Table:
    """A table whose cells are made once; each form writes out the same cells."""

    head: list[str]
    rows: list[list[str]]
    kinds: list[str] | None = None
    """What each row is, as a class of the page's style: ``task`` is set in below the row before,
    ``macro`` and ``sum`` are bold, "" is a row like others. None: all are."""

    def without(self, *columns: str) -> Table:
        """The same table without some columns; a narrow form has no room for all."""
        kept = [place for place, name in enumerate(self.head) if name not in columns]
        return replace(
            self,
            head=[self.head[place] for place in kept],
            rows=[[row[place] for place in kept] for row in self.rows],
        )

    def plain(self) -> str:
        """Aligned columns: first left, the others right."""
        lines = [self.head, *self._set_in()]
        widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
        return "\n".join(_aligned(line, widths) for line in lines)

    def markdown(self) -> str:
        """First column left, the others right."""
        rule = ["---"] + ["---:"] * (len(self.head) - 1)
        lines = [self.head, rule, *self._set_in()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def html(self) -> str:
        """A table of a page; a class of its row sets a task in."""
        return html_table(self.head, self.rows, self.kinds)

    def _set_in(self) -> list[list[str]]:
        """The rows with a dash before those that a page would set in."""
        kinds = self.kinds or [""] * len(self.rows)
        return [
            [f"- {row[0]}", *row[1:]] if kind == "task" else row
            for row, kind in zip(self.rows, kinds, strict=True)
        ]


def _aligned(line: Sequence[str], widths: Sequence[int]) -> str:
    """One line of a plain table."""
    first = line[0].ljust(widths[0])
    others = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
    return "  ".join([first, *others]).rstrip()


def html_table(head: list[str], body: list[list[str]], kinds: list[str] | None = None) -> str:
    """A table of a page; ``kinds`` are classes of its rows. A wide one is set smaller, a wider one
    has intervals below their values."""
    characters = 0
    for column in zip(*body, strict=True):
        # A longer cell is broken into lines.
        characters += min(max(len(cell) for cell in column), SENTENCE)
    value_and_interval = "<br>" if characters > TOO_LONG else " "
    size = "wide many" if len(head) > MANY or characters > LONG else "wide"
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = []
    for row, kind in zip(body, kinds or [""] * len(body), strict=True):
        opening = f"<tr class={kind}>" if kind else "<tr>"
        cells = "".join(_cell(cell, value_and_interval) for cell in row)
        lines.append(f"{opening}{cells}</tr>")
    return (
        f'<div class="{size}"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _cell(text: str, value_and_interval: str) -> str:
    """One cell of a page's table; ``value_and_interval`` is what stands between the two."""
    opening = "<td class=words>" if len(text) > SENTENCE else "<td>"
    return f"{opening}{INTERVAL.sub(value_and_interval, escape(text))}</td>"
