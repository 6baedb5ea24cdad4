"""The one door to Slurm: every call of one of its programs goes through ``call``.

In: a command as a list, and the cluster that it is meant for. Out: its output, or why there is
none. Called by ``SlurmCluster`` (cluster.py) through ``Calls``, which keeps to the user's limit on
calls and shares answers, and by queries.py.

A call is made without a shell, with a time limit, and in an environment of its own: what the user's
variables would change is left out (orchestrator/node/slurm/environment.py). What comes back is
decoded with replacement, as a job's name may hold any bytes.
"""

from __future__ import annotations

import functools
import os
import subprocess
import time
from pathlib import Path

from orchestrator.clusters.slurm import call_budget
from orchestrator.clusters.slurm.call_budget import CachedAnswer
from orchestrator.clusters.slurm.rows import Table, new_mark
from orchestrator.description.profile import Profile
from orchestrator.node.slurm.environment import KEPT, environment_of

COMMAND_SECONDS = 60.0
"""Longest wait for one of Slurm's programs; they give up on a dead controller after about 9 s by
themselves."""

CHANGE = frozenset({"sbatch", "scancel", "scontrol"})
"""Programs after which an older answer of squeue is not used any more."""
SAID_LETTERS = 200
"""Of an error that is quoted."""


def call(
    command: list[str],
    cluster: str | None = None,
    cwd: str | None = None,
    script: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program of Slurm with a time limit and an argument list, never a shell. OSError and
    TimeoutExpired are the caller's.

    Args:
        cluster: which of several; None: the one of this machine. sacctmgr holds those of all of
            them, and takes a condition in place of an option.
        script: what sbatch reads in place of a file.
    """
    program, *arguments = command
    chosen = [f"--clusters={cluster}"] if cluster and program != "sacctmgr" else []
    given = {"input": script} if script is not None else {"stdin": subprocess.DEVNULL}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [program, *chosen, *arguments],
        executable=path_of(program, tuple(os.get_exec_path())),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=COMMAND_SECONDS,
        cwd=cwd,
        env=environment_of(program, os.environ),
        **given,
    )
    return done


@functools.cache
def path_of(program: str, folders: tuple[str, ...]) -> str:
    """Where a program lies; its name where it is nowhere. Looked for once a process: on some sites
    PATH has dozens of folders on a file server."""
    for folder in folders:
        path = os.path.join(folder, program)  # noqa: PTH118
        if folder and os.path.isfile(path) and os.access(path, os.X_OK):  # noqa: PTH113
            return path
    return program


def why_not(program: str, error: OSError, cwd: str | None = None) -> str:
    """Why a program could not be started."""
    if cwd is not None and not Path(cwd).is_dir():
        return f"the folder {cwd}, where the run was launched, is not there"
    if isinstance(error, FileNotFoundError):
        return f"there is no {program} here"
    return f"{program} cannot be started ({error.strerror})"


def said_by(result: subprocess.CompletedProcess[str]) -> str:
    """The error output of a program on one line; where there is none, what it printed instead."""
    return " ".join((result.stderr.strip() or result.stdout).split())


class Calls:
    """Slurm's programs for one profile."""

    def __init__(self, profile: Profile) -> None:
        self.pace = call_budget.Pace(profile.calls_per_minute)
        self.cluster = profile.cluster
        where = [os.environ.get(name, "") for name in KEPT if name.startswith("SLURM_CONF")]
        named = (profile.cluster, profile.name, profile.partition, profile.account)
        self.place = " ".join([*where, *map(str, named)])
        """Two clusters that share a home folder do not share answers."""

    def run(self, command: list[str], cwd: str | None = None) -> subprocess.CompletedProcess[str]:
        """Call one when the budget has room. OSError and TimeoutExpired are the caller's."""
        submits = command[0] in CHANGE
        call_budget.spend(self.pace, submits)
        began = time.monotonic()
        try:
            return call(command, self.cluster, cwd)
        finally:
            self.pace.note(time.monotonic() - began)
            # Also after a failure: an sbatch that timed out may have been taken.
            if submits:
                call_budget.changed()

    def ask(self, question: list[str] | Table, paid: bool = False) -> CachedAnswer:
        """The output of a program that succeeds, of a table its rows, or why there is none;
        ``paid``: the budget has been asked already."""
        mark = new_mark()
        command = question.command(mark) if isinstance(question, Table) else question
        program, asked = command[0], time.time()
        try:
            result = call(command, self.cluster) if paid else self.run(command)
        except subprocess.TimeoutExpired:
            trouble = f"{program} did not answer within {COMMAND_SECONDS:.0f} s"
            return CachedAnswer(asked=asked, text=None, trouble=trouble)
        except OSError as error:
            return CachedAnswer(asked=asked, text=None, trouble=why_not(program, error))
        if result.returncode != 0:
            said = said_by(result)[:SAID_LETTERS]
            return CachedAnswer(asked=asked, text=None, trouble=f"{program}: {said}")
        if not isinstance(question, Table):
            return CachedAnswer(asked=asked, text=result.stdout)
        try:
            return CachedAnswer(asked=asked, text=question.read(result.stdout, mark))
        except ValueError as error:
            return CachedAnswer(asked=asked, text=None, trouble=f"{program}: {error}")

    def ask_shared(self, question: list[str] | Table) -> CachedAnswer:
        """The same; an answer of the last seconds will do, and nobody waits for the budget."""
        # Each call has another mark, and the question is the same.
        command = question.command("") if isinstance(question, Table) else question

        def anew() -> CachedAnswer:
            allowed = self.pace.per_minute()
            seconds = call_budget.take(allowed)
            if seconds > 0:
                trouble = (
                    f"{allowed} calls of Slurm a minute are used up "
                    f"(calls_per_minute); {command[0]} is asked in {seconds:.0f} s"
                )
                return CachedAnswer(asked=time.time(), text=None, trouble=trouble)
            return self.ask(question, paid=True)

        return call_budget.shared(f"{self.place} {' '.join(command)}", anew)
