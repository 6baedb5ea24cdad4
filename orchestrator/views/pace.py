"""How fast a running job goes: its step, when it ends, whether its time limit comes first, whether
it has stopped getting on.

``pace`` is pure; only the end of ``progress.jsonl`` is read for it, however long the job has run.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.node.system import tail

TAIL_BYTES = 32_768
SHOWN_METRICS = (
    "validation_reward_mean",
    "validation_accuracy",
    "train_reward_mean",
    "done",
    "tokens_per_second",
    "loss",
)
"""Metrics worth a place in a table; the first two of them that a line of progress holds are
shown."""
STALLED_STEPS = 10
"""A job that took this many times as long as its usual step, and wrote nothing, is called
stalled,"""
STALLED_SECONDS = 300.0
"""but not before this long, and not before twice its longest step (a validation, a checkpoint)."""
SILENT_SECONDS = 1800.0
"""An engine that has written neither progress nor a log line for this long after its start is
called stalled, too."""
WARNING_SECONDS = 120.0
"""A job is asked to stop this long before its time limit."""
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
LINE_CHARACTERS = 120


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How far a job is, and how fast. None: not known (yet)."""

    step: int | None = None
    total: int | None = None
    phase: str | None = None
    """None: it is not running; ``starting``: it has written no progress."""
    metrics: dict[str, float] = field(default_factory=dict)
    expected_end: float | None = None
    """Unix seconds, if it need not be requeued on its way."""
    step_seconds: float | None = None
    needed_seconds: float | None = None
    """What all its steps take, at the pace of the last ones."""
    requeues_expected: int | None = None
    """How often its time limit comes before its end."""
    stalled_seconds: float | None = None
    """How long it has not got on; None while it does."""
    log_line: str | None = None
    """The last line that a running command of the user's own has printed; engines write progress
    instead."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dict(vars(self))


def last_progress(out: Path) -> list[dict[str, Any]]:
    """The last whole lines of a job's progress.jsonl; reads only the end of the file."""
    path = out / "progress.jsonl"
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            start = max(0, file.tell() - TAIL_BYTES)
            file.seek(start)
            lines = file.read().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines[1 if start else 0 :]:
        try:
            found.append(json.loads(line))
        except ValueError:
            break  # torn by a kill, or being written at this moment
    return found


def pace(
    lines: Sequence[dict[str, Any]], started: float | None, limit_seconds: float, now: float
) -> Pace:
    """What the last lines of progress say.

    Args:
        lines: of all starts of the job; the time between two starts counts for nothing.
        started: of the present start, Unix seconds.
        limit_seconds: the time limit of one start.
    """
    if not lines:
        return Pace(phase="starting")
    last, began = lines[-1], started if started is not None else lines[0]["time"]
    shown = {key: last["metrics"][key] for key in SHOWN_METRICS if key in last["metrics"]}
    told = Pace(
        step=last["step"],
        total=last["total"],
        phase=last["phase"],
        metrics=dict(list(shown.items())[:2]),
    )
    gaps = [
        after["time"] - before["time"]
        for before, after in itertools.pairwise(lines)
        if not before["time"] < began <= after["time"]
    ]
    newest = max(last["time"], began)
    silent = now - newest
    if gaps and silent > max(
        STALLED_STEPS * statistics.median(gaps), 2 * max(gaps), STALLED_SECONDS
    ):
        return Pace(**{**vars(told), "stalled_seconds": silent})
    step_seconds = seconds_per_step(
        [line for line in lines if line["phase"] == last["phase"]], began
    )
    left = last["metrics"].get(
        "seconds_left"
    )  # an engine that knows how long its steps are knows better than their number
    if left is None and step_seconds is not None:
        left = step_seconds * (last["total"] - last["step"])
    if left is None:
        return told
    needed = None if step_seconds is None else step_seconds * last["total"]
    start_up = (
        max(0.0, min(line["time"] for line in lines if line["time"] >= began) - began)
        if last["time"] >= began
        else 0.0
    )
    return Pace(
        **{
            **vars(told),
            "expected_end": newest + left,
            "step_seconds": step_seconds,
            "needed_seconds": needed,
            "requeues_expected": requeues(
                left, began + limit_seconds - newest, limit_seconds, start_up
            ),
        }
    )


def seconds_per_step(lines: Sequence[dict[str, Any]], began: float) -> float | None:
    """Mean time of a step over lines of one phase, without the time between two starts."""
    steps, seconds = 0, 0.0
    for before, after in itertools.pairwise(lines):
        if after["step"] > before["step"] and not before["time"] < began <= after["time"]:
            steps += after["step"] - before["step"]
            seconds += after["time"] - before["time"]
    return seconds / steps if steps else None


def requeues(left: float, until_limit: float, limit: float, start_up: float) -> int:
    """How often the time limit comes before ``left`` seconds of work are done; all in seconds."""
    usable = limit - min(WARNING_SECONDS, limit / 2) - min(start_up, limit / 4)
    over = left - (until_limit - min(WARNING_SECONDS, limit / 2))
    return max(0, math.ceil(over / usable)) if over > 0 else 0


def last_line(log: Path) -> str | None:
    """The last line of a log that holds anything, without colours and secrets; of a progress bar
    its newest state."""
    from orchestrator.runs.provenance.redaction import (
        redacted,  # most looks find no running command
    )

    for line in reversed(tail(log)):
        text = "".join(
            character
            for character in ESCAPE.sub("", line.decode(errors="replace"))
            if character.isprintable()
        ).strip()
        if text and not text.startswith("orch: "):
            text = redacted(text)  # before it is cut: nobody would know half a secret for one
            return text if len(text) <= LINE_CHARACTERS else f"{text[: LINE_CHARACTERS - 3]}..."
    return None


def silent_since(log: Path, started: float | None, now: float) -> float | None:
    """How long an engine without progress has been silent, if that is too long; seconds."""
    if started is None or not log.exists():
        return None
    silent = now - max(started, log.stat().st_mtime)
    return silent if silent > SILENT_SECONDS else None
