"""A run from Python: launched, waited for, and read as tables that say what the commands say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator
from engines.contract.progress import read_progress
from orchestrator.runs.lookup import find_job, find_target, one_job
from tests.support.cli import SMALL, describe, orch, the_run
from tests.support.paths import ROOT

SCRIPT = """
import sys, orch
rate = float(sys.argv[1])
for step in (1, 2, 3):
    orch.progress(step, 3, loss=rate / step)
orch.result("accuracy", 1 - rate, n=10)
"""
STAGES = f"""
  train: {{command: "{sys.executable} train.py {{lr}}", matrix: {{lr: [0.5, 0.25]}},
          metrics: {{accuracy: {{better: higher}}}}, {SMALL}}}
  check: {{command: "true", when: {{metric: accuracy, of: train, at_least: 2.0}}, {SMALL}}}
  bad: {{command: "sh -c 'exit 3'", {SMALL}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("api")
    (made / "train.py").write_text(SCRIPT)
    return made


@pytest.fixture(scope="module")
def run(folder: Path) -> orchestrator.LoadedRun:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ORCH_RUNS", str(folder / "runs"))
        said: list[str] = []
        made = orchestrator.launch(describe(folder, STAGES), cluster="local", tell=said.append)
        assert any(line.startswith("submitted train/lr=0.5") for line in said)
        with pytest.raises(TimeoutError):
            made.wait(timeout=0)
        assert made.wait(job="train", timeout=200)
        # One has failed, and what a gate skips is no failure.
        assert not made.wait(timeout=200)
    return made


def test_a_row_per_job_says_what_status_says(run, folder) -> None:
    listed = json.loads(orch(folder, "status", "--json").stdout)["jobs"]
    table = run.jobs()
    assert table.column("lr") == [0.5, 0.25, None, None]
    same = ("job", "stage", "state", "reason", "exit_code", "started", "ended", "log")
    assert [[row[name] for name in same] for row in table] == [
        [row[name] for name in same] for row in listed
    ]
    assert run.jobs("bad").column("state") == ["FAILED"]
    assert len(table.where(stage="train", lr=0.5)) == 1


def test_rows_are_those_of_results(run, folder) -> None:
    assert {row["lr"]: row["value"] for row in run.rows(metric="accuracy")} == {
        0.5: 0.5,
        0.25: 0.75,
    }
    with pytest.raises(orchestrator.OrchError, match="no result has the metric lss"):
        run.rows(metric="lss")
    assert run.problems() == []


def test_curves_are_the_progress_of_each_job(run) -> None:
    for rate in (0.5, 0.25):
        job = f"train/lr={rate}"
        points = run.curves(metric="loss", job=job)
        assert points.column("value") == [rate, rate / 2, rate / 3]
        assert points.column("step") == [line["step"] for line in read_progress(run.out(job))]
        assert points.column("lr") == [rate] * 3
    assert len(run.curves()) == 6
    assert run.curves(metric="nothing") == []


def test_gates_say_what_was_decided_and_on_which_values(run) -> None:
    (gate,) = run.gates()
    assert (gate["gate"], gate["decision"]) == ("check", "skip")
    findings = gate["inputs"][0]["findings"]
    assert sorted(one["value"] for one in findings) == [0.5, 0.75]
    assert run.jobs("check").column("state") == ["SKIPPED"]


def test_costs_are_those_of_the_command(run, folder) -> None:
    told = json.loads(orch(folder, "costs", "--by", "lr", "--json").stdout)["groups"]
    table = run.costs(by=["lr"])
    assert table.column("stage") == [one["stage"] for one in told]
    assert table.column("cpu_hours_used") == [one["cpu_hours_used"] for one in told]
    assert table.column("lr")[:2] == [0.5, 0.25]


def test_a_table_becomes_a_frame_of_pandas_where_that_is_installed(run) -> None:
    pandas = pytest.importorskip("pandas")
    frame = run.rows(metric="accuracy").to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.set_index("lr")["value"].to_dict() == {0.5: 0.5, 0.25: 0.75}


def test_a_library_that_is_not_installed_is_named(run, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(orchestrator.OrchError, match="pip install polars"):
        run.rows().to_polars()


def test_a_launch_with_changed_keys_is_that_of_the_command(run, folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    again = orchestrator.launch("trial.yaml", cluster="local", runs=folder / "runs")
    assert again.folder == run.folder
    assert again.run.plan.reuse
    fresh = orchestrator.launch("trial.yaml", cluster="local", runs=folder / "others", fresh=True)
    assert not fresh.run.plan.reuse
    with pytest.raises(orchestrator.OrchError, match="nope"):
        orchestrator.launch("trial.yaml", overrides={"nope.matrix": {"lr": [1.0]}})
    assert orchestrator.load_run("trial", runs=folder / "runs").name == run.name
    assert run.name in orchestrator.list_runs(folder / "runs").column("run")


def test_wait_tells_a_script_how_the_run_went(run, folder) -> None:
    good = orch(folder, "wait", f"{run.name}:train")
    assert (good.returncode, good.stdout) == (0, f"{run.name}: 2 of 2 done\n")
    bad = orch(folder, "wait", "trial")
    assert bad.returncode == 1
    assert "bad is FAILED: exit code 3" in bad.stdout
    wrong = orch(folder, "wait", "trial", "--job", "nope")
    assert wrong.returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ("bad",),
        (":bad",),
        ("trial:bad",),
        ("trial", None, "bad"),
        ("bad", "trial"),
        (None, None, "bad"),
        (None, "trial", "bad"),
    ],
)
def test_a_job_is_named_in_the_same_ways_everywhere(run, folder, words, monkeypatch) -> None:
    monkeypatch.setenv("ORCH_RUNS", str(folder / "runs"))
    found, name = find_job(*words)
    assert (found.folder, one_job(found, name).name) == (run.folder, "bad")


def test_some_jobs_of_a_run_are_named_as_one_is(run, folder, monkeypatch) -> None:
    monkeypatch.setenv("ORCH_RUNS", str(folder / "runs"))
    for words in (("trial:train",), (":train",), ("trial", ["train"]), (None, ["train"])):
        found, jobs = find_target(*words)
        assert (found.folder, jobs) == (run.folder, ["train"])
    assert find_target("trial")[1] is None
    # The folder of a run may have a colon in its name.
    odd = folder / "a:b"
    odd.symlink_to(run.folder)
    assert find_target(str(odd))[1] is None
    shown = json.loads(orch(folder, "status", "trial:train", "--json").stdout)
    assert [row["stage"] for row in shown["jobs"]] == ["train", "train"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["page", "trial:bad"], "this is about a whole run; leave out ':bad'"),
        (["status", "bad"], "the job of the newest run is ':bad'"),
        (["why", "trial"], "'trial' is a run; name a job of it, as in trial:JOB"),
        (["why"], "name a job: RUN:JOB"),
    ],
)
def test_a_name_in_the_wrong_place_is_told_what_to_write(run, folder, words, message) -> None:
    said = orch(folder, *words)
    assert (said.returncode, message in said.stderr) == (2, True), said.stderr


def test_the_time_is_up_and_ctrl_c_leaves_the_jobs_alone(tmp_path: Path) -> None:
    file = describe(tmp_path, f"  a: {{command: sleep 300, {SMALL}}}\n")
    assert orch(tmp_path, "launch", file, "--cluster", "local").returncode == 0
    try:
        late = orch(tmp_path, "wait", "--timeout", "0.5")
        assert (late.returncode, "0 of 1 done" in late.stdout) == (124, True)
        program = (
            "import os, signal, sys, threading, time\n"
            "sys.argv = ['orch', 'wait']\n"
            # A shell that starts the tests in the background has it ignored.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from orchestrator.cli.__main__ import main\n"
            "asked = threading.main_thread().ident\n"
            "def waits():\n"
            "    frame = sys._current_frames()[asked]\n"
            "    while frame is not None:\n"
            "        name = frame.f_code.co_filename, frame.f_code.co_name\n"
            "        if name[0].endswith('waiting.py') and name[1] == 'wait': return True\n"
            "        frame = frame.f_back\n"
            "def stop():\n"
            "    while not waits(): time.sleep(0.1)\n"
            "    os.kill(os.getpid(), signal.SIGINT)\n"
            "threading.Thread(target=stop, daemon=True).start()\n"
            "main()\n"
        )
        stopped = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "ORCH_RUNS": str(tmp_path / "runs")},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert (stopped.returncode, "the run continues" in stopped.stderr) == (130, True)
        status = json.loads(orch(tmp_path, "status", "--json").stdout)
        assert status["jobs"][0]["state"] in ("PENDING", "RUNNING")
    finally:
        assert orch(tmp_path, "cancel").returncode == 0
    ended = orch(tmp_path, "wait", timeout=100)
    assert (ended.returncode, "a is CANCELLED" in ended.stdout) == (1, True)
    assert the_run(tmp_path).is_dir()


def test_a_wait_ends_where_the_rest_is_held_for_a_person(tmp_path: Path) -> None:
    program = f"{sys.executable} -c 'import a_package_that_is_not_there'"
    stages = (
        f'  train: {{command: "{program}", matrix: {{n: [1, 2, 3, 4]}}, {SMALL}}}\n'
        f"  check: {{command: 'true', for_each: train, {SMALL}}}\n"
    )
    (tmp_path / "one.yaml").write_text("kind: local\nmax_jobs: 1\n")
    # As `launch --watch` follows it, and then as a script waits for it.
    followed = orch(
        tmp_path,
        "launch",
        describe(tmp_path, stages),
        "--cluster",
        "one.yaml",
        "--watch",
        timeout=60,
    )
    assert followed.returncode == 1, followed.stderr
    waited = orch(tmp_path, "wait", "--timeout", "30")
    assert (waited.returncode, "0 of 8 done" in waited.stdout) == (1, True)
    assert (
        "train/n=4 is WAITING: held: train/n=1 and 1 more died of missing package" in waited.stdout
    )
    assert orch(tmp_path, "cancel").returncode == 0


def test_loading_a_run_reads_no_yaml_and_draws_nothing(run, folder) -> None:
    program = (
        "import sys, orchestrator\n"
        "assert not [name for name in sys.modules if name.startswith('orchestrator.')]\n"
        "found = orchestrator.load_run()\nfound.curves()\n"
        "print({'torch', 'yaml', 'rich', 'pydantic', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "ORCH_RUNS": str(folder / "runs")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"
    assert set(orchestrator.__all__) <= set(dir(orchestrator))
