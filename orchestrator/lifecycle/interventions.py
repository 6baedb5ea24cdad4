"""What a person decides in place of the scheduler or a gate: to end jobs (`orch cancel`), to let
them run or to skip them (`orch override`).

Both begin like every pass: they observe, and resolve what is in doubt.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace as changed

from msgspec.structs import replace

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.select import cluster_of
from orchestrator.errors import RunError, SubmitError
from orchestrator.lifecycle import gates
from orchestrator.lifecycle.act import keep
from orchestrator.lifecycle.decide import Request, decide, described
from orchestrator.lifecycle.decided import rounds
from orchestrator.lifecycle.observe import is_intent, resolve
from orchestrator.lifecycle.refresh import CONTINUE_ONLY, decide_and_act, poll
from orchestrator.node.system import write_json
from orchestrator.runs.attempts import end_member
from orchestrator.runs.documents.decisions import override_lines, overrides_file
from orchestrator.runs.lookup import named
from orchestrator.runs.record import ACTIVE, FAILED, JobState, Record, Wait
from orchestrator.runs.run import Run


def cancel(run: Run, names: Iterable[str] | None = None) -> list[str]:
    """End active jobs (all, or the named ones), and keep those that wait from being submitted;
    what is done stays done. Returns a line for each, also for one that goes on.

    SubmitError if it is not known of one whether it was submitted.
    """
    wanted = named(run, names)
    cluster = cluster_of(run)
    with run.lock():
        records, seen = poll(run, run.load(), cluster)
        if any(is_intent(r) for r in records if wanted is None or r.name in wanted):
            records, seen = resolve(run, records, cluster, seen)
        # Only for what gates and canaries say of each job now: a cancel submits nothing.
        decision = decide(run, records, seen, CONTINUE_ONLY)
        keep(run, decision)
        meant = [r for r in decision.records if wanted is None or r.name in wanted]
        for record in meant:
            # It may be queued under an id that we do not know, and would start after all.
            if is_intent(record):
                raise SubmitError(
                    f"cannot cancel {record.name}: {record.reason} ({cluster.trouble}); try again"
                )
        active = [r for r in meant if r.state in ACTIVE and r.job_id]
        waiting = [r for r in meant if r.state is JobState.WAITING]
        over, still = end_jobs(run, decision.records, active, cluster)
        reasons = dict.fromkeys(over, "cancelled")
        # These become CANCELLED too: whoever polls next would submit what is left WAITING.
        reasons |= dict.fromkeys((r.name for r in waiting), "cancelled before it was submitted")
        ended = [with_end(record, reasons.get(record.name)) for record in decision.records]
        run.save(described(run, ended))
    return [
        f"{one.name} {still[one.name]}" if one.name in still else f"cancelled {one.name}"
        for one in [*active, *waiting]
    ]


def with_end(record: Record, reason: str | None) -> Record:
    """A record of a job that a person has ended for this reason; None: it is not one."""
    if reason is None:
        return record
    now = time.time()
    return replace(
        record,
        state=JobState.CANCELLED,
        source="orch",
        seen=now,
        ended=now,
        reason=reason,
        waits_on=Wait.PERSON,
        doubt=None,
    )


def end_jobs(
    run: Run, records: Sequence[Record], ended: Sequence[Record], cluster: Cluster
) -> tuple[set[str], dict[str, str]]:
    """End these jobs; a member of a pack of which others go on by itself. Returns the names of
    those of which no other source will tell that they have ended, and by name what is to be said of
    those that were not ended."""
    names = {r.name for r in ended}
    # scancel would end the whole allocation, with members that are to go on.
    still_used = {
        r.job_id for r in records if r.state in ACTIVE and r.packed and r.name not in names
    }
    whole = [r for r in ended if r.job_id not in still_used]
    still = cluster.cancel(whole) if whole else {}
    members = [r for r in ended if r.job_id in still_used]
    # A member that has not started is kept from it by taking its claim, one that waits to be
    # started again by a record of its end: a signal to a job that waits would be tried by Slurm for
    # a minute. One that runs is ended by the node's program, which SIGUSR1 makes look for the file
    # `cancel`.
    unstarted = {r.name for r in members if end_member(run, r)}
    running = {r.allocation: r for r in members if r.name not in unstarted}
    for record in running.values():
        cluster.nudge(record)
    # Of an element that was waiting Slurm keeps no record: what became of it is known now or never.
    traceless = {
        r.name for r in whole if r.state is JobState.PENDING and r.parsed_token.index is not None
    }
    return unstarted | (traceless - still.keys()), still


def override(run: Run, name: str, runs: bool, reason: str, take: str | None = None) -> list[str]:
    """Decide for a job or the jobs of a stage in place of their gate, and submit what may run now.
    Returns what there is to say.

    Args:
        take: the job that they follow, in place of the best one.
    """
    cluster, said = cluster_of(run), list[str]()
    with run.lock():
        records, seen = poll(run, run.load(), cluster)
        records, seen = resolve(run, records, cluster, seen)
        # What gates say without the new word: an override is refused where nothing is left to
        # decide.
        decision = decide(run, records, seen, CONTINUE_ONLY)
        keep(run, decision)
        wanted = named(run, [name]) or set()
        said += note_override(run, decision.records, wanted, runs, reason, take)
        # What was just decided is one more input of the gates.
        seen = changed(
            seen,
            gates=gates.read_inputs(run, decision.records),
            rounds=rounds.read_inputs(run),
        )
        records = decide_and_act(
            run, decision.records, seen, cluster, Request(also=wanted), said.append
        )
    states = [
        f"{r.name} {r.state}" + (f": {r.reason}" if r.reason else "")
        for r in records
        if r.name in wanted
    ]
    return [*states, *said]


def note_override(
    run: Run,
    records: Sequence[Record],
    names: Iterable[str],
    runs: bool,
    reason: str,
    take: str | None = None,
) -> list[str]:
    """Note that these jobs run, or do not, whatever the gate says; returns what else there is to
    say. With the lock held."""
    if not reason.strip():
        raise RunError(
            "an override needs a reason: --reason TEXT says why, for those who read the run later"
        )
    by_name, wanted = {record.name: record for record in records}, sorted(set(names))
    said = []
    for name in wanted:
        refuse_late(run, by_name[name], runs)
        if take is not None:
            refuse_unfit(run, name, take, by_name)
        if runs:
            said += already_without(run, name, by_name)
    decision = ("run" if take is None else "take") if runs else "skip"
    path = overrides_file(run)
    lines = override_lines(run)
    # Appended, not replaced: the newest word counts, and the file keeps the earlier ones.
    lines += [
        {
            "job": name,
            "decision": decision,
            "reason": reason,
            "by": getpass.getuser(),
            "time": time.time(),
            "take": take,
        }
        for name in wanted
    ]
    path.parent.mkdir(exist_ok=True)
    write_json(path, lines)
    return said


def refuse_late(run: Run, record: Record, runs: bool) -> None:
    """RunError if there is nothing left to decide for a job."""
    name = record.name
    # No attempt: it was cancelled while it waited for its gate or for room.
    if record.state is JobState.CANCELLED and not record.attempt:
        raise RunError(f"{name} is {record.state}; bring it back first: orch retry --job {name}")
    if record.state not in gates.OPEN:
        ends_it = f" (orch cancel --job {name} ends it)" if record.state in ACTIVE else ""
        raise RunError(
            f"{name} is {record.state}, so it was let through already; an override is "
            f"for a job that was not submitted{ends_it}"
        )
    decided = name in run.plan.gate_keys or name in run.plan.choices
    if runs and not decided and not gates.is_kept_back(record):
        raise RunError(
            f"{name} has no gate and is not skipped; it waits: {record.reason or 'for orch launch'}"
        )


def refuse_unfit(run: Run, name: str, take: str, by_name: Mapping[str, Record]) -> None:
    """RunError if a job cannot follow the one that a person takes."""
    choice = run.plan.choices.get(name)
    if choice is None:
        raise RunError(
            f"{name} does not follow the best job of a stage (for_each: {{of: STAGE, best: "
            "METRIC}}), so there is none to take; write --run or --skip"
        )
    if take not in choice.jobs:
        raise RunError(f"{name} follows one of {', '.join(choice.jobs)}; take one of these")
    if by_name[take].state is not JobState.COMPLETED:
        raise RunError(
            f"{take} is {by_name[take].state}, and has left nothing whole; take one that is "
            "COMPLETED"
        )


def already_without(run: Run, name: str, by_name: Mapping[str, Record]) -> list[str]:
    """What to say of jobs that come after this one and have run without it. RunError if one of them
    is at it now."""
    after = [by_name[job.name] for job in run.plan.jobs if name in job.after]
    # One that has failed is not too late: its next attempt finds the results of this job.
    late = [record for record in after if record.state not in gates.OPEN | FAILED]
    if any(record.state in ACTIVE for record in late):
        raise RunError(
            f"{late[0].name} is {late[0].state} and was submitted to run without "
            f"{name}; end it first: "
            f"orch cancel --job {late[0].name}, then orch override, then orch retry"
        )
    return [
        f"{record.name} has run without {name} and keeps its results; to make them again "
        f"remove {run.results_file(record).relative_to(run.folder)}"
        for record in late
    ]
