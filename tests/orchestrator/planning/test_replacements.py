"""A seed in the place of another one: the plan, and the run that goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import DescriptionError
from orchestrator.planning.plan import Plan
from tests.support.builders import planned
from tests.support.cli import jobs, orch, states, the_run

NEW = {"where": {"seed": 2}, "by": {"seed": 4}, "reason": "did not learn inside"}


def described(replace: Any = None, **base: Any) -> dict[str, Any]:
    stage: dict[str, Any] = {"command": "t {seed}", "matrix": {"seed": [1, 2, 3]}, **base}
    if replace is not None:
        stage["replace"] = replace
    return {
        "experiment": "e",
        "stages": {
            "base": stage,
            "tune": {"for_each": "base", "command": "u {seed} {x}", "matrix": {"x": [1, 2]}},
            "report": {"after": ["tune"], "command": "r"},
        },
    }


def test_a_replaced_seed_takes_what_follows_along_and_the_run_stays_the_same(
    tmp_path: Path,
) -> None:
    before, after = planned(described(), tmp_path), planned(described(NEW), tmp_path)
    assert [job.name for job in after.jobs if job.stage == "base"] == [
        "base/seed=1",
        "base/seed=4",
        "base/seed=3",
    ]
    assert [(one.job, one.by) for one in after.replaced] == [
        ("base/seed=2", "base/seed=4"),
        ("tune/seed=2,x=1", "tune/seed=4,x=1"),
        ("tune/seed=2,x=2", "tune/seed=4,x=2"),
    ]
    assert {one.reason for one in after.replaced} == {"did not learn inside"}
    assert after.identity == before.identity
    unlike = {job.name: job.identity for job in before.jobs}
    changed = {job.name for job in after.jobs if unlike.get(job.name) != job.identity}
    assert changed == {"base/seed=4", "tune/seed=4,x=1", "tune/seed=4,x=2", "report"}
    assert Plan.from_json(json.loads(json.dumps(after.to_json()))) == after


def test_a_new_seed_reaches_the_config_of_an_engine(tmp_path: Path) -> None:
    config = {"machines": "5s5a", "architecture": "lstm-small"}
    stage = {"engine": "fsm", "matrix": {"seed": [1, 2]}, "replace": [NEW], "config": config}
    plan = planned({"experiment": "e", "stages": {"base": stage}}, tmp_path)
    assert [job.config["seed"] for job in plan.jobs] == [1, 4]


@pytest.mark.parametrize(
    ("replace", "said"),
    [
        ({**NEW, "where": {"seed": 7}}, "replace: no job has {'seed': 7}"),
        ({**NEW, "by": {"sed": 4}}, "'sed' is no axis of the stage that is written as a list"),
        ({**NEW, "by": {"seed": 3}}, "replace: 'base/seed=3' is there already"),
        ({**NEW, "by": NEW["where"]}, "is replaced by itself; take another value"),
        ({"where": {"seed": 2}, "by": {"seed": 4}}, "'reason' is missing; it must say why"),
        ({**NEW, "reason": ""}, "'reason' must say why"),
        (4, "'replace' must be"),
    ],
)
def test_a_wrong_replacement_is_refused_with_what_to_do(
    tmp_path: Path, replace: Any, said: str
) -> None:
    with pytest.raises(DescriptionError) as error:
        planned(described(replace), tmp_path)
    assert said in error.value.lines[0]
    assert len(error.value.lines) == 1


FILE = """experiment: trial
stages:
  base:
    command: [sh, -c, 'echo base {{seed}} >> {log}']
    matrix: {{seed: [1, 2, 3]}}
    resources: {small}
{replace}
  tune: {{for_each: base, command: [sh, -c, 'echo tune {{seed}} >> {log}'], resources: {small}}}
  report: {{after: [tune], command: [sh, -c, 'echo report >> {log}'], resources: {small}}}
"""
REPLACE = "    replace: {where: {seed: 2}, by: {seed: 4}, reason: did not learn inside}"


def launched(folder: Path, replace: str = "") -> list[str]:
    """Launch, and return what was done for the first time, sorted."""
    log, path = folder / "log", folder / "trial.yaml"
    done = log.read_text().splitlines() if log.exists() else []
    small = "{cpus: 1, memory_gb: 1, minutes: 5}"
    path.write_text(FILE.format(log=log, small=small, replace=replace))
    result = orch(folder, "launch", path, "--cluster", "local", "--watch")
    assert result.returncode == 0, result.stderr
    return sorted(log.read_text().splitlines()[len(done) :])


def test_the_same_run_goes_on_and_does_only_what_is_new(tmp_path: Path) -> None:
    assert len(launched(tmp_path)) == 7
    # What is done stays done; what hangs on the replaced jobs is done anew.
    assert launched(tmp_path, REPLACE) == ["base 4", "report", "tune 4"]
    run = the_run(tmp_path)
    found = states(jobs(tmp_path))
    assert set(found.values()) == {"COMPLETED"}
    assert "base/seed=4" in found
    assert "base/seed=2" not in found
    assert (run / "jobs/report/out.before-1").is_dir()
    status = orch(tmp_path, "status").stdout
    assert "base/seed=4 replaces base/seed=2 (and 1 job after it): did not learn" in status
    why = orch(tmp_path, "why", "tune/seed=4").stdout
    assert "replaces tune/seed=2: did not learn inside" in why
    document = json.loads(orch(tmp_path, "status", "--json").stdout)
    assert document["replaced"][0]["by"] == "base/seed=4"
    # Taken back, the work of before is found again, and only the report is made anew.
    assert launched(tmp_path) == ["report"]
    assert set(states(jobs(tmp_path)).values()) == {"COMPLETED"}


def test_a_job_that_is_at_it_is_not_replaced_under_its_hands(tmp_path: Path) -> None:
    launched(tmp_path)
    path = the_run(tmp_path) / "state.json"
    state = json.loads(path.read_text())
    for job in state["jobs"]:
        if job["name"] == "base/seed=2":
            job["state"] = "RUNNING"
    path.write_text(json.dumps(state))
    file = tmp_path / "trial.yaml"
    file.write_text(file.read_text().replace("minutes: 5}\n\n", f"minutes: 5}}\n{REPLACE}\n"))
    refused = orch(tmp_path, "launch", file, "--cluster", "local")
    assert refused.returncode == 2
    assert "base/seed=2 is RUNNING" in refused.stderr
    assert "orch cancel --job base/seed=2" in refused.stderr
