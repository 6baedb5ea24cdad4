"""What a scorer says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "no_answer", "out_of_time", "timeout", "error", "sandbox_error"]
JUDGED: tuple[Status, ...] = ("ok", "no_answer", "out_of_time")
"""The statuses that are a verdict on the answer; with the others the value is None."""


@dataclass(frozen=True)
class Verdict:
    """What a scorer found."""

    value: float | None
    """0.0 to 1.0, as a training's reward by a user's own function any finite number; None if the
    response could not be judged (timeout, error, sandbox_error)."""
    status: Status
    """``no_answer``: nothing that could be an answer was found; its value is 0.0 in the strict
    version. ``out_of_time``: the response is a program that ran longer than programs may; a wrong
    answer, value 0.0. ``timeout``: the scorer itself did not come to an end; value None."""
    extracted: str | None = None
    """The answer as it was read."""
    detail: str = ""
    """Why there is no value, or why it is what it is."""
