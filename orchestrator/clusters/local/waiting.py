"""What the jobs that wait on the cluster `local` wait for.

In: the rows of the table, once a round. Out: why a job may not start yet. Called by the scheduler,
five times a second for thousands of jobs: what holds for all of them is looked up once a round, and
a job that waits for another is not looked at again before that one is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.spec import Resources
from orchestrator.clusters.local.table import Row, names_in
from orchestrator.runs.record import FINAL, JobState

FAILED = frozenset(str(state) for state in FINAL - {JobState.COMPLETED})
"""Ends of a job after which those that need it cannot start."""


def is_over(row: Row) -> bool:
    """Whether a job has ended."""
    return JobState(row["state"]) in FINAL


class Waiting:
    """The jobs that wait."""

    def __init__(self) -> None:
        self.behind: dict[str, tuple[str, int]] = {}
        """Of a job that waits for others: the id of one that is not over, and how many had failed
        when it was found."""
        self.by_id: Mapping[str, Row] = {}
        self.failed = 0
        self.held: set[str] = set()
        self.full: dict[tuple[int, int, int], str] = {}

    def begin(self, table: Mapping[str, Row], folder: Path) -> None:
        """Begin a round. ``folder``: of the scheduler."""
        self.by_id = {row["job_id"]: row for row in table.values()}
        self.failed = sum(row["state"] in FAILED for row in table.values())
        self.held = set(names_in(folder / "hold"))
        self.full = {}

    def is_as_before(self, token: str) -> bool:
        """Whether what a job waits for is not over, and nothing has failed since."""
        other, failed = self.behind.get(token, ("", -1))
        return failed == self.failed and other in self.by_id and not is_over(self.by_id[other])

    def parents(self, row: Row) -> list[Row]:
        """The jobs that a job needs."""
        return [self.by_id[other] for other in row["after"] if other in self.by_id]

    def reason(self, token: str, row: Row, parents: Sequence[Row]) -> str:
        """Why a job may not start yet, in Slurm's words; empty if it may."""
        ended = [self.by_id[other] for other in row.get("ended", ()) if other in self.by_id]
        for other in (*parents, *ended):
            if not is_over(other):
                self.behind[token] = (other["job_id"], self.failed)
                return "Dependency"
        self.behind.pop(token, None)
        return "held" if row["job_id"] in self.held else ""

    def why_full(self, asked: Resources) -> str:
        """Who has what a job asks for, if another one has asked for as much in this round; empty if
        none has."""
        return self.full.get(size_of(asked), "")

    def note_full(self, asked: Resources, reason: str) -> str:
        """Keep for this round that there is not so much; the reason."""
        self.full[size_of(asked)] = reason
        return reason


def size_of(asked: Resources) -> tuple[int, int, int]:
    """What is counted on this machine."""
    return asked.cpus, asked.memory_gb, asked.gpus
