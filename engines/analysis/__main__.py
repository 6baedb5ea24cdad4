"""``python -m engines.analysis CONFIG --out FOLDER``.

In: the config, and what the jobs left in the folders that it names. Out: the report as text,
Markdown, HTML and CSV with its figures, then ``results.json``. Started by the orchestrator as a job
like others, and by `orch compare`.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path

from engines.analysis.config import Config
from engines.analysis.figures.draw import draw
from engines.analysis.page.page import page
from engines.analysis.report import make_report
from engines.analysis.rows import all_rows, own_rows, table_csv
from engines.analysis.tables import make_tables
from engines.analysis.text import headline, markdown, plain
from engines.contract.files import write_text
from engines.contract.program import Interrupted, Stop, leave, program
from engines.contract.results import write_results
from engines.contract.tidy import csv_text, write_parquet


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    report = make_report(config)
    tables = make_tables(report)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    # Drawing comes before writing: a figure without data is named among what is missing.
    figures = draw(report, out / "figures")
    text, rows = plain(report, tables), all_rows(report)
    write_text(out / "report.txt", text)
    write_text(out / "report.md", markdown(report, tables, figures))
    write_text(out / "table.csv", table_csv(report))
    write_text(out / "tidy.csv", csv_text(rows))
    write_text(out / "report.html", page(report, tables, figures))
    if find_spec("pyarrow"):
        write_parquet(out / "tidy.parquet", rows)
    write_results(
        out,
        "analysis",
        config,
        own_rows(report),
        time.monotonic() - start,
        {"headline": headline(report), "missing": report.missing, "training_seeds": report.seeds},
    )
    print(text)


if __name__ == "__main__":
    leave(program("analysis", Config, run))
