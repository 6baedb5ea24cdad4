"""A run: one launch of an experiment and its folder. The only place that knows where things lie in
it.

runs/<experiment>/<preset>-<plan hash>/
    plan.json          the plan, the cluster profile, where and with what it was launched; a
                       relaunch may change resources
    state.json         what is known of every job; written only by orch, whole, by rename, under
                       state.lock
    answered           empty; its time is when all sources have answered last
    submitted.jsonl    journal of job ids, written at once and flushed once for submissions that
                       are under way together
    code.json          which copy of the code (runs/.code/<hash>/) is submitted next; provenance/
                       has what it was launched with
    jobs/<job>/        job.json, config.json (of an engine), out/,
                       attempt-<n>/{script.sh, launch, claim.json, exit.json, log.txt}
    arrays/<token>/    of an array or a pack: script.sh, members.json, launch (what the launcher on
                       the node is told, where there is one) and a log per job, which the log.txt of
                       its attempt is a link to

runs/lookup.py opens runs, runs/create.py makes them; the lifecycle, the clusters and the views work
on them.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import msgspec

from jobs.spec import Job
from orchestrator.description.profile import Messages, Profile
from orchestrator.errors import RunError
from orchestrator.planning.plan import Plan
from orchestrator.runs import layout
from orchestrator.runs.copies.origin import Origin, read_origin
from orchestrator.runs.documents.lock import locked
from orchestrator.runs.documents.reading import content_of, document
from orchestrator.runs.record import Doubt, JobState, Record, Token
from orchestrator.runs.sources import Claim, ExitRecord, read_exit
from orchestrator.runs.state_file import NAME as STATE
from orchestrator.runs.state_file import read_state, write_state

if TYPE_CHECKING:
    from orchestrator.runs.provenance.launches import Code

EVOLUTION = "evolution.json"
"""Is in the folder of a run whose plan grows: what `orch evolve` has seen and taken."""


ANSWERED = "answered"
"""Empty; when it was touched, all sources had answered a pass over the run."""


class Noted(TypedDict):
    """A line of ``submitted.jsonl``."""

    token: str
    job_id: str


@dataclass(frozen=True)
class Run:
    """One run folder and what is written in its plan.json."""

    folder: Path
    plan: Plan
    profile: Profile
    uid: str
    """Random; part of every token, so that no two runs share one."""
    cwd: str
    """Where orch was called: commands run there, relative paths in configs start there."""
    created: float
    moved: bool = False
    """Whether it lies elsewhere than its files say, whose paths are written anew before anything is
    submitted."""
    by_name: dict[str, Job] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Index the jobs once."""
        self.by_name.update({job.name: job for job in self.plan.jobs})

    @property
    def name(self) -> str:
        """``experiment/run``."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    def job_folder(self, job: Job | Record) -> Path:
        """The folder of a job."""
        return self.folder / job.folder

    def out_folder(self, job: Job | Record) -> Path:
        """What a job has written: progress, checkpoints, results."""
        return layout.out_folder(self.folder, job.folder)

    def results(self, job: Job | Record) -> Path:
        """The file that is there once a job has done its work."""
        return self.out_folder(job) / layout.RESULTS

    def attempt_folder(self, record: Record) -> Path:
        """The folder of a job's newest attempt."""
        return layout.attempt_folder(self.folder, record.folder, record.attempt)

    def exit_file(self, record: Record) -> Path:
        """The exit record of a job's newest attempt."""
        return self.attempt_folder(record) / layout.EXIT

    def log(self, record: Record) -> Path:
        """The log of a job's newest attempt; of a member of a pack that has not started that of its
        allocation."""
        own = self.attempt_folder(record) / "log.txt"
        if not record.packed or own.exists():
            return own
        return self.allocation_log(record.token)

    def log_place(self, record: Record) -> str:
        """The same as text: of ten thousand jobs, paths take longer than all else that is told."""
        if record.packed:
            return str(self.log(record))
        return f"{self.folder}/{record.folder}/attempt-{record.attempt}/log.txt"

    def log_of_death(self, record: Record, exit_record: ExitRecord | None) -> Path:
        """The log that says why a job failed: of several nodes, that of the first to die."""
        own = exit_record is not None and exit_record.token == record.token
        if exit_record is None or not own or exit_record.died_first is None:
            return self.log(record)
        return self.attempt_folder(record) / str(exit_record.died_first["log"])

    def allocation_log(self, token: str) -> Path:
        """What an allocation says before its members start."""
        parsed = Token.parse(token)
        name = "log.txt" if parsed.index is None else f"{parsed.index}.log"
        return self.array_folder(parsed.head) / name

    def token(self, job: Job, attempt: int) -> str:
        """The token of an attempt: the same however often it is asked for."""
        # Computed, not drawn: after a kill the same intent has the same token, and can be looked
        # up.
        return hashlib.sha256(f"{self.uid}/{job.name}/{attempt}".encode()).hexdigest()[:10]

    def look_token(self, tokens: Sequence[str]) -> str:
        """The token of the job that looks at gates once the attempts with these tokens have
        ended."""
        # Sorted: two processes that see the same jobs end ask Slurm for the same job, under one
        # name.
        return hashlib.sha256("/".join([self.uid, "look", *sorted(tokens)]).encode()).hexdigest()[
            :10
        ]

    def results_file(self, record: Record) -> Path:
        """Where a job's results are once it is done."""
        return self.folder / record.folder / "out" / "results.json"

    def is_claimed(self, record: Record) -> bool:
        """Whether the newest attempt has started on a node."""
        return (self.attempt_folder(record) / "claim.json").exists()

    @functools.cached_property
    def origin(self) -> Origin | None:
        """Of what the folder is a copy; None: the run lives here."""
        return read_origin(self.folder)

    def now(self) -> float:
        """Of what moment the records and files tell: now, or when a copy was made."""
        return time.time() if self.origin is None else self.origin.asked

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Hold the run's lock."""
        return locked(self.folder)

    def array_folder(self, token: str) -> Path:
        """What the elements of an array, or the members of a pack, share."""
        return self.folder / "arrays" / token

    def node_command(self, job: Job, record: Record) -> list[str]:
        """What a scheduler starts for one attempt; for an element of an array or a pack the same
        for all, with their folder.

        The copy of the program that was launched, run without the environment's start-up files:
        these cost more than all the rest (docs/performance.md).
        """
        python = self.profile.host_python
        head = record.parsed_token.head
        # The elements of an array share one script; each finds its job in the folder by its index.
        what = [str(self.array_folder(head))]
        if head == record.token:
            what = [str(self.job_folder(job)), str(record.attempt), record.token]
        # -u: what a job prints is in its log at once, also if it is killed.
        return [python, "-I", "-S", "-u", str(self.code().program), *what]

    def launcher(self, job: Job, record: Record) -> str:
        """The program that starts an attempt in place of Python; empty where there is none, or the
        job is one that it would leave to Python."""
        path = self.code().launcher
        asked = job.resources
        plain = job.engine is None and asked.nodes == 1 and not asked.gpus
        if path is None or not plain or record.packed or record.attempt > 1:
            return ""
        return str(path)

    def code(self) -> Code:
        """The copy of the code that the next submissions start."""
        from orchestrator.runs.provenance.launches import code_of

        return code_of(self.folder)

    def load(self) -> list[Record]:
        """The records of the state file, in plan order; a job it does not know is WAITING."""
        path = self.folder / STATE
        if not path.exists():
            return self.rescanned()
        known = {record.name: record for record in read_state(path, self.name)}
        found = [known.get(job.name) or waiting(job) for job in self.plan.jobs]
        # What the plan says of a job holds, whatever somebody has made of the file.
        return [
            record
            if record.stage == job.stage and record.folder == job.folder
            else msgspec.structs.replace(record, stage=job.stage, folder=job.folder)
            for record, job in zip(found, self.plan.jobs, strict=True)
        ]

    def note_answers(self) -> None:
        """Note that all sources have just answered, and that the state file says what. With the
        lock held."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        # A full disk has no room for it, or something else lies there; then everybody asks for
        # themselves.
        with contextlib.suppress(OSError):
            descriptor = os.open(self.folder / ANSWERED, flags, 0o666)
            os.utime(descriptor)
            os.close(descriptor)

    def answered_within(self, seconds: float) -> bool:
        """Whether the state file says what all sources have answered within so many seconds."""
        try:
            age = time.time() - (self.folder / ANSWERED).lstat().st_mtime
        except OSError:
            return False
        return 0 <= age < seconds and self.has_state()

    def has_state(self) -> bool:
        """Whether the state file is there."""
        return (self.folder / STATE).exists()

    def rescanned(self) -> list[Record]:
        """The records without the state file, which is kept as ``state.json.old`` if there is one.
        With the lock held."""
        known = {record.name: record for record in self.rebuilt()}
        counts: dict[str, dict[str, int]] = {}
        # The bounds of retries hold over a rescan too, as long as the file can be read.
        with contextlib.suppress(FileNotFoundError, RunError):
            counts = {one.name: one.retries for one in read_state(self.folder / STATE, self.name)}
        known = {
            name: msgspec.structs.replace(record, retries=counts.get(name, {}))
            for name, record in known.items()
        }
        # Kept: records made from folders lack what these do not tell, such as the nodes that
        # retries left out.
        with contextlib.suppress(FileNotFoundError):
            (self.folder / STATE).replace(self.folder / f"{STATE}.old")
        return [known.get(job.name) or waiting(job) for job in self.plan.jobs]

    def rebuilt(self) -> Iterator[Record]:
        """Records from the job folders alone: the newest attempt of each job and its token. The
        scheduler fills in the rest."""
        for job in self.plan.jobs:
            attempts = attempts_in(f"{self.folder}/{job.folder}")
            if attempts:
                number = max(attempts)
                yield msgspec.structs.replace(
                    waiting(job),
                    attempt=number,
                    token=self.token_on_disk(job, number),
                    state=JobState.UNKNOWN,
                    reason="rebuilt from the job's folder",
                    doubt=Doubt.REBUILT,
                    submitted=self.created,
                )

    def token_on_disk(self, job: Job, attempt: int) -> str:
        """The token of an attempt by its log: in an array or a pack that is a link to the array's
        folder, and its name tells the element."""
        log = self.job_folder(job) / f"attempt-{attempt}" / "log.txt"
        if not log.is_symlink():
            # A claim says it in any case; a plan file that was made anew has another uid.
            claim = document(log.with_name("claim.json"), Claim, "left out")
            return self.token(job, attempt) if claim is None else claim.token
        target = log.readlink()
        in_a_pack = Token.parse(target.stem).member is not None
        return target.stem if in_a_pack else f"{target.parent.name}_{target.stem}"

    def save(self, records: Iterable[Record]) -> None:
        """Write the state file whole, a job per line. Only with the lock held."""
        known = list(records)
        # The plan was read before the lock was taken, and an evolution may have grown meanwhile.
        added = self.added_since({record.name for record in known})
        write_state(self.folder / STATE, self.name, [*known, *added])
        # The ids that it held are in the state file now.
        (self.folder / "submitted.jsonl").unlink(missing_ok=True)

    def added_since(self, known: set[str]) -> list[Record]:
        """What the state file says of jobs that an evolution's plan got after this process read it;
        they stay as they are."""
        path = self.folder / STATE
        if not (self.folder / EVOLUTION).exists() or not path.exists():
            return []
        return [record for record in read_state(path, self.name) if record.name not in known]

    def journal(self, records: Iterable[Record]) -> None:
        """Note job ids at once, before the next submission."""
        ids = [{"token": record.token, "job_id": record.job_id} for record in records]
        with (self.folder / "submitted.jsonl").open("a") as file:
            # In one write, as several threads may note theirs.
            file.write("".join(f"{json.dumps(one)}\n" for one in ids))

    def flush_journal(self) -> None:
        """See that a loss of power takes no noted id back: its token would have to be looked up,
        which takes seconds."""
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(self.folder / "submitted.jsonl", os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def journalled(self) -> dict[str, str]:
        """Job ids by token that a killed launch had noted."""
        path = self.folder / "submitted.jsonl"
        if not path.exists():
            return {}
        found = {}
        for line in content_of(path).decode(errors="replace").splitlines():
            # A line that a kill has torn is left out; its token is looked up instead.
            with contextlib.suppress(msgspec.DecodeError):
                noted = msgspec.json.decode(line, type=Noted)
                found[noted["token"]] = noted["job_id"]
        return found

    def exits(self, records: Iterable[Record]) -> dict[str, ExitRecord]:
        """Exit records of the newest attempts, by job name."""
        found, folder = {}, str(self.folder)
        for record in records:
            path = f"{folder}/{record.folder}/attempt-{record.attempt}/exit.json"
            # Asked of ten thousand jobs: a Path, or an exception, takes longer than the look.
            if record.attempt and os.access(path, os.F_OK):
                exit_record = read_exit(path)
                if exit_record is not None:
                    found[record.name] = exit_record
        return found

    def done(self, records: Iterable[Record]) -> set[str]:
        """Names of jobs whose results are complete."""
        found, folder = set(), str(self.folder)
        for record in records:
            if os.access(f"{folder}/{record.folder}/out/results.json", os.F_OK):
                found.add(record.name)
        return found


def attempts_in(job_folder: str) -> list[int]:
    """The numbers of the attempts that a job's folder holds."""
    try:
        names = os.listdir(job_folder)  # noqa: PTH208  # of thousands of jobs
    except FileNotFoundError:
        return []
    numbers = [name.removeprefix("attempt-") for name in names if name.startswith("attempt-")]
    # A person may have put a copy aside, as `attempt-1.old`.
    return [int(number) for number in numbers if number.isdecimal()]


def waiting(job: Job) -> Record:
    """The record of a job that was never submitted."""
    return Record(name=job.name, stage=job.stage, identity=job.identity, folder=job.folder)


def look_folder(run: Run) -> Path:
    """Where the jobs that look at gates leave their scripts and logs."""
    path = run.folder / "gates" / "looks"
    path.mkdir(parents=True, exist_ok=True)
    return path


def wanted_by(run: Run) -> Messages:
    """Who is told of what: the experiment file's word, else the profile's (or the user's own
    file's, taken in at launch)."""
    return run.plan.notify or run.profile.notify
