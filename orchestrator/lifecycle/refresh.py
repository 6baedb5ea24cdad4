"""Look at a run and take its next step: what `orch status` and every other command does first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from orchestrator.clusters.base import Cluster
from orchestrator.clusters.select import cluster_of
from orchestrator.errors import SubmitError
from orchestrator.lifecycle import gates, notifications, queue_limits
from orchestrator.lifecycle.observe import cut_off, explain, hold_back, settle, update
from orchestrator.lifecycle.retry_policy import doomed
from orchestrator.lifecycle.submission import choose, submit_waiting, watch_over
from orchestrator.runs.record import Record, unchanged
from orchestrator.runs.run import Run


def refresh(run: Run, rescan: bool = False) -> tuple[list[Record], str]:
    """The records as they are now, saved; and why something is old, if a source could not be asked.

    What a gate or a limit has let through since the last look, and what a killed process had begun
    to submit, is submitted: whoever looks first. ``rescan``: as if the state file were lost, from
    the jobs' folders and the scheduler.
    """
    cluster = cluster_of(run)
    with run.lock():
        before = run.rescanned() if rescan else run.load()
        records = hold_back(
            explain(run, update(run, before, cluster, time.time(), shared=not rescan)), cluster
        )
        if not rescan and due(run, records, cluster):
            try:
                records = go_on(run, records, cluster, lambda _: None, time.time())
            except SubmitError as error:
                return run.load(), str(error)
        if not unchanged(before, records) or not (run.folder / "state.json").exists():
            run.save(records)
        watch_over(run, records, cluster)
    notifications.look(run, records)
    return records, cluster.trouble


def due(run: Run, records: Sequence[Record], cluster: Cluster) -> bool:
    """Whether there is something to submit without being asked to, as far as a look that may be
    seconds old can tell."""
    if cut_off(records):
        return not cluster.trouble
    among = gates.behind(run) | queue_limits.waiting(records)
    return bool(
        among
        and choose(
            run, records, 0.0, among, set(doomed(records)), queue_limits.room(run, records, cluster)
        )
    )


def go_on(
    run: Run, records: list[Record], cluster: Cluster, tell: Callable[[str], None], looked: float
) -> list[Record]:
    """Look anew, and submit what gates and limits let through and what a killed process had begun
    to. With the lock held."""
    records = update(run, records, cluster, looked)
    begun = cut_off(records)
    records = settle(run, records, cluster)
    among = gates.behind(run) | queue_limits.waiting(records) | begun
    return hold_back(submit_waiting(run, records, cluster, tell, looked, among), cluster)


def advance(run: Run, tell: Callable[[str], None] = lambda _: None) -> tuple[list[Record], str]:
    """Look at every gate and limit and submit what they let through. SubmitError if that cannot be
    submitted."""
    cluster = cluster_of(run)
    with run.lock():
        records = go_on(run, run.load(), cluster, tell, time.time())
        run.save(records)
    notifications.look(run, records)
    return records, cluster.trouble
