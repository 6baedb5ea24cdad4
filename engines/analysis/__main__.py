"""``python -m engines.analysis CONFIG --out FOLDER``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from engines.analysis import Config
from engines.analysis.figures import draw
from engines.analysis.html import page
from engines.analysis.report import make_report
from engines.analysis.text import comma_separated, headline, markdown, plain
from engines.analysis.tidy import own_rows, tidy_csv
from engines.io import Interrupted, Stop, program, write_results, write_text


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    report = make_report(config)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figures = draw(report, out / "figures")
    for name, text in {"report.txt": plain(report), "report.md": markdown(report, figures), "table.csv": comma_separated(report),
                       "tidy.csv": tidy_csv(report), "report.html": page(report, figures)}.items():
        write_text(out / name, text)
    write_results(out, "analysis", config, own_rows(report), time.monotonic() - start,
                  {"headline": headline(report), "missing": report.missing, "training_seeds": report.seeds})
    print(plain(report))


if __name__ == "__main__":
    sys.exit(program("analysis", Config, run))
