"""YAML that remembers its lines: every value knows the file and line (or the ``--set`` argument) it
came from.

What goes in: a file or a text. What comes out: a tree of ``Node``, and the mistakes with their
places. Called by whatever reads a file that a person wrote.

YAML 1.1, which PyYAML reads, has traps that cost cluster hours: ``1e-4`` is a string, ``12:30:00``
a number, ``off`` is false, a duplicate key wins in silence. Here scalars follow the core schema of
YAML 1.2 and duplicate keys are mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, ScalarNode, SequenceNode

SCALARS: tuple[tuple[str, str, str], ...] = (
    # "\0" among the first characters stands for an empty scalar.
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    # "010" is ten: YAML 1.1 reads it as eight.
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        # "1e-4", "3." and ".5": YAML 1.1 wants a dot, and a sign in the exponent ("1.0e-4").
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        "-+.0123456789",
    ),
)
"""Tag, pattern of the whole scalar, first characters: the core schema of YAML 1.2 without octal
numbers."""


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


def wrap(value: Any, where: str) -> Node:
    """A plain value as a Node, all of it at one place."""
    if isinstance(value, dict):
        return Node({key: wrap(item, where) for key, item in value.items()}, where)
    if isinstance(value, list):
        return Node([wrap(item, where) for item in value], where)
    return Node(value, where)


def noted(node: Node, note: str) -> Node:
    """The same values, with a note in brackets behind the place of each."""
    where = f"{node.where} ({note})"
    if isinstance(node.value, dict):
        return Node({key: noted(one, note) for key, one in node.value.items()}, where)
    if isinstance(node.value, list):
        return Node([noted(one, note) for one in node.value], where)
    return Node(node.value, where)


def shown(value: Any) -> str:
    """A value as it stands in an error line, not longer than a glance."""
    # repr, because 4 and '4' are different mistakes.
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


class Mistakes:
    """All that is wrong, each once, in the order found."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, where: str, text: str) -> None:
        """One line: the place, then what is wrong, the value, and what to do."""
        line = f"{where}: {text}"
        if line not in self.lines:
            self.lines.append(line)

    def in_file_order(self) -> list[str]:
        """By line of the file; what has no line, such as ``--set``, comes last."""

        def line_number(line: str) -> float:
            # "jobs/x.yaml:12: unknown key ..." has a line, "--set train.pack=x: ..." has none.
            # Behind it may stand, in brackets, where a file is included or a variable used.
            found = re.match(r"[^:]*:(\d+)(?: \(.*\))?: ", line)
            return int(found[1]) if found else float("inf")

        # The sort is stable: mistakes of one line stay in the order in which they were found.
        return sorted(self.lines, key=line_number)


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2."""

    # Empty, or PyYAML copies its table of YAML 1.1 here and our rules are added to it.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same in C, where PyYAML has that."""

    # The same object: what the loop below adds is in both.
    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


for _tag, _pattern, _first in SCALARS:
    # PyYAML looks its rules up by the first character of a scalar, those of an empty one under "".
    _starts = [character if character != "\0" else "" for character in _first]
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), _starts)


class _Dumper(yaml.SafeDumper):
    """PyYAML's writer, which puts quotes around text that the rules above would not read as
    text."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own method
        """Values are written out wherever they stand."""
        return True


def yaml_text(value: Any) -> str:
    """A plain value as YAML that is read as the same value."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def compose(text: str) -> yaml.Node | None:
    """PyYAML's nodes. What the parser in C does not take the other one judges, and words."""
    try:
        return yaml.compose(text, Loader=_FastLoader)
    except yaml.YAMLError:
        return yaml.compose(text, Loader=_Loader)


def read(text: str, name: str, mistakes: Mistakes, where: str | None = None) -> Node | None:
    """Parse ``text``; ``name`` stands in the places. With ``where`` every value has that one place.
    None if it is not YAML."""
    try:
        root = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # PyYAML counts lines from 0, editors from 1.
        place = where or (f"{name}:{mark.line + 1}" if mark else name)
        mistakes.add(
            place,
            f"not YAML: {error.problem or error.context}; check indentation, quotes and "
            "colons there",
        )
        return None
    # Errors without a mark are about the characters of the file, such as a NUL byte.
    except yaml.YAMLError as error:
        mistakes.add(
            where or name,
            f"not YAML: {' '.join(str(error).split())}; save the file as plain UTF-8 text",
        )
        return None
    if root is None:
        # An empty file, or one of comments alone.
        return Node(None, where or f"{name}:1")
    return _Builder(name, mistakes, where).build(root, ())


def read_file(path: Path, mistakes: Mistakes) -> Node | None:
    """Parse a file; places name it as a person would: relative to the current folder where it lies
    below."""
    name = display(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        mistakes.add(name, f"cannot be read: {error}")
        return None
    return read(text, name, mistakes)


def display(path: Path) -> str:
    """``path`` relative to the current folder if it lies below it."""
    absolute, here = path.resolve(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)


class _Builder:
    """PyYAML's nodes -> ours."""

    def __init__(self, name: str, mistakes: Mistakes, where: str | None) -> None:
        self.name, self.mistakes, self.where = name, mistakes, where
        self.scalars = _Loader("")

    def place(self, node: yaml.Node) -> str:
        return self.where or f"{self.name}:{node.start_mark.line + 1}"

    def build(self, node: yaml.Node, inside: tuple[int, ...], where: str | None = None) -> Node:
        """``where`` is the place of the key that holds this value: a mistake in a value is looked
        for at its key."""
        where = where or self.place(node)
        # An alias is the very node of its anchor. In `a: &x [*x]` it lies within itself; the same
        # anchor used twice, side by side, is fine.
        if id(node) in inside:
            self.mistakes.add(where, "an alias that contains itself; write the values out")
            return Node(None, where)
        inside = (*inside, id(node))
        if isinstance(node, MappingNode):
            return Node(self.mapping(node, inside), where)
        if isinstance(node, SequenceNode):
            return Node([self.build(item, inside) for item in node.value], where)
        return Node(self.scalar(node, where), where)

    def mapping(self, node: MappingNode, inside: tuple[int, ...]) -> dict[Any, Node]:
        values: dict[Any, Node] = {}
        lines: dict[Any, str] = {}
        for key_node, value_node in node.value:
            where = self.place(key_node)
            if not isinstance(key_node, ScalarNode):
                self.mistakes.add(where, "a key must be one word, not a list or mapping")
                continue
            key = self.scalar(key_node, where)
            if key in values:
                self.mistakes.add(
                    where,
                    f"key '{key}' is here twice, first at {lines[key]}; remove one of the two",
                )
                continue
            lines[key] = where
            values[key] = self.build(value_node, inside, where)
        return values

    def scalar(self, node: yaml.Node, where: str) -> Any:
        """The Python value of a scalar; an unknown ``!tag`` is a mistake."""
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        text: str = node.value
        # The tag comes from the rules above, or from a person who wrote one (`!!int "3"`).
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind in ("int", "float"):
            return self.number(text, kind, where)
        if kind != "str":
            self.mistakes.add(
                where,
                f"tag '{node.tag}' is not known (value {text!r}); write the value without a tag",
            )
        return text

    def number(self, text: str, kind: str, where: str) -> int | float | None:
        """A number; text that its writer tagged as one may be none."""
        try:
            if kind == "float":
                # YAML writes .inf and .nan, Python inf and nan.
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
            return int(text, 16) if text.lower().startswith("0x") else int(text)
        except ValueError:
            self.mistakes.add(where, f"{shown(text)} is no number that can be read")
            return None


def merge(base: Node, over: Node, null_removes: bool) -> Node:
    """``over`` on top of ``base``: mappings merge, scalars and lists replace, a reference ``{of:
    ..}`` is replaced whole.

    With ``null_removes`` a null takes the key out if it is there, but for engines' configs, where
    null is a value of its own.
    """
    # `{of: a, path: p}` over `{of: b, checkpoint: last}`: merged it would have three keys and mean
    # nothing.
    mappings = isinstance(base.value, dict) and isinstance(over.value, dict)
    if not mappings or "of" in base.value or "of" in over.value:
        return over
    values = dict(base.value)
    for key, node in over.value.items():
        if key not in values:
            values[key] = node
        elif node.value is None and null_removes:
            del values[key]
        else:
            # Below `config` a null is a value that an engine reads, at whatever depth.
            values[key] = merge(values[key], node, null_removes and key != "config")
    return Node(values, base.where)


def put(root: Node, path: tuple[str, ...], value: Node) -> Node:
    """``root`` with ``value`` at ``path``; mappings on the way are made. Raises KeyError naming
    what is not a mapping."""
    if not path:
        return value
    if root.value is not None and not isinstance(root.value, dict):
        raise KeyError(path[0])
    values = dict(root.value or {})
    # A mapping that is made here has the place of the value, as nobody wrote it down.
    below = values.get(path[0], Node({}, value.where))
    values[path[0]] = put(below, path[1:], value)
    return Node(values, root.where)
