"""`orch advance`: submit what gates and limits let through."""

from __future__ import annotations

import os

from orchestrator.cli.arguments import RunName
from orchestrator.errors import SubmitError


def advance(run: RunName = None) -> None:
    """Look at gates and limits, and submit what they let through. Other commands do it too; on
    Slurm a job of one core calls this one."""
    import time

    from orchestrator.lifecycle.refresh import advance as look
    from orchestrator.runs.lookup import find_run
    from orchestrator.views.watch.follow import SETTLE_SECONDS, settling

    found = find_run(run)
    told: list[str] = []
    records, trouble = look(found, told.append)
    deadline = time.monotonic() + SETTLE_SECONDS
    while "SLURM_JOB_ID" in os.environ and settling(records) and time.monotonic() < deadline:
        time.sleep(
            5.0
        )  # this job came because others have ended: what became of them is known within a minute
        records, trouble = look(found, told.append)
    print("\n".join(told) or f"{found.name}: nothing to submit")
    if trouble:
        raise SubmitError(f"could not ask: {trouble}")
