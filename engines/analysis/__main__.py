"""``python -m engines.analysis CONFIG --out FOLDER``."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path

from engines.analysis.config import Config
from engines.analysis.figures import draw
from engines.analysis.html import page
from engines.analysis.report import make_report
from engines.analysis.rows import all_rows, own_rows
from engines.analysis.text import comma_separated, headline, markdown, plain
from engines.contract.files import write_text
from engines.contract.program import Interrupted, Stop, program
from engines.contract.results import write_results
from engines.contract.tidy import csv_text, write_parquet


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    report = make_report(config)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figures = draw(report, out / "figures")
    for name, text in {
        "report.txt": plain(report),
        "report.md": markdown(report, figures),
        "table.csv": comma_separated(report),
        "tidy.csv": csv_text(all_rows(report)),
        "report.html": page(report, figures),
    }.items():
        write_text(out / name, text)
    if find_spec("pyarrow"):
        write_parquet(out / "tidy.parquet", all_rows(report))
    write_results(
        out,
        "analysis",
        config,
        own_rows(report),
        time.monotonic() - start,
        {"headline": headline(report), "missing": report.missing, "training_seeds": report.seeds},
    )
    print(plain(report))


if __name__ == "__main__":
    sys.exit(program("analysis", Config, run))
