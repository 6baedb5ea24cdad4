"""Children in the queue and their parents: forgotten ones, and those that were submitted again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli import SMALL, describe, orch, over, states, until, wrapper
from tests.support.private_slurm import PrivateSlurm

FORGETS = """
case "$*" in *test-only*) exec $real "$@";; esac
if grep -q 'dependency=afterok' "${@: -1}" && [ ! -e refused ]; then
    until [ -e runs/trial/*/jobs/a/attempt-1/exit.json ]; do sleep 0.2; done
    touch refused
    echo 'sbatch: error: Batch job submission failed: Job dependency problem' >&2
    exit 1
fi
exec $real "$@"
"""
"""An sbatch that takes its time before the first child, and then has forgotten its parent, as
Slurm's controller has from 24.11 on."""


@pytest.mark.parametrize("code", [0, 3])
def test_a_launch_goes_on_where_the_controller_has_forgotten_a_parent(
    slurm: PrivateSlurm, tmp_path: Path, code: int
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: sh -c 'exit {code}', {SMALL}}}\n"
        f"  b: {{command: 'true', resources: {{cpus: 2, memory_gb: 1, minutes: 5}}}}\n"
        f"  c: {{command: 'true', after: [a], {SMALL}}}\n"
        f"  d: {{command: 'true', after: [c], {SMALL}}}\n"
        f"  e: {{command: 'true', after: [b], {SMALL}}}\n",
    )
    path = wrapper(tmp_path, "sbatch", FORGETS)
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile), path=path)
    assert launched.returncode == 0, launched.stderr
    assert (tmp_path / "refused").exists()
    found = until(tmp_path, over)
    if code == 0:
        assert set(states(found).values()) == {"COMPLETED"}
        return
    assert states(found) == {
        "a": "FAILED",
        "b": "COMPLETED",
        "c": "WAITING",
        "d": "WAITING",
        "e": "COMPLETED",
    }
    assert (found["c"]["reason"], found["d"]["reason"]) == ("a FAILED", "c WAITING")


@pytest.mark.long
def test_a_slow_launch_outlives_what_the_controller_remembers(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    slow = tmp_path / "slow.yaml"
    slow.write_text(f"{slurm.profile.read_text()}calls_per_minute: 10\n")
    others = "".join(
        f"  s{n}: {{command: 'true s{n}', resources: {{cpus: {n}, memory_gb: 1, minutes: 5}}}}\n"
        for n in range(2, 8)
    )
    file = describe(
        tmp_path,
        f"  a: {{command: 'true', {SMALL}}}\n{others}"
        f"  c: {{command: 'true c', after: [a], {SMALL}}}\n"
        f"  d: {{command: 'true d', after: [c], {SMALL}}}\n",
    )
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(slow))
    assert launched.returncode == 0, launched.stderr
    assert set(states(until(tmp_path, over)).values()) == {"COMPLETED"}


ONE_FAILS = (
    "sh -c 'if [ {n} = 1 ]; then test -e again && until [ -e late ]; do sleep 0.2; done; "
    "else until [ -e go ]; do sleep 0.2; done; fi'"
)
"""The job 1 fails until there is a file and ends when there is another; the rest wait for a third."""


def test_a_child_of_a_running_array_waits_for_the_element_that_was_submitted_again(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f'  a: {{command: "{ONE_FAILS}", matrix: {{n: [1, 2]}}, {SMALL}}}\n'
        f"  c: {{command: touch after, after: [a], {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, lambda now: now["a/n=1"]["state"] == "FAILED")
    assert (found["a/n=2"]["state"], found["c"]["state"]) == ("RUNNING", "PENDING")
    (tmp_path / "again").touch()
    assert orch(tmp_path, "retry", "--job", "a/n=1").returncode == 0
    (tmp_path / "late").touch()
    (tmp_path / "go").touch()
    after = until(tmp_path, over)
    assert set(states(after).values()) == {"COMPLETED"}
    assert after["c"]["id"] == found["c"]["id"]


def test_a_child_of_packs_waits_for_the_member_that_was_submitted_again(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f'  a: {{command: "{ONE_FAILS}", matrix: {{n: [1, 2, 3, 4]}}, pack: 2, {SMALL}}}\n'
        f"  c: {{command: touch after, after: [a], {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, lambda now: now["a/n=1"]["state"] == "FAILED")
    assert found["c"]["state"] == "PENDING"
    (tmp_path / "again").touch()
    retried = orch(tmp_path, "retry", "--job", "a/n=1")
    assert "submitted a/n=1" in retried.stdout
    (tmp_path / "go").touch()
    others = [f"a/n={n}" for n in (2, 3, 4)]
    found = until(tmp_path, lambda now: all(now[name]["state"] == "COMPLETED" for name in others))
    assert (found["a/n=1"]["state"], found["c"]["state"]) in (
        ("PENDING", "PENDING"),
        ("RUNNING", "PENDING"),
    )
    (tmp_path / "late").touch()
    assert set(states(until(tmp_path, over)).values()) == {"COMPLETED"}
