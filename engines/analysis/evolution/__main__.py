"""``python -m engines.analysis.evolution CONFIG --out FOLDER``.

In: the config, and the scores of the checkpoints that it names. Out: the report as text, Markdown,
HTML and CSV with its figures, then ``results.json``. Started by `orch evolve`.
"""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path

from engines.analysis.evolution.config import Config
from engines.analysis.evolution.figures import draw
from engines.analysis.evolution.page import page
from engines.analysis.evolution.report import make_report
from engines.analysis.evolution.rows import all_rows, facts
from engines.analysis.evolution.tables import make_tables
from engines.analysis.evolution.text import markdown, plain
from engines.contract.files import write_text
from engines.contract.program import Interrupted, Stop, leave, program
from engines.contract.results import write_results
from engines.contract.tidy import csv_text, with_ends, write_parquet


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    report = make_report(config)
    tables = make_tables(report)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figures = draw(report, out / "figures")
    text, rows = plain(report, tables), all_rows(report)
    write_text(out / "report.txt", text)
    write_text(out / "report.md", markdown(report, tables, figures))
    write_text(out / "report.html", page(report, tables, figures))
    write_text(out / "tidy.csv", csv_text(rows))
    if find_spec("pyarrow"):
        write_parquet(out / "tidy.parquet", rows)
    write_results(
        out,
        "analysis.evolution",
        config,
        [with_ends(row) for row in rows],
        time.monotonic() - start,
        facts(report),
    )
    print(text)


if __name__ == "__main__":
    leave(program("analysis.evolution", Config, run))
