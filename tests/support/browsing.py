"""The page of `orch serve` in a real browser: its tabs, and waiting for what they show.

A test takes the fixture ``browser`` (tests/conftest.py), which needs playwright
(`pip install playwright`, extra `browser`) and a Chromium of the system, or one that playwright has
installed itself.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.serving import Served

CONTRAST = Path(__file__).with_name("contrast.js")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def started_browser() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="no playwright: pip install 'slurm-ml-orchestrator[browser]'"
    )
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    # Nothing on this machine's own address goes through a proxy.
    os.environ["NO_PROXY"] = "*"
    with api.sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
        # Chromium's own sandbox does not run as root; what it shows here is ours.
        yield playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


def wait(page: Any, expression: str, value: Any = None, seconds: float = 240) -> None:
    """Until JavaScript says so. Playwright's own waiting evaluates in the page, which the policy
    of the page forbids."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression, value):
        assert time.monotonic() < deadline, f"{expression}: {page.inner_text('body')[:2000]}"
        page.wait_for_timeout(50)


class Tab:
    """A page, with what went wrong in it."""

    def __init__(
        self,
        browser: Any,
        server: Served,
        width: int = 1280,
        dark: bool = False,
        motion: str = "no-preference",
    ) -> None:
        scheme = "dark" if dark else "light"
        size = {"width": width, "height": 800}
        self.context = browser.new_context(
            viewport=size, color_scheme=scheme, reduced_motion=motion
        )
        # Of a machine on which much else runs.
        self.context.set_default_timeout(240_000)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self.heard)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.server = server

    def heard(self, message: Any) -> None:
        # What the server refuses is shown by the page, and by Chromium here too.
        if message.type == "error" and "status of 409" not in message.text:
            self.faults.append(message.text)

    def open(self, **chosen: str) -> Any:
        """Show what the address says."""
        hash_ = "&".join(f"{key}={value}" for key, value in chosen.items())
        self.page.goto(f"{self.server.url}#{hash_}")
        # The part before it is shown until the answers for this one are there.
        part = chosen.get("part", "overview")
        self.page.wait_for_selector(f"#parts a[aria-current][data-key=part-{part}]")
        return self.page

    def is_whole(self) -> None:
        """Nothing went wrong, nothing is asked elsewhere, nothing stands outside."""
        assert self.faults == []
        assert [url for url in self.asked if not url.startswith(self.server.url)] == []
        assert self.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


class Node(NamedTuple):
    """What a screen reader is told of an element."""

    role: str
    name: str


def tree(page: Any) -> list[Node]:
    """Chromium's accessibility tree of a page, as a list, without what is ignored."""
    session = page.context.new_cdp_session(page)
    session.send("Accessibility.enable")
    found = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    return [
        Node(one["role"]["value"], one.get("name", {}).get("value", ""))
        for one in found
        if not one.get("ignored") and "role" in one
    ]


def faint(page: Any, marks: Mapping[str, str]) -> list[str]:
    """Text and marks that stand out too little; by selector, ``marks`` says by which colour."""
    found = page.evaluate(CONTRAST.read_text(), dict(marks))
    # Otherwise nothing was looked at.
    assert found["texts"] > 5
    faults: list[str] = found["faults"]
    return faults


def ill_read(browser: Any, page_file: Path) -> list[str]:
    """What is wrong with a written page for a reader's eyes, on a screen, a phone and paper, in
    both schemes, with everything unfolded."""
    found = []
    for scheme, width, media in (
        ("light", 1280, "screen"),
        ("dark", 1280, "screen"),
        ("light", 420, "screen"),
        ("light", 794, "print"),
    ):
        page = browser.new_page(
            color_scheme=scheme, viewport={"width": width, "height": 1123}, reduced_motion="reduce"
        )
        page.emulate_media(media=media)
        page.goto(page_file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        faults = [f"{over} pixels too wide"] if over > 0 else []
        faults += faint(page, {})
        nodes = tree(page)
        faults += [f"{one.role} without a name" for one in nodes if one in UNNAMED]
        if [one.role for one in nodes].count("main") != 1:
            faults.append("not one main part")
        found += [f"{scheme} {width} {media}: {fault}" for fault in faults]
        page.close()
    return found


UNNAMED = (Node("image", ""), Node("link", ""), Node("heading", ""))
