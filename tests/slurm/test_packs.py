"""Packs and canaries on a real Slurm."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.cli import SAVES, SMALL, describe, jobs, orch, over, states, until, wrapper
from tests.support.paths import lines
from tests.support.private_slurm import PrivateSlurm

PACK = "resources: {cpus: 1, memory_gb: 1, minutes: 30}, pack: 2"
LONG = 240.0
"""Longest wait for anything, in seconds; the machine may be busy."""


def asked(number: str, field: str) -> str:
    """What Slurm says of a job."""
    text = subprocess.run(
        ["scontrol", "--oneliner", "show", "job", number],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return next(word.partition("=")[2] for word in text.split() if word.startswith(f"{field}="))


def test_packs_in_an_array_with_one_that_dies_and_its_children(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "file1").write_text("x")
    (tmp_path / "file3").write_text("x")
    (tmp_path / "file4").write_text("x")
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran; cat file{{n}}'\", matrix: {{n: [1, "
        f"2, 3, 4]}}, {PACK}}}\n"
        f"  b: {{command: \"sh -c 'echo b{{n}} >> ran'\", for_each: a, {PACK}}}\n"
        f"  c: {{command: sh -c 'echo c >> ran', after: [b], {SMALL}}}\n",
    )
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile))
    assert launched.returncode == 0, launched.stderr
    assert "submitted a[0-1] of 4 jobs as" in launched.stdout
    found = until(tmp_path, over, LONG)
    assert states(found) == {
        "a/n=1": "COMPLETED",
        "a/n=2": "FAILED",
        "a/n=3": "COMPLETED",
        "a/n=4": "COMPLETED",
        "b/n=1": "COMPLETED",
        "b/n=2": "CANCELLED",
        "b/n=3": "COMPLETED",
        "b/n=4": "COMPLETED",
        "c": "CANCELLED",
    }
    assert found["a/n=1"]["id"] == found["a/n=2"]["id"] != found["a/n=3"]["id"]
    assert "file2: No such file" in found["a/n=2"]["reason"]
    (tmp_path / "file2").write_text("x")
    assert "submitted a/n=2" in orch(tmp_path, "retry").stdout
    found = until(tmp_path, over, LONG)
    assert set(states(found).values()) == {"COMPLETED"}
    assert sorted((tmp_path / "ran").read_text().split()) == [
        "1",
        "2",
        "2",
        "3",
        "4",
        "b1",
        "b2",
        "b3",
        "b4",
        "c",
    ]


def test_a_pack_asks_for_the_sum_shares_its_gpus_and_its_members_are_cancelled_one_by_one(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        "  a: {command: \"sh -c 'echo $CUDA_VISIBLE_DEVICES > gpu{n}; while [ ! -e go ]; "
        "do sleep 0.1; done'\", "
        "matrix: {n: [1, 2, 3]}, resources: {gpus: 1, cpus: 2, memory_gb: 1, minutes: "
        "30}, pack: 3}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, lambda _: all((tmp_path / f"gpu{n}").exists() for n in (1, 2, 3)), LONG)
    number = found["a/n=1"]["id"]
    assert (asked(number, "NumCPUs"), asked(number, "MinMemoryNode")) == ("6", "3G")
    assert "cancelled a/n=2" in orch(tmp_path, "cancel", "--job", "a/n=2").stdout
    found = until(tmp_path, lambda now: now["a/n=2"]["state"] == "CANCELLED", LONG)
    assert (found["a/n=1"]["state"], found["a/n=3"]["state"]) == ("RUNNING", "RUNNING")
    (record,) = tmp_path.glob("runs/[!.]*/*/jobs/a.n-3/attempt-1/claim.json")
    os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
    found = until(tmp_path, lambda now: now["a/n=3"]["state"] == "FAILED", LONG)
    assert found["a/n=1"]["state"] == "RUNNING"
    (tmp_path / "go").touch()
    assert until(tmp_path, over, LONG)["a/n=1"]["state"] == "COMPLETED"
    assert {(tmp_path / f"gpu{n}").read_text().strip() for n in (1, 2, 3)} == {"0"}


def test_a_waiting_member_is_cancelled_and_scancel_ends_the_rest(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        "  first: {command: \"sh -c 'while [ ! -e go ]; do sleep 0.1; done'\", "
        "resources: {minutes: 30}}\n"
        "  a: {command: \"sh -c 'echo {n} >> ran; sleep 600'\", matrix: {n: [1, 2, 3]}, "
        "after: [first], "
        "resources: {cpus: 1, memory_gb: 1, minutes: 30}, pack: 3}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    assert "cancelled a/n=2" in orch(tmp_path, "cancel", "--job", "a/n=2").stdout
    assert states(jobs(tmp_path))["a/n=2"] == "CANCELLED"
    (tmp_path / "go").touch()
    found = until(tmp_path, lambda _: lines(tmp_path / "ran") == 2, LONG)
    subprocess.run(["scancel", found["a/n=1"]["id"]], check=True)
    found = until(tmp_path, over, LONG)
    assert states(found) == {
        "first": "COMPLETED",
        "a/n=1": "CANCELLED",
        "a/n=2": "CANCELLED",
        "a/n=3": "CANCELLED",
    }
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "3"]


def test_a_pack_is_requeued_under_its_id_and_what_waits_for_it_goes_on_waiting(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "saves.sh").write_text(
        SAVES.replace("ready", "ready$1").replace("saved", "saved$1")
    )
    file = describe(
        tmp_path,
        f"  a: {{command: 'bash saves.sh {{n}}', matrix: {{n: [1, 2]}}, {PACK}}}\n"
        f"  b: {{command: touch after, after: [a], {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(
        tmp_path, lambda _: (tmp_path / "ready1").exists() and (tmp_path / "ready2").exists(), LONG
    )
    number = found["a/n=1"]["id"]
    subprocess.run(["scancel", "--batch", "--signal=USR2", number], check=True)
    # First Slurm waits for the end of the old processes: COMPLETING.
    again = until(
        tmp_path,
        lambda now: (
            [job["restarts"] for job in now.values()] == [1, 1, 0]
            and set(states(now).values()) == {"PENDING"}
        ),
        LONG,
    )
    assert {job["id"] for name, job in again.items() if name != "b"} == {number}
    until(tmp_path, lambda now: "BeginTime" in now["a/n=1"]["reason"], LONG)
    slurm.start_again_now(number)
    found = until(tmp_path, over, LONG)
    assert set(states(found).values()) == {"COMPLETED"}
    assert {job["attempt"] for job in found.values()} == {1}


def test_a_member_that_waits_to_be_started_again_is_cancelled_at_once(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "saves.sh").write_text(
        SAVES.replace("ready", "ready$1").replace("saved", "saved$1")
    )
    file = describe(
        tmp_path, f"  a: {{command: 'bash saves.sh {{n}}', matrix: {{n: [1, 2]}}, {PACK}}}\n"
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    both = (tmp_path / "ready1", tmp_path / "ready2")
    number = until(tmp_path, lambda _: all(path.exists() for path in both), LONG)["a/n=1"]["id"]
    subprocess.run(["scancel", "--batch", "--signal=USR2", number], check=True)
    until(tmp_path, lambda now: "BeginTime" in now["a/n=2"]["reason"], LONG)
    # A signal to a job that waits is tried by scancel for more than a minute.
    path = wrapper(tmp_path, "scancel", 'echo "$@" >> called; exec $real "$@"')
    assert "cancelled a/n=2" in orch(tmp_path, "cancel", "--job", "a/n=2", path=path).stdout
    assert not (tmp_path / "called").exists()
    assert states(jobs(tmp_path)) == {"a/n=1": "PENDING", "a/n=2": "CANCELLED"}
    slurm.start_again_now(number)
    assert states(until(tmp_path, over, LONG)) == {"a/n=1": "COMPLETED", "a/n=2": "CANCELLED"}


def test_of_a_pack_one_runs_out_of_memory_and_asks_for_more_alone(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "eat.sh").write_text(
        "ulimit -v 400000\nif [ $1 = 2 ] && [ ! -e enough ]; then exec python3 -c "
        "'bytearray(10**9)'; fi\n"
    )
    file = describe(
        tmp_path, f"  a: {{command: 'bash eat.sh {{n}}', matrix: {{n: [1, 2]}}, {PACK}}}\n"
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, over, LONG)
    assert states(found) == {"a/n=1": "COMPLETED", "a/n=2": "FAILED"}
    assert "MemoryError" in found["a/n=2"]["reason"]
    (tmp_path / "enough").touch()
    assert "submitted a/n=2" in orch(tmp_path, "retry").stdout
    assert asked(jobs(tmp_path)["a/n=2"]["id"], "MinMemoryNode") == "2G"
    assert set(states(until(tmp_path, over, LONG)).values()) == {"COMPLETED"}


def test_a_canary_that_dies_keeps_the_others_from_starting_and_one_that_lives_lets_them(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran; cat file'\", matrix: {{n: [1, 2, "
        f"3]}}, canary: true, "
        f"{SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, over, LONG)
    assert states(found) == {"a/n=1": "FAILED", "a/n=2": "WAITING", "a/n=3": "WAITING"}
    assert "held: the canary a/n=1 is FAILED" in found["a/n=3"]["reason"]
    assert (tmp_path / "ran").read_text() == "1\n"
    (tmp_path / "file").write_text("x")
    assert orch(tmp_path, "retry").returncode == 0
    assert set(states(until(tmp_path, over, LONG)).values()) == {"COMPLETED"}
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "1", "2", "3"]


@pytest.mark.parametrize("more", ["", "after: [other], "])
def test_a_pack_that_is_ended_as_a_whole_leaves_the_children_of_its_finished_members(
    slurm: PrivateSlurm, tmp_path: Path, more: str
) -> None:
    file = describe(
        tmp_path,
        f"  other: {{command: \"sh -c 'while [ ! -e go ]; do sleep 0.1; done'\", {SMALL}}}\n"
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran; test {{n}} != 2 || exec sleep 600'\", "
        f"matrix: {{n: [1, 2, 3, 4]}}, {PACK}}}\n"
        f"  b: {{command: \"sh -c 'echo b{{n}} >> ran'\", for_each: a, {more}{SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(
        tmp_path,
        lambda now: now["a/n=1"]["state"] == "COMPLETED" and lines(tmp_path / "ran") >= 2,
        LONG,
    )
    assert found["a/n=1"]["id"] == found["a/n=2"]["id"]
    subprocess.run(["scancel", found["a/n=1"]["id"]], check=True)
    (tmp_path / "go").touch()
    found = until(tmp_path, over, LONG)
    assert states(found) == {
        "other": "COMPLETED",
        "a/n=1": "COMPLETED",
        "a/n=2": "CANCELLED",
        "a/n=3": "COMPLETED",
        "a/n=4": "COMPLETED",
        "b/n=1": "COMPLETED",
        "b/n=2": "CANCELLED",
        "b/n=3": "COMPLETED",
        "b/n=4": "COMPLETED",
    }
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "2", "3", "4", "b1", "b3", "b4"]
