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
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.__main__ import main
from orchestrator.runs.documents import damage
from tests.support.cli import SMALL, describe, orch, the_run, until

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
ANOTHER = b'{"version": 1, "schema": 1, "name": "other", "rows": {}, "jobs": "none"}'
WAYS: dict[str, bytes | None] = {
    "gone": None,
    "empty": b"",
    "half": b"half",
    "list": b"[1, 2]",
    "null": b"null",
    "binary": b"\xff\xfe\x00",
    "another document": ANOTHER,
    "other types": b"types",
    "newer": b"newer",
}
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


def damaged(content: bytes, way: str) -> bytes | None:
    """A file's content, damaged; None: it is gone. What is no JSON has no other types."""
    if way == "half":
        return content[: len(content) // 2]
    if way not in ("other types", "newer"):
        return WAYS[way]
    try:
        values = json.loads(content)
    except ValueError:
        return content
    if not isinstance(values, dict):
        return content
    if way == "newer":
        return json.dumps({**values, "version": 99, "a key of tomorrow": [1]}).encode()
    return json.dumps({key: {"x": [1]} for key in values}).encode()


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
            broken = damaged(content, way)
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


VALUES: tuple[Any, ...] = (None, True, -1, 2.5, 10**400, "x", "", [], [1], {}, {"x": [1]}, math.nan)


def places(values: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Every place in a document: what it is in, and its key."""
    keys: list[Any] = list(values) if isinstance(values, dict) else []
    if isinstance(values, list):
        keys = list(range(min(len(values), 2)))
    for key in keys:
        yield values, key
        if depth < 4:
            yield from places(values[key], depth + 1)


def changed_somewhere(content: bytes, chance: random.Random) -> bytes | None:
    """A document with one value of another kind, one gone, or one key too many; None: it is no
    document."""
    try:
        values = json.loads(content)
    except ValueError:
        return None
    found = list(places(values))
    if not found:
        return None
    within, key = chance.choice(found)
    what = chance.randrange(len(VALUES) + 2)
    if what < len(VALUES):
        within[key] = VALUES[what]
    elif isinstance(within, dict) and what == len(VALUES):
        within["a key of tomorrow"] = [1]
    else:
        del within[key]
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    ("seed", "count"), [(0, 400), pytest.param(1, 10_000, marks=pytest.mark.long)]
)
def test_no_value_of_another_kind_ends_a_command_with_a_traceback(
    here: Path, seed: int, count: int
) -> None:
    sys.addaudithook(note_opened)
    readers: dict[str, list[str]] = {}
    for command in READING:
        for file in opened_by(command, here):
            readers.setdefault(file, []).append(command)
    kept = {file: (here / file).read_bytes() for file in readers if (here / file).is_file()}
    chance = random.Random(seed)
    for number in range(count):
        file = chance.choice(sorted(kept))
        broken = changed_somewhere(kept[file], chance)
        if broken is None:
            continue
        (here / file).write_bytes(broken)
        command = chance.choice(readers[file])
        code, said = call(command)
        assert code in (0, 2), (number, file, command, code, said)
        (here / file).write_bytes(kept[file])
        (here / "state.json").write_bytes(kept["state.json"])


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
