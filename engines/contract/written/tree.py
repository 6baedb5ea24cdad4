"""From the events of a YAML parser to a tree of ``Node``, with a bound on everything.

What goes in: what ``yaml.parse`` yields, one event at a time. What comes out: the root, and the
mistakes with their places. Called by ``reading``. Nothing here calls itself: how deep a file may go
is a limit and not the size of a stack, and the parser is asked for no event beyond that limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from engines.contract.written.nodes import Node, shown
from engines.contract.written.scalars import PREFIX, NotRead, scalar_value

DEEPEST = 50
"""Lists and mappings within one another."""
MOST_NODES = 50_000
"""Values in a file, those that aliases repeat counted each time."""
LONGEST_KEY = 200
"""Characters of a key."""


class Stopped(Exception):
    """A file that is not read further: ``where``, and in the message why."""

    def __init__(self, where: str, text: str) -> None:
        super().__init__(text)
        self.where = where


@dataclass(frozen=True)
class Key:
    """A key whose value comes next."""

    value: Any
    where: str
    is_good: bool
    """Else what follows is read and left out."""


@dataclass(frozen=True)
class Whole:
    """A value that has been read."""

    node: Node
    size: int
    """Values in it, itself among them."""
    height: int
    """Lists and mappings within one another in it; of a scalar 0."""


@dataclass
class Begun:
    """A list or mapping whose end has not come."""

    where: str
    anchor: str | None
    is_mapping: bool
    items: list[Node] = field(default_factory=list)
    values: dict[Any, Node] = field(default_factory=dict)
    places: dict[Any, str] = field(default_factory=dict)
    """Where the keys stand."""
    key: Key | None = None
    size: int = 1
    height: int = 1

    @property
    def node(self) -> Node:
        """What has been read of it."""
        return Node(self.values if self.is_mapping else self.items, self.where)


class Tree:
    """Builds the tree of one file."""

    def __init__(self, name: str, where: str | None) -> None:
        self.name, self.where = name, where
        self.found: list[tuple[str, str]] = []
        """What is wrong: the place, and the text."""
        self.is_unread = False
        """A value could not be read, so that the rest of the file cannot be judged by it."""
        self.root: Node | None = None
        self.begun: list[Begun] = []
        self.anchors: dict[str, Whole | Begun] = {}
        self.documents = self.nodes = 0

    def read(self, events: Iterable[yaml.Event]) -> Node | None:
        """The root; None for an empty file. Stopped where a limit is passed."""
        for event in events:
            if isinstance(event, ScalarEvent):
                self.scalar(event)
            elif isinstance(event, CollectionStartEvent):
                self.begin(event)
            elif isinstance(event, SequenceEndEvent | MappingEndEvent):
                self.end()
            elif isinstance(event, AliasEvent):
                self.alias(event)
            elif isinstance(event, DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise Stopped(
                        self.place(event), "another document begins here; a file holds one"
                    )
        return self.root

    def place(self, event: yaml.Event) -> str:
        """Where the value of an event is looked for: a mistake in the value of a key at the key."""
        if self.where is not None:
            return self.where
        if self.begun and self.begun[-1].key is not None:
            return self.begun[-1].key.where
        # PyYAML counts lines from 0, editors from 1. Every event of a parser has its mark.
        line = event.start_mark.line + 1 if event.start_mark else 1
        return f"{self.name}:{line}"

    def count(self, size: int, where: str) -> None:
        """More values; Stopped where there are too many."""
        self.nodes += size
        if self.nodes > MOST_NODES:
            raise Stopped(
                where,
                f"more than {MOST_NODES} values, aliases counted; a file so large is no "
                "description: make several of it",
            )

    def deep(self, height: int, where: str) -> None:
        """So many lists and mappings below those that are begun; Stopped where they are too
        many."""
        if len(self.begun) + height > DEEPEST:
            raise Stopped(where, f"more than {DEEPEST} lists and mappings within one another")

    def scalar(self, event: ScalarEvent) -> None:
        """A scalar, which may be a key."""
        where = self.place(event)
        self.count(1, where)
        is_key = self.takes_key
        try:
            value = scalar_value(event.value, event.tag, event.implicit[0])
        except NotRead as error:
            self.found.append((where, str(error)))
            self.is_unread = True
            self.put(Whole(Node(None, where), 1, 0), where, is_read=not is_key)
            return
        whole = Whole(Node(value, where), 1, 0)
        if event.anchor is not None:
            self.anchors[event.anchor] = whole
        self.put(whole, where)

    @property
    def takes_key(self) -> bool:
        """Whether what comes next is a key."""
        return bool(self.begun) and self.begun[-1].is_mapping and self.begun[-1].key is None

    def begin(self, event: CollectionStartEvent) -> None:
        """A list or mapping begins."""
        where = self.place(event)
        is_mapping = isinstance(event, MappingStartEvent)
        name = "mapping" if is_mapping else "list"
        if event.tag not in (None, "!", f"{PREFIX}map" if is_mapping else f"{PREFIX}seq"):
            tag = event.tag.replace(PREFIX, "!!")
            self.found.append((where, f"tag '{tag}' does not fit a {name}; write it without a tag"))
        self.count(1, where)
        self.deep(1, where)
        begun = Begun(where, event.anchor, is_mapping)
        if event.anchor is not None:
            self.anchors[event.anchor] = begun
        self.begun.append(begun)

    def end(self) -> None:
        """A list or mapping ends."""
        begun = self.begun.pop()
        whole = Whole(begun.node, begun.size, begun.height)
        # The same name may have been given anew inside of it.
        if begun.anchor is not None and self.anchors[begun.anchor] is begun:
            self.anchors[begun.anchor] = whole
        self.put(whole, begun.where)

    def alias(self, event: AliasEvent) -> None:
        """What was written before, once more."""
        where = self.place(event)
        meant = self.anchors.get(event.anchor or "")
        if isinstance(meant, Begun):
            self.found.append((where, "an alias that contains itself; write the values out"))
        if meant is None:
            self.found.append((where, f"no '&{event.anchor}' before '*{event.anchor}'"))
        if not isinstance(meant, Whole):
            self.is_unread = True
            meant = Whole(Node(None, where), 1, 0)
        self.count(meant.size, where)
        self.deep(meant.height, where)
        # The values below keep the places where they were written.
        self.put(Whole(Node(meant.node.value, where), meant.size, meant.height), where)

    def put(self, whole: Whole, where: str, is_read: bool = True) -> None:
        """A whole value goes where it belongs."""
        if not self.begun:
            self.root = whole.node
            return
        holder = self.begun[-1]
        holder.size += whole.size
        holder.height = max(holder.height, whole.height + 1)
        if not holder.is_mapping:
            holder.items.append(whole.node)
        elif holder.key is None:
            # Of a key that could not be read that has been told.
            is_good = is_read and self.is_good_key(holder, whole.node, where)
            value = whole.node.value if is_good else None
            holder.key = Key(value, where, is_good)
        else:
            if holder.key.is_good:
                holder.values[holder.key.value] = whole.node
                holder.places[holder.key.value] = holder.key.where
            holder.key = None

    def is_good_key(self, holder: Begun, node: Node, where: str) -> bool:
        """Whether a mapping may have this key; what is wrong is told."""
        key = node.value
        if isinstance(key, dict | list):
            self.found.append((where, "a key must be one word, not a list or mapping"))
            return False
        if isinstance(key, str) and len(key) > LONGEST_KEY:
            self.found.append(
                (
                    where,
                    f"a key of {len(key)} characters, of which {LONGEST_KEY} may be: {shown(key)}",
                )
            )
            return False
        if key in holder.values:
            first = holder.places[key]
            self.found.append(
                (where, f"key '{key}' is here twice, first at {first}; remove one of the two")
            )
            return False
        return True
