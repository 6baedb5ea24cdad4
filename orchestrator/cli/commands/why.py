"""`orch why`: explain where a job stands."""

from __future__ import annotations

from orchestrator.cli.arguments import JobName, OfRun


def why(job: JobName, run: OfRun = None) -> None:
    """Explain where a job stands: which source decided its state, what it waits for, what its gate
    saw in which file, why it was skipped or died."""
    from orchestrator.lifecycle.refresh import refresh
    from orchestrator.runs.lookup import find_run
    from orchestrator.views.logs import one_job
    from orchestrator.views.why import why as explain

    found = find_run(run)
    records, trouble = refresh(found)
    print(
        "\n".join(
            [
                *explain(found, one_job(found, job, records), records),
                *([f"could not ask: {trouble}"] if trouble else []),
            ]
        )
    )
