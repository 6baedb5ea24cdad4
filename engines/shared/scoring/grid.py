"""Grids of small integers between ``<answer>`` tags (ARC-AGI, BARC): all cells right, or not."""

from __future__ import annotations

import ast
import re
import warnings
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.published import last_tagged
from engines.shared.scoring.text import SWITCH, literal, tagged
from engines.shared.scoring.verdict import Verdict

CELL = r"['\"]?\d+(?:\.0*)?['\"]?"
ROW = rf"\[(?:{CELL}(?:,{CELL})*,?)?\]"
GRID = re.compile(rf"\[(?:{ROW},?)+\]")
LINE = re.compile(rf"[\[(|\s]*{CELL}(?:(?:\s*[,|]\s*|\s+){CELL})*[\])|,\s]*")
"""A line that is one row, in brackets or not."""
DECIMALS = re.compile(r"\.0*(?!\d)")
BLANKS = re.compile(r"(?<=\d)\s+(?=\d)|(?<=\])\s+(?=\[)")
"""What numpy writes between cells and between rows in place of a comma."""
TO_BRACKETS = str.maketrans("()", "[]")


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the last grid in the last ``<answer>`` equals the right one, in shape and in every
    cell; rows may stand in lines of their own without brackets. ValueError if the right answer is
    no grid."""
    gold = gold_of(problem)
    answer = tagged(text)
    written = grid_in(answer) if answer is not None else None
    if written is None:
        return Verdict(0.0, "no_answer", answer, "no grid between <answer> tags")
    try:
        grid = rows_of(written)
    except ValueError as error:  # a number such as 007, or of 5,000 digits
        return Verdict(0.0, "no_answer", written, str(error))
    return Verdict(float(grid == gold), "ok", written)


def grid_in(answer: str) -> str | None:
    """The last grid of an answer, as a list of lists; None if there is none."""
    plain = SWITCH.sub("", answer).translate(TO_BRACKETS)
    # A grid may stand on one line or on one line for each row.
    grids = GRID.findall(re.sub(r"\s+", "", BLANKS.sub(",", plain)))
    if grids:
        return str(grids[-1]).replace("'", "").replace('"', "")
    rows: list[str] = []
    for line in plain.strip().split("\n"):
        if LINE.fullmatch(line):
            cells = re.findall(r"\d+", DECIMALS.sub("", line))
            rows.append(f"[{','.join(cells)}]")
        elif line.strip(" `"):
            rows = []
    # One line alone may be a number, or a list of all cells.
    return f"[{','.join(rows)}]" if len(rows) > 1 else None


def gold_of(problem: Problem) -> list[list[int]]:
    """The right grid. ValueError if it is none: missing, empty, with an empty row, with rows of
    several lengths, or with a cell that is no whole number."""
    try:
        grid = rows_of(problem.ground_truth)
        whole = grid == [list(row) for row in as_data(problem.ground_truth)]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"the right grid cannot be used: {error}") from error
    is_even = len({len(row) for row in grid}) == 1
    if not grid or not all(grid) or not whole or not is_even:
        raise ValueError(
            f"the right grid must be rows of whole numbers, all of one length: "
            f"{problem.ground_truth!r}"
        )
    return grid


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the first ``[[`` to the next ``]]``, cells made integers; what cannot be read
    is the grid ``[[0]]``, as large as it was written."""
    tagged = last_tagged(text, across_lines=True)
    grid = first_grid(tagged.strip()) if tagged is not None else None
    right = same_padded(grid or [[0]], rows_of(problem.ground_truth))
    return Verdict(float(right), "ok" if grid else "no_answer", str(grid) if grid else None)


def rows_of(truth: Any) -> list[list[int]]:
    """The right grid, which may have been written as text."""
    return [[int(cell) for cell in row] for row in as_data(truth)]


def as_data(truth: Any) -> Any:
    """What may have been written as text, as data."""
    return literal(truth) if isinstance(truth, str) else truth


def first_grid(text: str) -> list[list[Any]] | None:
    """The first nested list of a text; None if there is none."""
    # A shortened grid "[[1, 2, ...]]" becomes readable and is wrong.
    flat = text.replace("\n", "").replace("...", "-1")
    start = flat.find("[[")
    end = flat.find("]]", start)
    if start < 0 or end < 0:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            grid = ast.literal_eval(flat[start : end + 2])
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return grid if all(isinstance(row, list) for row in grid) else None


def same_padded(grid: list[list[Any]], right: list[list[int]]) -> bool:
    """Equality in every cell of the smallest rectangle that holds both. Rows of several lengths,
    and cells that numpy makes no integers of, leave a zero in the corner."""
    import numpy

    if (len(grid), len(grid[0])) != (len(right), len(right[0])):
        return False
    try:
        with warnings.catch_warnings():
            # Complex numbers lose a part, NaN becomes a number.
            warnings.simplefilter("ignore")
            cells = numpy.stack([numpy.asarray(row) for row in grid]).astype(int).tolist()
    # numpy raises of every kind on cells of every kind.
    except Exception:
        cells = [[0]]
    return bool(cells == right)
