"""`orch` imports the one command that was called, and nobody sees a difference."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import typer

from orchestrator.cli.app import COMMANDS, SETTINGS, Sections, app, orch
from orchestrator.errors import OrchError
from tests.support.paths import ROOT

LINES = [
    "status --help",
    "status nope",
    "status a b",
    "status nope --al",
    "status --bogus",
    "statu",
    "",
    "--help",
    "-h",
    "--version",
    "--version nope",
    "nope --help",
    "logs",
    "logs x --run nope",
    "cancel nope --job a --job b",
    "cancel --job",
    "override x --reason r",
    "override x --skip",
    "launch",
    "launch nope",
    "launch nope --set a=1 --set b=2 --preset p",
    "compare a",
    "evolve --per-job x",
    "evolve --per-job 0",
    "rerun nope --code other",
    "list --experiments",
    "data",
    "data prepare",
    "profile list --help",
    "results nope --csv x --metric a",
]


@pytest.fixture(scope="module")
def whole() -> typer.Typer:
    """All commands as typer itself makes them, each imported at once."""
    made = typer.Typer(cls=Sections, **SETTINGS)
    made.callback()(orch)
    for name in COMMANDS:
        entry = getattr(importlib.import_module(f"orchestrator.cli.commands.{name}"), name)
        if isinstance(entry, typer.Typer):
            made.add_typer(entry, name=name)
        else:
            made.command(name)(entry)
    return made


def said(program, words: list[str], capsys) -> tuple[object, str, str]:
    """What a program prints, and how it ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["orch", *words])
        try:
            end = program()
        except SystemExit as exit:
            end = exit.code
        except OrchError as error:
            end = repr(error)
    return (end, *capsys.readouterr())


@pytest.mark.parametrize("line", [*LINES, *(f"{name} --help" for name in COMMANDS)])
def test_a_command_alone_says_what_it_says_among_all(line, whole, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = line.split()
    assert said(app, words, capsys) == said(whole, words, capsys)


def first_sentence(text: str) -> str:
    words = []
    for word in text.split("\n\n")[0].split():
        words.append(word)
        if word.endswith("."):
            break
    return " ".join(words)


def test_the_table_says_of_each_command_what_the_command_says_of_itself(whole):
    group = typer.main.get_group(whole)
    assert {name: first_sentence(command.help) for name, command in group.commands.items()} == (
        COMMANDS
    )


def test_the_help_has_each_command_whole_on_a_line_of_its_own(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, text, _ = said(app, ["--help"], capsys)
    lines = text.splitlines()
    assert [name for name, line in COMMANDS.items() if f"  {name:<8}  {line}" not in lines] == []
    assert max(map(len, lines)) < 80


def test_every_file_of_commands_is_in_the_table():
    files = {path.stem for path in (ROOT / "orchestrator/cli/commands").glob("*.py")}
    assert files - {"__init__"} == set(COMMANDS)


def imported_by(tmp_path, code: str, *words: str, expected: int) -> set[str]:
    """Every module in a fresh interpreter after ``code`` and `orch` with these words."""
    program = (
        f"import sys\nfrom orchestrator.cli.__main__ import main\n{code}\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        f"    assert end.code == {expected}, end.code\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help_imports_no_command_and_a_call_the_one(tmp_path):
    def commands(found: set[str]) -> set[str]:
        prefix = "orchestrator.cli.commands."
        return {name.removeprefix(prefix) for name in found if name.startswith(prefix)}

    assert commands(imported_by(tmp_path, "", "--help", expected=0)) == set()
    assert commands(imported_by(tmp_path, "", "statu", expected=2)) == set()
    assert commands(imported_by(tmp_path, "", "status", expected=2)) == {"status"}


HEAVY = {"pydantic", "yaml", "urllib.request", "ssl", "numpy", "submitit"}


@pytest.mark.parametrize(
    "line",
    ["status", "status nope", "why x", "cancel nope --job x", "logs x", "retry", "advance nope"],
)
def test_a_look_at_a_run_loads_neither_pydantic_nor_yaml_nor_a_web_client(line, tmp_path):
    code = (
        "import orchestrator.lifecycle.act, orchestrator.views.status, "
        "orchestrator.clusters.slurm.cluster"
    )
    assert imported_by(tmp_path, code, *line.split(), expected=2) & HEAVY == set()
