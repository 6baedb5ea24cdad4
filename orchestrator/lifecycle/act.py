"""Carry out what a pass has decided: the only side that submits, holds and releases jobs.

What makes a submission exactly-once is the order of things: the attempt's folder and the intent
(job, attempt, token) are on disk before the scheduler is asked, the token is part of the job's
name, the id is noted right after. Whoever comes after a crash, or after an answer that may or may
not mean "submitted", looks the token up before submitting again. Like jobs go as one array
(orchestrator/lifecycle/batching.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.batch import Batch
from orchestrator.errors import AmbiguousSubmit, NoRoom, SubmitError
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.batching import make_batches, waits_for
from orchestrator.lifecycle.decide import Decision, Passes, described, holds
from orchestrator.lifecycle.observe import Observation, as_in_doubt, is_intent, resolve
from orchestrator.runs.attempts import prepare
from orchestrator.runs.record import JobId, JobState, Record
from orchestrator.runs.run import Run

Tell = Callable[[str], None]
"""Takes a line for the person who called."""


def carry_out(
    run: Run, cluster: Cluster, decision: Decision, tell: Tell
) -> tuple[list[Record], NoRoom | None]:
    """Keep what the gates say, and submit. Where there is no room the rest stays as it was; returns
    that refusal.

    SubmitError, with the state saved, if the scheduler refuses for another reason.
    """
    # First, because a job that can do without a skipped one looks for its skipped.json.
    gates.write(run, decision.records, decision.gates, decision.choices)
    if not decision.submit:
        return decision.records, None
    batches = make_batches(run, decision.records, set(decision.submit), cluster.array_size())
    current = {record.name: record for record in decision.records}
    intents = written_intents(run, current, batches)
    submitted = 0
    try:
        for batch in batches:
            records = submit_batch(run, cluster, intents, batch)
            intents.update((record.name, record) for record in records)
            run.journal(records)
            submitted += 1
            tell(submission_line(batch, records))
    except NoRoom as refusal:
        for batch in batches[submitted:]:
            # sbatch has said that it took none of them: back to the records before, without tokens.
            intents.update((r.name, current[r.name]) for r in batch.records)
        run.save(described(run, list(intents.values())))
        return list(intents.values()), refusal
    except SubmitError as error:
        unclear = isinstance(error, AmbiguousSubmit)
        for batch in batches[submitted:]:
            # Only the batch being submitted when the error came can be in doubt; later ones were
            # never sent. What is in doubt keeps its token and is looked up.
            after_error = as_in_doubt if unclear else as_withdrawn
            intents.update((r.name, after_error(intents[r.name])) for r in batch.records)
            unclear = False
        run.save(described(run, list(intents.values())))
        raise
    return list(intents.values()), None


def written_intents(
    run: Run, current: dict[str, Record], batches: Sequence[Batch]
) -> dict[str, Record]:
    """All records by name, those of the batches as intents, saved in one write; the folders of the
    attempts are there."""
    # One time for all batches. Submissions of the same token at different times are told apart by
    # it (observe.with_siblings).
    now = time.time()
    intents = dict(current)
    for batch in batches:
        prepare(run, batch.jobs, batch.records)
        intents.update((record.name, as_intent(record, now)) for record in batch.records)
    run.save(described(run, list(intents.values())))
    return intents


def submission_line(batch: Batch, submitted: Sequence[Record]) -> str:
    """One line on what was submitted, and as what."""
    job_id = JobId.parse(str(submitted[0].job_id)).head
    array = f", an array of {len(batch.indexes)}" if batch.indexes else ""
    return f"submitted {batch.title} as {job_id}{array}"


def submit_batch(
    run: Run, cluster: Cluster, by_name: dict[str, Record], batch: Batch
) -> list[Record]:
    """Submit one batch after its active parents; an unclear answer is looked up at once."""
    waits = waits_for(batch, by_name)
    records = [by_name[record.name] for record in batch.records]
    try:
        job_id = cluster.submit(batch, waits)
    except AmbiguousSubmit:
        # Three outcomes: the scheduler cannot be asked, and the error stands; it knows the token,
        # and the job is adopted; or it does not, and the batch is submitted once more under this
        # token, so that a late first arrival would find the attempts claimed.
        unclear = [as_in_doubt(record) for record in records]
        records, _ = resolve(run, unclear, cluster, Observation(now=time.time()))
        if any(record.state is JobState.UNKNOWN and is_intent(record) for record in records):
            raise
        if any(record.job_id is not None for record in records):
            return records
        try:
            job_id = cluster.submit(batch, waits)
        except NoRoom as error:
            # The first try might still arrive, under its token; as NoRoom it would lose the token.
            raise SubmitError(*error.lines) from error
    ids = batch.ids(job_id)
    return [as_queued(record, own) for record, own in zip(records, ids, strict=True)]


def as_intent(record: Record, now: float) -> Record:
    """A record that says what is about to be submitted."""
    return replace(
        record,
        job_id=None,
        state=JobState.PENDING,
        source="orch",
        seen=now,
        submitted=now,
        started=None,
        ended=None,
        exit_code=None,
        host=None,
        reason="being submitted",
        waits_on=None,
        doubt=None,
        cause="",
        died_of="",
        held=False,
    )


def as_queued(record: Record, job_id: str) -> Record:
    """A record that the scheduler has just taken."""
    return replace(
        record,
        job_id=job_id,
        state=JobState.PENDING,
        source="orch",
        seen=time.time(),
        reason="",
        doubt=None,
        due=False,
    )


def as_withdrawn(record: Record) -> Record:
    """An intent that was not submitted after all; the attempt stays, and is used next time."""
    return replace(record, state=JobState.WAITING, reason="not submitted", submitted=None)


def hold_and_release(records: Sequence[Record], cluster: Cluster) -> list[Record]:
    """Hold and release queued jobs as ``holds`` says; where the scheduler cannot be asked they stay
    as they are."""
    wanted = holds(records)
    held = cluster.hold(wanted.hold) if wanted.hold else set()
    released = cluster.hold(wanted.release, release=True) if wanted.release else set()
    if not held and not released:
        return list(records)
    return [
        replace(record, held=record.name in held) if record.name in held | released else record
        for record in records
    ]


def schedule_passes(cluster: Cluster, passes: Passes) -> None:
    """See that somebody polls the run again when it has to be."""
    for group in passes.after_all:
        cluster.look_after(group)
    if passes.after_one is not None:
        cluster.look_again(passes.after_one)
