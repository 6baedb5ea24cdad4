"""Launch and retry: choose which jobs get a new attempt, then submit them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from orchestrator.clusters.select import cluster_of
from orchestrator.lifecycle import gates, queue_limits
from orchestrator.lifecycle.observe import hold_back, settle, update
from orchestrator.lifecycle.retry_policy import again, refusal
from orchestrator.lifecycle.submission import submit_waiting
from orchestrator.runs.record import FAILED, JobState, Record
from orchestrator.runs.run import Run, named


def submit_eligible(run: Run, tell: Callable[[str], None] = lambda _: None) -> list[Record]:
    """Submit every job that is neither done nor active, parents first; failed ones get a new
    attempt. Returns all records."""
    return retry(run, None, tell)


def retry(
    run: Run, names: Sequence[str] | None = None, tell: Callable[[str], None] = lambda _: None
) -> list[Record]:
    """Submit failed jobs again (all, or the named ones) and what waits. Training continues from its
    newest checkpoint."""
    wanted = named(run, names)
    cluster = cluster_of(run)
    with run.lock():
        looked = time.time()
        queue_limits.forget(run)
        records = settle(run, update(run, run.load(), cluster, looked, thorough=True), cluster)
        if cluster.trouble:
            tell(
                f"could not ask: {cluster.trouble}; what depends on jobs that may be "
                "active is not submitted now"
            )
        chosen = {
            r.name for r in records if r.state in FAILED and (wanted is None or r.name in wanted)
        }
        if wanted is None:
            chosen -= refused(run, records, chosen, tell)
        else:
            # Naming a job whose fate is unknown is the user's word that it is gone; naming any,
            # that it is worth another attempt.
            chosen |= {r.name for r in records if r.state is JobState.UNKNOWN and r.name in wanted}
            chosen |= ancestors_failed(run, records, chosen)
            for record in (r for r in records if r.name in (names or ()) and r.name not in chosen):
                tell(f"not submitted again: {record.name} is {record.state}")
        # One that was cancelled behind a gate waits for the gate again.
        records = gates.apply(
            run,
            [
                again(run.by_name[r.name], r, run.profile) if r.name in chosen else r
                for r in records
            ],
        )
        records = submit_waiting(run, records, cluster, tell, looked, named=chosen)
        records = hold_back(records, cluster)
        run.save(records)
        return records


def refused(
    run: Run, records: Sequence[Record], names: set[str], tell: Callable[[str], None]
) -> set[str]:
    """Those of the named jobs that another attempt would not help; says which, and why."""
    exits = run.exits(r for r in records if r.name in names)
    found = set()
    for record in (r for r in records if r.name in names):
        left = exits.get(record.name)
        why_not = refusal(
            run.by_name[record.name],
            record,
            run.profile,
            left.resources if left is not None else None,
        )
        if why_not:
            tell(
                f"not submitted again: {why_not}; orch retry --job {record.name} does it "
                "all the same"
            )
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
