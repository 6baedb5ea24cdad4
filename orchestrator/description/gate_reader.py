"""``when`` and ``unless`` of a stage: read, checked, and turned into conditions on jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.contract.metrics import METRICS
from engines.contract.nearest import near
from jobs.gates import Condition
from jobs.stages import Point, Scalar, literal, same
from orchestrator.description.yaml_lines import Node

GATE_KEYS: dict[str, str] = {
    "metric": "A metric of the results.",
    "of": "The stage whose jobs are judged.",
    "at_least": "The value a job must reach.",
    "at_most": "The value a job must not exceed; instead of `at_least`.",
    "for": "`2 of 3`: at least that share of the jobs, of five jobs four; without it all of them.",
    "where": "Axes that choose jobs (`seed`) or rows of their results (`checkpoint`, `task`); of "
    "checkpoints `best` counts without it.",
}
"""Every key of a gate, and what it does."""

Add = Callable[[Node, str], None]


@dataclass(frozen=True, kw_only=True)
class Written:
    """One gate as it stands in the file, checked on its own."""

    node: Node
    metric: str
    of: str
    at_least: float | None
    at_most: float | None
    share: tuple[int, int] | None
    where: Point = field(default_factory=dict)
    negated: bool = False

    @property
    def key(self) -> str:
        """The key of the stage under which it stands."""
        return "unless" if self.negated else "when"

    def place(self, key: str) -> Node:
        """Where a key stands, or the gate."""
        return self.node.child(key) or self.node


def read_gates(node: Node, negated: bool, add: Add) -> tuple[Written, ...]:
    """One gate or a list of them; what is wrong is told and left out."""
    items = node.value if isinstance(node.value, list) else [node]
    key = "unless" if negated else "when"
    if not items:
        add(node, f"'{key}' is empty; give a gate or take it out")
    return tuple(gate for item in items if (gate := read_gate(item, key, negated, add)) is not None)


def read_gate(node: Node, key: str, negated: bool, add: Add) -> Written | None:
    """One gate, or None with every mistake told."""
    if not isinstance(node.value, dict):
        add(
            node,
            f"'{key}' must be a mapping such as {{metric: test_accuracy, of: STAGE, "
            f"at_least: 0.9}}, got {node.plain()!r}",
        )
        return None
    wrong: list[tuple[Node, str]] = [
        (value, f"unknown key '{name}' (value {value.plain()!r}){near(name, GATE_KEYS)}")
        for name, value in node.value.items()
        if name not in GATE_KEYS
    ]
    values = node.plain()
    metric, of = values.get("metric"), values.get("of")
    if metric not in METRICS:
        wrong.append(
            (
                node.child("metric") or node,
                f"unknown metric {metric!r}{near(metric, METRICS)}"
                if "metric" in values
                else "'metric' is missing; name a metric of the results",
            )
        )
    if not isinstance(of, str):
        wrong.append(
            (node.child("of") or node, f"'of' must name the stage whose results count, got {of!r}")
        )
    wrong += wrong_limits(node, values)
    share = read_share(values.get("for"))
    if "for" in values and share is None:
        wrong.append((node.value["for"], f"'for' must be such as 2 of 3, got {values['for']!r}"))
    where = values.get("where", {})
    if not isinstance(where, dict) or not all(
        isinstance(value, str | int | float) for value in where.values()
    ):
        wrong.append((node.value["where"], f"'where' must be a mapping axis: value, got {where!r}"))
    for place, text in wrong:
        add(place, f"{key}: {text}")
    if wrong:
        return None
    return Written(
        node=node,
        metric=str(metric),
        of=str(of),
        at_least=values.get("at_least"),
        at_most=values.get("at_most"),
        share=share,
        where=where,
        negated=negated,
    )


def wrong_limits(node: Node, values: Mapping[str, Any]) -> list[tuple[Node, str]]:
    """Exactly one threshold, a number that the metric can have."""
    given = [name for name in ("at_least", "at_most") if name in values]
    if len(given) != 1:
        return [
            (
                node,
                f"needs exactly one of 'at_least' and 'at_most', got {', '.join(given) or 'none'}",
            )
        ]
    value, metric = values[given[0]], METRICS.get(values.get("metric", ""))
    if not isinstance(value, int | float) or isinstance(value, bool):
        return [(node.value[given[0]], f"{given[0]} must be a number, got {value!r}")]
    below = metric is not None and metric.low is not None and value < metric.low
    above = metric is not None and metric.high is not None and value > metric.high
    if metric is not None and (below or above):
        bounds = (
            f"{metric.low if metric.low is not None else ''} to "
            f"{metric.high if metric.high is not None else ''}"
        )
        return [
            (
                node.value[given[0]],
                f"{given[0]}: {value} is outside the range of {values['metric']} "
                f"({bounds}, unit {metric.unit})",
            )
        ]
    return []


def read_share(value: object) -> tuple[int, int] | None:
    """``2 of 3`` as (2, 3)."""
    found = re.fullmatch(r"(\d+) of (\d+)", value) if isinstance(value, str) else None
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        return None
    return int(found[1]), int(found[2])


def resolve(gate: Written, jobs: Sequence[tuple[str, Point]], add: Add) -> Condition | None:
    """A written gate on the jobs of its stage, or None with the mistake told."""
    key = gate.key
    axes = {
        axis: dict.fromkeys(literal(point[axis]) for _, point in jobs if axis in point)
        for axis in {a for _, p in jobs for a in p}
    }
    chosen = {axis: value for axis, value in gate.where.items() if axis in axes}
    for axis, value in chosen.items():
        if literal(value) not in axes[axis]:
            add(
                gate.place("where"),
                f"{key}: where: axis '{axis}' of '{gate.of}' has no value "
                f"{value!r}{near(value, axes[axis])}",
            )
            return None
    names = tuple(name for name, point in jobs if fits(point, chosen))
    if not names:
        add(
            gate.place("where"),
            f"{key}: where: {chosen} fits no job of '{gate.of}'; its jobs: "
            f"{', '.join(name for name, _ in jobs[:6])}",
        )
        return None
    wanted, of = gate.share or (len(names), len(names))
    if of > len(names):
        add(
            gate.place("for"),
            f"{key}: for: {wanted} of {of} asked for, '{gate.of}' has {len(names)} such jobs",
        )
        return None
    need = -(-wanted * len(names) // of)  # rounded up
    where = {axis: value for axis, value in gate.where.items() if axis not in chosen}
    return Condition(
        metric=gate.metric,
        stage=gate.of,
        jobs=names,
        chosen=chosen,
        where=where,
        at_least=gate.at_least,
        at_most=gate.at_most,
        need=need,
        negated=gate.negated,
    )


def fits(point: Point, chosen: Mapping[str, Scalar]) -> bool:
    """Whether a job has these values on these axes."""
    return all(axis in point and same(point[axis], value) for axis, value in chosen.items())
