"""One stage of an experiment file: every key checked, every mistake collected."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Any

from engines.contract.checkpoints import check_selector
from engines.contract.config import ConfigError
from engines.contract.nearest import near
from jobs.spec import Resources
from jobs.stages import Point, Scalar, literal, placeholders, same, value_text
from orchestrator.description.gate_reader import Written, read_gates
from orchestrator.description.stage import NAME, STAGE_KEYS, Axis, Stage
from orchestrator.description.yaml_lines import Mistakes, Node, shown


def read_stage(name: str, node: Node, mistakes: Mistakes) -> Stage:
    """Check every key of a stage; what is wrong is left out of the result, which is then not
    ``sound``."""
    before = len(mistakes.lines)
    reader = _Reader(name, node, mistakes)
    for key, value in (node.value if isinstance(node.value, dict) else {}).items():
        if key not in STAGE_KEYS:
            reader.add(
                value, f"unknown key '{key}' (value {shown(value.plain())}){near(key, STAGE_KEYS)}"
            )
    if not isinstance(node.value, dict):
        reader.add(
            node, f"must be a mapping with an engine or a command, got {shown(node.plain())}"
        )
    engine, command = reader.text("engine"), reader.command()
    if (node.child("engine") is None) == (node.child("command") is None) and isinstance(
        node.value, dict
    ):
        reader.add(node, "needs exactly one of 'engine' and 'command'; keep one of the two")
    matrix, resources = reader.matrix(), reader.resources()
    stage_values: dict[str, Any] = {
        "for_each": reader.text("for_each"),
        "after": reader.names("after"),
        "gates": reader.gates(),
        "checkpoints": reader.checkpoints(),
        "exclude": reader.exclude(),
        "resources": resources,
        "config": reader.config(),
        "pack": reader.pack(resources),
        "canary": reader.canary(),
    }
    return Stage(
        name=name,
        node=node,
        engine=engine,
        command=command,
        matrix=matrix,
        sound=len(mistakes.lines) == before,
        **stage_values,
    )


class _Reader:
    """The keys of one stage."""

    def __init__(self, name: str, node: Node, mistakes: Mistakes) -> None:
        self.name, self.node, self.mistakes = name, node, mistakes

    def add(self, node: Node, text: str) -> None:
        self.mistakes.add(node.where, f"stage '{self.name}': {text}")

    def text(self, key: str) -> str | None:
        """A single word, or None where the key is absent."""
        node = self.node.child(key)
        if node is None or (isinstance(node.value, str) and node.value):
            return node.value if node else None
        self.add(node, f"'{key}' must be a name, got {shown(node.plain())}")
        return None

    def names(self, key: str) -> tuple[str, ...]:
        """One name or a list of names."""
        node = self.node.child(key)
        if node is None:
            return ()
        items = node.value if isinstance(node.value, list) else [node]
        for item in items:
            if not isinstance(item.value, str):
                self.add(
                    item, f"'{key}' must be a stage or a list of stages, got {shown(item.plain())}"
                )
        return tuple(dict.fromkeys(item.value for item in items if isinstance(item.value, str)))

    def command(self) -> tuple[str, ...] | None:
        """The argument list: as it is written, or a text split as a shell would; ``{axis}`` is
        filled in later, one argument at a time."""
        node = self.node.child("command")
        if node is not None and isinstance(node.value, list):
            wrong = [item for item in node.value if not isinstance(item.value, str | int | float)]
            for item in wrong or ([] if node.value else [node]):
                self.add(
                    item,
                    "'command' must be a text or a list of arguments, each a text or a "
                    f"number, got {shown(item.plain())}",
                )
            arguments = (
                tuple(literal(item.value) for item in node.value)
                if not wrong and node.value
                else None
            )
        elif (text := self.text("command")) is not None and node is not None:
            arguments = self.split(text, node)
        else:
            return None
        if self.node.child("config") is not None:
            self.add(
                self.node.value["config"],
                "a command has no 'config'; give the values as arguments: --lr {lr}",
            )
        return arguments

    def split(self, text: str, node: Node) -> tuple[str, ...] | None:
        """A command line as arguments."""
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            self.add(
                node,
                f"'command' cannot be split into arguments ({error}): {shown(text)}; "
                "close the quote, or write a list",
            )
            return None

    def matrix(self) -> dict[str, Axis]:
        """The axes that are well formed."""
        node = self.node.child("matrix")
        if node is None:
            return {}
        if not isinstance(node.value, dict) or not node.value:
            self.add(
                node,
                f"'matrix' must name at least one axis with its values, got {shown(node.plain())}",
            )
            return {}
        axes = {name: self.axis(name, values) for name, values in node.value.items()}
        return {name: axis for name, axis in axes.items() if axis}

    def axis(self, name: Any, node: Node) -> Axis | None:
        """One axis: a list of values, or a mapping from values to the config they bring."""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self.add(node, f"axis {name!r} must be a word of letters, digits, '_' and '-'")
            return None
        if not isinstance(node.value, dict | list):
            self.add(
                node,
                f"axis '{name}' must be a list of values, got {shown(node.plain())}; "
                f"write [{node.plain()}]",
            )
            return None
        if not node.value:
            self.add(
                node,
                f"axis '{name}' is empty, so the stage has no job; give it a value or take it out",
            )
            return None
        pairs = (
            list(node.value.items())
            if isinstance(node.value, dict)
            else [(item.value, item) for item in node.value]
        )
        brings = isinstance(node.value, dict)
        seen: set[str] = set()
        for value, item in pairs:
            self.axis_value(name, value, item, seen, brings)
        good = [(value, item) for value, item in pairs if isinstance(value, str | int | float)]
        return (
            Axis(
                values=tuple(v for v, _ in good),
                nodes=tuple(n for _, n in good),
                brings_config=brings,
            )
            if good
            else None
        )

    def axis_value(self, name: str, value: Any, item: Node, seen: set[str], brings: bool) -> None:
        """Check one value of an axis."""
        if not isinstance(value, str | int | float):
            self.add(
                item,
                f"axis '{name}': {shown(item.plain() if not brings else value)} is no "
                "text, number or boolean; "
                "give such values names: {name: {key: value}}",
            )
            return
        if value_text(value) in seen:
            self.add(item, f"axis '{name}' has the value {value_text(value)} twice; remove one")
        seen.add(value_text(value))
        if brings and item.value is not None and not isinstance(item.value, dict):
            self.add(
                item,
                f"axis '{name}', value {value_text(value)}: must bring a mapping of "
                "config keys, got "
                f"{shown(item.plain())}",
            )
        if brings and item.value and self.node.child("command"):
            self.add(
                item,
                f"axis '{name}', value {value_text(value)}: a command has no config; use "
                "a list of values",
            )

    def exclude(self) -> tuple[Point, ...]:
        """Entries of ``exclude``; whether their axes exist is known once the parents are."""
        node = self.node.child("exclude")
        if node is None:
            return ()
        entries = node.value if isinstance(node.value, list) else []
        if not entries:
            self.add(
                node, f"'exclude' must be a list of mappings axis: value, got {shown(node.plain())}"
            )
        for entry in entries:
            if not isinstance(entry.value, dict) or not entry.value:
                self.add(
                    entry,
                    f"'exclude' entry must be a mapping axis: value, got {shown(entry.plain())}",
                )
        return tuple(
            entry.plain() for entry in entries if isinstance(entry.value, dict) and entry.value
        )

    def gates(self) -> tuple[Written, ...]:
        """The gates that are well formed."""
        found: tuple[Written, ...] = ()
        for key in ("when", "unless"):
            node = self.node.child(key)
            if node is not None:
                found += read_gates(node, key == "unless", self.add)
        return found

    def checkpoints(self) -> str | list[int] | None:
        """A selector of checkpoints."""
        node = self.node.child("checkpoints")
        if node is None:
            return None
        value = node.plain()
        epochs = (
            isinstance(value, list)
            and value
            and all(type(item) is int and item >= 0 for item in value)
        )
        try:
            if not epochs and not isinstance(value, str):
                raise ConfigError(
                    f"checkpoints: {value!r} is none of last, best, all, every:N, [epoch, ...]"
                )
            check_selector(value)
        except ConfigError as error:
            self.add(node, str(error))
            return None
        if self.node.child("for_each") is None:
            self.add(node, "'checkpoints' needs 'for_each', which says whose checkpoints")
        selector: str | list[int] = value
        return selector

    def resources(self) -> Resources:
        """Whole numbers, at least one of everything but GPUs."""
        node = self.node.child("resources")
        known = [field.name for field in fields(Resources)]
        if node is None or node.value is None:
            return Resources()
        if not isinstance(node.value, dict):
            self.add(
                node,
                f"'resources' must be a mapping, got {shown(node.plain())}; known keys: "
                f"{', '.join(known)}",
            )
            return Resources()
        good: dict[str, int] = {}
        for key, value in node.value.items():
            least = 0 if key == "gpus" else 1
            if key not in known:
                self.add(
                    value,
                    f"resources: unknown key '{key}' (value "
                    f"{shown(value.plain())}){near(key, known)}",
                )
            elif type(value.value) is not int or value.value < least:
                self.add(
                    value,
                    f"resources: {key} must be a whole number of at least {least}, got "
                    f"{shown(value.plain())}",
                )
            else:
                good[key] = value.value
        return Resources(**good)

    def pack(self, resources: Resources) -> int:
        """How many jobs share an allocation."""
        node = self.node.child("pack")
        if node is None:
            return 1
        if type(node.value) is not int or node.value < 1:
            self.add(
                node, f"'pack' must be a whole number of at least 1, got {shown(node.plain())}"
            )
            return 1
        if node.value > 1 and resources.nodes > 1:
            self.add(
                node,
                "'pack' puts several jobs on one node, and each asks for "
                f"{resources.nodes} nodes; take one of the two out",
            )
        return node.value

    def canary(self) -> Node | None:
        """``true``, or the config of a short variant."""
        node = self.node.child("canary")
        if node is None or node.value is False:
            return None
        if node.value is not True and (not isinstance(node.value, dict) or not node.value):
            self.add(
                node,
                "'canary' must be true, or config keys for a short first job such as "
                f"{{epochs: 1}}, got {shown(node.plain())}",
            )
            return None
        if isinstance(node.value, dict) and self.node.child("command") is not None:
            self.add(node, "a command has no config to shorten; write canary: true")
        return node

    def config(self) -> Node:
        """The engine's config as written."""
        node = self.node.child("config")
        if node is None or node.value is None:
            return Node({}, node.where if node else self.node.where)
        if isinstance(node.value, dict):
            return node
        self.add(node, f"'config' must be a mapping, got {shown(node.plain())}")
        return Node({}, node.where)


def check_axes(stage: Stage, axes: dict[str, tuple[Scalar, ...]], mistakes: Mistakes) -> None:
    """What can only be said once the axes of the ``for_each`` parent are known too: ``exclude`` and
    ``{axis}`` in a command."""
    excludes = stage.node.child("exclude")
    for entry in excludes.value if excludes and isinstance(excludes.value, list) else ():
        for axis, value in (entry.value if isinstance(entry.value, dict) else {}).items():
            if axis not in axes:
                mistakes.add(
                    value.where,
                    f"stage '{stage.name}': exclude: no axis '{axis}'{near(axis, axes)}",
                )
            elif not any(same(value.value, known) for known in axes[axis]):
                mistakes.add(
                    value.where,
                    f"stage '{stage.name}': exclude: axis '{axis}' has no value "
                    f"{shown(value.plain())}; "
                    f"its values: {', '.join(map(repr, axes[axis]))}",
                )
    for name in dict.fromkeys(
        name for argument in stage.command or () for name in placeholders(argument)
    ):
        if name not in axes:
            mistakes.add(
                stage.place("command"),
                f"stage '{stage.name}': command: no axis '{name}' to put in "
                f"place of {{{name}}}{near(name, axes)} (for a literal: {{{{{name}}}}})",
            )
