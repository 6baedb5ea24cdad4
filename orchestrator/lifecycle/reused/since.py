"""Which files have changed since jobs ran whose results stay.

In: a run, and jobs of it that have results. Out: files by job, and lines for a person. Called by a
launch, which runs nothing again that is done, and by `orch rerun --job` and `orch why`.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.spec import Job
from orchestrator.lifecycle.reused.taking import chosen_for, listed
from orchestrator.runs.provenance.ran import Ran, RanJobs
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.reuse.basis import Bases
from orchestrator.runs.run import Run

MOST_NAMED = 3


def changed_since(
    run: Run, job: Job, ran: Ran, now: Bases, copies_count: bool = False
) -> list[str]:
    """Files that counted for a job's attempt and are others now, those first that it names.

    Args:
        copies_count: of the files that the run has a copy of, the copy counts: they are as they
            were.
    """
    if ran.unknown:
        return []
    present = now.of(job, [], chosen_for(run, job))
    if present.unknown:
        return []
    before, after = {**ran.named, **ran.program}, {**present.code, **present.named}
    if copies_count and ran.work is not None:
        before = {name: one for name, one in before.items() if name not in ran.program}
    # What was not there then, such as a file that it has written, made no difference to it.
    return [name for name, content in before.items() if after.get(name) != content]


def stale(run: Run, records: Sequence[Record]) -> dict[tuple[str, ...], list[str]]:
    """The jobs that are done by what has changed since they ran."""
    known, now = RanJobs(run), Bases(run)
    found: dict[tuple[str, ...], list[str]] = {}
    looked: dict[tuple[str, str], tuple[str, ...]] = {}
    for record in records:
        line = known.lines.get(record.name)
        if record.state is not JobState.COMPLETED or line is None:
            continue
        # Jobs of a stage that share a list name the same files: of a thousand one is looked at.
        key = (record.stage, line.files or record.name)
        if key not in looked:
            job = run.by_name[record.name]
            ran = known.of(job)
            looked[key] = tuple(changed_since(run, job, ran, now)) if ran is not None else ()
        if looked[key]:
            found.setdefault(looked[key], []).append(record.name)
    return found


def stale_lines(run: Run, records: Sequence[Record]) -> list[str]:
    """That files have changed since jobs ran, and how these are run again; a line for all jobs that
    the same files have changed of."""
    return [
        f"{listed(files)} changed since {listed(jobs)} ran; what is done stays. To run it again "
        f"with the present files: orch rerun {run.name} {options(run, jobs)} --code present"
        for files, jobs in stale(run, records).items()
    ]


def options(run: Run, jobs: Sequence[str]) -> str:
    """The jobs as options of a command: whole stages by their names, of many the first ones."""
    chosen = set(jobs)
    left_out = {job.stage for job in run.plan.jobs if job.name not in chosen}
    words: dict[str, None] = {}
    for name in jobs:
        stage = run.by_name[name].stage
        words[f"--job {name if stage in left_out else stage}"] = None
    return " ".join(list(words)[:MOST_NAMED])
