"""The table of a comparison for a terminal: each difference with its interval.

In: the lines of ``table.csv`` that a comparison has written, as text. Out: columns, or lines. Pure.
Called by `orch compare`; into a pipe goes the report as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from orchestrator.views.tables.columns import Column, Kind, column, numbers
from orchestrator.views.tables.drawing import Screen, draw, sentence
from orchestrator.views.tables.folding import counted

MACRO = "macro mean"
MINUS = "\N{MINUS SIGN}"
LEAST_P = 0.001
LEVEL = 0.05
"""A corrected p-value below it is evidence, and its difference bold."""
Row = Mapping[str, str]


def comparison_lines(
    headline: str, rows: Sequence[Row], missing: Sequence[str], screen: Screen
) -> list[Text]:
    """The answer, the table, and how much is missing."""
    columns = measured_columns(rows) if "metric" in rows[0] else judged_columns(rows)
    drawn = draw(columns, screen)
    lines = [*sentence(headline, screen, style="bold"), Text(), *drawn.lines]
    for note in drawn.notes:
        # Here is no option for it; all of it stands in the report.
        lines += sentence(note.plain.replace(" (--wide)", ""), screen, style="dim")
    for row in rows:
        if row["missing"] and not row["difference"]:
            name = row.get("task") or row.get("domain", "")
            lines += sentence(f"{name}: {row['missing']}", screen, style="dim")
    if missing:
        told = f"{counted(len(missing), 'thing')} missing or unequal, the first: {missing[0]}"
        lines += [Text(), *sentence(told, screen, style="yellow")]
    return lines


def judged_columns(rows: Sequence[Row]) -> list[Column]:
    """Two evaluations, domain by domain, in per cent and points."""
    # The mean over all is what was asked; a task is set in below its domain.
    ordered = [*(row for row in rows if is_macro(row)), *(row for row in rows if not is_macro(row))]
    names = [f"  {row['task']}" if row["task"] else row["domain"] for row in ordered]
    return [
        column("domain", Kind.WHOLE, names),
        differences(ordered, 100.0, 1),
        column("95 % interval", Kind.NUMBER, (interval(row, 100.0, 1) for row in ordered), 3),
        shares("baseline", ordered),
        shares("treatment", ordered),
        column("p, corrected", Kind.NUMBER, (p_text(row["p_adjusted"]) for row in ordered), 5),
        column(
            "found from",
            Kind.NUMBER,
            (points(row["minimum_detectable"], 100.0, 1, sign=False) for row in ordered),
            6,
        ),
        column("n", Kind.NUMBER, (row["n"] for row in ordered), 6),
    ]


def measured_columns(rows: Sequence[Row]) -> list[Column]:
    """Two runs of commands, metric by metric, in the metrics' own units."""
    return [
        column("metric", Kind.KEY, (row["metric"] for row in rows)),
        column("stage", Kind.AXIS, (row["stage"] for row in rows)),
        column("setting", Kind.KEY, (row["setting"] for row in rows)),
        values("baseline", rows),
        values("treatment", rows),
        differences(rows, 1.0, 4),
        column("95 % interval", Kind.NUMBER, (interval(row, 1.0, 4) for row in rows), 3),
        column("p, corrected", Kind.NUMBER, (p_text(row["p_adjusted"]) for row in rows), 5),
        column("pairs", Kind.NUMBER, (row["pairs"] for row in rows), 6),
        column("verdict", Kind.PROSE, (row["verdict"] for row in rows), 2, floor=13),
    ]


def is_macro(row: Row) -> bool:
    """Whether a line is the mean over all domains."""
    return row["domain"] == MACRO and not row["task"]


def differences(rows: Sequence[Row], times: float, digits: int) -> Column:
    """Treatment minus baseline; bold where there is evidence."""
    cells = tuple(points(row["difference"], times, digits) for row in rows)
    styles = tuple("bold" if is_evident(row["p_adjusted"]) else "" for row in rows)
    return Column(name="difference", kind=Kind.NUMBER, cells=cells, styles=styles)


def is_evident(p_value: str) -> bool:
    """Whether a corrected p-value is evidence."""
    return bool(p_value) and float(p_value) < LEVEL


def shares(name: str, rows: Sequence[Row]) -> Column:
    """The scores of one side in per cent."""
    cells = (points(row[name], 100.0, 1, sign=False) for row in rows)
    return column(f"{name} %", Kind.NUMBER, cells, 2)


def values(name: str, rows: Sequence[Row]) -> Column:
    """The means of one side."""
    known = [float(row[name]) if row[name] else None for row in rows]
    return column(name, Kind.NUMBER, numbers(known), 2)


def points(text: str, times: float, digits: int, sign: bool = True) -> str:
    """A number as it is read; nothing where there is none."""
    if not text:
        return ""
    value = times * float(text)
    # The same as the tables of the report: so many digits after the point, or in all.
    form = f"{'+' if sign else ''}{f'.{digits}f' if times > 1 else f'.{digits}g'}"
    return format(value, form).replace("-", MINUS, 1)


def interval(row: Row, times: float, digits: int) -> str:
    """``+0.4 to +2.2``."""
    if not row["low"] or not row["high"]:
        return ""
    return f"{points(row['low'], times, digits)} to {points(row['high'], times, digits)}"


def p_text(text: str) -> str:
    """A p-value, never rounded to zero."""
    if not text:
        return ""
    return f"< {LEAST_P}" if float(text) < LEAST_P else f"{float(text):.3f}"
