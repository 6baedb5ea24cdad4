"""The cluster `slurm`: submits batches with sbatch, and says what squeue and sacct know of them.

In: batches, ids, and the profile of the run. Out: job ids, and answers by token. orch calls it
through ``cluster_of`` (``orchestrator/clusters/select.py``). Its programs are named in this package
alone: scripts are script.py's, what they print is read in parse.py, how often they are called is
decided in call_budget.py.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict, TypeVar

from jobs.spec import NO_OPTIONS, Job, Resources
from orchestrator.clusters.batch import Batch, Waits, compressed
from orchestrator.clusters.slurm.call_budget import CachedAnswer
from orchestrator.clusters.slurm.calls import COMMAND_SECONDS, Calls, said_by, why_not
from orchestrator.clusters.slurm.parse import (
    QUEUE,
    accounting,
    cluster_name,
    count_jobs,
    ids_by_token,
    largest_array,
    largest_request,
    most_jobs,
    of_cluster,
    parse_sacct,
    parse_squeue,
)
from orchestrator.clusters.slurm.rows import Table
from orchestrator.clusters.slurm.script import JobScript, dependency, job_name, script_text
from orchestrator.clusters.slurm.submission import (
    id_in,
    limit_named,
    parent_unknown,
    perhaps_submitted,
)
from orchestrator.description.profile import Profile
from orchestrator.errors import AmbiguousSubmit, LostParent, NoRoom, SubmitError
from orchestrator.node.system import write_json
from orchestrator.runs.documents.reading import document
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run, look_folder
from orchestrator.runs.sources import Answer, SchedulerRecord

Found = TypeVar("Found")

LOOK = Resources(cpus=1, memory_gb=1, minutes=10)
"""What the job that looks at gates asks for; it takes seconds."""


LOOK_AGAIN_SECONDS = 60
"""Jobs that wait for room are looked at once a minute at most."""
LOOK_ALONE_SECONDS = 600
"""If all the room is taken by jobs of other programs, they are looked at this often."""
LOOK_AGAIN_AFTER = 100
"""The end of any of so many jobs starts the look, running ones first."""
NOT_ENDING = frozenset({JobState.PENDING, JobState.RUNNING, JobState.SUSPENDED})
"""States of a job that has not been told to end."""
DEFAULT_ARRAY_SIZE = 1001
"""MaxArraySize of a Slurm that does not say another."""
SUBMISSIONS_AT_ONCE = 4
"""sbatch mostly waits for the controller, which does one after the other."""


class Look(TypedDict):
    """What is noted of a job that runs `orch advance`."""

    job_id: str


class SlurmCluster:
    """Slurm through its own programs. One squeue call for all jobs, one sacct call for those that
    squeue has forgotten."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.calls = Calls(run.profile)
        self.trouble = ""
        self.active: Answer = None
        self.rows: str | None = None
        """What this look's squeue shows; None: it could not be asked."""
        self.known_ids: dict[str, set[str]] | None = None
        self.queued: int | None = None
        self.looks = 0
        self.submissions_at_once = SUBMISSIONS_AT_ONCE
        self.counting = threading.Lock()

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
            name=job_name(f"{self.run.plan.experiment}.{title}", batch.token),
            log=log,
            command=self.run.node_command(job, record),
            launcher=self.run.launcher(job, record),
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
        except OSError as error:
            raise SubmitError(
                f"{batch.title}: {why_not('sbatch', error, self.run.cwd)}; log in to the cluster, "
                "or use --cluster local"
            ) from error
        job_id = self.id_in_answer(batch, result)
        with self.counting:
            if self.queued is not None:
                self.queued += len(batch.units)
        return job_id

    def id_in_answer(self, batch: Batch, result: subprocess.CompletedProcess[str]) -> str:
        """The job id that sbatch printed; an error if it took no job, or perhaps one."""
        job_id = id_in(result.stdout)
        said = said_by(result)
        if result.returncode == 0 and job_id is not None:
            return job_id
        if job_id is not None or result.returncode == 0 or perhaps_submitted(said):
            raise AmbiguousSubmit(
                f"{batch.title}: sbatch's answer is unclear: {job_id or 'no id'}, {said!r}; orch "
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
        question = ["scontrol", "--all", "show", "partition", "--oneliner"]
        partitions = self.said(question, shared=True).text
        nodes = self.said(["sinfo", "--all", "--noheader", "--format=%R|%m"], shared=True).text
        if partitions is None or nodes is None:
            return None
        profile = self.run.profile.with_options(job.options, job.resources.gpus)
        return self.understood(lambda: largest_request(partitions, nodes, profile.partition))

    def take_environment(self) -> None:
        """sbatch brings it with each submission."""

    def most_jobs(self) -> int | None:
        """MaxSubmitJobs of the user's association and of the QOS, whichever is less, by sacctmgr.

        Limits that a user shares with others are left out: squeue does not tell how much of them
        the others take.
        """
        shown = ["sacctmgr", "--noheader", "--parsable2", "show"]
        columns = "format=cluster,account,partition,maxsubmitjobs,defaultqos"
        owner = self.ask([*shown, "associations", f"user={getpass.getuser()}", columns])
        rules = self.ask([*shown, "qos", "format=name,maxsubmitjobsperuser"])
        if owner is None or rules is None:
            return None
        own = of_cluster(owner, self.own_name)
        return self.understood(lambda: most_jobs(own, rules, self.run.profile))

    def own_name(self) -> str | None:
        """What the cluster is called; None if it cannot be asked."""
        named = self.run.profile.cluster
        return named or cluster_name(self.ask(["scontrol", "show", "config"]) or "")

    def understood(self, read: Callable[[], Found]) -> Found | None:
        """What is read of an answer; None, and ``trouble``, if it cannot be read."""
        try:
            return read()
        except ValueError as error:
            self.trouble = f"cannot read Slurm's answer: {error}"
            return None

    def ask_active(self, shared: bool = False) -> Answer:
        """squeue for all of the user's jobs, once."""
        # All jobs of the user instead of a list of ids: limits count those of other runs too.
        said, self.known_ids = self.said(QUEUE, shared), None
        self.active = self.read(said, parse_squeue)
        if self.active is None or said.text is None:
            self.queued, self.looks, self.rows = None, 0, None
        else:
            everything, self.looks = count_jobs(said.text)
            self.queued = everything - self.looks
            self.rows = said.text
        return self.active

    def ask_final(self, since: float, shared: bool = False) -> Answer:
        """sacct for all of the user's jobs since then, once."""
        return self.read(self.said(accounting(since), shared), parse_sacct)

    def said(self, question: list[str] | Table, shared: bool) -> CachedAnswer:
        """An answer, new or shared, with ``trouble`` set if there is none."""
        answer = self.calls.ask_shared(question) if shared else self.calls.ask(question)
        self.trouble = answer.trouble or self.trouble
        return answer

    def read(
        self, answer: CachedAnswer, parse: Callable[[str, float], dict[str, SchedulerRecord]]
    ) -> Answer:
        """An answer by token; one that cannot be read whole counts as none: what is missing in it
        is not gone."""
        text = answer.text
        return None if text is None else self.understood(lambda: parse(text, answer.asked))

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
        noted = document(note, Look, "another look is submitted, which does no harm")
        if noted is not None and not is_this_job(noted["job_id"]):
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
            name=job_name(f"{self.run.plan.experiment}.look", token),
            log=folder / f"{token}.log",
            command=[*command, str(self.run.folder)],
            dependency=after,
        )
        # It needs no GPU, so it goes where jobs without one go.
        path.write_text(script_text(profile.with_options(NO_OPTIONS), LOOK, script))
        # Without an intent and a look-up by token: a second look does no harm.
        answer = self.ask(["sbatch", "--parsable", f"--chdir={self.run.cwd}", str(path)])
        if answer is None:
            self.trouble += "; no job will check when these have ended: run orch advance"
            return None
        return id_in(answer)

    def wait_for(self, records: Sequence[Record], waits: Waits) -> set[str]:
        """scontrol update, an array at a time."""
        after = f"dependency={dependency(waits)}"
        there = [record for record in records if self.ids_of([record])]
        ids = compressed(self.ids_of(there))
        answers = [self.ask(["scontrol", "update", f"jobid={one}", after]) for one in ids]
        return set() if None in answers else {record.name for record in there}

    def cancel(self, records: Sequence[Record]) -> dict[str, str]:
        """scancel, a hundred ids at a time; elements of one array are one of them. Then the queue
        is asked once more: an order is no end yet."""
        if self.rows is None:
            raise SubmitError(
                f"cannot cancel: squeue does not say which jobs there are ({self.trouble}), and an "
                "id may be another job's by now; try again"
            )
        gone = {record.name for record in records if not self.ids_of([record])}
        job_ids = compressed(self.ids_of(records))
        for first in range(0, len(job_ids), 100):
            if self.ask(["scancel", *job_ids[first : first + 100]]) is None:
                raise SubmitError(f"cannot cancel: {self.trouble}; try again")
        queue = (self.ask_active() if job_ids else {}) or {}
        told = dict.fromkeys(gone, "has left the queue: there is nothing to cancel")
        for record in records:
            said = queue.get(record.allocation)
            if said is not None and said.state in NOT_ENDING:
                told[record.name] = (
                    f"is still {said.state} as {said.job_id} after the cancel: try again"
                )
        return told

    @property
    def shown(self) -> dict[str, set[str]]:
        """The ids that this look's squeue shows under our tokens."""
        # Of ten thousand jobs a tenth of a second, which most looks do not need.
        if self.known_ids is None:
            self.known_ids = ids_by_token(self.rows or "")
        return self.known_ids

    def ids_of(self, records: Sequence[Record]) -> list[str]:
        """The ids under which this look's squeue shows them, by their tokens. An id alone may have
        been given to somebody else's job since it was noted."""
        tokens = dict.fromkeys(record.allocation for record in records)
        return [job_id for token in tokens for job_id in sorted(self.shown.get(token, ()))]

    def nudge(self, record: Record) -> None:
        """SIGUSR1 to what runs in the batch step alone; a job that has just ended needs none."""
        for job_id in self.ids_of([record]):
            # Without --batch the signal would go to steps, and the batch script would not get it.
            self.ask(["scancel", "--batch", "--signal=USR1", job_id])

    def hold(self, records: Sequence[Record], release: bool = False) -> set[str]:
        """Keep waiting jobs from starting, or let them go; none, and ``trouble``, if Slurm cannot
        be asked. What was submitted since the last look is left to the next."""
        # What an administrator holds by plain `hold`, its owner cannot release.
        word = "release" if release else "uhold"
        there = [record for record in records if self.ids_of([record])]
        answers = [self.ask(["scontrol", word, one]) for one in compressed(self.ids_of(there))]
        return set() if None in answers else {record.name for record in there}


def is_this_job(job_id: str) -> bool:
    """Whether this process runs in that job. A job that is looking at this moment does not count as
    one that will look: a requeued job that it waited for is active again."""
    return job_id == os.environ.get("SLURM_JOB_ID")
