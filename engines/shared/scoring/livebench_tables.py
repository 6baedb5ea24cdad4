"""Tables as text, for two of LiveBench's tasks: csv, tsv, json, jsonl, markdown and html."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from html.parser import HTMLParser
from typing import Any

from engines.shared.scoring.text import STRAIGHT, fenced, last_boxed, literal, tagged, without_latex

Rows = list[dict[str, Any]]
Mapping = dict[Any, Any]
"""Column of one table -> column of the other, None if it has none."""
FORMATS = ("csv", "tsv", "json", "jsonl", "markdown", "html")
MISSING = ("", "nan", "none", "null", "na", "n/a")
DELIMITERS = {"csv": ",", "tsv": "\t"}
TOLERANCE = 1e-6
UNREADABLE = (ValueError, KeyError, TypeError, csv.Error, RecursionError)
"""What reading a text as a table raises if it is none."""


def table_join(wanted: Mapping, text: str) -> float | None:
    """F1 of the last dictionary of a response against the right mapping; None if there is none.

    A column that belongs to none, in either, is left out: it is right to map it to None, or not to
    mention it.
    """
    answer = tagged(text, "solution") or text
    blocks = fenced(answer)
    named = [content for language, content in blocks if language in ("python", "json")] or [
        content for _, content in blocks
    ]
    # Best first: the last fence, the last box (with LaTeX's backslashes before braces), all from
    # the last opening brace to the last closing one.
    candidates = [
        *named[-1:],
        without_latex(last_boxed(answer) or ""),
        answer[answer.rfind("{") : answer.rfind("}") + 1],
    ]
    found = next((value for value in map(dictionary, candidates) if value is not None), None)
    if found is None:
        return None
    return join_f1(without_none(wanted), without_none(found))


def join_f1(wanted: Mapping, found: Mapping) -> float:
    """F1 of pairs of columns: 2 TP / (2 TP + FP + FN), 1.0 if there are none in either.

    A column that is mapped to the wrong one counts in both: found and wrong, and missed.
    """
    right = sum(1 for key, value in found.items() if wanted.get(key) and wanted[key] == value)
    missed = sum(1 for key in wanted if not found.get(key))
    swapped = sum(1 for key, value in found.items() if wanted.get(key) and wanted[key] != value)
    weight = 2 * right + (len(found) - right) + missed + swapped
    return 2 * right / weight if weight else 1.0


def without_none(mapping: Mapping) -> Mapping:
    """The columns that belong to one."""
    return {key: value for key, value in mapping.items() if value is not None}


def dictionary(text: str) -> Mapping | None:
    """The dictionary that a text spells out."""
    try:
        value = literal(text.translate(STRAIGHT).replace("\n", ""))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def target_format(prompt: str) -> str:
    """The format that a prompt asks for. ValueError if it names none that can be read."""
    asked = re.findall(r"Target Format:\s*(\w+)", prompt) or re.findall(
        r"convert the Input Table from \S+ format to (\w+) format", prompt
    )
    kind = str(asked[-1]).lower() if asked else ""
    if kind not in FORMATS:
        raise ValueError(f"the prompt names no target format of {', '.join(FORMATS)}")
    return kind


def gold_rows(prompt: str, truth: str) -> Rows:
    """The rows of the right table. ValueError if there are none in the format asked for."""
    kind = target_format(prompt)
    try:
        rows = read(kind, truth)
    except UNREADABLE as error:
        raise ValueError(f"the ground truth {truth[:80]!r} is no {kind}: {error}") from error
    if not rows:
        raise ValueError(f"the ground truth {truth[:80]!r} has no rows")
    return rows


def table_reformat(prompt: str, truth: str, text: str) -> float | None:
    """1.0 if a response holds the right table in the format asked for; None without an answer,
    ValueError as in ``gold_rows``.

    The order of the columns and a column ``index`` do not matter, the order of the rows does.
    """
    kind = target_format(prompt)
    wanted = gold_rows(prompt, truth)
    answer = tagged(text, "solution") or text
    blocks = fenced(answer)
    # Without a fence the whole answer, and as it may begin with a sentence, the part that looks
    # like the table.
    candidates = [content for _, content in blocks[-1:]] or [
        answer,
        bare_table(kind, answer, wanted),
    ]
    for candidate in candidates:
        try:
            rows = read(kind, candidate)
        except UNREADABLE:
            continue
        if rows and same_rows(rows, wanted):
            return 1.0
    return 0.0 if answer.strip() else None


def bare_table(kind: str, text: str, wanted: Rows) -> str:
    """The part of a text that may be the table: of csv and tsv from the line with the right
    columns, in any order, to an empty line; of JSON from the first bracket to the last."""
    if kind == "jsonl":
        return "\n".join(line for line in text.splitlines() if line.strip().startswith("{"))
    if kind == "json":
        found = re.search(r"[\[{].*[\]}]", text, re.DOTALL)
        return found[0] if found else ""
    if kind not in DELIMITERS:
        return text
    lines = text.splitlines()
    for number, line in enumerate(lines):
        cells = next(csv.reader([line], delimiter=DELIMITERS[kind]), [])
        names = {cell.strip() for cell in cells} - {"index"}
        if names == set(wanted[0]):
            return "\n".join(lines[number:]).partition("\n\n")[0]
    return ""


def read(kind: str, text: str) -> Rows:
    """Rows of a table. ValueError if the text is none of that kind."""
    text = text.strip()
    if kind in DELIMITERS:
        return sheet(list(csv.reader(io.StringIO(text), delimiter=DELIMITERS[kind])))
    if kind == "jsonl":
        return [checked(json.loads(line)) for line in text.splitlines() if line.strip()]
    if kind == "json":
        return objects(json.loads(text))
    if kind == "markdown":
        lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
        cells = [
            [cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")]
            for line in lines
        ]
        return sheet(
            # The line of dashes under the header is no row.
            [row for row in cells if not all(re.fullmatch(r":?-+:?", cell) for cell in row)]
        )
    if kind == "html":
        parser = Cells()
        parser.feed(text)
        return sheet(parser.rows)
    raise ValueError(f"no reader for the table format {kind!r}")


def checked(row: Any) -> dict[str, Any]:
    """A row that is an object. ValueError if not."""
    if not isinstance(row, dict):
        raise ValueError("a row is not an object")
    return {str(key).strip(): value for key, value in row.items() if key != "index"}


def objects(value: Any) -> Rows:
    """JSON's three ways to write a table: records, records by index, columns and data under
    ``data``."""
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = value["data"]
    return [checked(row) for row in (value.values() if isinstance(value, dict) else value)]


def sheet(rows: list[list[str]]) -> Rows:
    """Rows under a header; one that is shorter ends in empty cells. ValueError if there is no
    header or a row is longer."""
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows or any(len(row) > len(rows[0]) for row in rows):
        raise ValueError("no header, or a row that is longer")
    width = len(rows[0])
    return [
        checked(dict(zip(rows[0], row + [""] * (width - len(row)), strict=True)))
        for row in rows[1:]
    ]


class Cells(HTMLParser):
    """Cells of the tables of an HTML text, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # the base class's signature
        """A row or a cell begins."""
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag: str) -> None:
        """A cell ends."""
        self.inside = self.inside and tag not in ("td", "th", "tr")

    def handle_data(self, data: str) -> None:
        """Text, which counts inside a cell."""
        if self.inside:
            self.rows[-1][-1] += data.strip()


def same_rows(rows: Rows, wanted: Rows) -> bool:
    """Equality of two tables, cell by cell."""
    return len(rows) == len(wanted) and all(
        row.keys() == target.keys() and all(same_cell(row[key], target[key]) for key in row)
        for row, target in zip(rows, wanted, strict=True)
    )


def same_cell(one: Any, other: Any) -> bool:
    """Equality as numbers within 1e-6 if both are some, else as text; nothing is written in many
    ways."""
    first, second = str(one).strip(), str(other).strip()
    if first.lower() in MISSING and second.lower() in MISSING:
        return True
    try:
        return math.isclose(float(first), float(second), rel_tol=0.0, abs_tol=TOLERANCE)
    except ValueError:
        return first == second
