"""`orch` builds the one command that was called, and nobody sees a difference."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestrator.cli import fast_start
from orchestrator.cli.app import SETTINGS, app
from orchestrator.errors import OrchError

NAMES = [info.name or info.callback.__name__ for info in app.registered_commands]
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
    "data",
    "data prepare",
    "profile list --help",
    "results nope --csv x --metric a",
]


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


@pytest.mark.parametrize("line", [*LINES, *(f"{name} --help" for name in NAMES)])
def test_a_command_alone_says_what_it_says_among_all(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = line.split()
    assert said(fast_start.program(app, words, **SETTINGS), words, capsys) == said(
        app, words, capsys
    )


def test_every_command_is_found_by_its_name():
    assert all(fast_start.program(app, [name], **SETTINGS) is not app for name in NAMES)


@pytest.mark.parametrize(
    "line", ["status", "status nope", "why x", "cancel nope --job x", "logs x", "retry"]
)
def test_a_look_at_a_run_loads_neither_pydantic_nor_yaml_nor_a_web_client(line, tmp_path):
    code = (
        "import sys; from orchestrator.cli.__main__ import main; import "
        "orchestrator.lifecycle.act, orchestrator.views.status, "
        "orchestrator.clusters.slurm.cluster\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2, end.code\n"
        "print(sorted({'pydantic', 'yaml', 'urllib.request', 'ssl', 'numpy', 'submitit'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *line.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
