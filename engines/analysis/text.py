"""The report as words: headline, tables, notes; plain text of at most 100 columns, Markdown, CSV."""

from __future__ import annotations

import csv
import io
import textwrap

from engines.analysis.comparison import Line, Report
from engines.statistics import Interval

HEAD = ["domain", "n", "baseline", "treatment", "difference [95 %]", "detectable"]
READING = ("How to read this: scores are per cent, differences are percentage points (treatment minus baseline) on the same problems. An "
           "interval that excludes 0 is evidence of a difference; one that holds 0 says that these problems cannot tell the arms "
           "apart, not that they are equal. 'detectable' is the true difference that so many problems find with 80 % power. "
           "Intervals per domain are not corrected for looking at several domains: the macro mean is the one question.")


def apart(interval: Interval) -> str:
    """A difference in percentage points."""
    return f"{100 * interval.value:+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def cells(line: Line) -> list[str]:
    """One table row."""
    if line.missing or not (line.baseline and line.treatment and line.difference):
        return [line.name, str(line.n), "missing", "missing", line.missing, ""]
    detectable = "unknown" if line.detectable is None else f"{100 * line.detectable:.1f}"
    return [line.name, str(line.n), f"{100 * line.baseline.value:.1f}", f"{100 * line.treatment.value:.1f}", apart(line.difference),
            detectable]


def headline(report: Report) -> str:
    """The sentence that answers the question."""
    names, macro = report.config.compare, report.lines[-1]
    if macro.difference is None:
        return f"No answer: {macro.missing}."
    verdict = f"the {macro.n} problems cannot tell {names.treatment} from {names.baseline}"
    if macro.difference.low > 0 or macro.difference.high < 0:
        side = "better" if macro.difference.low > 0 else "worse"
        verdict = f"{names.treatment} is {side} than {names.baseline} on these {macro.n} problems"
    return f"{report.config.metric}: {verdict}: {apart(macro.difference)} points, macro mean over domains."


def notes(report: Report) -> list[str]:
    """What the numbers do not say."""
    seeds = "; ".join(f"{arm}: {len(found)}" for arm, found in report.seeds.items())
    lines = [f"Training seeds: {seeds}."]
    if report.over_seeds is not None:
        lines.append(f"Over training seeds the macro difference is {apart(report.over_seeds)} (Student's t over seeds).")
    else:
        lines.append("The intervals cover the choice of problems, not the variance of training: that takes at least two seeds "
                     "that both arms share.")
    return [*lines, READING]


def table(rows: list[list[str]]) -> str:
    """Aligned columns: first left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))).rstrip()
                     for row in rows)


def plain(report: Report) -> str:
    """``report.txt``."""
    parts = [textwrap.fill(headline(report), 100), table([HEAD, *map(cells, report.lines)])]
    parts += [textwrap.fill(note, 100) for note in notes(report)]
    if report.missing:
        items = [textwrap.fill(f"- {item}", 100, subsequent_indent="  ") for item in report.missing]
        parts.append("\n".join(["Missing:", *items]))
    return "\n\n".join(parts) + "\n"


def markdown(report: Report) -> str:
    """``report.md``."""
    rows = [HEAD, ["---"] + ["---:"] * 5, *map(cells, report.lines)]
    parts = [f"**{headline(report)}**", "\n".join("| " + " | ".join(row) + " |" for row in rows), *notes(report)]
    parts += ["Missing:\n\n" + "\n".join(f"- {m}" for m in report.missing)] if report.missing else []
    return "\n\n".join(parts) + "\n"


def comma_separated(report: Report) -> str:
    """``table.csv``: shares, unrounded."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["domain", "n", "baseline", "treatment", "difference", "low", "high", "minimum_detectable", "missing"])
    for line in report.lines:
        d = line.difference
        writer.writerow([line.name, line.n, line.baseline and line.baseline.value, line.treatment and line.treatment.value,
                         d and d.value, d and d.low, d and d.high, line.detectable, line.missing])
    return stream.getvalue()
