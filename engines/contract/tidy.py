"""Tidy rows of many jobs as one table: CSV, parquet. Light on purpose: parquet alone asks for
pyarrow."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.contract.config import ConfigError
from engines.contract.results import Row

FIRST = ("job", "stage", "metric", "value", "n", "low", "high", "spread", "error", "source")
"""Columns that every row has; those of the axes follow."""


@dataclass(frozen=True)
class Tidy:
    """One row with the ends of its 95 % interval, where it has one, and the files it comes from."""

    row: Row
    source: str
    low: float | None = None
    high: float | None = None
    job: str = ""
    stage: str = ""


def with_ends(line: Tidy) -> Row:
    """The row for ``results.json``; the ends of its interval are among its axes."""
    ends = {} if line.low is None or line.high is None else {"low": line.low, "high": line.high}
    return line.row.model_copy(update={"axes": {**line.row.axes, **ends}})


def records(lines: Sequence[Tidy]) -> list[dict[str, Any]]:
    """One mapping per row, all with the same keys: FIRST, then every axis; an axis that a row does
    not have is None.

    An axis of the same name as one of the first columns gets ``axis_`` in front.
    """
    names = sorted({name for line in lines for name in line.row.axes})
    columns = {name: f"axis_{name}" if name in FIRST else name for name in names}
    found = []
    for line in lines:
        row = line.row
        first = (
            line.job,
            line.stage,
            row.metric,
            row.value,
            row.n,
            line.low,
            line.high,
            row.spread,
            row.error,
            line.source,
        )
        found.append(
            {
                **dict(zip(FIRST, first, strict=True)),
                **{columns[name]: row.axes.get(name) for name in names},
            }
        )
    return found


def csv_text(lines: Sequence[Tidy]) -> str:
    """The rows as CSV: shares, unrounded."""
    stream = io.StringIO()
    found = records(lines)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(found[0] if found else FIRST)
    writer.writerows(record.values() for record in found)
    return stream.getvalue()


def write_parquet(path: Path, lines: Sequence[Tidy]) -> None:
    """The rows as parquet; an axis whose values are of several types is text. ConfigError without
    pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(
            "writing parquet needs pyarrow: run: pip install pyarrow, or export CSV"
        ) from error
    found = records(lines)
    columns: dict[str, list[Any]] = {
        name: [record[name] for record in found] for name in (found[0] if found else FIRST)
    }
    for name, values in columns.items():
        if len({type(value) for value in values if value is not None}) > 1:
            columns[name] = (
                [float(value) for value in values]
                if name in FIRST
                else [None if v is None else str(v) for v in values]
            )
    parquet.write_table(pyarrow.table(columns), path)
