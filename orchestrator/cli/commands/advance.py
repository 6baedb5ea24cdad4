"""`orch advance`: submit what gates and limits let through.

People rarely call it: other commands do the same, and on Slurm a queued job of one core calls it
when the jobs that a gate judges have ended.
"""

from __future__ import annotations

import os
import time

import orchestrator.lifecycle.refresh
from orchestrator.cli.arguments import AsJson, RunName
from orchestrator.cli.shared import print_changes
from orchestrator.errors import SubmitError
from orchestrator.runs.lookup import find_run
from orchestrator.views.watch.ending import SETTLE_SECONDS, settling

POLL_SECONDS = 5.0
"""Between two looks at jobs whose end is not known yet."""


def advance(run: RunName = None, as_json: AsJson = False) -> None:
    """Evaluate gates and limits, and submit the jobs that may start. Other commands do it too; on
    Slurm a job of one core calls this one."""
    found = find_run(run)
    messages: list[str] = []
    records, trouble = orchestrator.lifecycle.refresh.advance(found, messages.append)
    # A queued job calls this because other jobs have ended. How they ended is known within a
    # minute, so it is worth waiting for here; a person can call again.
    in_a_job = "SLURM_JOB_ID" in os.environ
    deadline = time.monotonic() + SETTLE_SECONDS
    while in_a_job and settling(records) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        records, trouble = orchestrator.lifecycle.refresh.advance(found, messages.append)
    print_changes(found, messages, "nothing to submit", as_json)
    if trouble:
        raise SubmitError(f"could not ask: {trouble}")
