"""Which of a command's processes, one on each node, ended first and how. Pure.

In: the records that the nodes have left (one_node.py), and the lines of srun. Out: a ``Death``.
Called by lead.py when srun has ended, whose exit code is the highest of all and so mostly that of a
process which Slurm has ended because another one had died.
"""

from __future__ import annotations

import re
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

CLOCK_SECONDS = 1.0
"""Clocks of two nodes may differ by so much: deaths this near to each other are in no order."""
LOST_CONNECTION = re.compile(
    r"Connection (?:closed by peer|reset)|connection was closed|timed out|Broken pipe"
)
"""What the other processes say when one has died: never the cause."""
SRUN_DEATH = re.compile(r"srun: error: (\S+): tasks? (\d+)[\d,-]*: (.+)$")
SRUN_ENDS_THE_REST = re.compile(r"Terminating (?:StepId=|job step)")
SRUN_LOST_NODE = re.compile(r"srun: error: Node failure on (\S+)")
EXIT_CODE = re.compile(r"Exited with exit code (\d+)")
SIGNALS = {
    "Killed": signal.SIGKILL,
    "Out Of Memory": signal.SIGKILL,
    "Terminated": signal.SIGTERM,
    "Segmentation fault": signal.SIGSEGV,
    "Bus error": signal.SIGBUS,
    "Aborted": signal.SIGABRT,
    "Floating point exception": signal.SIGFPE,
    "Illegal instruction": signal.SIGILL,
    "User defined signal 1": signal.SIGUSR1,
    "User defined signal 2": signal.SIGUSR2,
}
"""How srun names what has ended a process."""


class Death:
    """The first end of a process that was not well."""

    def __init__(self, rank: int, host: str, exit_code: int, said: str = "") -> None:
        self.rank = rank
        """Negative: of a whole node, which Slurm has lost."""
        self.host = host
        self.exit_code = exit_code
        """Negative: ended by that signal."""
        self.said = said
        """srun's words for it; empty where the node's own record tells of it."""

    def __str__(self) -> str:
        how = f"exit code {self.exit_code}"
        if self.exit_code < 0:
            how = f"signal {-self.exit_code}"
        who = f"node {self.rank} ({self.host}) ended first"
        if self.rank < 0:
            who = f"node {self.host}"
        return f"{who}, {self.said or how}"


def first_by_records(
    records: Iterable[Mapping[str, Any]], lost_connection: Iterable[int], well: Iterable[int]
) -> Death | None:
    """The first death that the nodes' own records tell of.

    Args:
        records: ``rank``, ``host``, ``ended`` (Unix seconds; None while it runs), ``exit_code``,
            and ``signals`` with the time of each.
        lost_connection: ranks whose logs end with a lost connection.
        well: exit codes that are no death.
    """
    dead = [
        record
        for record in records
        if record["ended"] is not None
        and record["exit_code"] not in (*well, None)
        # Told to end before it did: a victim, or the whole job was cancelled.
        and "SIGTERM" not in record["signals"]
    ]
    if not dead:
        return None
    dead.sort(key=lambda record: record["ended"])
    near = [one for one in dead if one["ended"] - dead[0]["ended"] <= CLOCK_SECONDS]
    lost = set(lost_connection)
    first = next((one for one in near if one["rank"] not in lost), near[0])
    return Death(first["rank"], first["host"], first["exit_code"])


def first_by_srun(lines: Iterable[str]) -> Death | None:
    """The first death that srun tells of, for a process that could leave no record.

    Args:
        lines: of the log, in order; those of the program are passed over.
    """
    for line in lines:
        if lost := SRUN_LOST_NODE.search(line):
            return Death(-1, lost[1], -signal.SIGKILL, "Slurm lost it")
        if SRUN_ENDS_THE_REST.search(line):
            return None  # from here on come those that srun itself has ended
        found = SRUN_DEATH.search(line)
        if found and (code := code_of(found[3])) is not None:
            return Death(int(found[2]), found[1], code, found[3])
    return None


def code_of(words: str) -> int | None:
    """The exit code in srun's words, negative for a signal; None if they tell of no end."""
    if exited := EXIT_CODE.search(words):
        return int(exited[1])
    for name, number in SIGNALS.items():
        # "Segmentation fault (core dumped)"
        if words.startswith(name):
            return -number
    return None


def has_lost_connection(lines: Iterable[str]) -> bool:
    """Whether the last lines of a log tell of another process that is gone."""
    return any(LOST_CONNECTION.search(line) for line in lines)
