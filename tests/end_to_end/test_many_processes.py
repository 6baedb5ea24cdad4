"""Twenty orch processes at once on one run: nothing doubled, nothing lost, no torn file."""

import json
import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.cli import ORCH, SMALL, Rows, describe, jobs, orch, until
from tests.support.private_slurm import PrivateSlurm

STAGES = (
    f"  a: {{command: \"sh -c 'echo a{{n}} >> ran; sleep 1'\", matrix: {{n: [1, 2, 3, "
    f"4]}}, {SMALL}}}\n"
    f"  b: {{command: \"sh -c 'echo b{{n}} >> ran'\", for_each: a, {SMALL}}}\n"
    f"  c: {{command: \"sh -c 'echo c >> ran'\", after: [b], {SMALL}}}\n"
    f"  ended: {{command: \"sh -c 'echo ended >> ran; test -e go || exec sleep 20'\", {SMALL}}}\n"
)


def at_once(folder: Path, cluster: str, seed: int) -> list[tuple[tuple[str, ...], int, str]]:
    """Start twenty commands together; what each was, its exit code, and what it said on stderr."""
    commands: list[tuple[str, ...]] = [
        ("launch", str(folder / "trial.yaml"), "--cluster", cluster, "--no-watch")
    ] * 6
    commands += (
        [("status",)] * 5
        + [("retry",)] * 4
        + [("advance",)] * 3
        + [("cancel", "--job", "ended")] * 2
    )
    random.Random(seed).shuffle(commands)
    environment = {
        **os.environ,
        "ORCH_RUNS": str(folder / "runs"),
        "TMPDIR": str(folder),
        "ORCH_CACHE": str(folder / "cache"),
        "COLUMNS": "200",
    }
    processes = [
        subprocess.Popen(
            [ORCH, *command],
            cwd=folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    return [
        (command, process.returncode, said)
        for command, process in zip(commands, processes, strict=True)
        for said in [process.communicate(timeout=400)[1]]
    ]


def race(folder: Path, cluster: str) -> None:
    """Twenty commands at once before there is a run, and again; then what is left to do. Every job
    has run once for each attempt."""
    describe(folder, STAGES)
    for seed, allowed in ((1, ("has had the lock", "no run here yet")), (2, ("has had the lock",))):
        for command, code, said in at_once(folder, cluster, seed):
            # Nothing but a line: there is no run yet, or who has its lock on a machine too busy to
            # give it in a minute.
            assert code == 0 or (code == 2 and any(text in said for text in allowed)), (
                command,
                code,
                said,
            )
        (state,) = folder.glob("runs/[!.]*/*/state.json")
        assert len(json.loads(state.read_text())["jobs"]) == 10
    (folder / "go").touch()
    assert orch(folder, "retry").returncode == 0

    def completed(now: Rows) -> bool:
        # The last cancellation of the race may reach the job after a first retry has seen it run.
        if now["ended"]["state"] == "CANCELLED":
            assert orch(folder, "retry", "--job", "ended").returncode in (0, 2)
        return {job["state"] for job in now.values()} == {"COMPLETED"}

    found = until(folder, completed, seconds=400)
    ran = Counter((folder / "ran").read_text().split())
    kept = {f"a{n}": 1 for n in range(1, 5)} | {f"b{n}": 1 for n in range(1, 5)} | {"c": 1}
    assert {name: ran[name] for name in kept} == kept
    assert 1 <= ran["ended"] <= found["ended"]["attempt"]
    claims = [
        json.loads(path.read_text()) for path in state.parent.glob("jobs/*/attempt-*/claim.json")
    ]
    assert len({claim["token"] for claim in claims}) == len(claims)
    assert not list(state.parent.glob("*.tmp"))
    assert {job["attempt"] for name, job in jobs(folder).items() if name != "ended"} == {1}


def test_twenty_processes_at_once_on_a_local_run(tmp_path: Path) -> None:
    race(tmp_path, "local")


@pytest.mark.slurm
def test_twenty_processes_at_once_on_a_slurm_run(slurm: PrivateSlurm, tmp_path: Path) -> None:
    race(tmp_path, str(slurm.profile))
    (state,) = tmp_path.glob("runs/[!.]*/*/state.json")
    tokens = [job["token"].partition("_")[0] for job in json.loads(state.read_text())["jobs"]]
    ids: dict[str, set[str]] = {}
    deadline = time.monotonic() + 60
    while not ids or (
        not all(ids.values()) and time.monotonic() < deadline
    ):  # slurmctld tells slurmdbd of a job seconds later
        time.sleep(1)
        listed = subprocess.run(
            ["sacct", "--allocations", "--noheader", "--parsable2", "--format=JobName%200,JobID"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        ids = {
            token: {
                line.rpartition("|")[2].partition("_")[0]
                for line in listed.splitlines()
                if f".{token}|" in line
            }
            for token in tokens
        }
    assert {token: len(found) for token, found in ids.items()} == dict.fromkeys(
        tokens, 1
    )  # one sbatch each, however many asked for it
