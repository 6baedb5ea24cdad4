"""Read an experiment file with the files that it includes.

What goes in: a file. What comes out: one tree of ``Node`` in which the file lies over what it
includes, or the same as a text that includes nothing. A value of an included file has two places:
its own, and where the file is included. Called by the reader of experiments, by `orch list
--experiments`, and by what keeps a description with a launch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from engines.contract.written.mistakes import Mistakes, TooMany
from engines.contract.written.nodes import Node, noted, shown
from engines.contract.written.reading import display, read_file, yaml_text
from orchestrator.description.merging import merge

INCLUDE = "include"


MOST_FILES = 100
"""Files that one experiment is put together from, each counted as often as it is included."""


def read_joined(path: Path, mistakes: Mistakes) -> Node | None:
    """A file over what it includes: mappings merge, scalars and lists replace, null takes a key
    out. None if the file cannot be read. What is wrong in an included file is told with both
    places."""
    return Joiner().read(path, mistakes, ())


class Joiner:
    """Reads one experiment and what it includes."""

    def __init__(self) -> None:
        self.files = 0

    def read(self, path: Path, mistakes: Mistakes, inside: Sequence[Path]) -> Node | None:
        """A file over what it includes; ``inside`` are the files that include it, the outermost
        first."""
        root = read_file(path, mistakes)
        named = root.child(INCLUDE) if root is not None else None
        if root is None or named is None:
            return root
        files = named.value if isinstance(named.value, list) else [named]
        if not files or not all(isinstance(one.value, str) and one.value for one in files):
            # It stays, and the check of the whole file says what it must be.
            return root
        own = {key: node for key, node in root.value.items() if key != INCLUDE}
        joined = Node({}, root.where)
        for file in files:
            below = self.included(file, path, mistakes, (*inside, path.resolve()))
            if below is not None:
                joined = merge(joined, below, True)
        return merge(joined, Node(own, root.where), True)

    def included(
        self, file: Node, path: Path, mistakes: Mistakes, inside: Sequence[Path]
    ) -> Node | None:
        """One file that ``path`` includes, with the place of that at each of its values."""
        self.files += 1
        if self.files > MOST_FILES:
            mistakes.add(file.where, f"include: more than {MOST_FILES} files; put some together")
            raise TooMany
        try:
            target, here = resolved(file, path)
        # A path with a NUL or of half a character, no such user, a circle of links.
        except (OSError, ValueError, RuntimeError) as error:
            mistakes.add(file.where, f"include: {shown(file.value)} is no path: {error}")
            return None
        if here in inside:
            circle = [*inside[inside.index(here) :], target]
            names = " -> ".join(display(one) for one in circle)
            mistakes.add(file.where, f"include: {names} is a circle; take one of them out")
            return None
        found = Mistakes()
        root = None
        try:
            root = self.read(target, found, inside)
        finally:
            for line in found.lines:
                mistakes.add(file.where, f"include: {line}")
        if root is None:
            return None
        if not isinstance(root.value, dict):
            text = f"include: {root.where}: must be a mapping as an experiment is"
            mistakes.add(file.where, text)
            return None
        return noted(root, f"included at {file.where}")


def resolved(file: Node, path: Path) -> tuple[Path, Path]:
    """The path of a file that ``path`` includes, as written and whole. OSError, ValueError or
    RuntimeError where there is none."""
    target = path.parent / Path(file.value).expanduser()
    return target, target.resolve()


def joined_text(path: Path) -> str:
    """The text of an experiment file as one that includes nothing; its own text if it does not, or
    if what it includes cannot be read."""
    text = path.read_text(encoding="utf-8")
    mistakes = Mistakes()
    alone, joined = None, None
    with contextlib.suppress(TooMany):
        alone, joined = read_file(path, mistakes), read_joined(path, mistakes)
    if mistakes.lines or alone is None or joined is None or alone.child(INCLUDE) is None:
        return text
    return f"# {display(path)} with the files that it includes\n{yaml_text(joined.plain())}"


def files_of(path: Path) -> list[Path]:
    """An experiment file and all that it includes, each once; of what cannot be read nothing."""
    found: list[Path] = []
    waiting = [path.resolve()]
    while waiting:
        one = waiting.pop(0)
        if one.is_file() and one not in found and len(found) < MOST_FILES:
            found.append(one)
            waiting = [*included_by(one), *waiting]
    return found


def included_by(path: Path) -> list[Path]:
    """The files that a file includes itself."""
    root = None
    with contextlib.suppress(TooMany):
        root = read_file(path, Mistakes())
    named = root.child(INCLUDE) if root is not None else None
    if named is None:
        return []
    found = []
    for one in named.value if isinstance(named.value, list) else [named]:
        if isinstance(one.value, str):
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                found.append(resolved(one, path)[1])
    return found
