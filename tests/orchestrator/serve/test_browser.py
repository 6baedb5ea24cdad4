"""The page of `orch serve` in a real browser, over a real server and real runs: what is seen, keys,
live changes in two tabs, no markup out of text.

What it needs: tests/support/browsing.py.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import Tab, wait
from tests.support.cli import SMALL, describe, launch, orch, states, the_run, until
from tests.support.private_sshd import missing, started
from tests.support.serving import Served, served

pytestmark = pytest.mark.browser

PARTS = ("overview", "jobs", "curves", "results", "report", "costs")
EVIL = "<img src=x onerror=window.boom=1></script><script>window.boom=1</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("browser")
    (made / "train.py").write_text(
        "import sys, orch\n"
        "lr, seed = map(float, sys.argv[1:])\n"
        "for step in range(1, 9):\n"
        "    orch.progress(step, 8, loss=(1 + seed / 10) / (1 + lr * step))\n"
        "orch.result('accuracy', 1 - lr, n=4)\n"
    )
    (made / "evil.sh").write_text(f"echo '{EVIL}'\necho 'RuntimeError: {EVIL}'\nexit 3\n")
    stages = f"""
  train: {{command: "{sys.executable} train.py {{lr}} {{seed}}",
          matrix: {{lr: [0.5, 0.25], seed: [0, 1]}},
          metrics: {{accuracy: {{better: higher}}}}, {SMALL}}}
  more: {{command: "true", when: {{metric: accuracy, of: train, at_least: 0.9}}, {SMALL}}}
  bad: {{command: "sh evil.sh", {SMALL}}}
"""
    assert launch(made, stages).returncode == 1
    return made


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (420, True)])
def test_every_part_fits_and_shows_what_the_run_has(
    browser: Any, server: Served, width: int, dark: bool
) -> None:
    tab = Tab(browser, server, width, dark)
    said = {
        "overview": "1 of 6 jobs failed, for 1 reason",
        "jobs": "6 jobs in 4 rows",
        "curves": "lines are means",
        "results": "4 results",
        "report": "has no stage with an engine that writes reports",
        "costs": "CPU-minutes used",
    }
    assert tuple(said) == PARTS
    for part, words in said.items():
        page = tab.open(part=part)
        wait(page, "words => document.body.innerText.includes(words)", words)
        tab.is_whole()
    page = tab.open(job="train/lr=0.5,seed=0")
    page.wait_for_selector("#panel pre")
    page.wait_for_selector("#panel figure svg")
    tab.is_whole()
    tab.context.close()


def test_text_from_jobs_is_text(browser: Any, server: Served) -> None:
    tab = Tab(browser, server)
    for chosen in ({"part": "overview"}, {"part": "jobs"}, {"job": "bad"}):
        page = tab.open(**chosen)
        wait(page, "words => document.body.innerText.includes(words)", EVIL)
        assert page.evaluate(
            "[window.boom ?? 0, document.images.length, document.scripts.length]"
        ) == [
            0,
            0,
            1,
        ]
    tab.is_whole()
    tab.context.close()


def test_keys_filter_choose_open_and_close(browser: Any, server: Served) -> None:
    tab = Tab(browser, server)
    page = tab.open()
    page.keyboard.press("2")
    page.wait_for_selector("#jobs-table tbody tr")
    # What a finished job has measured stands before what it said on its way.
    heads = page.inner_text("#jobs-table thead").split()
    assert heads.index("accuracy") < heads.index("loss")
    page.keyboard.press("/")
    wait(page, "document.activeElement.id == 'filter'")
    page.keyboard.type("lr=0.5 loss<0.9")
    wait(page, "document.querySelectorAll('#jobs-table tbody tr').length == 1")
    assert "q=lr%3D0.5" in page.url
    page.keyboard.press("Escape")
    wait(page, "document.querySelectorAll('#jobs-table tbody tr').length == 4")
    page.keyboard.press("j")
    page.keyboard.press("j")
    chosen = page.evaluate("document.activeElement.dataset.key")
    page.keyboard.press("Enter")
    page.wait_for_selector("#panel .why p")
    assert page.evaluate("document.activeElement.dataset.key") == "close"
    page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    assert page.evaluate("document.activeElement.dataset.key") == chosen
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open] kbd")
    page.keyboard.press("Escape")
    # What was chosen is in the address, and goes back.
    page.keyboard.press("3")
    page.wait_for_selector("a[aria-current][data-key=part-curves]")
    page.go_back()
    page.wait_for_selector("a[aria-current][data-key=part-jobs]")
    tab.is_whole()
    tab.context.close()


def test_heads_sort_up_down_and_back(browser: Any, server: Served) -> None:
    tab = Tab(browser, server)
    page = tab.open(part="results")
    column = "[...document.querySelectorAll('#results-table tbody tr')].map(row => row.cells[%d].innerText)"
    heads = page.eval_on_selector_all("th", "list => list.map(one => one.innerText)")
    values = column % heads.index("value")
    assert page.evaluate(values) == ["0.50", "0.50", "0.75", "0.75"]
    for wanted in (["0.50", "0.50", "0.75", "0.75"], ["0.75", "0.75", "0.50", "0.50"]):
        page.click("[data-key=sort-value]")
        assert page.evaluate(values) == wanted
    assert page.get_attribute("th:has([data-key=sort-value])", "aria-sort") == "descending"
    tab.context.close()


FOLLOWS = """
import pathlib, time, orch
done = 0
while done < 10:
    wanted = int(pathlib.Path("steps").read_text() or 0)
    while done < wanted:
        done += 1
        orch.progress(done, 10, loss=1 / done)
        print("line", done, flush=True)
    time.sleep(0.1)
orch.result("loss", 0.1)
"""


def test_two_tabs_see_a_job_go_on_and_end(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "follow.py").write_text(FOLLOWS)
    (tmp_path / "steps").write_text("2")
    stages = f"""
  train: {{command: "{sys.executable} follow.py", {SMALL}}}
  other: {{command: "sleep 600", {SMALL}}}
"""
    described = describe(tmp_path, stages)
    assert orch(tmp_path, "launch", described, "--cluster", "local").returncode == 0
    with served(tmp_path, "--allow-actions") as server:
        tabs = [Tab(browser, server), Tab(browser, server, 420, dark=True)]
        first, second = tabs[0].open(part="jobs"), tabs[1].open(job="train")
        wait(first, "document.body.innerText.includes('train 2/10')")
        wait(second, "document.querySelector('#panel pre')?.innerText.includes('line 2')")
        points = (
            "document.querySelector('#panel figure path.line').getAttribute('d').split('L').length"
        )
        assert second.evaluate(points) == 2
        (tmp_path / "steps").write_text("7")
        wait(first, "document.body.innerText.includes('train 7/10')")
        wait(second, "document.querySelector('#panel pre')?.innerText.includes('line 7')")
        wait(second, f"{points} == 7")
        (tmp_path / "steps").write_text("10")
        for page, where in ((first, "#jobs-table"), (second, "#panel")):
            wait(page, f"document.querySelector('{where}').innerText.includes('✓ done')")

        # A person cancels the other job, and both see it.
        first.click("tr[data-key='row-other']")
        first.click("#panel [data-key=cancel]")
        assert "Cancel other?" in first.inner_text("dialog")
        first.click("#sure")
        wait(first, "document.querySelector('dialog').innerText.includes('cancelled other')")
        assert states(until(tmp_path, lambda rows: rows["other"]["state"] == "CANCELLED"))
        first.click("#done")
        second.evaluate("location.hash = 'part=overview'")
        wait(second, "/1 stopped/.test(document.querySelector('.chips').innerText)")
        for tab in tabs:
            tab.is_whole()
    # The server has ended: the page says so, and asks on.
    first.wait_for_selector(".live.lost")
    for tab in tabs:
        tab.context.close()


def test_the_address_of_the_run_and_the_list_lead_to_other_runs(
    browser: Any, folder: Path, server: Served
) -> None:
    tab = Tab(browser, server)
    page = tab.open()
    page.keyboard.press("r")
    page.wait_for_selector("dialog[open] tbody a")
    (link,) = page.eval_on_selector_all("dialog a", "list => list.map(one => one.innerText)")
    assert link == f"trial/{the_run(folder).name}"
    page.click("dialog a")
    page.wait_for_selector("#parts a[aria-current]")
    assert re.search(r"run=trial%2Ffull-", page.url)
    tab.is_whole()
    tab.context.close()


DIES = """
import sys, orch
width, seed = map(int, sys.argv[1:])
# More steps than a curve has points, so that each seed is thinned to steps of its own.
for step in range(1, 1001):
    orch.progress(step, 1000, score=width + seed + (step * (seed + 3)) % 7 / 10)
    if (width, seed) == (8, 2) and step == 400:
        raise SystemExit("RuntimeError: it ends here")
orch.result("score", width)
"""


def test_a_job_that_died_is_a_line_of_its_own_and_does_not_end_the_mean(
    browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "dies.py").write_text(DIES)
    stages = f"""
  train: {{command: "{sys.executable} dies.py {{width}} {{seed}}",
          matrix: {{lr: [1, 2], width: [4, 8], seed: [0, 1, 2]}}, {SMALL}}}
"""
    assert launch(tmp_path, stages).returncode == 1
    with served(tmp_path) as server:
        tab = Tab(browser, server)
        page = tab.open(part="overview")
        wait(page, "document.body.innerText.includes('× where jobs ended early')")
        drawn = page.eval_on_selector_all(
            "figure path.line",
            "list => list.map(one => [one.getAttribute('class'), one.getAttribute('d')])",
        )
        lines = [(kind, d) for kind, d in drawn if "L" in d]
        means = [d for kind, d in lines if "thin" not in kind]
        apart = [d for kind, d in lines if "thin" in kind]
        assert (len(means), len(apart), len(drawn) - len(lines)) == (4, 2, 2)
        ends = [float(d.rpartition("L")[2].split()[0]) for d in means]
        assert len(set(ends)) == 1
        assert all(float(d.rpartition("L")[2].split()[0]) < ends[0] / 2 for d in apart)
        # A mean of thinned curves has more than the few steps that they happen to share.
        assert min(d.count("L") for d in means) > 250
        # The colours are of one axis, the kinds of line of the other, and both are named.
        key = page.inner_text("ul.key").split("\n")
        assert key == ["lr 1", "lr 2", "width 4", "width 8"]
        tab.is_whole()
        tab.context.close()


@contextmanager
def tunnel(folder: Path, port: int) -> Iterator[int]:
    """The command that `orch serve` prints, to a real ssh server, with another port at this end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        near: int = free.getsockname()[1]
    with started(folder) as sshd:
        words = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{near}:127.0.0.1:{port}", "gpu"]
        made = subprocess.Popen([f"{sshd.path.rstrip(':')}/ssh", *words])
        try:
            deadline = time.monotonic() + 60
            while socket.socket().connect_ex(("127.0.0.1", near)):
                assert made.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield near
        finally:
            made.terminate()
            made.wait(timeout=30)


@pytest.mark.skipif(bool(missing()), reason=missing() or "there")
def test_through_a_tunnel_a_person_cancels_retries_and_decides(
    browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "ssh").mkdir()
    stages = f"""
  first: {{command: "true", metrics: {{accuracy: {{better: higher}}}}, {SMALL}}}
  long: {{command: "sleep 600", matrix: {{n: [1, 2]}}, {SMALL}}}
  gated: {{command: "echo gated", when: {{metric: accuracy, of: first, at_least: 0.9}}, {SMALL}}}
"""
    described = describe(tmp_path, stages)
    assert orch(tmp_path, "launch", described, "--cluster", "local").returncode == 0
    with (
        served(tmp_path, "--allow-actions") as far,
        tunnel(tmp_path / "ssh", far.port) as port,
    ):
        near = Served(far.url.replace(f":{far.port}/", f":{port}/"), far.process)
        tab = Tab(browser, near, 420)
        page = tab.open(job="long/n=1")
        page.click("#panel [data-key=cancel]")
        # Back does nothing.
        page.click("dialog button:has-text('Back')")
        wait(page, "!document.querySelector('dialog').open")
        page.click("#panel [data-key=cancel]")
        page.click("#sure")
        wait(page, "document.querySelector('dialog').innerText.includes('cancelled long/n=1')")
        page.click("#done")
        wait(page, "document.querySelector('#panel').innerText.includes('– stopped')")
        page.click("#panel [data-key=retry]")
        assert "Submit long/n=1 again?" in page.inner_text("dialog")
        page.click("#sure")
        wait(page, "document.querySelector('dialog h2')?.innerText == 'Done'")
        page.click("#done")
        wait(page, "/queued|running/.test(document.querySelector('#panel').innerText)")

        page = tab.open(job="gated")
        page.click("#panel [data-key=override-gated]")
        page.click("#let-run")
        wait(page, "document.querySelector('dialog').innerText.includes('needs a reason')")
        page.click("#done")
        page.click("#panel [data-key=override-gated]")
        page.fill("#reason", "<b>seen</b> enough")
        page.click("#let-run")
        wait(page, "document.querySelector('dialog h2')?.innerText == 'Done'")
        page.click("#done")
        wait(page, "document.querySelector('#panel .why').innerText.includes('<b>seen</b> enough')")
        tab.is_whole()
        tab.context.close()
    assert orch(tmp_path, "cancel").returncode == 0
