"""Terminals, locales and streams of any kind: no letter and no closed stream ends a command."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cli import ORCH, SMALL, describe

WORDS = ("größe", "測試")
FILE = f"""  a:
    command: [sh, -c, "echo {{word}} {WORDS[1]}; test {{word}} = {WORDS[0]}"]
    matrix: {{word: [{", ".join(WORDS)}]}}
    {SMALL}
"""


def latin_1(folder: Path) -> dict[str, str]:
    """The variables of a locale whose letters are ISO-8859-1."""
    name = "de_DE.ISO-8859-1"
    made = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / name)]
    try:
        subprocess.run(made, check=False, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no localedef here")
    if not (folder / name).is_dir():
        pytest.skip("localedef has no de_DE here; Debian's package `locales` brings it")
    return {"LOCPATH": str(folder), "LC_ALL": name}


def ascii_alone(folder: Path) -> dict[str, str]:
    """The variables of a locale without any letters but those of English."""
    return {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def said(folder: Path, given: dict[str, str], *words: str) -> subprocess.CompletedProcess[bytes]:
    """What a command says, with these variables alone."""
    left_out = ("LANG", "LC_ALL", "LC_CTYPE", "PYTHONUTF8", "PYTHONIOENCODING")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return subprocess.run(
        [ORCH, *words], cwd=folder, env={**kept, **given}, capture_output=True, check=False
    )


@pytest.mark.parametrize("locale", [latin_1, ascii_alone])
def test_a_run_is_the_same_in_any_locale(
    tmp_path: Path, locale: Callable[[Path], dict[str, str]]
) -> None:
    given = locale(tmp_path)
    file = describe(tmp_path, FILE)
    launched = said(tmp_path, given, "launch", str(file), "--cluster", "local", "--watch")
    assert (launched.returncode, launched.stderr) == (1, b"")
    # What the terminal has not is written in another way, and nothing is left out.
    for command in ("status", "status", "plan", "why"):
        more = {"plan": [str(file)], "why": ["a"]}.get(command, [])
        shown = said(tmp_path, given, command, *more)
        assert b"Traceback" not in shown.stderr, shown.stderr
        assert shown.returncode in (0, 2)
    document = said(tmp_path, given, "status", "--json").stdout
    jobs = {tuple(job["axes"].values()): job["state"] for job in json.loads(document)["jobs"]}
    assert jobs == {(WORDS[0],): "COMPLETED", (WORDS[1],): "FAILED"}
    (log,) = tmp_path.glob("runs/*/*/jobs/a.word-gr*/attempt-1/log.txt")
    assert log.read_bytes().decode() == f"{WORDS[0]} {WORDS[1]}\n"
    # The same run in UTF-8.
    assert WORDS[1] in said(tmp_path, {"LC_ALL": "C.UTF-8"}, "status").stdout.decode()


def test_what_was_typed_is_read_as_the_terminal_wrote_it(tmp_path: Path) -> None:
    given = latin_1(tmp_path)
    missing = said(tmp_path, given, "plan", os.fsdecode(WORDS[0].encode("latin-1")))
    assert missing.returncode == 2
    assert f"'{WORDS[0]}'" in missing.stderr.decode("latin-1")


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_none_that_is_missed(tmp_path: Path, closed: str) -> None:
    file = describe(tmp_path, f"  a: {{command: 'true', {SMALL}}}\n")
    for words in (f"plan {file}", f"launch {file} --cluster local --watch", "status", "status"):
        shown = subprocess.run(
            ["sh", "-c", f"{ORCH} {words} {closed}"], cwd=tmp_path, capture_output=True, check=False
        )
        assert (shown.returncode, shown.stderr) == (0, b""), words
