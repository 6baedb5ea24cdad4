"""Carry out what a pass has decided: the only side that submits, holds and releases jobs.

What makes a submission exactly-once is the order of things: the attempt's folder and the intent
(job, attempt, token) are on disk before the scheduler is asked, the token is part of the job's
name, the id is noted right after. Whoever comes after a crash, or after an answer that may or may
not mean "submitted", looks the token up before submitting again. Like jobs go as one array
(batching.py), and batches that do not wait for one another at the same time (sending/).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from engines.contract.counting.counts import counter
from orchestrator.clusters.base import Cluster
from orchestrator.clusters.batch import Batch
from orchestrator.errors import NoRoom, SubmitError
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.decide import Decision, Passes, described, holds
from orchestrator.runs.choices.rounds import keep_rounds
from orchestrator.runs.record import JobState, Record
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
    keep(run, decision)
    if not decision.submit:
        return decision.records, None
    # Most passes submit nothing, and need none of this.
    from orchestrator.lifecycle.batching import make_batches
    from orchestrator.lifecycle.sending.at_once import independent
    from orchestrator.lifecycle.sending.batches import Sending

    batches = make_batches(run, decision.records, set(decision.submit), cluster.array_size())
    current = {record.name: record for record in decision.records}
    intents = written_intents(run, current, batches, decision.notes)
    sending = Sending(run, cluster, current, intents, tell)
    try:
        for group in independent(batches):
            sending.submit(group)
    except NoRoom as refusal:
        # sbatch has said that it took none of them: back to the records before, without tokens.
        records = sending.undo(batches, lambda before, _intent: before)
        run.save(described(run, records))
        return records, refusal
    except SubmitError:
        run.save(described(run, sending.undo(batches, lambda _, intent: as_withdrawn(intent))))
        raise
    return list(intents.values()), None


def keep(run: Run, decision: Decision) -> None:
    """Write what was decided of gates, choices and searches."""
    gates.write(run, decision.records, decision.gates, decision.choices)
    keep_rounds(run, decision.rounds)


def written_intents(
    run: Run, current: dict[str, Record], batches: Sequence[Batch], notes: Mapping[str, str]
) -> dict[str, Record]:
    """All records by name, those of the batches as intents, saved in one write; the folders of the
    attempts are there."""
    from orchestrator.lifecycle.reused.taking import note_submissions
    from orchestrator.runs.attempts import prepare

    # One time for all batches. Submissions of the same token at different times are told apart by
    # it (observe.with_siblings).
    now = time.time()
    intents = dict(current)
    more = counter("making room for attempts", sum(len(batch.records) for batch in batches))
    for batch in batches:
        prepare(run, batch.jobs, batch.records)
        more(len(batch.records))
        intents.update((record.name, as_intent(record, now)) for record in batch.records)
    note_submissions(run, intents, [r.name for batch in batches for r in batch.records], notes)
    run.save(described(run, list(intents.values())))
    return intents


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
