"""Zebra puzzles: a table ``{"header": [...], "rows": [[...]]}`` between ``<answer>`` tags; the
value is the share of right cells."""

from __future__ import annotations

import contextlib
import unicodedata
from typing import Any

from engines.shared.data.problems import Problem
from engines.shared.scoring.published import last_tagged, python_or_json
from engines.shared.scoring.text import dressed, literal, tagged
from engines.shared.scoring.verdict import Verdict

Table = tuple[list[str], list[list[str]]]


def strict(problem: Problem, text: str) -> Verdict:
    """Share of right cells, in 0 to 1. Case, number or text, order of the columns and line breaks
    do not matter, nor does a fence; cells too many do. ValueError if the right answer is no table
    with cells."""
    right_header, right_rows = gold_of(problem)
    answer = tagged(text)
    if answer is None:
        return Verdict(0.0, "no_answer", detail="no <answer>")
    try:
        header, rows = table(value_in(answer))
    except ValueError as error:
        return Verdict(0.0, "no_answer", answer, str(error))
    if sorted(header) == sorted(right_header) and len(set(header)) == len(header):
        # Columns in the right order; cells beyond the header stay and count as too many.
        order = [header.index(name) for name in right_header]
        rows = [[row[k] for k in order if k < len(row)] + row[len(order) :] for row in rows]
    cells = max(sum(map(len, right_rows)), sum(map(len, rows)))
    right = sum(
        cell == wanted
        for row, wanted_row in zip(rows, right_rows, strict=False)
        for cell, wanted in zip(row, wanted_row, strict=False)
    )
    return Verdict(right / cells, "ok", answer, f"{right} of {cells} cells")


def gold_of(problem: Problem) -> Table:
    """Header and rows of the right table. ValueError if it is none, or has no cells."""
    try:
        header, rows = table(truth_of(problem))
    except ValueError as error:
        raise ValueError(f"the right table cannot be used: {error}") from error
    if not any(any(row) for row in rows):
        raise ValueError(f"the right table has no cells: {problem.ground_truth!r}")
    widths = {len(row) for row in rows} | ({len(header)} if header else set())
    if len(widths) > 1:
        raise ValueError(f"the right table has rows of several lengths: {problem.ground_truth!r}")
    return header, rows


def guru(problem: Problem, text: str) -> Verdict:
    """GURU's reading: the tag must be on one line, cells are compared by position, case and
    type."""
    tagged = last_tagged(text)
    if tagged is None:
        return Verdict(0.0, "no_answer", detail="no <answer> on one line")
    truth = truth_of(problem)
    try:
        rows = python_or_json(tagged.strip())["rows"]
        found = [
            rows[i][j] == truth["rows"][i][j]
            for i in range(len(truth["rows"]))
            for j in range(len(truth["header"]))
        ]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        return Verdict(0.0, "ok", tagged, f"not the table asked for: {error}")
    return Verdict(sum(found) / len(found), "ok", tagged)


def truth_of(problem: Problem) -> Any:
    """The right table, which may have been written as text."""
    return (
        literal(problem.ground_truth)
        if isinstance(problem.ground_truth, str)
        else problem.ground_truth
    )


def value_in(answer: str) -> Any:
    """What an answer spells, in a box, in markup or behind a sentence too. ValueError if it is no
    data."""
    for candidate in dressed(answer, "{", "}"):
        with contextlib.suppress(ValueError):
            return literal(candidate)
    raise ValueError(f"no data: {answer[:80]!r}")


def table(value: Any) -> Table:
    """Header and rows as comparable text. ValueError if the value is no table."""
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("rows"), list)
        or not isinstance(value.get("header", []), list)
    ):
        raise ValueError("not a dictionary with a header and rows")
    if not all(isinstance(row, list) for row in value["rows"]):
        raise ValueError("a row is not a list")
    return [plain(name) for name in value.get("header", [])], [
        [plain(cell) for cell in row] for row in value["rows"]
    ]


def plain(cell: Any) -> str:
    """A cell as text, without case and outer spaces."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    composed = unicodedata.normalize("NFC", "" if cell is None else str(cell))
    return " ".join(composed.split()).casefold()
