"""Limits on how many jobs may be queued mean wait: what is over them waits in a backlog, and
whoever looks submits what fits."""

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.clusters.slurm.parse import count_jobs, most_jobs
from orchestrator.description.profile import Profile
from tests.support.cli import (
    ORCH,
    SMALL,
    Rows,
    describe,
    jobs,
    launched_later,
    orch,
    tiny_stage,
    until,
)
from tests.support.extras import needs
from tests.support.private_slurm import PrivateSlurm

UNIT = "\x1f"


def test_every_element_of_an_array_counts_and_jobs_that_look_are_told_apart() -> None:
    lines = [("7_[3-5,9%2]", "x.a.12"), ("7_2", "x.a.12"), ("8", "my own job"), ("9", "x.look.34")]
    assert count_jobs(
        "".join(
            f"{UNIT.join([job_id, name, 'PENDING', 'None', 'N/A', ''])}\n" for job_id, name in lines
        )
    ) == (7, 1)


def test_the_least_limit_that_holds_for_the_profile_counts() -> None:
    associations = "one||50|\ntwo||500|big\ntwo|other|3|\n"
    rules = "normal|40\nbig|\nsmall|7\n"

    def most(account: str | None, qos: str | None = None, partition: str = "gpu") -> int | None:
        return most_jobs(
            associations,
            rules,
            Profile(kind="slurm", account=account, qos=qos, partition=partition),
        )

    assert (most("one"), most("one", "big"), most("two"), most("two", "small")) == (40, 50, 500, 7)
    assert most("two", partition="other") == 3
    assert most_jobs("one|||\n", "normal|\n", Profile(kind="slurm", account="one")) is None


def test_the_local_scheduler_works_through_a_backlog_by_itself(tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'echo a{{n}} >> ran'\", matrix: {{n: [1, 2, 3, 4]}}, {SMALL}}}\n"
        f"  b: {{command: \"sh -c 'echo b >> ran'\", for_each: a, {SMALL}}}\n",
    )
    (tmp_path / "two.yaml").write_text("kind: local\nmax_jobs: 2\n")
    launched = orch(tmp_path, "launch", str(file), "--cluster", "two.yaml")
    assert "2 jobs submitted" in launched.stdout, launched.stderr
    (state,) = tmp_path.glob("runs/[!.]*/*/state.json")
    waits = [job for job in json.loads(state.read_text())["jobs"] if job.get("source") == "limit"]
    assert len(waits) == 6
    assert all("max_jobs of the profile: 2" in job["reason"] for job in waits)
    deadline = time.monotonic() + 120
    while (
        Counter((tmp_path / "ran").read_text().split()) if (tmp_path / "ran").exists() else None
    ) != Counter({"a1": 1, "a2": 1, "a3": 1, "a4": 1, "b": 4}):
        assert time.monotonic() < deadline, state.read_text()
        time.sleep(0.2)


def test_cancel_empties_the_backlog_and_a_launch_takes_it_up_again(tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'echo a{{n}} >> ran; test -e go || exec sleep 100'\", "
        f"matrix: {{n: [1, 2, 3]}}, {SMALL}}}\n",
    )
    (tmp_path / "one.yaml").write_text("kind: local\nmax_jobs: 1\n")
    assert "1 job submitted" in orch(tmp_path, "launch", str(file), "--cluster", "one.yaml").stdout
    cancelled = orch(tmp_path, "cancel").stdout.splitlines()
    assert sorted(cancelled) == ["cancelled a/n=1", "cancelled a/n=2", "cancelled a/n=3"]
    found = until(
        tmp_path, lambda now: now["a/n=1"]["state"] == "CANCELLED", seconds=120
    )  # it has made its room free again
    assert [found[f"a/n={n}"]["attempt"] for n in (1, 2, 3)] == [1, 0, 0]
    assert found["a/n=2"]["reason"] == "cancelled before it was submitted"
    (tmp_path / "go").touch()
    assert "1 job submitted" in orch(tmp_path, "launch", str(file), "--cluster", "one.yaml").stdout
    deadline = time.monotonic() + 120
    while any(job["state"] != "COMPLETED" for job in jobs(tmp_path).values()):
        assert time.monotonic() < deadline, jobs(tmp_path)
        time.sleep(0.3)


def all_completed(found: Rows) -> bool:
    """Whether every job has its results: one that waits for room goes on by itself."""
    return {job["state"] for job in found.values()} == {"COMPLETED"}


def test_a_retry_without_room_says_what_is_to_run_again(tmp_path: Path) -> None:
    waits = "until [ -e go ]; do sleep 0.1; done"
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'true {{n}}; {waits}'\", matrix: {{n: [1, 2]}}, {SMALL}}}\n",
    )
    (tmp_path / "one.yaml").write_text("kind: local\nmax_jobs: 1\n")
    assert orch(tmp_path, "launch", str(file), "--cluster", "one.yaml").returncode == 0
    orch(tmp_path, "cancel", "--job", "a/n=2")
    said = orch(tmp_path, "retry", "--job", "a/n=2").stdout
    assert said.startswith("is to run again: a/n=2: waits for room among your queued jobs")
    (tmp_path / "go").touch()
    until(tmp_path, all_completed)


def test_a_pack_counts_once_against_max_jobs(tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        "  a: {command: \"sh -c 'echo {n} >> ran'\", matrix: {n: [1, 2, 3, 4, 5]}, "
        "resources: {cpus: 1, memory_gb: 1, minutes: 2}, pack: 2}\n",
    )
    (tmp_path / "two.yaml").write_text("kind: local\nmax_jobs: 2\n")
    launched = orch(tmp_path, "launch", str(file), "--cluster", "two.yaml")
    assert "4 jobs submitted" in launched.stdout, launched.stderr
    until(tmp_path, all_completed)
    assert Counter((tmp_path / "ran").read_text().split()) == Counter("12345")


@needs("torch")
def test_what_was_cancelled_behind_a_gate_or_a_limit_is_not_submitted_until_somebody_retries_it(
    tmp_path: Path,
) -> None:
    file = describe(
        tmp_path,
        f"  first: {{{tiny_stage(0)}}}\n"
        "  slow: {command: \"sh -c 'while [ ! -e go ]; do sleep 0.1; done'\", after: [first], "
        f"{SMALL}}}\n"
        '  a: {when: {metric: test_accuracy, of: first, at_least: 0.0}, command: "sh -c '
        "'echo a{n} >> ran'\", "
        f"matrix: {{n: [1, 2, 3, 4]}}, {SMALL}}}\n"
        f"  b: {{command: \"sh -c 'echo b >> ran'\", for_each: a, {SMALL}}}\n",
    )
    (tmp_path / "one.yaml").write_text("kind: local\nmax_jobs: 1\n")
    assert "1 job submitted" in orch(tmp_path, "launch", str(file), "--cluster", "one.yaml").stdout
    assert orch(tmp_path, "cancel", "--job", "a/n=1").stdout.split() == [
        "cancelled",
        "a/n=1",
    ]  # behind its gate
    found = until(
        tmp_path, lambda now: now["slow"]["state"] == "RUNNING", 120
    )  # the gate has said yes
    assert (found["a/n=2"]["source"], found["a/n=1"]["state"]) == ("limit", "CANCELLED")
    assert orch(tmp_path, "cancel", "--job", "a/n=2").stdout.split() == [
        "cancelled",
        "a/n=2",
    ]  # in the backlog
    (tmp_path / "go").touch()
    found = until(
        tmp_path, lambda now: now["b/n=4"]["state"] == "COMPLETED" == now["b/n=3"]["state"], 120
    )
    assert {name: job["state"] for name, job in found.items() if job["state"] != "COMPLETED"} == {
        "a/n=1": "CANCELLED",
        "a/n=2": "CANCELLED",
        "b/n=1": "WAITING",
        "b/n=2": "WAITING",
    }
    assert (
        found["a/n=1"]["reason"] == found["a/n=2"]["reason"] == "cancelled before it was submitted"
    )
    assert orch(tmp_path, "retry", "--job", "a/n=2").returncode == 0
    found = until(tmp_path, lambda now: now["b/n=2"]["state"] == "COMPLETED", 120)
    assert (found["a/n=1"]["state"], found["a/n=1"]["attempt"]) == ("CANCELLED", 0)
    assert Counter((tmp_path / "ran").read_text().split()) == Counter(
        {"a2": 1, "a3": 1, "a4": 1, "b": 3}
    )


def test_what_was_cancelled_behind_a_gate_waits_for_the_gate_when_it_is_brought_back(
    tmp_path: Path,
) -> None:
    file = describe(
        tmp_path,
        f"  slow: {{command: sleep 100, {SMALL}}}\n  first: {{after: [slow], {tiny_stage(0)}}}\n"
        f"  a: {{when: {{metric: test_accuracy, of: first, at_least: 0.0}}, command: "
        f"'touch ran', {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", "local").returncode == 0
    assert "cancelled a" in orch(tmp_path, "cancel", "--job", "a").stdout
    assert (
        "bring it back first: orch retry --job a"
        in orch(tmp_path, "override", "a", "--run", "--reason", "why not").stderr
    )
    assert orch(tmp_path, "retry", "--job", "a").returncode == 0
    found = jobs(tmp_path)
    assert (found["a"]["state"], found["a"]["source"]) == ("WAITING", "gate")
    orch(tmp_path, "cancel")
    assert jobs(tmp_path)["a"]["state"] == "CANCELLED"


def user_limit(most: int | None) -> None:
    """Let a user have so many jobs queued, and wait until the controller has heard of it; None: as
    many as they like."""
    setting = f"MaxSubmitJobsPerUser={-1 if most is None else most}"
    subprocess.run(
        ["sacctmgr", "-i", "modify", "qos", "normal", "set", setting],
        check=True,
        capture_output=True,
    )
    too_many = [
        "sbatch",
        "--parsable",
        "--account=llmalignment",
        "--mem=10M",
        "--begin=now+1hour",
        f"--array=0-{most}",
        "--wrap=true",
    ]
    deadline = time.monotonic() + 60
    while (
        most is not None
        and (taken := subprocess.run(too_many, capture_output=True, text=True)).returncode == 0
    ):
        subprocess.run(["scancel", taken.stdout.strip()], check=True)
        assert time.monotonic() < deadline, "slurmctld has not heard of the limit"
        time.sleep(0.5)


@pytest.mark.slurm
def test_more_jobs_than_the_qos_takes_wait_and_all_complete(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'echo a{{n}} >> ran'\", matrix: {{n: "
        f"{list(range(12))}}}, {SMALL}}}\n"
        f"  b: {{command: \"sh -c 'echo b >> ran'\", after: [a], {SMALL}}}\n",
    )
    user_limit(8)
    other = subprocess.run(
        [
            "sbatch",
            "--parsable",
            "--account=llmalignment",
            "--mem=10M",
            "--begin=now+1hour",
            "--array=1-2",
            "--output=/dev/null",
            "--wrap=true",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    try:
        launched = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile))
        assert launched.returncode == 0, launched.stderr
        assert (
            "5 jobs submitted" in launched.stdout
        )  # eight, less two of another program, less one for the job that looks
        queue = subprocess.run(
            ["squeue", "--me", "--noheader", "--format=%j %r"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert "trial.look." in queue
        assert "QOSMaxSubmitJobPerUserLimit: 8" in jobs(tmp_path)["b"]["reason"]
        deadline = time.monotonic() + 240
        while any(job["state"] != "COMPLETED" for job in jobs(tmp_path).values()):
            assert time.monotonic() < deadline, jobs(tmp_path)
            time.sleep(0.5)
    finally:
        subprocess.run(["scancel", other], check=True)
        user_limit(None)
    assert Counter((tmp_path / "ran").read_text().split()) == Counter(
        [f"a{n}" for n in range(12)] + ["b"]
    )
    assert {job["attempt"] for job in jobs(tmp_path).values()} == {1}


@pytest.mark.slurm
def test_twenty_terminals_that_watch_ask_squeue_as_if_there_were_one(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    launched_later(tmp_path, slurm, 3, "calls_per_minute: 30")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for program in ("squeue", "sacct", "sbatch", "scancel", "scontrol"):
        real = subprocess.run(
            ["which", program], capture_output=True, text=True, check=True
        ).stdout.strip()
        (bin_folder / program).write_text(
            f'#!/bin/bash\ndate +%s.%N >> {tmp_path}/calls\nexec {real} "$@"\n'
        )
        (bin_folder / program).chmod(0o755)
    environment = {
        **os.environ,
        "ORCH_RUNS": str(tmp_path / "runs"),
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "ORCH_CACHE": str(tmp_path / "cache"),
        "COLUMNS": "200",
    }
    command = [ORCH, "status"]
    watching = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(20)
    ]
    shown = [process.communicate(timeout=180)[0] for process in watching]
    assert all("3 queued" in text for text in shown)
    calls = sorted(float(line) for line in (tmp_path / "calls").read_text().splitlines())
    assert len(calls) <= 1 + (calls[-1] - calls[0]) / 5  # a new answer every five seconds at most
    retries = [
        subprocess.Popen(
            [command[0], "retry"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(20)
    ]
    for process in retries:
        process.communicate(timeout=300)
    calls = sorted(float(line) for line in (tmp_path / "calls").read_text().splitlines())
    assert all(sum(start <= call < start + 59.5 for call in calls) <= 30 for start in calls)
    assert orch(tmp_path, "cancel").returncode == 0
