"""``when`` and ``unless`` of a stage: checked, and turned into conditions on jobs.

What goes in: the gates of a stage as the model of the file has checked them, and later the jobs of
the stage that they judge. What comes out: conditions (``jobs.gates``) that a run can decide from
results. Called by ``stage_reader`` and, once the jobs are known, by the planner.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engines.contract.metrics import Metric
from engines.contract.words import near
from engines.contract.written.nodes import Node
from jobs.gates import Condition
from jobs.stages import Point, Scalar, Values, literal, placeholders, values_on
from orchestrator.description.checking import Tell
from orchestrator.description.keys import StageFile
from orchestrator.description.stage_keys.parts import GateFile

LIMITS = ("at_least", "at_most")


@dataclass(frozen=True, kw_only=True)
class GateSpec:
    """One gate as it stands in the file, checked on its own."""

    node: Node
    metric: str
    of: str
    at_least: float | None
    at_most: float | None
    share: tuple[int, int] | None
    """``for: 2 of 3`` is (2, 3)."""
    where: Point
    key: str
    """``when`` or ``unless``: the key of the stage under which it stands."""

    @property
    def negated(self) -> bool:
        """Whether the stage runs if the results do not reach the threshold."""
        return self.key == "unless"

    @property
    def names_axes(self) -> bool:
        """Whether it judges each job of the stage by values of the job itself."""
        return any(axis_named(value) is not None for value in self.where.values())

    def place(self, key: str) -> Node:
        """Where a key stands, or the gate."""
        return self.node.child(key) or self.node


def read_gates(stage: StageFile, good: Node) -> tuple[GateSpec, ...]:
    """The gates of a stage; ``good`` are the nodes that the stage was made of."""
    specs = []
    for key, gates in (("when", stage.when), ("unless", stage.unless)):
        # Both come from the nodes that are right, so they are equally many.
        for gate, node in zip(gates, gate_nodes(good, key), strict=True):
            specs.append(read_gate(gate, node, key))
    return tuple(specs)


def read_gate(gate: GateFile, node: Node, key: str) -> GateSpec:
    """One gate."""
    wanted, of = gate.share.split(" of ") if gate.share else ("", "")
    return GateSpec(
        node=node,
        key=key,
        metric=gate.metric,
        of=gate.of,
        at_least=gate.at_least,
        at_most=gate.at_most,
        share=(int(wanted), int(of)) if gate.share else None,
        where=gate.where,
    )


def gate_nodes(stage: Node, key: str) -> list[Node]:
    """One gate or a list of them, as nodes."""
    node = stage.child(key)
    if node is None:
        return []
    return list(node.value) if isinstance(node.value, list) else [node]


def check_limits(stage: Node, tell: Tell) -> None:
    """Every gate has exactly one threshold."""
    for key in ("when", "unless"):
        for gate in gate_nodes(stage, key):
            mistake = limit_mistake(gate) if isinstance(gate.value, dict) else None
            if mistake is not None:
                place, text = mistake
                tell(place, f"{key}: {text}")


def limit_mistake(gate: Node) -> tuple[Node, str] | None:
    """What is wrong with the thresholds of one gate."""
    given = [name for name in LIMITS if name in gate.value]
    if len(given) != 1:
        names = ", ".join(given) or "none"
        return gate, f"needs exactly one of 'at_least' and 'at_most', got {names}"
    return None


def reach_mistake(gate: GateSpec, metric: Metric) -> tuple[Node, str] | None:
    """A threshold that no value of the metric can have, such as a test accuracy of at least 90."""
    given = [name for name in LIMITS if getattr(gate, name) is not None]
    if len(given) != 1:
        return None  # told when the stage was read
    key = given[0]
    limit = getattr(gate, key)
    below = metric.low is not None and limit < metric.low
    above = metric.high is not None and limit > metric.high
    if not below and not above:
        return None
    low = "" if metric.low is None else metric.low
    high = "" if metric.high is None else metric.high
    return gate.place(key), (
        f"{key}: {limit:g} is outside the range of {gate.metric} ({low} to {high}, unit "
        f"{metric.unit})"
    )


def check_metric(gate: GateSpec, known: Mapping[str, Metric], is_command: bool, tell: Tell) -> None:
    """The metric is one that the judged stage has, and can reach the threshold."""
    if gate.metric not in known:
        text = f"unknown metric {gate.metric!r}{near(gate.metric, known)}"
        if is_command:
            text += f"; stage '{gate.of}' is a command: name what it measures under its 'metrics'"
        tell(gate.place("metric"), f"{gate.key}: {text}")
        return
    mistake = reach_mistake(gate, known[gate.metric])
    if mistake is not None:
        place, text = mistake
        tell(place, f"{gate.key}: {text}")


def axis_named(value: Scalar) -> str | None:
    """``first`` of ``"{first}"``, which stands for the job's own value on that axis."""
    found = placeholders(value) if isinstance(value, str) else []
    return found[0] if found and value == f"{{{found[0]}}}" else None


def filled(gate: GateSpec, own: Point, tell: Tell) -> Point | None:
    """The axes of ``where``, with the values of the gated job in place of ``"{axis}"``; None with
    the mistake told."""
    where = {}
    for axis, value in gate.where.items():
        named = axis_named(value)
        if named is not None and named not in own:
            text = f"where: the stage has no axis '{named}' to put in place of {value}"
            tell(gate.place("where"), f"{gate.key}: {text}{near(named, own)}")
            return None
        where[axis] = value if named is None else own[named]
    return where


class Judged:
    """The jobs of the stage that a gate judges, looked up by their values: both they and the jobs
    that ask may be thousands."""

    def __init__(self, gate: GateSpec, jobs: Sequence[tuple[str, Point]]) -> None:
        self.jobs = jobs
        self.axes = values_by_axis([point for _, point in jobs])
        self.named = tuple(axis for axis in gate.where if axis in self.axes)
        """Those axes of ``where`` that jobs have."""
        self.by_values: dict[Values, list[str]] = {}
        for name, point in jobs:
            if all(axis in point for axis in self.named):
                self.by_values.setdefault(values_on(point, self.named), []).append(name)


def resolve(gate: GateSpec, own: Point, judged: Judged, tell: Tell) -> Condition | None:
    """A gate as a condition on the jobs of the stage that it judges, or None with the mistake told.

    ``own`` are the axes of the gated job: in ``where`` its value stands for ``"{axis}"``.
    """
    where = filled(gate, own, tell)
    if where is None:
        return None
    # `where` holds two kinds of axes. Those of the jobs (`seed`) choose jobs now; the others
    # (`checkpoint`, `task`) choose rows once there are results.
    chosen = {axis: where[axis] for axis in judged.named}
    names = chosen_jobs(gate, chosen, judged, tell)
    if not names:
        return None
    wanted, of = gate.share or (len(names), len(names))
    if of > len(names):
        text = f"for: {wanted} of {of} asked for, '{gate.of}' has {len(names)} such jobs"
        tell(gate.place("for"), f"{gate.key}: {text}")
        return None
    return Condition(
        metric=gate.metric,
        stage=gate.of,
        jobs=names,
        chosen=chosen,
        # Axes that no job has are those of a row in its results, such as `checkpoint`.
        where={axis: value for axis, value in where.items() if axis not in chosen},
        at_least=gate.at_least,
        at_most=gate.at_most,
        # `2 of 3` is a share: of five jobs 3.33, so four.
        need=math.ceil(wanted * len(names) / of),
        negated=gate.negated,
    )


def chosen_jobs(gate: GateSpec, chosen: Point, judged: Judged, tell: Tell) -> tuple[str, ...]:
    """The jobs that have these values on their axes; none with the mistake told."""
    place = gate.place("where")
    for axis, value in chosen.items():
        if literal(value) not in judged.axes[axis]:
            hint = near(value, judged.axes[axis])
            text = f"where: axis '{axis}' of '{gate.of}' has no value {value!r}{hint}"
            tell(place, f"{gate.key}: {text}")
            return ()
    names = tuple(judged.by_values.get(values_on(chosen, judged.named), ()))
    if not names:
        some = ", ".join(name for name, _ in judged.jobs[:6])
        text = f"where: {chosen} fits no job of '{gate.of}'; its jobs: {some}"
        tell(place, f"{gate.key}: {text}")
    return names


def values_by_axis(points: Sequence[Point]) -> dict[str, set[str]]:
    """Every axis of some jobs with the values that it takes there, as they are written."""
    axes: dict[str, set[str]] = {}
    for point in points:
        for axis, value in point.items():
            axes.setdefault(axis, set()).add(literal(value))
    return axes
