"""The light contract of an engine, its ``Config``, held against what an experiment file says, down
to the line."""

from __future__ import annotations

import importlib
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

import engines
from engines.contract.results import ResultSource
from orchestrator.description.stage import Stage
from orchestrator.description.yaml_lines import Mistakes, Node, near, shown

UNRESOLVED = "{run}/unresolved"
"""Stands where a reference could not be resolved."""


def known_engines() -> list[str]:
    """Names of the installed engines: the packages below ``engines`` that are programs."""
    return sorted(
        path.parent.name
        for folder in engines.__path__
        for path in Path(folder).glob("*/__main__.py")
    )


def config_class(engine: str) -> type[BaseModel]:
    """The ``Config`` of a known engine; its import is light."""
    kind: type[BaseModel] = importlib.import_module(f"engines.{engine}").Config
    return kind


def warm_modules(engine: str) -> list[str]:
    """What a process may import once and then fork for each job of a pack
    (``engines.<name>.WARM``); nothing where that is not safe."""
    return list(getattr(importlib.import_module(f"engines.{engine}"), "WARM", ()))


def wants_results(kind: type[BaseModel]) -> bool:
    """Whether the planner fills in ``inputs``: the results of the jobs before."""
    field = kind.model_fields.get("inputs")
    return field is not None and ResultSource in typing.get_args(field.annotation)


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
        details = error.errors()
    found = [(detail, *locate(config, detail)) for detail in details]
    paths = [path for _, _, path in found]
    for detail, node, path in found:
        if detail["type"] != "extra_forbidden" and any(
            len(other) > len(path) and other[: len(path)] == path for other in paths
        ):
            continue  # one branch of a union: another branch fits but for what lies deeper
        if detail["input"] == UNRESOLVED:
            continue  # the reference that stands here was wrong, and has been told
        about_file = node is not config and detail["type"] != "missing"
        if sound or about_file:
            same_place = [other for other, _, its in found if its == path]
            mistakes.add(
                node.where, f"stage '{stage.name}': {sentence(kind, detail, same_place, path)}"
            )
    return None


def missing(node: Node) -> Node:
    """Stands for a reference that could not be resolved, which has been told."""
    return Node(UNRESOLVED, node.where)


def locate(config: Node, detail: ErrorDetails) -> tuple[Node, tuple[str, ...]]:
    """The deepest value on pydantic's path and its dotted key; parts that name a branch of a union
    are passed over."""
    node, path = config, []
    for part in detail["loc"]:
        below = node.child(part)
        if isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
            below = node.value[part]
        if below is not None:
            node = below
            path.append(str(part))
    return node, (*path, str(detail["loc"][-1])) if detail["type"] == "missing" else tuple(path)


def sentence(
    kind: type[BaseModel],
    detail: ErrorDetails,
    same_place: Sequence[ErrorDetails],
    path: tuple[str, ...],
) -> str:
    """One mistake in a config, in words."""
    key = ".".join(("config", *path))
    if detail["type"] == "extra_forbidden":
        known = fields_at(kind, detail["loc"][:-1])
        return (
            f"config: unknown key '{'.'.join(path)}' (value "
            f"{shown(detail['input'])}){near(path[-1], known)}"
        )
    if detail["type"] == "missing":
        return f"{key} is missing; the engine needs it"
    reasons = " or ".join(
        dict.fromkeys(
            other["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            for other in same_place
            if other["type"] not in ("extra_forbidden", "missing")
        )
    )
    if detail["type"] in ("value_error", "assertion_error"):
        return f"{key}: {reasons}" if path else f"config: {reasons}"
    return f"{key} must be {reasons}, got {shown(detail['input'])}"


def fields_at(kind: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Keys known at pydantic's path ``loc`` below ``kind``."""
    models = [kind]
    for part in loc:
        named = [model for model in models if model.__name__ == part]
        annotations = [
            model.model_fields[str(part)].annotation
            for model in models
            if str(part) in model.model_fields
        ]
        if named:
            models = named
        elif annotations:
            models = [model for annotation in annotations for model in models_in(annotation)]
    return sorted({name for model in models for name in model.model_fields})


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every config nested in a type, such as the two of ``list[A] | B``."""
    if isinstance(annotation, type) and not typing.get_args(annotation):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for part in typing.get_args(annotation):
        yield from models_in(part)
