"""Gates at work: what they judge is read, the decision is made and kept with its inputs, and jobs
are held, let through or SKIPPED.

    runs/<experiment>/<run>/
        gates/<stage or job>.json
                                the decision with every value and its file, and earlier decisions
        gates/overrides.json    what a person decided instead, with the reason
        jobs/<job>/skipped.json the job will not run; jobs that can do without it read this file
                                on their node

``read_inputs`` reads, ``judge`` decides (pure: records and inputs in, records and decisions out),
``write`` keeps what was decided. All of it is written by orch, with the run's lock held. A decision
is made anew as long as a job of the stage is not submitted.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from jobs.choices import Choice, Outcome, choose
from jobs.gates import Condition, Finding, holds, pick, summary
from jobs.gates import decide as decide_together
from jobs.spec import Job
from orchestrator.node.system import write_json
from orchestrator.planning.plan import Plan
from orchestrator.runs.choices import files as choices
from orchestrator.runs.documents.decisions import (
    Override,
    Past,
    Skipped,
    decision_file,
    load_decision,
    read_overrides,
)
from orchestrator.runs.documents.reading import document
from orchestrator.runs.documents.results import judged_rows
from orchestrator.runs.layout import RESULTS
from orchestrator.runs.record import ACTIVE, GATED, JobState, Record, Wait
from orchestrator.runs.run import Run

OPEN = frozenset({JobState.WAITING, JobState.SKIPPED})
"""States that a gate may change: nothing was submitted."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """What the results file of a judged job holds."""

    file: str
    """Relative to the run folder."""
    rows: Sequence[Mapping[str, Any]] = ()
    error: str = ""
    """Why it cannot be read; empty if it can."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the gates of a run are decided by, beside the states of jobs."""

    results: Mapping[str, Results] = field(default_factory=dict)
    """Of the judged jobs that have some, by job name."""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """What a person has decided, by job name."""
    settled: Set[str] = frozenset()
    """Jobs that follow the best one of others, and for which that is chosen for good."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the gates of a stage say, and why."""

    runs: bool | None
    """None: open, values are missing."""
    final: bool
    """Whether no job is left whose end could still change it."""
    text: str
    judged: tuple[tuple[Condition, tuple[Finding, ...]], ...]


def read_inputs(run: Run, records: Sequence[Record]) -> Inputs:
    """What the gates judge that may still change anything: results files and overrides."""
    if not run.plan.gates and not run.plan.choices:
        return Inputs(overrides=read_overrides(run))
    by_name = {record.name: record for record in records}
    keys = run.plan.gate_keys
    undecided = {keys.get(record.name) for record in records if not is_let_through(record)}
    # What was let through whole is not decided again, so its files are not read.
    judged = {
        name: by_name[name]
        for key, conditions in run.plan.gates.items()
        if key in undecided
        for condition in conditions
        for name in condition.jobs
        if name in by_name
    }
    overrides = read_overrides(run)
    settled = set()
    for name in run.plan.choices:
        chosen = choices.settled(run, by_name[name])
        # Until it is submitted a person may take another one.
        override = overrides.get(name)
        taken = (override.get("take") if override is not None else None) or chosen
        if chosen is not None and chosen == taken:
            settled.add(name)
    # Thousands of jobs may follow the best of the same thousands.
    open_choices = {one.jobs for name, one in run.plan.choices.items() if name not in settled}
    for names in open_choices:
        judged |= {one: by_name[one] for one in names}
    results = {name: read_results(run, record) for name, record in judged.items()}
    return Inputs(
        results={name: found for name, found in results.items() if found is not None},
        overrides=overrides,
        settled=frozenset(settled),
    )


def is_let_through(record: Record) -> bool:
    """Whether this pass cannot make the job wait for its gate again: it is done, or the scheduler
    has it. A failed job may be retried in this pass, and an intent without an id may turn out never
    to have arrived: both are judged anew then."""
    submitted = record.state in ACTIVE and record.job_id is not None
    return submitted or record.state is JobState.COMPLETED


def read_results(run: Run, record: Record | Job) -> Results | None:
    """The rows of a job's results; None if it has none yet."""
    path = run.results(record)
    if not path.exists():
        return None
    file = str(path.relative_to(run.folder))
    try:
        return Results(file=file, rows=judged_rows(path))
    # What cannot be read is a missing value, never a bad one: the gate stays open.
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        return Results(file=file, error=f"has results that cannot be read ({RESULTS} {said})")


def judge(
    plan: Plan, records: Sequence[Record], inputs: Inputs, now: float
) -> tuple[list[Record], dict[str, Decision]]:
    """Decide every gate that a job which is not submitted depends on, and hold, let through or skip
    these jobs. Pure. Returns the records and the decisions by the keys of the plan's gates."""
    decisions: dict[str, Decision] = {}
    if not plan.gates and not plan.choices and not inputs.overrides:
        return list(records), decisions
    by_name = {record.name: record for record in records}
    known = Known(by_name, inputs)
    # Judged stages come before those that depend on them, so a skipped stage is seen as such.
    for job in plan.jobs:
        if by_name[job.name].state not in OPEN:
            continue
        key = plan.gate_keys.get(job.name, "")
        if key and key not in decisions:
            decisions[key] = decide(plan.gates[key], by_name, inputs.results)
        before = by_name[job.name]
        by_name[job.name] = judged_record(
            job, by_name, decisions.get(key), inputs.overrides.get(job.name), now
        )
        is_open = job.name in plan.choices and job.name not in inputs.settled
        if is_open and not is_kept_back(by_name[job.name]):
            chosen = known.outcome_of(plan.choices[job.name], job.name)
            by_name[job.name] = with_outcome(by_name[job.name], before, chosen, now)
    return [by_name[record.name] for record in records], decisions


def outcomes(plan: Plan, records: Sequence[Record], inputs: Inputs) -> dict[str, Outcome]:
    """What is chosen for each job that follows the best one of others and is not submitted, where
    it is not chosen for good. Pure."""
    by_name = {record.name: record for record in records}
    known = Known(by_name, inputs)
    return {
        name: known.outcome_of(choice, name)
        for name, choice in plan.choices.items()
        if by_name[name].state in OPEN and name not in inputs.settled
    }


class Known:
    """What the jobs say among which is chosen, looked up once for all that follow the best of the
    same."""

    def __init__(self, by_name: Mapping[str, Record], inputs: Inputs) -> None:
        self.by_name, self.inputs = by_name, inputs
        self.found: dict[tuple[object, ...], tuple[list[Finding], int]] = {}

    def outcome_of(self, choice: Choice, name: str) -> Outcome:
        """Which job is chosen for the job ``name``."""
        key = (choice.metric, str(choice.where), choice.jobs)
        if key not in self.found:
            self.found[key] = self.of(choice)
        findings, to_come = self.found[key]
        override = self.inputs.overrides.get(name)
        if override is None:
            return choose(choice, findings, to_come, None, False)
        at_once = override["decision"] == "run"
        return choose(choice, findings, to_come, override.get("take"), at_once)

    def of(self, choice: Choice) -> tuple[list[Finding], int]:
        """What each of the jobs says, and how many may still bring a value."""
        results = self.inputs.results
        findings = [finding(choice, self.by_name[one], results.get(one)) for one in choice.jobs]
        to_come = 0
        for one in findings:
            state = self.by_name[one.job].state
            # One that is SKIPPED comes only if a person decides so.
            waits = state in ACTIVE or state in (JobState.WAITING, JobState.UNKNOWN)
            to_come += one.value is None and waits
        return findings, to_come


def with_outcome(record: Record, before: Record, chosen: Outcome, now: float) -> Record:
    """The record of a job that follows a chosen one: free where that is chosen, else held, or
    skipped if there is none to choose from. ``before``: as it was before this pass."""
    if chosen.job is not None:
        return record
    if chosen.skipped:
        return skipped(before, f"all of them are SKIPPED: {chosen.text}", now)
    return changed(
        before,
        now,
        state=JobState.WAITING,
        source="gate",
        reason=f"to be chosen: {chosen.text}",
        waits_on=Wait.NOTHING_MORE if chosen.final else Wait.GATE,
    )


def decide(
    conditions: Sequence[Condition],
    by_name: Mapping[str, Record],
    results: Mapping[str, Results],
) -> Decision:
    """Judge the conditions of one stage, or of one job."""
    judged = tuple(
        (one, tuple(finding(one, by_name[name], results.get(name)) for name in one.jobs))
        for one in conditions
    )
    answers = [holds(condition, findings) for condition, findings in judged]
    runs = decide_together(answers)
    # One condition that says no decides for all, and then the text names it alone.
    decisive = [pair for pair, answer in zip(judged, answers, strict=True) if answer is runs]
    text = "; ".join(summary(*pair) for pair in decisive)
    missing = [
        by_name[one.job].state for _, findings in decisive for one in findings if one.value is None
    ]
    # A job that is UNKNOWN may be running. The value of a failed one comes only if a person retries
    # it.
    to_come = any(state in ACTIVE | OPEN or state is JobState.UNKNOWN for state in missing)
    if runs is None and not to_come:
        text += "; nothing more will come: orch retry, or orch override"
    return Decision(runs=runs, final=not to_come, text=text, judged=judged)


def finding(condition: Condition | Choice, record: Record, results: Results | None) -> Finding:
    """What one judged job says."""
    if results is None:
        skipped = record.state is JobState.SKIPPED
        return Finding(job=record.name, value=None, state=str(record.state), skipped=skipped)
    value, why = None, results.error
    if not why:
        try:
            value, why = pick(results.rows, condition.metric, condition.where)
        except (KeyError, TypeError) as error:
            why = f"has results that cannot be read ({type(error).__name__}: {error})"
    return Finding(job=record.name, value=value, why=why, file=results.file)


def judged_record(
    job: Job,
    by_name: Mapping[str, Record],
    gate: Decision | None,
    override: Mapping[str, Any] | None,
    now: float,
) -> Record:
    """The record of a job that was not submitted: skipped, held, or free to be submitted."""
    # The order: a person's skip, a parent without which the job cannot run, the gate. A person's
    # "run" replaces the gate's answer, but makes no missing input.
    record = by_name[job.name]
    if override is not None and override["decision"] == "skip":
        return skipped(record, f"skipped by {override['by']}: {override['reason']}", now)
    missing = skipped_parent(job, by_name)
    if missing is not None:
        return skipped(record, f"needs {missing}, which is SKIPPED", now)
    counts = gate is not None and override is None
    if gate is not None and counts and gate.runs is False:
        return skipped(record, f"gate says no: {gate.text}", now)
    if gate is not None and counts and gate.runs is None:
        return changed(
            record,
            now,
            state=JobState.WAITING,
            source="gate",
            reason=f"gate is undecided: {gate.text}",
            waits_on=Wait.NOTHING_MORE if gate.final else Wait.GATE,
        )
    # A gate or a person kept it back before, and neither does now.
    if is_kept_back(record):
        return changed(record, now, state=JobState.WAITING, source="orch", reason="", waits_on=None)
    return record


def skipped_parent(job: Job, by_name: Mapping[str, Record]) -> str | None:
    """A job without which this one cannot run and that will not run: one that it requires, or, if
    all that it comes after are skipped, the first of these."""
    for name in job.requires:
        if by_name[name].state is JobState.SKIPPED:
            return name
    if job.after and all(by_name[name].state is JobState.SKIPPED for name in job.after):
        return job.after[0]
    return None


def is_kept_back(record: Record) -> bool:
    """Whether a gate, or a person in its place, keeps the job from being submitted."""
    return record.state is JobState.SKIPPED or record.waits_on in GATED


def skipped(record: Record, reason: str, now: float) -> Record:
    """A record of a job that will not run."""
    return changed(record, now, state=JobState.SKIPPED, source="gate", reason=reason, waits_on=None)


def changed(record: Record, now: float, **values: Any) -> Record:
    """A record with new values, seen now if they are new."""
    new = replace(record, **values)
    return record if new == record else replace(new, seen=now)


def write(
    run: Run,
    records: Sequence[Record],
    decisions: Mapping[str, Decision],
    chosen: Mapping[str, Outcome] | None = None,
) -> None:
    """Keep the decisions, and say in the folder of each job whether it is skipped."""
    for key, decision in decisions.items():
        keep(run, key, decision)
    choices.keep_choices(run, chosen or {})
    if not run.plan.gates and not run.plan.choices and not read_overrides(run):
        return
    for record in records:
        if record.state in OPEN:
            mark_skipped(run, record)


def mark_skipped(run: Run, record: Record) -> None:
    """Make ``skipped.json`` in a job's folder say what its record says."""
    path, reason = run.folder / record.folder / "skipped.json", record.reason
    if record.state is not JobState.SKIPPED:
        # Skipped before, until new results or an override changed the decision.
        path.unlink(missing_ok=True)
    else:
        said = document(path, Skipped, "written anew")
        if said is None or said["reason"] != reason:
            write_json(path, {"reason": reason, "time": time.time()})


def keep(run: Run, key: str, decision: Decision) -> None:
    """Write the decision of a stage, or of a job, if it is not the one that is there; earlier ones
    stay in its history."""
    word = {True: "run", False: "skip", None: "open"}[decision.runs]
    inputs = [
        {"condition": one.to_dict(), "findings": [dataclasses.asdict(f) for f in findings]}
        for one, findings in decision.judged
    ]
    old = load_decision(run, key)
    # Through JSON, because tuples are lists in what is read from disk.
    new = (word, decision.text, json.loads(json.dumps(inputs)))
    if old is not None and (old["decision"], old["text"], old["inputs"]) == new:
        return
    history = [] if old is None else old["history"]
    # A new value that leaves the answer as it is makes no history.
    if old is not None and old["decision"] != word:
        before: Past = {"time": old["time"], "decision": old["decision"], "text": old["text"]}
        history = [*history, before]
    path = decision_file(run, key)
    path.parent.mkdir(exist_ok=True)
    write_json(
        path,
        {
            "stage": key,
            "decision": word,
            "text": decision.text,
            "time": time.time(),
            "inputs": inputs,
            "history": history,
        },
    )
