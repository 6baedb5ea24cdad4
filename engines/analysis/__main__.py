"""``python -m engines.analysis CONFIG --out FOLDER``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from engines.analysis import Config
from engines.analysis.figures import draw
from engines.analysis.html import page
from engines.analysis.report import Report, make_report
from engines.analysis.text import comma_separated, headline, markdown, plain
from engines.io import Interrupted, Row, Stop, program, write_results, write_text


def rows_of(report: Report) -> list[Row]:
    """Scores of both arms and their difference; a missing one with its reason."""
    metric, found = report.config.metric, []
    for line in report.lines:
        parts = {report.config.compare.baseline: line.baseline, report.config.compare.treatment: line.treatment}
        for arm, interval in parts.items():
            axes: dict[str, str | int | float | bool] = {"task" if line.task else "domain": line.name, report.config.compare.axis: arm}
            found.append(Row(metric=metric, value=interval.value if interval else None, n=line.n, axes=axes,
                             error=None if interval else line.missing))
        d = line.difference
        bounds = {"low": d.low, "high": d.high} if d else {}
        found.append(Row(metric=f"{metric}_difference", value=d.value if d else None, n=line.n,
                         axes={"task" if line.task else "domain": line.name, **bounds}, error=None if d else line.missing))
    return found


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    report = make_report(config)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figures = draw(report, out / "figures")
    for name, text in {"report.txt": plain(report), "report.md": markdown(report), "table.csv": comma_separated(report),
                       "report.html": page(report, figures)}.items():
        write_text(out / name, text)
    write_results(out, "analysis", config, rows_of(report), time.monotonic() - start,
                  {"headline": headline(report), "missing": report.missing, "training_seeds": report.seeds})
    print(plain(report))


if __name__ == "__main__":
    sys.exit(program("analysis", Config, run))
