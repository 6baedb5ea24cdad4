"""What comes from outside on a real Slurm: variables of the user, jobs of any name, greetings."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cli import (
    SMALL,
    describe,
    jobs,
    orch,
    over,
    slurm_says,
    until,
    wrapper,
)
from tests.support.private_slurm import PrivateSlurm

VARIABLES = {
    "SBATCH_JOB_NAME": "foo",
    "SBATCH_TIMELIMIT": "1",
    "SBATCH_PARTITION": "nosuch",
    "SBATCH_ACCOUNT": "nosuch",
    "SBATCH_ARRAY_INX": "0-3",
    "SBATCH_OUTPUT": "/nowhere/log",
    "SBATCH_EXPORT": "NONE",
    "SBATCH_WAIT": "1",
    "SBATCH_HINT": "nomultithread",
    "SQUEUE_STATES": "RUNNING",
    "SQUEUE_PARTITION": "low",
    "SQUEUE_NAMES": "foo",
    "SQUEUE_USERS": "nobody",
    "SQUEUE_FORMAT2": "jobid",
    "SQUEUE_ARRAY": "1",
    "SACCT_FORMAT": "jobid",
    "SINFO_PARTITION": "low",
    "SINFO_FORMAT": "%t",
    "SCONTROL_ALL": "0",
    "SCANCEL_STATE": "SUSPENDED",
    "SCANCEL_NAME": "foo",
    "SCANCEL_INTERACTIVE": "1",
    "SLURM_CLUSTERS": "nosuch",
    "SLURM_TIME_FORMAT": "relative",
    "SLURM_BITSTR_LEN": "4",
    "TZ": "Asia/Kathmandu",
}


@pytest.fixture
def strangers(slurm: PrivateSlurm) -> Iterator[None]:
    """Jobs of the same user, of the worst names that sbatch takes, queued and ended."""
    held: list[str] = []
    for name in (
        "foo\nbar",
        os.fsdecode(b"caf\xe9"),
        "a|b\x1fc\x1ed",
        "\n17\x1fe.a.0123456789\x1fRUNNING",
    ):
        for more in (["--begin=now+1hour", "--wrap=true"], ["--wrap=true"]):
            command = ["sbatch", "--parsable", "--account=llmalignment", "--mem=10M"]
            said = subprocess.run(
                [*command, "--output=/dev/null", f"--job-name={name}", *more],
                capture_output=True,
                text=True,
                check=True,
            )
            held.append(said.stdout.strip())
    try:
        yield
    finally:
        subprocess.run(["scancel", *held], check=True)


def test_nothing_of_the_users_environment_and_of_their_other_jobs_changes_a_run(
    slurm: PrivateSlurm, tmp_path: Path, strangers: None
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran'\", matrix: {{n: [1, 2]}}, {SMALL}}}\n"
        f"  b: {{command: sh -c 'sleep 600', after: [a], {SMALL}}}\n",
    )
    # A site's wrapper greets on standard output.
    path = ""
    for program in ("sbatch", "squeue", "sacct", "scancel"):
        path = wrapper(tmp_path, program, 'echo "Welcome to Stampede3"\nexec $real "$@"')
    checked = orch(tmp_path, "check", file, "--cluster", slurm.profile, path=path, **VARIABLES)
    assert checked.returncode == 0, checked.stderr
    assert "SBATCH_TIMELIMIT" in checked.stdout
    assert "Slurm accepts it" in checked.stdout
    launched = orch(tmp_path, "launch", file, "--cluster", slurm.profile, path=path, **VARIABLES)
    assert launched.returncode == 0, launched.stderr
    assert "3 jobs submitted" in launched.stdout
    deadline = time.monotonic() + 120
    while True:
        status = orch(tmp_path, "status", path=path, **VARIABLES)
        assert "unknown" not in status.stdout
        assert "could not ask" not in status.stdout
        found = jobs(tmp_path, path)
        if found["b"]["state"] == "RUNNING":
            break
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    assert "TimeLimit=00:05:00" in slurm_says("scontrol", "show", "job", found["b"]["id"])
    assert abs(found["b"]["started"] - time.time()) < 120
    cancelled = orch(tmp_path, "cancel", path=path, **VARIABLES)
    assert cancelled.stdout == "cancelled b\n"
    until(tmp_path, over)
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "2"]


def test_a_clock_that_is_ahead_loses_no_job_and_exit_codes_are_named_as_far_as_they_are_known(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    profile = tmp_path / "ends.yaml"
    # Another program in place of the script: nothing of orch's sees its end, Slurm alone knows it.
    profile.write_text(f"{slurm.profile.read_text()}setup: ['exec sh -c \"exit $CODE\"']\n")
    file = describe(
        tmp_path,
        f"  a: {{command: 'echo a', environment: {{CODE: '255'}}, {SMALL}}}\n"
        f"  b: {{command: 'echo b', environment: {{CODE: '128'}}, {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", file, "--cluster", profile).returncode == 0
    (state,) = tmp_path.glob("runs/trial/*/state.json")
    # As if orch's clock had been ahead when it submitted.
    ahead = re.compile(r'("submitted": ?)([\d.]+)')
    moved, count = ahead.subn(lambda one: f"{one[1]}{float(one[2]) + 150!r}", state.read_text())
    assert count == 2
    state.write_text(moved)
    found = until(tmp_path, over)
    assert {name: job["state"] for name, job in found.items()} == {"a": "FAILED", "b": "FAILED"}
    assert found["a"]["reason"].startswith("exit code 127 or 255")
    assert found["b"]["reason"].startswith("exit code 128; its times lie ")
    assert found["b"]["exit_code"] == 128


def test_a_profile_may_name_the_cluster_a_list_of_partitions_and_an_account_in_any_case(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    profile = tmp_path / "named.yaml"
    text = slurm.profile.read_text()
    profile.write_text(
        text.replace("account: llmalignment", "account: LLMAlignment").replace(
            "partition: a100_normal_q", "partition: a100_normal_q, low"
        )
        + "cluster: private\n"
    )
    file = describe(
        tmp_path,
        f"  a: {{command: sleep 600, {SMALL}}}\n"
        f"  b: {{command: 'echo {{word}}', matrix: {{word: [{'x' * 1020}]}}, {SMALL}}}\n",
    )
    assert orch(tmp_path, "check", file, "--cluster", profile).returncode == 0
    assert orch(tmp_path, "launch", file, "--cluster", profile).returncode == 0
    found = until(
        tmp_path,
        lambda now: {"RUNNING", "COMPLETED"} == {one["state"] for one in now.values()},
    )
    assert {one["id"].isdigit() for one in found.values()} == {True}
    assert orch(tmp_path, "cancel").stdout == "cancelled a\n"
    until(tmp_path, over)
    # What accounting keeps of a name ends in the token.
    names = slurm_says("sacct", "-X", "-n", "-P", "--format=JobName", "--starttime=now-1hour")
    assert any(len(name.encode()) == 255 for name in names.splitlines())
    profile.write_text(text + "cluster: elsewhere\n")
    refused = orch(tmp_path, "check", file, "--cluster", profile)
    assert refused.returncode == 2
    assert "elsewhere" in refused.stderr
