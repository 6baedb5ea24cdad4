"""Write docs/img/demo.svg from a finished run: what the terminal shows of it.

    ORCH_RUNS=... python scripts/picture.py docs/img/demo.svg
"""

from __future__ import annotations

import io
import sys
import time

from rich.console import Console
from rich.text import Text

from orchestrator.run import find_run
from orchestrator.status import render, status_rows

WIDTH = 118


def main() -> None:
    """Record the command, the table of the run and its report, and save them as one SVG."""
    run = find_run(None)
    records, now = run.load(), time.time()
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text("$ orch launch mtl-comparison --preset smoke --set 'train.matrix.seed=[0, 1, 2]'", style="bold"))
    console.print(render(run, status_rows(run, records, now), "", now, WIDTH))
    console.print(Text("\n$ orch report", style="bold"))
    (report,) = (run.folder / record.folder / "out" / "report.txt" for record in records if record.stage == "report")
    console.print(Text(report.read_text().split("How to read")[0].rstrip()))
    console.save_svg(sys.argv[1], title="orch")


if __name__ == "__main__":
    main()
