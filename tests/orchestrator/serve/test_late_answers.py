"""The live page while answers are late, do not come or are refused: it ends up showing what its
address says.

What it needs: tests/support/browsing.py. Requests are stopped in the browser; the answers are the
server's own but where a test says what was refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import Tab, wait
from tests.support.cli import SMALL, launch
from tests.support.serving import Served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("late")
    assert launch(made, f"\n  bad: {{command: \"sh -c 'exit 3'\", {SMALL}}}\n").returncode == 1
    return made


def test_a_slow_answer_for_another_part_does_not_close_the_job(
    browser: Any, server: Served
) -> None:
    tab = Tab(browser, server)
    page = tab.open(part="overview")
    held: list[Any] = []
    page.route("**/run/*/*/costs*", lambda route: held.append(route))
    page.evaluate("location.hash = 'part=costs'")
    while not held:
        page.wait_for_timeout(20)
    page.evaluate("location.hash = 'part=jobs&job=bad'")
    page.wait_for_selector("#panel .why p")
    with page.expect_response("**/run/*/*/costs*"):
        held[0].continue_()
    page.wait_for_selector("a[aria-current][data-key=part-jobs]")
    page.wait_for_timeout(500)
    assert page.is_visible("#panel .why p")
    assert page.is_visible("#jobs-table")
    tab.is_whole()
    tab.context.close()


def test_an_address_of_no_job_says_so_and_can_be_left(browser: Any, server: Served) -> None:
    tab = Tab(browser, server)
    page = tab.open(part="jobs", job="nothing/of=this")
    wait(page, "document.querySelector('#panel').innerText.includes('no such job')")
    assert page.inner_text("#panel").split("\n")[-1] == "nothing/of=this"
    page.click("#panel .close")
    page.wait_for_selector("#panel", state="hidden")
    tab.is_whole()
    tab.context.close()


@pytest.mark.parametrize("asked", ["why", "overview", "status"])
def test_what_was_not_answered_once_is_shown_later_though_the_run_has_ended(
    browser: Any, server: Served, asked: str
) -> None:
    tab = Tab(browser, server)
    lost: list[Any] = []
    tab.page.on("requestfailed", lambda request: lost.append(request))
    tab.page.route(f"**/run/*/*/{asked}*", lambda route: route.abort(), times=1)
    tab.page.goto(f"{server.url}#part=jobs&job=bad")
    tab.page.wait_for_selector("#panel .why p")
    tab.page.wait_for_selector("#jobs-table tbody tr")
    tab.page.wait_for_selector(".live:not(.lost)")
    assert [one.failure for one in lost].count("net::ERR_FAILED") == 1
    tab.context.close()


@pytest.mark.parametrize(
    ("asked", "part"), [("overview", "overview"), ("gates", "overview"), ("curves", "curves")]
)
def test_what_the_server_refuses_is_said_where_it_would_stand(
    browser: Any, server: Served, asked: str, part: str
) -> None:
    tab = Tab(browser, server)
    said = {"errors": ["progress.jsonl: damaged"]}
    tab.page.route(
        f"**/run/*/*/{asked}*", lambda route: route.fulfill(status=409, json=said), times=1
    )
    page = tab.open(part=part)
    assert said["errors"][0] in page.inner_text("main")
    tab.is_whole()
    tab.context.close()


def test_the_way_to_the_filter_is_as_long_as_its_part_takes(browser: Any, server: Served) -> None:
    tab = Tab(browser, server)
    page = tab.open(part="curves")
    held: list[Any] = []
    page.route("**/run/*/*/overview*", lambda route: held.append(route))
    page.keyboard.press("/")
    while not held:
        page.wait_for_timeout(20)
    page.wait_for_timeout(200)
    held[0].continue_()
    wait(page, "document.activeElement.id == 'filter'")
    tab.is_whole()
    tab.context.close()
