"""A run whose folder was moved or copied works where it lies now."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runs.lookup import open_run
from orchestrator.runs.plan_file import NAME, read_plan
from orchestrator.scores.evolution import Evolution, read_evolution, write_evolution
from tests.support.cli import SMALL, describe, orch

STAGES = (
    f"  a: {{command: \"sh -c 'echo 1 > $ORCH_OUT/x'\", {SMALL}}}\n"
    "  b: {command: \"sh -c 'test -e go && echo $ORCH_NEEDS && pwd'\", "
    f"for_each: a, {SMALL}}}\n"
    "  c: {engine: analysis, after: [b], config: {compare: {baseline: x, treatment: y}, "
    f"metric: accuracy}}, {SMALL}}}\n"
)


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    """A project with a run of which one job has failed for want of a file."""
    project = tmp_path / "project"
    project.mkdir()
    file = describe(project, STAGES)
    assert orch(project, "launch", file, "--cluster", "local", "--watch").returncode == 1
    return project


def retried(folder: Path, runs: Path) -> Any:
    said = orch(folder, "retry", "--job", "b", ORCH_RUNS=str(runs))
    assert said.returncode == 0, said.stderr
    orch(folder, "wait", "trial", ORCH_RUNS=str(runs))
    (log,) = runs.glob("trial/*/jobs/b/attempt-2/log.txt")
    return log.read_text().splitlines()


def copied(folder: Path, target: Path) -> None:
    """As a person copies it; the scheduler of this machine may still be about to end."""
    subprocess.run(["cp", "-a", folder, target], check=False, capture_output=True)


def older(runs: Path) -> None:
    """As an older version has written the plan: without its folder."""
    (path,) = runs.glob(f"trial/*/{NAME}")
    values = json.loads(path.read_text())
    del values["folder"]
    path.write_text(json.dumps(values))


@pytest.mark.parametrize("is_older", [False, True])
def test_a_retry_in_a_copied_folder_of_runs_names_the_copy(failed: Path, is_older: bool) -> None:
    if is_older:
        older(failed / "runs")
    copied(failed / "runs", failed / "moved")
    (failed / "go").touch()
    (copy,) = (failed / "moved" / "trial").iterdir()
    original = open_run(failed / "runs" / "trial" / copy.name)
    # Before anything is written: what is opened is based anew, and is another run.
    opened = open_run(copy)
    assert opened.moved
    assert opened.uid != original.uid
    assert str(failed / "moved") in json.dumps(opened.by_name["c"].config)
    assert str(failed / "runs") not in json.dumps(opened.by_name["c"].config)
    assert {opened.token(opened.by_name["b"], 2)} & {
        original.token(original.by_name["b"], 2)
    } == set()
    needs, where = retried(failed, failed / "moved")
    assert json.loads(needs) == {"a": str(copy / "jobs" / "a" / "out" / "files")}
    assert where == str(failed)
    # Written down, so that from now on it is a run of this place.
    assert not open_run(copy).moved
    assert open_run(copy).uid == opened.uid
    # The original has not changed.
    assert open_run(original.folder).uid == original.uid
    assert not list((original.folder / "jobs" / "b").glob("attempt-2"))


def test_a_project_that_was_moved_goes_on_under_its_uid(failed: Path, tmp_path: Path) -> None:
    uid = open_run(next((failed / "runs" / "trial").iterdir())).uid
    there = tmp_path / "elsewhere"
    failed.rename(there)
    (there / "go").touch()
    (run,) = (there / "runs" / "trial").iterdir()
    assert open_run(run).uid == uid
    needs, where = retried(there, there / "runs")
    assert json.loads(needs) == {"a": str(run / "jobs" / "a" / "out" / "files")}
    assert where == str(there)
    assert open_run(run).uid == uid


def test_another_name_of_the_same_folder_is_no_other_place(failed: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(failed)
    (run,) = (tmp_path / "link" / "runs" / "trial").iterdir()
    assert not read_plan(run).moved


def test_what_an_evolution_names_is_found_beside_it(failed: Path) -> None:
    (run,) = (failed / "runs" / "trial").iterdir()
    other = run.with_name("other")
    copied(run, other)
    open_run(other)
    values = json.loads((other / NAME).read_text())
    (other / NAME).write_text(json.dumps({**values, "folder": str(other)}))
    write_evolution(other, Evolution(source=str(run), folders=["/data/x"]))
    copied(failed / "runs", failed / "moved")
    found = read_evolution(failed / "moved" / "trial" / "other")
    assert found is not None
    assert (found.source, found.folders) == (
        str(failed / "moved" / "trial" / run.name),
        ["/data/x"],
    )
    assert read_evolution(other) == Evolution(source=str(run), folders=["/data/x"])
