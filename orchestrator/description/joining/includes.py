"""Read an experiment file with the files that it includes.

What goes in: a file. What comes out: one tree of ``Node`` in which the file lies over what it
includes, or the same as a text that includes nothing. A value of an included file has two places:
its own, and where the file is included. Called by the reader of experiments, by `orch list
--experiments`, and by what keeps a description with a launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from orchestrator.description.yaml_lines import (
    Mistakes,
    Node,
    display,
    merge,
    noted,
    read_file,
    yaml_text,
)

INCLUDE = "include"


def read_joined(path: Path, mistakes: Mistakes, inside: Sequence[Path] = ()) -> Node | None:
    """A file over what it includes: mappings merge, scalars and lists replace, null takes a key
    out. None if the file cannot be read.

    Args:
        path: of the file.
        mistakes: gets what is wrong, with both places where an included file is.
        inside: the files that include this one, the outermost first.
    """
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
        below = included(file, path, mistakes, (*inside, path.resolve()))
        if below is not None:
            joined = merge(joined, below, True)
    return merge(joined, Node(own, root.where), True)


def included(file: Node, path: Path, mistakes: Mistakes, inside: Sequence[Path]) -> Node | None:
    """One file that ``path`` includes, with the place of that at each of its values."""
    target = path.parent / Path(file.value).expanduser()
    if target.resolve() in inside:
        circle = [*inside[inside.index(target.resolve()) :], target]
        names = " -> ".join(display(one) for one in circle)
        mistakes.add(file.where, f"include: {names} is a circle; take one of them out")
        return None
    found = Mistakes()
    root = read_joined(target, found, inside)
    for line in found.lines:
        mistakes.add(file.where, f"include: {line}")
    if root is None:
        return None
    if not isinstance(root.value, dict):
        mistakes.add(file.where, f"include: {root.where}: must be a mapping as an experiment is")
        return None
    return noted(root, f"included at {file.where}")


def joined_text(path: Path) -> str:
    """The text of an experiment file as one that includes nothing; its own text if it does not, or
    if what it includes cannot be read."""
    text = path.read_text(encoding="utf-8")
    mistakes = Mistakes()
    alone, joined = read_file(path, mistakes), read_joined(path, mistakes)
    if mistakes.lines or alone is None or joined is None or alone.child(INCLUDE) is None:
        return text
    return f"# {display(path)} with the files that it includes\n{yaml_text(joined.plain())}"


def files_of(path: Path, inside: Sequence[Path] = ()) -> list[Path]:
    """An experiment file and all that it includes; of what cannot be read nothing."""
    here = path.resolve()
    root = read_file(path, Mistakes()) if path.is_file() and here not in inside else None
    if root is None:
        return []
    named = root.child(INCLUDE)
    found = [here]
    for one in named.plain() if named is not None and isinstance(named.value, list) else ():
        if isinstance(one, str):
            found += files_of(path.parent / Path(one).expanduser(), (*inside, here))
    if named is not None and isinstance(named.value, str):
        found += files_of(path.parent / Path(named.value).expanduser(), (*inside, here))
    return found
