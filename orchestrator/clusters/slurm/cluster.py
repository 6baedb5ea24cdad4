"""The cluster `slurm`: sbatch scripts by submitit, and what squeue and sacct say. The only place
that knows Slurm's programs.

submitit turns parameters into the head of an sbatch script. The script's last line, the call of
sbatch and the reading of states are ours: submitit's own submission needs a pickle that it renames
after sbatch has answered, and its states may be minutes old (docs/decisions.md).
"""

from __future__ import annotations

import dataclasses
import datetime
import getpass
import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jobs.spec import Job, Resources
from orchestrator.clusters.batch import Batch, Waits, compressed
from orchestrator.clusters.slurm.call_budget import Said
from orchestrator.clusters.slurm.calls import COMMAND_SECONDS, Calls
from orchestrator.clusters.slurm.parse import (
    SACCT_FIELDS,
    SACCT_STATES,
    SQUEUE_FORMAT,
    count_jobs,
    most_jobs,
    parse_sacct,
    parse_squeue,
)
from orchestrator.clusters.slurm.script import dependency, script_text
from orchestrator.description.profile import Profile
from orchestrator.errors import AmbiguousSubmit, NoRoom, SubmitError
from orchestrator.node.system import write_json
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import look_folder
from orchestrator.runs.sources import Answer, SchedulerRecord

if TYPE_CHECKING:
    from orchestrator.runs.run import Run

LOOK = Resources(cpus=1, memory_gb=1, minutes=10)
"""What the job that looks at gates asks for; it takes seconds."""


AMBIGUOUS = re.compile(
    r"socket timed out|temporarily unable|unable to contact|connection (refused|reset|timed out)|communication"
    r"|zero bytes|timeout|unexpected message",
    re.IGNORECASE,
)
"""Errors of sbatch after which the job may be in the queue all the same."""


LIMITS = re.compile(r"\b(?:QOS|Assoc)\w*Submit\w*Limit\b")
"""How Slurm calls its limits on the number of a user's jobs."""


POLICY = re.compile(r"violates accounting/QOS policy", re.IGNORECASE)
"""What it says when such a limit is reached, and when a request can never be met."""


OTHER_RULE = re.compile(r"\b(?:QOS|Assoc)\w+\b")


LOOK_AGAIN_SECONDS = 60
"""A backlog is looked at once a minute at most."""


LOOK_ALONE_SECONDS = 600
"""If all the room is taken by jobs of other programs, it is looked at this often."""


LOOK_AGAIN_AFTER = 100
"""The end of any of so many jobs starts it, running ones first."""


DEFAULT_ARRAY_SIZE = 1001
"""MaxArraySize of a Slurm that does not say another."""


def limit_named(said: str) -> str | None:
    """The limit on the number of jobs that sbatch names; "" if it may mean one, or another rule;
    None: it means something else."""
    limit = LIMITS.search(said)
    if limit is not None:
        return limit[0]
    return "" if POLICY.search(said) and not OTHER_RULE.search(said) else None


class SlurmCluster:
    """Slurm through its own programs. One squeue call for all jobs, one sacct call for those that
    squeue has forgotten."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.calls = Calls(run.profile)
        self.trouble = ""
        self.active: Answer = None
        self.queued: int | None = None
        self.looks = 0

    def array_size(self) -> int:
        """Slurm's MaxArraySize, or max_array_tasks where that is less; Slurm's default where it
        cannot be asked."""
        answer = self.ask(["scontrol", "show", "config"]) or ""
        sizes = [
            int(number)
            for number in re.findall(
                r"(?:^MaxArraySize\s*=\s*|max_array_tasks=)(\d+)", answer, re.MULTILINE
            )
        ]
        return min(sizes, default=DEFAULT_ARRAY_SIZE)

    def script(self, batch: Batch, waits: Waits) -> str:
        """The exact script of one batch."""
        job, record = batch.jobs[0], batch.records[0]
        name = f"{self.run.plan.experiment}.{job.stage if batch.indexes or batch.packed else job.name}.{batch.token}"
        log = (
            self.run.allocation_log(batch.token)
            if batch.packed
            else self.run.attempt_folder(record) / "log.txt"
        )
        if batch.indexes:
            log = self.run.array_folder(batch.token) / "%a.log"
        job = dataclasses.replace(job, resources=batch.resources)
        return script_text(
            self.run.profile,
            job,
            name,
            log,
            dependency(waits),
            self.run.node_command(job, record),
            batch.indexes,
            record.exclude,
        )

    def submit(self, batch: Batch, waits: Waits) -> str:
        """sbatch. An id together with an error, a time-out or a lost connection is ambiguous;
        anything else that fails is refused."""
        folder = (
            self.run.array_folder(batch.token)
            if batch.indexes or batch.packed
            else self.run.attempt_folder(batch.records[0])
        )
        path = folder / "script.sh"
        path.write_text(self.script(batch, waits))
        try:
            result = self.calls.run(["sbatch", "--parsable", str(path)], cwd=self.run.cwd)
        except subprocess.TimeoutExpired as error:
            raise AmbiguousSubmit(
                f"{batch.title}: sbatch did not answer within {COMMAND_SECONDS:.0f} s"
            ) from error
        except FileNotFoundError as error:
            raise SubmitError(
                f"{batch.title}: there is no sbatch here; log in to the cluster, or use "
                "--cluster local"
            ) from error
        answer, said = result.stdout.strip().split(";")[0], " ".join(result.stderr.split())
        if result.returncode == 0 and answer.isdigit():
            self.queued = None if self.queued is None else self.queued + len(batch.units)
            return answer
        if answer or AMBIGUOUS.search(said) or result.returncode == 0:
            raise AmbiguousSubmit(
                f"{batch.title}: sbatch's answer is unclear: {answer!r} {said}; orch "
                "launch again looks it up"
            )
        told, limit = (
            f"{batch.title}: sbatch refused: {said.removeprefix('sbatch: error: ')}",
            limit_named(said),
        )
        if limit is not None:
            raise NoRoom(told, len(batch.units), limit or "accounting/QOS policy", sure=bool(limit))
        raise SubmitError(told)

    def most_jobs(self) -> int | None:
        """MaxSubmitJobs of the user's association and of the QOS, whichever is less, by sacctmgr.

        Limits that a user shares with others are left out: squeue does not tell how much of them
        the others take.
        """
        shown = ["sacctmgr", "--noheader", "--parsable2", "show"]
        owner = self.ask(
            [
                *shown,
                "associations",
                f"user={getpass.getuser()}",
                "format=account,partition,maxsubmitjobs,defaultqos",
            ]
        )
        rules = self.ask([*shown, "qos", "format=name,maxsubmitjobsperuser"])
        return None if owner is None or rules is None else most_jobs(owner, rules, self.run.profile)

    def ask_active(self, shared: bool = False) -> Answer:
        """squeue for all of the user's jobs, once."""
        said = self.said(["squeue", "--me", "--noheader", f"--format={SQUEUE_FORMAT}"], shared)
        self.active = self.read(said, parse_squeue)
        if self.active is None or said.text is None:
            self.queued, self.looks = None, 0
        else:
            everything, self.looks = count_jobs(said.text)
            self.queued = everything - self.looks
        return self.active

    def ask_final(self, since: float, shared: bool = False) -> Answer:
        """sacct for all of the user's jobs since then, once. The start is set a minute earlier for
        clocks that differ."""
        start = (
            datetime.datetime.fromtimestamp(since - 60).astimezone().strftime("%Y-%m-%dT%H:%M:%S")
        )
        return self.read(
            self.said(
                [
                    "sacct",
                    "--allocations",
                    "--parsable2",
                    "--noheader",
                    f"--starttime={start}",
                    "--endtime=now+1hour",
                    f"--state={SACCT_STATES}",
                    f"--format={SACCT_FIELDS}",
                ],
                shared,
            ),
            parse_sacct,
        )

    def said(self, command: list[str], shared: bool) -> Said:
        """An answer, new or shared, with ``trouble`` set if there is none."""
        answer = self.calls.ask_shared(command) if shared else self.calls.ask(command)
        self.trouble = answer.trouble or self.trouble
        return answer

    def read(
        self, answer: Said, parse: Callable[[str, float], dict[str, SchedulerRecord]]
    ) -> Answer:
        """An answer by token; one that cannot be read whole counts as none: what is missing in it
        is not gone."""
        if answer.text is None:
            return None
        try:
            return parse(answer.text, answer.asked)
        except ValueError as error:
            self.trouble = f"cannot read Slurm's answer: {error}"
            return None

    def ask(self, command: list[str]) -> str | None:
        """The output of one of Slurm's programs; None, and ``trouble``, if it cannot answer."""
        return self.said(command, shared=False).text

    def look_after(self, records: Sequence[Record]) -> None:
        """A job of one core that Slurm starts when these have ended, and that runs `orch advance`.
        Twice would do no harm."""
        if not self.run.profile.submit_from_nodes:
            return
        token = self.run.look_token([record.token for record in records])
        note = look_folder(self.run) / f"{token}.json"
        # The one that is looking at this moment is as good as gone: a requeued job that it waited
        # for is active again.
        if note.exists() and json.loads(note.read_text())["job_id"] != os.environ.get(
            "SLURM_JOB_ID"
        ):
            return
        ids = ":".join(sorted({str(record.job_id) for record in records}))
        job_id = self.submit_look(token, f"afterany:{ids}", self.run.profile)
        if job_id is not None:
            write_json(note, {"job_id": job_id, "after": [record.name for record in records]})

    def look_again(self, records: Sequence[Record]) -> None:
        """The same, in a minute at the earliest and once one of these has ended. There is one such
        job at a time."""
        if not self.run.profile.submit_from_nodes or self.active is None:
            return
        token = self.run.look_token(["backlog"])
        queued = self.active.get(token)
        if queued is not None and queued.job_id != os.environ.get("SLURM_JOB_ID"):
            return
        soon = sorted(records, key=lambda record: record.state is JobState.PENDING)[
            :LOOK_AGAIN_AFTER
        ]
        begin = f"now+{LOOK_AGAIN_SECONDS if soon else LOOK_ALONE_SECONDS}"
        later = dataclasses.replace(
            self.run.profile, sbatch={**self.run.profile.sbatch, "begin": begin}
        )
        job_id = self.submit_look(
            token, "?".join(f"afterany:{record.job_id}" for record in soon), later
        )
        if job_id is not None:
            self.active[token] = SchedulerRecord(job_id=job_id, token=token, state=JobState.PENDING)

    def submit_look(self, token: str, after: str, profile: Profile) -> str | None:
        """Submit `orch advance` as a job of one core; None, and ``trouble``, if that cannot be."""
        folder = look_folder(self.run)
        path = folder / f"{token}.sh"
        job = Job(
            name="look", stage="look", axes={}, engine=None, command=None, config={}, resources=LOOK
        )
        command = [
            profile.host_python,
            "-P",
            "-m",
            "orchestrator.cli",
            "advance",
            str(self.run.folder),
        ]
        name = f"{self.run.plan.experiment}.look.{token}"
        path.write_text(script_text(profile, job, name, folder / f"{token}.log", after, command))
        answer = self.ask(["sbatch", "--parsable", f"--chdir={self.run.cwd}", str(path)])
        if answer is None:
            self.trouble += "; no job will look when these have ended: run orch advance"
            return None
        return answer.strip().split(";")[0]

    def cancel(self, job_ids: Sequence[str]) -> None:
        """scancel, a hundred ids at a time; elements of one array are one of them."""
        job_ids = compressed(job_ids)
        for first in range(0, len(job_ids), 100):
            if self.ask(["scancel", *job_ids[first : first + 100]]) is None:
                raise SubmitError(f"cannot cancel: {self.trouble}; try again")

    def nudge(self, job_id: str) -> None:
        """SIGUSR1 to what runs in the batch step alone; a job that has just ended needs none."""
        self.ask(["scancel", "--batch", "--signal=USR1", job_id])

    def hold(self, job_ids: Sequence[str], release: bool = False) -> bool:
        """Keep waiting jobs from starting, or let them go; False, and ``trouble``, if Slurm cannot
        be asked."""
        word = "release" if release else "uhold"
        return all(
            self.ask(["scontrol", word, job_id]) is not None for job_id in compressed(job_ids)
        )
