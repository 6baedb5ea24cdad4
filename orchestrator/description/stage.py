"""A stage of an experiment, checked, and the order of stages.

The keys that a person writes are defined in ``keys``; ``stage_reader`` makes a ``Stage``
of them, ``experiment`` puts the stages in order, and the planner turns each into jobs.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from engines.contract.metrics import Metric
from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from engines.contract.written.nodes import Node
from jobs.draws import Draw
from jobs.spec import Options, Resources
from jobs.stages import Pair, Point, Scalar
from orchestrator.description.gate_reader import GateSpec


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of a matrix."""

    values: tuple[Scalar, ...]
    nodes: tuple[Node, ...]
    """For each value its place, and for an axis written as a mapping the config it brings."""
    brings_config: bool
    """Written as a mapping ``value -> config``; else a list, which sets the config key of the axis'
    name."""
    replacing: tuple[tuple[Scalar, Node], ...] = ()
    """Values that take the place of others, with their places."""

    def node(self, value: Scalar) -> Node:
        """The place of ``value``, and the config it brings."""
        return self._nodes[type(value), value]

    @cached_property
    def _nodes(self) -> dict[tuple[type, Scalar], Node]:
        # With their types: to Python, 1, 1.0 and True are one key.
        listed = [*zip(self.values, self.nodes, strict=True), *self.replacing]
        found: dict[tuple[type, Scalar], Node] = {}
        for value, node in listed:
            found.setdefault((type(value), value), node)
        return found


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best job of the ``for_each`` stage, in place of each of its jobs."""

    metric: str
    per: tuple[str, ...]
    """One job for each of their values."""
    where: Point


@dataclass(frozen=True, kw_only=True)
class Searched:
    """The ``search`` of a stage, before it is known which values of its metric are better."""

    metric: str
    where: Point
    axes: dict[str, Draw]
    rounds: int
    n: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Read:
    """One entry of a stage's ``reads``."""

    kind: str
    path: str
    step: str


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """One entry of a stage's ``replace``."""

    node: Node
    where: Point
    by: Point
    reason: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage as written, checked on its own; what names other stages is checked in
    ``description``."""

    name: str
    node: Node
    engine: str | None
    command: tuple[str, ...] | None
    matrix: dict[str, Axis]
    """Every axis that sets or brings config, also those of ``zip`` and ``random``."""
    joined: tuple[tuple[Point, ...], ...]
    """Axes of the matrix that vary together, each set of them as the points that it has."""
    metrics: dict[str, Metric]
    """What a command says that it measures."""
    reads: tuple[Read, ...]
    """What a framework below a command writes."""
    search: Searched | None
    """How the values of further axes are found, when earlier ones are judged."""
    pairs: tuple[Pair, ...]
    """What the axes ``first`` and ``second`` are together; none without ``pairs``."""
    exclude: tuple[Point, ...]
    replacements: tuple[Replacement, ...]
    for_each: str | None
    best: Best | None
    """Which job of the ``for_each`` stage alone is followed; None: each of them."""
    after: tuple[str, ...]
    gates: tuple[GateSpec, ...]
    checkpoints: str | list[int] | None
    resources: Resources
    options: Options
    pack: int
    at_once: int | None
    canary: Node | None
    """Config that makes a short variant of the first job; ``true`` for the first job itself."""
    config: Node
    sound: bool
    """No mistake was found in it: mistakes that follow from another one are not worth telling."""

    def place(self, key: str) -> str:
        """Where the stage's ``key`` stands, or the stage itself."""
        found = self.node.child(key)
        return found.where if found else self.node.where

    @property
    def product_axes(self) -> dict[str, tuple[Scalar, ...]]:
        """The axes that multiply, each with its values: those of the matrix itself."""
        together = {axis for points in self.joined for axis in points[0]}
        return {axis: one.values for axis, one in self.matrix.items() if axis not in together}

    @property
    def needs(self) -> tuple[str, ...]:
        """The stages it waits for."""
        if self.for_each is None:
            return self.after
        return self.for_each, *(name for name in self.after if name != self.for_each)

    @property
    def follows(self) -> tuple[str, ...]:
        """The stages that come before it: those it waits for, and those that its gates judge."""
        judged = [gate.of for gate in self.gates]
        return tuple(dict.fromkeys([*self.needs, *judged]))


def in_order(stages: Mapping[str, Stage], mistakes: Mistakes) -> tuple[Stage, ...]:
    """Stages so that each follows what it needs, in the file's order where that is free. Cycles and
    unknown names are mistakes.

    Stages of a cycle, and those that need one, are left out.
    """
    for stage in stages.values():
        check_names(stage, stages, mistakes)
    numbers = {name: number for number, name in enumerate(stages)}
    waits = {name: numbers.keys() & stage.follows for name, stage in stages.items()}
    behind: dict[str, list[str]] = {}
    for name, before in waits.items():
        for one in before:
            behind.setdefault(one, []).append(name)
    ready = [number for name, number in numbers.items() if not waits[name]]
    names, ordered = list(stages), dict[str, Stage]()
    # One at a time from the top of the file, so that its order stays wherever it may.
    while ready:
        name = names[heapq.heappop(ready)]
        ordered[name] = stages[name]
        for one in behind.get(name, ()):
            waits[one].discard(name)
            if not waits[one]:
                heapq.heappush(ready, numbers[one])
    # What could not be put in order is a cycle, or waits for one. The first cycle is told; who
    # mends it sees the next.
    left = {name: stage for name, stage in stages.items() if name not in ordered}
    if left:
        tell_cycle(find_cycle(left), stages, mistakes)
    return tuple(ordered.values())


def check_names(stage: Stage, stages: Mapping[str, Stage], mistakes: Mistakes) -> None:
    """Every stage that a stage names is there."""
    parent = stage.for_each
    if parent is not None and parent not in stages:
        mistakes.add(stage.place("for_each"), no_stage(stage, "for_each", parent, stages))
    for name in stage.after:
        if name not in stages:
            mistakes.add(stage.place("after"), no_stage(stage, "after", name, stages))
    for gate in stage.gates:
        if gate.of not in stages:
            mistakes.add(gate.place("of").where, no_stage(stage, gate.key, gate.of, stages))


def no_stage(stage: Stage, key: str, name: str, stages: Mapping[str, Stage]) -> str:
    """The line for a stage that is not there."""
    return f"stage '{stage.name}': {key}: no stage '{name}'{near(name, stages)}"


def tell_cycle(cycle: list[str], stages: Mapping[str, Stage], mistakes: Mistakes) -> None:
    """A cycle is told at the key of its first stage that names the second."""
    first, second = stages[cycle[0]], cycle[1]
    if second in first.after:
        key = "after"
    elif second == first.for_each:
        key = "for_each"
    else:
        key = next(gate.key for gate in first.gates if gate.of == second)
    mistakes.add(
        first.place(key),
        f"stage '{first.name}' waits for itself: {' -> '.join(cycle)}; "
        f"take one of them out of '{key}'",
    )


def find_cycle(stages: Mapping[str, Stage]) -> list[str]:
    """A cycle among stages that all need one another or a cycle: follow needs until a name comes
    back."""
    trail = [next(iter(stages))]
    while True:
        # There is always one: every stage that is left waits for another that is left.
        following = next(name for name in stages[trail[-1]].follows if name in stages)
        if following in trail:
            return [*trail[trail.index(following) :], following]
        trail.append(following)
