"""The cluster local: slots, dependencies, time limits, and a scheduler that may be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.spec import Resources
from orchestrator.clusters.local.machine import Machine
from orchestrator.clusters.local.slots import entry, held_by
from tests.support.cli import SAVES, SMALL, describe, jobs, launch, orch, scheduler_of, until


def test_jobs_that_need_the_whole_machine_never_overlap(tmp_path: Path) -> None:
    cpus = len(os.sched_getaffinity(0))
    # Three jobs with the same content would be a mistake, so the command carries n.
    stages = (
        "  a: {command: \"sh -c 'true {n}; echo + >> log; sleep 0.3; echo - >> log'\", "
        "matrix: {n: [1, 2, 3]}, "
        f"resources: {{cpus: {cpus}, memory_gb: 1, minutes: 1}}}}\n"
    )
    result = launch(tmp_path, stages)
    assert result.returncode == 0, result.stderr + result.stdout
    assert (tmp_path / "log").read_text().split() == ["+", "-"] * 3


def test_each_job_gets_gpus_of_its_own(tmp_path: Path) -> None:
    stages = (
        "  a: {command: \"sh -c 'echo $CUDA_VISIBLE_DEVICES > gpu-{n}; sleep 1'\", "
        "matrix: {n: [1, 2]}, "
        "resources: {gpus: 2, cpus: 1, memory_gb: 1, minutes: 1}}\n"
    )
    result = launch(tmp_path, stages, CUDA_VISIBLE_DEVICES="4,5,6,7")
    assert result.returncode == 0, result.stderr + result.stdout
    assert sorted((tmp_path / f"gpu-{n}").read_text().strip() for n in (1, 2)) in (
        ["4,5", "6,7"],
        ["4,5", "4,5"],
    )
    if len(os.sched_getaffinity(0)) > 1:
        assert (tmp_path / "gpu-1").read_text() != (tmp_path / "gpu-2").read_text()


def test_a_job_that_does_not_fit_says_what_it_lacks_and_who_has_it() -> None:
    machine = Machine(cpus=4, memory_gb=8, gpus=("0", "1"))
    held = [
        entry(1, Resources(cpus=2, memory_gb=1, gpus=0), [], "sweep/full-1:train/seed=0"),
        entry(2, Resources(cpus=1, memory_gb=4, gpus=2), ["0", "1"], "other/full-2:tune"),
    ]
    assert held_by(machine, Resources(cpus=2, memory_gb=2), held) == (
        "Resources: needs 2 CPUs, 1 free; used by sweep/full-1:train/seed=0, other/full-2:tune"
    )
    # One that holds nothing of what is wanting is not named.
    assert held_by(machine, Resources(cpus=1, memory_gb=1, gpus=1), held) == (
        "Resources: no GPU free; used by other/full-2:tune"
    )
    many = [{**held[0], "name": f"r:{n}", "cpus": 1} for n in range(4)]
    assert held_by(machine, Resources(cpus=1), many).endswith("r:0, r:1, r:2 and 1 more")


def test_a_budget_lets_jobs_run_one_after_the_other_and_all_of_them(tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        "  a: {command: \"sh -c 'true {n}; echo + >> log; sleep 0.3; echo - >> log'\", "
        "matrix: {n: [1, 2, 3]}, resources: {gpus: 1, cpus: 1, memory_gb: 1, minutes: 60}}\n",
        "budget: {gpu_hours: 1.5}\n",
    )
    done = orch(
        tmp_path, "launch", file, "--cluster", "local", "--watch", CUDA_VISIBLE_DEVICES="4,5,6,7"
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert "may cost up to 3 GPU-hours (time limits x GPUs); its budget is 1.5" in done.stdout
    # One at a time: two of them might take two hours.
    assert (tmp_path / "log").read_text().split() == ["+", "-"] * 3
    assert "of 1.5 GPU-hours are spent" in orch(tmp_path, "costs").stdout


def test_a_failure_cancels_what_needed_it_and_retry_completes_it(tmp_path: Path) -> None:
    stages = (
        f"  a: {{command: cat weights, {SMALL}}}\n  b: {{command: 'sh -c \"echo b >> ran\"', "
        f"after: [a], {SMALL}}}\n"
    )
    assert launch(tmp_path, stages).returncode == 1
    found = jobs(tmp_path)
    assert (found["a"]["state"], found["b"]["state"]) == ("FAILED", "CANCELLED")
    assert "weights: No such file" in found["a"]["reason"]
    assert found["b"]["reason"] == "needs a, which is FAILED"
    (tmp_path / "weights").write_text("w")
    assert orch(tmp_path, "retry").returncode == 0
    until(tmp_path, lambda now: {job["state"] for job in now.values()} == {"COMPLETED"})
    assert (tmp_path / "ran").read_text() == "b\n"


def test_a_death_that_nothing_explains_shows_its_exit_and_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    launch(
        tmp_path,
        "  says: {command: \"sh -c 'echo it went as ever; exit 3'\", " + SMALL + "}\n"
        "  mute: {command: \"sh -c 'exit 4'\", " + SMALL + "}\n"
        "  crash: {command: \"sh -c 'kill -SEGV $$'\", " + SMALL + "}\n"
        '  well: {command: "true", ' + SMALL + "}\n",
    )
    reasons = {name: row["reason"] for name, row in jobs(tmp_path).items()}
    assert reasons == {
        "says": "exit code 3: it went as ever",
        "mute": "exit code 4",
        "crash": "crash: ended by signal 11 (SIGSEGV); orch retry leaves this node out; if it "
        "comes back, it is the program",
        "well": "",
    }
    retried = orch(tmp_path, "retry", "--job", "well")
    assert (retried.returncode, retried.stdout) == (0, "not submitted again: well is COMPLETED\n")


@pytest.mark.parametrize("command", ["retry", "launch"])
def test_what_is_submitted_again_has_the_environment_of_that_shell(
    tmp_path: Path, command: str
) -> None:
    wait = "echo on >> began; until [ -e go ]; do sleep 0.1; done"
    file = describe(
        tmp_path,
        "  a: {command: \"sh -c 'ls $WANTED'\", " + SMALL + "}\n"
        f"  b: {{command: \"sh -c '{wait}'\", {SMALL}}}\n",
    )
    (tmp_path / "there").touch()
    start = ["launch", str(file), "--cluster", "local", "--no-watch"]
    assert orch(tmp_path, *start, WANTED="gone").returncode == 0
    until(tmp_path, lambda now: (now["a"]["state"], now["b"]["state"]) == ("FAILED", "RUNNING"))
    first = scheduler_of(tmp_path)
    again = ["retry", "--job", "a"] if command == "retry" else start
    assert orch(tmp_path, *again, WANTED="there").returncode == 0
    until(tmp_path, lambda now: now["a"]["state"] == "COMPLETED")
    # b, which ran all the time, has another scheduler now and was not begun again.
    assert scheduler_of(tmp_path) != first
    (tmp_path / "go").touch()
    until(tmp_path, lambda now: now["b"]["state"] == "COMPLETED")
    assert (tmp_path / "began").read_text() == "on\n"


def test_who_only_looks_leaves_the_environment_of_the_jobs_alone(tmp_path: Path) -> None:
    file = describe(
        tmp_path,
        "  a: {command: \"sh -c 'until [ -e go ]; do sleep 0.1; done'\", " + SMALL + "}\n"
        "  b: {command: \"sh -c 'echo $WANTED > said'\", after: a, " + SMALL + "}\n",
    )
    start = ["launch", str(file), "--cluster", "local", "--no-watch"]
    assert orch(tmp_path, *start, WANTED="first").returncode == 0
    until(tmp_path, lambda now: now["a"]["state"] == "RUNNING")
    for command in ("status", "advance", "why"):
        orch(tmp_path, command, *(["b"] if command == "why" else []), WANTED="other")
    (tmp_path / "go").touch()
    until(tmp_path, lambda now: now["b"]["state"] == "COMPLETED")
    assert (tmp_path / "said").read_text() == "first\n"


def test_a_relaunch_takes_failed_jobs_and_new_resources(tmp_path: Path) -> None:
    stages = f"  a: {{command: cat weights, {SMALL}}}\n"
    assert launch(tmp_path, stages).returncode == 1
    (tmp_path / "weights").write_text("w")
    assert launch(tmp_path, stages.replace("minutes: 5", "minutes: 6")).returncode == 0
    assert jobs(tmp_path)["a"]["attempt"] == 2
    (plan,) = (tmp_path / "runs").glob("[!.]*/*/plan.json")
    assert json.loads(plan.read_text())["plan"]["jobs"][0]["resources"]["minutes"] == 6


def test_a_killed_scheduler_loses_nothing_and_runs_nothing_twice(tmp_path: Path) -> None:
    stages = (
        f"  a: {{command: \"sh -c 'echo {{n}} >> ran; until [ -e go ]; do sleep 0.1; done'\", "
        f"matrix: {{n: [1, 2, 3, 4]}}, {SMALL}}}\n"
        f"  b: {{command: 'sh -c \"echo b >> ran\"', after: [a], {SMALL}}}\n"
    ).replace("{{n}}", "{n}")
    assert launch(tmp_path, stages, "--no-watch").returncode == 0
    until(tmp_path, lambda now: any(job["state"] == "RUNNING" for job in now.values()))
    os.kill(scheduler_of(tmp_path), signal.SIGKILL)
    (tmp_path / "go").touch()
    time.sleep(2.5)  # what was running ends while no scheduler looks
    said = orch(tmp_path, "status").stderr
    assert "its scheduler had died: another goes on" in said
    assert "had died" not in orch(tmp_path, "status").stderr
    until(tmp_path, lambda now: {job["state"] for job in now.values()} == {"COMPLETED"})
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "2", "3", "4", "b"]
    again = orch(
        tmp_path, "launch", str(tmp_path / "trial.yaml"), "--cluster", "local", "--no-watch"
    )
    assert "0 jobs submitted, 5 of 5 done before" in again.stdout


def test_cancel_ends_the_active_and_says_so(tmp_path: Path) -> None:
    assert launch(tmp_path, f"  a: {{command: sleep 60, {SMALL}}}\n", "--no-watch").returncode == 0
    until(tmp_path, lambda now: now["a"]["state"] == "RUNNING")
    assert "cancelled a" in orch(tmp_path, "cancel").stdout
    until(tmp_path, lambda now: now["a"]["state"] == "CANCELLED")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "mtl-comparisson"], "mtl-comparison"),
        (["status"], "no run here yet"),
        (["launch", "mtl-comparison", "--preset", "smok"], "smoke"),
        (
            ["plan", "mtl-comparison", "--preset", "smoke", "--set", "train.config.epoch=5"],
            "epochs",
        ),
        (["logs", "x"], "no run here yet"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = orch(tmp_path, *arguments)
    assert result.returncode == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_no_command_of_the_orchestrator_loads_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from orchestrator.cli.app import app\ntry:\n    app(sys.argv[1:], "
        "standalone_mode=False)\nexcept Exception as error:\n"
        "    print(type(error))\nassert not {'torch', 'ray', 'vllm', 'transformers'} & "
        "set(sys.modules)"
    )
    environment = {**os.environ, "ORCH_RUNS": str(tmp_path)}
    dry_run = ["launch", "mtl-comparison", "--cluster", "a100_normal_q", "--dry-run"]
    for arguments in (["plan", "mtl-comparison"], dry_run, ["status"], ["list"]):
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr


def test_a_job_that_saves_itself_on_the_warning_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "saves.sh").write_text(SAVES)
    stages = (
        f"  a: {{command: bash saves.sh, {SMALL}}}\n  b: {{command: touch after, after: [a], "
        f"{SMALL}}}\n"
    )
    assert launch(tmp_path, stages, "--no-watch").returncode == 0
    until(tmp_path, lambda _: (tmp_path / "ready").exists())
    (claim,) = tmp_path.glob("runs/[!.]*/*/jobs/a/attempt-1/claim.json")
    os.kill(json.loads(claim.read_text())["pid"], signal.SIGUSR2)
    found = until(tmp_path, lambda now: now["b"]["state"] == "COMPLETED")
    assert (found["a"]["state"], found["a"]["attempt"], found["a"]["restarts"]) == (
        "COMPLETED",
        1,
        1,
    )


def test_jobs_run_under_the_python_that_the_profile_activates(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "python").write_text(
        f'#!/bin/sh\necho used >> {tmp_path}/used\nexec {sys.executable} "$@"\n'
    )
    (tmp_path / "env" / "python").chmod(0o755)
    (tmp_path / "mine.yaml").write_text(
        f"kind: local\nsetup: ['export PATH={tmp_path}/env:$PATH']\npython: python\n"
    )
    (tmp_path / "trial.yaml").write_text(
        # What writes into its folder is ended by Python, also where the launcher has started it.
        "experiment: trial\nabout: trial\nstages:\n"
        f"  a: {{command: [sh, -c, 'echo 1 > $ORCH_OUT/x'], {SMALL}}}\n"
    )
    result = orch(
        tmp_path,
        "launch",
        str(tmp_path / "trial.yaml"),
        "--cluster",
        str(tmp_path / "mine.yaml"),
        "--watch",
    )
    assert result.returncode == 0, result.stderr + result.stdout
    assert (tmp_path / "used").read_text() == "used\n"
