"""The columns of a table: what the cells are decides what may be done to them where there is no
room.

In: names and cells as text. Out: a ``Column``. Pure. Made by the views, laid out by layout.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import cached_property, lru_cache
from typing import Any

from rich.cells import cell_len

from jobs.stages import literal

MOST_DIGITS = 12
"""Of a number that is written out."""
NEVER = 0
"""The priority of a column that is never left out."""


class Kind(Enum):
    """What the cells of a column are."""

    SIGN = auto()
    """The sign of a state, one wide, without a heading."""
    KEY = auto()
    """A name that tells rows apart, such as a stage: blank where it repeats the line above."""
    AXIS = auto()
    """The value of an axis: a key that is said once above where all rows have the same."""
    STATE = auto()
    NUMBER = auto()
    """A count, a measured number or a time: on the right, never cut, never said once, since that
    all rows have it is a finding."""
    WHOLE = auto()
    """Words that are never cut."""
    TEXT = auto()
    """Words that may be cut at a word's end; said once where all rows have the same."""
    PROSE = auto()
    """Sentences: broken between words, into as many lines as they need."""


KEYS = (Kind.KEY, Kind.AXIS)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column."""

    name: str
    """The heading."""
    kind: Kind
    cells: tuple[str, ...]
    """A line each; empty where a row has none."""
    priority: int = NEVER
    """Which column gives way first where there is no room: that of the greatest number. From 5 on
    it may be left out, from 8 on before anything is cut or shortened."""
    floor: int = 16
    """The least width of TEXT and PROSE, in columns of the terminal."""
    short: tuple[str, ...] = ()
    """The cells in fewer words; empty: there are none."""
    short_note: str = ""
    """What a reader of these has to know."""
    styles: tuple[str, ...] = ()
    """How each cell is drawn, in rich's words; empty: plainly."""
    of_some: bool = False
    """Whether a value that all rows share which have one is said once, too."""
    yields: bool = False
    """Whether TEXT is cut before anything else is shortened or left out; it grows again into the
    room that is left in the end."""
    limit: int | None = None
    """The width that PROSE is broken to; None: as wide as its longest cell."""

    def __post_init__(self) -> None:
        # What a person or a log has written may hold ends of lines or a terminal's control codes.
        if not all(map(str.isprintable, self.cells)):
            object.__setattr__(self, "cells", tuple(map(on_one_line, self.cells)))

    # Kept, as a table of thousands of rows is measured again after every step.
    @cached_property
    def width(self) -> int:
        """In columns of the terminal, heading and all."""
        return max(self.content, *map(cell_len, self.heading))

    @cached_property
    def content(self) -> int:
        """The width of its widest cell."""
        widest = max(map(cell_len, self.cells), default=0)
        return widest if self.limit is None else min(widest, self.limit)

    @cached_property
    def heading(self) -> list[str]:
        """Its name; in two lines where it is wider than the cells and has a space."""
        words = self.name.split(" ")
        if cell_len(self.name) <= self.content or len(words) == 1:
            return [self.name]
        breaks = [(" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words))]
        return list(min(breaks, key=lambda lines: max(map(cell_len, lines))))

    def style(self, row: int) -> str:
        """Of one of its cells."""
        return self.styles[row] if self.styles else ""

    def cut_to(self, cells: Sequence[str]) -> Column:
        """With other words in its cells."""
        return replace(self, cells=tuple(cells), short=(), short_note="")


def column(
    name: str, kind: Kind, cells: Iterable[str], priority: int = NEVER, floor: int = 16
) -> Column:
    """A column without further wishes."""
    return Column(name=name, kind=kind, cells=tuple(cells), priority=priority, floor=floor)


def on_one_line(text: str) -> str:
    """A text without ends of lines and control codes."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())


# Of thousands of rows most have the same few values; 1, 1.0 and True are three.
@lru_cache(maxsize=10_000, typed=True)
def value_text(value: Any) -> str:
    """An axis's value as a cell: as it is written in an experiment file."""
    return "" if value is None else literal(value)


def numbers(values: Sequence[float | None], decimals: int = 4) -> tuple[str, ...]:
    """Numbers of one column, all with the same number of decimals: of whole numbers none, of large
    ones fewer, as digits before the point count too. None is an empty cell.

    Where so many decimals would take a small number for 0, each has four significant digits
    instead.
    """
    known = [abs(float(value)) for value in values if value is not None]
    finite = [value for value in known if math.isfinite(value)]
    largest = max(finite, default=0.0)
    digits = len(f"{largest:.0f}")
    kept = max(1, decimals + 1 - digits)
    if digits > MOST_DIGITS:
        form = ".4g"
    elif all(value.is_integer() for value in finite):
        form = ".0f"
    elif min(value for value in finite if value) < 10.0 ** (1 - kept):
        form = ".4g"
    else:
        form = f".{kept}f"
    cells = ["" if value is None else format(value, form) for value in values]
    # Noughts that all of them end with say nothing.
    while (
        form.endswith("f")
        and any(cells)
        and all(re.search(r"\.\d*0$", one) for one in cells if one)
    ):
        cells = [one[:-1].removesuffix(".") for one in cells]
    return tuple(cells)
