"""Packs: jobs that share an allocation, each with its own claim, log, signals, exit record and
retry."""

import dataclasses
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jobs.spec import Job, Resources
from orchestrator.checks.launch import in_packs, sizes
from orchestrator.clusters.batch import Waits
from orchestrator.clusters.slurm.script import dependency
from orchestrator.description.profile import Profile
from orchestrator.errors import DescriptionError
from orchestrator.lifecycle.batching import make_batches
from orchestrator.lifecycle.decide import choose
from orchestrator.node.system import process_start
from orchestrator.planning.plan import Plan
from orchestrator.runs.reconcile import reconcile
from orchestrator.runs.record import JobId, JobState, Record, Token
from orchestrator.runs.run import waiting
from orchestrator.runs.sources import Answer, ExitRecord, SchedulerRecord
from tests.support.builders import job, planned, run_of, submitted
from tests.support.cli import SAVES, SMALL, jobs, launch, orch, until, warn_the_job
from tests.support.extras import needs
from tests.support.node import start_node

HEAD = "0123456789"
ONE = "resources: {cpus: 1, memory_gb: 1, minutes: 2}, pack: 2"


def packed(name: str, pack: int, after: tuple[str, ...] = (), **resources: int) -> Job:
    return dataclasses.replace(job(name, after, **resources), pack=pack)


# ---- what a description says

SWEEP = {
    "experiment": "x",
    "stages": {
        "train": {
            "engine": "fsm",
            "matrix": {"seed": [0, 1, 2, 3]},
            "resources": {"gpus": 1, "minutes": 60},
            "config": {"epochs": 4},
        },
        "probe": {"engine": "probe", "for_each": "train", "checkpoints": "last"},
        "done": {"command": "true", "after": ["probe"]},
    },
}


def changed(stage: str, **keys: Any) -> dict[str, Any]:
    """The sweep with other keys of one stage."""
    stages = {
        name: {**values, **keys} if name == stage else values
        for name, values in SWEEP["stages"].items()
    }
    return {**SWEEP, "stages": stages}


def test_pack_and_canary_change_neither_what_the_jobs_are_nor_their_names(tmp_path: Path) -> None:
    plain, other = (
        planned(SWEEP, tmp_path),
        planned(changed("train", pack=4, canary=True), tmp_path),
    )
    assert other.identity == plain.identity
    assert [job.identity for job in other.jobs] == [job.identity for job in plain.jobs]
    assert (plain.gpu_hours, other.gpu_hours) == (4, 1)
    assert [job.canary for job in other.jobs[:5]] == [None, *["train/seed=0"] * 3, None]
    assert other.jobs[1].after == ()
    assert Plan.from_json(json.loads(json.dumps(other.to_json()))) == other


def test_a_short_canary_is_a_job_that_nothing_else_sees(tmp_path: Path) -> None:
    plain, short = (
        planned(SWEEP, tmp_path),
        planned(changed("train", canary={"epochs": 1}), tmp_path),
    )
    canary, *rest = short.jobs
    assert (canary.name, canary.stage, canary.config["epochs"], short.short_canaries) == (
        "train-canary",
        "train-canary",
        1,
        {"train-canary"},
    )
    assert [job.identity for job in rest] == [job.identity for job in plain.jobs]
    assert {job.canary for job in rest if job.stage == "train"} == {"train-canary"}
    assert not any("train-canary" in json.dumps([job.after, job.config]) for job in rest)


@pytest.mark.parametrize(
    ("stage", "keys", "said"),
    [
        ("train", {"pack": 0}, "'pack' must be a whole number from 1 to 10000000"),
        ("train", {"pack": 2, "resources": {"nodes": 2}}, "each asks for 2 nodes"),
        ("train", {"resources": {"nodes": 2}}, "engine 'fsm' runs on one node, and 'nodes' is 2"),
        ("train", {"canary": "yes"}, "'canary' must be true, or config keys"),
        ("train", {"canary": {"epoch": 1}}, "did you mean 'epochs'?"),
        ("done", {"canary": {"epochs": 1}}, "a command has no config to shorten"),
        ("train", {"canary": {"epochs": 4}}, "have the same content"),
    ],
)
def test_a_mistake_in_pack_or_canary_is_one_line(
    tmp_path: Path, stage: str, keys: dict[str, Any], said: str
) -> None:
    with pytest.raises(DescriptionError) as caught:
        planned(changed(stage, **keys), tmp_path)
    assert len(caught.value.lines) == 1
    assert said in caught.value.lines[0]


def test_what_a_pack_asks_for_together_is_held_against_the_node(tmp_path: Path) -> None:
    plan = planned(changed("train", pack=4, resources={"cpus": 20}), tmp_path)
    profile = Profile(name="p", kind="slurm", cpus_per_node=64)
    (line,) = sizes(in_packs(plan), profile)
    assert "cpus=80, of a pack together, is more than the 64" in line
    assert "--set train.pack=1" in line


# ---- how jobs are dealt


@st.composite
def graphs(draw: st.DrawFn) -> list[Job]:
    """Layers of jobs; each job waits for some of the layer before, each stage packs in its own
    way."""
    found: list[Job] = []
    before: list[str] = []
    for layer in range(draw(st.integers(1, 3))):
        pack = draw(st.integers(1, 4))
        now = [
            packed(
                f"s{layer}/{n}",
                pack,
                tuple(draw(st.sets(st.sampled_from(before), max_size=2))) if before else (),
                gpus=draw(st.integers(0, 1)),
            )
            for n in range(draw(st.integers(1, 7)))
        ]
        found += now
        before = [item.name for item in now]
    return found


@settings(max_examples=60, deadline=None)
@given(plan=graphs(), size=st.integers(1, 4))
def test_every_job_is_in_one_pack_of_its_like_after_at_least_its_parents(
    plan: list[Job], size: int
) -> None:
    batches, by_name, words = submitted_with_ends(plan, size)
    assert sorted(member.name for batch in batches for member in batch.jobs) == sorted(
        item.name for item in plan
    )
    assert len({record.token for record in by_name.values()}) == len(plan)
    for batch, waits in zip(batches, words, strict=True):
        assert len(batch.units) <= size
        assert len({(member.stage, member.resources) for member in batch.jobs}) == 1
        assert not waits["pack"] or not waits["all"] | waits["ended"] | waits["corr"]
        assert not any(
            "+" in r.token
            for r in by_name.values()
            if JobId.parse(r.job_id or "").head in waits["corr"]
        )
        for place, unit in enumerate(batch.units):
            assert len(unit) <= unit[0].pack
            awaited = (
                waits["all"]
                | waits["ended"]
                | {f"{head}_{batch.indexes[place]}" for head in waits["corr"] | waits["pack"]}
            )
            needed = {by_name[name].job_id for member in unit for name in member.after}
            assert needed <= with_elements(awaited, by_name)
            sure = with_elements(waits["all"], by_name)
            assert all(sure <= {by_name[name].job_id for name in member.after} for member in unit)


def submitted_with_ends(
    plan: list[Job], size: int
) -> tuple[list[Any], dict[str, Record], list[dict[str, set[str]]]]:
    """Batches as a launch submits them, and what each waits for."""
    from orchestrator.lifecycle.batching import waits_for

    run = run_of(*plan)
    by_name = {item.name: waiting(item) for item in plan}
    batches, words = make_batches(run, list(by_name.values()), set(by_name), size), []
    for number, batch in enumerate(batches, start=1):
        waits = waits_for(batch, by_name)
        words.append(
            {
                "all": set(waits.all),
                "ended": set(waits.ended),
                "corr": set(waits.same_index),
                "pack": {waits.same_pack} - {None},
            }
        )
        for record, own in zip(batch.records, batch.ids(str(number)), strict=True):
            by_name[record.name] = replace(record, job_id=own, state=JobState.PENDING)
    return batches, by_name, words


def with_elements(ids: set[str], by_name: dict[str, Record]) -> set[str | None]:
    """Ids with those of the elements that a whole array stands for."""
    return {
        r.job_id
        for r in by_name.values()
        if r.job_id in ids or JobId.parse(r.job_id or "").head in ids
    }


def test_a_sweep_in_packs_is_one_array_and_its_evaluations_follow_pack_by_pack() -> None:
    trains = [packed(f"train/{n}", 3, gpus=1) for n in range(6)]
    evaluations = [packed(f"evaluate/{n}", 3, (f"train/{n}",)) for n in range(6)]
    report = job("report", tuple(item.name for item in evaluations))
    batches, by_name, words = submitted_with_ends([*trains, *evaluations, report], 1000)
    assert [batch.title for batch in batches] == [
        "train[0-1] of 6 jobs",
        "evaluate[0-1] of 6 jobs",
        "report",
    ]
    assert [waits["pack"] for waits in words] == [set(), {"1"}, set()]
    assert words[2] == {"all": set(), "ended": {"2"}, "corr": set(), "pack": set()}
    assert dependency(Waits(same_pack="1")) == "aftercorr:1?afterany:1"
    assert [by_name[f"train/{n}"].job_id for n in range(6)] == ["1_0"] * 3 + ["1_1"] * 3
    assert batches[0].resources == Resources(gpus=1, cpus=3, memory_gb=12)


def test_of_a_pack_whose_members_wait_for_unlike_jobs_the_ends_are_waited_for() -> None:
    plan = [job("a"), job("b", gpus=1), *[packed(f"c/{name}", 2, (name,)) for name in ("a", "b")]]
    batches, _, words = submitted_with_ends(plan, 1000)
    assert [batch.title for batch in batches] == ["a", "b", "c of 2 jobs"]
    assert words[2] == {"all": set(), "ended": {"1", "2"}, "corr": set(), "pack": set()}


def test_beside_another_job_the_end_of_all_packs_is_waited_for() -> None:
    trains = [packed(f"train/{n}", 2) for n in range(4)]
    plan = [
        job("data", gpus=1),
        *trains,
        *[job(f"evaluate/{n}", (f"train/{n}", "data")) for n in range(0, 4, 2)],
    ]
    words = submitted_with_ends(plan, 1000)[2]
    assert words[-1] == {"all": {"1"}, "ended": {"2"}, "corr": set(), "pack": set()}


@settings(max_examples=60, deadline=None)
@given(plan=graphs(), size=st.integers(1, 4), room=st.integers(0, 8))
def test_a_limit_counts_the_allocations_that_the_jobs_are_dealt_into(
    plan: list[Job], size: int, room: int
) -> None:
    run = run_of(*plan)
    records = [waiting(item) for item in plan]
    chosen = choose(run, records, room=room)
    batches = make_batches(run, records, chosen, size)
    assert sum(len(batch.units) for batch in batches) <= room
    every = choose(run, records)
    assert every == {item.name for item in plan}
    if chosen != every:
        assert sum(len(batch.units) for batch in batches) == room


def test_one_failed_member_is_submitted_again_alone_and_a_dropped_submission_as_it_was() -> None:
    run = run_of(*[packed(f"train/{n}", 3) for n in range(3)])
    first, by_name, _ = submitted(run)
    lost = [replace(record, job_id=None, state=JobState.WAITING) for record in by_name.values()]
    (again,) = make_batches(run, lost, {"train/0", "train/2"}, 1000)
    assert {record.token for record in again.records} == {
        f"{first[0].token}+0",
        f"{first[0].token}+2",
    }
    failed = [replace(record, token="", state=JobState.WAITING) for record in by_name.values()]
    (alone,) = make_batches(run, failed, {"train/1"}, 1000)
    assert (alone.title, alone.packed, alone.records[0].attempt) == ("train/1", False, 2)


# ---- how the sources are weighed


def member(place: int = 0, state: JobState = JobState.RUNNING) -> Record:
    return Record(
        name=f"m{place}",
        stage="m",
        identity="i",
        folder=f"jobs/m{place}",
        attempt=1,
        token=f"{HEAD}_3+{place}",
        job_id="7_3",
        state=state,
        submitted=1.0,
    )


def left(place: int, code: int, **values: Any) -> ExitRecord:
    return ExitRecord(
        **{
            "token": f"{HEAD}_3+{place}",
            "job_id": "7_3",
            "host": "n",
            "pid": 1,
            "exit_code": code,
            "started": 2.0,
            "ended": 50.0,
            "results": False,
            "reason": "why",
            **values,
        }
    )


def word(state: JobState) -> Answer:
    return {f"{HEAD}_3": SchedulerRecord(job_id="7_3", token=f"{HEAD}_3", state=state, started=1.0)}


@pytest.mark.parametrize(
    "active", [None, {}, word(JobState.RUNNING), word(JobState.PENDING), word(JobState.COMPLETING)]
)
@pytest.mark.parametrize(
    "final",
    [None, {}, word(JobState.COMPLETED), word(JobState.TIMEOUT), word(JobState.OUT_OF_MEMORY)],
)
def test_a_member_that_ended_by_itself_has_failed_whatever_its_allocation_does(
    active: Answer, final: Answer
) -> None:
    (now,) = reconcile([member()], active, final, {"m0": left(0, 1)}, set(), 100.0)
    assert (now.state, now.source, now.reason) == (JobState.FAILED, "exit record", "why")


def test_the_others_of_a_pack_go_on_and_a_cancelled_one_is_cancelled() -> None:
    exits = {
        "m0": left(0, -15, signals=("SIGTERM",), state="CANCELLED"),
        "m2": left(2, 75, signals=("SIGUSR2",), requeued=True),
    }
    now = reconcile(
        [member(n) for n in range(3)], word(JobState.PENDING), None, exits, set(), 100.0
    )
    assert [r.state for r in now] == [JobState.CANCELLED, JobState.PENDING, JobState.PENDING]
    assert now[2].restarts == 1


# ---- on the node


def pack_folder(
    folder: Path,
    commands: list[list[str]],
    engine: str | None = None,
    warm: list[str] | None = None,
    configs: list[dict[str, Any]] | None = None,
) -> Path:
    """What orch leaves for a node before it submits a pack."""
    entries = []
    for place, command in enumerate(commands):
        path = folder / "jobs" / f"m{place}"
        (path / "attempt-1").mkdir(parents=True)
        (path / "job.json").write_text(
            json.dumps(
                {
                    "name": f"m{place}",
                    "engine": engine,
                    "command": None if engine else command,
                    "needs": {},
                    "identity": "i",
                    "cwd": str(folder),
                }
            )
        )
        (path / "config.json").write_text(json.dumps(configs[place] if configs else {}))
        entries.append([str(path), 1, f"{HEAD}+{place}"])
    (folder / "arrays" / HEAD).mkdir(parents=True)
    (folder / "arrays" / HEAD / "members.json").write_text(
        json.dumps({"": {"pack": entries, "warm": warm or []}})
    )
    return folder / "arrays" / HEAD


def node(folder: Path, job_id: str = "7") -> subprocess.Popen[bytes]:
    return start_node(folder / "log.txt", folder, job_id=job_id)


def exit_record(folder: Path, place: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (folder / "jobs" / f"m{place}" / "attempt-1" / "exit.json").read_text()
    )
    return found


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_each_member_has_its_log_claim_and_exit_record_and_a_dying_one_leaves_the_others(
    tmp_path: Path,
) -> None:
    folder = pack_folder(
        tmp_path, [["sh", "-c", f"echo I am {n}; exit {n % 2 * 3}"] for n in range(4)]
    )
    assert node(folder).wait(timeout=120) == 0
    assert [exit_record(tmp_path, n)["exit_code"] for n in range(4)] == [0, 3, 0, 3]
    assert [exit_record(tmp_path, n)["results"] for n in range(4)] == [True, False, True, False]
    for place in range(4):
        assert (
            f"I am {place}\n"
            in (tmp_path / "jobs" / f"m{place}" / "attempt-1" / "log.txt").read_text()
        )
    assert len({exit_record(tmp_path, n)["pid"] for n in range(4)}) == 4


def test_a_killed_member_leaves_a_record_and_the_others_run_on(tmp_path: Path) -> None:
    folder = pack_folder(
        tmp_path, [["sleep", "600"], ["sh", "-c", "while [ ! -e go ]; do sleep 0.1; done"]]
    )
    process, claim = node(folder), tmp_path / "jobs" / "m0" / "attempt-1" / "claim.json"
    wait_until(lambda: (tmp_path / "jobs" / "m0" / "out").exists())
    os.kill(json.loads(claim.read_text())["pid"], signal.SIGKILL)
    wait_until(lambda: (tmp_path / "jobs" / "m0" / "attempt-1" / "exit.json").exists())
    assert process.poll() is None
    assert (exit_record(tmp_path, 0)["exit_code"], exit_record(tmp_path, 0)["reason"]) == (
        -9,
        "its process was ended by signal 9, sent from outside",
    )
    (tmp_path / "go").touch()
    assert process.wait(timeout=120) == 0
    assert exit_record(tmp_path, 1)["results"]


def test_a_killed_pack_takes_its_members_and_their_programs_with_it(tmp_path: Path) -> None:
    folder = pack_folder(
        tmp_path,
        [["sh", "-c", f"echo $$ > part{n} && mv part{n} pid{n}; exec sleep 600"] for n in range(2)],
    )
    process = node(folder)
    wait_until(lambda: all((tmp_path / f"pid{n}").exists() for n in range(2)))
    pids = [int((tmp_path / f"pid{n}").read_text()) for n in range(2)]
    process.kill()
    process.wait(timeout=60)
    wait_until(lambda: all(process_start(pid) is None for pid in pids))


def test_one_member_is_cancelled_and_signals_reach_all(tmp_path: Path) -> None:
    traps = "trap 'echo warned; exit 75' USR2; touch ready$0; while :; do sleep 0.1; done"
    folder = pack_folder(tmp_path, [["bash", "-c", traps, str(n)] for n in range(3)])
    process = node(folder)
    wait_until(lambda: all((tmp_path / f"ready{n}").exists() for n in range(3)))
    (tmp_path / "jobs" / "m1" / "attempt-1" / "cancel").touch()
    process.send_signal(signal.SIGUSR1)
    wait_until(lambda: (tmp_path / "jobs" / "m1" / "attempt-1" / "exit.json").exists())
    assert exit_record(tmp_path, 1)["state"] == "CANCELLED"
    assert process.poll() is None
    process.send_signal(signal.SIGUSR2)
    assert process.wait(timeout=120) == 0
    assert [exit_record(tmp_path, n)["requeued"] for n in range(3)] == [True, False, True]
    # Started again by the scheduler: the cancelled one stays so.
    (tmp_path / "jobs" / "m0" / "out" / "results.json").write_text("{}")
    (tmp_path / "jobs" / "m2" / "out" / "results.json").write_text("{}")
    assert node(folder).wait(timeout=120) == 0
    assert [exit_record(tmp_path, n)["restart"] for n in range(3)] == [1, 0, 1]
    assert [exit_record(tmp_path, n)["results"] for n in range(3)] == [True, False, True]


def test_two_nodes_with_one_pack_run_each_member_once(tmp_path: Path) -> None:
    folder = pack_folder(tmp_path, [["sh", "-c", f"echo {n} >> ran; sleep 2"] for n in range(3)])
    racers = [node(folder, f"job-{number}") for number in range(3)]
    assert [racer.wait(timeout=120) for racer in racers] == [0] * 3
    assert sorted((tmp_path / "ran").read_text().split()) == ["0", "1", "2"]


@needs("torch")
def test_warm_members_get_the_results_that_they_get_alone(tmp_path: Path) -> None:
    import engines.fsm

    config = {
        "architecture": {"kind": "lstm", "width": 8, "layers": 1},
        "machines": "5s5a",
        "train_sequences": 8,
        "validation_sequences": 4,
        "test_sequences": 4,
        "epochs": 1,
        "device": "cpu",
        "cache": str(tmp_path / "data"),
    }
    configs = [{**config, "seed": seed} for seed in range(2)]
    warm = pack_folder(tmp_path / "warm", [[], []], "fsm", list(engines.fsm.WARM), configs)
    cold = pack_folder(tmp_path / "cold", [[], []], "fsm", [], configs)
    assert [node(folder).wait(timeout=600) for folder in (warm, cold)] == [0, 0]
    for place in range(2):
        documents = []
        for kind in ("warm", "cold"):
            path = tmp_path / kind / "jobs" / f"m{place}"
            assert (path / "out" / "results.json").exists(), (
                path / "attempt-1" / "log.txt"
            ).read_text()
            documents.append(json.loads((path / "out" / "results.json").read_text())["rows"])
        assert documents[0] == documents[1]
    assert "not started warm" not in (warm / "log.txt").read_text()
    log = (tmp_path / "warm" / "jobs" / "m0" / "attempt-1" / "log.txt").read_text()
    assert "Traceback" not in log


def test_what_starts_warm_starts_no_thread_and_a_wrong_config_is_still_one_line(
    tmp_path: Path,
) -> None:
    folder = pack_folder(tmp_path, [[], []], "fsm", ["json"], [{"epoch": 1}, {"epochs": 0}])
    assert node(folder).wait(timeout=300) == 0
    assert [exit_record(tmp_path, n)["exit_code"] for n in range(2)] == [2, 2]
    assert "epochs" in exit_record(tmp_path, 0)["reason"]


# ---- on this machine


def test_a_pack_on_this_machine_with_one_that_dies_is_completed_by_retry(tmp_path: Path) -> None:
    text = (
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran; cat file{{n}}'\", matrix: {{n: [1, "
        f"2]}}, {ONE}}}\n"
    )
    text += f"  b: {{command: \"sh -c 'echo b{{n}} >> ran'\", for_each: a, {SMALL}}}\n"
    (tmp_path / "file1").write_text("x")
    assert launch(tmp_path, text).returncode == 1
    found = jobs(tmp_path)
    assert {name: job["state"] for name, job in found.items()} == {
        "a/n=1": "COMPLETED",
        "a/n=2": "FAILED",
        "b/n=1": "COMPLETED",
        "b/n=2": "CANCELLED",
    }
    assert "file2: No such file" in found["a/n=2"]["reason"]
    (tmp_path / "file2").write_text("x")
    assert orch(tmp_path, "retry").returncode == 0
    found = until(tmp_path, lambda now: {job["state"] for job in now.values()} == {"COMPLETED"})
    assert (found["a/n=1"]["attempt"], found["a/n=2"]["attempt"]) == (1, 2)
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "2", "2", "b1", "b2"]


def test_one_member_is_cancelled_on_this_machine_and_the_state_file_can_be_made_anew(
    tmp_path: Path,
) -> None:
    text = (
        f"  a: {{command: \"sh -c 'true {{n}}; while [ ! -e go ]; do sleep 0.1; done'\", "
        f"matrix: {{n: [1, 2]}}, {ONE}}}\n"
    )
    assert launch(tmp_path, text, "--no-watch").returncode == 0
    found = until(tmp_path, lambda now: {job["state"] for job in now.values()} == {"RUNNING"})
    assert found["a/n=1"]["id"] == found["a/n=2"]["id"]
    (state,) = tmp_path.glob("runs/[!.]*/*/state.json")
    tokens = [job["token"] for job in json.loads(state.read_text())["jobs"]]
    assert [Token.parse(token).allocation for token in tokens] == [
        Token.parse(tokens[0]).allocation
    ] * 2
    assert "cancelled a/n=2" in orch(tmp_path, "cancel", "--job", "a/n=2").stdout
    assert (
        until(tmp_path, lambda now: now["a/n=2"]["state"] == "CANCELLED")["a/n=1"]["state"]
        == "RUNNING"
    )
    state.unlink()
    assert "shares the allocation" in orch(tmp_path, "why", "a/n=1").stdout
    (tmp_path / "go").touch()
    until(tmp_path, lambda now: now["a/n=1"]["state"] == "COMPLETED")
    assert [job["token"] for job in json.loads(state.read_text())["jobs"]] == tokens


def test_a_pack_is_requeued_as_long_as_a_member_goes_on(tmp_path: Path) -> None:
    (tmp_path / "saves.sh").write_text(
        SAVES.replace("ready", "ready$1").replace("saved", "saved$1")
    )
    text = f"  a: {{command: 'bash saves.sh {{n}}', matrix: {{n: [1, 2]}}, {ONE}}}\n"
    assert launch(tmp_path, text, "--no-watch").returncode == 0
    until(tmp_path, lambda _: (tmp_path / "ready1").exists() and (tmp_path / "ready2").exists())
    warn_the_job(tmp_path)
    found = until(tmp_path, lambda now: {job["state"] for job in now.values()} == {"COMPLETED"})
    assert [(job["attempt"], job["restarts"]) for job in found.values()] == [(1, 1), (1, 1)]


def test_a_canary_runs_alone_and_the_rest_waits_for_it_to_live(tmp_path: Path) -> None:
    text = (
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran; cat file'\", matrix: {{n: [1, 2, 3]}}, "
        f"canary: true, {SMALL}}}\n"
    )
    assert launch(tmp_path, text).returncode == 1
    found = jobs(tmp_path)
    assert {name: job["state"] for name, job in found.items()} == {
        "a/n=1": "FAILED",
        "a/n=2": "WAITING",
        "a/n=3": "WAITING",
    }
    assert "held: the canary a/n=1 is FAILED" in found["a/n=2"]["reason"]
    assert "file: No such file" in found["a/n=3"]["reason"]
    assert (
        "starts when the canary has succeeded: a/n=1 (FAILED"
        in orch(tmp_path, "why", "a/n=2").stdout
    )
    assert (tmp_path / "ran").read_text() == "1\n"
    (tmp_path / "file").write_text("x")
    assert orch(tmp_path, "retry").returncode == 0
    until(tmp_path, lambda now: {job["state"] for job in now.values()} == {"COMPLETED"})
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "1", "2", "3"]
