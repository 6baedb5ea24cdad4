"""Write pictures of a run for the documentation: what a terminal and a browser show of it.

    python scripts/picture.py docs/img/demo.svg RUN            a finished run and its report
    python scripts/picture.py docs/img/watch.svg RUN KEY...    orch watch, after these keys
    python scripts/picture.py docs/img/page.png RUN            orch page
    python scripts/picture.py docs/img/report.png RUN          the run's report

RUN is one of those below ORCH_RUNS. Of a page its upper part is shown; that needs playwright and a
Chromium of the system. Which runs the pictures of the docs are of: `make pictures`.
"""

from __future__ import annotations

import asyncio
import io
import shlex
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from orchestrator.runs.lookup import find_run
from orchestrator.runs.run import Run
from orchestrator.views.overview.summary import status_lines
from orchestrator.views.page.page import write_page
from orchestrator.views.tables.drawing import Screen
from orchestrator.views.watch.app import Watch

WIDTH = 118
PAGE = (1000, 1900)
"""Of a page in the browser, in pixels; of a lower one all."""
COLOURS = 64
WATCHED = (120, 36)
"""Columns and lines of the terminal in which `orch watch` is shown."""


def demo(path: Path, run: Run) -> None:
    """Record the command, the table of the run and its report, and save them as one SVG."""
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


async def watched(path: Path, run: Run, keys: list[str]) -> None:
    """Save the full-screen view as an SVG."""
    app = Watch(run)
    async with app.run_test(size=WATCHED) as pilot:
        await pilot.pause(2.0)
        await pilot.press(*keys)
        await pilot.pause(1.0)
        path.write_text(app.export_screenshot(title="orch watch"))


def shot(path: Path, html: Path) -> None:
    """Save the upper part of a page, as a browser shows it."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        width, most = PAGE
        page = browser.new_page(viewport={"width": width, "height": 100})
        page.goto(html.resolve().as_uri())
        height = min(most, page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=path)
    # A page has few colours: a palette of them is a third of the size.
    Image.open(path).convert("P", palette=Image.Palette.ADAPTIVE, colors=COLOURS).save(
        path, optimize=True
    )


def main() -> None:
    """Make the picture that is asked for."""
    path, run = Path(sys.argv[1]), find_run(sys.argv[2])
    if path.suffix == ".svg":
        if path.stem == "watch":
            asyncio.run(watched(path, run, sys.argv[3:]))
        else:
            demo(path, run)
    elif path.stem.startswith("report"):
        job = next(job for job in run.plan.jobs if job.stage == "report")
        shot(path, run.out_folder(job) / "report.html")
    else:
        shot(path, write_page(run, run.load(), "", time.time()))


if __name__ == "__main__":
    main()
