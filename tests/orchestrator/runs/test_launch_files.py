"""What orch leaves for the launcher, started by the script that a scheduler is given: jobs of a
plan run on a node that has no Python."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.clusters.batch import becoming
from orchestrator.node.launcher.plain import LAUNCH
from orchestrator.runs.attempts import prepare
from orchestrator.runs.create import create_run
from orchestrator.runs.provenance.code_copies import LAUNCHER
from orchestrator.runs.record import Record
from orchestrator.runs.reuse.basis import Bases, link_files
from orchestrator.runs.run import Run
from tests.support.builders import PLANNED, planned

RESOURCES = {"cpus": 1, "minutes": 1}
STAGES = {
    "a": {"command": "touch {n} $ORCH_OUT", "matrix": {"n": [1, 2, 3]}, "resources": RESOURCES},
    "b": {"command": "sh -c 'echo $ORCH_NEEDS > needs'", "after": ["a"], "resources": RESOURCES},
    "c": {"command": "true", "resources": {**RESOURCES, "gpus": 1}},
}
NO_PYTHON = dataclasses.replace(PLANNED, python="/no/python")


@pytest.fixture
def run(launcher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose copy of the code has a launcher."""
    monkeypatch.chdir(tmp_path)
    made = create_run(
        planned({"experiment": "x", "stages": STAGES}, tmp_path), NO_PYTHON, tmp_path / "runs"
    )
    shutil.copy(launcher, made.code().folder / LAUNCHER)
    return made


def first_attempts(run: Run, stage: str, head: str = "") -> tuple[list[Job], list[Record]]:
    """The jobs of a stage, and the records of their first attempts; elements of an array under this
    head."""
    jobs = [job for job in run.plan.jobs if job.stage == stage]
    waiting = {record.name: record for record in run.load()}
    tokens = [f"{head}_{place}" if head else run.token(job, 1) for place, job in enumerate(jobs)]
    return jobs, [
        replace(waiting[job.name], attempt=1, token=token)
        for job, token in zip(jobs, tokens, strict=True)
    ]


def start(run: Run, job: Job, record: Record, **variables: str) -> int:
    """What the script of a scheduler does at last."""
    script = becoming(run.node_command(job, record), run.launcher(job, record))
    inherited = {key: one for key, one in os.environ.items() if not key.startswith("SLURM_")}
    environment = {**inherited, **variables}
    return subprocess.run(["bash", "-c", script], env=environment, check=False).returncode


def test_jobs_of_a_plan_run_without_python(run: Run, tmp_path: Path) -> None:
    jobs, records = first_attempts(run, "a", "0123456789")
    prepare(run, jobs, records)
    for place, job in enumerate(jobs):
        slurm = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(place)}
        assert start(run, job, records[place], **slurm) == 0
    assert [(tmp_path / str(number)).exists() for number in (1, 2, 3)] == [True] * 3
    ended = run.exits(records)
    assert [ended[job.name].token for job in jobs] == [record.token for record in records]
    assert run.done(records) == {job.name for job in jobs}
    claim = json.loads((run.attempt_folder(records[0]) / "claim.json").read_text())
    assert (claim["job_id"], claim["code"]) == ("7_0", run.code().name)
    (last,), (record,) = first_attempts(run, "b")
    prepare(run, [last], [record])
    assert start(run, last, record, SLURM_JOB_ID="8") == 0
    needs = json.loads((tmp_path / "needs").read_text())
    assert needs == {job.name: f"{run.out_folder(job)}/files" for job in jobs}


def test_a_job_with_files_of_a_repository_runs_without_python(run: Run, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "with a blank.py").touch()
    subprocess.run(["git", "add", "with a blank.py"], cwd=tmp_path, check=True)
    jobs, records = first_attempts(run, "a")
    bases = Bases(run)
    basis = bases.of(jobs[0], [])
    assert basis.paths
    for job, record in zip(jobs, records, strict=True):
        prepare(run, [job], [record])
        link_files(str(run.attempt_folder(record)), bases.keep_files(basis))
    assert start(run, jobs[0], records[0], ORCH_JOB_ID="L-1") == 0
    assert run.done(records) == {jobs[0].name}
    (tmp_path / "with a blank.py").write_text("another")
    # Python would have to look at what has changed.
    assert start(run, jobs[1], records[1], ORCH_JOB_ID="L-2") == 127


def test_what_is_known_not_to_be_plain_has_no_launcher_in_its_script(run: Run) -> None:
    (job,), (record,) = first_attempts(run, "c")
    prepare(run, [job], [record])
    assert run.launcher(job, record) == ""
    assert not (run.attempt_folder(record) / LAUNCH).exists()
    (job, *_), (record, *_) = first_attempts(run, "a")
    second = replace(record, attempt=2)
    prepare(run, [job], [second])
    assert (run.launcher(job, record), run.launcher(job, second)) == (
        str(run.code().launcher),
        "",
    )
    assert not (run.attempt_folder(second) / LAUNCH).exists()


@pytest.mark.parametrize("broken", [b"", b"\x7fELF of another processor", b"#!/bin/sh\nexit 1\n"])
def test_where_the_launcher_does_not_work_the_script_starts_python(
    broken: bytes, run: Run, tmp_path: Path
) -> None:
    (run.code().folder / LAUNCHER).write_bytes(broken)
    (tmp_path / "python").write_text('#!/bin/sh\necho "$@" > started\n')
    (tmp_path / "python").chmod(0o755)
    run = dataclasses.replace(
        run, profile=dataclasses.replace(PLANNED, python=str(tmp_path / "python"))
    )
    (job, *_), (record, *_) = first_attempts(run, "a")
    prepare(run, [job], [record])
    assert start(run, job, record) == 0
    assert (tmp_path / "started").read_text().startswith("-I -S -u ")
