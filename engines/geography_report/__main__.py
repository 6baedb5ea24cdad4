"""``python -m engines.geography_report CONFIG --out FOLDER``.

In: the config, and what the jobs left in the folders that it names. Out: the report as text and
HTML with its figures, ``tidy.csv``, then ``results.json``. Started by the orchestrator as a job
like others.
"""

from __future__ import annotations

import time
from pathlib import Path

from engines.contract.files import write_text
from engines.contract.program import Interrupted, Stop, leave, program
from engines.contract.results import write_results
from engines.contract.tidy import csv_text
from engines.geography_report.config import Config
from engines.geography_report.figures.draw import draw
from engines.geography_report.page import page
from engines.geography_report.report import make_report
from engines.geography_report.rows import all_rows, own_rows
from engines.geography_report.tables import make_tables, raw_tables
from engines.geography_report.text import findings, headline, plain


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    report = make_report(config)
    tables, raw = make_tables(report), raw_tables(report)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figures = draw(report, out / "figures")
    text = plain(report, tables, raw)
    write_text(out / "report.txt", text)
    write_text(out / "report.html", page(report, tables, raw, figures))
    write_text(out / "tidy.csv", csv_text(all_rows(report)))
    facts = {
        "headline": headline(report),
        "findings": findings(report),
        "nothing_learned": report.nothing_learned,
        "missing": report.inputs.missing,
        "skipped": report.inputs.skipped,
    }
    write_results(
        out, "geography_report", config, own_rows(report), time.monotonic() - start, facts
    )
    print(text)


if __name__ == "__main__":
    leave(program("geography_report", Config, run))
