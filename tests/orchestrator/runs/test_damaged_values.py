"""One value of a finished run's records of another kind, at any place, and any command that opens
the file: no traceback, no other exit code than those that are documented, and what is shown of the
other jobs stays.

The run is real. Commands run in this process; an audit hook says which files each of them opens. No
scheduler is started, as a Python that ends at once is called in its place: a job that a command
would run again would run for as long as the others take together.
"""

from __future__ import annotations

import io
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from engines.analysis.paired.__main__ import run as run_paired
from engines.analysis.paired.config import Config
from engines.contract.config import ConfigError
from engines.contract.program import Stop
from orchestrator.cli.__main__ import main
from orchestrator.errors import RunError
from orchestrator.runs.documents import damage
from orchestrator.runs.lookup import find_run
from orchestrator.scores.own.paired import paired_config
from orchestrator.serve import answers
from orchestrator.serve.runs import Runs
from tests.support.damaged_run import launches, make_runs
from tests.support.damaged_values import damaged, documents, kinds, unlike, with_line

EACH = (
    *(
        "status RUN",
        "status RUN --json",
        "status RUN --rescan",
        "results RUN",
        "results RUN --json",
    ),
    *("costs RUN", "costs RUN --json", "page RUN", "report RUN", "archive RUN --dry-run"),
    *("remove RUN --dry-run", "wait RUN --timeout 0", "watch RUN", "advance RUN", "cancel RUN"),
    *("track sync RUN --dry-run", "python RUN", "serve RUN", "diff RUN FIRST", "costs RUN --by n"),
)
"""Of every run."""
JOBS = (
    *("data/n=1", "ends", "gated", "never", "follow", "search/point=1", "judge/n=1", "reader"),
    "packed/n=3",
)
OF_FIRST = (
    *(f"{command} FIRST:{job}" for job in JOBS for command in ("why", "logs")),
    *(f"why FIRST:{job} --json" for job in JOBS),
    *("list", "list --json", "results FIRST --best loss", "results FIRST --csv rows.csv"),
    *("diff FIRST GROWN --json", "why GROWN:data/n=1", "why EVOLUTION:evaluate/n=1,step=1"),
    *("compare FIRST GROWN", "compare FIRST:judge GROWN:judge --metric score"),
    "compare EVOLUTION:data/n=1@1 EVOLUTION:data/n=2@best",
    *(
        "paired FIRST GROWN",
        "paired FIRST:data AGAIN",
        "launch trial.yaml --cluster local --dry-run",
    ),
    *("plan trial.yaml --json", "plan trial.yaml --set data.matrix={n:[1,2,8]}", "complete"),
)
CHANGING = (
    *("retry FIRST:data/n=1", "retry FIRST:ends", "evolve FIRST", "rerun FIRST"),
    *("rerun FIRST --job judge --code present", "rerun FIRST --job follow", "archive EVOLUTION"),
    *("remove EVOLUTION --yes", "remove GROWN --checkpoints --yes"),
    *("launch trial.yaml --cluster local --no-watch", "override FIRST:never --run --reason x"),
    "override FIRST:follow --take data/n=2 --reason x",
)
EVERY_SO_OFTEN = 16
"""They take ten times as long as those that only look, so each has a share of the attempts."""
CODES = (0, 1, 2, 124)
FULL = 2
"""Places of the first run that differ in the numbers of items alone; of the other runs one."""
_opened: set[str] | None = None


def note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    """Take note of opened files, while somebody asks for it."""
    if _opened is not None and event == "open" and isinstance(arguments[0], str | os.PathLike):
        _opened.add(os.path.realpath(arguments[0]))


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five runs."""
    folder = tmp_path_factory.mktemp("values").resolve()
    make_runs(folder)
    return folder


Facts = tuple[int, int, int]
"""What changes when a file does."""


def facts_of(path: Path) -> Facts | None:
    """The facts of a file; None for a link."""
    known = path.lstat()
    return None if path.is_symlink() else (known.st_mtime_ns, known.st_size, known.st_ino)


class Place:
    """The runs as they were left, and commands in this process that may change them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, folder / "runs"
        names = [f"trial/{path.name}" for path in launches(self.runs)]
        again = next(name for name in names if "rerun" in name)
        first, grown = (name for name in names if name != again)
        (evolution,) = self.runs.glob("trial-evolution/*")
        self.names = {
            "FIRST": first,
            "GROWN": grown,
            "EVOLUTION": f"trial-evolution/{evolution.name}",
            "AGAIN": again,
            "COPY": "pulled/copy",
        }
        for name in self.names.values():
            self.call(f"status {name}")
        self.files = self.scanned()
        self.kept = {name: Path(name).read_bytes() for name, facts in self.files.items() if facts}
        self.links = {name: Path(name).readlink() for name in self.files if Path(name).is_symlink()}
        self.usual = {command: self.call(command)[0] for command in self.commands()}
        self.restore()

    def commands(self) -> list[str]:
        """All commands, with the runs' names in them."""
        each = [word.replace("RUN", name) for name in self.names.values() for word in EACH]
        return [self.named(command) for command in (*each, *OF_FIRST, *CHANGING)]

    def named(self, command: str) -> str:
        """A command with the runs' names in it."""
        return re.sub("|".join(self.names), lambda word: self.names[word[0]], command)

    def scanned(self) -> dict[str, Facts | None]:
        """All of the runs: files with their facts, links and folders."""
        found: dict[str, Facts | None] = {}
        for above, folders, files in os.walk(self.runs):
            folders[:] = [name for name in folders if name != ".code"]
            for name in (*folders, *files):
                path = f"{above}/{name}"
                with suppress(FileNotFoundError):
                    found[path] = facts_of(Path(path)) if name in files else None
        return found

    def restore(self) -> None:
        """All as it was."""
        now = self.scanned()
        for path in sorted(now.keys() - self.files.keys(), reverse=True):
            extra = Path(path)
            if extra.is_dir() and not extra.is_symlink():
                extra.rmdir()
            else:
                extra.unlink()
        for name, facts in self.files.items():
            path = Path(name)
            if facts is None and name not in self.links:
                path.mkdir(parents=True, exist_ok=True)
            elif facts is not None and now.get(name) != facts:
                path.unlink(missing_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.kept[name])
                self.files[name] = facts_of(path)
            elif name in self.links and name not in now:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(self.links[name])

    def call(self, command: str) -> tuple[int, str]:
        """The exit code of a command and what it printed, as a terminal has it."""
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        code = 0
        with redirect_stdout(out), redirect_stderr(out):
            try:
                word, _, rest = command.partition(" ")
                SPECIAL.get(word, lambda _: commanded(command))(rest)
            except SystemExit as ended:
                code = int(ended.code or 0)
            except orchestrator.OrchError as error:
                code = 2
                print(*error.lines)
        damage.told()
        buffer = out.buffer
        assert isinstance(buffer, io.BytesIO)
        return code, buffer.getvalue().decode()

    def readers(self) -> dict[str, list[str]]:
        """For each file the commands that open it."""
        global _opened  # an audit hook cannot be taken off
        found: dict[str, list[str]] = {}
        for command in self.commands():
            _opened = set()
            self.call(command)
            opened, _opened = _opened, None
            self.restore()
            for path in opened & self.kept.keys():
                found.setdefault(path, []).append(command)
        return found


def commanded(command: str) -> None:
    """A command of `orch`."""
    sys.argv = ["orch", *command.split()]
    main()


def from_python(run: str) -> None:
    """All that can be asked of a run from Python."""
    loaded = orchestrator.load_run(run)
    for ask in (loaded.jobs, loaded.rows, loaded.curves, loaded.gates, loaded.costs):
        ask()


def served(run: str) -> None:
    """All answers of the live page about a run."""
    for question in answers.QUESTIONS:
        for job in ("data/n=1", "ends", "gated", "evaluate/n=1,step=1"):
            with suppress(orchestrator.OrchError):
                runs = Runs(Path("runs").absolute(), None)
                answers.answer(runs, ["run", *run.split("/"), question], {"job": [job]})


def completed(_: str) -> None:
    """What a shell asks for TAB."""
    asked = {"_ORCH_COMPLETE": "complete_bash", "COMP_WORDS": "orch why ", "COMP_CWORD": "2"}
    os.environ.update(asked)
    try:
        main()
    finally:
        for name in asked:
            del os.environ[name]


def paired(sides: str) -> None:
    """What `orch compare` has another process do with what commands have measured."""
    first, second = sides.split()
    runs = find_run(first.partition(":")[0]), find_run(second.partition(":")[0])
    config = paired_config((first, second), runs, None)
    try:
        run_paired(Config.model_validate(config), Path("runs"), Stop())
    except ConfigError as error:
        raise RunError(str(error)) from error


SPECIAL: dict[str, Callable[[str], None]] = {
    "paired": paired,
    "python": from_python,
    "serve": served,
    "complete": completed,
}


@pytest.fixture
def place(launched: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The runs; this process works beside them."""
    monkeypatch.chdir(launched)
    monkeypatch.setenv("ORCH_RUNS", str(launched / "runs"))
    monkeypatch.setenv("ORCH_CACHE", str(launched / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    found = Place(launched)
    yield found
    found.restore()


def attempts(place: Place, chance: random.Random) -> Iterator[tuple[str, bytes, str, str]]:
    """Every place and every kind of damage, each with a command that opens the file: file, its new
    content, the command, and what was done in words. In a random order."""
    readers = place.readers()
    first = f"{place.runs}/{place.names['FIRST']}/"
    seen: Counter[object] = Counter()
    work = []
    for name, line, values in documents({name: place.kept[name] for name in readers}):
        # Jobs of one kind have files of one kind.
        file = re.sub(r"/jobs/[^/]*/|[0-9a-f]{10,}", "/*/", name)
        most = FULL if name.startswith(first) else 1
        work += [(name, line, values, path) for path in unlike(values, seen, file, most)]
    chance.shuffle(work)
    for number, (name, line, values, path) in enumerate(work):
        changing = [one for one in readers[name] if one.split()[0] in CHANGES]
        looking = [one for one in readers[name] if one not in changing]
        for count, (way, value) in enumerate(kinds()):
            new = damaged(values, path, way, value)
            if new is None:
                continue
            often = changing if count % EVERY_SO_OFTEN == 3 else looking
            commands = often or readers[name]
            command = commands[(number * 7 + count) % len(commands)]
            said = f"{name} {path} {way} {value!r:.40}"
            yield name, with_line(place.kept[name], line, new), command, said


CHANGES = {command.split()[0] for command in CHANGING}


@pytest.mark.parametrize(
    ("seed", "count"), [(18, 400), pytest.param(7, 1_000_000, marks=pytest.mark.long)]
)
def test_no_value_of_another_kind_ends_a_command_badly(place: Place, seed: int, count: int) -> None:
    """400 of all; or all (the number is more than there are)."""
    sys.addaudithook(note_opened)
    assert set(place.usual.values()) <= set(CODES)
    bad, done = [], 0
    for file, content, command, said in attempts(place, random.Random(seed)):
        if done == count or len(bad) > 50:
            break
        done += 1
        Path(file).unlink()
        Path(file).write_bytes(content)
        # Whatever it raises is what a person would see as a traceback.
        try:
            code, printed = place.call(command)
            wrong = "" if code in CODES else f"exit code {code}: {printed[-200:]}"
        except Exception as error:
            wrong = f"{type(error).__name__}: {error!s:.200}"
        if wrong:
            bad.append(f"{said} :: {command} :: {wrong}")
        place.restore()
    print(f"{done} attempts, {len(bad)} bad")
    assert bad == []
