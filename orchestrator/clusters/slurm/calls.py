"""Call Slurm's programs: never through a shell, with a time limit, within the user's limit on
calls, an answer shared where it may be.

In: a command as a list. Out: its output, or why there is none. Called by ``SlurmCluster``
(cluster.py); queries.py uses ``call``.
"""

from __future__ import annotations

import os
import subprocess
import time

from orchestrator.clusters.slurm import call_budget
from orchestrator.clusters.slurm.call_budget import CachedAnswer
from orchestrator.description.profile import Profile

COMMAND_SECONDS = 60.0
"""Longest wait for one of Slurm's programs; they give up on a dead controller after about 9 s by
themselves."""

CHANGE = frozenset({"sbatch", "scancel", "scontrol"})
"""Programs after which an older answer of squeue is not used any more."""


class Calls:
    """Slurm's programs for one profile."""

    def __init__(self, profile: Profile) -> None:
        self.per_minute = profile.calls_per_minute
        self.cluster = (
            f"{os.environ.get('SLURM_CONF', '')} {profile.name} {profile.partition} "
            f"{profile.account}"
        )
        """Two clusters that share a home folder do not share answers."""

    def run(self, command: list[str], cwd: str | None = None) -> subprocess.CompletedProcess[str]:
        """Call one when the budget has room. OSError and TimeoutExpired are the caller's."""
        submits = command[0] in CHANGE
        call_budget.spend(self.per_minute, submits)
        try:
            return call(command, cwd)
        finally:
            # Also after a failure: an sbatch that timed out may have been taken.
            if submits:
                call_budget.changed()

    def ask(self, command: list[str], paid: bool = False) -> CachedAnswer:
        """The output of a program that succeeds, or why there is none; ``paid``: the budget has
        been asked already."""
        asked = time.time()
        try:
            result = call(command) if paid else self.run(command)
        except subprocess.TimeoutExpired:
            return CachedAnswer(
                asked=asked,
                text=None,
                trouble=f"{command[0]} did not answer within {COMMAND_SECONDS:.0f} s",
            )
        except FileNotFoundError:
            return CachedAnswer(asked=asked, text=None, trouble=f"there is no {command[0]} here")
        if result.returncode != 0:
            return CachedAnswer(
                asked=asked,
                text=None,
                trouble=f"{command[0]}: {' '.join(result.stderr.split())[:200]}",
            )
        return CachedAnswer(asked=asked, text=result.stdout)

    def ask_shared(self, command: list[str]) -> CachedAnswer:
        """The same; an answer of the last seconds will do, and nobody waits for the budget."""

        def anew() -> CachedAnswer:
            seconds = call_budget.take(self.per_minute)
            if seconds > 0:
                trouble = (
                    f"{self.per_minute} calls of Slurm a minute are used up "
                    f"(calls_per_minute); {command[0]} is asked in {seconds:.0f} s"
                )
                return CachedAnswer(asked=time.time(), text=None, trouble=trouble)
            return self.ask(command, paid=True)

        return call_budget.shared(f"{self.cluster} {' '.join(command)}", anew)


def call(command: list[str], cwd: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program with a time limit and an argument list, never a shell. Lists of array elements
    come whole (64 letters else)."""
    # Inside a job SLURM_* describe that job, and sbatch would hand them on to the next one.
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("SLURM_") or key == "SLURM_CONF"
    }
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        env=environment | {"SLURM_BITSTR_LEN": "0"},
    )
