"""The files that decide a job's result beside its plan: those that its command or config names, and
the program that lies around a command.

In: words of a command or a config, the folder that it runs in. Out: a ``Listed`` of files with
their contents. ``Unknown`` where it cannot be told which they are. Called by basis.py.

Around a command count all files of its git repository that a copy by ``snapshot: true`` would hold,
or, with that key, those of the copy; without git the programs and settings below the folder. Which
module a program imports, or which file it opens, nobody can tell from outside, so no choice is made
among them, but for what decides no result: experiment files and profiles of clusters, whose words
reach a job by its plan and are compared there;
notebooks; README, LICENSE and the like; hidden files; the runs themselves.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

from orchestrator.description.profile import Profile
from orchestrator.errors import CheckError
from orchestrator.node.reuse.evidence import sha256_of
from orchestrator.runs.documents.reading import document
from orchestrator.runs.provenance.code_copies import CODE, known_files

LARGE_BYTES = 64 * 2**20
"""Of a file above this size, size and time stand for the content."""
MOST_FILES = 20_000
"""More files than this in a folder are not compared."""
MOST_ENTRIES = 200_000
"""So many entries of folders are looked at in search of programs."""
PROGRAMS = (".py", ".pyx", ".sh", ".bash", ".r", ".R", ".jl", ".lua", ".pl", ".cu", ".cpp", ".c")
SETTINGS = (".yaml", ".yml", ".toml", ".cfg", ".ini", ".jinja", ".j2", ".gin")
SILENT = re.compile(r"(README|CHANGELOG|LICENSE|LICENCE|CITATION|AUTHORS|CONTRIBUTING)\b", re.I)
"""Beginnings of the names of files that no program reads."""
EXPERIMENT = re.compile(rb"^(experiment|stages|include)\s*:", re.MULTILINE)
"""What tells a description of an experiment from other YAML."""
KEY = re.compile(rb"^([A-Za-z_][\w-]*)\s*:", re.MULTILINE)
PROFILE = {field.name.encode() for field in fields(Profile)}
"""Keys at the top of a YAML file, and those of a cluster's profile."""


class Unknown(Exception):
    """It cannot be told which files decide; the text says why."""


class Copied(TypedDict):
    """What is read here of the list of a copy's files."""

    files: dict[str, str]


File = tuple[int, int, str]
"""Size, time of the last change in nanoseconds, SHA-256; that is empty for a large file."""


class Listed:
    """Files as they are now, each looked at once."""

    def __init__(self) -> None:
        self.known: dict[str, File] = {}

    def of(self, path: str) -> File:
        """A file's size, time and content. OSError if it cannot be read."""
        found = self.known.get(path)
        if found is None:
            facts = os.stat(path)  # noqa: PTH116  # thousands of them
            content = sha256_of(path) if facts.st_size <= LARGE_BYTES else ""
            found = self.known[path] = (facts.st_size, facts.st_mtime_ns, content)
        return found

    def content(self, path: str) -> str:
        """What stands for a file's content; of a program also that it may be executed."""
        size, time_ns, content = self.of(path)
        can_run = os.access(path, os.X_OK)
        return f"{'x' if can_run else '-'}{content or f'{size} bytes of {time_ns}'}"


def named_files(words: Iterable[str], base: Path, runs: Path) -> Iterator[tuple[str, str]]:
    """What the words name: how it is named, and the path of a file. Of a folder all files below.

    Args:
        base: where relative paths begin.
        runs: the folder of all runs; a folder around it, or around ``base``, is passed over.
    """
    for word in dict.fromkeys(part for given in words for part in parts_of(given)):
        path = os.path.normpath(base / word)
        if os.path.isfile(path):  # noqa: PTH113  # thousands of words
            yield word, path
        elif os.path.isdir(path) and not is_around(path, (base, runs)):  # noqa: PTH112
            for count, name in enumerate(files_in(path)):
                if count >= MOST_FILES:
                    raise Unknown(f"{word} holds more than {MOST_FILES} files")
                yield f"{word}/{name}", f"{path}/{name}"


def parts_of(word: str) -> Iterator[str]:
    """What in an argument may be a path: all of it, behind an equals sign, or a word of a line for
    a shell."""
    pieces = [word]
    if any(letter.isspace() for letter in word):
        try:
            pieces += shlex.split(word)
        except ValueError:  # no line for a shell
            pieces += word.split()
    for piece in pieces:
        _, equals, value = piece.partition("=")
        for text in (piece, value if equals else ""):
            # Longer ones are prompts, and no system has such names.
            if text and len(text) < 1000 and "\0" not in text and "\n" not in text:
                yield text


def is_around(folder: str, others: Iterable[Path]) -> bool:
    """Whether a folder is, or holds, one of the others."""
    return any(Path(folder) in (one, *one.parents) for one in others)


def files_in(folder: str) -> Iterator[str]:
    """Paths of the files below a folder, in a fixed order."""
    for place, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            path = f"{place}/{name}"
            if os.path.isfile(path):  # noqa: PTH113
                yield os.path.relpath(path, folder)


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a config."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


class Surrounding:
    """The program files in a folder that a command runs in."""

    def __init__(
        self, folder: Path, runs: Path, leave: Iterable[Path] = (), copied: bool = False
    ) -> None:
        """``leave``: files that do not count. ``copied``: the folder is a copy of a snapshot."""
        self.folder, self.runs = folder, runs
        self.leave = {path.resolve() for path in leave}
        self.copied = copied

    @cached_property
    def root(self) -> Path:
        """The folder, or that of the git repository around it."""
        if self.copied:
            return self.folder
        top = repository_of(self.folder)
        return self.folder if top is None else top

    @cached_property
    def names(self) -> list[str]:
        """Paths below the root of what counts. ``Unknown`` if that is too much."""
        if self.copied:
            found = self.copied_files()
        elif self.root == self.folder and repository_of(self.folder) is None:
            found = list(self.programs())
        else:
            try:
                found = known_files(self.root).taken
            except CheckError as error:
                raise Unknown(error.lines[0]) from error
        if len(found) > MOST_FILES:
            raise Unknown(f"{self.root} holds more than {MOST_FILES} files")
        return sorted(name for name in found if self.counts(name))

    def copied_files(self) -> list[str]:
        """What was copied, by the list beside the copy: commands may have written into it since."""
        path = self.root.with_name(f"{self.root.name}.json")
        held = document(path, Copied, "what lies in the copy counts") if path.exists() else None
        return list(files_in(str(self.root))) if held is None else list(held["files"])

    def programs(self) -> Iterator[str]:
        """Programs and settings below a folder without git."""
        entries = 0
        for place, below, names in os.walk(self.root):
            entries += len(below) + len(names)
            if entries > MOST_ENTRIES:
                raise Unknown(f"{self.root} is too large to be looked through without git")
            below[:] = sorted(one for one in below if not is_library(f"{place}/{one}"))
            for name in names:
                if name.endswith((*PROGRAMS, *SETTINGS)):
                    yield os.path.relpath(f"{place}/{name}", self.root)

    def counts(self, name: str) -> bool:
        """Whether a file may decide a result."""
        base = name.rpartition("/")[2]
        if any(part.startswith(".") for part in name.split("/")) or "__pycache__/" in name:
            return False
        if SILENT.match(base) or base.endswith((".ipynb", ".pyc")):
            return False
        path = self.root / name
        # The copy itself lies among the runs.
        is_of_runs = not self.copied and path.is_relative_to(self.runs)
        if not path.is_file() or path.resolve() in self.leave or is_of_runs:
            return False
        return not (base.endswith((".yaml", ".yml")) and is_ours(path))

    def paths(self) -> dict[str, str]:
        """What counts, by its path in the root."""
        return {name: f"{self.root}/{name}" for name in self.names}


def is_library(folder: str) -> bool:
    """Whether a folder holds what was installed, or is hidden."""
    base = os.path.basename(folder)  # noqa: PTH119
    hidden = base.startswith(".") or base in ("__pycache__", "node_modules", "site-packages")
    # With `.code` in it a folder of runs, whether they are ours or not.
    marks = (f"{folder}/pyvenv.cfg", f"{folder}/{CODE}")
    return hidden or any(map(os.path.exists, marks))


def is_ours(path: Path) -> bool:
    """Whether a YAML file describes an experiment, or a cluster and nothing else."""
    with path.open("rb") as file:
        text = file.read(1 << 16)
    keys = set(KEY.findall(text))
    return EXPERIMENT.search(text) is not None or (b"kind" in keys and keys <= PROFILE)


def repository_of(folder: Path) -> Path | None:
    """The top of the git repository that a folder lies in; None outside of one or without git."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "rev-parse", "--show-toplevel"],
            cwd=folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return None
    return Path(os.fsdecode(done.stdout).rstrip("\n")) if done.returncode == 0 else None


def hash_of_all(contents: dict[str, str]) -> str:
    """Sixteen digits that change with any name or content."""
    whole = hashlib.sha256()
    for name, content in sorted(contents.items()):
        whole.update(f"{name}\0{content}\0".encode(errors="surrogateescape"))
    return whole.hexdigest()[:16]
