"""Take what another run has done, in place of submitting it; and note of what is submitted what its
result will hang on.

In: what a pass has decided to submit. Out: the records with those jobs COMPLETED that were taken,
or, of those that are submitted, lines in the run's ledger. Called by ``refresh.decide_and_act`` and
``act``, with the run's lock held.

A job is looked for where it would be submitted, so gates, canaries, the best of a stage and limits
hold for it as ever. It is taken only when all whose results it reads are done, and from a job that
has read the results of the very same attempts. A job that has begun here is never taken. A launch
with ``--fresh``, an evolution and a rerun take nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from jobs.spec import Job
from orchestrator.lifecycle.reused.records import as_taken
from orchestrator.planning.plan import Plan
from orchestrator.runs.choices.files import load_choice, settle, settled
from orchestrator.runs.layout import OUT
from orchestrator.runs.provenance.numbers import newest_launch
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.reuse import ledger
from orchestrator.runs.reuse.basis import Bases, Basis, link_files
from orchestrator.runs.reuse.bring import KEPT, Changed, bring, check, put_aside, reused, unshare
from orchestrator.runs.reuse.bring import REUSED as REUSED_FILE
from orchestrator.runs.reuse.finding import Finder, Source
from orchestrator.runs.reuse.ledger import Line
from orchestrator.runs.run import Run

OVER = frozenset({JobState.COMPLETED, JobState.SKIPPED})
SHOWN = 3
DRAWN = "a search draws its values, of which its identity says nothing"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of the jobs that were about to be submitted."""

    records: list[Record]
    sources: Mapping[str, Source] = field(default_factory=dict)
    """By job, of those that were taken."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """By job, why a like one of another run was not."""


class Taking:
    """Looks for each job, in the order of the plan, so that parents come first. What it reads of
    other runs and of the program holds for one pass."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.by_name: dict[str, Record] = {}
        self.bases = Bases(run)
        self.finder = finder_of(run.plan, run.folder.parent.parent, run.folder)
        self.notes: dict[str, str] = {}
        self.origins: dict[str, str] = {}

    def origin(self, name: str) -> str:
        """The token of the attempt that has left a job's results; "" of a skipped one."""
        if name not in self.origins:
            self.origins[name] = origin_of(self.run, self.by_name[name])
        return self.origins[name]

    def look(self, job: Job) -> tuple[Basis | None, list[Source]]:
        """What a job hangs on and who has done it, as far as that is known; notes why a like one
        is not taken."""
        if not self.finder.may_have(job.identity) or is_drawn(self.run, job):
            return None, []
        if self.run.out_folder(job).exists():
            return None, []  # it has begun here, and goes on
        chosen = chosen_for(self.run, job)
        if chosen is None and job.name in self.run.plan.choices:
            return None, []  # the best one is not known yet
        before = [*job.after, *([chosen.name] if chosen is not None else [])]
        if any(self.by_name[name].state not in OVER for name in before):
            return None, []
        basis = self.bases.of(job, [self.origin(name) for name in before], chosen)
        sources, reason = self.finder.find(basis)
        if not sources and reason:
            self.notes[job.name] = reason
        return basis, sources

    def take(self, job: Job) -> Source | None:
        """Bring what another job has left; None if none can be taken."""
        basis, sources = self.look(job)
        for source in sources if basis is not None else ():
            told = {
                "from": source.run,
                "job": source.line.job,
                "token": source.line.token,
                "digest": source.line.digest,
                "ended": source.ended,
                "time": time.time(),
            }
            try:
                bring(source.out, source.left, self.run.job_folder(job), told)
            except Changed as reason:
                self.notes[job.name] = f"done in {source.name}, but {reason}"
                continue
            if job.name in self.run.plan.choices:
                settle(self.run, job)
            self.by_name[job.name] = as_taken(self.by_name[job.name], source.name)
            self.origins[job.name] = source.line.token
            self.notes.pop(job.name, None)
            return source
        return None


def finder_of(plan: Plan, runs: Path, own: Path) -> Finder:
    """Looks among all runs for what the jobs of one do."""
    return Finder(runs, own, (job.identity for job in plan.jobs))


def take_done(taking: Taking, records: Sequence[Record], submit: Set[str]) -> Taken:
    """Take those of the jobs that are about to be submitted which another run has done."""
    run = taking.run
    if not run.plan.reuse or not submit:
        return Taken(records=list(records))
    taking.by_name = {record.name: record for record in records}
    taking.notes = {}
    sources: dict[str, Source] = {}
    for job in run.plan.jobs:
        source = taking.take(job) if job.name in submit else None
        if source is not None:
            sources[job.name] = source
    lines = [line_of_taken(run.by_name[name], source) for name, source in sources.items()]
    ledger.append(run.folder, lines)
    now_known = [taking.by_name[record.name] for record in records]
    return Taken(records=now_known, sources=sources, notes=taking.notes)


def would_take(run: Run, records: Sequence[Record], runs: Path, own: Path) -> Taken:
    """What a launch would take, as things are now; of jobs behind a gate nothing is said, since
    that is not decided. Nothing is written.

    Args:
        run: as a launch would make it, somewhere else.
        runs: the folder of all runs.
        own: where the run would lie: it is not taken from.
    """
    if not run.plan.reuse:
        return Taken(records=list(records))
    taking = Taking(run)
    taking.by_name = {record.name: record for record in records}
    taking.finder, taking.bases = finder_of(run.plan, runs, own), Bases(run, runs)
    sources: dict[str, Source] = {}
    for job in run.plan.jobs:
        found = [] if run.plan.conditions_of(job.name) else taking.look(job)[1]
        for source in found:
            try:
                check(source.out, source.left)
            except Changed as reason:
                taking.notes[job.name] = f"done in {source.name}, but {reason}"
                continue
            sources[job.name] = source
            taking.by_name[job.name] = as_taken(taking.by_name[job.name], source.name)
            taking.origins[job.name] = source.line.token
            taking.notes.pop(job.name, None)
            break
    now_known = [taking.by_name[record.name] for record in records]
    return Taken(records=now_known, sources=sources, notes=taking.notes)


def line_of_taken(job: Job, source: Source) -> Line:
    """What the ledger says of a job that was taken: its own runs may be taken from here."""
    line = source.line
    return Line(
        job=job.name,
        folder=job.folder,
        identity=job.identity,
        digest=line.digest,
        token=line.token,
        parts=line.parts,
        taken=True,
    )


def to_run_again(run: Run, record: Record) -> Record:
    """A job that was taken, as one that was never submitted; what was brought is moved aside. What
    was brought for a job that runs once more stays."""
    told = reused(run.out_folder(record))
    if told is not None and told.get(KEPT):
        return record
    put_aside(run.out_folder(record))
    return replace(
        record, state=JobState.WAITING, source="orch", reason="", reused="", ended=None, rule=""
    )


def origin_of(run: Run, record: Record) -> str:
    """The token of the attempt that has left a job's results, in this run or another."""
    if record.state is JobState.SKIPPED:
        return ""
    if not record.reused:
        return record.token
    told = reused(run.out_folder(record))
    # Where nothing can be read of it, something that no attempt is called by.
    return record.reused if told is None else str(told["token"])


def chosen_for(run: Run, job: Job) -> Job | None:
    """The best of several jobs that a job follows; None if it follows none, or that is open."""
    if job.name not in run.plan.choices:
        return None
    name = settled(run, job)
    decided = None if name is not None else load_choice(run, job)
    if decided is not None:
        name = decided["chosen"]
    return None if name is None else run.by_name[name]


def is_drawn(run: Run, job: Job) -> bool:
    """Whether a search draws the job's values, of which its identity in the plan says nothing."""
    return job.stage in run.plan.searches


def make_ready(run: Run, job: Job) -> None:
    """See that a job which is about to be submitted writes into files of its own alone."""
    # As text: of ten thousand jobs hardly any has begun before.
    if not os.path.exists(f"{run.folder}/{job.folder}/{OUT}"):  # noqa: PTH110
        return
    out = run.out_folder(job)
    if (out / REUSED_FILE).exists():
        # Its results were removed here: they are made again, and not in what was taken.
        put_aside(out)
    else:
        unshare(out)


def note_submissions(
    run: Run, records: Mapping[str, Record], names: Sequence[str], notes: Mapping[str, str]
) -> None:
    """Write down what the results of these jobs will hang on, before they are submitted."""
    bases = Bases(run)
    origins: dict[str, str] = {}
    lines = []
    launch = newest_launch(run.folder)
    for name in names:
        job, record = run.by_name[name], records[name]
        make_ready(run, job)
        chosen = chosen_for(run, job)
        before = [*job.after, *([chosen.name] if chosen is not None else [])]
        for one in before:
            if one not in origins:
                origins[one] = origin_of(run, records[one])
        basis = bases.of(job, [origins[one] for one in before], chosen)
        files = bases.keep_files(basis)
        if files:
            link_files(str(run.attempt_folder(record)), files)
        lines.append(
            Line(
                job=name,
                folder=job.folder,
                identity=job.identity,
                digest=basis.digest,
                attempt=record.attempt,
                token=record.token,
                parts=basis.parts,
                files=files,
                # Its line is kept for what it says of its program.
                unknown=basis.unknown or (DRAWN if is_drawn(run, job) else ""),
                note=notes.get(name, ""),
                launch=launch,
            )
        )
    ledger.append(run.folder, lines)


def tell_taken(taken: Taken, tell: Callable[[str], None]) -> None:
    """Say what was taken from where, and what runs again although it seems to have been done."""
    by_run: dict[str, list[str]] = {}
    for name, source in taken.sources.items():
        by_run.setdefault(source.run, []).append(name)
    for run, names in by_run.items():
        tell(f"done in {run} and taken from there: {listed(names)}; --fresh runs them again")
    by_reason: dict[str, list[str]] = {}
    for name, reason in taken.notes.items():
        # What differs is told once, with the first job that it is said of.
        by_reason.setdefault(reason.partition(", but ")[2], []).append(name)
    for names in by_reason.values():
        more = f" (and {len(names) - 1} more jobs)" if len(names) > 1 else ""
        tell(f"{names[0]}{more} not taken: {taken.notes[names[0]]}")


def listed(names: Sequence[str]) -> str:
    """The first ones by name, and how many more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
