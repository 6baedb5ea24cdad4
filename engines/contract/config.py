"""Configs of engines: read from a file, checked, and compared with that of an earlier start.

In: a YAML or JSON file, and the engine's ``Config``. Out: its values, or one line with every error
in it. Engines read their config with it, ``orch`` checks experiment files against the same
``Config``. Light on purpose (no torch): the login node imports it.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from engines.contract.words import did_you_mean
from engines.contract.written.mistakes import MOST_SHOWN, Mistakes, TooMany
from engines.contract.written.nodes import LONGEST, LONGEST_TEXT, Node, one_line, shown
from engines.contract.written.reading import read_file


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

HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escape of JSON that is half of a character."""
LONGEST_SHOWN = 200
"""Characters of a value in a message."""


class ConfigError(ValueError):
    """A config that cannot run; the message is one line for the user."""

    def __init__(self, text: str) -> None:
        # Whatever it was made of: names and values that people wrote.
        super().__init__(one_line(text, MOST_SHOWN * LONGEST_TEXT))


def user_path(text: str) -> Path:
    """A path as a person wrote it, with ``~`` filled in; ConfigError where it can be none."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # of `~nobody`
        raise ConfigError(f"{shown(text)} is no path: {error}") from error


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


C = TypeVar("C", bound=EngineConfig)


def load_config(path: Path, kind: type[C]) -> C:
    """Read a YAML or JSON config file into ``kind``; ConfigError names file, key, value and the
    nearest known key."""
    values = of_json(path) if path.suffix == ".json" else None
    root = None
    # YAML, or JSON that is none: JSON is YAML too, and what is wrong is told with its line.
    if values is None:
        root = read_written(path)
        values = root.plain()
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(describe(error, kind, root))}") from error


def of_json(path: Path) -> Any:
    """The values of a JSON file; None if it is none. ``orch`` writes configs so, of any size: the
    inputs of a report name every job of a run."""
    try:
        content = path.read_bytes()
        # A NUL or half of a character, seldom: read as YAML, which tells where it stands.
        if b"\\u0000" in content or HALF.search(content):
            return None
        return json.loads(
            content,
            parse_constant=_refused,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_once,
        )
    except (OSError, ValueError, RecursionError):
        return None


def _refused(constant: str) -> None:
    """NaN and the infinities are no JSON."""
    raise ValueError(constant)


def _finite(text: str) -> float:
    """A number that is not too large to be one."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _whole(text: str) -> int:
    """A whole number of at most 64 bits."""
    if len(text) > LONGEST_WHOLE:
        raise ValueError(text)
    return int(text)


LONGEST_WHOLE = 19
"""Digits of a whole number that has at most 64 bits; one more may have."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping, whose keys are there once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def read_written(path: Path) -> Node:
    """A YAML file that a person wrote; ConfigError has every mistake in it."""
    mistakes = Mistakes()
    root = None
    with contextlib.suppress(TooMany):
        root = read_file(path, mistakes)
    if root is None or mistakes.lines:
        raise ConfigError("; ".join(mistakes.in_file_order()))
    return root


def describe(error: ValidationError, kind: type[BaseModel], root: Node | None = None) -> list[str]:
    """One short line per error, with the dotted key, the value, and the nearest known key for an
    unknown one; of many the first ones, and how many more. ``root``: what was validated, for the
    lines of the file."""
    errors = error.errors()
    lines = [
        one_line(f"{line_of(item, root)}{text}")
        for item, text in zip(errors, worded(errors[:MOST_SHOWN], kind), strict=False)
    ]
    if len(errors) > MOST_SHOWN:
        lines.append(f"and {len(errors) - MOST_SHOWN} more")
    return lines


def line_of(item: ErrorDetails, root: Node | None) -> str:
    """``line 12: `` of the deepest value on the way to an error; empty where there are no lines."""
    node = root
    for part in item["loc"]:
        if node is None:
            return ""
        node = below(node, part) or node
    found = re.search(r":(\d+)$", node.where) if node is not None else None
    return f"line {found[1]}: " if found else ""


def below(node: Node, part: int | str) -> Node | None:
    """What stands under a key or an index."""
    if isinstance(node.value, list) and isinstance(part, int):
        return node.value[part] if part < len(node.value) else None
    return node.child(part)


def worded(errors: Sequence[ErrorDetails], kind: type[BaseModel]) -> list[str]:
    """The words of each error."""
    lines = []
    for item in errors:
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
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"{key}: {message}, got {shown(item['input'], LONGEST)}")
    return lines
