"""The cluster `slurm`: submits batches with sbatch, and says what squeue and sacct know of them.

In: batches, ids, and the profile of the run. Out: job ids, and answers by token. orch calls it
through ``cluster_of`` (``orchestrator/clusters/select.py``). Its programs are named in this package
alone: scripts are script.py's, what they print is read in parse.py, how often they are called is
decided in call_budget.py.
"""

from __future__ import annotations

import dataclasses
import datetime
import getpass
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from jobs.spec import NO_OPTIONS, Job, Resources
from orchestrator.clusters.batch import Batch, Waits, compressed
from orchestrator.clusters.slurm.call_budget import CachedAnswer
from orchestrator.clusters.slurm.calls import COMMAND_SECONDS, Calls
from orchestrator.clusters.slurm.parse import (
    SACCT_FIELDS,
    SACCT_STATES,
    SQUEUE_FORMAT,
    count_jobs,
    largest_array,
    largest_request,
    limit_named,
    most_jobs,
    parent_unknown,
    parse_sacct,
    parse_squeue,
    perhaps_submitted,
)
from orchestrator.clusters.slurm.script import JobScript, dependency, script_text
from orchestrator.description.profile import Profile
from orchestrator.errors import AmbiguousSubmit, LostParent, NoRoom, SubmitError
from orchestrator.node.system import write_json
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run, look_folder
from orchestrator.runs.sources import Answer, SchedulerRecord

LOOK = Resources(cpus=1, memory_gb=1, minutes=10)
"""What the job that looks at gates asks for; it takes seconds."""


LOOK_AGAIN_SECONDS = 60
"""Jobs that wait for room are looked at once a minute at most."""
LOOK_ALONE_SECONDS = 600
"""If all the room is taken by jobs of other programs, they are looked at this often."""
LOOK_AGAIN_AFTER = 100
"""The end of any of so many jobs starts the look, running ones first."""
DEFAULT_ARRAY_SIZE = 1001
"""MaxArraySize of a Slurm that does not say another."""


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
        return largest_array(answer) or DEFAULT_ARRAY_SIZE

    def script(self, batch: Batch, waits: Waits) -> str:
        """The exact script of one batch."""
        job, record = batch.jobs[0], batch.records[0]
        title = job.stage if batch.indexes or batch.packed else job.name
        if batch.indexes:
            log = self.run.array_folder(batch.token) / "%a.log"
        elif batch.packed:
            log = self.run.allocation_log(batch.token)
        else:
            log = self.run.attempt_folder(record) / "log.txt"
        script = JobScript(
            name=f"{self.run.plan.experiment}.{title}.{batch.token}",
            log=log,
            command=self.run.node_command(job, record),
            dependency=dependency(waits),
            indexes=batch.indexes,
            exclude=record.exclude,
        )
        profile = self.run.profile.with_options(job.options, job.resources.gpus)
        return script_text(profile, batch.resources, script)

    def folder_of(self, batch: Batch) -> Path:
        """Where the script of a batch lies."""
        if batch.indexes or batch.packed:
            return self.run.array_folder(batch.token)
        return self.run.attempt_folder(batch.records[0])

    def submit(self, batch: Batch, waits: Waits) -> str:
        """sbatch. An id together with an error, a time-out or a lost connection is ambiguous;
        anything else that fails is refused."""
        path = self.folder_of(batch) / "script.sh"
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
        job_id = self.id_in_answer(batch, result)
        if self.queued is not None:
            self.queued += len(batch.units)
        return job_id

    def id_in_answer(self, batch: Batch, result: subprocess.CompletedProcess[str]) -> str:
        """The job id that sbatch printed, ``ID`` or ``ID;CLUSTER``; an error if it took no job, or
        perhaps one."""
        job_id = result.stdout.strip().split(";")[0]
        said = " ".join(result.stderr.split())
        if result.returncode == 0 and job_id.isdigit():
            return job_id
        if job_id or result.returncode == 0 or perhaps_submitted(said):
            raise AmbiguousSubmit(
                f"{batch.title}: sbatch's answer is unclear: {job_id!r} {said}; orch "
                "launch again looks it up"
            )
        if parent_unknown(said):
            raise LostParent(f"{batch.title}: sbatch refused: {said}")
        refusal = f"{batch.title}: sbatch refused: {said.removeprefix('sbatch: error: ')}"
        limit = limit_named(said)
        if limit is None:
            raise SubmitError(refusal)
        raise NoRoom(refusal, len(batch.units), limit or "accounting/QOS policy", sure=bool(limit))

    def largest(self, job: Job) -> dict[str, int] | None:
        """The longest time that its partition takes, and the memory of its largest node."""
        partitions = self.said(["scontrol", "show", "partition", "--oneliner"], shared=True).text
        nodes = self.said(["sinfo", "--noheader", "--format=%R|%m"], shared=True).text
        if partitions is None or nodes is None:
            return None
        profile = self.run.profile.with_options(job.options, job.resources.gpus)
        return largest_request(partitions, nodes, profile.partition)

    def most_jobs(self) -> int | None:
        """MaxSubmitJobs of the user's association and of the QOS, whichever is less, by sacctmgr.

        Limits that a user shares with others are left out: squeue does not tell how much of them
        the others take.
        """
        shown = ["sacctmgr", "--noheader", "--parsable2", "show"]
        columns = "format=account,partition,maxsubmitjobs,defaultqos"
        owner = self.ask([*shown, "associations", f"user={getpass.getuser()}", columns])
        rules = self.ask([*shown, "qos", "format=name,maxsubmitjobsperuser"])
        if owner is None or rules is None:
            return None
        return most_jobs(owner, rules, self.run.profile)

    def ask_active(self, shared: bool = False) -> Answer:
        """squeue for all of the user's jobs, once."""
        # All jobs of the user instead of a list of ids: limits count those of other runs too.
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
        start = datetime.datetime.fromtimestamp(since - 60).astimezone()
        command = ["sacct", "--allocations", "--parsable2", "--noheader"]
        command += [f"--starttime={start:%Y-%m-%dT%H:%M:%S}", "--endtime=now+1hour"]
        command += [f"--state={SACCT_STATES}", f"--format={SACCT_FIELDS}"]
        return self.read(self.said(command, shared), parse_sacct)

    def said(self, command: list[str], shared: bool) -> CachedAnswer:
        """An answer, new or shared, with ``trouble`` set if there is none."""
        answer = self.calls.ask_shared(command) if shared else self.calls.ask(command)
        self.trouble = answer.trouble or self.trouble
        return answer

    def read(
        self, answer: CachedAnswer, parse: Callable[[str, float], dict[str, SchedulerRecord]]
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
        if note.exists() and not is_this_job(json.loads(note.read_text())["job_id"]):
            return
        ids = ":".join(sorted({str(record.job_id) for record in records}))
        job_id = self.submit_look(token, f"afterany:{ids}", self.run.profile)
        if job_id is not None:
            write_json(note, {"job_id": job_id, "after": [record.name for record in records]})

    def look_again(self, records: Sequence[Record]) -> None:
        """The same, in a minute at the earliest and once one of these has ended. There is one such
        job at a time."""
        if not self.run.profile.submit_from_nodes:
            return
        # The first launch of a run had no reason to ask.
        if self.active is None and self.ask_active() is None:
            return
        assert self.active is not None
        token = self.run.look_token(["backlog"])
        queued = self.active.get(token)
        if queued is not None and not is_this_job(queued.job_id):
            return
        # False sorts first: jobs that run end sooner than jobs that wait.
        running_first = sorted(records, key=lambda record: record.state is JobState.PENDING)
        soon = running_first[:LOOK_AGAIN_AFTER]
        begin = f"now+{LOOK_AGAIN_SECONDS if soon else LOOK_ALONE_SECONDS}"
        later = dataclasses.replace(
            self.run.profile, sbatch={**self.run.profile.sbatch, "begin": begin}
        )
        # With "?" the end of any one of them is enough.
        after = "?".join(f"afterany:{record.job_id}" for record in soon)
        job_id = self.submit_look(token, after, later)
        if job_id is not None:
            # Until squeue is asked again: one look is enough.
            self.active[token] = SchedulerRecord(job_id=job_id, token=token, state=JobState.PENDING)

    def submit_look(self, token: str, after: str, profile: Profile) -> str | None:
        """Submit `orch advance` as a job of one core; None, and ``trouble``, if that cannot be."""
        folder = look_folder(self.run)
        path = folder / f"{token}.sh"
        command = [profile.host_python, "-P", "-m", "orchestrator.cli", "advance"]
        script = JobScript(
            name=f"{self.run.plan.experiment}.look.{token}",
            log=folder / f"{token}.log",
            command=[*command, str(self.run.folder)],
            dependency=after,
        )
        # It needs no GPU, so it goes where jobs without one go.
        path.write_text(script_text(profile.with_options(NO_OPTIONS), LOOK, script))
        # Without an intent and a look-up by token: a second look does no harm.
        answer = self.ask(["sbatch", "--parsable", f"--chdir={self.run.cwd}", str(path)])
        if answer is None:
            self.trouble += "; no job will look when these have ended: run orch advance"
            return None
        return answer.strip().split(";")[0]

    def wait_for(self, job_ids: Sequence[str], waits: Waits) -> bool:
        """scontrol update, an array at a time."""
        after = dependency(waits)
        return all(
            self.ask(["scontrol", "update", f"jobid={job_id}", f"dependency={after}"]) is not None
            for job_id in compressed(job_ids)
        )

    def cancel(self, job_ids: Sequence[str]) -> None:
        """scancel, a hundred ids at a time; elements of one array are one of them."""
        job_ids = compressed(job_ids)
        for first in range(0, len(job_ids), 100):
            if self.ask(["scancel", *job_ids[first : first + 100]]) is None:
                raise SubmitError(f"cannot cancel: {self.trouble}; try again")

    def nudge(self, job_id: str) -> None:
        """SIGUSR1 to what runs in the batch step alone; a job that has just ended needs none."""
        # Without --batch the signal would go to steps, and the batch script would not get it.
        self.ask(["scancel", "--batch", "--signal=USR1", job_id])

    def hold(self, job_ids: Sequence[str], release: bool = False) -> bool:
        """Keep waiting jobs from starting, or let them go; False, and ``trouble``, if Slurm cannot
        be asked."""
        # What an administrator holds by plain `hold`, its owner cannot release.
        word = "release" if release else "uhold"
        return all(
            self.ask(["scontrol", word, job_id]) is not None for job_id in compressed(job_ids)
        )


def is_this_job(job_id: str) -> bool:
    """Whether this process runs in that job. A job that is looking at this moment does not count as
    one that will look: a requeued job that it waited for is active again."""
    return job_id == os.environ.get("SLURM_JOB_ID")
