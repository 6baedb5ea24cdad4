"""Wait until a run is over, without a picture of it: for `orch wait` and ``LoadedRun.wait``.

In: a run, which of its jobs, how long. Out: their records, and whether they are over. Each look is
that of `orch status`, and submits what a gate has let through; between two looks at Slurm lies at
least the time that `orch watch` leaves, and up to a minute while nothing changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.errors import RunError
from orchestrator.lifecycle.refresh import look, quiet, refresh
from orchestrator.runs.lookup import named
from orchestrator.runs.record import FINAL, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.watch.ending import over, pause_of

LONGEST_PAUSE_SECONDS = 60.0
GROWTH = 1.5
"""A pause after which nothing was new is followed by one that is so much longer."""
GOOD = frozenset({JobState.COMPLETED, JobState.SKIPPED})


@dataclass(frozen=True)
class Waited:
    """What there was when the waiting ended."""

    records: list[Record]
    """Of the jobs that were waited for."""
    over: bool
    """Whether nothing more will become of them by itself; else the time was up."""
    trouble: str
    """Why the scheduler could not be asked last, if so."""

    @property
    def good(self) -> bool:
        """Whether all of them have completed, or a gate has skipped them."""
        return self.over and all(record.state in GOOD for record in self.records)


def wait(
    run: Run,
    jobs: Sequence[str] | None = None,
    timeout: float | None = None,
    tell: Callable[[str], None] = quiet,
) -> Waited:
    """Wait until the run, or the named jobs or stages, are over.

    Args:
        jobs: names of jobs or stages; None: all jobs.
        timeout: seconds; None: as long as it takes; 0: one look.
        tell: gets, whenever it changes, why the scheduler could not be asked.

    Raises:
        RunError: the run has no job, or none of that name.
    """
    if not run.plan.jobs:
        raise RunError(f"{run.name} has no job yet")
    wanted = named(run, jobs)
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = shortest = pause_of(run)
    before: list[tuple[str, JobState]] = []
    told = ""
    while True:
        # The first look is its own: with 0 seconds it is the only one.
        records, trouble = look(run, shortest) if before else refresh(run)
        if trouble != told:
            told = trouble
            tell(f"could not ask: {trouble}" if trouble else "the scheduler answers again")
        meant = [record for record in records if wanted is None or record.name in wanted]
        is_over = settled(run, meant) or (ended(run, records, meant) and not trouble)
        left = None if deadline is None else deadline - time.monotonic()
        if is_over or (left is not None and left <= 0):
            return Waited(meant, is_over, trouble)
        now = [(record.name, record.state) for record in meant]
        pause = shortest if now != before else min(LONGEST_PAUSE_SECONDS, GROWTH * pause)
        before = now
        time.sleep(pause if left is None else min(pause, left))


def settled(run: Run, meant: Sequence[Record]) -> bool:
    """Whether some of a run's jobs have ended for good whatever a scheduler would say, as their own
    files do. So whoever may only read a run, or whose scheduler is away, does not wait for
    nothing."""
    states = {record.state for record in meant}
    return states <= GOOD or (states <= FINAL and not run.plan.retry)


def ended(run: Run, records: Sequence[Record], meant: Sequence[Record]) -> bool:
    """Whether nothing more becomes of some of a run's jobs by itself."""
    if all(record.state in FINAL for record in meant):
        return True
    return over(run, records)
