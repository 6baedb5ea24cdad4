"""Rows of many jobs as one table in tidy form (one value per line): CSV and parquet.

In: rows of ``results.json`` with the job and the file that each comes from. Out: CSV text, or a
parquet file. The reports write ``tidy.csv`` with it, ``orch results`` exports. Light on purpose:
parquet alone asks for pyarrow.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
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
    told: Mapping[str, str | int | float | bool] | None = None
    """The axes by which it is told apart among many jobs, where these are more than its own."""

    @property
    def axes(self) -> Mapping[str, str | int | float | bool]:
        """The axes that tell it apart."""
        return self.row.axes if self.told is None else self.told


def with_ends(line: Tidy) -> Row:
    """The row for ``results.json``; the ends of its interval are among its axes."""
    if line.low is None or line.high is None:
        return line.row
    axes = {**line.row.axes, "low": line.low, "high": line.high}
    return line.row.model_copy(update={"axes": axes})


def records(lines: Sequence[Tidy]) -> list[dict[str, Any]]:
    """One mapping per row, all with the same keys: FIRST, then every axis; an axis that a row does
    not have is None.

    An axis of the same name as one of the first columns gets ``axis_`` in front.
    """
    axes = sorted({axis for line in lines for axis in line.axes})
    # An axis of the same name as one of the first columns.
    columns = {axis: f"axis_{axis}" if axis in FIRST else axis for axis in axes}
    table = []
    for line in lines:
        row = line.row
        record: dict[str, Any] = {
            "job": line.job,
            "stage": line.stage,
            "metric": row.metric,
            "value": row.value,
            "n": row.n,
            "low": line.low,
            "high": line.high,
            "spread": row.spread,
            "error": row.error,
            "source": line.source,
        }
        own = line.axes
        for axis, column in columns.items():
            record[column] = own.get(axis)
        table.append(record)
    return table


def csv_text(lines: Sequence[Tidy]) -> str:
    """The rows as CSV: shares, unrounded."""
    stream = io.StringIO()
    table = records(lines)
    # csv's own end of a line is "\r\n".
    writer = csv.writer(stream, lineterminator="\n")
    # A record gives its keys when it is iterated over, and they are the same in all records.
    writer.writerow(table[0] if table else FIRST)
    writer.writerows(record.values() for record in table)
    return stream.getvalue()


def write_parquet(path: Path, lines: Sequence[Tidy]) -> None:
    """The rows as parquet. ConfigError without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(
            "writing parquet needs pyarrow: run: pip install pyarrow, or export CSV"
        ) from error
    table = records(lines)
    names = list(table[0]) if table else list(FIRST)
    # An axis may be a number in one job and text in another,
    # seed=0 and seed=all; a column of parquet has one type.
    columns = {
        name: one_type([record[name] for record in table], number=name in FIRST) for name in names
    }
    parquet.write_table(pyarrow.table(columns), path)


def one_type(values: list[Any], number: bool) -> list[Any]:
    """The values of a column, all of one type, as parquet asks for: where there are several,
    numbers as floats, axes as text."""
    types = {type(value) for value in values if value is not None}
    if len(types) <= 1:
        return values
    if number:
        return [float(value) for value in values]
    return [None if value is None else str(value) for value in values]
