"""``python -m engines.fsm_report CONFIG --out FOLDER``.

In: the config, and what the jobs left in the folders that it names. Out: the report as text and
HTML with its figures, then ``results.json``. Started by the orchestrator as a job like others.
"""

from __future__ import annotations

import time
from pathlib import Path

from engines.contract.files import write_text
from engines.contract.program import Interrupted, Stop, leave, program
from engines.contract.results import write_results
from engines.fsm_report.config import Config
from engines.fsm_report.figures import draw
from engines.fsm_report.page import page
from engines.fsm_report.report import make_report
from engines.fsm_report.rows import own_rows
from engines.fsm_report.tables import make_tables
from engines.fsm_report.text import headline, plain


def run(config: Config, out: Path, stop: Stop) -> None:
    """Write the report in every form, results last."""
    start = time.monotonic()
    report = make_report(config)
    tables = make_tables(report)
    if stop.requested:
        raise Interrupted("the report was not drawn; start it again")
    # Drawing comes before writing: a figure without data is named among what is missing.
    figures = draw(report.inputs, out / "figures")
    text = plain(report, tables)
    write_text(out / "report.txt", text)
    write_text(out / "report.html", page(report, tables, figures))
    write_results(
        out,
        "fsm_report",
        config,
        own_rows(report),
        time.monotonic() - start,
        {
            "headline": headline(report),
            "answers": [answer.sentence for answer in report.answers],
            "missing": report.inputs.missing,
            "skipped": report.inputs.skipped,
        },
    )
    print(text)


if __name__ == "__main__":
    leave(program("fsm_report", Config, run))
