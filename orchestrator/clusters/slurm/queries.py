"""Questions to Slurm that are not about the state of a run's jobs: its partitions, nodes and
accounts, whether it would take a script, and what jobs have used.

In: what to ask about, and which cluster where a profile names one. Out: a ``Reply`` with the
program's text, which the caller reads. Called by `orch check`, `orch profile init`
(orchestrator/checks) and `orch costs`. Every call counts in the user's budget (call_budget.py), but
for ``job_usage``, which is made once a command.
"""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.clusters.slurm import call_budget
from orchestrator.clusters.slurm.calls import COMMAND_SECONDS, call, said_by, why_not
from orchestrator.clusters.slurm.parse import cluster_name, of_cluster
from orchestrator.description.profile import Profile
from orchestrator.errors import CheckError

JOBS_A_CALL = 5000
"""So many ids fit into one argument; the kernel takes 128 KiB."""


class Reply(NamedTuple):
    """What one of Slurm's programs said."""

    program: str
    exit_code: int
    text: str
    trouble: str
    """Its error output on one line; where there is none, its output."""

    @property
    def failed(self) -> bool:
        """Whether it could not answer."""
        return self.exit_code != 0

    @property
    def no_accounting(self) -> bool:
        """Whether it could not answer because this cluster keeps no accounts."""
        return self.failed and "accounting_storage" in self.trouble


def partitions(cluster: str | None = None) -> Reply:
    """A line of ``Key=value`` per partition, of hidden ones too: sbatch takes their names."""
    return _ask("scontrol", "--all", "show", "partition", "--oneliner", cluster=cluster)


def nodes(cluster: str | None = None) -> Reply:
    """A line ``partition|cores|MB|gres`` per kind of node."""
    return _ask("sinfo", "--all", "--noheader", "--format=%R|%c|%m|%G", cluster=cluster)


def single_nodes(cluster: str | None = None) -> Reply:
    """A line ``partition|name|state|CPUs|MB|gres|features`` per node and partition."""
    wanted = "--format=%R|%N|%T|%c|%m|%G|%f"
    return _ask("sinfo", "--all", "--Node", "--noheader", wanted, cluster=cluster)


def gpus(partition: str | None, cluster: str | None = None) -> Reply:
    """The ``gres`` of the nodes of a partition, or of all nodes."""
    chosen = [f"--partition={partition}"] if partition else ["--all"]
    return _ask("sinfo", "--noheader", *chosen, "--format=%G", cluster=cluster)


def associations(*columns: str, cluster: str | None = None) -> Reply:
    """A line per association of the user on the cluster, with these columns of ``sacctmgr show
    associations``."""
    wanted = ",".join(("cluster", *columns))
    reply = _ask_accounts("associations", f"user={getpass.getuser()}", f"format={wanted}")
    if reply.failed:
        return reply
    # The database may keep the accounts of several clusters.
    kept = of_cluster(reply.text, lambda: cluster or cluster_name(_config().text))
    return reply._replace(text=kept)


def qos_limits() -> Reply:
    """A line ``name|most jobs per user|longest time`` per QOS."""
    return _ask_accounts("qos", "format=name,maxsubmitjobsperuser,maxwall")


def trial_submission(script: str, cluster: str | None = None) -> Reply:
    """What Slurm would say to this script, without submitting it."""
    return _ask("sbatch", "--test-only", script=script, cluster=cluster)


def job_usage(job_ids: Sequence[str], cluster: str | None = None) -> str | None:
    """Lines ``id|CPU time|most memory|name`` per job and step from accounting, also of a job whose
    id was given out again; None if it cannot be asked."""
    said = []
    for first in range(0, len(job_ids), JOBS_A_CALL):
        asked = ",".join(job_ids[first : first + JOBS_A_CALL])
        command = ["sacct", "--duplicates", "--parsable2", "--noheader", f"--jobs={asked}"]
        try:
            answer = call([*command, "--format=JobID,TotalCPU,MaxRSS,JobName"], cluster)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if answer.returncode != 0:
            return None
        said.append(answer.stdout)
    return "".join(said)


def _config() -> Reply:
    """Slurm's configuration, a line ``Key = value`` each."""
    return _ask("scontrol", "show", "config")


def _ask_accounts(*arguments: str) -> Reply:
    """Ask the accounting database what it holds."""
    return _ask("sacctmgr", "--noheader", "--parsable2", "show", *arguments)


def _ask(*command: str, script: str | None = None, cluster: str | None = None) -> Reply:
    """Run one of Slurm's programs, with ``script`` as its input. CheckError if there is none, or if
    it does not answer."""
    # By the default, as these questions may come before there is a profile.
    call_budget.spend(call_budget.Pace(Profile.calls_per_minute))
    try:
        answer = call([*command], cluster, script=script)
    except FileNotFoundError as error:
        raise CheckError(
            f"Slurm: no program '{command[0]}' on this machine: run orch on the "
            "cluster's login node, or use --cluster local"
        ) from error
    except OSError as error:
        raise CheckError(f"Slurm: {why_not(command[0], error)}: see what is on PATH") from error
    except subprocess.TimeoutExpired as error:
        raise CheckError(
            f"Slurm: {command[0]} gave no answer in {COMMAND_SECONDS:.0f} s: the controller may be "
            "down; try again later, or ask with `scontrol ping`"
        ) from error
    return Reply(command[0], answer.returncode, answer.stdout.strip(), said_by(answer))
