"""Values that know where they were written, and how a value or a text stands in a message.

What goes in: plain values, or what ``tree`` has read. What comes out: ``Node``, and text of one
line. Called by whatever reads a file that a person wrote. Standard library alone.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

GLANCE = 60
"""Characters of a value in a message of its own line."""
LONGEST = 300
"""Characters of a word in a message: whatever a message is made of, no value is longer in it."""
LONGEST_TEXT = 2000
"""Characters of a whole message."""

LONG_WORD = re.compile(rf"'[^']{{{LONGEST - 1},}}(')|\S{{{LONGEST + 1},}}")
"""What is longer than a value may be: a text in quotes, or one without a space."""


@dataclass(frozen=True)
class Node:
    """A value with its place. Mappings hold Nodes by key, lists hold Nodes; anything else is a
    plain scalar."""

    value: Any
    where: str
    """``jobs/x.yaml:12`` or ``--set train.config.epochs=5``."""

    def child(self, key: object) -> Node | None:
        """The value below ``key`` of a mapping; None where there is none."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def glimpse(self) -> Any:
        """As much of the value as a message shows: each of the thousand items of a list may be
        wrong, and the message of each shows the list."""
        if isinstance(self.value, dict):
            some = itertools.islice(self.value.items(), GLANCE)
            return {key: node.glimpse() for key, node in some}
        if isinstance(self.value, list):
            return [node.glimpse() for node in self.value[:GLANCE]]
        return self.value

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        below: Iterable[Node] = ()
        if isinstance(self.value, dict):
            below = self.value.values()
        elif isinstance(self.value, list):
            below = self.value
        for node in below:
            yield from node.walk()

    @cached_property
    def keys_by_text(self) -> dict[str, Any]:
        """The keys of a mapping by their text: pydantic says "0" for the key 0."""
        keys = self.value if isinstance(self.value, dict) else ()
        return {str(key): key for key in keys}


def wrap(value: Any, where: str) -> Node:
    """A plain value as a Node, all of it at one place."""
    if isinstance(value, dict):
        return Node({key: wrap(item, where) for key, item in value.items()}, where)
    if isinstance(value, list):
        return Node([wrap(item, where) for item in value], where)
    return Node(value, where)


def noted(node: Node, note: str) -> Node:
    """The same values, with a note in brackets behind the place of each."""
    # Notes of notes would grow with each variable that uses others.
    where = f"{node.where} ({note})"
    if len(where) > LONGEST:
        where = node.where
    if isinstance(node.value, dict):
        return Node({key: noted(one, note) for key, one in node.value.items()}, where)
    if isinstance(node.value, list):
        return Node([noted(one, note) for one in node.value], where)
    return Node(node.value, where)


def shown(value: Any, most: int = GLANCE) -> str:
    """A value as it stands in an error line, not longer than a glance."""
    # repr, because 4 and '4' are different mistakes.
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_line(text: str, most: int = LONGEST_TEXT) -> str:
    """A text as one printable line: line ends and other controls as they are written in YAML, long
    words and long texts cut."""
    # isprintable is false for line ends, controls, lone surrogates, and marks that turn the
    # direction of a line.
    if not text.isprintable():
        text = "".join(one if one.isprintable() else _escaped(one) for one in text)
    text = LONG_WORD.sub(lambda word: f"{word[0][: LONGEST - 4]}...{word[1] or ''}", text)
    if len(text) > most:
        text = f"{text[:most]}... ({len(text) - most} characters more)"
    return text


def _escaped(character: str) -> str:
    """A character that is not printable as YAML's double quotes write it; an odd space as one."""
    return " " if character.isspace() and character not in "\t\n\r\v\f" else repr(character)[1:-1]
