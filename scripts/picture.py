"""Write pictures of a run for the documentation: what the terminal shows of it.

ORCH_RUNS=... python scripts/picture.py docs/img/demo.svg          a finished run and its report
ORCH_RUNS=... python scripts/picture.py docs/img/watch.svg KEY...  orch watch, after these keys
"""

from __future__ import annotations

import asyncio
import io
import shlex
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from orchestrator.runs.lookup import find_run
from orchestrator.views.overview.summary import status_lines
from orchestrator.views.tables.drawing import Screen
from orchestrator.views.watch.app import Watch

WIDTH = 118
WATCHED = (120, 36)
"""Columns and lines of the terminal in which `orch watch` is shown."""


def demo(path: Path) -> None:
    """Record the command, the table of the run and its report, and save them as one SVG."""
    run = find_run(None)
    records, now = run.load(), time.time()
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    words = ["orch", "launch", run.plan.experiment, "--preset", str(run.plan.preset)]
    words += [word for one in run.plan.overrides for word in ("--set", one)]
    console.print(Text(f"$ {shlex.join(words)}", style="bold"))
    console.print(Text("\n").join(status_lines(run, records, "", now, Screen(WIDTH))))
    console.print(Text("\n$ orch report", style="bold"))
    (report,) = (job for job in run.plan.jobs if job.stage == "report")
    text = (run.out_folder(report) / "report.txt").read_text()
    console.print(Text(text.split("How to read")[0].rstrip()))
    console.save_svg(str(path), title="orch")


async def watched(path: Path, keys: list[str]) -> None:
    """Save the full-screen view as an SVG."""
    app = Watch(find_run(None))
    async with app.run_test(size=WATCHED) as pilot:
        await pilot.pause(2.0)
        await pilot.press(*keys)
        await pilot.pause(1.0)
        path.write_text(app.export_screenshot(title="orch watch"))


def main() -> None:
    """Make the picture that is asked for."""
    path = Path(sys.argv[1])
    if path.stem == "watch":
        asyncio.run(watched(path, sys.argv[2:]))
    else:
        demo(path)


if __name__ == "__main__":
    main()
