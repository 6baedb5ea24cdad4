"""``python -m engines.polychromic_report CONFIG --out FOLDER``.

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
from engines.polychromic_report.config import Config
from engines.polychromic_report.figures.draw import draw
from engines.polychromic_report.page import page
from engines.polychromic_report.report import make_report
from engines.polychromic_report.rows import all_rows, own_rows
from engines.polychromic_report.tables import make_tables
from engines.polychromic_report.text import findings, headline, plain


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    report = make_report(config)
    tables = make_tables(report)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figures = draw(report, out / "figures")
    text = plain(report, tables)
    write_text(out / "report.txt", text)
    write_text(out / "report.html", page(report, tables, figures))
    write_text(out / "tidy.csv", csv_text(all_rows(report)))
    facts = {
        "headline": headline(report),
        "findings": findings(report),
        "conclusions": {family.name: family.conclusion.level for family in report.families},
        "missing": report.inputs.missing,
        "skipped": report.inputs.skipped,
    }
    rows = own_rows(report)
    write_results(out, "polychromic_report", config, rows, time.monotonic() - start, facts)
    print(text)


if __name__ == "__main__":
    leave(program("polychromic_report", Config, run))
