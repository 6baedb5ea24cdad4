"""Every file of a finished run, damaged in every way, read by every command that reads it: no
traceback, the damage told in one line, and made anew where that can be.

The run is real: a sweep, a pack, a gate, a best job, a death, on this machine. Commands run in this
process; an audit hook says which files each of them opens, so that each is asked about these alone.
"""

import contextlib
import io
import itertools
import json
import math
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.__main__ import main
from orchestrator.runs.documents import damage
from tests.support.cli import SMALL, describe, orch, the_run, until
from tests.support.damaged_values import (
    ANOTHER,
    DEEP,
    VALUES,
    WAYS,
    damaged,
    damaged_whole,
    with_line,
)

SCRIPT = """import json, orch
n = json.loads(__import__('os').environ['ORCH_AXES']).get('n', 0)
orch.progress(1, 1, loss=2.0)
orch.result('loss', n + 0.5, n=3)
"""
STAGES = f"""  data:
    command: "python w.py {{n}}"
    matrix: {{n: [1, 2]}}
    metrics: {{loss: {{better: lower}}}}
    {SMALL}
  packed:
    command: "python w.py {{n}}"
    matrix: {{n: [3, 4]}}
    pack: 2
    {SMALL}
  ends:
    command: [python, -c, "raise ValueError('bad rate')"]
    {SMALL}
  gated:
    command: "python w.py 5"
    after: [data]
    when: {{metric: loss, of: data, at_most: 5}}
    {SMALL}
  never:
    command: "python w.py 6"
    after: [data]
    when: {{metric: loss, of: data, at_most: -1}}
    {SMALL}
  follow:
    command: "python w.py {{n}}"
    for_each: {{of: data, best: loss}}
    {SMALL}
"""
READING = (
    "status --json",
    "status",
    "list",
    "why gated",
    "why follow",
    "why ends",
    "why data/n=1",
    "logs ends",
    "costs",
    "page",
    "results",
    "results --best loss",
    "diff trial trial",
    "archive trial --dry-run",
)
LIKE_ANOTHER = ("data.n-2", "packed.n-4")
"""Jobs whose files are of the same kinds as those of others."""
_opened: set[str] | None = None


def note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """Take note of opened files, while somebody asks for it."""
    if _opened is not None and event == "open" and isinstance(arguments[0], str | os.PathLike):
        _opened.add(os.path.realpath(arguments[0]))


def call(command: str) -> tuple[int, str]:
    """Run a command in this process: its exit code and what it printed."""
    out = io.StringIO()
    code = 0
    sys.argv = ["orch", *command.split()]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    damage.told()
    return code, out.getvalue()


def opened_by(command: str, run: Path) -> set[str]:
    """The files of the run that a command reads."""
    global _opened  # an audit hook cannot be taken off
    _opened = set()
    try:
        code, said = call(command)
        assert code == 0, said
        return {os.path.relpath(path, run) for path in _opened if path.startswith(f"{run}/")}
    finally:
        _opened = None


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("damage").resolve()
    (folder / "w.py").write_text(SCRIPT)
    launched = orch(folder, "launch", describe(folder, STAGES), "--cluster", "local", "--watch")
    assert "submitted" in launched.stdout, launched.stderr
    until(folder, lambda now: now["follow"]["state"] == now["gated"]["state"] == "COMPLETED")
    assert orch(folder, "override", "never", "--skip", "--reason", "enough").returncode == 0
    shutil.copytree(folder / "runs", folder / "whole", symlinks=True)
    return folder


@pytest.fixture
def here(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run's folder, whole; this process works beside it."""
    monkeypatch.chdir(finished)
    monkeypatch.setenv("ORCH_RUNS", str(finished / "runs"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", [])
    restore(finished)
    return the_run(finished)


@pytest.fixture
def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends at once is started in place of a scheduler, which would write while the
    runs are put back."""
    monkeypatch.setattr(sys, "executable", "/bin/false")


def restore(folder: Path) -> None:
    """The runs as they were."""
    shutil.rmtree(folder / "runs")
    shutil.copytree(folder / "whole", folder / "runs", symlinks=True)


def asked_about(place: int, commands: list[str], whole: bool) -> list[tuple[str, str]]:
    """The ways in which a file is damaged, each with a command that reads it: the whole product, or
    every way once and every command once, so that files share the pairs out among them."""
    if whole:
        return list(itertools.product(WAYS, commands))
    count = max(len(WAYS), len(commands))
    ways = [list(WAYS)[(place + number) % len(WAYS)] for number in range(count)]
    return [(way, commands[(place + number) % len(commands)]) for number, way in enumerate(ways)]


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.long)])
def test_no_damage_ends_a_command_with_a_traceback(here: Path, whole: bool) -> None:
    sys.addaudithook(note_opened)
    readers: dict[str, list[str]] = {}
    for command in READING:
        for file in opened_by(command, here):
            readers.setdefault(file, []).append(command)
    kept = {file: (here / file).read_bytes() for file in readers if (here / file).is_file()}
    first = "jobs/data.n-1/attempt-1"
    assert {
        "plan.json",
        "state.json",
        "bases.jsonl",
        "gates/gated.json",
        "choices/follow/choice.json",
        f"{first}/exit.json",
        f"{first}/claim.json",
    } <= set(kept)
    silent = []
    for place, (file, content) in enumerate(sorted(kept.items())):
        if file.startswith(tuple(f"jobs/{name}/" for name in LIKE_ANOTHER)):
            continue
        for way, command in asked_about(place, readers[file], whole):
            broken = damaged_whole(content, way)
            if broken == content:
                continue
            if broken is None:
                (here / file).unlink(missing_ok=True)
            else:
                (here / file).write_bytes(broken)
            # A traceback would come out of it.
            code, said = call(command)
            assert code in (0, 2), (file, way, command, code, said)
            is_json = file.endswith(".json")
            if is_json and way in ("empty", "half", "binary", "list") and file not in said:
                silent.append((file, way, command))
            (here / file).write_bytes(content)
            (here / "state.json").write_bytes(kept["state.json"])
    # What was written anew at once needs no word; `gates` and `why` say the rest in their lines.
    told_otherwise = ("jobs/never/skipped.json", "out/results.json", "cost.json", "environment")
    left = {(file, command) for file, _, command in silent if not file.endswith(told_otherwise)}
    assert sorted(left) == []


RECORDS = {
    "plan.json": ("cwd",),
    "state.json": ("jobs", 0, "reason"),
    "scheduler/table.json": (),
    "bases.jsonl": ("job",),
    "gates/gated.json": ("text",),
    "choices/follow/choice.json": ("chosen",),
    "provenance/1/launch.json": ("environment",),
    "jobs/data.n-1/job.json": ("cwd",),
    "jobs/data.n-1/attempt-1/exit.json": ("reason",),
    "jobs/data.n-1/attempt-1/claim.json": ("host",),
    "jobs/data.n-1/out/files/progress.jsonl": ("phase",),
    "jobs/data.n-1/out/results.json": ("rows", 0, "metric"),
}


@pytest.mark.parametrize("value", ["\ud800", "a\0b", DEEP], ids=["half", "NUL", "deep"])
def test_what_no_terminal_shows_and_no_file_is_named_by(
    here: Path, value: str, no_scheduler: None
) -> None:
    """Python reads all of these as JSON, and fails over them later."""
    for file, place in RECORDS.items():
        kept = (here / file).read_bytes()
        line = 0 if file.endswith(".jsonl") else None
        content = kept if line is None else kept.splitlines()[0]
        new = damaged(json.loads(content), place, "value", value)
        assert new is not None
        (here / file).write_bytes(with_line(kept, line, new))
        for command in ("status --rescan", "page", "why data/n=1"):
            code, said = call(command)
            assert code in (0, 2), (file, command, said)
            said.encode()
        restore(here.parents[2])


@pytest.mark.parametrize("kind", ["folder", "pipe", "endless", "terabyte"])
def test_what_is_no_file_is_told_and_not_waited_for(
    here: Path, kind: str, no_scheduler: None
) -> None:
    """Whatever hangs here hangs the test."""
    logs = ("jobs/ends/attempt-1/log.txt", "jobs/data.n-1/attempt-1/log.txt")
    for file in (*RECORDS, *logs):
        path = here / file
        path.unlink()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "endless":
            path.symlink_to("/dev/zero")
        else:
            path.touch()
            os.truncate(path, 1 << 40)
        for command in ("status", "page", "why ends"):
            code, said = call(command)
            assert code in (0, 2), (file, command, said)
        restore(here.parents[2])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((0, "folder"), "../../elsewhere"),
        ((1, "folder"), "jobs/data.n-1"),
        ((0, "after"), ["nobody"]),
        ((0, "canary"), "nobody"),
        ((0, "stage"), "ends"),
        ((0, "pack"), 0),
    ],
)
def test_a_plan_that_no_orch_has_written_is_refused(here: Path, place: Any, value: object) -> None:
    file = here / "plan.json"
    file.write_bytes(
        damaged(json.loads(file.read_bytes()), ("plan", "jobs", *place), "value", value) or b""
    )
    code, said = call("status")
    assert (code, "not a plan file" in said) == (2, True), said


def test_times_that_no_clock_shows_and_no_threshold_leave_the_record_out(here: Path) -> None:
    gate = here / "gates" / "gated.json"
    gate.write_text(gate.read_text().replace('"at_most": 5', '"at_most": null'))
    assert "gates/gated.json" in call("why gated")[1]
    for value in (1e308, math.inf, -1, 10**400):
        for file in ("jobs/ends/attempt-1/exit.json", "provenance/1/launch.json"):
            kept = (here / file).read_bytes()
            key = "ended" if "exit" in file else "time"
            (here / file).write_bytes(damaged(json.loads(kept), (key,), "value", value) or b"")
            code, said = call("page" if key == "time" else "why ends")
            assert (code, file in said) == (0, True), (file, value, said)
            (here / file).write_bytes(kept)


def test_a_package_without_a_version_is_shown_as_what_stands_there(here: Path) -> None:
    """Drawn once by the test above; every kind of value in both places."""
    file = here / "provenance" / "1" / "launch.json"
    kept = file.read_bytes()
    for value in VALUES:
        for packages in (value, {"torch": value}):
            noted = json.loads(kept)
            noted["environment"]["packages"] = packages
            file.write_text(json.dumps(noted))
            code, said = call("page")
            assert code == 0, (packages, said)
    file.write_bytes(kept)


def test_a_profile_of_another_shape_in_the_plan_is_one_line(here: Path) -> None:
    file = here / "plan.json"
    kept = file.read_bytes()
    refused = 0
    for key in ("budget", "environment", "max_jobs", "setup", "wrap", "track"):
        for value in VALUES:
            plan = json.loads(kept)
            plan["profile"][key] = value
            file.write_text(json.dumps(plan))
            code, said = call("status")
            assert code in (0, 2), (key, value, said)
            refused += "not a plan file" in said
    file.write_bytes(kept)
    assert refused > 30


def test_a_plan_that_names_a_job_which_it_does_not_have_is_one_line(here: Path) -> None:
    file = here / "plan.json"
    kept = file.read_bytes()
    for place, job in enumerate(json.loads(kept)["plan"]["jobs"]):
        plan = json.loads(kept)
        plan["plan"]["jobs"][place]["name"] = "x"
        file.write_text(json.dumps(plan))
        for command in ("status", "logs x", "why gated"):
            code, said = call(command)
            assert code in (0, 2), (job["name"], command, said)
    file.write_bytes(kept)


def test_words_that_only_a_newer_version_knows_end_no_command(here: Path) -> None:
    exit_file, state_file = here / "jobs" / "ends" / "attempt-1" / "exit.json", here / "state.json"
    kept = {file: file.read_bytes() for file in (exit_file, state_file)}
    exit_file.write_text(json.dumps({**json.loads(kept[exit_file]), "state": "EVAPORATED"}))
    state = json.loads(kept[state_file])
    for record in state["jobs"]:
        if record["name"] == "ends":
            record["cause"] = "a kind of tomorrow"
    state_file.write_text(json.dumps(state))
    for command in (*READING, "retry --job gated"):
        code, said = call(command)
        assert code in (0, 2), (command, said)
    for file, content in kept.items():
        file.write_bytes(content)


@pytest.mark.parametrize("broken", [b"", b"[1, 2]", ANOTHER], ids=["empty", "list", "another"])
def test_what_can_be_made_anew_is(here: Path, broken: bytes) -> None:
    """Each file in its own way: by the next look, a rescan, a launch or a retry."""
    states = {job["job"]: job["state"] for job in json.loads(call("status --json")[1])["jobs"]}

    def now() -> dict[str, str]:
        code, said = call("status --json")
        assert code == 0, said
        start = said.index("{")
        values, _ = json.JSONDecoder().raw_decode(said[start:])
        return {job["job"]: job["state"] for job in values["jobs"]}

    def is_whole(file: str) -> bool:
        return isinstance(json.loads((here / file).read_bytes()), dict)

    (here / "state.json").write_bytes(broken)
    code, said = call("status")
    assert (code, "--rescan" in said) == (2, True), said
    assert call("status --rescan")[0] == 0
    assert now() == states

    (here / "plan.json").write_bytes(broken)
    code, said = call("status")
    assert (code, "orch launch" in said) == (2, True), said
    code, said = call("launch trial.yaml --cluster local --no-watch")
    assert code == 0, said
    assert "kept as plan.json.damaged" in said
    assert "0 jobs submitted" in said or "not submitted again" in said, said
    assert now() == states

    (here / "jobs" / "data.n-1" / "job.json").write_bytes(broken)
    (here / "code.json").write_bytes(broken)
    assert call("launch trial.yaml --cluster local --no-watch")[0] == 0
    assert is_whole("jobs/data.n-1/job.json")
    assert is_whole("code.json")

    (here / "scheduler" / "table.json").write_bytes(broken)
    assert now() == states, "nothing that has run runs again"
