"""The tables of `orch status` as tables of a page.

In: columns, as the terminal's tables have them. Out: HTML. Pure. Called by page.py.

What is empty everywhere is left out and what all rows share is said once below, as in a terminal.
Columns that matter come first: on a phone the others are not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from orchestrator.views.tables.columns import KEYS, Column, Kind
from orchestrator.views.tables.layout import with_said_once

LATER = 6
"""Columns of this priority and more are not shown on a phone."""
METRIC = 5
"""Priority of a column of a metric, at least; times have lower ones."""
CLASSES = {"red": "bad", "bold red": "bad", "green": "ok", "dim": "read"}
"""Of the page, for the terminal's styles."""


def columns_table(columns: Sequence[Column]) -> str:
    """A table, and below it what is said once."""
    fitted = with_said_once(in_order(columns))
    if not fitted.columns:
        return ""
    heads = "".join(head(one) for one in fitted.columns)
    rows = max(len(one.cells) for one in fitted.columns)
    body = "".join(row(fitted.columns, number) for number in range(rows))
    said = f'<p class="read">all: {escape(", ".join(fitted.said))}</p>' if fitted.said else ""
    return (
        '<div class="wide cells"><table><thead><tr>'
        f"{heads}</tr></thead><tbody>{body}</tbody></table></div>{said}"
    )


def head(column: Column) -> str:
    """The heading of a column; above signs there is none to read aloud."""
    if not column.name:
        return f"<td{kind_of(column)}></td>"
    return f'<th scope="col"{kind_of(column)}>{escape(column.name)}</th>'


def in_order(columns: Sequence[Column]) -> list[Column]:
    """Signs, keys, states and metrics first, then the others, then what matters to few."""

    def rank(column: Column) -> int:
        if column.kind in (Kind.SIGN, *KEYS):
            return 0
        # How many there are, and metrics.
        if column.kind is Kind.NUMBER and (not column.priority or column.priority >= METRIC):
            return 1
        return 3 if column.priority >= LATER else 2

    return sorted(columns, key=rank)


def kind_of(column: Column, style: str = "") -> str:
    """The classes of a cell."""
    classes = []
    if column.kind is Kind.NUMBER:
        classes.append("number")
    if column.kind in (Kind.TEXT, Kind.PROSE):
        classes.append("text")
    if column.priority >= LATER and column.kind is not Kind.NUMBER:
        classes.append("later")
    if style in CLASSES:
        classes.append(CLASSES[style])
    return f' class="{" ".join(classes)}"' if classes else ""


def row(columns: Sequence[Column], number: int) -> str:
    """One line."""
    cells = [
        f"<td{kind_of(one, one.style(number))}>{escape(one.cells[number])}</td>" for one in columns
    ]
    return f"<tr>{''.join(cells)}</tr>"
