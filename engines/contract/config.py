"""What every engine does the same way: read a config, report progress, write results, stop when
asked.

Light on purpose (no torch): the login node imports it too.
"""

from __future__ import annotations

import json
from collections.abc import Set
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from engines.contract.nearest import did_you_mean


class EngineConfig(BaseModel):
    """Base of every engine's ``Config``: unknown keys and wrong types are errors, values never
    change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ConfigError(ValueError):
    """A config that cannot run; the message is one line for the user."""


def same_config(config: EngineConfig, before: Any, free: Set[str], where: Path) -> None:
    """ConfigError unless the config that ``where`` was made with (as JSON values) decides the same;
    ``free`` keys decide nothing.

    A key that the program did not know then counts with its default, so a newer version goes on
    with what an older one began.
    """
    now = config.model_dump(mode="json")
    if not isinstance(before, dict):
        raise ConfigError(
            f"{where}: was made by an older version of the program, which did not keep "
            "its config; go on with that one, or "
            "give a new --out folder"
        )
    try:
        old = type(config).model_validate(
            {**before, **{key: now[key] for key in free & now.keys()}}
        )
    except ValidationError as error:
        raise ConfigError(
            f"{where}: was made by another version of the program "
            f"({'; '.join(describe(error, type(config)))}); go on with "
            "that one, or give a new --out folder"
        ) from error
    then = old.model_dump(mode="json")
    changed = [
        f"{key}: {json.dumps(then[key])}, now {json.dumps(now[key])}"
        for key in now
        if key not in free and then[key] != now[key]
    ]
    if changed:
        raise ConfigError(
            f"{where}: was made with another config ({'; '.join(changed)}); restore it, "
            "or give a new --out folder"
        )


class CheckpointSource(EngineConfig):
    """A checkpoint of another job, named by that job's output folder."""

    folder: str
    """The output folder of the job that made it; ``checkpoints/`` lies below."""
    checkpoint: str = "last"
    """``last``, ``best``, or a checkpoint's name."""


class CheckpointsSource(EngineConfig):
    """Several checkpoints of another job."""

    folder: str
    """The output folder of the job that made them; ``checkpoints/`` lies below."""
    checkpoints: str | list[int] = "last"
    """``last``, ``best``, ``all``, ``every:N``, or a list of epochs."""
    checkpoint: str | None = None
    """In place of ``checkpoints``: a single one, ``last``, ``best``, or a checkpoint's name."""

    @model_validator(mode="after")
    def _one_of_two(self) -> CheckpointsSource:
        if self.checkpoint is not None and self.checkpoints != "last":
            raise ConfigError("checkpoint and checkpoints: keep one of the two")
        return self


class ResultSource(EngineConfig):
    """The output folder of one job and what tells it apart. The planner fills these in."""

    job: str
    """Job name, such as ``evaluate/arm=pcgrad,seed=0``."""
    stage: str
    axes: dict[str, str | int | float | bool]
    folder: str


C = TypeVar("C", bound=EngineConfig)


def load_config(path: Path, kind: type[C]) -> C:
    """Read a YAML or JSON config file into ``kind``; ConfigError names file, key, value and the
    nearest known key."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(describe(error, kind))}") from error


def describe(error: ValidationError, kind: type[BaseModel]) -> list[str]:
    """One short line per mistake, with the dotted key, the value, and the nearest known key for an
    unknown one."""
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "the config"
        if item["type"] == "extra_forbidden":
            hint = did_you_mean(item["loc"][-1], kind.model_fields, sign=",")
            all_known = f"; known keys: {', '.join(kind.model_fields)}"
            lines.append(f"unknown key '{key}'{hint or all_known}")
        elif item["type"] == "missing":
            lines.append(f"key '{key}' is missing")
        else:
            lines.append(
                f"{key}: {item['msg'].removeprefix('Value error, ')}, got {item['input']!r}"
            )
    return lines


MAY_DIFFER = frozenset(
    {
        "models",
        "data",
        "seed",
        "scoring_workers",
        "kv_cache_gb",
        "probe_tolerance",
        "gpus_per_model",
        "drain_seconds",
        "allow_weak_sandbox",
        "reuse",
        "planned_suite",
    }
)
"""Keys of an evaluation's config that may differ between the arms; that the problems are the same
is seen from their ids, and how each task was sampled from its facts."""
