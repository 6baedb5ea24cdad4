"""`orch why JOB`: everything that decides where a job stands, with its values.

In: a run, the record of the job and those of all others. Out: lines for a person. Called by the
command `orch why` and by `orch watch`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.gates import Condition, Finding, holds
from jobs.gates import number as number_text
from jobs.searches import POINT, values_text
from orchestrator.lifecycle.bounds import budget
from orchestrator.runs.choices.files import load_choice, settled
from orchestrator.runs.choices.rounds import load_rounds, point_of, points_of
from orchestrator.runs.documents.decisions import Kept, load_decision, read_overrides
from orchestrator.runs.documents.results import problems_in
from orchestrator.runs.record import FAILED, GATED, Doubt, JobState, Record
from orchestrator.runs.reuse.bring import reused
from orchestrator.runs.reuse.ledger import newest
from orchestrator.runs.run import Run
from orchestrator.runs.sources import OUTSIDE
from orchestrator.views.moments import ago, clock, said_of, stamp
from orchestrator.views.overview.signs import UNDECIDED, decision_word
from orchestrator.views.ran.facts import ran_lines
from orchestrator.views.status import progress_text, row

SHOWN = 8
"""Jobs of a list that are named; of the others only how many."""
EARLIER_DECISIONS = 3
ANSWERS = {True: "met", False: "not met", None: UNDECIDED}
DECIDED_BY = {
    "results_complete": "its complete results",
    "pack_member_ended": "the exit record on the node: this member of the pack ended by itself",
    "node_named_the_state": "the exit record on the node, which names the state",
    "accounting_failed": "a final state in the scheduler's accounting",
    "requeue_requested": "the exit record on the node, which asked to be started again",
    "signal_unexplained": "the exit record on the node, until the scheduler says who ended it",
    "results_awaited": "its end; its results have a minute to appear",
    "exit_recorded": "the exit record on the node",
    "completed_without_results": "the scheduler's accounting, against missing results",
    "accounting_active": "an active state in the scheduler's accounting; "
    "the queue does not show it",
    "in_the_queue": "an active state in the scheduler's queue",
    "accounting_not_asked": "its absence from the queue; accounting could not be asked",
    "nowhere": "its absence from both the queue and accounting",
}
"""Rules of ``orchestrator/runs/rules.py`` in plain words, by the names that state files hold: a
rule that was renamed keeps its old name here too. The others keep what was known before, or give a
state that is orch's own."""


def why(run: Run, record: Record, records: Sequence[Record]) -> list[str]:
    """Lines for a person: the state and its source, the gate with its values, the jobs it needs,
    the log."""
    now = time.time()
    lines = [state_line(record, now)]
    lines += decided_lines(record)
    lines += pace_lines(row(run, record, now))
    for one in run.plan.replaced:
        if one.by == record.name:
            lines.append(f"replaces {one.job}: {one.reason}")
    overridden = read_overrides(run).get(record.name)
    if overridden is not None:
        lines.append(
            f"override: {overridden['decision']}, by {overridden['by']} at "
            f"{stamp(overridden['time'])}: {overridden['reason']}"
        )
    key = run.plan.gate_keys.get(record.name)
    decided = None if key is None else load_decision(run, key)
    if decided is not None:
        lines += gate_lines(decided)
    if record.name in run.plan.choices:
        lines += choice_lines(run, record)
    lines += search_lines(run, record)
    lines += reuse_lines(run, record)
    lines += ran_lines(run, run.by_name[record.name])
    lines += parent_lines(run, record, {one.name: one for one in records})
    lines += problem_lines(run, record)
    # Asked of one job: of all of them, at every status, it would take long on NFS.
    if record.state is JobState.COMPLETED and not run.results_file(record).exists():
        lines.append("its results.json is gone: orch launch runs it again")
    lines += retry_lines(run, record)
    stands = budget.taken(run, records)
    if stands is not None:
        lines.append(f"budget of the run: {stands}")
    lines += allocation_lines(record, records)
    if record.state in FAILED and record.attempt and run.log(record).exists():
        lines.append(f"log: {run.log(record)}")
    if record.state is JobState.SKIPPED or record.waits_on in GATED:
        words = "--run|--skip|--take JOB" if record.name in run.plan.choices else "--run|--skip"
        lines.append(f"to decide it yourself: orch override {record.name} {words} --reason TEXT")
    return lines


def state_line(record: Record, now: float) -> str:
    """The state, its source and age, and the reason."""
    age = f", {ago(record.seen, now)}" if record.seen else ""
    said = said_of(record, now)
    return f"{record.name} is {record.state} ({record.source}{age}){f': {said}' if said else ''}"


def decided_lines(record: Record) -> list[str]:
    """Which of the sources decided the state. What orch itself has decided since, such as a gate or
    a new attempt, is explained by its reason alone."""
    from_outside = record.source in OUTSIDE or record.doubt in (Doubt.NOWHERE, Doubt.UNASKED)
    if record.rule not in DECIDED_BY or not from_outside:
        return []
    return [f"decided by: {DECIDED_BY[record.rule]}"]


def reuse_lines(run: Run, record: Record) -> list[str]:
    """From where its results were taken; or why those of a like job were not."""
    if record.reused:
        told = reused(run.out_folder(record))
        if told is None:
            return [f"taken from: {record.reused}"]
        ended = f", ended at {stamp(told['ended'])}" if told["ended"] else ""
        return [
            f"taken from: {record.reused}{ended}, on {stamp(told['time'])}; its log: "
            f"orch logs {record.reused}",
            "to run it here: orch launch with --fresh",
        ]
    line = newest(run.folder, record.name)
    return [f"not taken: {line.note}"] if line is not None and line.note else []


def problem_lines(run: Run, record: Record) -> list[str]:
    """What a command has left that is not in the documented form, and so counts for nothing."""
    if run.by_name[record.name].engine is not None:
        return []
    problems = problems_in(run.results_file(record), record.name)
    return [f"passed over: {problem}" for problem in problems]


def retry_lines(run: Run, record: Record) -> list[str]:
    """What retries have raised, and how many are left that come by themselves."""
    lines = []
    planned = run.by_name[record.name].resources
    raised = [
        f"{key}={value} (planned: {getattr(planned, key)})"
        for key, value in (("memory_gb", record.memory_gb), ("minutes", record.minutes))
        if value is not None and value > getattr(planned, key)
    ]
    if raised:
        lines.append(f"raised by retries: {', '.join(raised)}")
    if record.exclude:
        lines.append(f"leaves out the nodes {record.exclude}")
    counts = [
        f"{kind} {record.retries.get(kind, 0)} of {most}" for kind, most in run.plan.retry.items()
    ]
    if counts and record.attempt:
        lines.append(f"retried automatically: {', '.join(counts)}")
    return lines


def pace_lines(values: dict[str, Any]) -> list[str]:
    """How far it is or when it starts; that it is stalled, and what to do then."""
    now = time.time()
    # An estimate of Slurm's that has passed by is not worth a line.
    known = values["phase"] is not None or (values["expected_start"] or 0.0) > now
    # Without its reason, which the first line has said.
    lines = [f"progress: {progress_text({**values, 'reason': ''}, now)}"] if known else []
    if values["stalled_seconds"] is not None:
        lines += [
            f"stalled: nothing new for {clock(values['stalled_seconds'])}; read the end "
            f"of its log: {values['log']}",
            "to start it again from its newest checkpoint: orch cancel --job "
            f"{values['job']}, then orch retry --job {values['job']}",
        ]
    return lines


def allocation_lines(record: Record, records: Sequence[Record]) -> list[str]:
    """The other jobs of its pack."""
    sharing = []
    for one in records:
        if one is not record and one.packed and one.allocation == record.allocation:
            sharing.append(one.name)
    if not sharing:
        return []
    more = f" and {len(sharing) - SHOWN} more" if len(sharing) > SHOWN else ""
    return [f"shares the allocation {record.job_id} with {', '.join(sharing[:SHOWN])}{more}"]


def parent_lines(run: Run, record: Record, by_name: Mapping[str, Record]) -> list[str]:
    """The jobs before it that are not done, those first that it cannot do without; of many the
    first ones."""
    job = run.by_name[record.name]
    # A job that waits for another without requiring it can do without its results, or that one is
    # the canary of its stage.
    before = [*job.requires, *(name for name in job.waits_for if name not in job.requires)]
    unfinished = [name for name in before if by_name[name].state is not JobState.COMPLETED]
    lines = []
    for name in unfinished[:SHOWN]:
        parent = by_name[name]
        reason = f": {parent.reason}" if parent.reason else ""
        if name in job.requires:
            relation = "needs"
        elif name == job.canary:
            relation = "starts when the canary has succeeded:"
        else:
            relation = "comes after"
        lines.append(f"{relation} {name} ({parent.state}{reason})")
    if len(unfinished) > SHOWN:
        lines.append(f"and {len(unfinished) - SHOWN} more")
    return lines


def choice_lines(run: Run, record: Record) -> list[str]:
    """Which job it follows, whether that holds for good, and the value of every job that it was
    chosen from, with its file."""
    decided = load_choice(run, record)
    if decided is None:
        return []
    holds_now = "final" if settled(run, record) else "until it is submitted"
    chosen = decided["chosen"] or UNDECIDED
    state = f", {holds_now}" if decided["chosen"] else ""
    lines = [f"follows: {chosen}{state}, decided at {stamp(decided['time'])}"]
    lines.append(f"  {run.plan.choices[record.name].asks}")
    for values in decided["findings"]:
        one = Finding.from_dict(values)
        value = number_text(one.value) if one.value is not None else one.state or one.why
        mark = " <- this one" if one.job == decided["chosen"] else ""
        lines.append(f"    {one.job}: {value}{f' ({one.file})' if one.file else ''}{mark}")
    for old in decided["history"][-EARLIER_DECISIONS:]:
        lines.append(f"  before: {old['chosen']} at {stamp(old['time'])}: {old['text']}")
    return lines


def search_lines(run: Run, record: Record) -> list[str]:
    """What a search has drawn for a job, by what, and what was known of the points before."""
    job = run.by_name[record.name]
    search, number = run.plan.searches.get(job.stage), run.plan.round_of(job)
    if search is None or number is None:
        return []
    head = f"search: point {job.axes[POINT]}, round {number} of {search.rounds}"
    rounds = load_rounds(run, job.stage)
    if number > len(rounds):
        return [f"{head}, not drawn yet"]
    one = rounds[number - 1]
    values = values_text(point_of(job, points_of(run, [job.stage])))
    lines = [f"{head}: {values}, drawn by {one.by} at {stamp(one.time)}"]
    if one.told:
        lines.append(f"  by the {search.asks} of {len(one.told)} points; each counts with its mean")
    for told in one.told:
        value = UNDECIDED if told.open else "failed"
        if told.value is not None:
            value = number_text(told.value)
        lines.append(f"    point {told.point}, {values_text(told.axes)}: {value}")
    return lines


def gate_lines(decided: Kept) -> list[str]:
    """The decision, then each condition with the value of every job and its file, then earlier
    decisions."""
    decision, when = decision_word(decided["decision"]), stamp(decided["time"])
    lines = [f"gate: {decision}, {'since' if decision == UNDECIDED else 'decided at'} {when}"]
    for entry in decided["inputs"]:
        condition = Condition.from_dict(entry["condition"])
        findings = [Finding.from_dict(finding) for finding in entry["findings"]]
        answer = ANSWERS[holds(condition, findings)]
        lines.append(f"  {condition.asks}: {answer}")
        for finding in findings:
            lines.append(finding_line(condition, finding))
    for old in decided["history"][-EARLIER_DECISIONS:]:
        lines.append(
            f"  before: {decision_word(old['decision'])} at {stamp(old['time'])}: {old['text']}"
        )
    return lines


def finding_line(condition: Condition, finding: Finding) -> str:
    """What one judged job says: its value, or why there is none, and the file."""
    value = finding.state or finding.why
    if finding.value is not None:
        reached = "reaches it" if condition.reached(finding.value) else "misses it"
        value = f"{number_text(finding.value)}, {reached}"
    file = f" ({finding.file})" if finding.file else ""
    return f"    {finding.job}: {value}{file}"
