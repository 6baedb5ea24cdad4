"""Launch and retry: choose which jobs get a new attempt, then submit them and all that waits.

`orch launch`, `rerun` and `evolve` call ``launch``; `orch retry`, `watch` and `serve` call
``retry_from_here``. All are passes (orchestrator/lifecycle/refresh.py) that submit everything they
can.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.select import cluster_of
from orchestrator.lifecycle import queue_limits
from orchestrator.lifecycle.act import Tell
from orchestrator.lifecycle.decide import Request
from orchestrator.lifecycle.observe import Observation, resolve
from orchestrator.lifecycle.refresh import decide_and_act, poll, quiet
from orchestrator.lifecycle.retry_policy import again, refusal
from orchestrator.lifecycle.reused.since import stale_lines
from orchestrator.lifecycle.reused.taking import to_run_again
from orchestrator.runs.documents.results import set_aside
from orchestrator.runs.lookup import named
from orchestrator.runs.record import FAILED, JobState, Record, Wait
from orchestrator.runs.reuse import ledger
from orchestrator.runs.rules import GRACE_SECONDS
from orchestrator.runs.run import Run


def launch(run: Run, tell: Tell = quiet, warn: Tell | None = None) -> list[Record]:
    """Submit every job that is neither done nor active, parents first; failed ones get a new
    attempt if it may end otherwise. Returns all records. ``warn`` gets what has changed since jobs
    ran that are done."""
    cluster = cluster_of(run)
    with run.lock():
        records, seen = poll_thoroughly(run, cluster, tell)
        if not run.plan.reuse:
            records = [to_run_again(run, one) if one.reused else one for one in records]
        if warn is not None:
            for line in stale_lines(run, records):
                warn(line)
        failed = {record.name for record in records if record.state in FAILED}
        chosen = failed - refused(run, records, failed, seen, tell)
        return submit_again(run, records, seen, cluster, chosen, tell)


def retry_from_here(run: Run, names: Sequence[str] | None, tell: Tell) -> None:
    """``retry`` with the present code, noted as a launch is: this is how a mended error is tried.
    Called by whatever a person retries with."""
    from orchestrator.runs.provenance.launches import note

    with run.lock():
        note(run.folder, run.plan, Path(run.cwd), "retry", tell)
    retry(run, names, tell)


def retry(run: Run, names: Sequence[str] | None = None, tell: Tell = quiet) -> list[Record]:
    """Submit failed jobs again (all, or the named ones) and what waits. Training continues from its
    newest checkpoint."""
    wanted = named(run, names)
    if wanted is None:
        return launch(run, tell)
    cluster = cluster_of(run)
    with run.lock():
        # First, so that these jobs are seen as what they are: not done.
        for line in set_aside(run, [job for job in run.plan.jobs if job.name in wanted]):
            tell(line)
        records, seen = poll_thoroughly(run, cluster, tell)
        # Naming a job whose state is unknown is the user's word that it is gone; naming any, that
        # it is worth another attempt.
        over = FAILED | {JobState.UNKNOWN}
        chosen = {r.name for r in records if r.state in over and r.name in wanted}
        chosen |= failed_ancestors(run, records, chosen)
        chosen |= cancelled_with(run, records, chosen)
        for record in records:
            if record.name in (names or ()) and record.name not in chosen:
                tell(f"not submitted again: {record.name} is {record.state}")
        return submit_again(run, records, seen, cluster, chosen, tell)


def poll_thoroughly(run: Run, cluster: Cluster, tell: Tell) -> tuple[list[Record], Observation]:
    """The records as they are now, also of jobs that were done before, with every submission that
    was in doubt resolved as far as that is possible."""
    # Somebody submits anew: what is known of a limit is tried again, and what a shell has by now
    # (another PATH, a mended variable) is what the jobs are to get.
    queue_limits.forget(run)
    cluster.take_environment()
    records, seen = poll(run, run.load(), cluster, thorough=True)
    records, seen = resolve(run, records, cluster, seen)
    if cluster.trouble:
        tell(
            f"could not ask: {cluster.trouble}; what depends on jobs that may be "
            "active is not submitted now"
        )
    return records, seen


def submit_again(
    run: Run,
    records: Sequence[Record],
    seen: Observation,
    cluster: Cluster,
    chosen: Set[str],
    tell: Tell,
) -> list[Record]:
    """Submit the chosen failed jobs and all that waits."""
    ready = [
        again(run.by_name[record.name], record, run.profile) if record.name in chosen else record
        for record in records
    ]
    request = Request(everything=True, forced=chosen)
    records = decide_and_act(run, ready, seen, cluster, request, tell)
    for record in records:
        if record.name in chosen and record.state is JobState.WAITING:
            tell(f"is to run again: {record.name}: {record.reason}")
    forget_unused_launch(run, records)
    return records


def forget_unused_launch(run: Run, records: Sequence[Record]) -> None:
    """Where nothing was submitted and nothing waits to be, the launch is none: what has run is what
    earlier ones noted."""
    if any(record.state is JobState.WAITING for record in records):
        return
    from orchestrator.runs.provenance.launches import forget_unused

    used = {line.launch for line in ledger.read(run.folder) if not line.taken}
    forget_unused(run.folder, used)


def refused(
    run: Run, records: Sequence[Record], names: Set[str], seen: Observation, tell: Tell
) -> set[str]:
    """Those of the named jobs that another attempt would not help; says which, and why."""
    found = set()
    for record in records:
        if record.name not in names:
            continue
        exit_record = seen.exits.get(record.name)
        # A launch may have new resources since, and then the last failure proves nothing.
        asked_for = exit_record.resources if exit_record is not None else None
        why_not = refusal(run.by_name[record.name], record, run.profile, asked_for)
        if why_not:
            tell(
                f"not submitted again: {why_not}; orch retry --job {record.name} does it "
                "all the same"
            )
            found.add(record.name)
    return found


def cancelled_with(run: Run, records: Sequence[Record], names: Set[str]) -> set[str]:
    """Jobs that the scheduler has cancelled because one of these had failed, or one that was
    cancelled so; not those that need another failed job too, or that a person has ended."""
    by_name = {record.name: record for record in records}
    going = set(names)
    # Parents come first in the plan.
    for job in run.plan.jobs:
        record = by_name[job.name]
        failed = [by_name[name] for name in job.waits_for if by_name[name].state in FAILED]
        if not failed or record.state is not JobState.CANCELLED or record.name in going:
            continue
        # One with a host did start. One that ended before its parents was ended by somebody.
        by_person = record.waits_on is Wait.PERSON or record.host is not None
        first = min((one.ended for one in failed if one.ended is not None), default=None)
        if first is not None and record.ended is not None:
            by_person = by_person or record.ended < first - GRACE_SECONDS
        if not by_person and all(one.name in going for one in failed):
            going.add(record.name)
    return going - set(names)


def failed_ancestors(run: Run, records: Sequence[Record], names: Set[str]) -> set[str]:
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
