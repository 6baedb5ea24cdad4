"""What a screen reader and the keyboard find on the live page and on `orch page`, and how far text
and marks stand out: by Chromium's accessibility tree and the colours that it has computed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import Tab, faint, tree, wait
from tests.support.cli import SMALL, launch, orch, the_run
from tests.support.serving import Served

pytestmark = pytest.mark.browser

NAMED = (
    *("button", "link", "textbox", "searchbox", "combobox", "checkbox", "dialog", "table"),
    *("image", "Iframe", "navigation", "columnheader", "complementary", "list"),
)
"""Roles whose nodes are nothing to a listener without a name; an unnamed list is one of a page of
documents, and those of the live page are all named."""
MARKS = {
    ".share i": "backgroundColor",
    ".part i": "backgroundColor",
    "rect[class^=f-]": "fill",
    "path.line": "stroke",
    "input[type=search]": "borderTopColor",
    "select": "borderTopColor",
}
"""What is seen without words, and by which colour."""
PAGE_MARKS = {".bar i": "backgroundColor", "svg rect.ok": "fill", "svg rect.bad": "fill"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("accessible")
    (made / "train.py").write_text(
        "import sys, orch\n"
        "for step in range(1, 5):\n"
        "    orch.progress(step, 4, loss=1 / step)\n"
        "orch.result('accuracy', float(sys.argv[1]), n=4)\n"
    )
    stages = f"""
  warm: {{command: "{sys.executable} train.py 0", {SMALL}}}
  train: {{command: "{sys.executable} train.py {{lr}}", matrix: {{lr: [0.5, 0.25], seed: [0, 1]}},
          metrics: {{accuracy: {{better: higher}}}}, {SMALL}}}
  more: {{command: "true", when: {{metric: accuracy, of: train, at_least: 0.9}}, {SMALL}}}
  bad: {{command: "sh -c 'exit 3'", {SMALL}}}
"""
    assert launch(made, stages).returncode == 1
    assert orch(made, "page").returncode == 0
    return made


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (420, True)])
def test_text_and_marks_stand_out_in_every_part(
    browser: Any, server: Served, width: int, dark: bool
) -> None:
    tab = Tab(browser, server, width, dark)
    for part in ("overview", "jobs", "curves", "results", "costs"):
        page = tab.open(part=part)
        wait(page, "document.querySelectorAll('main :is(h1, p, table)').length > 1")
        assert faint(page, MARKS) == []
    page = tab.open(part="jobs", job="bad")
    page.wait_for_selector("#panel .why p")
    page.wait_for_timeout(300)
    assert faint(page, MARKS) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open] kbd")
    assert faint(page, MARKS) == []
    tab.context.close()


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_marks_of_the_written_page_stand_out(
    browser: Any, folder: Path, dark: bool
) -> None:
    scheme = "dark" if dark else "light"
    for name in ("page.html", "ran.html"):
        page = browser.new_page(color_scheme=scheme)
        page.goto((the_run(folder) / name).as_uri())
        assert faint(page, PAGE_MARKS if name == "page.html" else {}) == []
        nodes = tree(page)
        assert [
            one for one in nodes if one.role in ("image", "columnheader") and not one.name
        ] == []
        assert [one.role for one in nodes].count("main") == 1
        page.close()


@pytest.mark.parametrize(("media", "width"), [("print", 794), ("screen", 420)])
def test_the_written_page_fits_on_paper_and_a_phone(
    browser: Any, folder: Path, media: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 1123})
    page.emulate_media(media=media)
    page.goto((the_run(folder) / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    # No word of what a gate has decided is broken to pieces.
    narrow = page.eval_on_selector_all(
        ".left td", "list => list.map((one) => one.clientWidth).filter((wide) => wide < 60)"
    )
    assert narrow == []
    page.close()


@pytest.mark.parametrize("width", [1280, 800, 420])
def test_drawings_have_the_size_that_they_were_drawn_for(
    browser: Any, server: Served, width: int
) -> None:
    tab = Tab(browser, server, width)
    for part in ("overview", "jobs", "curves"):
        page = tab.open(part=part)
        page.wait_for_selector("main svg[role=img]")
        sizes = page.eval_on_selector_all(
            "main svg[role=img]",
            "list => list.map((one) => one.clientWidth / one.viewBox.baseVal.width)",
        )
        # Words in it would be as much smaller or larger.
        assert [one for one in sizes if not 0.9 < one < 1.1] == [], part
    tab.context.close()


def test_a_listener_finds_the_parts_by_role_and_name(browser: Any, server: Served) -> None:
    tab = Tab(browser, server)
    for part in ("overview", "jobs", "curves", "results", "costs"):
        page = tab.open(part=part)
        wait(page, "document.querySelectorAll('main :is(p, table, figure)').length > 1")
        nodes = tree(page)
        assert [one for one in nodes if one.role in NAMED and not one.name] == [], part
        roles = [one.role for one in nodes]
        for role in ("banner", "navigation", "main", "status"):
            assert role in roles, (part, role)
        levels = page.eval_on_selector_all(
            "h1, h2, h3", "list => list.map((one) => Number(one.tagName[1]))"
        )
        assert levels.count(1) >= 1
        assert levels[0] == 1, levels
        assert page.title().lower().startswith(part)
    page = tab.open(part="jobs")
    page.wait_for_selector("#jobs-table tbody tr")
    # A row says nothing of what can be done with it; the link in it does.
    links = [one.name for one in tree(page) if one.role == "link"]
    assert "train/lr=0.5,seed=0 and 1 more" in links
    assert "bad" in links
    page.click("a.opens[aria-label=bad]")
    page.wait_for_selector("#panel .why p")
    assert ("complementary", "Job bad") in [(one.role, one.name) for one in tree(page)]
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.wait_for_selector("dialog[open] tbody a")
    assert ("dialog", "Runs") in [(one.role, one.name) for one in tree(page)]
    tab.is_whole()
    tab.context.close()


def test_the_first_stop_leads_past_the_bar_and_keeps_the_address(
    browser: Any, server: Served
) -> None:
    tab = Tab(browser, server)
    page = tab.open(part="jobs", q="lr=0.5")
    page.wait_for_selector("#jobs-table tbody tr")
    before = page.url
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    assert page.url == before
    # On: the filter, the selects, the heads that sort, one row; none of them twice.
    stops = []
    for _ in range(30):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.dataset?.key ?? ''"))
        if stops[-1].startswith("row-"):
            break
    assert stops[:4] == ["filter", "stage", "state", "together"]
    assert all(one.startswith("sort-") for one in stops[4:-1])
    assert stops[-1] == "row-train/lr=0.5,seed=0"
    tab.context.close()


def test_a_panel_over_the_whole_screen_hides_what_lies_behind_it(
    browser: Any, server: Served
) -> None:
    tab = Tab(browser, server, 420)
    page = tab.open(part="jobs")
    page.wait_for_selector("#jobs-table tbody tr[tabindex='0']")
    page.click("tr[data-key='row-bad']")
    page.wait_for_selector("#panel .why p")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body "
            "|| document.getElementById('panel').contains(document.activeElement)"
        )
    page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    assert page.evaluate("document.activeElement.dataset.key") == "row-bad"
    assert page.evaluate("[...document.querySelectorAll('[inert]')].length") == 0
    tab.context.close()


@pytest.mark.parametrize(("motion", "name"), [("reduce", "none"), ("no-preference", "in")])
def test_the_panel_moves_only_where_a_person_allows_it(
    browser: Any, server: Served, motion: str, name: str
) -> None:
    tab = Tab(browser, server, motion=motion)
    page = tab.open(job="bad")
    page.wait_for_selector("#panel .why p")
    moves = "getComputedStyle(document.getElementById('panel')).animationName"
    assert page.evaluate(moves) == name
    tab.context.close()


def test_a_job_without_the_axis_of_the_colours_is_named_in_the_key(
    browser: Any, server: Served
) -> None:
    tab = Tab(browser, server)
    page = tab.open(part="overview")
    page.wait_for_selector(".key")
    keys = page.eval_on_selector_all(".key li", "list => list.map((one) => one.innerText)")
    assert "without lr" in keys
    (kind,) = page.eval_on_selector_all(
        ".key li",
        "list => list.filter((one) => one.innerText == 'without lr')"
        ".map((one) => one.querySelector('path').getAttribute('class'))",
    )
    assert "kn" in kind.split()
    tab.context.close()
