"""Arrays, lost answers and dead daemons on a real Slurm: no job is lost and none runs twice."""

import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.cli import (
    ORCH,
    SMALL,
    describe,
    jobs,
    launched_later,
    orch,
    over,
    slurm_says,
    until,
    wrapper,
)
from tests.support.private_slurm import PrivateSlurm

RAN = "sh -c 'echo {} >> ran'"


def names_run(folder: Path) -> Counter[str]:
    return Counter((folder / "ran").read_text().split()) if (folder / "ran").exists() else Counter()


def test_an_array_is_one_submission_and_each_child_waits_for_its_own_parent(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        "  train: {command: \"sh -c 'sleep 1; test {n} != 2; echo t{n} >> ran'\", "
        "matrix: {n: [1, 2, 3, 4]}, "
        f"{SMALL}}}\n  evaluate: {{command: sh -c 'echo e >> ran', for_each: train, {SMALL}}}\n",
    )
    text = file.read_text().replace("test {n} != 2;", "if [ {n} = 2 ]; then exit 3; fi;")
    file.write_text(text)
    path = wrapper(
        tmp_path,
        "sbatch",
        f'case "$*" in *test-only*) ;; *) echo x >> {tmp_path}/calls;; esac\nexec $real "$@"',
    )
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile), path=path)
    assert launched.returncode == 0, launched.stderr
    assert "an array of 4" in launched.stdout
    assert (tmp_path / "calls").read_text().split() == ["x", "x"]
    found = until(tmp_path, over)
    assert names_run(tmp_path) == Counter({"t1": 1, "t3": 1, "t4": 1, "e": 3})
    assert (found["train/n=2"]["state"], found["train/n=2"]["exit_code"]) == ("FAILED", 3)
    assert found["evaluate/n=2"]["state"] == "CANCELLED"
    assert {
        found[f"{stage}/n={n}"]["state"] for stage in ("train", "evaluate") for n in (1, 3, 4)
    } == {"COMPLETED"}
    assert found["train/n=4"]["id"].endswith("_3")
    assert "exit" not in Path(found["train/n=1"]["log"]).read_text()
    file.write_text(text.replace("exit 3", "echo t2 >> ran; exit 0"))
    assert "2 jobs submitted" not in orch(tmp_path, "retry").stdout
    assert until(tmp_path, over)["train/n=2"]["attempt"] == 2


def test_elements_are_cancelled_and_submitted_again_one_by_one(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    launched_later(tmp_path, slurm, 30, "throttle: 2")
    found = jobs(tmp_path)
    assert {job["state"] for job in found.values()} == {"PENDING"}
    array = found["a/n=0"]["id"].partition("_")[0]
    assert "%2" in slurm_says("squeue", "--me", "--noheader", "--format=%i")
    cancelled = [f"a/n={n}" for n in (0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 29)]
    assert (
        orch(
            tmp_path, "cancel", *[word for name in cancelled for word in ("--job", name)]
        ).returncode
        == 0
    )
    found = until(
        tmp_path,
        lambda now: sum(job["state"] == "CANCELLED" for job in now.values()) == len(cancelled),
    )
    assert {name for name, job in found.items() if job["state"] == "CANCELLED"} == set(cancelled)
    orch(tmp_path, "retry", "--job", "a/n=4", "--job", "a/n=29")
    found = jobs(tmp_path)
    assert {found[name]["attempt"] for name in ("a/n=4", "a/n=29")} == {2}
    assert found["a/n=4"]["id"].partition("_")[0] != array
    assert sum(job["state"] == "PENDING" for job in found.values()) == 20
    assert orch(tmp_path, "cancel").returncode == 0
    until(tmp_path, over)


def test_a_lost_or_damaged_state_file_is_made_anew_from_folders_and_slurm(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    later = tmp_path / "later.yaml"
    later.write_text(f"{slurm.profile.read_text()}")
    file = describe(
        tmp_path,
        f"  a: {{command: {RAN.format('a')}, {SMALL}}}\n"
        f"  b: {{command: \"sh -c 'echo b{{n}} >> ran; sleep 40'\", matrix: {{n: [1, "
        f"2]}}, after: [a], {SMALL}}}\n"
        f"  c: {{command: {RAN.format('c')}, after: [b], {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(later)).returncode == 0
    before = until(
        tmp_path, lambda now: now["b/n=2"]["state"] == "RUNNING" == now["b/n=1"]["state"]
    )
    (state,) = tmp_path.glob("runs/[!.]*/*/state.json")
    state.write_text(state.read_text()[:100])
    torn = orch(tmp_path, "status")
    assert (torn.returncode, "--rescan" in torn.stderr) == (2, True)
    assert orch(tmp_path, "status", "--rescan").returncode == 0
    after = jobs(tmp_path)
    assert {name: (job["state"], job["id"], job["attempt"]) for name, job in after.items()} == {
        name: (job["state"], job["id"], job["attempt"]) for name, job in before.items()
    }
    state.unlink()
    assert orch(tmp_path, "launch", str(file), "--cluster", str(later)).returncode == 0
    assert orch(tmp_path, "cancel").returncode == 0
    assert names_run(tmp_path) == Counter({"a": 1, "b1": 1, "b2": 1})


def kills(slurm: PrivateSlurm, folder: Path, times: int, seed: int) -> None:
    """Launch ``times`` experiments, kill each launch at a random moment, launch again; every job
    runs exactly once."""
    moments = random.Random(seed)
    folders = []
    took = 3.0
    for number in range(times):
        place = folder / str(number)
        place.mkdir()
        file = describe(
            place,
            f"  a: {{command: \"sh -c 'echo a{{n}} >> ran'\", matrix: {{n: [1, 2, 3]}}, {SMALL}}}\n"
            f"  b: {{command: \"sh -c 'echo b >> ran'\", for_each: a, {SMALL}}}\n"
            f"  c: {{command: {RAN.format('c')}, after: [b], {SMALL}}}\n"
            f"  d: {{command: {RAN.format('d')}, after: [c], {SMALL}}}\n",
        )
        started = time.monotonic()
        process = subprocess.Popen(
            [ORCH, "launch", str(file), "--cluster", str(slurm.profile)],
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ORCH_RUNS": str(place / "runs")},
        )
        # Between the start of Python and the end of a launch; what is killed while it submits is
        # what counts.
        try:
            process.wait(timeout=moments.uniform(0.1 * took, took))
            took = time.monotonic() - started
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        again = orch(place, "launch", str(file), "--cluster", str(slurm.profile))
        assert again.returncode == 0, again.stderr
        folders.append(place)
    for place in folders:
        found = until(place, over, seconds=120)
        assert {job["state"] for job in found.values()} == {"COMPLETED"}, found
        assert names_run(place) == Counter({"a1": 1, "a2": 1, "a3": 1, "b": 3, "c": 1, "d": 1})


def test_launches_killed_at_five_random_moments_lose_and_double_nothing(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    kills(slurm, tmp_path, 5, seed=1)


@pytest.mark.long
def test_launches_killed_at_a_hundred_random_moments_lose_and_double_nothing(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    kills(slurm, tmp_path, 100, seed=2)


def test_an_array_that_sbatch_submitted_before_it_lost_the_connection_is_adopted_whole(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran; sleep 3'\", matrix: {{n: [1, 2, "
        f"3]}}, {SMALL}}}\n",
    )
    path = wrapper(
        tmp_path,
        "sbatch",
        'case "$*" in *test-only*) exec $real "$@";; esac\n$real "$@" >/dev/null\n'
        'echo "sbatch: error: Batch job submission failed: Socket timed out" >&2\nexit 1',
    )
    launched = orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile), path=path)
    assert launched.returncode == 0, launched.stderr
    found = until(tmp_path, over)
    assert {job["state"] for job in found.values()} == {"COMPLETED"}
    assert len({job["id"].partition("_")[0] for job in found.values()}) == 1
    assert names_run(tmp_path) == Counter("123")


def test_a_suspended_job_is_active_and_goes_on(slurm: PrivateSlurm, tmp_path: Path) -> None:
    file = describe(tmp_path, f"  a: {{command: sh -c 'sleep 5; echo a >> ran', {SMALL}}}\n")
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, lambda now: now["a"]["state"] == "RUNNING")
    slurm_says("scontrol", "suspend", found["a"]["id"])
    found = until(tmp_path, lambda now: now["a"]["state"] == "SUSPENDED")
    assert (
        "0 jobs submitted"
        in orch(
            tmp_path, "launch", str(tmp_path / "trial.yaml"), "--cluster", str(slurm.profile)
        ).stdout
    )
    slurm_says("scontrol", "resume", found["a"]["id"])
    assert until(tmp_path, over)["a"]["state"] == "COMPLETED"
    assert names_run(tmp_path) == Counter("a")


@pytest.mark.long
def test_a_job_that_made_room_is_preempted_and_a_retry_completes_it(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    low = tmp_path / "low.yaml"
    low.write_text(slurm.profile.read_text().replace("a100_normal_q", "low"))
    file = describe(
        tmp_path,
        "  a: {command: sh -c 'test -e again || exec sleep 300; echo a >> ran', "
        "resources: {gpus: 4, cpus: 1, memory_gb: 1, minutes: 9}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(low)).returncode == 0
    until(tmp_path, lambda now: now["a"]["state"] == "RUNNING")
    high = [
        slurm_says(
            "sbatch",
            "--parsable",
            "--account=llmalignment",
            "--gres=gpu:4",
            "--mem=100M",
            "--output=/dev/null",
            "--wrap=sleep 300",
        ).strip()
        for _ in range(2)
    ]
    try:
        found = until(tmp_path, lambda now: now["a"]["state"] not in ("RUNNING", "COMPLETING"))
        assert (found["a"]["state"], found["a"]["source"]) == ("PREEMPTED", "sacct")
    finally:
        slurm_says("scancel", *high)
    (tmp_path / "again").touch()
    assert "submitted a" in orch(tmp_path, "retry").stdout
    assert until(tmp_path, over)["a"]["state"] == "COMPLETED"


@pytest.mark.long
def test_a_job_whose_node_fails_is_started_again_on_another_one(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: sh -c 'echo start >> began; test -e again || exec sleep 300; "
        f"echo a >> ran', {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(
        tmp_path, lambda now: now["a"]["state"] == "RUNNING" and bool((tmp_path / "began").exists())
    )
    node = found["a"]["host"]
    (tmp_path / "again").touch()
    slurm_says("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        until(tmp_path, lambda now: now["a"]["state"] == "PENDING")
        slurm_says("scontrol", "update", f"jobid={found['a']['id']}", "StartTime=now")
        again = until(tmp_path, over)
    finally:
        subprocess.run(
            ["scontrol", "update", f"nodename={node}", "state=resume"], check=False
        )  # it may be back by itself
    assert (again["a"]["state"], again["a"]["attempt"], again["a"]["restarts"]) == (
        "COMPLETED",
        1,
        1,
    )
    assert names_run(tmp_path) == Counter("a")


@pytest.mark.long
def test_without_slurmdbd_and_without_slurmctld_nothing_is_invented(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(
        tmp_path,
        f"  a: {{command: sh -c 'sleep 20; echo a >> ran', {SMALL}}}\n"
        f"  b: {{command: {RAN.format('b')}, after: [a], {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    until(tmp_path, lambda now: now["a"]["state"] == "RUNNING")
    controller = slurm.end("slurmctld")
    try:
        blind = orch(tmp_path, "status", "--json")
        told = json.loads(blind.stdout)
        assert [job["state"] for job in told["jobs"]] == ["RUNNING", "PENDING"]
        assert "squeue" in told["trouble"]
    finally:
        slurm.daemon(*[word for word in controller if word not in ("-i", "-c")])
        slurm.wait("slurmctld", ["squeue"])
    database = slurm.end("slurmdbd")
    try:
        found = until(tmp_path, lambda now: now["b"]["state"] == "COMPLETED")
        assert {job["state"] for job in found.values()} == {"COMPLETED"}
    finally:
        slurm.daemon(*database)
        slurm.wait("slurmdbd", ["sacctmgr", "-i", "-n", "show", "cluster"])
    assert names_run(tmp_path) == Counter("ab")


def test_waiting_elements_that_would_die_the_same_way_are_held_and_released_by_a_retry(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    one = tmp_path / "one.yaml"
    one.write_text(f"{slurm.profile.read_text()}throttle: 1\n")
    (tmp_path / "train.sh").write_text(
        'sleep 2\ntest -e mended || { echo "ModuleNotFoundError: No module named '
        "'yaml'\"; exit 1; }\n"
        "echo $1 >> ran\n"
    )
    file = describe(
        tmp_path,
        f'  a: {{command: "bash train.sh {{n}}", matrix: {{n: [1, 2, 3, 4, 5, 6, 7, 8]}}, '
        f"{SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(one)).returncode == 0
    until(tmp_path, lambda now: sum("held" in job["reason"] for job in now.values()) >= 2)
    assert "JobHeldUser" in slurm_says("squeue", "--me", "--noheader", "--format=%r")
    found = until(
        tmp_path,
        lambda now: (
            not any(job["state"] in ("RUNNING", "COMPLETING", "UNKNOWN") for job in now.values())
        ),
    )
    held = [name for name, job in found.items() if job["state"] == "PENDING"]
    dead = [name for name, job in found.items() if job["state"] == "FAILED"]
    assert (len(held) >= 2, sorted(held + dead)) == (True, sorted(found))
    assert (
        "missing package: ModuleNotFoundError: No module named 'yaml'; install it"
        in found[dead[0]]["reason"]
    )
    assert found[held[0]]["reason"].startswith(f"held: {dead[0]} and ")
    assert not (tmp_path / "ran").exists()
    (tmp_path / "mended").touch()
    assert "not submitted again" in orch(tmp_path, "retry").stdout
    assert (
        orch(tmp_path, "retry", *[word for name in dead for word in ("--job", name)]).returncode
        == 0
    )
    assert {job["state"] for job in until(tmp_path, over, seconds=120).values()} == {"COMPLETED"}
    assert names_run(tmp_path) == Counter("12345678")


@pytest.mark.long
def test_a_retry_after_the_time_limit_asks_for_more_time_and_after_a_bad_node_for_another(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    (tmp_path / "b.sh").write_text(
        "echo $SLURMD_NODENAME >> nodes\ntest -e again && exit 0\n"
        "echo 'RuntimeError: NCCL error in: ProcessGroupNCCL.cpp:1, unhandled system "
        "error'\nexit 1\n"
    )
    file = describe(
        tmp_path,
        "  a: {command: sh -c 'test -e again || exec sleep 300', resources: {cpus: 1, "
        "memory_gb: 1, minutes: 1}}\n"
        f"  b: {{command: bash b.sh, {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    found = until(tmp_path, over, seconds=200)
    assert (found["a"]["state"], found["b"]["state"]) == ("TIMEOUT", "FAILED")
    assert "asks for half as much time again" in found["a"]["reason"]
    (tmp_path / "again").touch()
    assert "submitted" in orch(tmp_path, "retry").stdout
    assert "TimeLimit=00:02:00" in slurm_says("scontrol", "show", "job", jobs(tmp_path)["a"]["id"])
    found = until(tmp_path, over, seconds=200)
    assert {job["state"] for job in found.values()} == {"COMPLETED"}
    assert len(set((tmp_path / "nodes").read_text().split())) == 2


@pytest.mark.long
def test_without_accounting_files_and_queue_decide_and_what_nobody_knows_is_not_submitted_again(
    slurm: PrivateSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "slurm.conf"
    conf.write_text(
        "".join(
            line + "\n"
            for line in (slurm.folder / "slurm.conf").read_text().splitlines()
            if not line.startswith(("AccountingStorage",))
        )
        + "AccountingStorageType=accounting_storage/none\n"
    )
    (tmp_path / "gres.conf").write_text((slurm.folder / "gres.conf").read_text())
    file = describe(
        tmp_path,
        f"  good: {{command: {RAN.format('good')}, {SMALL}}}\n"
        f"  bad: {{command: sh -c 'echo bad >> ran; exit 3', {SMALL}}}\n"
        f"  gone: {{command: {RAN.format('gone')}, after: [late], {SMALL}}}\n"
        f"  late: {{command: sh -c 'exec sleep 300', {SMALL}}}\n",
    )
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    monkeypatch.setenv("SLURM_CONF", str(conf))
    found = until(
        tmp_path,
        lambda now: (
            now["late"]["state"] == "RUNNING"
            and now["good"]["state"] == "COMPLETED"
            and over({name: now[name] for name in ("good", "bad")})
        ),
    )
    assert (found["bad"]["state"], found["bad"]["source"]) == ("FAILED", "exit record")
    slurm_says("scancel", found["gone"]["id"])
    found = until(tmp_path, lambda now: now["gone"]["state"] == "UNKNOWN")
    assert "accounting could not be asked" in found["gone"]["reason"]
    assert "submitted gone" not in orch(tmp_path, "retry").stdout
    assert jobs(tmp_path)["gone"]["attempt"] == 1
    orch(tmp_path, "cancel")
    assert names_run(tmp_path)["good"] == 1


@pytest.mark.long
def test_a_job_of_somebody_else_with_a_reused_id_is_neither_taken_for_ours_nor_cancelled(
    slurm: PrivateSlurm, tmp_path: Path
) -> None:
    file = describe(tmp_path, f"  a: {{command: sh -c 'echo a >> ran; exec sleep 300', {SMALL}}}\n")
    assert orch(tmp_path, "launch", str(file), "--cluster", str(slurm.profile)).returncode == 0
    ours = until(tmp_path, lambda now: now["a"]["state"] == "RUNNING")["a"]["id"]
    slurm_says("scancel", "--me")
    # Slurm has lost its state folder: its jobs are forgotten, its counter starts again, and their
    # ids are given to others.
    controller = [word for word in slurm.end("slurmctld") if word != "-i"]
    for path in (path for path in (slurm.folder / "state").rglob("*") if path.is_file()):
        path.unlink()
    conf = slurm.folder / "slurm.conf"
    kept = conf.read_text()
    conf.write_text(f"{kept}FirstJobId={ours}\n")
    try:
        slurm.daemon(*controller, "-c")
        # sbatch --test-only takes an id too, so it is not what is asked.
        slurm.wait("nodes", ["sh", "-c", "sinfo --noheader --Node --format=%t | grep -qx idle"])
        other = slurm_says(
            "sbatch",
            "--parsable",
            "--account=llmalignment",
            "--mem=10M",
            "--output=/dev/null",
            "--wrap=sleep 300",
        ).strip()
        assert other == ours
        found = jobs(tmp_path)["a"]
        assert found["state"] != "RUNNING", found
        orch(tmp_path, "cancel")
        assert slurm_says("squeue", "--noheader", "--format=%T", f"--jobs={other}").strip() in (
            "PENDING",
            "RUNNING",
        )
        slurm_says("scancel", other)
        # Where accounting has not got its name before the controller ended, the exit record alone
        # tells of it, after a minute.
        until(tmp_path, over)
        assert "submitted a" in orch(tmp_path, "retry", "--job", "a").stdout
        assert jobs(tmp_path)["a"]["attempt"] == 2
        assert orch(tmp_path, "cancel").returncode == 0
    finally:
        conf.write_text(kept)
