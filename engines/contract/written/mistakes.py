"""All that is wrong with what a person wrote: a line each, with its place.

What goes in: places and texts, in the order found. What comes out: the lines that a person is
shown, at most ``MOST_SHOWN`` and how many more there are. Called by whatever reads a file that a
person wrote.
"""

from __future__ import annotations

import re

from engines.contract.written.nodes import LONGEST, one_line

MOST_SHOWN = 20
"""Lines that are shown: whoever has mended those sees the next."""
MOST_FOUND = 200
"""Lines after which nobody looks for more: what is wrong so often is another kind of file, and
looking for the nearest known word takes time for each."""


class TooMany(Exception):
    """So many mistakes that the rest of the file is not looked at."""


class Mistakes:
    """All that is wrong, each once, in the order found."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._seen: set[str] = set()

    def add(self, where: str, text: str) -> None:
        """One line: the place, then what is wrong, the value, and what to do. TooMany once there
        are more than ``MOST_FOUND``."""
        line = f"{one_line(where, LONGEST)}: {one_line(text)}"
        if line in self._seen:
            return
        self._seen.add(line)
        self.lines.append(line)
        if len(self.lines) > MOST_FOUND:
            raise TooMany

    def in_file_order(self) -> list[str]:
        """By line of the file; what has no line, such as ``--set``, comes last. Of many the first
        ``MOST_SHOWN``, and how many more there are from which place on."""

        def line_number(line: str) -> float:
            # "jobs/x.yaml:12: unknown key ..." has a line, "--set train.pack=x: ..." has none.
            # Behind it may stand, in brackets, where a file is included or a variable used.
            found = re.match(r"[^:]*:(\d+)(?: \(.*\))?: ", line)
            return int(found[1]) if found else float("inf")

        # The sort is stable: mistakes of one line stay in the order in which they were found.
        lines = sorted(self.lines, key=line_number)
        if len(lines) <= MOST_SHOWN:
            return lines
        place = re.match(r"[^:]*(?::\d+)?", lines[MOST_SHOWN])
        more = str(len(lines) - MOST_SHOWN)
        if len(lines) > MOST_FOUND:
            more = f"more than {MOST_FOUND - MOST_SHOWN}"
        told = f"{place[0] if place else ''}: {more} more mistakes from here on; fix these first"
        return [*lines[:MOST_SHOWN], told]
