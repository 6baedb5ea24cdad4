"""Configs of engines: read from a file, checked, and compared with that of an earlier start.

In: a YAML or JSON file, and the engine's ``Config``. Out: its values, or one line with every error
in it. Engines read their config with it, ``orch`` checks experiment files against the same
``Config``. Light on purpose (no torch): the login node imports it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from engines.contract.words import did_you_mean


class EngineConfig(BaseModel):
    """Base of every engine's ``Config``: unknown keys and wrong types are errors, values never
    change."""

    # strict: pydantic would otherwise turn the text "3" into 3 and 1 into True.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    DOES: ClassVar[str] = ""
    """What a job of the engine does to a model, as in "trained": `orch status` counts by it."""
    COUNTS: ClassVar[str] = ""
    """What the steps of its progress are, as in "sets", where they are worth counting over jobs."""

    def told_apart_by(self) -> dict[str, Any]:
        """What jobs of one stage that have different names must differ in, but for their seeds:
        names and JSON values in a form that does not depend on how they were written. Empty: the
        engine asks for nothing."""
        return {}

    def same_as_initial(self) -> dict[str, Any]:
        """What must be as it is in the job of the same engine whose checkpoint the key ``initial``
        names: dotted keys and JSON values. Empty: nothing."""
        return {}


DECIDES_NO_RESULT: dict[str, Any] = {"decides": False}
"""Marks a key of a config that changes how fast or where an engine works, and not what comes out:
``workers: int = Field(default=1, json_schema_extra=DECIDES_NO_RESULT)``. Such a key may change
between a stop and its continuation."""
IS_PATH: dict[str, Any] = {"is_path": True}
"""Marks a key of a config whose value is a path, several by name, or a checkpoint's folder:
``data: str = Field(json_schema_extra=IS_PATH)``. What it names must be there before a launch. A key
may have both marks: ``IS_PATH | DECIDES_NO_RESULT``."""

LONGEST_SHOWN = 200
"""Characters of a value in a message."""


class ConfigError(ValueError):
    """A config that cannot run; the message is one line for the user."""


def marked_keys(kind: type[BaseModel], mark: dict[str, Any]) -> list[str]:
    """Keys of a config that carry a mark, in their order."""
    found = []
    for name, field in kind.model_fields.items():
        marks = field.json_schema_extra
        if isinstance(marks, dict) and mark.items() <= marks.items():
            found.append(name)
    return found


def keys_that_decide(kind: type[BaseModel]) -> list[str]:
    """Keys of a config whose values decide the result, in their order."""
    without_result = marked_keys(kind, DECIDES_NO_RESULT)
    return [name for name in kind.model_fields if name not in without_result]


def changed_keys(config: EngineConfig, before: Any, where: Path) -> dict[str, str]:
    """Keys that decide the result and had another value when ``where`` was made.

    ``before`` is the config of that time, as JSON values. A key that the program did not know then
    counts with its default, so a newer version goes on with what an older one began. Each key comes
    with its two values in words, such as ``4, now 3``. ConfigError if ``before`` is no config that
    this version understands.
    """
    if not isinstance(before, dict):
        raise ConfigError(
            f"{where}: was made by an older version of the program, which did not keep "
            "its config; go on with that one, or "
            "give a new --out folder"
        )
    kind = type(config)
    deciding = keys_that_decide(kind)
    # As JSON values, because `before` was read from a JSON file: a tuple is a list there.
    now = config.model_dump(mode="json")
    # Keys that decide nothing are taken from today's config: whether the earlier value is still a
    # valid one must not matter.
    earlier = {**before, **{key: value for key, value in now.items() if key not in deciding}}
    try:
        then = kind.model_validate(earlier).model_dump(mode="json")
    except ValidationError as error:
        raise ConfigError(
            f"{where}: was made by another version of the program "
            f"({'; '.join(describe(error, kind))}); go on with "
            "that one, or give a new --out folder"
        ) from error
    return {
        key: f"{in_short(then[key])}, now {in_short(now[key])}"
        for key in deciding
        if then[key] != now[key]
    }


def in_short(value: Any) -> str:
    """A value as JSON, cut where it is long: the source of a user's scorer is part of a config."""
    text = json.dumps(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def same_config(config: EngineConfig, before: Any, where: Path) -> None:
    """ConfigError unless ``where``, made with the config ``before``, may be continued with
    ``config``. Keys added since ``before`` was written count with their default."""
    changed = changed_keys(config, before, where)
    if changed:
        values = "; ".join(f"{key}: {both}" for key, both in changed.items())
        raise ConfigError(
            f"{where}: was made with another config ({values}); restore it, "
            "or give a new --out folder"
        )


class ConfigLoader(yaml.SafeLoader):
    """PyYAML's safe loader, to which ``1e-05`` is a number as it is to JSON; to YAML 1.1 it is a
    text."""


ConfigLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(?:\.\d*)?[eE][-+]?\d+$"), "-+0123456789"
)

C = TypeVar("C", bound=EngineConfig)


def load_config(path: Path, kind: type[C]) -> C:
    """Read a YAML or JSON config file into ``kind``; ConfigError names file, key, value and the
    nearest known key."""
    try:
        # One parser for both kinds of file: JSON is YAML too.
        values = yaml.load(path.read_text(), Loader=ConfigLoader)  # noqa: S506  # a safe one
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(describe(error, kind))}") from error


def describe(error: ValidationError, kind: type[BaseModel]) -> list[str]:
    """One short line per error, with the dotted key, the value, and the nearest known key for an
    unknown one."""
    lines = []
    for item in error.errors():
        # The place of the mistake: ("models", "folder") is shown as models.folder.
        key = ".".join(str(part) for part in item["loc"]) or "the config"
        if item["type"] == "extra_forbidden":
            hint = did_you_mean(item["loc"][-1], kind.model_fields, sign=",")
            all_known = f"; known keys: {', '.join(kind.model_fields)}"
            lines.append(f"unknown key '{key}'{hint or all_known}")
        # Every other error is worded by pydantic, which puts
        # "Value error, " before what our validators say.
        elif item["type"] == "missing":
            lines.append(f"key '{key}' is missing")
        else:
            lines.append(
                f"{key}: {item['msg'].removeprefix('Value error, ')}, got {item['input']!r}"
            )
    return lines
