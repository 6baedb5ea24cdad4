"""Submit what is neither done nor active, exactly once; retry and cancel.

The order of things is what makes it exact: the attempt's folder and the intent (job, attempt, token) are on disk before the
scheduler is asked, the token is part of the job's name, the id is noted right after. Whoever comes after a crash, or after an answer
that may or may not mean "submitted", looks the token up before submitting again.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from jobs.spec import Job
from orchestrator import gates
from orchestrator.errors import RunError, SubmitError
from orchestrator.run import Run
from orchestrator.state import ACTIVE, FAILED, Answer, JobState, Record, reconcile

SETTLE_SECONDS = 5.0
"""An intent younger than this may still be on its way to the scheduler."""
BETWEEN_LOOKS_SECONDS = 2.0
"""Time between the two looks that settle that a token is not there."""


class AmbiguousSubmit(SubmitError):
    """The scheduler's answer leaves open whether the job was submitted."""


class Cluster(Protocol):
    """A scheduler: Slurm, or the one of this machine."""

    trouble: str
    """Why the last question could not be answered; empty if it was."""

    def script(self, job: Job, record: Record, dependencies: Sequence[str]) -> str:
        """The exact text that would be submitted."""

    def submit(self, job: Job, record: Record, dependencies: Sequence[str]) -> str:
        """Submit and return the job id. SubmitError: refused. AmbiguousSubmit: perhaps submitted."""

    def ask_active(self) -> Answer:
        """Queued and running jobs by token; one call whatever their number. None: could not ask."""

    def ask_final(self, since: float) -> Answer:
        """Ended jobs by token; one call. None: could not ask."""

    def cancel(self, job_ids: Sequence[str]) -> None:
        """End these jobs. SubmitError if the scheduler cannot be asked."""

    def look_after(self, records: Sequence[Record]) -> None:
        """See that `orch advance` runs once these active jobs have ended, well or not. Called again it changes nothing."""


def cluster_of(run: Run) -> Cluster:
    """The scheduler that a run was launched on."""
    if run.profile.kind == "local":
        from orchestrator.local import LocalCluster

        return LocalCluster(run)
    from orchestrator.slurm import SlurmCluster

    return SlurmCluster(run)


def update(run: Run, records: Sequence[Record], cluster: Cluster, now: float) -> list[Record]:
    """Ask every source once and weigh the answers. Accounting is asked only if the queue has lost sight of a job.

    With the lock held. Ids that a killed launch had noted, or that the scheduler shows for a token, are taken over here.
    """
    noted = run.journalled()
    records = [dataclasses.replace(r, job_id=r.job_id or noted.get(r.token)) for r in records]
    exits, done = run.exits(records), run.done(records)
    open_ones = [r for r in records if r.token and r.name not in done and r.state not in FAILED]
    if not open_ones:
        return gates.apply(run, reconcile(records, {}, {}, exits, done, now))
    active = cluster.ask_active()
    lost = [r for r in open_ones if active is not None and r.token not in active]
    final: Answer = None
    if any(r.name not in exits or exits[r.name].token != r.token or not exits[r.name].results for r in lost):
        final = cluster.ask_final(min(r.submitted or run.created for r in lost))
    return gates.apply(run, reconcile(records, active, final, exits, done, now))


def refresh(run: Run) -> tuple[list[Record], str]:
    """The records as they are now, saved; and why something is old, if a source could not be asked.

    What a gate has let through since the last look is submitted: results decide, whoever looks first.
    """
    if run.plan.gates:
        try:
            return advance(run)
        except SubmitError as error:
            return run.load(), str(error)
    cluster = cluster_of(run)
    with run.lock():
        records = explain(run, update(run, run.load(), cluster, time.time()))
        run.save(records)
    return records, cluster.trouble


def advance(run: Run, tell: Callable[[str], None] = lambda _: None) -> tuple[list[Record], str]:
    """Look at every gate and submit what they let through, nothing else. SubmitError if that cannot be submitted."""
    cluster = cluster_of(run)
    with run.lock():
        looked = time.time()
        records = settle(run, update(run, run.load(), cluster, looked), cluster)
        return submit_waiting(run, records, cluster, tell, looked, gates.behind(run)), cluster.trouble


def override(run: Run, name: str, runs: bool, reason: str) -> list[str]:
    """Decide for a job or the jobs of a stage in place of their gate, and submit what may run now. Returns what there is to say."""
    cluster, told = cluster_of(run), list[str]()
    with run.lock():
        looked = time.time()
        records = settle(run, update(run, run.load(), cluster, looked), cluster)
        wanted = named(run, [name]) or set()
        told += gates.override(run, records, wanted, runs, reason)
        records = submit_waiting(run, gates.apply(run, records), cluster, told.append, looked, gates.behind(run) | wanted)
    return [*(f"{r.name} {r.state}" + (f": {r.reason}" if r.reason else "") for r in records if r.name in wanted), *told]


def explain(run: Run, records: Sequence[Record]) -> list[Record]:
    """Say of each job that was not submitted, and of each that was cancelled for a dependency, what it waits for or fell with."""
    by_name = {record.name: record for record in records}
    explained = []
    for record in records:
        parents = [by_name[name] for name in run.by_name[record.name].after]
        failed = [parent for parent in parents if parent.state in FAILED]
        if record.state is JobState.WAITING and parents and record.source != gates.SOURCE:
            waits = failed or [parent for parent in parents if parent.state not in (JobState.COMPLETED, JobState.SKIPPED)]
            record = dataclasses.replace(record, reason="; ".join(f"{p.name} {p.state}" for p in waits[:3])
                                         + (f" and {len(waits) - 3} more" if len(waits) > 3 else ""))
        elif record.state is JobState.CANCELLED and failed and not record.host:
            record = dataclasses.replace(record, reason=f"needs {failed[0].name}, which is {failed[0].state}")
        explained.append(record)
    return explained


def submit_eligible(run: Run, tell: Callable[[str], None] = lambda _: None) -> list[Record]:
    """Submit every job that is neither done nor active, parents first; failed ones get a new attempt. Returns all records."""
    return retry(run, None, tell)


def settle(run: Run, records: list[Record], cluster: Cluster) -> list[Record]:
    """Find out about intents without an id: adopted where the scheduler knows the token, open again where two looks say it does not.

    If the scheduler cannot be asked they stay in doubt, and nothing of theirs is submitted.
    """
    def doubtful() -> list[Record]:
        return [r for r in records if r.token and r.job_id is None and r.state in (JobState.UNKNOWN, JobState.PENDING)]

    for _look in range(2):
        if not doubtful():
            return records
        young = max((r.submitted or 0.0) for r in doubtful()) + SETTLE_SECONDS - time.time()
        time.sleep(max(BETWEEN_LOOKS_SECONDS, young))
        active, final = cluster.ask_active(), cluster.ask_final(min(r.submitted or run.created for r in doubtful()))
        if active is None or final is None:
            return [in_doubt(r) if r in doubtful() else r for r in records]
        records = reconcile(records, active, final, run.exits(records), run.done(records), time.time())
    return [dataclasses.replace(r, state=JobState.WAITING, reason="its submission never arrived") if r in doubtful() else r
            for r in records]


def in_doubt(record: Record) -> Record:
    """An intent of which nobody can say whether it was submitted."""
    return dataclasses.replace(record, state=JobState.UNKNOWN, reason="perhaps submitted; the scheduler could not be asked")


def submit_waiting(run: Run, records: list[Record], cluster: Cluster, tell: Callable[[str], None], looked: float,
                   among: set[str] | None = None) -> list[Record]:
    """Write all intents in one save, then submit one by one. With the lock held; ``looked``: when the scheduler was asked.

    ``among``: only these jobs, where not all may be submitted.
    """
    eligible = choose(run, records, looked, among)
    now = time.time()
    records = [intent(run, r, now) if r.name in eligible else r for r in records]
    run.save(explain(run, records))
    by_name = {record.name: record for record in records}
    try:
        for name in [job.name for job in run.plan.jobs if job.name in eligible]:
            record = submit_one(run, cluster, by_name, name)
            by_name[name] = record
            run.journal(record)
            tell(f"submitted {record.name} as {record.job_id}")
    except SubmitError as error:
        ambiguous = isinstance(error, AmbiguousSubmit)
        for name in eligible:
            if by_name[name].job_id is None:
                # Not asked for yet, or refused: open again. The one whose answer was unclear keeps its token and is looked up.
                unclear = ambiguous and name == current(run, by_name, eligible)
                by_name[name] = in_doubt(by_name[name]) if unclear else withdrawn(by_name[name])
        run.save(explain(run, [by_name[r.name] for r in records]))
        raise
    records = explain(run, [by_name[r.name] for r in records])
    run.save(records)
    for awaited in gates.awaited(run, records):
        cluster.look_after(awaited)
    return records


def current(run: Run, by_name: dict[str, Record], eligible: set[str]) -> str:
    """The first job in plan order that has an intent and no id: the one that was being submitted."""
    return next(job.name for job in run.plan.jobs if job.name in eligible and by_name[job.name].job_id is None)


def submit_one(run: Run, cluster: Cluster, by_name: dict[str, Record], name: str) -> Record:
    """Submit one job after its active parents; an unclear answer is looked up at once."""
    job, record = run.by_name[name], by_name[name]
    dependencies = [str(by_name[parent].job_id) for parent in job.after if by_name[parent].state in ACTIVE]
    try:
        job_id = cluster.submit(job, record, dependencies)
    except AmbiguousSubmit:
        (record,) = settle(run, [in_doubt(record)], cluster)
        if record.state is JobState.UNKNOWN:
            raise
        if record.job_id is None:
            job_id = cluster.submit(job, record, dependencies)
        else:
            return record
    return dataclasses.replace(record, job_id=job_id, state=JobState.PENDING, source="orch", seen=time.time(), reason="")


def choose(run: Run, records: Sequence[Record], looked: float, among: set[str] | None = None) -> set[str]:
    """Names of jobs to submit now: not done, not active, not held, each parent done, skipped or seen in the queue since ``looked``.

    An older word on a parent is not enough: Slurm takes afterok on a failed job that it has forgotten, and runs the child.
    """
    chosen: set[str] = set()
    by_name = {record.name: record for record in records}
    known = {r.name for r in records if r.state in (JobState.COMPLETED, JobState.SKIPPED)
             or (r.state in ACTIVE and r.source in ("squeue", "scheduler") and r.seen >= looked)}
    room = len(run.plan.jobs) if run.profile.max_jobs is None else run.profile.max_jobs - sum(r.state in ACTIVE for r in records)
    for job in run.plan.jobs:
        ready = all(parent in chosen or parent in known for parent in job.after)
        free = by_name[job.name].state is JobState.WAITING and by_name[job.name].source != gates.SOURCE
        if free and ready and len(chosen) < room and (among is None or job.name in among):
            chosen.add(job.name)
    return chosen


def intent(run: Run, record: Record, now: float) -> Record:
    """A record that says what is about to be submitted; its attempt's folder is made here.

    An intent that never arrived keeps its attempt and token, so that a late arrival and its repetition share one claim.
    """
    attempt = record.attempt if record.token else record.attempt + 1
    token = run.token(run.by_name[record.name], attempt)
    (run.folder / record.folder / f"attempt-{attempt}").mkdir(parents=True, exist_ok=True)
    return dataclasses.replace(record, attempt=attempt, token=token, job_id=None, state=JobState.PENDING, source="orch", seen=now,
                               submitted=now, started=None, ended=None, exit_code=None, host=None, reason="being submitted")


def withdrawn(record: Record) -> Record:
    """An intent that was not submitted after all; the attempt stays, and is used next time."""
    return dataclasses.replace(record, state=JobState.WAITING, reason="not submitted", submitted=None)


def named(run: Run, names: Iterable[str] | None) -> set[str] | None:
    """Job names from what a person typed: whole names, stages, or a part that only one job has."""
    if not names:
        return None
    found: set[str] = set()
    for name in names:
        fitting = [job.name for job in run.plan.jobs if name in (job.name, job.stage)]
        fitting = fitting or [job.name for job in run.plan.jobs if name in job.name]
        if not fitting:
            raise RunError(f"{run.name} has no job '{name}'; it has: {', '.join(job.name for job in run.plan.jobs[:12])}"
                           + (" ..." if len(run.plan.jobs) > 12 else ""))
        found |= set(fitting)
    return found


def retry(run: Run, names: Iterable[str] | None = None, tell: Callable[[str], None] = lambda _: None) -> list[Record]:
    """Submit failed jobs again (all, or the named ones) and what waits. Training continues from its newest checkpoint."""
    wanted = named(run, names)
    cluster = cluster_of(run)
    with run.lock():
        looked = time.time()
        records = settle(run, update(run, run.load(), cluster, looked), cluster)
        if cluster.trouble:
            tell(f"could not ask: {cluster.trouble}; what depends on jobs that may be active is not submitted now")
        # Naming a job whose fate is unknown is the user's word that it is gone.
        again = {r.name for r in records if (r.state in FAILED and (wanted is None or r.name in wanted))
                 or (r.state is JobState.UNKNOWN and wanted is not None and r.name in wanted)}
        if wanted is not None:
            again |= ancestors_failed(run, records, again)
        records = [dataclasses.replace(r, state=JobState.WAITING, token="", job_id=None, reason="") if r.name in again else r
                   for r in records]
        return submit_waiting(run, records, cluster, tell, looked)


def ancestors_failed(run: Run, records: Sequence[Record], names: set[str]) -> set[str]:
    """Failed jobs that the named ones need; without them a retry could not start."""
    failed = {record.name for record in records if record.state in FAILED}
    found: set[str] = set()
    todo = list(names)
    while todo:
        for parent in run.by_name[todo.pop()].after:
            if parent in failed and parent not in found:
                found.add(parent)
                todo.append(parent)
    return found


def cancel(run: Run, names: Iterable[str] | None = None) -> list[str]:
    """End active jobs (all, or the named ones) and return their names; what is done stays done."""
    wanted = named(run, names)
    cluster = cluster_of(run)
    with run.lock():
        records = update(run, run.load(), cluster, time.time())
        ended = [r for r in records if r.state in ACTIVE and r.job_id and (wanted is None or r.name in wanted)]
        if ended:
            cluster.cancel([str(r.job_id) for r in ended])
        run.save(explain(run, records))
    return [record.name for record in ended]
