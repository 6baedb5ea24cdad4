"""Questions to Slurm that are not about the state of a run's jobs: its partitions, nodes and
accounts, whether it would take a script, and what jobs have used.

In: what to ask about. Out: a ``Reply`` with the program's text, which the caller reads. Called by
`orch check`, `orch profile init` (orchestrator/checks) and `orch costs`. Every call counts in the
user's budget (call_budget.py), but for ``job_usage``, which is made once a command.
"""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.clusters.slurm import call_budget
from orchestrator.clusters.slurm.calls import call
from orchestrator.description.profile import Profile
from orchestrator.errors import CheckError

ASK_SECONDS = 60.0
"""How long one question to Slurm may take."""


class Reply(NamedTuple):
    """What one of Slurm's programs said."""

    program: str
    exit_code: int
    text: str
    trouble: str
    """Its error output on one line."""

    @property
    def failed(self) -> bool:
        """Whether it could not answer."""
        return self.exit_code != 0

    @property
    def no_accounting(self) -> bool:
        """Whether it could not answer because this cluster keeps no accounts."""
        return self.failed and "accounting_storage" in self.trouble


def partitions() -> Reply:
    """A line of ``Key=value`` per partition."""
    return _ask("scontrol", "show", "partition", "--oneliner")


def nodes() -> Reply:
    """A line ``partition|cores|MB|gres`` per kind of node."""
    return _ask("sinfo", "--noheader", "--format=%R|%c|%m|%G")


def gpus(partition: str | None) -> Reply:
    """The ``gres`` of the nodes of a partition, or of all nodes."""
    chosen = ["--partition", partition] if partition else []
    return _ask("sinfo", "--noheader", *chosen, "--Format", "Gres:200")


def associations(*columns: str) -> Reply:
    """A line per association of the user, with these columns of ``sacctmgr show associations``."""
    return _ask_accounts("associations", f"user={getpass.getuser()}", f"format={','.join(columns)}")


def qos_limits() -> Reply:
    """A line ``name|most jobs per user|longest time`` per QOS."""
    return _ask_accounts("qos", "format=name,maxsubmitjobsperuser,maxwall")


def trial_submission(script: str) -> Reply:
    """What Slurm would say to this script, without submitting it."""
    return _ask("sbatch", "--test-only", script=script)


def job_usage(job_ids: Sequence[str]) -> str | None:
    """Lines ``id|CPU time|most memory`` per job and step from accounting; None if it cannot be
    asked."""
    command = ["sacct", "--parsable2", "--noheader", f"--jobs={','.join(job_ids)}"]
    try:
        answer = call([*command, "--format=JobID,TotalCPU,MaxRSS"])
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None


def _ask_accounts(*arguments: str) -> Reply:
    """Ask the accounting database what it holds."""
    return _ask("sacctmgr", "--noheader", "--parsable2", "show", *arguments)


def _ask(*command: str, script: str | None = None) -> Reply:
    """Run one of Slurm's programs, with ``script`` as its input. CheckError if there is none, or if
    it does not answer."""
    # By the default, as these questions may come before there is a profile.
    call_budget.spend(Profile.calls_per_minute)
    try:
        answer = subprocess.run(
            command, input=script, capture_output=True, text=True, timeout=ASK_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise CheckError(
            f"Slurm: no program '{command[0]}' on this machine: run orch on the "
            "cluster's login node, or use --cluster local"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise CheckError(
            f"Slurm: {command[0]} gave no answer in {ASK_SECONDS:.0f} s: the controller may be "
            "down; try again later, or ask with `scontrol ping`"
        ) from error
    trouble = " ".join(answer.stderr.split())
    return Reply(command[0], answer.returncode, answer.stdout.strip(), trouble)
