"""What squeue and sacct print of jobs, row by row, whatever a job is called.

In: which columns are wanted, and the text that came back. Out: a line per job whose cells are apart
and hold no control characters. Pure, but for the mark of a call, which is drawn. Called by
calls.py.

The jobs of a user are not all ours: a name may hold line breaks, the usual separators, and bytes
that are no text. So the cells of a call are separated by a word that was drawn for that call, which
no name can hold. What the program's wrapper or a start-up file prints besides is passed over. That
it was the program that answered shows in its header, so an answer without any job is told from one
that says nothing.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

JOB_ID = re.compile(r"\d+(?:_(?:\d+|\[[^\]]*\]?))?(?:\+\d+)?")
"""``17``, ``17_3``, ``17_[4-9%2]``, or ``17+1`` of a job in parts."""
HEADER = "JOBID"
"""What the first column is called, in whichever case."""
QUOTED_LETTERS = 120


def new_mark() -> str:
    """A word that separates the cells of one call."""
    # 96 bits: no name that is there already holds it by chance, and none can be made to.
    return secrets.token_hex(12)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A question whose answer has a row for each job."""

    program: str
    """``squeue`` or ``sacct``."""
    options: tuple[str, ...]
    columns: tuple[str, ...]
    """The first is the job's id. As squeue's ``--format`` or sacct's ``--format`` names them."""
    separator: str
    """Between the cells of what ``read`` gives."""
    by: str | None = None
    """One more column: the rows are sorted by it, and it is left out. It is a time."""

    @property
    def asked(self) -> tuple[str, ...]:
        """All columns that are asked for."""
        return (*self.columns, self.by) if self.by else self.columns

    def command(self, mark: str) -> list[str]:
        """The call, with this mark behind each cell."""
        if self.program == "squeue":
            wanted = ["--format=" + "".join(f"{column}{mark}" for column in self.asked)]
        else:
            wanted = ["--parsable", f"--delimiter={mark}", f"--format={','.join(self.asked)}"]
        return [self.program, *self.options, *wanted]

    def read(self, text: str, mark: str) -> str:
        """A line per job of what the program has printed, in its order or by ``by``.

        ValueError if it was cut off, or if nothing in it comes from the program.
        """
        cells = text.split(mark)
        width = len(self.asked)
        # The last cell ends in a mark as well; behind it is the end of the line.
        if (len(cells) - 1) % width:
            raise ValueError("its answer ends in the middle of a row")
        # Before the first cell stand the end of the line before, and lines of something else.
        ids = [cell.rpartition("\n")[2].strip() for cell in cells[:-1:width]]
        rows = [
            [job_id, *cells[number * width + 1 : (number + 1) * width]]
            for number, job_id in enumerate(ids)
            if JOB_ID.fullmatch(job_id)
        ]
        if not rows and HEADER not in map(str.upper, ids):
            raise ValueError(nothing_readable(text))
        if self.by:
            rows.sort(key=itemgetter(-1))
        return "\n".join(self.separator.join(printable(row[: len(self.columns)])) for row in rows)


def printable(cells: list[str]) -> list[str]:
    """Cells in which nothing ends a line or a cell."""
    # Looked at together, as there are ten thousand rows.
    if "".join(cells).isprintable():
        return cells
    return ["".join(one if one.isprintable() else "\ufffd" for one in cell) for cell in cells]


def nothing_readable(text: str) -> str:
    """Why an answer is none, with the first line of it."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if not first:
        return "its answer is empty"
    return f"nothing in its answer can be read: {first[:QUOTED_LETTERS]!r}"


def readable(text: str, pattern: re.Pattern[str]) -> list[re.Match[str]]:
    """The lines of another program's answer that are as they should be. ValueError, with the first
    line, if there are lines and none of them is."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found: Sequence[re.Match[str] | None] = [pattern.fullmatch(line) for line in lines]
    good = [match for match in found if match is not None]
    if lines and not good:
        raise ValueError(nothing_readable(text))
    return good
