"""Grids of small integers between ``<answer>`` tags (ARC-AGI, BARC): all cells right, or not."""

from __future__ import annotations

import json
import re
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.golds import something
from engines.shared.scoring.text import last_tag, literal
from engines.shared.scoring.verdict import Verdict

GRID = re.compile(r"\[(?:\[[\d,]*\],?)+\]")


def strict(problem: Problem, text: str) -> Verdict:
    """1.0 if the last grid in the last ``<answer>`` equals the right one, in shape and in every
    cell."""
    tagged = last_tag(text)
    # White space first: a grid may stand on one line or on one line for each row.
    grids = GRID.findall(re.sub(r"\s+", "", tagged)) if tagged is not None else []
    if not grids:
        return Verdict(0.0, "no_answer", tagged, "no grid between <answer> tags")
    try:
        grid = literal(grids[-1])
    except ValueError as error:  # a number such as 007
        return Verdict(0.0, "no_answer", grids[-1], str(error))
    return Verdict(float(grid == gold_of(problem)), "ok", grids[-1])


def gold_of(problem: Problem) -> list[list[int]]:
    """The right grid. ValueError if it has no rows, or rows without cells, or is none."""
    try:
        rows = rows_of(something(problem.ground_truth))
    except TypeError as error:
        raise ValueError(f"the right answer {problem.ground_truth!r} is no grid") from error
    if not rows or not all(rows):
        raise ValueError(f"the right answer {problem.ground_truth!r} has no cells")
    return rows


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the first ``[[`` to the next ``]]``, cells made integers; what cannot be read
    is the grid ``[[0]]``."""
    tagged = last_tag(text)
    grid = integers(first_grid(tagged)) if tagged is not None else None
    return Verdict(
        float((grid or [[0]]) == gold_of(problem)),
        "ok" if grid else "no_answer",
        str(grid) if grid else None,
    )


def rows_of(truth: Any) -> list[list[int]]:
    """The right grid, which may have been written as text."""
    if isinstance(truth, str):
        truth = read(truth)
    return [[int(cell) for cell in row] for row in truth]


def read(text: str) -> Any:
    """The value of a text: JSON, which is fifty times as fast to read, else a Python literal."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return literal(text)


def first_grid(text: str) -> Any:
    """The first nested list of a text; None if there is none."""
    # A shortened grid "[[1, 2, ...]]" becomes readable and is wrong.
    flat = text.replace("\n", "").replace("...", "-1")
    start = flat.find("[[")
    end = flat.find("]]", start)
    if start < 0 or end < 0:
        return None
    try:
        return literal(flat[start : end + 2])
    except ValueError:
        return None


def integers(grid: Any) -> list[list[int]] | None:
    """A rectangular grid with its cells as integers; None if it is none."""
    if not isinstance(grid, list) or not all(isinstance(row, list) for row in grid):
        return None
    try:
        cells = [[int(cell) for cell in row] for row in grid]
    except (TypeError, ValueError, OverflowError):
        return None
    return cells if cells[0] and len({len(row) for row in cells}) == 1 else None
