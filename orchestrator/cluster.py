"""What orch asks of a scheduler: Slurm's, or the one of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orchestrator.arrays import Batch, Waits
from orchestrator.errors import SubmitError
from orchestrator.run import Run
from orchestrator.state import Answer, Record


class AmbiguousSubmit(SubmitError):
    """The scheduler's answer leaves open whether the job was submitted."""


class Cluster(Protocol):
    """A scheduler: Slurm, or the one of this machine."""

    trouble: str
    """Why the last question could not be answered; empty if it was."""

    def array_size(self) -> int:
        """Most jobs that one array may have; 1 where there are no arrays."""

    def script(self, batch: Batch, waits: Waits) -> str:
        """The exact text that would be submitted."""

    def submit(self, batch: Batch, waits: Waits) -> str:
        """Submit and return the job id. SubmitError: refused. AmbiguousSubmit: perhaps submitted."""

    def ask_active(self) -> Answer:
        """Queued and running jobs by token; one call whatever their number. None: could not ask."""

    def ask_final(self, since: float) -> Answer:
        """Ended jobs by token; one call. None: could not ask."""

    def hold(self, job_ids: Sequence[str], release: bool = False) -> bool:
        """Keep waiting jobs from starting, or let them go. False if the scheduler cannot be asked."""

    def cancel(self, job_ids: Sequence[str]) -> None:
        """End these jobs. SubmitError if the scheduler cannot be asked."""

    def look_after(self, records: Sequence[Record]) -> None:
        """See that `orch advance` runs once these active jobs have ended, well or not. Called again it changes nothing."""


def cluster_of(run: Run) -> Cluster:
    """The scheduler that a run was launched on."""
    if run.profile.kind == "local":
        from orchestrator.local import LocalCluster

        return LocalCluster(run)
    from orchestrator.slurm import SlurmCluster

    return SlurmCluster(run)
