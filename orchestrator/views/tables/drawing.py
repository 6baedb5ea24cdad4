"""Draw a table that fits: lines of styled text, and below them what is said once and what is not
shown.

In: columns and the screen they are for. Out: lines for rich's console. Called by every view that
prints a table.

The screen: on a terminal its width and height. In a pipe or a file nothing is cut, left out or
blank, since a program may read it, unless COLUMNS says how wide a line may be.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, TextIO

from rich.cells import cell_len
from rich.text import Span, Text

from orchestrator.node.light.standard import whole
from orchestrator.views.tables.columns import KEYS, Column, Kind
from orchestrator.views.tables.layout import GAP, Fitted, fitted, padded, same_keys
from orchestrator.views.tables.words import broken

if TYPE_CHECKING:
    from rich.console import Console

INDENT = "  "
WITHOUT_SIGNS = str.maketrans("✓▶·✗–…×█░≥→", "+>.x-~x#.>>")
"""For a terminal that is not of UTF-8."""


@dataclass(frozen=True)
class Screen:
    """What text is drawn for."""

    width: int | None = None
    """In columns; None: as wide as the text is."""
    height: int | None = None
    """In lines; None: no end."""


WHOLE = Screen()


LIKE_A_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables by which rich takes a pipe for a terminal."""


class Pipe:
    """Standard output that is no terminal: what rich's console would say of it, whose import takes
    a third of a look at a run."""

    is_terminal = record = False
    height = 0

    def __init__(self) -> None:
        self.file: TextIO = sys.stdout
        self.width = whole(os.environ.get("COLUMNS", "")) or 0

    @property
    def encoding(self) -> str:
        """Of what is written to it."""
        return self.file.encoding or "utf-8"


def output() -> Console | Pipe:
    """What standard output is."""
    asked_for = any(os.environ.get(name) for name in LIKE_A_TERMINAL)
    if not sys.stdout.isatty() and not asked_for:
        return Pipe()
    from rich.console import Console

    return Console()


def screen_of(console: Console | Pipe, wide: bool = False) -> Screen:
    """What a console writes to; ``wide``: nothing is left out for want of room."""
    is_terminal = console.is_terminal
    has_width = is_terminal or whole(os.environ.get("COLUMNS", "")) is not None
    width = console.width if has_width and not wide else None
    return Screen(width, console.height if is_terminal else None)


def show(console: Console | Pipe, lines: Iterable[Text]) -> None:
    """Print lines as they are: they fit, or are wider for a reason."""
    plain = not console.encoding.lower().startswith("utf")
    styled = console.is_terminal or console.record
    for line in lines:
        told = translated(line) if plain else line
        if isinstance(console, Pipe) or not styled:
            # Into a file go thousands of lines, and rich takes a millisecond for each.
            console.file.write(f"{told.plain}\n")
            continue
        console.print(told, soft_wrap=True, highlight=False)


def translated(line: Text) -> Text:
    """With letters of ASCII in place of signs."""
    told = line.copy()
    told.plain = line.plain.translate(WITHOUT_SIGNS)
    return told


@dataclass(frozen=True)
class Drawn:
    """A table as lines, and what stands below it."""

    lines: list[Text]
    notes: list[Text]
    """What is said once for all rows, and what is not shown."""


def draw(columns: Sequence[Column], screen: Screen) -> Drawn:
    """A table in the room there is."""
    table = fitted(columns, screen.width)
    if table.stacked and screen.width is not None:
        lines = list(stacked_lines(table, screen.width))
    else:
        blank = screen.width is not None
        lines = [*heading_lines(table), *row_lines(table, blank)]
    told = [f"all: {', '.join(table.said)}"] if table.said else []
    told += table.notes
    if table.left_out:
        told.append(f"not shown: {', '.join(table.left_out)} (--wide)")
    return Drawn(lines, [line for text in told for line in sentence(text, screen, style="dim")])


def drawn_lines(columns: Sequence[Column], screen: Screen) -> list[Text]:
    """A table and its notes."""
    drawn = draw(columns, screen)
    return [*drawn.lines, *drawn.notes]


def heading_lines(table: Fitted) -> Iterator[Text]:
    """The names of the columns, on one line or two; the last line stands over the cells."""
    headings = [column.heading for column in table.columns]
    for number in range(max(map(len, headings), default=0) - 1, -1, -1):
        words = [names[-1 - number] if len(names) > number else "" for names in headings]
        yield joined(table, [(word, "dim") for word in words])


def row_lines(table: Fitted, blank: bool) -> Iterator[Text]:
    """The rows; ``blank``: a key that repeats the line above is left blank."""
    if not blank and not any(column.styles or column.limit for column in table.columns):
        yield from plain_rows(table)
        return
    rows = max((len(column.cells) for column in table.columns), default=0)
    for row in range(rows):
        hidden = same_keys(table, row) if blank else [False] * len(table.columns)
        cells = []
        for column, is_hidden in zip(table.columns, hidden, strict=True):
            text = "" if is_hidden else column.cells[row]
            parts = [text] if column.limit is None else broken(text, column.limit)
            style = column.style(row)
            cells.append([(part, style) for part in parts])
        for line in zip_longest(*cells, fillvalue=("", "")):
            yield joined(table, line)


def plain_rows(table: Fitted) -> Iterator[Text]:
    """The rows of a table without styles whose cells stand on a line each: column by column, as a
    file may get fifty thousand."""
    columns = []
    for column in table.columns:
        is_right, width = column.kind is Kind.NUMBER, column.width
        if all(map(str.isascii, column.cells)):
            pad = str.rjust if is_right else str.ljust
            columns.append([pad(cell, width) for cell in column.cells])
        else:
            columns.append([padded(cell, width, is_right) for cell in column.cells])
    gap = " " * GAP
    for words in zip(*columns, strict=True):
        yield Text(gap.join(words).rstrip())


def joined(table: Fitted, cells: Sequence[tuple[str, str]]) -> Text:
    """A line of the table, without blanks at its end, of words with their styles."""
    words, spans, end = [], [], 0
    for column, (text, style) in zip(table.columns, cells, strict=True):
        word = padded(text, column.width, column.kind is Kind.NUMBER)
        words.append(word)
        if style:
            spans.append(Span(end, end + len(word), style))
        end += len(word) + GAP
    # At once: to append each word to a Text takes ten times as long.
    plain = (" " * GAP).join(words).rstrip()
    return Text(
        plain, spans=[span.right_crop(len(plain)) for span in spans if span.start < len(plain)]
    )


def stacked_lines(table: Fitted, width: int) -> Iterator[Text]:
    """Each row in several lines: its keys, and indented below them the rest, every value with the
    name of its column."""
    rows = max((len(column.cells) for column in table.columns), default=0)
    for row in range(rows):
        keys: list[Text] = []
        others: list[Text] = []
        for column in table.columns:
            cell = column.cells[row]
            if not cell:
                continue
            named = column.kind in (Kind.SIGN, Kind.KEY, Kind.STATE)
            word = Text(cell if named else f"{column.name} {cell}", style=column.style(row))
            is_head = column.kind is Kind.SIGN or column.kind in KEYS
            (keys if is_head else others).append(word)
        yield from packed(keys, width, "")
        yield from packed(others, width, INDENT)


def packed(words: Sequence[Text], width: int, indent: str) -> Iterator[Text]:
    """Words on lines, as many on each as there is room for."""
    line = Text(indent)
    for word in words:
        pieces = list(broken(word.plain, width - len(indent)))
        for piece in pieces:
            gap = " " * GAP if len(line) > len(indent) else ""
            if gap and (len(pieces) > 1 or cell_len(line.plain + gap + piece) > width):
                yield line
                line, gap = Text(indent), ""
            line.append(gap)
            line.append(piece, style=word.style)
    if len(line) > len(indent):
        yield line


def sentence(text: str, screen: Screen, indent: str = "", style: str = "") -> list[Text]:
    """A text broken between words, every line indented alike."""
    if screen.width is None:
        return [Text(f"{indent}{text}", style=style)]
    lines = broken(text, screen.width - cell_len(indent))
    return [Text(f"{indent}{line}", style=style) for line in lines]
