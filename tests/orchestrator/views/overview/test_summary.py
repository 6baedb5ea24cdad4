"""`orch status` as a terminal shows it, of real plans with records as a run leaves them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.description.catalogue import find_experiment
from orchestrator.description.profile import Profile
from orchestrator.lifecycle.deaths.kinds import ADVICE
from orchestrator.lifecycle.failure_causes import with_cause
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState, Record, Wait
from orchestrator.runs.run import Run
from orchestrator.runs.sources import ExitRecord
from orchestrator.views.overview.causes import cause_of
from orchestrator.views.overview.summary import status_lines
from orchestrator.views.tables.drawing import Screen, translated
from tests.support.cli import SMALL, describe, launch, orch
from tests.support.screens import matches, plain

START = 1_700_000_000.0
SWEEP = """\
  train:
    command: "train {lr} {width} {seed}"
    matrix: {lr: [0.0001, 0.0003, 0.001, 0.003], width: [256, 1024], seed: [0, 1, 2]}
    resources: {cpus: 1, memory_gb: 1, minutes: 5}
  summary: {command: "true", after: [train]}
"""
SMALL_SWEEP = """\
  train:
    command: "train {lr} {seed}"
    matrix: {lr: [0.1, 0.01, 0.001], seed: [0, 1]}
  summary: {command: "true", after: [train]}
"""
LAST_LINES = {
    "nan": "FloatingPointError: loss is nan at step 7, learning rate too high",
    "file": "FileNotFoundError: [Errno 2] No such file or directory: 'data/adding.jsonl'",
    "memory": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a "
    "total capacity of 79.15 GiB of which 1.06 GiB is free.",
}


def run_made(folder: Path, file: Path) -> Run:
    return create_run(make_plan(file), Profile(kind="local", name="local"), folder / "runs")


def ended(record: Record, number: int, state: JobState, seconds: float = 2.0) -> Record:
    start = START + number
    return replace(
        record,
        state=state,
        attempt=1,
        job_id=f"L-{number:04d}",
        token=f"{number:04d}",
        source="results" if state is JobState.COMPLETED else "exit record",
        started=start,
        ended=start + seconds,
        seen=start + seconds,
        host="gpu01",
    )


def died(record: Record, number: int, of: str) -> Record:
    """A record as a look finds it, with the cause that the real code reads from the log."""
    failed = ended(record, number, JobState.FAILED)
    failed = replace(failed, reason=LAST_LINES[of])
    own = ExitRecord(
        token=failed.token,
        job_id=str(failed.job_id),
        host="gpu01",
        pid=1,
        exit_code=1,
        started=START,
        ended=START + 2,
        results=False,
        reason=LAST_LINES[of],
    )
    return with_cause(failed, own, [LAST_LINES[of].encode()])


def changed(run: Run, how: Callable[[Record, int], Record]) -> list[Record]:
    return [how(record, number) for number, record in enumerate(run.load())]


def failed_sweep(folder: Path) -> tuple[Run, list[Record]]:
    run = run_made(folder, describe(folder, SWEEP))
    causes = {"lr=0.0001,width=256,seed=2": "file", "lr=0.001,width=1024,seed=1": "memory"}

    def end(record: Record, number: int) -> Record:
        point = record.name.partition("/")[2]
        if record.stage == "summary":
            reason = "needs train/lr=0.0001,width=256,seed=2, which is FAILED"
            return replace(record, state=JobState.CANCELLED, source="scheduler", reason=reason)
        if "lr=0.003" in point or point in causes:
            return died(record, number, causes.get(point, "nan"))
        return ended(record, number, JobState.COMPLETED)

    return run, changed(run, end)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_failed_sweep_says_what_failed_and_what_the_dead_have_in_common(width, tmp_path):
    run, records = failed_sweep(tmp_path)
    lines = status_lines(run, records, "", START + 60, Screen(width, 24))
    matches(f"status-failed-sweep-{width}", lines, width, RUN=run.name)


def test_a_second_attempt_leaves_a_line_for_each_job_on_80_columns(tmp_path):
    run = run_made(tmp_path, describe(tmp_path, SWEEP))
    reason = "Resources: no CPU free; used by trial/full-1a2b3c4d:train/lr=0.0001,width=256,seed=0"

    def queued(record: Record, number: int) -> Record:
        if number < 2:
            return ended(record, number, JobState.COMPLETED)
        return replace(record, state=JobState.PENDING, attempt=1 + number % 2, reason=reason)

    lines = status_lines(run, changed(run, queued), "", START + 60, Screen(80, 60), every=True)
    shown = [line.plain for line in lines]
    assert max(map(len, shown)) <= 80
    again = [line for line in shown if "queued [attempt 2]" in line]
    assert len(again) == sum(1 + number % 2 == 2 for number in range(2, len(run.plan.jobs)))
    assert all("Resources: no CPU…" in line for line in again), again


def test_each_job_of_a_failed_sweep(tmp_path):
    run, records = failed_sweep(tmp_path)
    lines = status_lines(run, records, "", START + 60, Screen(80, 24), every=True)
    matches("status-failed-sweep-all-80", lines, 80, RUN=run.name)


def test_a_pipe_has_a_line_for_each_job_with_all_its_keys_and_whole_reasons(tmp_path):
    run, records = failed_sweep(tmp_path)
    text = plain(status_lines(run, records, "", START + 60, Screen()))
    rows = [line.split() for line in text.splitlines() if line[:1] in "✓✗" and "train" in line]
    jobs = [row for row in rows if row[1] == "train"]
    assert [row[1:5] for row in jobs[:2]] == [
        ["train", "0.0001", "256", "0"],
        ["train", "0.0001", "256", "1"],
    ]
    assert len(jobs) == 24
    assert "of which 1.06 GiB is free; smaller micro-batches" in text
    assert "…" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_a_sweep_that_runs_waits_and_is_done(width, tmp_path):
    run = run_made(tmp_path, describe(tmp_path, SMALL_SWEEP))

    def state(record: Record, number: int) -> Record:
        if record.stage == "summary":
            reason = "train/lr=0.001,seed=0 RUNNING; train/lr=0.001,seed=1 PENDING"
            return replace(record, reason=reason, waits_on=Wait.PARENTS)
        if number < 4:
            return ended(record, number, JobState.COMPLETED, 71.0)
        running = number == 4
        return replace(
            record,
            state=JobState.RUNNING if running else JobState.PENDING,
            attempt=1 + running,
            job_id=f"L-{number:04d}",
            source="scheduler",
            reason="" if running else "waits for a CPU: a and b hold both",
            started=START + 4 if running else None,
            seen=START + 60,
        )

    records = changed(run, state)
    lines = status_lines(run, records, "", START + 60, Screen(width, 40))
    # The time of day.
    told = lines[1].plain.rpartition("at ")[2]
    matches(f"status-sweep-{width}", lines, width, RUN=run.name, CLOCK=told)


@pytest.mark.parametrize("width", [80, 120])
def test_76_jobs_of_which_gates_have_skipped_some(width, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = run_made(tmp_path, find_experiment("fsm-icl"))
    gates = {
        "small-5s8a": "gate says no: test_accuracy of small-5s5a: 0.43, 0.42 < 0.9; 0 of 3, 2 needed",
        "curriculum-5s8a": "gate says no: test_accuracy of curriculum-5s5a: 0.44 < 0.9; 0 of 3, 2 needed",
    }

    def end(record: Record, number: int) -> Record:
        reason = gates.get(record.stage, "")
        if record.stage == "probe-small-5s8a":
            reason = f"needs {record.name.replace('probe-', '')}, which is SKIPPED"
        if reason:
            return replace(record, state=JobState.SKIPPED, source="gate", reason=reason)
        return ended(record, number, JobState.COMPLETED, 3.0 + number % 7)

    records = changed(run, end)
    lines = status_lines(run, records, "", START + 200, Screen(width, 40))
    matches(f"status-fsm-icl-{width}", lines, width, RUN=run.name)


def test_a_terminal_that_is_not_of_utf_8_gets_letters_of_ascii(tmp_path):
    run, records = failed_sweep(tmp_path)
    lines = status_lines(run, records, "", START + 60, Screen(80, 24))
    assert all(translated(line).plain.isascii() for line in lines)


@pytest.mark.parametrize("of", LAST_LINES)
def test_the_parts_of_a_reason(of, tmp_path):
    run = run_made(tmp_path, describe(tmp_path, SMALL_SWEEP))
    record = died(run.load()[0], 0, of)
    cause = cause_of(record)
    assert cause.line in LAST_LINES[of]
    assert "Error: " not in cause.line
    assert cause.advice
    assert record.reason.endswith(cause.advice)


def test_a_real_run_that_fails_says_why_on_a_terminal_of_80_columns(tmp_path):
    resources = "resources: {cpus: 1, memory_gb: 1, minutes: 5}"
    launch(
        tmp_path,
        f"""  a: {{command: [sh, -c, "echo 'the answer'; exit {{code}}"], matrix: {{code: [0, 3]}}, {resources}}}
  b: {{command: 'true', after: [a], {resources}}}
""",
    )
    shown = orch(tmp_path, "status", COLUMNS="80").stdout
    assert "1 failed, 1 done, 1 stopped" in shown
    assert "✗ exit code 3: 1 job of a, code 3\n    the answer\n" in shown
    assert "– b: needs a/code=3, which is FAILED" in shown
    assert "what to do: orch why a/code=3    run again: orch retry" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_the_command_that_is_named_after_a_failure_submits_what_failed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import a_package_that_is_not_there")
    launch(tmp_path, f"  a: {{command: {sys.executable} a.py, {SMALL}}}\n")
    shown = orch(tmp_path, "status", COLUMNS="80").stdout
    named = re.search(r"once mended: orch (retry --job a)$", shown, re.MULTILINE)
    assert named, shown
    (tmp_path / "a.py").write_text("")
    assert "submitted a as" in orch(tmp_path, *named[1].split()).stdout
    assert orch(tmp_path, "wait", timeout=100).returncode == 0


@pytest.mark.parametrize("advice", ADVICE.values())
def test_an_advice_names_commands_as_they_are_written(advice: str) -> None:
    assert advice.count("--job") == advice.count("orch retry --job JOB")


def test_the_results_that_a_stage_names_stand_before_the_progress_of_its_jobs(
    tmp_path: Path,
) -> None:
    (tmp_path / "train.py").write_text(
        "import sys, orch\n"
        "orch.progress(1, 1, loss=0.5)\n"
        "orch.result('error', float(sys.argv[1]))\n"
        "orch.result('accuracy', 0.5, task='sums')\n"
        "orch.result('not_named', 1.0)\n"
    )
    stages = f"""
  train: {{command: "{sys.executable} train.py {{lr}}", matrix: {{lr: [0.25, 0.75]}},
          metrics: {{error: {{better: lower}}, accuracy: {{better: higher}}}}, {SMALL}}}
"""
    assert launch(tmp_path, stages).returncode == 0
    shown = orch(tmp_path, "status", COLUMNS="100").stdout.splitlines()
    (head,) = (line for line in shown if "stage" in line)
    assert " error  loss " in head
    assert "accuracy" not in head
    rows = [line for line in shown if line.startswith("✓")]
    assert ["0.25   0.5 " in row for row in rows] == [True, False]
    assert ["0.75   0.5 " in row for row in rows] == [False, True]
