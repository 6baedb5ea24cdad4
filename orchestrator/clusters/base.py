"""What orch asks of a scheduler: Slurm's, or the one of this machine.

In: batches, job ids, records. Out: job ids, and answers by token. Called by the lifecycle, which
knows no more of a scheduler than this; ``cluster_of`` (select.py) gives the one of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobs.spec import Job
from orchestrator.clusters.batch import Batch, Waits
from orchestrator.runs.record import Record
from orchestrator.runs.sources import Answer


class Cluster(Protocol):
    """A scheduler: Slurm, or the one of this machine."""

    trouble: str
    """Why the last question could not be answered; empty if it was."""

    queued: int | None
    """How many jobs of the user, of whatever run, were queued or running in the last answer and
    were submitted since; None: not known."""
    looks: int
    """How many more of them only look at gates and backlogs."""
    submissions_at_once: int
    """How many submissions may be under way at the same time, from several threads."""

    def array_size(self) -> int:
        """Most jobs that one array may have; 1 where there are no arrays."""

    def script(self, batch: Batch, waits: Waits) -> str:
        """The exact text that would be submitted."""

    def submit(self, batch: Batch, waits: Waits) -> str:
        """Submit and return the job id. SubmitError: refused, NoRoom for now. AmbiguousSubmit:
        perhaps submitted. LostParent: it knows no more what the batch is to wait for."""

    def largest(self, job: Job) -> dict[str, int] | None:
        """How much memory and time a job like this may ask for at most, by key of ``Resources``, as
        far as the scheduler says. None: it could not be asked."""

    def most_jobs(self) -> int | None:
        """How many jobs of this user the scheduler takes at most; None: it does not say."""

    def take_environment(self) -> None:
        """See that what is submitted from now on runs in the environment of this process."""

    def ask_active(self, shared: bool = False) -> Answer:
        """Queued and running jobs by token; one call whatever their number. None: could not ask.

        ``shared``: an answer that another process of the user got a few seconds ago will do.
        """

    def ask_final(self, since: float, shared: bool = False) -> Answer:
        """Ended jobs by token; one call. None: could not ask."""

    def nudge(self, record: Record) -> None:
        """Tell the running pack of this member, by SIGUSR1, that one of its members is to end."""

    def hold(self, records: Sequence[Record], release: bool = False) -> set[str]:
        """Keep waiting jobs from starting, or let them go, as far as the last answer of the queue
        shows them. Returns the names of those for which that was done."""

    def wait_for(self, records: Sequence[Record], waits: Waits) -> set[str]:
        """Let jobs in the queue wait for this in place of what they were submitted after, as far as
        the last answer of the queue shows them. Returns the names of those for which that was
        done."""

    def cancel(self, records: Sequence[Record]) -> dict[str, str]:
        """End those of these jobs that the last answer of the queue shows. Returns, by name, what
        is to be said of those that it does not show, or shows as before all the same. SubmitError
        if the scheduler cannot be asked."""

    def look_after(self, records: Sequence[Record]) -> None:
        """See that `orch advance` runs once these active jobs have ended, well or not. Called again
        it changes nothing."""

    def look_again(self, records: Sequence[Record]) -> None:
        """See that `orch advance` runs once one of these active jobs has ended, because others wait
        for room; without any, in a while."""
