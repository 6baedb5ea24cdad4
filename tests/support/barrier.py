"""Work that twenty processes begin at the same moment. In a file of its own, because each of them
imports it."""

from __future__ import annotations

import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

from orchestrator.clusters.slurm import call_budget
from orchestrator.clusters.slurm.call_budget import CachedAnswer

_together: list[Barrier] = []


def meet(barrier: Barrier) -> None:
    """What a process does first: remember where all meet."""
    _together.append(barrier)


def take_five() -> int:
    """How many of five calls the budget allows at once."""
    _together[0].wait(timeout=120)
    return sum(call_budget.take(30) == 0.0 for _ in range(5))


def ask_slowly(note: str) -> str | None:
    """The shared answer to a question that takes a while; who asks it writes that down."""

    def ask() -> CachedAnswer:
        with Path(note).open("a") as file:
            file.write("asked\n")
        time.sleep(0.3)
        return CachedAnswer(asked=time.time(), text="the queue")

    _together[0].wait(timeout=120)
    return call_budget.shared("squeue", ask).text
