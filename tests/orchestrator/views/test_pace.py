"""How fast a job goes, whether its time limit comes first, and when it is called stalled."""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.description.profile import Profile
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.record import JobState
from orchestrator.views.overview.summary import status_lines
from orchestrator.views.pace import (
    STALLED_SECONDS,
    WARNING_SECONDS,
    in_order,
    last_line,
    pace,
    requeues,
    worth_showing,
)
from orchestrator.views.status import document, over_limit_text
from orchestrator.views.tables.drawing import Screen
from orchestrator.views.why import why


def line(
    step: int, time: float, total: int = 100, phase: str = "train", **metrics: float
) -> dict[str, Any]:
    return {"step": step, "total": total, "time": time, "phase": phase, "metrics": metrics}


def test_a_job_that_needs_more_than_its_limit_says_how_often_it_is_requeued() -> None:
    hour = 3600.0
    lines = [line(step, 1000 + step * hour, total=31) for step in range(1, 6)]
    found = pace(lines, 1000.0, 24 * hour, 1000 + 5 * hour)
    assert found.needed_seconds == 31 * hour
    assert found.requeues_expected == 1
    assert found.expected_end == 1000 + 31 * hour
    assert pace(lines, 1000.0, 48 * hour, 1000 + 5 * hour).requeues_expected == 0


def test_a_job_that_would_end_between_the_warning_and_the_limit_says_why_that_is_too_late() -> None:
    values = {"engine": "ppo", "requeues_expected": 1, "limit_seconds": 600.0}
    assert (
        over_limit_text({**values, "needed_seconds": 499.0})
        == "needs 8:19, limit 10:00 less 2:00 to save: will requeue once"
    )
    assert (
        over_limit_text({**values, "needed_seconds": 700.0})
        == "needs 11:40, limit 10:00: will requeue once"
    )


def test_the_time_between_two_starts_is_no_step() -> None:
    lines = [line(1, 10), line(2, 20), line(3, 10_000), line(4, 10_010)]
    found = pace(lines, 9_900.0, 86_400, 10_011)
    assert found.step_seconds == 10.0
    assert found.expected_end == 10_010 + 96 * 10


def test_a_validation_between_steps_counts_into_their_pace_but_is_no_step() -> None:
    lines = [
        line(1, 10),
        line(1, 40, phase="validate"),
        line(2, 50),
        line(2, 80, phase="validate"),
        line(3, 90),
    ]
    assert pace(lines, 0.0, 86_400, 91).step_seconds == 40.0


@settings(deadline=None, max_examples=60)
@given(step=st.floats(0.1, 600), longest=st.floats(0, 3600), silent=st.floats(0, 100_000))
def test_a_job_is_stalled_after_ten_steps_of_silence_but_never_early(
    step: float, longest: float, silent: float
) -> None:
    times = [1000.0 + step * k for k in range(10)]
    times.append(times[-1] + longest)
    lines = [line(k, time) for k, time in enumerate(times)]
    found = pace(lines, 900.0, 1e9, times[-1] + silent)
    patience = max(10 * step, STALLED_SECONDS, 2 * longest)
    if silent > patience * 1.001:
        assert found.stalled_seconds is not None
        assert math.isclose(found.stalled_seconds, silent, rel_tol=1e-6, abs_tol=1e-3)
        assert found.expected_end is None, "nobody knows when a stalled job ends"
    elif silent < patience * 0.999:
        assert found.stalled_seconds is None


def test_a_job_that_was_started_again_is_not_stalled_for_the_time_it_was_away() -> None:
    lines = [line(1, 10), line(2, 20)]
    assert pace(lines, 50_000.0, 86_400, 50_010).stalled_seconds is None


@settings(deadline=None, max_examples=60)
@given(
    left=st.floats(1, 1e6),
    limit=st.floats(600, 1e5),
    spent=st.floats(0, 1),
    start_up=st.floats(0, 300),
)
def test_requeues_are_as_many_as_a_loop_counts(
    left: float, limit: float, spent: float, start_up: float
) -> None:
    counted, room = 0, limit * (1 - spent) - min(WARNING_SECONDS, limit / 2)
    work = left - room if left > max(room, 0) or room < 0 else 0.0
    each = limit - min(WARNING_SECONDS, limit / 2) - min(start_up, limit / 4)
    while work > 0:
        counted, work = counted + 1, work - each
    assert abs(requeues(left, limit * (1 - spent), limit, start_up) - counted) <= (
        1 if math.isclose(work, 0, abs_tol=1e-3 * each) else 0
    )


def test_status_why_and_json_call_a_stalled_job_stalled_also_among_many(tmp_path: Path) -> None:
    numbers = ", ".join(str(n) for n in range(120))
    (tmp_path / "trial.yaml").write_text(
        'experiment: trial\nstages:\n  train: {command: "train {n}", matrix: {n: ['
        + numbers
        + "]}}\n"
    )
    run, now = (
        create_run(make_plan(tmp_path / "trial.yaml"), Profile(kind="local"), tmp_path / "runs"),
        time.time(),
    )
    running = {
        "state": JobState.RUNNING,
        "attempt": 1,
        "started": now - 7200,
        "seen": now,
        "source": "squeue",
    }
    records = [replace(one, **running) for one in run.load()]
    for record, silent in zip(records, (3600.0, 5.0), strict=False):
        path = run.folder / record.folder / "out" / "progress.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(
            "".join(json.dumps(line(k, now - silent - 10 * (20 - k))) + "\n" for k in range(21))
        )
        os.utime(path, (now - silent, now - silent))
    lines = status_lines(run, records, "", now, Screen(140))
    assert "120 running, 1 stalled" in lines[1].plain
    (stage,) = [line.plain for line in lines if line.plain.startswith("▶")]
    assert stage.split()[:2] == ["▶", "train"]
    assert "running, 1 stalled" in stage
    lines = status_lines(run, records, "", now, Screen(140), every=True)
    (row,) = [line.plain for line in lines if "stalled 1:00:00" in line.plain]
    assert row.split()[:3] == ["▶", "train", "0"]
    stalled = {
        values["job"]: values["stalled_seconds"]
        for values in document(run, records, "")["jobs"]
        if values["stalled_seconds"]
    }
    assert set(stalled) == {"train/n=0"}
    assert 3590 < stalled["train/n=0"] < 3700
    assert any(
        text.startswith("stalled: nothing new for 1:00:") for text in why(run, records[0], records)
    )
    assert any(text.startswith("progress: train 20/100") for text in why(run, records[1], records))


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"step 1\nstep 2 loss 0.5\n\n", "step 2 loss 0.5"),
        (b"epoch 1\n 10%|#   | 1/10\r 20%|##  | 2/10", "20%|##  | 2/10"),
        (b"\x1b[32mok\x1b[0m: saved\a\n", "ok: saved"),
        (b"loading\norch: warned, two minutes are left\n", "loading"),
        (b"\n \n", None),
        (b"x" * 300, "x" * 117 + "..."),
    ],
)
def test_the_last_line_of_a_command_is_shown_as_a_terminal_would(
    tmp_path: Path, printed: bytes, shown: str | None
) -> None:
    (tmp_path / "log.txt").write_bytes(printed)
    assert last_line(tmp_path / "log.txt") == shown
    assert last_line(tmp_path / "none.txt") is None


@pytest.mark.parametrize("before", [0, 50, 104, 110, 200])
def test_no_part_of_a_secret_is_left_in_a_last_line_wherever_it_is_cut(
    before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "planted-4711-value")
    (tmp_path / "log.txt").write_text(f"{'x' * before} planted-4711-value {'y' * 100}")
    assert "plan" not in (last_line(tmp_path / "log.txt") or "plan")


def test_lines_without_a_time_do_not_hide_the_pace_of_the_others() -> None:
    # Of a Trainer it is known when its checkpoints were written.
    lines = [
        {"step": step, "total": 60, "time": time, "phase": "train", "metrics": {}}
        for step, time in ((10, None), (20, 1100.0), (30, None), (40, 1300.0), (50, None))
    ]
    found = pace(lines, 1000.0, 36_000.0, 1310.0)
    assert (found.step, found.step_seconds, found.expected_end) == (50, 10.0, 1500.0)


def test_the_metrics_that_a_stage_names_are_shown_before_known_ones() -> None:
    line = {"metrics": {"loss": 1.0, "grad_norm": 3.0, "f1": 0.5}}
    assert worth_showing(line) == {"loss": 1.0}
    assert list(worth_showing(line, ("f1", "absent"))) == ["f1", "loss"]
    assert list(worth_showing({"metrics": {"a": 1.0, "b": 2.0, "c": 3.0}}, ("absent",))) == [
        "a",
        "b",
    ]


def test_how_long_it_took_and_what_was_set_are_no_metrics_unless_a_stage_names_them() -> None:
    # As the line of a validation, and one that a Trainer of Hugging Face writes.
    validation = {"validation_cross_entropy": 2.5, "unique_valid": 1.5, "seconds_evaluate": 3.0}
    assert list(worth_showing({"metrics": validation})) == [
        "validation_cross_entropy",
        "unique_valid",
    ]
    own = {"epoch": 1.0, "learning_rate": 1e-4, "train_steps_per_second": 9.0, "f1": 0.5}
    assert worth_showing({"metrics": own}) == {"f1": 0.5}
    assert list(worth_showing({"metrics": own}, ("learning_rate",))) == ["learning_rate"]
    assert worth_showing({"metrics": {"seconds": 3.0}}) == {}
    assert in_order({**own, "loss": 1.0}, ("epoch",)) == ["epoch", "loss", "f1"]
