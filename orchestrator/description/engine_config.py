"""An engine's config as an experiment file says it, held against the engine's own ``Config``.

What goes in: the ``Config`` of an engine and the YAML nodes of one job's config. What comes out:
the checked config, or one line per mistake at the line of its key. Called by the planner for every
job, and by `orch evolve`.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engines.contract.results import Replaced, ResultSource
from engines.contract.words import near
from engines.contract.written.mistakes import Mistakes
from engines.contract.written.nodes import Node, shown
from orchestrator.description.checking import Path, Spot, keys_of, located
from orchestrator.description.stage import Stage

UNRESOLVED = "{run}/unresolved"
"""Stands where a reference could not be resolved."""


def wants_results(kind: type[BaseModel]) -> bool:
    """Whether the planner fills in ``inputs``: the results of the jobs before."""
    field = kind.model_fields.get("inputs")
    return field is not None and ResultSource in typing.get_args(field.annotation)


def wants_replaced(kind: type[BaseModel]) -> bool:
    """Whether the planner fills in ``replaced``: the jobs that took the place of others."""
    field = kind.model_fields.get("replaced")
    return field is not None and Replaced in typing.get_args(field.annotation)


def validate(
    kind: type[BaseModel], config: Node, stage: Stage, sound: bool, mistakes: Mistakes
) -> BaseModel | None:
    """The checked config, or None with every mistake added at the line of its key.

    For a stage that is not ``sound`` only what stands in the file is judged, not what seems to be
    missing from it.
    """
    try:
        return kind.model_validate(config.plain())
    except ValidationError as error:
        found = located(kind, config, error.errors())
    # Of `int | str` pydantic has an error for each type; one line says both.
    same_place: dict[Path, list[ErrorDetails]] = {}
    for detail, spot in found:
        same_place.setdefault(spot.path, []).append(detail)
    for detail, spot in found:
        # Not by `==`: what stands there may be anything.
        if isinstance(detail["input"], str) and detail["input"] == UNRESOLVED:
            continue  # the reference that stands here was wrong, and has been told
        in_the_file = spot.node is not config and detail["type"] != "missing"
        if sound or in_the_file:
            text = sentence(detail, spot, same_place[spot.path])
            mistakes.add(spot.node.where, f"stage '{stage.name}': {text}")
    return None


def missing(node: Node) -> Node:
    """Stands for a reference that could not be resolved, which has been told."""
    return Node(UNRESOLVED, node.where)


def sentence(detail: ErrorDetails, spot: Spot, same_place: Sequence[ErrorDetails]) -> str:
    """One mistake in a config, in words."""
    path = ".".join(map(str, spot.path))
    if detail["type"] == "extra_forbidden":
        known = {name for part in spot.parts for name in keys_of(part)}
        value = shown(detail["input"])
        return f"config: unknown key '{path}' (value {value}){near(spot.path[-1], known)}"
    if detail["type"] == "missing":
        key = ".".join(("config", *map(str, spot.path), str(detail["loc"][-1])))
        return f"{key} is missing; the engine needs it"
    key = f"config.{path}" if path else "config"
    reasons = reasons_of(same_place)
    if detail["type"] in ("value_error", "assertion_error"):
        return f"{key}: {reasons}"
    return f"{key} must be {reasons}, got {shown(detail['input'])}"


def reasons_of(errors: Sequence[ErrorDetails]) -> str:
    """What pydantic says of one value: a line for each type that it might have had."""
    reasons = []
    for error in errors:
        if error["type"] not in ("extra_forbidden", "missing"):
            # pydantic's own words, such as "Input should be a valid integer", without what our line
            # says.
            text = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            if text not in reasons:
                reasons.append(text)
    return " or ".join(reasons)
