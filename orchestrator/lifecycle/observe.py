"""Ask every source once what has become of a run's jobs.

In go the records as they were saved; out come an ``Observation`` (the answers, nothing decided)
and, by ``as_observed``, the records as the answers make them. Every pass over a run begins here
(orchestrator/lifecycle/refresh.py). ``resolve`` asks again about submissions of which nobody knows
whether they arrived.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from msgspec.structs import replace

from orchestrator.clusters.base import Cluster
from orchestrator.lifecycle import gates, queue_limits
from orchestrator.lifecycle.bounds import budget
from orchestrator.lifecycle.decided import rounds
from orchestrator.lifecycle.failure_causes import with_cause
from orchestrator.lifecycle.retry_policy import Past, may_grow
from orchestrator.lifecycle.reused.records import found_taken
from orchestrator.node.redaction import redacted_output
from orchestrator.node.system import last_step, tail
from orchestrator.runs.reconcile import reconcile
from orchestrator.runs.record import FAILED, Doubt, JobId, JobState, Record
from orchestrator.runs.rules import is_recent
from orchestrator.runs.run import Run
from orchestrator.runs.sources import Answer, ExitRecord

SETTLE_SECONDS = 5.0
"""An intent younger than this may still be on its way to the scheduler."""
BETWEEN_POLLS_SECONDS = 2.0
"""Time between the two polls that decide that a token is not there."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What every source said at one moment; by job name, where nothing else is said."""

    now: float
    """When the sources were asked, in Unix seconds."""
    fresh: bool = True
    """Whether the scheduler was asked by this pass. A shared answer, a few seconds old, will do to
    show a run; nothing may be submitted on the strength of it."""
    journal: Mapping[str, str] = field(default_factory=dict)
    """Job ids by token that a killed launch had noted and not saved."""
    queue: Answer = None
    """Queued and running jobs by token; None: could not be asked."""
    accounting: Answer = None
    """Ended jobs by token; None: could not be asked, or there was no need to."""
    exits: Mapping[str, ExitRecord] = field(default_factory=dict)
    """Exit records of the newest attempts."""
    done: Set[str] = frozenset()
    """Jobs whose results are complete."""
    closed: Set[str] = frozenset()
    """Of these, the jobs whose records are complete too: nothing more is read of them."""
    claimed: Set[str] = frozenset()
    """Jobs that are nowhere, but have started on a node once."""
    logs: Mapping[str, Sequence[bytes]] = field(default_factory=dict)
    """The last lines of the logs of jobs that may have failed since the last pass."""
    pasts: Mapping[str, Past] = field(default_factory=dict)
    """Of jobs that may have failed, in a run whose jobs are submitted again by themselves."""
    spent: Mapping[str, budget.Spent] = field(default_factory=dict)
    """Of jobs with GPUs, in a run with a budget."""
    gates: gates.Inputs = field(default_factory=gates.Inputs)
    """What the gates judge, and what a person decided in their place."""
    rounds: rounds.Inputs = field(default_factory=rounds.Inputs)
    """What searches have drawn, and the results that the next points are drawn by."""
    room: int | None = None
    """How many allocations may be submitted now; None: no limit is known."""
    limits: str = ""
    """The limits on queued jobs, as the reason of a job that waits for room."""


def observe(
    run: Run,
    records: Sequence[Record],
    cluster: Cluster,
    thorough: bool = False,
    shared: bool = False,
    accounting: bool = False,
) -> Observation:
    """Ask every source once. With the lock held.

    Args:
        thorough: see that results are still there; for thousands of jobs that takes long on NFS.
        shared: what the scheduler told another process a few seconds ago will do.
        accounting: ask it in any case; else only if a job is missing from the queue.
    """
    now, closed = time.time(), frozenset[str]() if thorough else closed_jobs(records)
    expected = [r for r in records if r.token and r.name not in closed and r.state not in FAILED]
    ask_queue = expected or queue_limits.may_matter(run, records, thorough)
    queue = cluster.ask_active(shared) if ask_queue else {}
    changed = records if thorough else [r for r in records if not waits_as_before(r, queue)]
    to_read = [r for r in changed if r.name not in closed]
    exits, done = run.exits(to_read), run.done(to_read) | closed
    missing = [r for r in expected if r.name not in done and is_missing(r, queue)]
    unexplained = [r for r in missing if not has_ended_well(r, exits)]
    need_accounting = expected if accounting else unexplained
    seen = Observation(
        now=now,
        fresh=not shared,
        journal=run.journalled(),
        queue=queue,
        accounting=ask_accounting(run, cluster, need_accounting, missing, shared),
        # Read last: what ended while the scheduler was asked has its files by now.
        exits=exits | run.exits(missing),
        done=done | run.done(missing),
        closed=closed,
        gates=gates.read_inputs(run, records),
        rounds=rounds.read_inputs(run),
        room=queue_limits.room(run, records, cluster),
        limits=queue_limits.reason(run),
    )
    return with_pasts(run, with_logs(run, seen, to_read, missing), records, to_read, cluster)


def with_pasts(
    run: Run,
    seen: Observation,
    records: Sequence[Record],
    to_read: Sequence[Record],
    cluster: Cluster,
) -> Observation:
    """An observation with what jobs have spent, and with what files and scheduler say to whether
    those that have failed are submitted again by themselves."""
    spent = budget.read_spent(run, records, to_read, seen.now)
    seen = dataclasses.replace(seen, spent=spent) if spent else seen
    if not run.plan.retry:
        return seen
    largest: dict[str, dict[str, int] | None] = {}
    found = {}
    for record in to_read:
        if record.state not in FAILED and not may_have_failed(record, seen):
            continue
        exit_record = seen.exits.get(record.name)
        own = exit_record is not None and exit_record.token == record.token
        restarts = exit_record.restart if exit_record is not None and own else record.restarts
        starts = [run.exit_file(record).with_name(f"exit-{n}.json") for n in range(restarts)]
        # Asked once for all jobs of a stage, and not for those that ask for no more next time.
        if may_grow(record) and record.stage not in largest:
            largest[record.stage] = cluster.largest(run.by_name[record.name])
        found[record.name] = Past(
            step=last_step(str(run.out_folder(record))),
            lost=sum(not path.exists() for path in starts),
            largest=largest.get(record.stage, {}),
        )
    return dataclasses.replace(seen, pasts=found)


def look_at_copy(run: Run) -> list[Record]:
    """The records of a copy, by its files alone. No scheduler is asked: whether what ran over there
    still does cannot be known here."""
    before = run.load()
    exits = run.exits(before)
    # Results that exit records and earlier looks tell of may not have come along yet.
    ended_well = {record.name for record in before if has_ended_well(record, exits)}
    known_done = {record.name for record in before if record.state is JobState.COMPLETED}
    seen = Observation(
        now=run.now(),
        fresh=False,
        journal=run.journalled(),
        exits=exits,
        done=run.done(before) | ended_well | known_done,
    )
    logs = {r.name: tail(run.log(r)) for r in before if may_have_failed(r, seen)}
    return as_observed(run, before, dataclasses.replace(seen, logs=logs))


def with_logs(
    run: Run, seen: Observation, to_read: Sequence[Record], missing_from_queue: Sequence[Record]
) -> Observation:
    """An observation with the logs of jobs that may have failed, and with which of those that are
    missing from the queue have ever started."""
    # While accounting has not answered, a job that left the queue may simply have ended.
    maybe_nowhere = missing_from_queue if seen.accounting is not None else []
    return dataclasses.replace(
        seen,
        claimed=frozenset(r.name for r in maybe_nowhere if run.is_claimed(r)),
        logs={
            r.name: tail(run.log_of_death(r, seen.exits.get(r.name)))
            for r in to_read
            if may_have_failed(r, seen)
        },
    )


def ask_accounting(
    run: Run,
    cluster: Cluster,
    need_accounting: Sequence[Record],
    missing_from_queue: Sequence[Record],
    shared: bool,
) -> Answer:
    """What accounting says of the jobs that have ended since the first of all these was submitted;
    None if no job needs it."""
    if not need_accounting:
        return None
    asked_for = [*missing_from_queue, *need_accounting]
    since = min(record.submitted or run.created for record in asked_for)
    return cluster.ask_final(since, shared)


def closed_jobs(records: Sequence[Record]) -> frozenset[str]:
    """Names of completed jobs of which everything is known."""
    return frozenset(
        r.name for r in records if r.state is JobState.COMPLETED and r.ended is not None
    )


def waits_as_before(record: Record, queue: Answer) -> bool:
    """Whether a job waits in the queue as it did at the last poll. It has left no files since, and
    on NFS looking for them takes long."""
    queued = queue.get(record.allocation) if queue else None
    return (
        record.state is JobState.PENDING
        # The reason of a requeued job quotes the exit record of its start before, so that is read.
        and record.restarts == 0
        and queued is not None
        and queued.state is JobState.PENDING
    )


def is_missing(record: Record, queue: Answer) -> bool:
    """Whether the queue was asked and does not show the job."""
    return queue is not None and record.allocation not in queue


def has_ended_well(record: Record, exits: Mapping[str, ExitRecord]) -> bool:
    """Whether the newest attempt's own exit record says that there are results."""
    exit_record = exits.get(record.name)
    return exit_record is not None and exit_record.token == record.token and exit_record.results


def may_have_failed(record: Record, seen: Observation) -> bool:
    """Whether the log of a job is worth reading: it has no results, and nobody has said yet why
    it failed, if it did."""
    if record.cause or record.name in seen.done:
        return False
    if record.state in FAILED:
        return True
    if not record.token:
        return False
    # Whatever the queue shows: it was asked before the exit record was looked for, and shows the
    # allocation of a pack, which goes on when one of its members has failed.
    exit_record = seen.exits.get(record.name)
    if exit_record is not None and exit_record.token == record.token:
        return True
    in_queue = seen.queue is not None and record.allocation in seen.queue
    return not in_queue and bool(seen.accounting and record.allocation in seen.accounting)


def as_observed(run: Run, records: Sequence[Record], seen: Observation) -> list[Record]:
    """The records as the sources make them. Pure.

    Ids that a killed launch had noted, or that the scheduler shows for a token, are taken over
    here; what has failed says why.
    """
    noted = [with_noted_id(record, seen.journal) for record in records]
    open_ones = [record for record in noted if record.name not in seen.closed]
    weighed = reconcile(
        open_ones, seen.queue, seen.accounting, seen.exits, set(seen.done), seen.now
    )
    # That a job is nowhere is known only if accounting was asked too.
    if seen.accounting is not None:
        failed = {record.name for record in weighed if record.state in FAILED}
        weighed = [as_never_started(run, record, seen, failed) for record in weighed]
    reasons = {record.name: (record.reason, record.died_of) for record in records}
    now_known = {}
    for record in weighed:
        name = record.name
        found = with_cause(record, seen.exits.get(name), seen.logs.get(name, ()))
        if (found.reason, found.died_of) != reasons[name]:
            # Both may quote a key that the job has printed.
            reason, died_of = map(redacted_output, (found.reason, found.died_of))
            found = replace(found, reason=reason, died_of=died_of)
        now_known[name] = found
    return [found_taken(run, now_known.get(record.name, record)) for record in noted]


def with_noted_id(record: Record, journal: Mapping[str, str]) -> Record:
    """A record with the id that a launch had noted before it was killed."""
    if record.job_id is None and record.token in journal:
        return replace(record, job_id=journal[record.token])
    return record


def as_never_started(run: Run, record: Record, seen: Observation, failed: Set[str]) -> Record:
    """An element of an array that is cancelled while it waits leaves no trace, neither in squeue
    nor in sacct.

    One that was in the queue, has been nowhere for a minute, and was never claimed on a node has
    not run and never will. If a job that it waited for is among the ``failed``, Slurm has cancelled
    it for that, and there is no minute to wait.
    """
    if record.doubt is not Doubt.NOWHERE or record.job_id is None:
        return record
    # A single job that is cancelled while it waits has a row in sacct; only elements lose theirs.
    in_array = JobId.parse(record.job_id).index is not None
    if not in_array or record.name in seen.claimed:
        return record
    expected = not failed.isdisjoint(run.by_name[record.name].waits_for)
    if is_recent(record.seen, seen.now) and not expected:
        return record
    return replace(
        record,
        state=JobState.CANCELLED,
        seen=seen.now,
        # When it was cancelled is noted nowhere; this is when the queue showed it last.
        ended=record.seen,
        reason="left the queue before it started",
        doubt=None,
    )


def resolve(
    run: Run, records: list[Record], cluster: Cluster, seen: Observation
) -> tuple[list[Record], Observation]:
    """Find out about intents without an id: adopted where the scheduler knows the token, open again
    where two polls say it does not. Returns the newest observation too.

    If the scheduler cannot be asked they stay in doubt, and nothing of theirs is submitted.
    """
    # Twice, because an sbatch whose client was killed or lost its connection may still be taken:
    # one empty answer does not prove that nothing will come.
    for _poll in range(2):
        intents = [record for record in records if is_intent(record)]
        if not intents:
            return records, seen
        youngest = max(record.submitted or 0.0 for record in intents)
        time.sleep(max(BETWEEN_POLLS_SECONDS, SETTLE_SECONDS - max(0.0, time.time() - youngest)))
        # Accounting too: a short job may have run and left the queue by now.
        seen = observe(run, records, cluster, accounting=True)
        if seen.queue is None or seen.accounting is None:
            return [as_in_doubt(r) if is_intent(r) else r for r in records], seen
        records = with_siblings(as_observed(run, records, seen))
    return [as_never_arrived(r) if is_intent(r) else r for r in records], seen


def is_intent(record: Record) -> bool:
    """Whether it is on disk that the job is to be submitted, and nobody has noted an id for it."""
    return (
        bool(record.token)
        and record.job_id is None
        # PENDING was written just before sbatch; UNKNOWN was in doubt at an earlier pass, or is
        # rebuilt from folders.
        and record.state in (JobState.UNKNOWN, JobState.PENDING)
    )


def interrupted_submissions(records: Sequence[Record]) -> set[str]:
    """Names of jobs that an orch process was submitting when it was killed. Not those rebuilt from
    folders (Doubt.REBUILT): they may be old."""
    return {
        record.name for record in records if is_intent(record) and record.doubt is not Doubt.REBUILT
    }


def with_siblings(records: list[Record]) -> list[Record]:
    """An array arrives whole: an element that neither queue nor accounting shows has the id of the
    ones submitted with it."""
    # {("a1b2c3d4e5", 1700000000.0): "17"}. The time belongs to the key because an element that is
    # submitted again keeps its token, in an array with another id.
    heads = {
        (r.parsed_token.head, r.submitted): JobId.parse(r.job_id).head
        for r in records
        if r.job_id and r.token != r.parsed_token.head
    }
    return [with_id_of_array(record, heads) for record in records]


def with_id_of_array(record: Record, heads: Mapping[tuple[str, float | None], str]) -> Record:
    """A record without an id with that of its array, if the array has arrived."""
    if record.job_id is not None:
        return record
    token = record.parsed_token
    head = heads.get((token.head, record.submitted))
    if head is None:
        return record
    return replace(record, job_id=head if token.index is None else f"{head}_{token.index}")


def as_in_doubt(record: Record) -> Record:
    """An intent of which nobody can say whether it was submitted."""
    return replace(
        record,
        state=JobState.UNKNOWN,
        reason="perhaps submitted; the scheduler could not be asked",
        doubt=Doubt.AMBIGUOUS,
    )


def as_never_arrived(record: Record) -> Record:
    """An intent that two polls have not found: it may be submitted again, under the same token."""
    return replace(
        record, state=JobState.WAITING, reason="its submission never arrived", doubt=None
    )
