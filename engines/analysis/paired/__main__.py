"""``python -m engines.analysis.paired CONFIG --out FOLDER``.

In: the config, and what the jobs of two sides have left. Out: the comparison as text, CSV and HTML,
then ``results.json``. Started by `orch compare`.
"""

from __future__ import annotations

import time
from pathlib import Path

from engines.analysis.paired.config import Config
from engines.analysis.paired.differences import differences
from engines.analysis.paired.load import read_paired
from engines.analysis.paired.text import page, plain, sentence, table_csv
from engines.contract.files import write_text
from engines.contract.program import Stop, leave, program
from engines.contract.results import write_results


def run(config: Config, out: Path, _stop: Stop) -> None:
    """Write the comparison in every form, results last."""
    start = time.monotonic()
    paired = read_paired(config)
    found = differences(paired.lines)
    text = plain(found, paired, config)
    write_text(out / "report.txt", text)
    write_text(out / "table.csv", table_csv(found))
    write_text(out / "report.html", page(found, paired, config))
    # No rows: the metrics are the commands' own.
    told = {"headline": sentence(found, config), "missing": paired.missing}
    write_results(out, "analysis.paired", config, [], time.monotonic() - start, told)
    print(text)


if __name__ == "__main__":
    leave(program("analysis.paired", Config, run))
