"""Gates at work: results are read, the decision is kept with its inputs, jobs are held, let through
or SKIPPED.

    runs/<experiment>/<run>/
        gates/<stage>.json      the decision with every value and its file, and the decisions before it
        gates/overrides.json    what a person decided instead, with the reason
        jobs/<job>/skipped.json the job will not run; jobs that can do without it look at this file on their node

All of it is written by orch, with the run's lock held. A decision is looked at again as long as a
job of the stage is not submitted.
"""

from __future__ import annotations

import dataclasses
import getpass
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from jobs.gates import Condition, Finding, decide, holds, pick, summary
from jobs.spec import Job
from orchestrator.errors import RunError
from orchestrator.node.system import write_json
from orchestrator.runs.record import ACTIVE, FAILED, GATED, JobState, Record, Wait
from orchestrator.runs.run import Run

OPEN = frozenset({JobState.WAITING, JobState.SKIPPED})
"""States that a gate may change: nothing was submitted."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the gates of a stage say, and why."""

    runs: bool | None
    """None: open, values are missing."""
    final: bool
    """Whether no job is left whose end could still change it."""
    text: str
    judged: tuple[tuple[Condition, tuple[Finding, ...]], ...]


def apply(run: Run, records: Sequence[Record]) -> list[Record]:
    """Decide every gate that is not settled, and hold, let through or skip what hangs on it. With
    the lock held."""
    overrides = read_overrides(run)
    if not run.plan.gates and not overrides:
        return list(records)
    by_name = {record.name: record for record in records}
    decisions: dict[str, Decision | None] = {}
    for job in run.plan.jobs:  # judged stages come before those that hang on them
        if by_name[job.name].state not in OPEN:
            continue
        if job.stage in run.plan.gates and job.stage not in decisions:
            decisions[job.stage] = decision(run, run.plan.gates[job.stage], by_name)
            keep(run, job.stage, decisions[job.stage])
        by_name[job.name] = settled(
            run, job, by_name, decisions.get(job.stage), overrides.get(job.name)
        )
    return [by_name[record.name] for record in records]


def decision(run: Run, conditions: Sequence[Condition], by_name: Mapping[str, Record]) -> Decision:
    """Judge the conditions of one stage by what lies in the jobs' folders now."""
    judged = tuple(
        (one, tuple(finding(run, one, by_name[name]) for name in one.jobs)) for one in conditions
    )
    answers = [holds(condition, findings) for condition, findings in judged]
    runs = decide(answers)
    shown = [pair for pair, answer in zip(judged, answers, strict=True) if answer is runs]
    text = "; ".join(summary(*pair) for pair in shown)
    missing = [
        by_name[one.job].state for _, findings in shown for one in findings if one.value is None
    ]
    to_come = any(state in ACTIVE | OPEN or state is JobState.UNKNOWN for state in missing)
    if runs is None and not to_come:
        text += "; nothing more will come: orch retry, or orch override"
    return Decision(runs=runs, final=not to_come, text=text, judged=judged)


def finding(run: Run, condition: Condition, record: Record) -> Finding:
    """What one judged job says."""
    path = run.folder / record.folder / "out" / "results.json"
    if not path.exists():
        return Finding(
            job=record.name,
            value=None,
            state=str(record.state),
            skipped=record.state is JobState.SKIPPED,
        )
    try:
        rows = json.loads(path.read_text())["rows"]
        value, why = pick(rows, condition.metric, condition.where)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        value, why = None, f"has results that cannot be read ({type(error).__name__}: {error})"
    return Finding(job=record.name, value=value, why=why, file=str(path.relative_to(run.folder)))


def settled(
    run: Run,
    job: Job,
    by_name: Mapping[str, Record],
    gate: Decision | None,
    override: Mapping[str, Any] | None,
) -> Record:
    """The record of a job that was not submitted: skipped, held, or free to be submitted."""
    record = by_name[job.name]
    given_up = [name for name in job.requires if by_name[name].state is JobState.SKIPPED]
    if (
        not given_up
        and job.after
        and all(by_name[name].state is JobState.SKIPPED for name in job.after)
    ):
        given_up = [job.after[0]]
    if override is not None and override["decision"] == "skip":
        return skipped(run, record, f"skipped by {override['by']}: {override['reason']}")
    if given_up:
        return skipped(run, record, f"needs {given_up[0]}, which is SKIPPED")
    if gate is not None and override is None and gate.runs is False:
        return skipped(run, record, f"gate says no: {gate.text}")
    (run.folder / record.folder / "skipped.json").unlink(missing_ok=True)
    if gate is not None and override is None and gate.runs is None:
        return changed(
            record,
            state=JobState.WAITING,
            source="gate",
            reason=f"gate is open: {gate.text}",
            waits_on=Wait.NOTHING_MORE if gate.final else Wait.GATE,
        )
    if held_by_gate(record):
        return changed(record, state=JobState.WAITING, source="orch", reason="", waits_on=None)
    return record


def held_by_gate(record: Record) -> bool:
    """Whether a gate, or a person in its place, keeps the job from being submitted."""
    return record.state is JobState.SKIPPED or record.waits_on in GATED


def skipped(run: Run, record: Record, reason: str) -> Record:
    """A record of a job that will not run; its folder says so too."""
    path = run.folder / record.folder / "skipped.json"
    if not path.exists() or json.loads(path.read_text())["reason"] != reason:
        write_json(path, {"reason": reason, "time": time.time()})
    return changed(record, state=JobState.SKIPPED, source="gate", reason=reason, waits_on=None)


def changed(record: Record, **values: Any) -> Record:
    """A record with new values, seen now if they are new."""
    new = replace(record, **values)
    return record if new == record else replace(new, seen=time.time())


def keep(run: Run, stage: str, decided: Decision | None) -> None:
    """Write the decision of a stage if it is not the one that is there; earlier ones stay in its
    history."""
    if decided is None:
        return
    path = run.folder / "gates" / f"{stage}.json"
    word = {True: "run", False: "skip", None: "open"}[decided.runs]
    inputs = [
        {"condition": one.to_dict(), "findings": [dataclasses.asdict(f) for f in findings]}
        for one, findings in decided.judged
    ]
    old = json.loads(path.read_text()) if path.exists() else None
    if old is not None and (old["decision"], old["text"], old["inputs"]) == (
        word,
        decided.text,
        json.loads(json.dumps(inputs)),
    ):
        return
    history = [] if old is None else old["history"]
    if old is not None and old["decision"] != word:
        history = [*history, {key: old[key] for key in ("time", "decision", "text")}]
    path.parent.mkdir(exist_ok=True)
    write_json(
        path,
        {
            "stage": stage,
            "decision": word,
            "text": decided.text,
            "time": time.time(),
            "inputs": inputs,
            "history": history,
        },
    )


def kept(run: Run, stage: str) -> dict[str, Any] | None:
    """The decision that is on disk."""
    path = run.folder / "gates" / f"{stage}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def read_overrides(run: Run) -> dict[str, dict[str, Any]]:
    """What persons decided, by job: the newest word counts."""
    path = run.folder / "gates" / "overrides.json"
    lines: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return {line["job"]: line for line in lines}


def override(
    run: Run, records: Sequence[Record], names: Iterable[str], runs: bool, reason: str
) -> list[str]:
    """Note that these jobs run, or do not, whatever the gate says; returns what else there is to
    say. With the lock held."""
    if not reason.strip():
        raise RunError(
            "an override needs a reason: --reason TEXT says why to whoever reads the run later"
        )
    by_name, wanted, said = {record.name: record for record in records}, set(names), []
    for name in sorted(wanted):
        record = by_name[name]
        if record.state is JobState.CANCELLED and not record.attempt:
            raise RunError(
                f"{name} is {record.state}; bring it back first: orch retry --job {name}"
            )
        if record.state not in OPEN:
            raise RunError(
                f"{name} is {record.state}, so it was let through already; an override is "
                "for a job that was not submitted"
                + (f" (orch cancel --job {name} ends it)" if record.state in ACTIVE else "")
            )
        if runs and record.stage not in run.plan.gates and not held_by_gate(record):
            raise RunError(
                f"{name} has no gate and is not skipped; it waits: "
                f"{record.reason or 'for orch launch'}"
            )
        late = [
            job.name
            for job in run.plan.jobs
            if name in job.after and runs and by_name[job.name].state not in OPEN | FAILED
        ]
        if any(by_name[one].state in ACTIVE for one in late):
            raise RunError(
                f"{late[0]} is {by_name[late[0]].state} and was submitted to run without "
                f"{name}; end it first: "
                f"orch cancel --job {late[0]}, then orch override, then orch retry"
            )
        said += [
            f"{one} has run without {name} and keeps its results; to make them again "
            f"remove {by_name[one].folder}/out/results.json"
            for one in late
        ]
    path = run.folder / "gates" / "overrides.json"
    lines = json.loads(path.read_text()) if path.exists() else []
    path.parent.mkdir(exist_ok=True)
    write_json(
        path,
        [
            *lines,
            *(
                {
                    "job": name,
                    "decision": "run" if runs else "skip",
                    "reason": reason,
                    "by": getpass.getuser(),
                    "time": time.time(),
                }
                for name in sorted(wanted)
            ),
        ],
    )
    return said


def behind(run: Run) -> set[str]:
    """Jobs that a gate keeps from being submitted at launch: those of gated stages, and all that
    come after them."""
    found: set[str] = set()
    for job in run.plan.jobs:
        if job.stage in run.plan.gates or found.intersection(job.after):
            found.add(job.name)
    return found


def awaited(run: Run, records: Sequence[Record]) -> list[list[Record]]:
    """For each open gate the active jobs whose end may decide it."""
    by_name = {record.name: record for record in records}
    found: dict[tuple[str, ...], list[Record]] = {}
    for stage, conditions in run.plan.gates.items():
        if not any(r.stage == stage and r.waits_on in GATED for r in records):
            continue
        active = [
            by_name[name]
            for one in conditions
            for name in one.jobs
            if by_name[name].state in ACTIVE and by_name[name].job_id
        ]
        if active:
            found.setdefault(tuple(sorted({record.token for record in active})), active)
    return list(found.values())
