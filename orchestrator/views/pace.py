"""How fast a running job goes: its step, when it ends, whether its time limit comes first, whether
it is stalled.

In: the end of ``progress.jsonl``, however long the job has run, and of the log. Out: a ``Pace``.
``pace`` itself is pure. Called by status.py for the table, `orch watch` and `orch why`.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engines.contract.progress import of_last_start
from orchestrator.node.light.standard import opened
from orchestrator.node.system import tail

TAIL_BYTES = 32_768
SHOWN_METRICS = (
    "validation_reward_mean",
    "validation_accuracy",
    "validation_exact_match",
    "validation_loss",
    "validation_cross_entropy",
    "unique_valid",
    "train_reward_mean",
    "done",
    "tokens_per_second",
    "loss",
    "cross_entropy",
    "set_diversity",
)
"""Metrics worth a place in a table; the first two of these that the last line of progress reports
are shown. A metric of a new engine is added here too. What they mean stands in
``engines/contract/metrics.py``, but for those that only progress has, such as ``done``."""
SHOWN_AT_ONCE = 2
HOUSEKEEPING = re.compile(
    r"seconds|seconds_.*|.*_seconds|.*_per_second|.*runtime|learning_rate|lr|epochs?"
)
"""Metrics that tell how long something took, or what was set: no place in a table or a picture,
unless the stage names them."""
STALLED_STEPS = 10
"""A job is called stalled when it has written nothing for this many of its usual steps."""
STALLED_LONGEST = 2
"""Nor before this many times its longest step, which may be a validation or a checkpoint."""
STALLED_SECONDS = 300.0
"""Nor before this long."""
SILENT_SECONDS = 1800.0
"""An engine that has written neither progress nor a log line for this long after its start is
called stalled, too."""
WARNING_SECONDS = 120.0
"""A job is asked to stop this long before its time limit."""
# A control sequence of terminals, such as "\x1b[32m", which makes text green.
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
        with opened(path) as file:
            file.seek(0, 2)
            start = max(0, file.tell() - TAIL_BYTES)
            file.seek(start)
            lines = file.read().splitlines()
    except OSError:
        return []
    if start:
        # The reading began somewhere in the middle of this line.
        del lines[0]
    return of_last_start(lines)


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
    found = place_of(lines[-1])
    # A user's script need not say when, and of what a framework has written it is known of some
    # lines only.
    lines = [line for line in lines if line["time"] is not None]
    if not lines:
        return found
    last = lines[-1]
    began = lines[0]["time"] if started is None else started
    # After a requeue the last line is from the start before: silence counts from the present start.
    newest = max(last["time"], began)
    # The pace before it stalled says nothing about when it will end.
    if is_stalled(lines, began, now - newest):
        return replace(found, stalled_seconds=now - newest)
    step_seconds = seconds_per_step(lines, began)
    left = seconds_left(last, step_seconds)
    if left is None:
        return found
    total = last["total"]
    whole = None if step_seconds is None or total is None else step_seconds * total
    until_limit = began + limit_seconds - newest
    start_up = start_up_seconds(lines, began)
    return replace(
        found,
        expected_end=newest + left,
        step_seconds=step_seconds,
        needed_seconds=whole,
        requeues_expected=requeues(left, until_limit, limit_seconds, start_up),
    )


def place_of(line: dict[str, Any]) -> Pace:
    """How far a job is, by its last line alone."""
    metrics = worth_showing(line)
    return Pace(step=line["step"], total=line["total"], phase=line["phase"], metrics=metrics)


def worth_showing(line: dict[str, Any], named: Sequence[str] = ()) -> dict[str, float]:
    """The metrics of a line that a table has room for: those that its stage names, then known ones,
    else the first of a user's own."""
    metrics: dict[str, float] = line["metrics"]
    known = [name for name in dict.fromkeys([*named, *SHOWN_METRICS]) if name in metrics]
    names = known or findings_among(metrics)
    return {name: metrics[name] for name in names[:SHOWN_AT_ONCE]}


def findings_among(names: Iterable[str]) -> list[str]:
    """The metrics that say how good something is, in their order, once each."""
    return [name for name in dict.fromkeys(names) if not HOUSEKEEPING.fullmatch(name)]


def in_order(names: Iterable[str], named: Sequence[str] = ()) -> list[str]:
    """Metrics by how much they say: those that the stage names, then known ones, then others."""
    there = list(names)
    first = [name for name in (*named, *SHOWN_METRICS) if name in there]
    return list(dict.fromkeys([*first, *findings_among(there)]))


def is_stalled(lines: Sequence[dict[str, Any]], began: float, silent: float) -> bool:
    """Whether ``silent`` seconds without a line are too many, by the time between the lines."""
    gaps: list[float] = [
        after["time"] - before["time"] for before, after in of_one_start(lines, began)
    ]
    # A single line does not tell how long a step usually takes.
    if not gaps:
        return False
    # The median, so that a validation or a checkpoint among the steps does not make them look slow.
    usual = STALLED_STEPS * statistics.median(gaps)
    return silent > max(usual, STALLED_LONGEST * max(gaps), STALLED_SECONDS)


def seconds_left(last: dict[str, Any], step_seconds: float | None) -> float | None:
    """From the last line to the end of the work; None if nobody knows."""
    # An engine that knows how long its steps are knows better than their number.
    left: float | None = last["metrics"].get("seconds_left")
    if left is None and step_seconds is not None and last["total"] is not None:
        left = step_seconds * (last["total"] - last["step"])
    return left


def start_up_seconds(lines: Sequence[dict[str, Any]], began: float) -> float:
    """From the start to its first line; 0 while it has written none."""
    own = [line["time"] for line in lines if line["time"] >= began]
    if lines[-1]["time"] < began:
        return 0.0
    return float(max(0.0, min(own) - began))


def of_one_start(
    lines: Sequence[dict[str, Any]], began: float
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each line with the next one, but for the pair that the present start lies between."""
    pairs = []
    for before, after in itertools.pairwise(lines):
        # In between the job was in the queue.
        if not before["time"] < began <= after["time"]:
            pairs.append((before, after))
    return pairs


def seconds_per_step(lines: Sequence[dict[str, Any]], began: float) -> float | None:
    """Mean time of a step in the phase of the last line, without the time between two starts."""
    phase = [line for line in lines if line["phase"] == lines[-1]["phase"]]
    # A mean and not the median: validations between the steps take time that the end has to wait
    # for.
    steps, seconds = 0, 0.0
    for before, after in of_one_start(phase, began):
        if after["step"] > before["step"]:
            steps += after["step"] - before["step"]
            seconds += after["time"] - before["time"]
    return seconds / steps if steps else None


def requeues(left: float, until_limit: float, limit: float, start_up: float) -> int:
    """How often the time limit comes before ``left`` seconds of work are done; all in seconds."""
    # A start of half its limit or less would be nothing but warning and start-up: cut both.
    warning = min(WARNING_SECONDS, limit / 2)
    over = left - (until_limit - warning)
    if over <= 0:
        return 0
    # This start has what is left of its limit. Every later one loses its start-up and the warning
    # again, and as both are bounded, a quarter of the limit is always left to divide by.
    usable = limit - warning - min(start_up, limit / 4)
    return max(0, math.ceil(over / usable))


def last_line(log: Path) -> str | None:
    """The last line of a log that holds anything, without colours and secrets; of a progress bar
    its newest state."""
    for line in reversed(tail(log)):
        plain = ESCAPE.sub("", line.decode(errors="replace"))
        text = "".join(character for character in plain if character.isprintable()).strip()
        # Lines that begin so are of the node's program, not of the command.
        if text and not text.startswith("orch: "):
            from orchestrator.runs.provenance.redaction import redacted_output

            # Before it is cut: half a secret would not be recognized as one.
            text = redacted_output(text)
            return text if len(text) <= LINE_CHARACTERS else f"{text[: LINE_CHARACTERS - 3]}..."
    return None


def silent_since(log: Path, started: float | None, now: float) -> float | None:
    """How long an engine without progress has been silent, if that is too long; seconds."""
    if started is None or not log.exists():
        return None
    # The log of a requeued attempt may still have the time of its earlier start.
    silent = now - max(started, log.stat().st_mtime)
    return silent if silent > SILENT_SECONDS else None
