"""Metrics in a JSONL or CSV file, Lightning's metrics.csv, and results in a JSON file.

In: a path, or a pattern that several files fit (one for each life of the program). Out: points; of
a JSON file, whose values are of no step, results. Called by ``kinds``.

Line by line, so that a torn line, a key that comes late, NaN or a text in a column of numbers cost
nothing but themselves: libraries that read whole tables drop or refuse them.
"""

from __future__ import annotations

import csv
import json
import re

from orchestrator.node.reads.files import Place, read_object, read_text
from orchestrator.node.reads.series import Found, Point, flat, number, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Row = dict[str, Any]

TIMES = ("time", "timestamp", "_timestamp", "wall_time")
"""Keys that may say when, in Unix seconds."""
SECONDS = (1e9, 1e11)
"""What may be a time: from 2001 on, and no milliseconds."""
KEYS_SHOWN = 8


def read_jsonl(place: Place, step: str, final: bool) -> Found:
    """The rows of JSONL files."""
    return read_rows(place, step or "step", final, json_rows, place.matching())


def read_csv(place: Place, step: str, final: bool) -> Found:
    """The rows of CSV files with a header."""
    return read_rows(place, step or "step", final, csv_rows, place.matching())


def read_json(place: Place, final: bool) -> Found:
    """The numbers of the object that a JSON file holds, as results; of several files the last one
    written says what both say."""
    found = Found()
    for path in place.matching():
        values = read_object(path)
        if values is not None:
            found.rows += rows_of_object(values)
        # It may be being written.
        elif final:
            found.problems.append(f"{place.shown(path)}: holds no JSON object")
    return found


def rows_of_object(values: Row) -> list[Row]:
    """A result for each number."""
    return [
        {"metric": metric, "value": value, "n": 1, "axes": {}}
        for metric, one in flat(values).items()
        if (value := number(one)) is not None
    ]


def read_lightning(place: Place, _step: str, final: bool) -> Found:
    """What CSVLogger has written into ``version_0``, ``version_1``, ...: a folder for each life."""
    files = sorted(place.below("metrics.csv"), key=version)
    found = read_rows(place, "step", final, csv_rows, files)
    for point in found.points:
        # It counts from 0, before the step: a checkpoint of step 8 follows the row of step 7.
        point.step += 1
    return found


def version(path: str) -> int:
    """The number in ``version_1``."""
    match = re.search(r"version_(\d+)[/\\][^/\\]*$", path)
    return int(match[1]) if match else -1


def read_rows(place: Place, step: str, final: bool, rows: Any, files: list[str]) -> Found:
    """Points of all rows of the files, and what is wrong with them."""
    found = Found()
    keys: dict[str, None] = {}
    without = 0
    for path in files:
        bad: list[int] = []
        for row in rows(read_text(path), final, bad):
            point = point_of(row, step)
            if point is None:
                without += 1
                keys.update(dict.fromkeys(row))
            else:
                found.points.append(point)
        if bad:
            found.problems.append(
                f"{place.shown(path)}:{bad[0]}: cannot be read; passed over, as {len(bad)} "
                f"{'line is' if len(bad) == 1 else 'lines are'} in all"
            )
    if without and not found.points:
        shown = ", ".join(list(keys)[:KEYS_SHOWN])
        found.problems.append(f"no row has a whole number under '{step}'; keys: {shown}")
    elif without:
        found.problems.append(f"{without} rows have no whole number under '{step}'; passed over")
    return found


def point_of(row: dict[str, Any], step: str) -> Point | None:
    """What one row says; None without a step."""
    at = whole(row.get(step))
    if at is None:
        return None
    time = None
    metrics = {}
    for key, value in row.items():
        found = number(value)
        if found is None or key == step:
            continue
        if key in TIMES and SECONDS[0] < found < SECONDS[1]:
            time = float(found)
        else:
            metrics[key] = found
    total = whole(metrics.pop("total", None)) or None
    return Point(at, metrics, time, total)


def json_rows(text: str, final: bool, bad: list[int]) -> Iterator[Row]:
    """The objects in lines of JSON; ``bad`` gets the other lines' numbers."""
    lines = text.split("\n")
    for line, content in enumerate(lines, start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            yield flat(row)
        # The last line may be being written.
        elif final or line < len(lines):
            bad.append(line)


def csv_rows(text: str, final: bool, bad: list[int]) -> Iterator[Row]:
    """The rows below a header; empty cells and texts are left out."""
    # The file may be being written: without its end a cell is another number.
    if not final and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
    reader = csv.reader(text.splitlines())
    header = next(reader, [])
    for cells in reader:
        if not cells:
            continue
        # A kill has torn it, or it is of another header.
        if len(cells) != len(header):
            bad.append(reader.line_num)
            continue
        row = {}
        for name, cell in zip(header, cells, strict=True):
            try:
                row[name] = float(cell)
            except ValueError:
                continue
        yield row
