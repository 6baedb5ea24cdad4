"""Submit what is neither done nor active, exactly once.

The order of things is what makes it exact: the attempt's folder and the intent (job, attempt, token) are on disk before the
scheduler is asked, the token is part of the job's name, the id is noted right after. Whoever comes after a crash, or after an answer
that may or may not mean "submitted", looks the token up before submitting again. Like jobs go as one array (orchestrator/arrays.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence, Set

from msgspec.structs import replace

from orchestrator import backlog, gates, notify
from orchestrator.arrays import Batch, make_batches, waits_for
from orchestrator.attempts import prepare
from orchestrator.cluster import AmbiguousSubmit, Cluster, NoRoom, cluster_of
from orchestrator.errors import RunError, SubmitError
from orchestrator.look import cut_off, explain, hold_back, in_doubt, settle, update
from orchestrator.policy import again, doomed, refusal
from orchestrator.run import Run
from orchestrator.state import ACTIVE, FAILED, JobState, Record, split_token, unchanged

SAW_IT = frozenset({"squeue", "scheduler", "orch"})
"""Sources that say of an active job with an id that the scheduler knows it; orch is one right after it has submitted it."""


def refresh(run: Run, rescan: bool = False) -> tuple[list[Record], str]:
    """The records as they are now, saved; and why something is old, if a source could not be asked.

    What a gate or a limit has let through since the last look, and what a killed process had begun to submit, is submitted: whoever looks
    first. ``rescan``: as if the state file were lost, from the jobs' folders and the scheduler.
    """
    cluster = cluster_of(run)
    with run.lock():
        before = run.rescanned() if rescan else run.load()
        records = hold_back(explain(run, update(run, before, cluster, time.time(), shared=not rescan)), cluster)
        if not rescan and due(run, records, cluster):
            try:
                records = go_on(run, records, cluster, lambda _: None, time.time())
            except SubmitError as error:
                return run.load(), str(error)
        if not unchanged(before, records) or not (run.folder / "state.json").exists():
            run.save(records)
        watch_over(run, records, cluster)
    notify.look(run, records)
    return records, cluster.trouble


def due(run: Run, records: Sequence[Record], cluster: Cluster) -> bool:
    """Whether there is something to submit without being asked to, as far as a look that may be seconds old can tell."""
    if cut_off(records):
        return not cluster.trouble
    among = gates.behind(run) | backlog.waiting(records)
    return bool(among and choose(run, records, 0.0, among, set(doomed(records)), backlog.room(run, records, cluster)))


def go_on(run: Run, records: list[Record], cluster: Cluster, tell: Callable[[str], None], looked: float) -> list[Record]:
    """Look anew, and submit what gates and limits let through and what a killed process had begun to. With the lock held."""
    records = update(run, records, cluster, looked)
    begun = cut_off(records)
    records = settle(run, records, cluster)
    among = gates.behind(run) | backlog.waiting(records) | begun
    return hold_back(submit_waiting(run, records, cluster, tell, looked, among), cluster)


def advance(run: Run, tell: Callable[[str], None] = lambda _: None) -> tuple[list[Record], str]:
    """Look at every gate and limit and submit what they let through. SubmitError if that cannot be submitted."""
    cluster = cluster_of(run)
    with run.lock():
        records = go_on(run, run.load(), cluster, tell, time.time())
        run.save(records)
    notify.look(run, records)
    return records, cluster.trouble


def watch_over(run: Run, records: Sequence[Record], cluster: Cluster) -> None:
    """See that somebody looks when the jobs have ended that gates judge, or one that makes room for the backlog."""
    for awaited in gates.awaited(run, records):
        cluster.look_after(awaited)
    if backlog.waiting(records):
        cluster.look_again([record for record in records if record.state in ACTIVE and record.job_id])


def submit_eligible(run: Run, tell: Callable[[str], None] = lambda _: None) -> list[Record]:
    """Submit every job that is neither done nor active, parents first; failed ones get a new attempt. Returns all records."""
    return retry(run, None, tell)


def submit_waiting(run: Run, records: list[Record], cluster: Cluster, tell: Callable[[str], None], looked: float,
                   among: set[str] | None = None, named: Set[str] = frozenset()) -> list[Record]:
    """Submit what may be submitted and has room; what has none goes into the backlog. With the lock held.

    Args:
        looked: when the scheduler was asked; ``among``: only these jobs, where not all may be submitted.
        named: jobs to submit even if others of their stage died of what they may die of.
    """
    held = set(doomed(records)) - named
    room = backlog.room(run, records, cluster)
    while True:
        chosen = choose(run, records, looked, among, held, room)
        records, refusal = submit_chosen(run, records, chosen, cluster, tell)
        if refusal is None:
            break
        room = backlog.after_refusal(run, cluster, refusal)
    records = backlog.marked(run, records, choose(run, records, looked, among, held))
    records = explain(run, records)
    run.save(records)
    watch_over(run, records, cluster)
    for awaited in notify.awaited(run, records) if chosen else []:
        cluster.look_after(awaited)
    return records


def submit_chosen(run: Run, records: Sequence[Record], chosen: set[str], cluster: Cluster,
                  tell: Callable[[str], None]) -> tuple[list[Record], NoRoom | None]:
    """Write all intents in one save, then submit batch by batch. Where there is no room the rest stays as it was; returns that refusal."""
    now = time.time()
    batches = make_batches(run, records, chosen, cluster.array_size()) if chosen else []
    before = {record.name: record for record in records}
    by_name = dict(before)
    for batch in batches:
        prepare(run, batch.jobs, batch.records)
        by_name.update((record.name, intent(record, now)) for record in batch.records)
    if batches:
        run.save(explain(run, list(by_name.values())))
    done = 0
    try:
        for batch in batches:
            submitted = submit_batch(run, cluster, by_name, batch)
            by_name.update((record.name, record) for record in submitted)
            run.journal(submitted)
            done += 1
            tell(told(batch, submitted))
    except NoRoom as refusal:
        by_name.update((r.name, before[r.name]) for batch in batches[done:] for r in batch.records)
        run.save(explain(run, list(by_name.values())))
        return list(by_name.values()), refusal
    except SubmitError as error:
        # Not asked for yet, or refused: open again. Those whose answer was unclear keep their tokens and are looked up.
        for place, batch in enumerate(batches[done:]):
            unclear = isinstance(error, AmbiguousSubmit) and place == 0
            by_name.update((r.name, (in_doubt if unclear else withdrawn)(by_name[r.name])) for r in batch.records)
        run.save(explain(run, list(by_name.values())))
        raise
    return list(by_name.values()), None


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
        try:
            job_id = cluster.submit(batch, waits)
        except NoRoom as error:
            raise SubmitError(*error.lines) from error  # the token is kept: the first try might still arrive
    return [replace(record, job_id=own, state=JobState.PENDING, source="orch", seen=time.time(), reason="")
            for record, own in zip(records, batch.ids(job_id), strict=True)]


def choose(run: Run, records: Sequence[Record], looked: float, among: set[str] | None = None, held: Set[str] = frozenset(),
           room: int | None = None) -> set[str]:
    """Names of jobs to submit now, not more than fit into ``room`` allocations.

    They are not done, not active, not held, and each parent is done, skipped or active since ``looked``. An older word on a parent
    is not enough: Slurm takes afterok on a failed job that it has forgotten, and runs the child.
    """
    chosen: set[str] = set()
    by_name = {record.name: record for record in records}
    known = {r.name for r in records if r.state in (JobState.COMPLETED, JobState.SKIPPED)
             or (r.state in ACTIVE and r.job_id is not None and r.source in SAW_IT and r.seen >= looked)}
    taken = backlog.Allocations(by_name)
    for job in run.plan.jobs:
        ready = all(parent in chosen or parent in known for parent in job.waits_for)
        free = by_name[job.name].state is JobState.WAITING and by_name[job.name].source != gates.SOURCE and job.name not in held
        if not (free and ready and (among is None or job.name in among)):
            continue
        if room is not None:
            if taken.count >= room and taken.opens(job):
                break
            taken.add(job)
        chosen.add(job.name)
    return chosen


def intent(record: Record, now: float) -> Record:
    """A record that says what is about to be submitted."""
    return replace(record, job_id=None, state=JobState.PENDING, source="orch", seen=now, submitted=now, started=None,
                               ended=None, exit_code=None, host=None, reason="being submitted", cause="", died_of="", held=False)


def withdrawn(record: Record) -> Record:
    """An intent that was not submitted after all; the attempt stays, and is used next time."""
    return replace(record, state=JobState.WAITING, reason="not submitted", submitted=None)


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


def retry(run: Run, names: Sequence[str] | None = None, tell: Callable[[str], None] = lambda _: None) -> list[Record]:
    """Submit failed jobs again (all, or the named ones) and what waits. Training continues from its newest checkpoint."""
    wanted = named(run, names)
    cluster = cluster_of(run)
    with run.lock():
        looked = time.time()
        backlog.forget(run)
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
            for record in (r for r in records if r.name in (names or ()) and r.name not in chosen):
                tell(f"not submitted again: {record.name} is {record.state}")
        # One that was cancelled behind a gate waits for the gate again.
        records = gates.apply(run, [again(run.by_name[r.name], r, run.profile) if r.name in chosen else r for r in records])
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
