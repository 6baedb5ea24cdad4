"""Who was to release the rest of a sweep is killed: whoever looks next releases it, once, on a real
Slurm."""

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.cli import (
    SMALL,
    describe,
    jobs,
    orch,
    over,
    slurm_says,
    tiny_stage,
    until,
    wrapper,
)
from tests.support.paths import lines
from tests.support.private_slurm import PrivateSlurm

SWEEP = f"command: \"sh -c 'echo {{n}} >> ran'\", matrix: {{n: [1, 2, 3]}}, canary: true, {SMALL}"
LONG = 120.0


def deadly(folder: Path, call: int, submits: bool, where: str = "") -> str:
    """An sbatch that kills who calls it at its n-th call, before it submits or after it has;
    ``where``: a shell's condition on the call."""
    does = '$real "$@" > /dev/null; ' if submits else ""
    return wrapper(
        folder,
        "sbatch",
        f'case "$*" in *test-only*) exec $real "$@";; esac\n{where}\nn=1\n'
        # Several calls come at the same time, and each has a number of its own.
        f"while ! mkdir {folder}/call-$n 2> /dev/null; do n=$((n + 1)); done\n"
        f"if [ $n -eq {call} ]; then {does}kill -9 $PPID; exit 1; "
        'fi\nexec $real "$@"',
    )


def nothing_queued(seconds: float = LONG) -> None:
    """Wait until Slurm has nothing left to do, without any orch command."""
    deadline = time.monotonic() + seconds
    while queue := slurm_says("squeue", "--me", "--noheader", "--format=%i %j %T %r"):
        assert time.monotonic() < deadline, queue
        time.sleep(0.3)


@pytest.mark.parametrize(
    ("submits", "command"), [(False, "status"), (True, "status"), (False, "advance")]
)
def test_a_launch_killed_between_its_canary_and_the_rest_is_finished_by_whoever_looks(
    slurm: PrivateSlurm, tmp_path: Path, submits: bool, command: str
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{{SWEEP}}}\n  b: {{command: \"sh -c 'echo b >> ran'\", for_each: a, {SMALL}}}\n",
    )
    killed = orch(
        tmp_path,
        "launch",
        str(file),
        "--cluster",
        str(slurm.profile),
        path=deadly(tmp_path, 2, submits),
    )
    assert killed.returncode == -9
    nothing_queued()
    # The canary has ended, and with it what sbatch had taken: the call that killed the launch, and
    # perhaps the one beside it, for the rest of ``a`` or the first of ``b``.
    assert lines(tmp_path / "ran") in ((2, 3, 4) if submits else (1, 2, 3))
    assert orch(tmp_path, command).returncode == 0
    found = until(tmp_path, over, LONG)
    assert {(job["state"], job["attempt"]) for job in found.values()} == {("COMPLETED", 1)}
    assert Counter((tmp_path / "ran").read_text().split()) == Counter(
        {"1": 1, "2": 1, "3": 1, "b": 3}
    )


@pytest.mark.parametrize(
    ("call", "submits"), [(1, False), pytest.param(2, False, marks=pytest.mark.long), (2, True)]
)
def test_a_job_that_looks_at_gates_is_killed_while_it_releases_a_sweep(
    slurm: PrivateSlurm, tmp_path: Path, call: int, submits: bool
) -> None:
    file = describe(
        tmp_path,
        f"  first: {{{tiny_stage(0)}}}\n"
        f"  a: {{when: {{metric: test_accuracy, of: first, at_least: 0.0}}, {SWEEP}}}\n",
    )
    path = deadly(
        tmp_path,
        call,
        submits,
        where='grep -qz ^SLURM_JOB_ID= /proc/$PPID/environ || exec $real "$@"',
    )
    assert (
        "1 job submitted"
        in orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile), path=path).stdout
    )
    deadline = time.monotonic() + LONG
    while len(list(tmp_path.glob("call-*"))) < call:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    nothing_queued()
    assert lines(tmp_path / "ran") == {(1, False): 0, (2, False): 1, (2, True): 3}[call, submits]
    found = until(tmp_path, over, LONG)
    assert {(job["state"], job["attempt"]) for job in found.values()} == {("COMPLETED", 1)}
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "2", "3"]


def test_what_a_killed_launch_left_is_cancelled_with_the_run_and_not_released(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(tmp_path, f"  a: {{{SWEEP}}}\n")
    killed = orch(
        tmp_path,
        "launch",
        str(file),
        "--cluster",
        str(slurm.profile),
        path=deadly(tmp_path, 2, submits=False),
    )
    assert killed.returncode == -9
    cancelled = orch(tmp_path, "cancel")
    assert {"cancelled a/n=2", "cancelled a/n=3"} <= set(cancelled.stdout.splitlines()), (
        cancelled.stderr
    )
    found = until(tmp_path, over, LONG)
    assert {found[f"a/n={n}"]["state"] for n in (2, 3)} == {"CANCELLED"}
    nothing_queued()
    assert {jobs(tmp_path)[f"a/n={n}"]["state"] for n in (2, 3)} == {"CANCELLED"}
    assert lines(tmp_path / "ran") <= 1
