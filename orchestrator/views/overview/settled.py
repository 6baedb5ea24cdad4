"""Whether only files decide what is shown of a run, and which files these are.

In: a run, its records, and why they may be old. Out: paths, for what keeps an answer
(``orchestrator/cli/kept.py``); none where a scheduler, a clock or a person decides too. Called by
`orch status`.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.searches import FOLDER as SEARCHES
from orchestrator.runs.copies.origin import NAME as COPY
from orchestrator.runs.layout import EXIT
from orchestrator.runs.plan_file import NAME as PLAN
from orchestrator.runs.record import FAILED, FINAL, JobState, Record
from orchestrator.runs.run import Run, wanted_by
from orchestrator.runs.state_file import NAME as STATE
from orchestrator.views.moments import future_of

MOST_JOBS = 100
"""Of a larger run it takes longer to look at every file than to draw the table."""


def is_settled(run: Run, record: Record, now: float) -> bool:
    """Whether a job has ended for good: the scheduler is not asked about it, and no age is shown
    of it."""
    if record.state not in FINAL or record.due or record.doubt is not None:
        return False
    if record.state in FAILED and run.plan.retry:
        return False  # it may be submitted again by itself
    # A completed job whose end is not known is looked up at every pass.
    unknown_end = record.state is JobState.COMPLETED and record.ended is None
    return not unknown_end and not future_of(record, now)


def files_behind(run: Run, records: Sequence[Record]) -> list[str] | None:
    """The files and folders that decide what is shown of these records; None: others do too."""
    now = run.now()
    # Where somebody is told of what happens, every look may try a message again.
    if len(records) > MOST_JOBS or wanted_by(run):
        return None
    if not all(is_settled(run, record, now) for record in records):
        return None
    folder = str(run.folder)
    found = [folder, *(f"{folder}/{name}" for name in (PLAN, STATE, COPY, "submitted.jsonl"))]
    found += [f"{folder}/{SEARCHES}/{stage}.json" for stage in run.plan.searches]
    for record in records:
        out = run.out_folder(record)
        found += [str(run.results(record)), str(out / "progress.jsonl")]
        found += [str(run.attempt_folder(record) / EXIT), str(run.log(record))]
    return found
