"""Submit what is neither done nor active, exactly once; retry and cancel.

The order of things is what makes it exact: the attempt's folder and the intent (job, attempt, token) are on disk before the
scheduler is asked, the token is part of the job's name, the id is noted right after. Whoever comes after a crash, or after an answer
that may or may not mean "submitted", looks the token up before submitting again. Like jobs go as one array (orchestrator/arrays.py).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Protocol

from orchestrator import gates
from orchestrator.arrays import Batch, Waits, make_batches, waits_for
from orchestrator.causes import Kind, cause_of
from orchestrator.errors import RunError, SubmitError
from orchestrator.node_basics import tail
from orchestrator.policy import again, doomed, refusal
from orchestrator.run import Run
from orchestrator.state import (
    ACTIVE,
    FAILED,
    NOWHERE,
    SCHEDULER_SECONDS,
    Answer,
    ExitRecord,
    JobState,
    Record,
    allocation,
    reconcile,
    split_token,
)

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

    def array_size(self) -> int:
        """Most jobs that one array may have; 1 where there are no arrays."""

    def script(self, batch: Batch, waits: Waits) -> str:
        """The exact text that would be submitted."""

    def submit(self, batch: Batch, waits: Waits) -> str:
        """Submit and return the job id. SubmitError: refused. AmbiguousSubmit: perhaps submitted."""

    def ask_active(self) -> Answer:
        """Queued and running jobs by token; one call whatever their number. None: could not ask."""

    def ask_final(self, since: float) -> Answer:
        """Ended jobs by token; one call. None: could not ask."""

    def nudge(self, job_id: str) -> None:
        """Tell a running pack, by SIGUSR1, that one of its members is to end."""

    def hold(self, job_ids: Sequence[str], release: bool = False) -> bool:
        """Keep waiting jobs from starting, or let them go. False if the scheduler cannot be asked."""

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


def update(run: Run, records: Sequence[Record], cluster: Cluster, now: float, thorough: bool = False) -> list[Record]:
    """Ask every source once and weigh the answers. Accounting is asked only if the queue has lost sight of a job.

    With the lock held. Ids that a killed launch had noted, or that the scheduler shows for a token, are taken over here.
    ``thorough``: see that the results of completed jobs are still there, which on a network file system takes seconds for thousands.
    """
    noted = run.journalled()
    records = [dataclasses.replace(r, job_id=noted[r.token]) if r.job_id is None and r.token in noted else r for r in records]
    settled = set() if thorough else {r.name for r in records if r.state is JobState.COMPLETED and r.ended is not None}
    looked_at = [r for r in records if r.name not in settled]
    exits, done = run.exits(looked_at), run.done(looked_at) | settled
    open_ones = [r for r in looked_at if r.token and r.name not in done and r.state not in FAILED]
    if not open_ones:
        weighed = reconcile(records, {}, {}, exits, done, now)
        return gates.apply(run, [with_cause(run, record, exits.get(record.name)) for record in weighed])
    active = cluster.ask_active()
    lost = [r for r in open_ones if active is not None and allocation(r.token) not in active]
    final: Answer = None
    if any(r.name not in exits or exits[r.name].token != r.token or not exits[r.name].results for r in lost):
        final = cluster.ask_final(min(r.submitted or run.created for r in lost))
    # What ended while the scheduler was asked has its files by now.
    exits |= run.exits(lost)
    weighed = reconcile(records, active, final, exits, done | run.done(lost), now)
    fallen = {r.name for r in weighed if r.state in FAILED}
    weighed = weighed if final is None else [never_started(run, record, now, fallen) for record in weighed]
    return gates.apply(run, [with_cause(run, record, exits.get(record.name)) for record in weighed])


def with_cause(run: Run, record: Record, left: ExitRecord | None) -> Record:
    """A failed record with what it died of; its log is read once."""
    if record.state not in FAILED:
        return dataclasses.replace(record, cause="", died_of="") if record.cause else record
    if not record.cause:
        log = [line.decode(errors="replace") for line in tail(run.log(record)) if not line.startswith(b"orch: ")]
        cause = cause_of(record.state, record.reason, left if left is not None and left.token == record.token else None, log)
        died_of = "" if cause.kind in (Kind.UNKNOWN, Kind.CANCELLED) else str(cause)
        record = dataclasses.replace(record, cause=str(cause.kind), died_of=died_of)
    return dataclasses.replace(record, reason=record.died_of) if record.died_of else record


def hold_back(records: list[Record], cluster: Cluster) -> list[Record]:
    """Hold what would die as others of its stage have, and let go what is held for nothing."""
    fates = doomed(records)
    waiting = [r for r in records if r.state is JobState.PENDING and r.job_id]
    for release, wanted in ((False, [r for r in waiting if r.name in fates and not r.held]),
                            (True, [r for r in waiting if r.held and r.name not in fates])):
        if wanted and cluster.hold([str(r.job_id) for r in wanted], release):
            names = {r.name for r in wanted}
            records = [dataclasses.replace(r, held=not release) if r.name in names else r for r in records]
    return [dataclasses.replace(r, reason=fates[r.name])
            if r.name in fates and (r.held or (r.state is JobState.WAITING and r.source != gates.SOURCE)) else r for r in records]


def never_started(run: Run, record: Record, now: float, fallen: Set[str] = frozenset()) -> Record:
    """An element of an array that is cancelled while it waits leaves no trace, neither in squeue nor in sacct.

    One that was in the queue, has been nowhere for a minute, and was never claimed on a node has not run and never will. If a job that it
    waited for is among the ``fallen``, Slurm has cancelled it for that, and there is no minute to wait.
    """
    expected = not fallen.isdisjoint(run.by_name[record.name].waits_for)
    if (record.state is not JobState.UNKNOWN or record.reason != NOWHERE or record.job_id is None or "_" not in record.job_id
            or (now - record.seen < SCHEDULER_SECONDS and not expected) or (run.attempt_folder(record) / "claim.json").exists()):
        return record
    return dataclasses.replace(record, state=JobState.CANCELLED, seen=now, ended=record.seen, reason="left the queue before it started")


def refresh(run: Run, rescan: bool = False) -> tuple[list[Record], str]:
    """The records as they are now, saved; and why something is old, if a source could not be asked.

    What a gate has let through since the last look is submitted: results decide, whoever looks first. ``rescan``: as if the state file
    were lost, from the jobs' folders and the scheduler.
    """
    if run.plan.gates and not rescan:
        try:
            return advance(run)
        except SubmitError as error:
            return run.load(), str(error)
    cluster = cluster_of(run)
    with run.lock():
        records = explain(run, update(run, run.rescanned() if rescan else run.load(), cluster, time.time()))
        records = hold_back(records, cluster)
        run.save(records)
    return records, cluster.trouble


def advance(run: Run, tell: Callable[[str], None] = lambda _: None) -> tuple[list[Record], str]:
    """Look at every gate and submit what they let through, nothing else. SubmitError if that cannot be submitted."""
    cluster = cluster_of(run)
    with run.lock():
        looked = time.time()
        records = settle(run, update(run, run.load(), cluster, looked), cluster)
        records = hold_back(submit_waiting(run, records, cluster, tell, looked, gates.behind(run)), cluster)
        run.save(records)
        return records, cluster.trouble


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
        job = run.by_name[record.name]
        parents = [by_name[name] for name in job.waits_for]
        failed = [parent for parent in parents if parent.state in FAILED]
        if record.state is JobState.WAITING and parents and record.source != gates.SOURCE:
            waits = failed or [parent for parent in parents if parent.state not in (JobState.COMPLETED, JobState.SKIPPED)]
            record = dataclasses.replace(record, reason="; ".join(f"{p.name} {p.state}" for p in waits[:3])
                                         + (f" and {len(waits) - 3} more" if len(waits) > 3 else ""))
        elif record.state is JobState.CANCELLED and failed and not record.host:
            record = dataclasses.replace(record, reason=f"needs {failed[0].name}, which is {failed[0].state}")
        idle = record.state is JobState.CANCELLED or (record.state is JobState.WAITING and record.source != gates.SOURCE)
        if failed and failed[-1].name == job.canary and idle and not record.host:
            record = behind_canary(record, failed[-1])
        explained.append(record)
    return explained


def behind_canary(record: Record, canary: Record) -> Record:
    """A job that was not started because the first of its stage has died: it waits until that one is tried again."""
    told = f"held: the canary {canary.name} is {canary.state}" + (f": {canary.reason}" if canary.reason else "")
    if record.state is JobState.WAITING and not record.token:
        return dataclasses.replace(record, reason=told)
    return dataclasses.replace(record, state=JobState.WAITING, source="orch", token="", job_id=None, reason=told, cause="", died_of="",
                               held=False)


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
        records = with_siblings(reconcile(records, active, final, run.exits(records), run.done(records), time.time()))
    return [dataclasses.replace(r, state=JobState.WAITING, reason="its submission never arrived") if r in doubtful() else r
            for r in records]


def with_siblings(records: list[Record]) -> list[Record]:
    """An array arrives whole: an element that neither queue nor accounting shows has the id of the ones submitted with it."""
    def key(record: Record) -> tuple[str, float | None]:
        return split_token(record.token)[0], record.submitted

    heads = {key(r): split_token(r.job_id)[0] for r in records if r.job_id and r.token != split_token(r.token)[0]}
    return [dataclasses.replace(r, job_id=heads[key(r)] + allocation(r.token).removeprefix(split_token(r.token)[0]))
            if r.job_id is None and key(r) in heads else r for r in records]


def in_doubt(record: Record) -> Record:
    """An intent of which nobody can say whether it was submitted."""
    return dataclasses.replace(record, state=JobState.UNKNOWN, reason="perhaps submitted; the scheduler could not be asked")


def submit_waiting(run: Run, records: list[Record], cluster: Cluster, tell: Callable[[str], None], looked: float,
                   among: set[str] | None = None, named: Set[str] = frozenset()) -> list[Record]:
    """Write all intents in one save, then submit batch by batch. With the lock held.

    Args:
        looked: when the scheduler was asked; ``among``: only these jobs, where not all may be submitted.
        named: jobs to submit even if others of their stage died of what they may die of.
    """
    eligible = choose(run, records, looked, among, set(doomed(records)) - named)
    now = time.time()
    batches = make_batches(run, records, eligible, cluster.array_size()) if eligible else []
    by_name = {record.name: record for record in records}
    for batch in batches:
        run.prepare(batch.jobs, batch.records)
        by_name.update((record.name, intent(record, now)) for record in batch.records)
    run.save(explain(run, list(by_name.values())))
    done = 0
    try:
        for batch in batches:
            submitted = submit_batch(run, cluster, by_name, batch)
            by_name.update((record.name, record) for record in submitted)
            run.journal(submitted)
            done += 1
            tell(told(batch, submitted))
    except SubmitError as error:
        # Not asked for yet, or refused: open again. Those whose answer was unclear keep their tokens and are looked up.
        for place, batch in enumerate(batches[done:]):
            unclear = isinstance(error, AmbiguousSubmit) and place == 0
            by_name.update((r.name, (in_doubt if unclear else withdrawn)(by_name[r.name])) for r in batch.records)
        run.save(explain(run, list(by_name.values())))
        raise
    records = explain(run, list(by_name.values()))
    run.save(records)
    for awaited in gates.awaited(run, records):
        cluster.look_after(awaited)
    return records


def told(batch: Batch, submitted: Sequence[Record]) -> str:
    """One line on what was submitted, and as what."""
    job_id = split_token(str(submitted[0].job_id))[0]
    return f"submitted {batch.title} as {job_id}" + (f", an array of {len(batch.indexes)}" if batch.indexes else "")


def submit_batch(run: Run, cluster: Cluster, by_name: dict[str, Record], batch: Batch) -> list[Record]:
    """Submit one batch after its active parents; an unclear answer is looked up at once."""
    waits = waits_for(batch, by_name)
    records = [by_name[record.name] for record in batch.records]
    try:
        job_id = cluster.submit(batch, waits)
    except AmbiguousSubmit:
        records = settle(run, [in_doubt(record) for record in records], cluster)
        if any(record.state is JobState.UNKNOWN and record.job_id is None for record in records):
            raise
        if any(record.job_id is not None for record in records):
            return records
        job_id = cluster.submit(batch, waits)
    return [dataclasses.replace(record, job_id=own, state=JobState.PENDING, source="orch", seen=time.time(), reason="")
            for record, own in zip(records, batch.ids(job_id), strict=True)]


def choose(run: Run, records: Sequence[Record], looked: float, among: set[str] | None = None, held: Set[str] = frozenset()) -> set[str]:
    """Names of jobs to submit now: not done, not active, not held, each parent done, skipped or seen in the queue since ``looked``.

    An older word on a parent is not enough: Slurm takes afterok on a failed job that it has forgotten, and runs the child.
    """
    chosen: set[str] = set()
    by_name = {record.name: record for record in records}
    known = {r.name for r in records if r.state in (JobState.COMPLETED, JobState.SKIPPED)
             or (r.state in ACTIVE and r.source in ("squeue", "scheduler") and r.seen >= looked)}
    room = len(run.plan.jobs) if run.profile.max_jobs is None else run.profile.max_jobs - sum(r.state in ACTIVE for r in records)
    for job in run.plan.jobs:
        ready = all(parent in chosen or parent in known for parent in job.waits_for)
        free = by_name[job.name].state is JobState.WAITING and by_name[job.name].source != gates.SOURCE and job.name not in held
        if free and ready and len(chosen) < room and (among is None or job.name in among):
            chosen.add(job.name)
    return chosen


def intent(record: Record, now: float) -> Record:
    """A record that says what is about to be submitted."""
    return dataclasses.replace(record, job_id=None, state=JobState.PENDING, source="orch", seen=now, submitted=now, started=None,
                               ended=None, exit_code=None, host=None, reason="being submitted", cause="", died_of="", held=False)


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
        records = settle(run, update(run, run.load(), cluster, looked, thorough=True), cluster)
        if cluster.trouble:
            tell(f"could not ask: {cluster.trouble}; what depends on jobs that may be active is not submitted now")
        chosen = {r.name for r in records if r.state in FAILED and (wanted is None or r.name in wanted)}
        if wanted is None:
            chosen -= refused(run, records, chosen, tell)
        else:
            # Naming a job whose fate is unknown is the user's word that it is gone; naming any, that it is worth another attempt.
            chosen |= {r.name for r in records if r.state is JobState.UNKNOWN and r.name in wanted}
            chosen |= ancestors_failed(run, records, chosen)
        records = [again(run.by_name[r.name], r, run.profile) if r.name in chosen else r for r in records]
        records = submit_waiting(run, records, cluster, tell, looked, named=chosen)
        records = hold_back(records, cluster)
        run.save(records)
        return records


def refused(run: Run, records: Sequence[Record], names: set[str], tell: Callable[[str], None]) -> set[str]:
    """Those of the named jobs that another attempt would not help; says which, and why."""
    exits = run.exits(r for r in records if r.name in names)
    found = set()
    for record in (r for r in records if r.name in names):
        left = exits.get(record.name)
        why_not = refusal(run.by_name[record.name], record, run.profile, left.resources if left is not None else None)
        if why_not:
            tell(f"not submitted again: {why_not}; orch retry --job {record.name} does it all the same")
            found.add(record.name)
    return found


def ancestors_failed(run: Run, records: Sequence[Record], names: set[str]) -> set[str]:
    """Failed jobs that the named ones need; without them a retry could not start."""
    failed = {record.name for record in records if record.state in FAILED}
    found: set[str] = set()
    todo = list(names)
    while todo:
        for parent in run.by_name[todo.pop()].waits_for:
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
        names = {r.name for r in ended}
        neighbours = {r.job_id for r in records if r.state in ACTIVE and "+" in r.token and r.name not in names}
        whole = [r for r in ended if r.job_id not in neighbours]
        if whole:
            cluster.cancel([str(r.job_id) for r in whole])
        # Of an element that was waiting Slurm keeps no record: what became of it is known now or never.
        gone = {r.name for r in whole if r.state is JobState.PENDING and "_" in r.token}
        gone |= {r.name for r in ended if r.job_id in neighbours and run.end_member(r)}
        for job_id in {str(r.job_id) for r in ended if r.job_id in neighbours and r.name not in gone}:
            cluster.nudge(job_id)
        records = [dataclasses.replace(r, state=JobState.CANCELLED, source="orch", seen=time.time(), ended=time.time(), reason="cancelled")
                   if r.name in gone else r for r in records]
        run.save(explain(run, records))
    return [record.name for record in ended]
