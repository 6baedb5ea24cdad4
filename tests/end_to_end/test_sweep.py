"""docs/howto/sweep.md, done as it says: its scripts, its experiment, its commands."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import orch, scheduler_of, until
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "howto" / "sweep.md").read_text()
SECTION = PAGE[PAGE.index("\n## A whole sweep") : PAGE.index("\n## Let a sweep grow\n")]


def write_files(folder: Path) -> None:
    """The files that the section shows."""
    for text in re.findall(r"```\w+\n(.*?)```", SECTION, re.DOTALL):
        path = folder / text.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("command: python ", f"command: {sys.executable} "))


def test_the_best_of_random_points_is_followed_for_each_seed(tmp_path: Path) -> None:
    write_files(tmp_path)
    launched = orch(tmp_path, "launch", "line", "--cluster", "local", "--watch")
    assert launched.returncode == 0, launched.stdout + launched.stderr
    rows = json.loads(orch(tmp_path, "results", "line", "--json").stdout)["rows"]
    losses = {row["job"]: row["value"] for row in rows if row["metric"] == "val_loss"}
    assert len(losses) == 10
    assert {row["job"] for row in rows if row["metric"] == "slope_error"} == {
        "judge/seed=0",
        "judge/seed=1",
    }
    for seed in (0, 1):
        of_seed = {job: loss for job, loss in losses.items() if job.endswith(f",seed={seed}")}
        best = min(of_seed, key=lambda job: of_seed[job])
        said = orch(tmp_path, "why", f"judge/seed={seed}").stdout
        assert f"follows: {best}, final" in said
        (log,) = (tmp_path / "runs").glob(f"line/*/jobs/judge.seed-{seed}/attempt-1/log.txt")
        rate = best.removeprefix("fit/rate=").partition(",")[0]
        assert f"the best rate was {rate}" in log.read_text()
    check_ranking(tmp_path, losses)
    # Launched again nothing is submitted, and what was chosen stays.
    again = orch(tmp_path, "launch", "line", "--cluster", "local", "--watch")
    assert "0 jobs submitted, 12 of 12 done before" in again.stdout
    assert orch(tmp_path, "page", "line").returncode == 0
    (page,) = (tmp_path / "runs").glob("line/*/page.html")
    assert 'class="best"' in page.read_text()
    assert "Settings, the best first" in page.read_text()


def check_ranking(folder: Path, losses: dict[str, float]) -> None:
    """The settings stand in the order of their means over the seeds."""
    found = json.loads(orch(folder, "results", "line", "--best", "val_loss", "--json").stdout)[
        "settings"
    ]
    means: dict[str, float] = {}
    for job in losses:
        setting, _, _ = job.partition(",seed=")
        means[setting] = (losses[f"{setting},seed=0"] + losses[f"{setting},seed=1"]) / 2
    assert [one["n"] for one in found] == [2] * 5
    assert [round(one["mean"], 12) for one in found] == sorted(
        round(mean, 12) for mean in means.values()
    )
    table = orch(folder, "results", "line", "--best", "val_loss").stdout
    (best,) = (line for line in table.splitlines() if line.startswith("best"))
    assert str(found[0]["axes"]["rate"]) in best
    refused = orch(folder, "results", "line", "--best", "val_los")
    assert refused.returncode == 2
    assert "did you mean 'val_loss'" in refused.stderr


def test_a_search_goes_on_by_itself_after_its_scheduler_was_killed(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    write_files(tmp_path)
    launched = orch(tmp_path, "launch", "rounds", "--cluster", "local", "--no-watch")
    assert launched.returncode == 0, launched.stdout + launched.stderr
    (run,) = (tmp_path / "runs" / "rounds").iterdir()

    def drawn() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((run / "searches/fit.json").read_text())["rounds"]
        return found

    until(tmp_path, lambda now: now["fit/point=2,seed=0"]["state"] in ("RUNNING", "COMPLETED"))
    os.kill(scheduler_of(tmp_path), signal.SIGKILL)
    before = drawn()
    assert orch(tmp_path, "launch", "rounds", "--cluster", "local", "--watch").returncode == 0
    after = drawn()
    assert [one["number"] for one in after] == [1, 2, 3]
    assert after[: len(before)] == before
    points = [point for one in after for point in one["points"]]
    assert len({json.dumps(point) for point in points}) == 6
    # Each job was submitted once, with what was drawn for it.
    for number, point in enumerate(points):
        for seed in (0, 1):
            folder = run / "jobs" / f"fit.point-{number}_seed-{seed}"
            assert [path.name for path in folder.glob("attempt-*")] == ["attempt-1"]
            assert json.loads((folder / "job.json").read_text())["command"][2:] == [
                *("--rate", str(point["rate"]), "--momentum", str(point["momentum"])),
                *("--seed", str(seed)),
            ]
    # The told values are the means of what lies in the results, for every round.
    rows = json.loads(orch(tmp_path, "results", "rounds", "--json").stdout)["rows"]
    losses = {row["job"]: row["value"] for row in rows if row["metric"] == "val_loss"}
    for told in after[2]["told"]:
        both = [losses[f"fit/point={told['point']},seed={seed}"] for seed in (0, 1)]
        assert told["value"] == pytest.approx(sum(both) / 2)
    best = min(losses, key=lambda job: losses[job])
    (log,) = run.glob("jobs/judge/attempt-1/log.txt")
    number = int(best.removeprefix("fit/point=").partition(",")[0])
    assert f"the best rate was {points[number]['rate']}" in log.read_text()
    assert orch(tmp_path, "page", "rounds").returncode == 0
    page = (run / "page.html").read_text()
    assert str(points[number]["rate"]) in page
    assert 'class="best"' in page
