"""Launch, adoption, truth and retry on a real Slurm."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from orchestrator.clusters.slurm.ends import STATES
from tests.support.cli import SAVES, SMALL, describe, jobs, orch, over, until, wrapper
from tests.support.paths import lines
from tests.support.private_slurm import PrivateSlurm


def test_graph_runs_whole_and_a_second_launch_submits_nothing(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran'\", matrix: {{n: [1, 2, 3]}}, {SMALL}}}\n"
        f"  b: {{command: sh -c 'echo b >> ran', for_each: a, {SMALL}}}\n"
        f"  c: {{command: sh -c 'sleep 2; echo c >> ran', after: [b], {SMALL}}}\n",
    )
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile))
    assert launched.returncode == 0, launched.stderr
    queue = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%j"], capture_output=True, text=True, check=True
    ).stdout
    assert "trial.c." in queue
    found = until(tmp_path, over)
    assert {job["state"] for job in found.values()} == {"COMPLETED"}
    again = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile))
    assert "0 jobs submitted, 7 of 7 done before" in again.stdout
    assert lines(tmp_path / "ran") == 7


def test_what_a_failed_job_was_needed_for_never_runs_and_retry_completes_it(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  train: {{command: cat weights.bin, {SMALL}}}\n"
        f"  evaluate: {{command: sh -c 'echo e >> ran', after: [train], {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, over)
    assert found["train"]["state"] == "FAILED"
    assert "weights.bin: No such file" in found["train"]["reason"]
    assert found["evaluate"]["state"] == "CANCELLED"
    assert "train" in found["evaluate"]["reason"]
    assert not (tmp_path / "ran").exists()
    (tmp_path / "weights.bin").write_text("w")
    # Named alone it brings along what was cancelled because of it.
    assert orch(tmp_path, "retry", "--job", "train").returncode == 0
    found = until(tmp_path, over)
    assert {job["state"] for job in found.values()} == {"COMPLETED"}
    assert lines(tmp_path / "ran") == 1


def test_a_budget_lets_jobs_run_one_after_the_other_and_all_of_them(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        "  a: {command: \"sh -c 'true {n}; echo + >> log; sleep 1; echo - >> log'\", "
        "matrix: {n: [1, 2, 3]}, resources: {gpus: 1, cpus: 1, memory_gb: 1, minutes: 60}}\n",
        "budget: {gpu_hours: 1.5}\n",
    )
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile))
    assert "1 job submitted" in launched.stdout, launched.stderr
    found = until(tmp_path, lambda now: all(job["state"] == "COMPLETED" for job in now.values()))
    assert len(found) == 3
    # One at a time: two of them might take two hours.
    assert (tmp_path / "log").read_text().split() == ["+", "-"] * 3


def test_launch_killed_between_sbatch_and_its_record_is_adopted(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: sh -c 'echo a >> ran; sleep 3', {SMALL}}}\n"
        f"  b: {{command: sh -c 'echo b >> ran', after: [a], {SMALL}}}\n",
    )
    path = wrapper(
        tmp_path,
        "sbatch",
        'case "$*" in *test-only*) exec $real "$@";; esac\n$real "$@"\n'
        "if mkdir killed 2>/dev/null; then kill -9 $PPID; fi",
    )
    killed = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile), path=path)
    assert killed.returncode == -9
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, over)
    assert {job["state"] for job in found.values()} == {"COMPLETED"}
    assert sorted((tmp_path / "ran").read_text().split()) == ["a", "b"]


def test_an_sbatch_that_submits_and_says_it_failed_is_looked_up(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(tmp_path, f"  a: {{command: sh -c 'echo a >> ran; sleep 3', {SMALL}}}\n")
    path = wrapper(
        tmp_path,
        "sbatch",
        'case "$*" in *test-only*) exec $real "$@";; esac\n$real "$@" >/dev/null\n'
        'echo "sbatch: error: Batch job submission failed: Socket timed out" >&2\nexit 1',
    )
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile), path=path)
    assert launched.returncode == 0, launched.stderr
    found = until(tmp_path, over)
    assert found["a"]["state"] == "COMPLETED"
    assert lines(tmp_path / "ran") == 1


def test_squeue_that_cannot_be_asked_changes_nothing_and_is_said(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(tmp_path, f"  a: {{command: sleep 60, {SMALL}}}\n")
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    until(tmp_path, lambda found: found["a"]["state"] == "RUNNING")
    path = wrapper(
        tmp_path,
        "squeue",
        'echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1',
    )
    assert jobs(tmp_path, path)["a"]["state"] == "RUNNING"
    assert (
        "could not ask: squeue: slurm_load_jobs error" in orch(tmp_path, "status", path=path).stdout
    )
    assert orch(tmp_path, "cancel").returncode == 0
    assert until(tmp_path, over)["a"]["state"] == "CANCELLED"


def test_jobs_get_the_gpus_they_asked_for(slurm: PrivateSlurm, tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        "  a: {command: sh -c 'echo $CUDA_VISIBLE_DEVICES > gpus', "
        "resources: {gpus: 2, cpus: 32, memory_gb: 1, minutes: 2}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    assert until(tmp_path, over)["a"]["state"] == "COMPLETED"
    assert (tmp_path / "gpus").read_text().strip() == "0,1"


def test_a_wrong_account_is_found_before_anything_is_submitted(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(tmp_path, f"  a: {{command: 'true', {SMALL}}}\n")
    (tmp_path / "wrong.yaml").write_text(
        slurm.profile.read_text().replace("llmalignment", "llmalignmnt")
    )
    refused = orch(tmp_path, "launch", str(file), "--cluster", str(tmp_path / "wrong.yaml"))
    assert refused.returncode == 2
    assert "llmalignmnt" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list((tmp_path / "runs").glob("[!.]*/*"))


def test_a_parent_that_failed_and_was_forgotten_by_slurm_holds_its_child_back(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  train: {{command: 'true', {SMALL}}}\n"
        f"  evaluate: {{command: sh -c 'echo e >> ran', after: [train], {SMALL}}}\n",
    )
    # The set-up fails, so there is no exit record: only Slurm knows. max_jobs keeps the child in
    # the backlog.
    profile = tmp_path / "one.yaml"
    profile.write_text(f"{slurm.profile.read_text()}max_jobs: 1\nsetup: [cat {tmp_path}/weights]\n")
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(profile))
    assert "1 job submitted" in launched.stdout, launched.stderr
    (state,) = tmp_path.glob("runs/[!.]*/*/state.json")
    number = json.loads(state.read_text())["jobs"][0]["job_id"]
    deadline = time.monotonic() + 100
    while subprocess.run(["scontrol", "show", "job", number], capture_output=True).returncode == 0:
        assert time.monotonic() < deadline, "MinJobAge is over and the job is still there"
        time.sleep(0.5)
    deaf = orch(
        tmp_path,
        "retry",
        path=wrapper(tmp_path, "squeue", "echo slurm_load_jobs error >&2; exit 1"),
    )
    assert "could not ask: squeue" in deaf.stdout
    assert json.loads(state.read_text())["jobs"][1].get("attempt", 0) == 0
    found = jobs(tmp_path)
    assert (found["train"]["state"], found["train"]["source"]) == ("FAILED", "sacct")
    assert (found["evaluate"]["state"], found["evaluate"]["reason"]) == ("WAITING", "train FAILED")
    orch(tmp_path, "retry", "--job", "evaluate")
    assert jobs(tmp_path)["evaluate"]["attempt"] == 0
    (tmp_path / "weights").write_text("w")
    assert "submitted train" in orch(tmp_path, "retry").stdout
    until(
        tmp_path, lambda now: now["evaluate"]["state"] == "COMPLETED"
    )  # submitted by a look, when there is room
    assert lines(tmp_path / "ran") == 1


@pytest.mark.long
def test_a_job_over_its_time_limit_is_warned_and_leaves_an_exit_record(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        "  a: {command: bash -c 'trap \"echo saved > saved\" USR2; while :; do sleep 0.2; done', "
        "resources: {cpus: 1, memory_gb: 1, minutes: 1}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, over, seconds=180)
    (record,) = tmp_path.glob("runs/[!.]*/*/jobs/a/attempt-1/exit.json")
    assert json.loads(record.read_text())["signals"][0] == "SIGUSR2"
    assert "SIGTERM" in json.loads(record.read_text())["signals"]
    assert (tmp_path / "saved").read_text() == "saved\n"
    assert (found["a"]["state"], found["a"]["source"]) == ("TIMEOUT", "sacct")


def test_a_job_that_saves_itself_on_the_warning_is_requeued_and_goes_on(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "saves.sh").write_text(SAVES)
    file = describe(
        tmp_path,
        f"  a: {{command: bash saves.sh, {SMALL}}}\n"
        f"  b: {{command: touch after, after: [a], {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, lambda _: (tmp_path / "ready").exists())
    # What Slurm itself sends before the time limit.
    subprocess.run(["scancel", "--batch", "--signal=USR2", found["a"]["id"]], check=True)
    again = until(
        tmp_path, lambda now: now["a"]["restarts"] == 1 and now["a"]["state"] != "COMPLETING"
    )["a"]
    assert (again["state"], again["id"]) == ("PENDING", found["a"]["id"])
    assert "requeued" in again["reason"]
    until(
        tmp_path, lambda now: "BeginTime" in now["a"]["reason"]
    )  # Slurm waits two minutes before it starts a job again
    slurm.start_again_now(found["a"]["id"])
    found = until(tmp_path, over)
    assert {job["state"] for job in found.values()} == {"COMPLETED"}
    assert (found["a"]["attempt"], found["a"]["restarts"]) == (1, 1)
    assert len(list(tmp_path.glob("runs/[!.]*/*/jobs/a/attempt-1/exit*.json"))) == 2


def count_calls(folder: Path, *programs: str) -> str:
    """Programs that note each call; returns the start of PATH."""
    for program in programs:
        path = wrapper(folder, program, f'echo {program} >> {folder}/calls; exec $real "$@"')
    return path


def test_status_asks_squeue_once_and_sacct_at_most_once(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "later.yaml").write_text(
        f"{slurm.profile.read_text()}sbatch: {{begin: now+1hour}}\n"
    )
    file = describe(
        tmp_path, "".join(f"  a{n}: {{command: echo {n}, {SMALL}}}\n" for n in range(1, 9))
    )
    assert (
        orch(tmp_path, "launch", str(file), "--cluster", str(tmp_path / "later.yaml")).returncode
        == 0
    )
    found = jobs(tmp_path, count_calls(tmp_path, "squeue", "sacct"))
    assert {job["state"] for job in found.values()} == {"PENDING"}
    assert (tmp_path / "calls").read_text().split() == ["squeue"]
    # Cancelled by hand before they started: no exit record, and squeue no longer shows them.
    subprocess.run(["scancel", *[found[f"a{n}"]["id"] for n in (1, 2, 3)]], check=True)
    until(
        tmp_path, lambda now: sum(job["state"] == "CANCELLED" for job in now.values()) == 3
    )  # accounting lags a moment behind
    (state,) = tmp_path.glob("runs/[!.]*/*/state.json")
    state.write_text(
        state.read_text().replace('"CANCELLED"', '"PENDING"')
    )  # as if this were the first look since
    (tmp_path / "calls").unlink()
    found = jobs(tmp_path, f"{tmp_path}/bin:")
    assert sorted((tmp_path / "calls").read_text().split()) == ["sacct", "squeue"]
    assert [found[f"a{n}"]["state"] for n in range(1, 9)] == ["CANCELLED"] * 3 + ["PENDING"] * 5
    assert orch(tmp_path, "cancel").returncode == 0


def test_sacct_that_cannot_be_asked_leaves_a_lost_job_unknown_and_nothing_is_submitted(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "later.yaml").write_text(
        f"{slurm.profile.read_text()}sbatch: {{begin: now+1hour}}\n"
    )
    file = describe(tmp_path, f"  a: {{command: 'true', {SMALL}}}\n")
    assert (
        orch(tmp_path, "launch", str(file), "--cluster", str(tmp_path / "later.yaml")).returncode
        == 0
    )
    subprocess.run(["scancel", jobs(tmp_path)["a"]["id"]], check=True)
    deaf = wrapper(
        tmp_path, "sacct", 'echo "sacct: error: Problem talking to the database" >&2; exit 1'
    )
    lost = jobs(tmp_path, deaf)["a"]
    assert (lost["state"], lost["attempt"]) == ("UNKNOWN", 1)
    assert "accounting could not be asked" in lost["reason"]
    assert (
        "could not ask: sacct: sacct: error: Problem" in orch(tmp_path, "status", path=deaf).stdout
    )
    orch(tmp_path, "retry", path=deaf)
    assert jobs(tmp_path, deaf)["a"]["attempt"] == 1, "a job that may still run was submitted again"
    until(tmp_path, lambda now: now["a"]["state"] == "CANCELLED")  # accounting lags a moment behind


def test_every_state_that_this_slurm_names_is_known(slurm: PrivateSlurm) -> None:
    assert slurm.profile.exists()
    said = subprocess.run(
        ["squeue", "--states=nosuch"], capture_output=True, text=True, check=False
    ).stderr
    listed = said.partition("include:")[2].split()[0].upper().split(",")
    assert {"PENDING", "OUT_OF_MEMORY", "REQUEUE_HOLD"} <= set(listed)
    assert set(listed) <= STATES.keys()
