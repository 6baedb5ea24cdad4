"""Every `orch ...` that the documentation shows is understood by the command line, and every link
and anchor between its pages leads somewhere."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestrator.cli.app import COMMANDS, load
from tests.support.paths import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
OF_THE_PROGRAM = {"--version", "--help", "-h", "--install-completion", "--show-completion"}
UsageError: Any = typer.BadParameter.__base__
"""Of click, or of the copy of it that newer versions of typer hold."""
ENDS = {"&&", "||", "|", ";", ">", "◄──"}
"""What ends a call: an operator of the shell, or an arrow of a drawing."""
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code_of(text: str) -> Iterator[str]:
    """Lines of indented blocks, and of fenced ones that are in no language of files."""
    for language, block in FENCED.findall(text):
        if language not in ("python", "yaml"):
            yield from block.splitlines()
    for line in FENCED.sub("", text).splitlines():
        if line.startswith("    "):
            yield line.strip()


def commands_in(line: str) -> Iterator[list[str]]:
    """The words of each call of `orch` in a line of a shell."""
    try:
        words = shlex.split(line.removeprefix("$ "), comments=True)
    except ValueError:  # a line of Python or of output
        return
    call: list[str] = []
    for word in [*words, "&&"]:
        if word not in ENDS:
            call.append(word)
            continue
        while call and re.match(r"[A-Z_]+=", call[0]):
            call.pop(0)
        if call and call[0] in ("orch", ".venv/bin/orch"):
            yield call[1:]
        call = []


@cache
def command_of(name: str) -> Any:
    return load(name)


def understood(words: list[str]) -> None:
    """Parse a call as the command line does; its own error where it cannot."""
    if words[0] in OF_THE_PROGRAM:
        return
    if words[0] not in COMMANDS:
        raise UsageError(f"no command {words[0]}")
    command, rest = command_of(words[0]), words[1:]
    if hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(words[0], list(rest))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_in_a_block_of_code_is_understood(page: Path) -> None:
    wrong = []
    for line in code_of(page.read_text()):
        for words in commands_in(line):
            try:
                understood(words)
            except (UsageError, KeyError, IndexError) as error:
                wrong.append(f"orch {shlex.join(words)}: {error}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_option_in_a_sentence_is_one_of_its_command(page: Path) -> None:
    wrong = []
    for name, words in re.findall(r"`orch ([a-z]+)([^`]*)`", page.read_text()):
        command = command_of(name)
        rest = words.split()
        if hasattr(command, "commands") and rest:
            command = command.commands[rest[0]]
        parameters = getattr(command, "params", [])
        options = {text for one in parameters for text in [*one.opts, *one.secondary_opts]}
        asked = re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", words.split("&&")[0])
        wrong += [f"orch {name} {option}" for option in asked if option not in options]
    assert wrong == []


def test_a_wrong_command_is_seen() -> None:
    (words,) = commands_in("X=1 orch launch mine --sett a=1 && echo done")
    with pytest.raises(UsageError, match="No such option: --sett"):
        understood(words)
    (words,) = commands_in("orch override harder --run")
    with pytest.raises(UsageError, match="reason"):
        understood(words)


def slug(heading: str) -> str:
    """The anchor that Markdown readers give a heading."""
    heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.replace("`", ""))
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def anchors(page: Path) -> set[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        name = slug(heading)
        found.append(name if name not in found else f"{name}-{found.count(name)}")
    return {*found, *re.findall(r'id="([^"]+)"', text)}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=named)
def test_every_link_and_its_anchor_lead_somewhere(page: Path) -> None:
    wrong = []
    for target in re.findall(r"(?:\]\(|src=\")(?!https?://|mailto:)([^)\s\"]+)", page.read_text()):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        of_a_page = bool(anchor) and path.suffix == ".md"
        if not path.exists() or (of_a_page and anchor not in anchors(path)):
            wrong.append(target)
    assert wrong == []
