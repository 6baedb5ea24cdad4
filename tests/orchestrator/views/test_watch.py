"""The full-screen view, driven through textual's own pilot on a real local run."""

import asyncio
import math
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Static

from orchestrator.description.profile import Profile
from orchestrator.lifecycle import notifications
from orchestrator.planning.planner import make_plan
from orchestrator.runs.create import create_run
from orchestrator.runs.lookup import open_run
from orchestrator.runs.record import JobState, Record, Wait
from orchestrator.runs.run import Run
from orchestrator.views.watch.app import Watch
from orchestrator.views.watch.below import why_text
from orchestrator.views.watch.ending import over, settling
from orchestrator.views.watch.rows import (
    MOST_LINES,
    Filter,
    by_metric,
    chosen,
    log_text,
    table_of,
)
from orchestrator.views.watch.screens import Question, Runs
from orchestrator.views.watch.sparks import spark, spark_lines
from orchestrator.views.watch.stage_line import stage_line
from tests.support.builders import job, run_of
from tests.support.cli import ORCH

HOUR = "resources: {cpus: 1, memory_gb: 1, minutes: 60}"
STAGES = (
    f"  quick: {{command: \"sh -c 'echo hello {{n}}'\", matrix: {{n: [1, 2]}}, {HOUR}}}\n"
    f"  broken: {{command: sh -c 'echo the answer is wrong; exit 3', {HOUR}}}\n"
    f"  long: {{command: \"sh -c 'echo it runs; sleep 3000'\", after: [quick], {HOUR}}}\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ORCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trial.yaml").write_text(f"experiment: trial\nstages:\n{STAGES}")
    done = subprocess.run(
        [ORCH, "launch", "trial.yaml", "--cluster", "local", "--no-watch"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return next((tmp_path / "runs").glob("[!.]*/*"))


async def until(pilot: Pilot[None], met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not met():
        assert time.monotonic() < deadline, text(pilot, "#head")
        await pilot.pause(0.2)


def text(pilot: Pilot[None], where: str) -> str:
    shown: Static = {"#head": pilot.app.head, "#log": pilot.app.log_pane}[where]
    return str(shown.render())


def states_shown(app: Watch) -> dict[str, str]:
    heads = [str(column.label).strip() for column in app.table.ordered_columns]
    if "state" not in heads:
        return {}
    place = heads.index("state")
    return {
        str(row.key.value): str(app.table.get_row(row.key)[place]).partition(" [")[0]
        for row in app.table.ordered_rows
    }


def drive(
    folder: Path,
    steps: Callable[[Watch, Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
) -> None:
    async def whole() -> None:
        app = Watch(open_run(folder))
        async with app.run_test(size=size) as pilot:
            await steps(app, pilot)

    asyncio.run(whole())


def test_jobs_logs_filters_cancel_and_retry_on_a_real_run(folder: Path) -> None:
    async def steps(app: Watch, pilot: Pilot[None]) -> None:
        whole = {
            "quick/n=1": "done",
            "quick/n=2": "done",
            "broken": "failed",
            "long": "running",
        }
        await until(pilot, lambda: states_shown(app) == whole)
        assert "1 failed" in text(pilot, "#head")
        assert "hello 1" in text(pilot, "#log")
        await pilot.press("down", "down")
        await until(pilot, lambda: "the answer is wrong" in text(pilot, "#log"))
        await pilot.press("w")
        assert "broken is FAILED" in text(pilot, "#log")
        await pilot.press("w", "slash", *"ong")
        await until(
            pilot,
            lambda: (
                list(states_shown(app)) == ["long", "broken"]
                or list(states_shown(app)) == ["broken", "long"]
            ),
        )
        await pilot.press("backspace", "backspace", "backspace", *"lon", "enter")
        await until(pilot, lambda: list(states_shown(app)) == ["long"])
        await pilot.press("c")
        assert isinstance(app.screen, Question)
        await pilot.press("n")
        assert states_shown(app) == {"long": "running"}, "no means no"
        await pilot.press("c", "y")
        await until(pilot, lambda: states_shown(app) == {"long": "stopped"})
        await pilot.press("escape", "s", "s")
        assert set(states_shown(app)) == {"broken", "long"}
        await pilot.press("s", "s", "s")
        await pilot.press(*["up"] * 5)
        await pilot.press("t")
        assert not isinstance(app.screen, Question), "what completed is not tried again"
        await pilot.press("down", "down", "t")
        assert isinstance(app.screen, Question)
        await pilot.press("y")
        await until(
            pilot,
            lambda: any(
                one.name == "broken" and one.attempt == 2 and one.state is JobState.FAILED
                for one in app.records
            ),
        )
        await pilot.press("r")
        assert isinstance(app.screen, Runs)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Runs) and len(states_shown(app)) == 4)
        await pilot.press("q")

    drive(folder, steps)
    assert not (folder.parent.parent / "watch").exists()
    left = {path.name for path in folder.iterdir()} - {
        "plan.json",
        "state.json",
        "state.lock",
        "submitted.jsonl",
        "jobs",
        "scheduler",
        "code.json",
        "provenance",
        "track.json",
        "bases.jsonl",
        "answered",
    }
    assert left == set(), "it left something"
    subprocess.run([ORCH, "cancel"], stdout=subprocess.DEVNULL, timeout=300, check=True)


def test_without_a_terminal_it_prints_a_line_per_change(folder: Path) -> None:
    with subprocess.Popen(
        [ORCH, "watch"], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        seen = ""
        while "long RUNNING" not in seen:
            line = process.stdout.readline()
            assert line, seen
            seen += line
        assert (
            subprocess.run(
                [ORCH, "cancel"], stdout=subprocess.DEVNULL, timeout=300, check=True
            ).returncode
            == 0
        )
        assert process.wait(timeout=300) == 1
    assert "quick/n=1 COMPLETED" in seen
    assert "\x1b" not in seen


def test_a_log_line_takes_one_line_whatever_a_program_printed() -> None:
    shown = log_text(
        [
            "10 %\r 55 %\r100 %\r",
            "\x1b[31mred\x1b[0m \x1b[2Jcleared",
            "x" * 200,
            "[bold]not markup",
        ],
        20,
    )
    assert shown.plain.splitlines() == ["100 %", "red cleared", "x" * 19 + "…", "[bold]not markup"]


def test_of_ten_thousand_jobs_those_that_matter_now_are_shown() -> None:
    records = [
        Record(
            name=f"train/n={n}", stage="train", identity="i", folder="f", state=JobState.COMPLETED
        )
        for n in range(10_000)
    ]
    records[7_000] = Record(
        name="train/n=7000",
        stage="train",
        identity="i",
        folder="f",
        state=JobState.FAILED,
        reason="NaN",
    )
    shown = chosen(records, Filter())
    assert len(shown) == MOST_LINES
    assert shown[0].name == "train/n=7000"
    assert [one.name for one in chosen(records, Filter(text="nan"))] == ["train/n=7000"]
    assert chosen(records, Filter(states="active")) == []


def test_a_run_that_waits_for_room_that_others_hold_is_not_over() -> None:
    def record(state: JobState, waits_on: Wait | None = None) -> Record:
        return Record(name="a", stage="a", identity="i", folder="f", state=state, waits_on=waits_on)

    done = record(JobState.COMPLETED)
    waits = record(JobState.WAITING, Wait.QUEUE_LIMIT)
    run = run_of(job("a"))
    assert over(run, [done, record(JobState.WAITING, Wait.PARENTS)])
    # The next look that finds room submits it; nothing of it is about to be settled.
    assert not over(run, [done, waits])
    assert not settling([done, waits])
    told = [event.kind for event in notifications.events(run, [replace(waits, attempt=1)])]
    assert told == []


def test_a_run_is_over_where_what_is_left_is_held_or_behind_what_is() -> None:
    run = run_of(
        *(job(f"a/{n}") for n in (1, 2, 3)), *(job(f"b/{n}", (f"a/{n}",)) for n in (1, 2, 3))
    )

    def records(third: dict[str, Any], behind: dict[str, Any]) -> list[Record]:
        ended = {"state": JobState.FAILED, "cause": "missing package", "reason": "no x"}
        cancelled = {"state": JobState.CANCELLED}
        values = [ended, ended, third, cancelled, cancelled, behind]
        return [
            Record(name=one.name, stage=one.stage, identity="i", folder="f", **value)
            for one, value in zip(run.plan.jobs, values, strict=True)
        ]

    queued = {"state": JobState.PENDING}
    assert over(run, records({**queued, "held": True, "waits_on": Wait.SIBLINGS}, queued))
    # Not submitted for want of room, which is of no use to them.
    limited = {"state": JobState.WAITING, "waits_on": Wait.QUEUE_LIMIT}
    assert over(run, records(limited, limited))
    # The scheduler has not held it yet, so it may start. Others may run, too.
    assert not over(run, records(queued, queued))
    assert not over(run, records(limited, {"state": JobState.RUNNING}))


def sweep(folder: Path) -> tuple[Run, list[Record]]:
    file = folder / "sweep.yaml"
    model = "a-model-with-a-name-that-is-as-long-as-those-of-the-hub"
    file.write_text(
        "experiment: sweep\nstages:\n"
        f"  train: {{command: 'train {{model}} {{seed}}', matrix: {{model: [{model}-1, {model}-2], "
        "seed: [0, 1, 2]}}\n"
        "  report: {command: 'true', after: [train]}\n"
    )
    run = create_run(make_plan(file), Profile(kind="local", name="local"), folder / "runs")
    return run, list(run.load())


@pytest.mark.parametrize("width", [60, 77, 117])
def test_lines_of_like_jobs_differ_at_every_width(width: int, tmp_path: Path) -> None:
    run, records = sweep(tmp_path)
    table = table_of(run, records, 0.0, {}, width)
    lines = {tuple(cell.plain for cell in cells) for cells in table.rows.values()}
    assert len(lines) == len(records) == 7
    assert sum(head[1] + 2 for head in table.heads) - 2 <= width


def test_the_stages_on_one_line_and_none_where_it_would_be_cut(tmp_path: Path) -> None:
    run, records = sweep(tmp_path)
    records[0] = replace(records[0], state=JobState.COMPLETED)
    line = stage_line(run, records, 80)
    assert line is not None
    assert line.plain == "train · 1 of 6 → report ·"
    assert stage_line(run, records, 20) is None


def test_jobs_in_the_order_of_a_metric(tmp_path: Path) -> None:
    _, records = sweep(tmp_path)
    first, second, third = records[:3]
    metrics = {first.name: {"loss": 0.5}, third.name: {"loss": 0.1}}
    assert by_metric(records[:3], metrics, "loss", False) == [third, first, second]
    assert by_metric(records[:3], metrics, "loss", True) == [first, third, second]


def test_on_a_narrow_screen_the_metric_that_sorts_is_shown_and_reasons_make_room(
    tmp_path: Path,
) -> None:
    run, records = sweep(tmp_path)
    failed = replace(records[0], state=JobState.FAILED, reason="a reason of so many words " * 4)
    metrics = {one.name: {"first_metric": 0.5, "second_metric": 0.25} for one in records[1:]}

    def heads(width: int, by: str) -> list[str]:
        table = table_of(run, [failed, *records[1:]], 0.0, metrics, width, by)
        assert sum(head[1] + 2 for head in table.heads) - 2 <= width
        shown = [" ".join(head[0].split()) for head in table.heads]
        return [name for name in shown if "metric" in name]

    assert heads(117, "") == ["first metric", "second metric"]
    assert heads(57, "second_metric") == ["second metric"]
    assert heads(57, "first_metric") == ["first metric"]


def test_why_a_job_stands_where_it_does_fits_the_screen(tmp_path: Path) -> None:
    run, records = sweep(tmp_path)
    words = "a reason of so many words that it takes several lines of a screen " * 3
    failed = replace(records[-1], state=JobState.FAILED, reason=words.strip(), attempt=1)
    records[-1] = failed
    whole = why_text(run, failed, records, 76, 40).plain.splitlines()
    assert whole[0].startswith(f"✗ {failed.name} is FAILED")
    assert " ".join(" ".join(whole).split()).count(words.split("that")[0].strip()) == 3
    assert [line for line in whole if "words" in line and len(line) > 76] == []
    cut = why_text(run, failed, records, 76, 3).plain.splitlines()
    assert cut[:2] == whole[:2]
    assert cut[2] == f"{len(whole) - 2} more lines: orch why {failed.name}"


def test_a_course_of_values_as_bars() -> None:
    assert spark([0, 7], 10) == "▁█"
    assert spark(list(range(8)), 8) == "▁▂▃▄▅▆▇█"
    assert spark([3.0] * 4, 8) == "▄▄▄▄"
    # Of more values than bars each is a mean, of the same number of values from the end on.
    assert len(spark(list(range(1000)), 60)) <= 60
    assert spark([0, 1, 1, 7, 7], 3) == "▁▂█"


def test_the_metrics_of_the_chosen_job_with_newest_value_and_range() -> None:
    lines = [
        {"metrics": {"epoch": k, "train_reward_mean": k / 8, "seconds_left": 3.0, "loss": math.nan}}
        for k in range(9)
    ]
    (text,) = spark_lines(lines, 78)
    assert text.plain == "train reward          1  ▁▂▃▄▅▅▆▇█  0 to 1"
    assert spark_lines([], 78) == []
