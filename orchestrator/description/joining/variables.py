"""Fill the variables of an experiment file in.

    vars: {lr: 1e-4, data: "runs/data"}
    stages:
      train: {engine: ppo, config: {learning_rate: "${lr}", train: "${data}/train.parquet"}}

What goes in: the tree of a file, merged with what it includes, a preset and ``--set``. What comes
out: the same tree with a value in the place of each ``${name}``, which remembers both places.
Nothing is computed, and a file without ``vars`` is left as it is. Called by the reader of
experiments.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes, TooMany
from engines.contract.written.nodes import Node, noted, shown
from engines.contract.written.scalars import LONGEST_SCALAR
from engines.contract.written.tree import DEEPEST, MOST_NODES
from jobs.stages import Scalar, literal

VARIABLES = "vars"
USE = re.compile(r"\$(\$?)\{([A-Za-z][A-Za-z0-9_-]*)\}")
"""``${name}``; with a second ``$`` the text itself is meant."""
ELSEWHERE = (VARIABLES, "presets")
"""Keys of a file that are not filled in: a preset is when it has been merged."""


MOST_TRAIL = 50
"""Variables each of which uses the next."""


def height(node: Node) -> int:
    """Lists and mappings within one another in a value; of a scalar 0."""
    below = node.value.values() if isinstance(node.value, dict) else node.value
    if not isinstance(node.value, dict | list):
        return 0
    return 1 + max((height(one) for one in below), default=0)


class Variables:
    """The variables of a file; each is filled in itself when it is first used."""

    def __init__(self, written: dict[Any, Node], mistakes: Mistakes) -> None:
        self.written = {str(name): node for name, node in written.items()}
        self.mistakes = mistakes
        self.ready: dict[str, Node | None] = {}
        self.trail: list[str] = []
        """Variables that are being filled in, each used by the one before it."""
        self.level = 0
        """Lists and mappings around what is being filled in."""
        self.made = 0
        """Values that stand in the places of variables."""

    def filled(self, node: Node) -> Node:
        """``node`` with values in the place of variables, at any depth; keys stay."""
        if isinstance(node.value, dict | list):
            return self.below(node)
        if not isinstance(node.value, str) or "${" not in node.value:
            return node
        whole = USE.fullmatch(node.value)
        if whole is None or whole[1]:
            return self.text(node)
        value = self.value(whole[2], node)
        if value is None:
            return node
        self.check_room(value, node)
        return noted(value, f"${{{whole[2]}}} at {node.where}")

    def below(self, node: Node) -> Node:
        """A list or mapping with values in the place of variables."""
        if self.level > DEEPEST:
            self.stop(node, f"they make more than {DEEPEST} lists and mappings within one another")
        self.level += 1
        value: Any
        if isinstance(node.value, dict):
            value = {key: self.filled(one) for key, one in node.value.items()}
        else:
            value = [self.filled(one) for one in node.value]
        self.level -= 1
        return Node(value, node.where)

    def check_room(self, value: Node, use: Node) -> None:
        """With a value where it is used the file is neither too deep nor too much; else TooMany."""
        if self.level + height(value) > DEEPEST:
            self.stop(use, f"they make more than {DEEPEST} lists and mappings within one another")
        self.made += sum(1 for _ in value.walk())
        if self.made > MOST_NODES:
            self.stop(use, f"they make more than {MOST_NODES} values")

    def stop(self, use: Node, why: str) -> NoReturn:
        """Tell of variables that would make a file without end; TooMany."""
        self.mistakes.add(use.where, f"vars: {why}; use fewer of one another")
        raise TooMany

    def text(self, node: Node) -> Node:
        """Variables inside a text, as they would be written there."""
        notes: list[str] = []
        length = len(node.value)

        def written(found: re.Match[str]) -> str:
            nonlocal length
            if found[1]:
                return f"${{{found[2]}}}"
            value = self.value(found[2], node)
            if value is None:
                return found[0]
            if not isinstance(value.value, Scalar):
                self.mistakes.add(
                    node.where,
                    f"variable '{found[2]}' of {value.where} is no text, number or boolean, "
                    f"got {shown(value.glimpse())}; it may only be a value as a whole: "
                    f'"${{{found[2]}}}"',
                )
            note = f"${{{found[2]}}} of {value.where}"
            if note not in notes:
                notes.append(note)
            words = str(literal(value.value))
            length += len(words)
            if length > LONGEST_SCALAR:
                self.stop(node, f"they make a text of more than {LONGEST_SCALAR} characters")
            return words

        text = USE.sub(written, node.value)
        return noted(Node(text, node.where), "; ".join(notes)) if notes else Node(text, node.where)

    def value(self, name: str, use: Node) -> Node | None:
        """The value of a variable; None if there is none, which is told at its use."""
        if name in self.trail:
            circle = [*self.trail[self.trail.index(name) :], name]
            place = self.written[circle[0]].where
            self.mistakes.add(
                place, f"vars: {' -> '.join(circle)} use each other; give one of them a value"
            )
            return None
        if name not in self.written:
            self.mistakes.add(
                use.where,
                f"no variable '{name}' in 'vars'{near(name, self.written)} "
                f"(for a literal: $${{{name}}})",
            )
            return None
        if name not in self.ready:
            if len(self.trail) >= MOST_TRAIL:
                self.stop(use, f"more than {MOST_TRAIL} use one another in a row")
            self.trail.append(name)
            self.ready[name] = self.filled(self.written[name])
            self.trail.pop()
        return self.ready[name]


def with_variables(root: Node, mistakes: Mistakes) -> Node:
    """A file with its variables filled in."""
    found = root.child(VARIABLES)
    if found is None or not isinstance(found.value, dict):
        return root
    variables = Variables(found.value, mistakes)
    # Also those that nothing uses: a circle among them is a mistake all the same.
    for name, node in variables.written.items():
        variables.value(name, node)
    values = {}
    for key, node in root.value.items():
        values[key] = node if key in ELSEWHERE else variables.filled(node)
    return Node(values, root.where)
