"""What a run's page shows, before it is HTML.

In: a run, its records, and what lies in its folder. Out: ``Facts``, and from them the stages, bars
and tables of the page. Called by page.py. A run of ten thousand jobs gives tables and drawings of
the same size as one of a hundred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from engines.contract.progress import read_progress
from engines.shared.reporting.look import NEUTRAL, Look, colour_axis, looks_of
from jobs.ranking import Setting, without_seed
from jobs.stages import Point, job_name, literal
from orchestrator.lifecycle.decided.ranking import (
    higher_is_better,
    metrics_of,
    read_all,
    settings_of,
)
from orchestrator.lifecycle.failure_causes import alike
from orchestrator.runs.choices.files import axes_with_followed, load_choice
from orchestrator.runs.documents.decisions import load_decision
from orchestrator.runs.provenance.launches import launches, summary
from orchestrator.runs.provenance.redaction import redacted_output
from orchestrator.runs.record import FAILED, JobState, Record
from orchestrator.runs.run import Run
from orchestrator.views.costs.starts import Start
from orchestrator.views.costs.tables import Spent, spent
from orchestrator.views.overview.causes import Cause, Parts, cause_of
from orchestrator.views.overview.jobs import job_columns
from orchestrator.views.overview.metrics import newest_metrics
from orchestrator.views.overview.signs import UNDECIDED
from orchestrator.views.overview.stages import stage_columns
from orchestrator.views.pace import findings_among
from orchestrator.views.page.curves import Curve
from orchestrator.views.page.findings import Found, reports, settings
from orchestrator.views.page.graph import StageBox
from orchestrator.views.page.svg import STOPPED
from orchestrator.views.page.sweep import Colours
from orchestrator.views.page.timeline import Bar
from orchestrator.views.status import clock
from orchestrator.views.tables.columns import Column, numbers
from orchestrator.views.tables.folding import values_of

CURVE_METRICS = (
    "validation_reward_mean",
    "validation_accuracy",
    "validation_exact_match",
    "validation_loss",
    "validation_cross_entropy",
    "unique_valid",
    "train_reward_mean",
    "loss",
    "cross_entropy",
)
"""The first two of these that a job's progress reports are drawn. A metric of a new engine is added
here too; what each means stands in ``engines/contract/metrics.py``. Those that a stage names under
``metrics`` and says which values are better of come before them."""
DRAWN_METRICS, WITH_NAMED_ONES = 2, 3
"""Pictures of a stage at most; where its own metrics are among them, one more."""
SAMPLED = 48
"""Jobs of a stage whose progress is read for its curves, spread over the stage."""
LISTED = 300
"""Lines of the table of jobs; failed jobs come first."""
SETTINGS_LISTED = 40
"""Lines of a table of settings."""
OUTCOMES = {
    "running": JobState.RUNNING,
    "results": JobState.COMPLETED,
    "requeued": JobState.PENDING,
    "stopped": JobState.PREEMPTED,
    "died": JobState.FAILED,
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that a page shows."""

    run: Run
    records: Sequence[Record]
    trouble: str
    """Why the scheduler could not be asked, if so."""
    now: float
    spent: Spent
    curves: dict[tuple[str, str], list[Curve]]
    """By stage and metric."""
    sweeps: dict[tuple[str, str], list[Setting]]
    """Settings by stage and metric, the best one first."""
    gates: Sequence[Mapping[str, Any]]
    """Decisions, as the gates keep them."""
    launches: Sequence[tuple[float, str, str]]
    """When, by which command, from which code."""
    reports: Sequence[Found]
    colours: Colours
    settings: Mapping[str, str]
    """What the first job of each stage ran with."""


def gather(run: Run, records: Sequence[Record], trouble: str, now: float) -> Facts:
    """Read everything that the page shows. It is for others to read, so secrets that a job has
    printed are taken out of the reasons."""
    # Thousands of records share few reasons, so each text is searched for secrets once.
    clean = {reason: redacted_output(reason) for reason in {record.reason for record in records}}
    shown = []
    for record in records:
        if clean[record.reason] == record.reason:
            shown.append(record)
        else:
            shown.append(replace(record, reason=clean[record.reason]))
    decisions = [load_decision(run, key) for key in run.plan.gates]
    return Facts(
        run=run,
        records=shown,
        trouble=trouble,
        now=now,
        spent=spent(run, shown, now),
        curves=read_curves(run, shown),
        sweeps=sweeps(run),
        gates=[*(decision for decision in decisions if decision is not None), *chosen(run)],
        launches=[(one["time"], one["action"], summary(one)) for one in launches(run.folder)],
        reports=reports(run, shown),
        colours=colours_of_axis(run),
        settings=settings(run),
    )


def sweeps(run: Run) -> dict[tuple[str, str], list[Setting]]:
    """The settings of each stage that has tried several: by the metric that another stage follows
    the best job by, or that its search goes by, else by the first one of which a direction is
    known."""
    found = read_all(run)
    wanted = {stage: search.metric for stage, search in run.plan.searches.items()}
    wanted |= {choice.stage: choice.metric for choice in run.plan.choices.values()}
    drawn = {}
    for stage, metrics in metrics_of(run, found).items():
        known = [one for one in metrics if higher_is_better(run, stage, one) is not None]
        metric = wanted.get(stage, known[0] if known else "")
        higher = higher_is_better(run, stage, metric) if metric in metrics else None
        if higher is None:
            continue
        settings = settings_of(run, stage, metric, higher, found)
        # Of rows with axes of their own, such as a task, no job has one value.
        if len(settings) > 1 and settings[0].values:
            drawn[stage, metric] = settings
    return drawn


def setting_rows(settings: Sequence[Setting], axes: Sequence[str]) -> list[list[str]]:
    """The table of settings: mean, values of the axes on which they differ, n, spread, which is
    best."""
    lines = []
    listed = settings[:SETTINGS_LISTED]
    means, spreads = numbers([one.mean for one in listed]), numbers([one.spread for one in listed])
    for rank, one in enumerate(listed):
        mark = "best" if rank == 0 and one.values else ""
        values = [literal(one.axes[axis]) if axis in one.axes else "" for axis in axes]
        mean = means[rank] or "no value"
        lines.append([mean, *values, str(len(one.values)), spreads[rank], mark])
    return lines


def chosen(run: Run) -> list[dict[str, Any]]:
    """Which jobs are followed as the best ones of others, in the form of the gates' decisions."""
    found = []
    for name in run.plan.choices:
        decided = load_choice(run, run.by_name[name])
        if decided is not None:
            word = f"follows {decided['chosen']}" if decided["chosen"] else UNDECIDED
            found.append({"stage": name, "decision": word, "text": decided["text"]})
    return found


def read_curves(run: Run, records: Sequence[Record]) -> dict[tuple[str, str], list[Curve]]:
    """Curves by stage and metric, of a sample of the jobs of a large stage."""
    started: dict[str, list[Record]] = {}
    for record in records:
        if record.attempt or record.reused:
            started.setdefault(record.stage, []).append(record)
    looks, axis = looks_by_setting(run), colours_of_axis(run).axis
    curves: dict[tuple[str, str], list[Curve]] = {}
    for stage, members in started.items():
        varying = varying_axes(run, stage)
        # Rounded up, so that every k-th job makes SAMPLED of them at most.
        every = max(1, -(-len(members) // SAMPLED))
        for record in members[::every]:
            axes = without_seed(axes_with_followed(run, record))
            words = [f"{axis}={literal(axes[axis])}" for axis in varying if axis in axes]
            look = look_of(looks, axes, axis)
            if look.colour == NEUTRAL:
                words.append(f"without {axis}")
            label = ", ".join(words) or stage
            for metric, points in job_curves(run, record):
                died = record.state in FAILED
                curve = Curve(label=label, points=points, look=look, died=died)
                curves.setdefault((stage, metric), []).append(curve)
    return curves


def look_of(looks: Mapping[str, Look], axes: Point, axis: str) -> Look:
    """How a job of these axes is drawn; one without the axis that has the colours has none of
    them."""
    look = looks.get(job_name("", axes), Look(0))
    return Look(NEUTRAL, look.line) if axis and axis not in axes else look


def varying_axes(run: Run, stage: str) -> list[str]:
    """The axes but for the seed in which the jobs of a stage differ."""
    points = [without_seed(job.axes) for job in run.plan.jobs if job.stage == stage]
    return [axis for axis, values in values_of(points).items() if len(values) > 1]


def looks_by_setting(run: Run) -> dict[str, Look]:
    """A look for each setting of the run, the one that its reports give it too."""
    settings = {}
    for job in run.plan.jobs:
        axes = without_seed(job.axes)
        if axes:
            settings[job_name("", axes)] = axes
    looks = looks_of(list(settings.values()), first=baselines(run))
    return dict(zip(settings, looks, strict=True))


def colours_of_axis(run: Run) -> Colours:
    """The axis that has the colours in the curves, and the look of each of its values."""
    points = [without_seed(job.axes) for job in run.plan.jobs if without_seed(job.axes)]
    axis = colour_axis(points)
    looks: dict[str, Look] = {}
    for point, look in zip(points, looks_of(points, first=baselines(run)), strict=True):
        if axis in point:
            looks.setdefault(literal(point[axis]), Look(look.colour))
    # Where each setting has a look of its own, no axis has the colours.
    is_one_each = len({look.colour for look in looks.values()}) == len(looks)
    return Colours(axis, looks) if is_one_each else Colours()


def baselines(run: Run) -> list[str]:
    """The values that reports of the run compare others with; they have the first colour."""
    found = []
    for job in run.plan.jobs:
        compared = job.config.get("compare")
        if isinstance(compared, dict) and "baseline" in compared:
            found.append(str(compared["baseline"]))
    return list(dict.fromkeys(found))


def job_curves(run: Run, record: Record) -> list[tuple[str, list[tuple[float, float]]]]:
    """The curves of one job: metrics with their points."""
    lines = read_progress(run.out_folder(record))
    # In the order in which they first appear; a command's own metrics are drawn where no known one
    # is there.
    names = dict.fromkeys(name for line in lines for name in line["metrics"])
    known = [name for name in CURVE_METRICS if name in names]
    named = [name for name in run.plan.named_metrics(record.stage) if name in names]
    reported = list(dict.fromkeys([*named, *known]))
    if not reported and run.by_name[record.name].engine is None:
        reported = findings_among(names)
    curves = []
    for metric in reported[: WITH_NAMED_ONES if named else DRAWN_METRICS]:
        points = []
        for line in lines:
            if metric in line["metrics"]:
                points.append((float(line["step"]), float(line["metrics"][metric])))
        curves.append((metric, points))
    return curves


def stage_boxes(run: Run, records: Iterable[Record]) -> list[StageBox]:
    """The stages in the order of the plan."""
    counts: dict[str, Counter[JobState]] = {}
    for record in records:
        counts.setdefault(record.stage, Counter())[record.state] += 1
    stage_of = run.plan.stage_of
    needs: dict[str, set[str]] = {}
    for job in run.plan.jobs:
        needs.setdefault(job.stage, set()).update(map(stage_of.__getitem__, job.after))
    for name, choice in run.plan.choices.items():
        needs[stage_of[name]].add(choice.stage)
    judged: dict[str, set[str]] = {}
    for key, conditions in run.plan.gates.items():
        for condition in conditions:
            judged.setdefault(stage_of.get(key, key), set()).update(
                stage_of[name] for name in condition.jobs
            )
    return [
        StageBox(
            name=stage,
            counts=dict(states),
            needs=frozenset(needs[stage] - {stage}),
            gates=frozenset(judged.get(stage, ())),
        )
        for stage, states in counts.items()
    ]


def bars(facts: Facts) -> list[Bar]:
    """Every start, with the wait before the first one of a job's newest attempt."""
    by_name = {record.name: record for record in facts.records}
    drawn = []
    for start in facts.spent.starts:
        record = by_name[start.job]
        newest = start.attempt == record.attempt
        state = OUTCOMES[start.outcome]
        if state is JobState.FAILED and newest and record.state in FAILED:
            # The scheduler may know better how it died, such as TIMEOUT.
            state = record.state
        drawn.append(
            Bar(
                job=start.job,
                stage=record.stage,
                # The record knows the newest attempt's submission only, and its wait belongs to its
                # first start.
                submitted=record.submitted if newest and not start.restart else None,
                started=start.started,
                # A start whose end is unknown is drawn as short as a bar can be.
                ended=start.started if start.ended is None else start.ended,
                state=state,
                hint=hint(start, record),
            )
        )
    return drawn


def hint(start: Start, record: Record) -> str:
    """One line on a start: job, which attempt, how it ended, how long it took."""
    again = f", attempt {start.attempt}" if start.attempt > 1 else ""
    if start.restart:
        again += f", restart {start.restart}"
    ended = start.outcome
    if start.outcome == "died" and start.attempt == record.attempt and record.reason:
        ended = record.reason
    return f"{start.job}{again}: {clock(start.seconds)}, {ended}"


@dataclass(frozen=True)
class Death:
    """What jobs of a stage died of."""

    jobs: str
    cause: Cause


def deaths(facts: Facts) -> list[Death]:
    """Why jobs failed; jobs of a stage that died of the same are one. What a person or the cluster
    has stopped is not among them."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in facts.records:
        if record.state in FAILED - STOPPED:
            # Numbers and paths do not tell causes apart: "79.1 GiB" and "79.3 GiB" too much are
            # one.
            cause = record.stage, str(record.state), alike(record.reason)
            groups.setdefault(cause, []).append(record)
    parts = Parts(facts.run, facts.records)
    largest = sorted(groups.values(), key=lambda members: -len(members))
    return [Death(parts.text(members), cause_of(members[0])) for members in largest]


def job_table(facts: Facts) -> tuple[list[Column], int]:
    """The table of jobs, failed ones first, with the axes and the newest metrics of each; of a
    large run the first ones, and how many are left out."""
    ordered = sorted(facts.records, key=lambda record: record.state not in FAILED - STOPPED)
    shown = ordered[:LISTED]
    metrics = newest_metrics(facts.run, shown)
    columns = job_columns(facts.run, shown, facts.now, metrics, alone=True)
    return columns, len(ordered) - len(shown)


def stage_table(facts: Facts) -> list[Column]:
    """The table of stages."""
    return stage_columns(facts.run, facts.records, facts.now, frozenset(), {})
