"""Every command of docs/reliability.md runs tests that are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "reliability.md"
COMMANDS = re.findall(r"`(pytest [^`]+)`", PAGE.read_text())


def names_in(path: Path) -> list[str]:
    """Names of the tests of a file, or of all files of a folder, with the file's own."""
    files = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    found = []
    for file in files:
        found += [
            f"{file.name}::{name}"
            for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
        ]
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_finds_its_tests(command: str) -> None:
    words = shlex.split(command)[1:]
    chosen = words[words.index("-k") + 1].split(" or ") if "-k" in words else [""]
    places = [ROOT / word for word in words if word.startswith("tests/")]
    names = [name for place in places for name in names_in(place)]
    assert all(place.exists() for place in places)
    for word in chosen:
        assert [name for name in names if word in name], f"{word} is in no test's name"


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) > 15
