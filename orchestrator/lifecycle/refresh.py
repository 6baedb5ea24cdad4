"""One pass over a run: observe (ask every source once), decide (pure), act, save once.

In goes a run; out come its records as they are after the pass. ``refresh`` is what `orch status`
and every command that shows a run does first, ``advance`` is `orch advance`; launch, retry, cancel
and override make their passes of the same steps (retry.py, interventions.py).
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.select import cluster_of
from orchestrator.errors import NoRoom, SubmitError
from orchestrator.lifecycle import gates, queue_limits
from orchestrator.lifecycle.act import Tell, carry_out, hold_and_release, keep, schedule_passes
from orchestrator.lifecycle.decide import Decision, Request, decide, described, passes_after
from orchestrator.lifecycle.decided import rounds
from orchestrator.lifecycle.observe import (
    Observation,
    as_observed,
    interrupted_submissions,
    look_at_copy,
    observe,
    resolve,
)
from orchestrator.runs.documents.people import other_owner
from orchestrator.runs.record import Record, unchanged
from orchestrator.runs.run import Run, wanted_by

if TYPE_CHECKING:
    from orchestrator.lifecycle.reused.taking import Taken, Taking

CANNOT_BE_SAVED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What a folder says that may be read and not written, now or by this user."""
CONTINUE_ONLY = Request()
"""What every pass submits without being asked to: what was wanted before and had to wait."""


def quiet(_: str) -> None:
    """Tells nobody."""


def refresh(run: Run, rescan: bool = False) -> tuple[list[Record], str]:
    """The records as they are now, saved; and why something is old, if a source could not be asked.

    What a gate or a limit has let through since the last pass, and what a killed process had begun
    to submit, is submitted by whoever comes first. ``rescan``: as if there were no state file, from
    the jobs' folders and the scheduler. Of a copy nothing is asked, saved, submitted or told.
    """
    if run.origin is not None:
        return look_at_copy(run), ""
    owner = other_owner(run.folder)
    if owner is not None:
        return look_at_copy(run), f"Slurm, for jobs of {owner}: shown as the run's files say"
    try:
        return polled(run, rescan)
    except OSError as error:
        if error.errno not in CANNOT_BE_SAVED or rescan:
            raise
        # Whoever only wants to see the run sees it, by its files.
        where = f"{error.filename}: " if error.filename else ""
        saved = f"nothing can be saved ({where}{error.strerror}); shown as the run's files say"
        return look_at_copy(run), saved


def look(run: Run, seconds: float) -> tuple[list[Record], str]:
    """What ``refresh`` returns, for those who look again and again: where another process has asked
    every source within so many seconds, what that one has saved. Of twenty that follow a large run
    each would else keep a core busy, and wait for the others' locks."""
    own = run.origin is None and other_owner(run.folder) is None
    if own and run.answered_within(seconds):
        return run.load(), ""
    return refresh(run)


def polled(run: Run, rescan: bool) -> tuple[list[Record], str]:
    """The same of a run of this user's."""
    cluster = cluster_of(run)
    with run.lock():
        before = run.rescanned() if rescan else run.load()
        # An answer that another process got a few seconds ago is enough to show the run, and to
        # see whether there may be something to do.
        seen = observe(run, before, cluster, shared=not rescan)
        decision = decide(run, as_observed(run, before, seen), seen, CONTINUE_ONLY)
        # Never after a rescan: folders alone do not tell whether an intent is still wanted.
        if not rescan and is_due(decision, cluster):
            try:
                records = submit_pending(run, decision.records, cluster, quiet)
            # Who only wants to see the run sees it, with the trouble. The state was saved.
            except SubmitError as error:
                return run.load(), str(error)
        else:
            records = finish_without_submitting(run, before, decision, cluster)
        note_answers(run, cluster)
    send_messages(run, records)
    return records, cluster.trouble


def note_answers(run: Run, cluster: Cluster) -> None:
    """Spare those who look again and again a pass of their own, unless something could not be
    asked, of which only a pass tells."""
    if not cluster.trouble:
        run.note_answers()


def is_due(decision: Decision, cluster: Cluster) -> bool:
    """Whether there is something to submit, as far as an answer tells that may be seconds old."""
    if interrupted_submissions(decision.records):
        # Looking an intent up waits for seconds, in vain while the scheduler cannot be asked.
        return not cluster.trouble
    return bool(decision.submit)


def finish_without_submitting(
    run: Run, before: Sequence[Record], decision: Decision, cluster: Cluster
) -> list[Record]:
    """The end of a pass that submits nothing: saved only if something is new."""
    keep(run, decision)
    records = hold_and_release(decision.records, cluster)
    # As decided, every record says what it waits for already.
    if records != decision.records:
        records = described(run, records)
    if not unchanged(before, records) or not run.has_state():
        run.save(records)
    schedule_passes(cluster, passes_after(run, records, submitted=False))
    return records


def advance(run: Run, tell: Tell = quiet) -> tuple[list[Record], str]:
    """Submit what gates and limits let through; returns what ``refresh`` does. SubmitError if that
    cannot be submitted."""
    cluster = cluster_of(run)
    with run.lock():
        records = submit_pending(run, run.load(), cluster, tell)
        note_answers(run, cluster)
    send_messages(run, records)
    return records, cluster.trouble


def send_messages(run: Run, records: Sequence[Record]) -> None:
    """Tell a person what is new, if the run says whom. Without the lock, which it takes itself: a
    message may take seconds."""
    # What only submits or tells is imported where it is done: most looks do neither.
    if wanted_by(run):
        from orchestrator.lifecycle import notifications

        notifications.send(run, records)


def submit_pending(
    run: Run, records: Sequence[Record], cluster: Cluster, tell: Tell
) -> list[Record]:
    """Observe anew, and submit what gates and limits let through and what a killed process had
    begun to. With the lock held."""
    now_known, seen = poll(run, records, cluster)
    begun = interrupted_submissions(now_known)
    resolved, seen = resolve(run, now_known, cluster, seen)
    return decide_and_act(run, resolved, seen, cluster, Request(also=begun), tell)


def poll(
    run: Run, records: Sequence[Record], cluster: Cluster, thorough: bool = False
) -> tuple[list[Record], Observation]:
    """The records as the sources make them now, and what these said; nothing shared."""
    seen = observe(run, records, cluster, thorough)
    return as_observed(run, records, seen), seen


def taken_from_others(taking: Taking, decision: Decision, request: Request) -> Taken:
    """What another run has done of the jobs that are to be submitted; not of those that a person
    wants to see run again."""
    from orchestrator.lifecycle.reused.taking import take_done

    run = taking.run
    if run.plan.reuse and run.plan.choices:
        # A job that follows the best of others reads what was decided.
        keep(run, decision)
    return take_done(taking, decision.records, decision.submit - request.forced)


def seen_again(run: Run, records: Sequence[Record], seen: Observation) -> Observation:
    """What was seen, with the results that were just taken: what comes after them may go on now,
    and gates may judge them."""
    return replace(seen, gates=gates.read_inputs(run, records), rounds=rounds.read_inputs(run))


def with_less_room(run: Run, cluster: Cluster, seen: Observation, refusal: NoRoom) -> Observation:
    """What was seen, with the room that is left after a refusal."""
    room = queue_limits.after_refusal(run, cluster, refusal)
    return replace(seen, room=room, limits=queue_limits.reason(run))


def decide_and_act(
    run: Run,
    records: list[Record],
    seen: Observation,
    cluster: Cluster,
    request: Request,
    tell: Tell,
) -> list[Record]:
    """Decide and act, again with less room as long as the scheduler refuses for want of it; then
    save. Returns the records. With the lock held.

    Args:
        records: as observed, after ``resolve``; intents that remain could not be looked up.
    """
    from orchestrator.lifecycle.dependencies.renewed import renew
    from orchestrator.lifecycle.reused.taking import Taking, tell_taken

    submitted, taking = False, Taking(run)
    # It ends: every refusal leaves less room than the refused batch had asked for, or is raised,
    # and what is taken from another run is not to be submitted any more.
    while True:
        decision = decide(run, records, seen, request)
        taken = taken_from_others(taking, decision, request)
        tell_taken(taken, tell)
        if taken.sources:
            records, seen = taken.records, seen_again(run, taken.records, seen)
            continue
        submitted = submitted or bool(decision.submit)
        decision = replace(decision, notes=taken.notes)
        records, refusal = carry_out(run, cluster, decision, tell)
        if refusal is None:
            records, lost = renew(run, cluster, records, decision.submit)
            if not lost:
                break
            # They are submitted in the next turn, after parents that are new; so it ends here too.
            request = replace(request, also=request.also | lost)
            continue
        seen = with_less_room(run, cluster, seen, refusal)
    return ended(run, records, cluster, submitted)


def ended(run: Run, records: Sequence[Record], cluster: Cluster, submitted: bool) -> list[Record]:
    """The records at the end of a pass that may have submitted: saved, with the next passes seen
    to."""
    found = described(run, hold_and_release(records, cluster))
    run.save(found)
    schedule_passes(cluster, passes_after(run, found, submitted))
    return found
