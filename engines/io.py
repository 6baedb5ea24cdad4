"""What every engine does the same way: read a config, report progress, write results, stop when asked.

Light on purpose (no torch): the login node imports it too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from engines.environment import environment

INTERRUPTED = 75
"""Exit code of an engine that stopped on a signal and continues from its newest checkpoint when started again."""

BAD_CONFIG = 2
"""Exit code of an engine whose config is wrong; one line on stderr says what."""


class EngineConfig(BaseModel):
    """Base of every engine's ``Config``: unknown keys and wrong types are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ConfigError(ValueError):
    """A config that cannot run; the message is one line for the user."""


def same_config(config: EngineConfig, before: Any, free: Set[str], where: Path) -> None:
    """ConfigError unless the config that ``where`` was made with (as JSON values) decides the same; ``free`` keys decide nothing.

    A key that the program did not know then counts with its default, so a newer version goes on with what an older one began.
    """
    now = config.model_dump(mode="json")
    if not isinstance(before, dict):
        raise ConfigError(f"{where}: was made by an older version of the program, which did not keep its config; go on with that one, or "
                          "give a new --out folder")
    try:
        old = type(config).model_validate({**before, **{key: now[key] for key in free & now.keys()}})
    except ValidationError as error:
        raise ConfigError(f"{where}: was made by another version of the program ({'; '.join(describe(error, type(config)))}); go on with "
                          "that one, or give a new --out folder") from error
    then = old.model_dump(mode="json")
    changed = [f"{key}: {json.dumps(then[key])}, now {json.dumps(now[key])}" for key in now if key not in free and then[key] != now[key]]
    if changed:
        raise ConfigError(f"{where}: was made with another config ({'; '.join(changed)}); restore it, or give a new --out folder")


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


class Row(BaseModel):
    """One tidy result: a value and the axes that tell it apart, or the reason why there is no value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    """A name registered in ``engines.metrics``."""
    value: float | None
    n: int
    """How many independent units (problems, seeds) the value is taken over."""
    spread: float | None = None
    """Standard error of ``value``; None where it makes no sense or n < 2."""
    axes: dict[str, str | int | float | bool] = {}
    error: str | None = None
    """Why ``value`` is None. Exactly one of the two is set."""

    def model_post_init(self, _context: object) -> None:
        """Refuse a row that has neither or both of value and error."""
        if (self.value is None) == (self.error is None):
            raise ValueError(f"row '{self.metric}' needs a value or an error, not both: {self.value!r}, {self.error!r}")


def write_text(path: Path, text: str) -> None:
    """Write a whole file so that a reader sees the old content or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as JSON by rename. NaN is refused: it is not JSON and not a result."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


class Progress:
    """``progress.jsonl``: one line per step, readable while the engine runs.

    A line is ``{"step", "total", "time", "phase", "metrics"}``; time is Unix seconds. Opening it with ``keep_until`` drops the
    lines after that step, so that a resumed run leaves the same file as an uninterrupted one (but for the times).
    """

    def __init__(self, out: Path, keep_until: int = 0) -> None:
        self.path = out / "progress.jsonl"
        kept = [line for line in read_progress(out) if line["step"] <= keep_until]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in kept))

    def write(self, step: int, total: int, metrics: Mapping[str, float], phase: str = "train") -> None:
        """Append one line and flush it."""
        line = {"step": step, "total": total, "time": time.time(), "phase": phase, "metrics": dict(metrics)}
        with self.path.open("a") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")


def read_progress(out: Path) -> list[dict[str, Any]]:
    """All whole lines of ``progress.jsonl``; a torn last line is left out."""
    path = out / "progress.jsonl"
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break  # torn by a kill in the middle of a write; nothing follows it
    return lines


def write_results(out: Path, engine: str, config: BaseModel, rows: list[Row], seconds: float,
                  facts: Mapping[str, Any] | None = None) -> None:
    """Write ``results.json``, last of all, by rename.

    ``facts`` are what a report wants to say beside the rows: versions, sizes, file names below ``out``, scorer, sandbox.
    """
    from engines.metrics import METRICS

    unknown = sorted({row.metric for row in rows} - METRICS.keys())
    if unknown:
        raise ValueError(f"metrics not registered in engines.metrics: {unknown}")
    write_json(out / "results.json", {
        "schema": 1, "engine": engine, "config": config.model_dump(), "seconds": seconds,
        "rows": [row.model_dump() for row in rows], "facts": dict(facts or {}),
    })


def read_results(out: Path) -> tuple[list[Row], dict[str, Any]]:
    """Rows and the whole document of a finished job's ``results.json``. FileNotFoundError if it is not done."""
    document = json.loads((out / "results.json").read_text())
    return [Row.model_validate(row) for row in document["rows"]], document


class Stop:
    """Whether somebody asked the engine to stop (time limit, preemption, cancel). Look at it between steps."""

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> None:
        """Take over SIGTERM, SIGINT and SIGUSR2. Call again after a library replaced the handlers (ray.init does)."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2):
            signal.signal(number, self._request)

    def _request(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True


class Interrupted(Exception):
    """Raised by an engine that has saved its state because a stop was requested."""


C = TypeVar("C", bound=EngineConfig)


def load_config(path: Path, kind: type[C]) -> C:
    """Read a YAML or JSON config file into ``kind``; ConfigError names file, key, value and the nearest known key."""
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {'; '.join(describe(error, kind))}") from error


def describe(error: ValidationError, kind: type[BaseModel]) -> list[str]:
    """One short line per mistake, with the dotted key, the value, and the nearest known key for an unknown one."""
    import difflib

    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "the config"
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), list(kind.model_fields), n=1)
            hint = f", did you mean '{near[0]}'?" if near else f"; known keys: {', '.join(kind.model_fields)}"
            lines.append(f"unknown key '{key}'{hint}")
        elif item["type"] == "missing":
            lines.append(f"key '{key}' is missing")
        else:
            lines.append(f"{key}: {item['msg'].removeprefix('Value error, ')}, got {item['input']!r}")
    return lines


def program(engine: str, kind: type[C], run: Callable[[C, Path, Stop], None], arguments: list[str] | None = None) -> int:
    """Run an engine as a program: ``CONFIG --out FOLDER``. Returns the exit code.

    0: results are there (also when they were there before); 2: bad config, one line; 75: stopped on a signal, start it again to
    continue. Anything else that goes wrong keeps its traceback.
    """
    import argparse

    parser = argparse.ArgumentParser(prog=f"python -m engines.{engine}")
    parser.add_argument("config", type=Path, help="YAML or JSON file with the engine's config")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; finished work in it is kept")
    parsed = parser.parse_args(arguments)
    out: Path = parsed.out
    if (out / "results.json").exists():
        print(f"{out / 'results.json'} is there: nothing to do")
        return 0
    stop = Stop()
    stop.listen()
    try:
        config = load_config(parsed.config, kind)
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "environment.json", environment())
        run(config, out, stop)
    except ConfigError as error:
        print(f"engines.{engine}: {error}", file=sys.stderr)
        return BAD_CONFIG
    except Interrupted as error:
        print(f"engines.{engine}: stopped: {error}", file=sys.stderr)
        return INTERRUPTED
    return 0
