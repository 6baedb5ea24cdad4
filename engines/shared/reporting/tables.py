"""Tables of reports as plain text, Markdown and HTML.

In: column names and cells, already text. Out: the table in one of the three forms. Called by the
report engines, and for the page of a run by orchestrator/views/page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

MANY, LONG, TOO_LONG = 9, 100, 115
"""Columns and characters that a line of a table holds on a page of normal width; characters that it
holds when set smaller."""
SENTENCE = 32
"""A cell of more characters is broken into lines."""
# The blank before an interval that ends a cell: "61.0 [55.2, 66.8]".
INTERVAL = re.compile(r" (?=\[[^\]]*\]$)")
INTERVAL_NAMED = re.compile(r" \[95 %\]$")
EXPLAINED = {
    "p adjusted": "How often equal arms would differ by so much, raised because several lines "
    "were tested",
    "detectable": "The true difference that so many problems find four times in five",
    "optimism": "How much higher the best checkpoint scores on the half of the problems that chose "
    "it than on the other half",
    "plateau, steps": "The checkpoints that are as good as the best one",
    "last minus it": "The last checkpoint minus the stopping point, on the problems that did not "
    "choose",
    "cut": "Answers that ended at the token limit",
    "sd": "Standard deviation over seeds",
    "spread": "Standard deviation over seeds",
    "ceiling": "Expected score of the exact in-context predictor",
    "counting": "Best score of predicting the most frequent next state so far",
    "looked up": "The way from counting (0) to the ceiling (100)",
    "control": "Accuracy on labels that hang on nothing that the sequence shows",
    "selectivity": "Probe minus control: what the probe does not owe to its own capacity",
    "untrained": "The same probe on the network before training",
}
"""Headings of reports whose meaning a reader may not know, in a sentence that the page shows where
the pointer rests."""


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
    top = "".join(map(_heading, head))
    lines = []
    for row, kind in zip(body, kinds or [""] * len(body), strict=True):
        opening = f"<tr class={kind}>" if kind else "<tr>"
        cells = "".join(_cell(cell, value_and_interval) for cell in row)
        lines.append(f"{opening}{cells}</tr>")
    return (
        f'<div class="{size}"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _heading(name: str) -> str:
    """The heading of a column, with what it means where its name does not say it."""
    if not name:
        # A screen reader would read a heading without words before each of its cells.
        return "<td></td>"
    told = EXPLAINED.get(INTERVAL_NAMED.sub("", name))
    title = f' title="{escape(told)}"' if told else ""
    # "[95 %]" is one word.
    return f"<th{title}>{escape(name).replace('[95 %]', '[95&nbsp;%]')}</th>"


def _cell(text: str, value_and_interval: str) -> str:
    """One cell of a page's table; ``value_and_interval`` is what stands between the two."""
    opening = "<td class=words>" if len(text) > SENTENCE else "<td>"
    return f"{opening}{INTERVAL.sub(value_and_interval, escape(text))}</td>"
