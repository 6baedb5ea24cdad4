"""What there is of the models of a run: how many are trained, evaluated, probed.

In: a run, its records, and the progress of the jobs whose steps are worth counting. Out: a line for
each kind of thing that other stages follow job by job (``for_each``), as in

    models 87: trained 80, evaluated 75 (1,125 of 1,305 sets), extracted 60 of 84

A job that failed, or was skipped, counts as not done, whatever it has left. Called by `orch
status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from jobs.spec import Chain
from orchestrator.runs.record import JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.pace import last_progress

DONE = "done"
"""What is said of a command, as nobody says what it does."""
TRAINED = "trained"
"""What is done to make a model (``EngineConfig.DOES``)."""


def inventory(run: Run, records: Sequence[Record]) -> list[dict[str, Any]]:
    """One entry for each kind of thing that other stages follow: what it is called, how many there
    are, and what was done of each, with plain JSON values."""
    by_stage: dict[str, list[Record]] = {}
    for record in records:
        by_stage.setdefault(record.stage, []).append(record)
    return [
        entry(run, word, stages, by_stage) for word, stages in followed(run.plan.chains).items()
    ]


def followed(chains: Mapping[str, Chain]) -> dict[str, set[str]]:
    """The stages that others follow job by job, by what their jobs do; that of a command by its own
    name."""
    parents = {chain.for_each for chain in chains.values() if chain.for_each in chains}
    words = {word_of(chains, stage) for stage in parents}
    found: dict[str, set[str]] = {}
    for stage in chains:
        # A stage that trains as the others do leaves models too, though nothing may follow it.
        if word_of(chains, stage) in words:
            found.setdefault(word_of(chains, stage), set()).add(stage)
    return found


def word_of(chains: Mapping[str, Chain], stage: str) -> str:
    """What the jobs of a stage do."""
    return chains[stage].does or stage


def entry(
    run: Run, word: str, stages: Set[str], by_stage: Mapping[str, Sequence[Record]]
) -> dict[str, Any]:
    """What was done of the jobs of some stages, and of each by those that follow it."""
    chains = run.plan.chains
    items = [record for stage in chains if stage in stages for record in by_stage.get(stage, ())]
    named = chains[items[0].stage].does if items else ""
    done = [counted(named or DONE, len(items), items)]
    followers: dict[str, list[Record]] = {}
    for stage, chain in chains.items():
        if chain.for_each in stages and stage not in stages:
            followers.setdefault(word_of(chains, stage), []).extend(by_stage.get(stage, ()))
    for what, jobs in followers.items():
        # A model is evaluated when all evaluations that follow it are done.
        unfinished = {parent_of(run, job) for job in jobs if job.state is not JobState.COMPLETED}
        parents = {parent_of(run, job) for job in jobs}
        values = counted(what, len(parents), jobs) | {"done": len(parents - unfinished)}
        done.append(values | steps(run, jobs))
    return {"name": "models" if word == TRAINED else word, "count": len(items), "done": done}


def counted(word: str, of: int, jobs: Sequence[Record]) -> dict[str, Any]:
    """How many of some jobs are done."""
    return {
        "word": word,
        "of": of,
        "done": sum(job.state is JobState.COMPLETED for job in jobs),
        "skipped": sum(job.state is JobState.SKIPPED for job in jobs),
    }


def parent_of(run: Run, record: Record) -> str:
    """The job that one follows by ``for_each``: it requires it; "" where a plan does not say so."""
    stage = run.plan.chains[record.stage].for_each
    needed = run.by_name[record.name].requires
    return next((name for name in needed if run.by_name[name].stage == stage), "")


def steps(run: Run, jobs: Iterable[Record]) -> dict[str, Any]:
    """Sums over what the progress of the jobs counts; a job that has not begun counts with as many
    as the longest of the others. Empty where nothing is counted, or nothing has begun."""
    done = 0
    totals: list[int] = []
    unknown = 0
    unit = ""
    for job in jobs:
        unit = run.plan.chains[job.stage].counts or unit
        lines = last_progress(run.out_folder(job)) if unit and (job.attempt or job.reused) else []
        if not lines or lines[-1]["total"] is None:
            unknown += 1
            continue
        done += lines[-1]["step"]
        totals.append(lines[-1]["total"])
    if not unit or not totals:
        return {}
    return {"unit": unit, "steps": done, "steps_of": sum(totals) + unknown * max(totals)}


def inventory_lines(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """The same in words."""
    lines = []
    for one in entries:
        if one["done"][0]["word"] == DONE:
            # Of commands nobody has said what they do: their names, and how many of each.
            lines.append("; ".join(command_text(one["name"], part) for part in one["done"]))
            continue
        parts = [part_text(part, one["count"]) for part in one["done"]]
        lines.append(f"{one['name']} {one['count']}: {', '.join(parts)}")
    return lines


def command_text(name: str, part: Mapping[str, Any]) -> str:
    """``train: 5 of 6 done``, ``evaluate: 2 of 6``."""
    own = part["word"] == DONE
    text = (
        f"{name if own else part['word']}: {part['done']} of {part['of']}{' done' if own else ''}"
    )
    return f"{text} ({part['skipped']} skipped)" if part["skipped"] else text


def part_text(part: Mapping[str, Any], count: int) -> str:
    """``evaluated 75 (1,125 of 1,305 sets)``."""
    text = f"{part['word']} {part['done']}"
    if part["of"] != count:
        text += f" of {part['of']}"
    notes = []
    if "steps" in part:
        notes.append(f"{part['steps']:,} of {part['steps_of']:,} {part['unit']}")
    if part["skipped"]:
        notes.append(f"{part['skipped']} skipped")
    return f"{text} ({'; '.join(notes)})" if notes else text
