"""Fit a table into the width of a terminal, by steps of which each costs the reader more.

In: columns (columns.py) and a width. Out: lines of text, what is said once for all rows, and the
names of the columns that were left out. Pure. The only way in which a command draws a table:
``lay_out`` is called by the views.

Nothing is broken inside a word, no number, state or count is cut, and rows that differ in their
keys differ as they are printed. The steps:

1. Columns that are empty everywhere go, and a value that all rows share is said once; never a
   measured number.
2. Words that all values of an axis share are said once.
3. Columns of priority 8 and more go, those of the greatest first. Text that yields is cut.
4. The shorter spellings, the least important column first.
5. Of the least important column: its text is cut at a word's end, then it goes if its priority is
   5 or more.
6. The middle of keys is cut, as long as all of them stay different.
7. Nothing fits: each row is a line with its keys, and the rest below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from orchestrator.views.tables.columns import KEYS, Column, Kind
from orchestrator.views.tables.words import cut, shared_words, without_middle

GAP = 2
"""Columns of the terminal between two columns of the table."""
GOES_EARLY = 8
MAY_GO = 5
"""Priorities from which on a column is left out before, or after, others are made shorter."""


@dataclass(frozen=True)
class Fitted:
    """A table on its way through the steps."""

    columns: tuple[Column, ...]
    said: tuple[str, ...] = ()
    """What is said once of all rows: ``seed 0``."""
    notes: tuple[str, ...] = ()
    """What a reader of shorter spellings has to know: ``model: Qwen/…-Instruct``."""
    left_out: tuple[str, ...] = ()
    """Names of columns that are not shown for want of room."""
    stacked: bool = False
    """Whether each row takes several lines."""

    @property
    def width(self) -> int:
        """Of a line, in columns of the terminal."""
        return sum(column.width for column in self.columns) + GAP * (len(self.columns) - 1)

    def changed(self, old: Column, new: Column) -> Fitted:
        """With one column in place of another."""
        columns = tuple(new if column is old else column for column in self.columns)
        return replace(self, columns=columns)

    def without(self, column: Column) -> Fitted:
        """With one column less, which is named as left out."""
        columns = tuple(one for one in self.columns if one is not column)
        return replace(self, columns=columns, left_out=(*self.left_out, column.name))


Step = Callable[[Fitted, int], Iterator[Fitted]]
"""Gives smaller and smaller tables."""


def fitted(columns: Sequence[Column], width: int | None) -> Fitted:
    """The columns as they fit into ``width`` columns of a terminal; None: whole, however wide."""
    now = with_said_once(columns)
    if width is None or now.width <= width:
        return now
    for step in GENTLE:
        now = as_far_as_needed(step, now, width)
    whole = now
    for step in HARD:
        now = as_far_as_needed(step, now, width)
    return grown(now, whole, width) if now.width <= width else replace(whole, stacked=True)


def as_far_as_needed(step: Step, now: Fitted, width: int) -> Fitted:
    """What a step makes of a table, no more of it than the width asks for."""
    if now.width <= width:
        return now
    for smaller in step(now, width):
        now = smaller
        if now.width <= width:
            break
    return now


def with_said_once(columns: Sequence[Column]) -> Fitted:
    """Without what is empty everywhere, and with what all rows share said once."""
    shown = [column for column in columns if any(column.cells)]
    said = []
    rows = max((len(column.cells) for column in shown), default=0)
    # In a single row everything is the same in all rows.
    for column in list(shown) if rows > 1 else []:
        others = [one for one in shown if one is not column]
        if is_shared(column) and told_apart(others) == told_apart(shown):
            said.append(f"{column.name} {next(filter(None, column.cells))}")
            shown = others
    return Fitted(tuple(shown), tuple(said))


def is_shared(column: Column) -> bool:
    """Whether a column says the same in all rows: an axis in all rows that have it."""
    values = set(column.cells)
    if column.kind is Kind.AXIS or column.of_some:
        return len(values - {""}) == 1
    return column.kind is Kind.TEXT and len(values) == 1


def told_apart(columns: Sequence[Column]) -> int:
    """How many different rows there are by their keys."""
    keys = [column.cells for column in columns if column.kind in KEYS]
    return len(set(zip(*keys, strict=True))) if keys else 1


def by_priority(table: Fitted) -> list[Column]:
    """The columns that give way, the least important first; of like ones the last."""
    given = [column for column in reversed(table.columns) if column.priority]
    return sorted(given, key=lambda column: -column.priority)


def with_shared_words(table: Fitted, _width: int) -> Iterator[Fitted]:
    """Words that all values of an axis share, said once."""
    for column in table.columns:
        if column.kind is not Kind.AXIS:
            continue
        front, back = shared_words(column.cells)
        if not front and not back:
            continue
        cells = [cell and cell[len(front) : len(cell) - len(back)] for cell in column.cells]
        now = table.changed(column, column.cut_to(cells))
        table = replace(now, notes=(*now.notes, f"{column.name}: {front}…{back}"))
        yield table


def without_early(table: Fitted, _width: int) -> Iterator[Fitted]:
    """Columns that are of use to few, such as the host."""
    for column in by_priority(table):
        if column.priority >= GOES_EARLY:
            table = table.without(column)
            yield table


def with_short(table: Fitted, _width: int) -> Iterator[Fitted]:
    """The shorter spellings."""
    for column in by_priority(table):
        if column.short:
            now = table.changed(column, column.cut_to(column.short))
            note = (column.short_note,) if column.short_note else ()
            table = replace(now, notes=(*now.notes, *note))
            yield table


def with_yielding(table: Fitted, width: int) -> Iterator[Fitted]:
    """Text that makes room for the other columns."""
    for column in table.columns:
        if column.yields:
            room = max(column.floor, column.content - (table.width - width))
            table = table.changed(column, narrowed(column, room))
            yield table


def grown(table: Fitted, whole: Fitted, width: int) -> Fitted:
    """With as much of the text that yields as there is room for: columns may have gone since."""
    for column in table.columns:
        if column.yields:
            (before,) = (one for one in whole.columns if one.name == column.name)
            room = column.content + width - table.width
            table = table.changed(column, narrowed(before, room))
    return table


def with_cut_text(table: Fitted, width: int) -> Iterator[Fitted]:
    """Text cut down to the floor of its column, then without the column."""
    for column in by_priority(table):
        smaller = column
        if column.kind in (Kind.TEXT, Kind.PROSE):
            room = max(column.floor, column.content - (table.width - width))
            smaller = narrowed(column, room)
            table = table.changed(column, smaller)
            yield table
        if column.priority >= MAY_GO:
            table = table.without(smaller)
            yield table


def narrowed(column: Column, room: int) -> Column:
    """A column of words in so much room."""
    if column.kind is Kind.PROSE:
        # No word is broken.
        widest = max(cell_len(word) for cell in column.cells for word in cell.split(" "))
        return replace(column, limit=max(room, widest))
    return column.cut_to([cut(cell, room) for cell in column.cells])


def with_cut_keys(table: Fitted, width: int) -> Iterator[Fitted]:
    """Names without their middle, the widest first."""
    keys = [column for column in table.columns if column.kind in KEYS]
    for column in sorted(keys, key=lambda column: -column.content):
        wanted = column.content - (table.width - width)
        # The headings of a key are words of a person, and stay whole.
        for room in range(max(wanted, 1), column.content):
            cells = without_middle(column.cells, room)
            if cells is not None:
                table = table.changed(column, column.cut_to(cells))
                yield table
                break


GENTLE: tuple[Step, ...] = (with_shared_words, without_early)
HARD: tuple[Step, ...] = (with_yielding, with_short, with_cut_text, with_cut_keys)
"""In their order. Where even the hard ones do not help, none of those is taken."""


def same_keys(table: Fitted, row: int) -> list[bool]:
    """For each column whether its cell is a key that repeats the line above, from the left; a seed
    is always said."""
    same = row > 0
    repeats = []
    for column in table.columns:
        is_key = column.kind in KEYS
        if is_key:
            same = same and column.cells[row] == column.cells[row - 1]
        repeats.append(is_key and same and column.name != "seed")
    return repeats


def padded(text: str, width: int, right: bool) -> str:
    """A text with blanks up to a width."""
    blanks = " " * (width - cell_len(text))
    return f"{blanks}{text}" if right else f"{text}{blanks}"
