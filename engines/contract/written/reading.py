"""Read YAML that a person wrote. Every such file, and every such value of a command line, is read
here and nowhere else.

What goes in: a file or a text. What comes out: a tree of ``Node``, in which every value knows the
file and line (or the ``--set`` argument) it came from, and the mistakes with their places. Called
by the readers of experiments, profiles and messages, of suites and engines' configs, and of the
files of a data set.

What is not UTF-8, too long, too deep or too much is refused before or while it is parsed (the
limits stand here, in ``tree`` and in ``scalars``). Scalars follow YAML 1.2 (``scalars``), and a key
that is there twice is a mistake.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from engines.contract.files import opened
from engines.contract.written.mistakes import Mistakes
from engines.contract.written.nodes import Node
from engines.contract.written.scalars import SCALARS
from engines.contract.written.tree import Stopped, Tree

MOST_BYTES = 1 << 20
"""Of a file: a mebibyte."""
MOST_CHARACTERS_WORDED = 20_000
"""Of a text whose mistake is put in the words of PyYAML's own parser, which takes some
microseconds a character."""
UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What YAML takes for no text; a byte order mark is one at the very beginning alone."""

FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C, where PyYAML has it."""


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer, which puts quotes around text that would not be read as text here."""

    # Empty, or PyYAML copies its table of YAML 1.1 here and our rules are added to it.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own method
        """Values are written out wherever they stand."""
        return True


for _tag, _pattern, _first in SCALARS:
    # PyYAML looks its rules up by the first character of a scalar, those of an empty one under "".
    _starts = [character if character != "\0" else "" for character in _first]
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _starts)


def yaml_text(value: Any) -> str:
    """A plain value as YAML that is read as the same value."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def read(text: str, name: str, mistakes: Mistakes, where: str | None = None) -> Node | None:
    """Parse ``text``; ``name`` stands in the places. With ``where`` every value has that one place.
    None if it is not YAML, or holds a value that cannot be read."""
    text = text.removeprefix("\ufeff")
    odd = UNPRINTABLE.search(text)
    if odd is not None:
        place = where or f"{name}:{line_of(text, odd.start())}"
        code = f"U+{ord(odd[0]):04X}"
        mistakes.add(place, f"not YAML: the character {code}; save the file as plain UTF-8 text")
        return None
    try:
        found = parsed(text, name, where)
    except Stopped as error:
        mistakes.add(error.where, str(error))
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # PyYAML counts lines from 0, editors from 1.
        place = where or f"{name}:{mark.line + 1 if mark else 1}"
        mistakes.add(
            place,
            f"not YAML: {error.problem or error.context}; check indentation, quotes and "
            "colons there",
        )
        return None
    for place, wrong in found.found:
        mistakes.add(place, wrong)
    # What follows from a value that is not there would be told as a mistake of its own.
    if found.is_unread:
        return None
    # An empty file, or one of comments alone.
    return Node(None, where or f"{name}:1") if found.root is None else found.root


def parsed(text: str, name: str, where: str | None) -> Tree:
    """The tree of a text. What the parser in C does not take the other one judges, and words."""
    tree = Tree(name, where)
    try:
        tree.read(yaml.parse(text, Loader=FAST))
    except yaml.MarkedYAMLError:
        if len(text) > MOST_CHARACTERS_WORDED:
            raise
        tree = Tree(name, where)
        tree.read(yaml.parse(text, Loader=yaml.SafeLoader))
    return tree


def read_file(path: Path, mistakes: Mistakes) -> Node | None:
    """Parse a file; places name it as a person would: relative to the current folder where it lies
    below."""
    name = display(path)
    try:
        content = content_of(path)
    # A path of a NUL or of half a character is a ValueError.
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        mistakes.add(name, f"cannot be read: {why}")
        return None
    if len(content) > MOST_BYTES:
        mistakes.add(name, f"more than {MOST_BYTES} bytes; no description is so long")
        return None
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        mistakes.add(
            f"{name}:{line}",
            f"not UTF-8: the byte 0x{content[error.start]:02x}; save the file as plain UTF-8 text",
        )
        return None
    return read(text, name, mistakes)


def content_of(path: Path) -> bytes:
    """The bytes of a file, one more than may be at most. OSError where it is none."""
    with opened(path) as file:
        return file.read(MOST_BYTES + 1)


def display(path: Path) -> str:
    """``path`` relative to the current folder if it lies below it."""
    try:
        absolute, here = path.resolve(), Path.cwd()
    # Of a circle of links Python 3.11 says RuntimeError.
    except (OSError, ValueError, RuntimeError):
        return str(path)
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


def line_of(text: str, place: int) -> int:
    """The line, from 1, that a character of a text is in."""
    return text.count("\n", 0, place) + 1
