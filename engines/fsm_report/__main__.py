"""``python -m engines.fsm_report CONFIG --out FOLDER``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from engines.contract.files import write_text
from engines.contract.program import Interrupted, Stop, program
from engines.contract.results import write_results
from engines.fsm_report.answers import answer
from engines.fsm_report.config import Config
from engines.fsm_report.figures import draw
from engines.fsm_report.load import read_jobs
from engines.fsm_report.text import Report, headline, own_rows, page, plain, sentence


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    found = read_jobs(config)
    report = Report(
        config, found, [answer(question, found, config) for question in config.questions]
    )
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    figures = draw(found, out / "figures")
    write_text(out / "report.txt", plain(report))
    write_text(out / "report.html", page(report, figures))
    write_results(
        out,
        "fsm_report",
        config,
        own_rows(found),
        time.monotonic() - start,
        {
            "headline": headline(report),
            "answers": [sentence(one) for one in report.answers],
            "missing": found.missing,
            "skipped": found.skipped,
        },
    )
    print(plain(report))


if __name__ == "__main__":
    sys.exit(program("fsm_report", Config, run))
